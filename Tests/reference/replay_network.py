"""The networks of a traced run in PyTorch: see replay_trace.py."""

import math
import sys

import torch
import torch.nn.functional as F


def tensor(value):
    """Floats in the precision of the replay."""
    made = torch.tensor(value)
    return made.to(torch.get_default_dtype()) if made.is_floating_point() else made


# The parameters of layers that a spectral norm divides.
WEIGHTS = ("weight", "query", "key", "value", "output", "embedding")


def place(key):
    """`3.residual/body/0.dense/weight` is parameter `weight` of the layer `3.residual/body/0.dense`."""
    layer, _, name = key.removeprefix("statistics/").rpartition("/")
    return layer, name


def named(layers, path=""):
    """The layers of a list, those of residuals too, by their names: kind and settings."""
    found = {}
    for number, layer in enumerate(layers):
        kind, options = next(iter(layer.items())) if isinstance(layer, dict) else (layer, None)
        name = f"{path}{number}.{kind}"
        found[name] = kind, options or {}
        if kind == "residual":
            for branch in ("body", "skip"):
                found |= named(options.get(branch) or [], f"{name}/{branch}/")
    return found


class SpectralVectors:
    """u and v of one weight W, taken as a matrix [out] × [rest]: Miyato et al. 2018.

    The trace begins after the power iteration that a run makes at its start, so that v alone is taken from it.
    """

    def __init__(self, weight, kind, v):
        self.kind = kind
        self.v = tensor(v)
        self.u = F.normalize(self.matrix(weight) @ self.v, dim=0)

    def matrix(self, weight):
        if self.kind == "transposed_convolution":
            # HWOI.
            return weight.permute(2, 0, 1, 3).flatten(1)
        return weight.flatten(0, -2).T

    def iterate(self, weight):
        matrix = self.matrix(weight)
        self.v = F.normalize(matrix.T @ self.u, dim=0)
        self.u = F.normalize(matrix @ self.v, dim=0)

    def divide(self, weight):
        """W / σ: u and v are constants in backward."""
        return weight / (self.u @ self.matrix(weight) @ self.v)


class Network:
    """The layers of a configuration on parameters in gan-dist's layout; activations are NHWC between layers."""

    def __init__(self, name, layers, initial, statistics, all_spectral, classes=None):
        """`initial`: of `initial/NAME` in the trace; `statistics`: arrays of the shapes of running statistics;
        `all_spectral`: whether every weight is divided by its spectral norm, or those alone whose layers say so."""
        self.name, self.classes = name, classes
        self.layers = named(layers)
        self.parameters = {key: tensor(value).requires_grad_() for key, value in initial.items()
                           if not key.startswith("spectral/")}
        # Running means start at 0, variances at 1. Their paths begin with `statistics/`.
        self.statistics = {key: torch.full(value.shape, float(key.endswith("variance")))
                           for key, value in statistics.items()}
        self.spectral = {key: SpectralVectors(value.detach(), self.kind(key), initial[f"spectral/{key}/v"])
                         for key, value in self.parameters.items()
                         if place(key)[1] in WEIGHTS and (all_spectral or self.options(key).get("spectral"))}
        if 2 * len(self.spectral) != sum(key.startswith("spectral/") for key in initial):
            sys.exit(f"the trace has vectors of other spectral weights of the {name} than its configuration names")

    def kind(self, key):
        return self.layers[place(key)[0]][0]

    def options(self, key):
        return self.layers[place(key)[0]][1]

    def effective(self):
        """What the layers compute with, as functions of the parameters: by key."""
        return {key: self.spectral[key].divide(value) if key in self.spectral else value
                for key, value in self.parameters.items()}

    def moved(self):
        """The parameters have moved: one power iteration."""
        for key, vectors in self.spectral.items():
            vectors.iterate(self.parameters[key].detach())

    def forward(self, x, masks=None, seen=None, conditions=None):
        """`masks`: keep masks by the layer's name. `seen`: gets the batch's mean and variance of each batch
        normalisation. `conditions`: the numbers of the rows' classes, or their vectors."""
        parameters = {place(key): value for key, value in self.effective().items()}
        return self.chain("", x, parameters, masks, seen, conditions)

    def chain(self, path, x, parameters, masks, seen, conditions):
        """The layers whose names are `path` and one more part."""
        for index, (kind, options) in self.layers.items():
            if not index.startswith(path) or "/" in index[len(path):]:
                continue
            weight, bias = parameters.get((index, "weight")), parameters.get((index, "bias"))
            scale, shift = parameters.get((index, "scale")), parameters.get((index, "shift"))
            match kind:
                case "dense":
                    x = x.flatten(1) @ weight
                    x = x if bias is None else x + bias
                case "maxout":
                    units, pieces = options["units"], options["pieces"]
                    x = x.flatten(1) @ weight.reshape(-1, units * pieces) + bias.reshape(-1)
                    x = x.reshape(len(x), units, pieces).max(-1).values
                case "convolution":
                    x = convolution(x, weight, bias, options)
                case "transposed_convolution":
                    x = transposed_convolution(x, weight, bias, options)
                case "batch_normalisation" | "conditional_batch_normalisation":
                    axes = tuple(range(x.dim() - 1))
                    if seen is not None:
                        # As in PyTorch, the running variance follows the unbiased estimate.
                        seen[index] = {"mean": x.detach().mean(axes), "variance": x.detach().var(axes)}
                    last = x.dim() - 1
                    single = (None, None) if kind.startswith("conditional") else (scale, shift)
                    x = F.batch_norm(x.movedim(last, 1), None, None, *single, training=True,
                                     eps=options.get("epsilon", 1e-5)).movedim(1, last)
                    if kind.startswith("conditional"):
                        view = (len(x), *[1] * (last - 1), x.shape[-1])
                        x = embed(scale, conditions).view(view) * x + embed(shift, conditions).view(view)
                case "embedding":
                    x = join(x, embed(parameters[index, "embedding"], conditions))
                case "join_condition":
                    ones = conditions if conditions.is_floating_point() else F.one_hot(conditions, self.classes)
                    x = join(x, ones.to(x.dtype))
                case "projection":
                    x = x @ weight + (embed(parameters[index, "embedding"], conditions) * x).sum(1, keepdim=True)
                    x = x if bias is None else x + bias
                case "layer_normalisation":
                    last = x.dim() - 1
                    x = F.group_norm(x.movedim(last, 1), 1, scale, shift, options.get("epsilon", 1e-5)).movedim(1, last)
                case "group_normalisation" | "instance_normalisation":
                    groups = options.get("groups", x.shape[-1])
                    x = F.group_norm(x.movedim(-1, 1), groups, scale, shift, options.get("epsilon", 1e-5))
                    x = x.movedim(1, -1)
                case "pixel_normalisation":
                    x = x / (x.square().mean(-1, keepdim=True) + options.get("epsilon", 1e-8)).sqrt()
                case "minibatch_deviation":
                    x = minibatch_deviation(x, options.get("group", 4))
                case "self_attention":
                    names = ("query", "key", "value", "output", "gamma")
                    x = self_attention(x, *(parameters[index, name] for name in names))
                case "upsample" | "downsample":
                    x = resample(x, kind == "upsample", options.get("factor", 2), options.get("kind"))
                case "basis":
                    x = parameters[index, "basis"] * (x @ weight)[:, None, None]
                case "scale_shift":
                    x = x if scale is None else x * scale
                    x = x if shift is None else x + shift
                case "constant":
                    values = parameters[index, "values"]
                    x = values.expand(len(x), *values.shape)
                case "dropout":
                    x = x * masks[index].reshape(x.shape) / options["keep"]
                case "channel_maxout":
                    x = x.reshape(*x.shape[:-1], -1, options["pieces"]).max(-1).values
                case "max_pool" | "mean_pool" | "sum_pool":
                    pool, more = F.max_pool2d, {}
                    if kind != "max_pool":
                        pool, more = F.avg_pool2d, {"count_include_pad": False}
                    if kind == "sum_pool":
                        more["divisor_override"] = 1
                    x = pool(x.permute(0, 3, 1, 2), options["size"], options.get("stride", options["size"]),
                             ceil_mode=options.get("edge", "whole") == "partial", **more).permute(0, 2, 3, 1)
                case "slice":
                    shape, start = options["shape"], options["start"]
                    x = x[:, start:start + math.prod(shape)].reshape(-1, *shape)
                case "zero_padding":
                    x = F.pad(x, (0, 0, *[options["pixels"]] * 4))
                case "reshape":
                    x = x.reshape(len(x), *options["shape"])
                case "flatten":
                    x = x.flatten(1)
                case "residual":
                    body, skip = (self.chain(f"{index}/{branch}/", x, parameters, masks, seen, conditions)
                                  for branch in ("body", "skip"))
                    x = body + skip
                case "relu":
                    x = F.relu(x)
                case "leaky_relu":
                    x = F.leaky_relu(x, options.get("slope", 0.2))
                case "sigmoid":
                    x = torch.sigmoid(x)
                case "tanh":
                    x = torch.tanh(x)
                case "softplus":
                    x = F.softplus(x)
                case "gelu":
                    x = F.gelu(x)
                case "silu":
                    x = F.silu(x)
                case _:
                    sys.exit(f"this program knows no layer '{kind}'")
        return x

    def gradients(self, loss, keep=False):
        return dict(zip(self.parameters, torch.autograd.grad(loss, list(self.parameters.values()), retain_graph=keep)))


def embed(table, conditions):
    """Rows of a table for classes; products with a matrix for vectors."""
    return conditions @ table if conditions.is_floating_point() else F.embedding(conditions, table)


def join(x, values):
    """To a vector, or to every pixel of an image."""
    if x.dim() == 4:
        values = values[:, None, None, :].expand(-1, x.shape[1], x.shape[2], -1)
    return torch.cat([x, values], -1)


def pair(value):
    return tuple(value) if isinstance(value, list) else (value, value)


def same_margins(size, kernel, stride):
    """(before, after) of a convolution over `size` whose output is ⌈size / stride⌉."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def convolution(x, weight, bias, options):
    kernel, stride = pair(options["kernel"]), pair(options.get("stride", 1))
    x = x.permute(0, 3, 1, 2)
    if options.get("padding", "same") == "same":
        top, bottom = same_margins(x.shape[2], kernel[0], stride[0])
        left, right = same_margins(x.shape[3], kernel[1], stride[1])
        x = F.pad(x, (left, right, top, bottom))
    # HWIO to PyTorch's OIHW.
    weight = weight.permute(3, 2, 0, 1).contiguous()
    return F.conv2d(x, weight, bias, stride, groups=options.get("groups", 1)).permute(0, 2, 3, 1)


def minibatch_deviation(x, most):
    """Of neighbours in groups as equal as can be, the larger first, a channel with their mean deviation."""
    groups = -(-len(x) // most)
    parts = []
    for examples in x.split([len(x) // groups + (number < len(x) % groups) for number in range(groups)]):
        deviation = (examples.var(0, unbiased=False) + 1e-8).sqrt().mean()
        parts.append(torch.cat([examples, deviation.expand(*examples.shape[:-1], 1)], -1))
    return torch.cat(parts)


def self_attention(x, query, key, value, output, gamma):
    """Keys and values are the largest of 2 × 2 pixels. The softmax is written out: it is differentiated twice."""
    def maps(weight):
        return (x @ weight[0, 0]).permute(0, 3, 1, 2)

    q, k, v = maps(query).flatten(2).mT, *(F.max_pool2d(maps(weight), 2).flatten(2).mT for weight in (key, value))
    scores = q @ k.mT
    weights = (scores - scores.detach().amax(-1, keepdim=True)).exp()
    means = weights / weights.sum(-1, keepdim=True) @ v
    return gamma * (means @ output[0, 0]).reshape(x.shape) + x


def resample(x, is_larger, factor, kind):
    x = x.permute(0, 3, 1, 2)
    if kind == "binomial":
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / (4 if is_larger else 8)
        kernel = torch.outer(row, row).expand(x.shape[1], 1, 4, 4)
        x = (F.conv_transpose2d if is_larger else F.conv2d)(x, kernel, stride=2, padding=1, groups=x.shape[1])
    elif is_larger:
        more = {"align_corners": False} if kind == "bilinear" else {}
        x = F.interpolate(x, scale_factor=factor, mode=kind or "nearest", **more)
    else:
        x = F.avg_pool2d(x, factor)
    return x.permute(0, 2, 3, 1)


def transposed_convolution(x, weight, bias, options):
    """The adjoint of a convolution: whole, then for `same` cut to stride × size."""
    kernel, stride = pair(options["kernel"]), pair(options.get("stride", 1))
    x = x.permute(0, 3, 1, 2)
    sizes = [size * step for size, step in zip(x.shape[2:], stride)]
    # HWOI to PyTorch's IOHW.
    x = F.conv_transpose2d(x, weight.permute(3, 2, 0, 1).contiguous(), None, stride)
    if options.get("padding", "same") == "same":
        tops = [same_margins(size, length, step)[0] for size, length, step in zip(sizes, kernel, stride)]
        x = F.pad(x, (0, max(tops[1] + sizes[1] - x.shape[3], 0), 0, max(tops[0] + sizes[0] - x.shape[2], 0)))
        x = x[:, :, tops[0]:tops[0] + sizes[0], tops[1]:tops[1] + sizes[1]]
    if bias is not None:
        x = x + bias[:, None, None]
    return x.permute(0, 2, 3, 1)
