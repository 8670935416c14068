#!/usr/bin/env python3
"""Writes Tests/NetsTests/Fixtures/graphs.{json,f32}: random networks with nested residuals, by PyTorch.

    python3 Tests/reference/make_graph_fixtures.py        (needs torch and numpy)

Each line of graphs.json is a network: its seed, its input and its layers. Inputs, slopes and parameters are functions
of the seed (`fill`), which the tests compute too, so that graphs.f32 holds results alone: the output, the gradient of
Σ output · slope with respect to the input and to each parameter, and where the last layer makes a logit those of the
parameters of Σ_i slope_i s_i + c Σ_i ‖∂s_i/∂x_i‖², differentiated twice with create_graph. All computing is in float64;
dropout's masks are drawn by Philox as gan-dist draws them. A network is left out, and another seed taken, where a value
is so near to a corner of a function that float32 may be on its other side, or where PyTorch's own float32 is far off.
"""
import json
import pathlib
import random

import numpy as np
import torch
import torch.nn.functional as F

from replay_network import minibatch_deviation, resample, self_attention

EXAMPLES = 3
PENALTY = 0.3
# Networks with a penalty, and without.
COUNTS = {True: 240, False: 140}
# The smallest distance to a corner, and float32's largest, of an array's norm and a hundredth of all of its kind.
MARGIN, FLOAT32 = 3e-4, 1.5e-6


def fill(seed, array, count):
    """Values in [−1, 1) that float32 holds exactly: a hash of (seed, array, index)."""
    index = np.arange(count, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    h = (np.uint64(seed) * np.uint64(0x9E3779B1) + np.uint64(array) * np.uint64(0x85EBCA6B)
         + index * np.uint64(0xC2B2AE35)) & mask
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        h = ((h ^ (h >> np.uint64(shift))) * np.uint64(factor)) & mask
    h ^= h >> np.uint64(16)
    return (h >> np.uint64(8)).astype(np.float64) / 2**23 - 1


def keep_mask(layer, examples, values, keep):
    """`Draws(seed: 1, purpose: .dropoutReal, step: 0)` of Sources/Kernels/Draws.swift."""
    mask = np.zeros((examples, values))
    for example in range(examples):
        for value in range(values):
            block = value // 32 * 8 + value % 8
            word = philox([block, example, 0, 7 << 24 | layer << 16], [1, 0])[value % 32 // 8]
            mask[example, value] = np.float32(word >> 8) * np.float32(2**-24) < np.float32(keep)
    return mask


def philox(counter, key):
    """Philox4x32-10: Salmon et al. 2011."""
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [second >> 32 ^ c[1] ^ k[0], second & 0xFFFFFFFF, first >> 32 ^ c[3] ^ k[1], first & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


class Network:
    """Layers as in the file; activations are NHWC between them."""

    def __init__(self, layers, seed):
        self.layers, self.seed, self.parameters = layers, seed, []
        self.margin = float("inf")

    def __call__(self, x):
        self.node = self.used = 0
        return self.chain(self.layers, x)

    def chain(self, layers, x):
        for kind, *settings in layers:
            if kind == "residual":
                body, skip = settings
                x = self.chain(body, x) + self.chain(skip, x)
            else:
                x = getattr(self, kind)(x, *settings)
            self.node += 1
        return x

    def parameter(self, fan, *shape):
        """The next one, times a power of two near √(3 / fan); with no fan half as large, around 1 for a scale."""
        if self.used == len(self.parameters):
            values = fill(self.seed, 10 + self.used, int(np.prod(shape))).reshape(shape)
            exponent = 0
            while fan and 3 * 4**exponent < fan:
                exponent += 1
            values = values * 2.0**-exponent if fan else values / 2
            self.parameters.append(torch.tensor(values, dtype=torch.get_default_dtype()).requires_grad_())
        self.used += 1
        return self.parameters[self.used - 1]

    def away_from(self, distances):
        distances = distances.detach().abs()
        # Zeros of a layer before are zeros in float32 too.
        distances = distances[distances > 0]
        self.margin = min(self.margin, distances.min().item() if distances.numel() else self.margin)

    def winners(self, maps):
        if maps.shape[-1] > 1:
            first, second = maps.topk(2, -1).values.unbind(-1)
            ties = (first == second) & (first != 0)
            self.margin = 0 if ties.any() else self.margin
            self.away_from(first - second)
        return maps.amax(-1)

    def dense(self, x, units, bias=True):
        y = x @ self.parameter(x.shape[1], x.shape[1], units)
        return y + self.parameter(0, units) if bias else y

    def maxout(self, x, units, pieces):
        return self.winners(self.dense(x, units * pieces).reshape(len(x), units, pieces))

    def channel_maxout(self, x, pieces):
        return self.winners(x.reshape(*x.shape[:-1], -1, pieces))

    @staticmethod
    def margins(size, kernel, stride):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2

    def convolution(self, x, channels, kernel, stride, groups=1):
        """`same`."""
        inputs = x.shape[3] // groups
        weight = self.parameter(kernel**2 * inputs, kernel, kernel, inputs, channels)
        bias = self.parameter(0, channels)
        top, left = self.margins(x.shape[1], kernel, stride), self.margins(x.shape[2], kernel, stride)
        x = F.pad(x.permute(0, 3, 1, 2), (*left, *top))
        return F.conv2d(x, weight.permute(3, 2, 0, 1).contiguous(), bias, stride, groups=groups).permute(0, 2, 3, 1)

    def transposed_convolution(self, x, channels, kernel, stride):
        """`same`, of a kernel at least as large as its stride."""
        weight = self.parameter(kernel**2 * x.shape[3], kernel, kernel, channels, x.shape[3])
        bias = self.parameter(0, channels)
        y = F.conv_transpose2d(x.permute(0, 3, 1, 2), weight.permute(3, 2, 0, 1).contiguous(), None, stride)
        sizes = [size * stride for size in x.shape[1:3]]
        top, left = (self.margins(size, kernel, stride)[0] for size in sizes)
        return y[:, :, top:top + sizes[0], left:left + sizes[1]].permute(0, 2, 3, 1) + bias

    def moments(self, x, normalise):
        scale, shift = 1 + self.parameter(0, x.shape[-1]), self.parameter(0, x.shape[-1])
        last = x.dim() - 1
        return normalise(x.movedim(last, 1), scale, shift).movedim(1, last)

    def layer_normalisation(self, x):
        return self.moments(x, lambda x, scale, shift: F.group_norm(x, 1, scale, shift, 0.01))

    def group_normalisation(self, x, groups):
        return self.moments(x, lambda x, scale, shift: F.group_norm(x, groups, scale, shift, 0.01))

    def instance_normalisation(self, x):
        return self.group_normalisation(x, x.shape[-1])

    def pixel_normalisation(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 0.01)

    def scale_shift(self, x):
        return self.moments(x, lambda x, scale, shift: x * scale.reshape(-1, *[1] * (x.dim() - 2))
                            + shift.reshape(-1, *[1] * (x.dim() - 2)))

    def minibatch_deviation(self, x):
        return minibatch_deviation(x, 4)

    def batch_normalisation(self, x):
        return self.moments(x, lambda x, scale, shift: F.batch_norm(x, None, None, scale, shift, True, eps=0.01))

    def dropout(self, x, keep):
        mask = keep_mask(self.node, len(x), x[0].numel(), keep).reshape(x.shape)
        return x * torch.tensor(mask, dtype=x.dtype) / keep

    def max_pool(self, x, size, stride):
        """Also windows that the edge cuts."""
        padded = F.pad(x.permute(0, 3, 1, 2), (0, size - 1, 0, size - 1), value=-1e9)
        y = F.max_pool2d(x.permute(0, 3, 1, 2), size, stride, ceil_mode=True)
        windows = padded.unfold(2, size, stride).unfold(3, size, stride).flatten(4)
        self.winners(windows[:, :, :y.shape[2], :y.shape[3]])
        return y.permute(0, 2, 3, 1)

    def mean_pool(self, x, size, stride):
        return F.avg_pool2d(x.permute(0, 3, 1, 2), size, stride, ceil_mode=True,
                            count_include_pad=False).permute(0, 2, 3, 1)

    def sum_pool(self, x, size, stride):
        padded = F.pad(x, (0, 0, 0, size - 1, 0, size - 1))
        windows = padded.unfold(1, size, stride).unfold(2, size, stride).sum((-1, -2))
        height, width = self.mean_pool(x, size, stride).shape[1:3]
        return windows[:, :height, :width]

    def upsample(self, x, kind):
        return resample(x, True, 2, None if kind == "nearest" else kind)

    def downsample(self, x, kind):
        return resample(x, False, 2, kind)

    def self_attention(self, x):
        channels = x.shape[3]
        weights = [self.parameter(inputs, 1, 1, inputs, outputs) for inputs, outputs in (
            (channels, channels // 8), (channels, channels // 8), (channels, channels // 2), (channels // 2, channels))]
        for weight in weights[1:3]:
            # The largest of 2 × 2 pixels.
            maps = (x @ weight[0, 0]).unfold(1, 2, 2).unfold(2, 2, 2)
            self.winners(maps.flatten(-2))
        return self_attention(x, *weights, self.parameter(0, 1))

    def basis(self, x, height, width, channels):
        weight = self.parameter(x.shape[1], x.shape[1], channels)
        return self.parameter(0, height, width, channels) * (x @ weight)[:, None, None]

    def constant(self, x, *shape):
        return self.parameter(1, *shape).expand(len(x), *shape) + 0 * x.sum()

    def zero_padding(self, x, pixels):
        return F.pad(x, (0, 0, *[pixels] * 4))

    def reshape(self, x, *shape):
        return x.reshape(len(x), *shape)

    def flatten(self, x):
        return x.flatten(1)

    def relu(self, x):
        self.away_from(x)
        return F.relu(x)

    def leaky_relu(self, x, slope):
        self.away_from(x)
        return F.leaky_relu(x, slope)

    def sigmoid(self, x):
        return torch.sigmoid(x)

    def tanh(self, x):
        return torch.tanh(x)

    def softplus(self, x):
        return F.softplus(x)

    def gelu(self, x):
        return F.gelu(x)

    def silu(self, x):
        return F.silu(x)


class Drawing:
    """Draws networks."""

    ANYWHERE = ["relu", "leaky_relu", "sigmoid", "tanh", "softplus", "gelu", "silu", "dropout", "layer_normalisation",
                "group_normalisation", "pixel_normalisation", "scale_shift"]
    VECTOR = ["dense", "dense", "maxout", "reshape", "channel_maxout", "constant", "basis"]
    IMAGE = ["convolution", "convolution", "grouped", "grouped", "transposed_convolution", "max_pool", "mean_pool",
             "sum_pool", "upsample", "downsample", "instance_normalisation", "self_attention", "self_attention",
             "channel_maxout", "zero_padding", "flatten", "constant"]
    COUPLING = ["batch_normalisation", "batch_normalisation", "minibatch_deviation"]

    def __init__(self, seed, penalised):
        self.random = random.Random(seed)
        self.penalised = penalised

    def shape_after(self, layer, shape):
        with torch.no_grad():
            return tuple(Network([layer], 1)(torch.zeros(2, *shape)).shape[1:])

    def layer(self, shape, depth):
        """A random layer that fits."""
        choose = self.random.choice
        if depth < 3 and self.random.random() < 0.4:
            return self.residual(shape, depth)
        kinds = self.ANYWHERE + (self.IMAGE if len(shape) == 3 else self.VECTOR) * 2
        kind = choose(kinds + ([] if self.penalised else self.COUPLING))
        small = [n for n in (2, 3) if shape[-1] % n == 0]
        match kind:
            case "dense": return [kind, choose([1, 3, 5, 8]), choose([True, True, False])]
            case "maxout": return [kind, choose([2, 4]), choose([2, 3])]
            case "reshape":
                count = shape[0]
                forms = [[a, b, count // a // b] for a in (1, 2, 3) for b in (1, 2, 3) if count % (a * b) == 0]
                return [kind, *choose(forms)]
            case "channel_maxout": return [kind, choose(small)] if small else ["tanh"]
            case "constant": return [kind, *shape] if depth > 0 and self.random.random() < 0.3 else ["softplus"]
            case "convolution": return [kind, choose([2, 3, 4, 8]), choose([1, 2, 3]), choose([1, 1, 2])]
            case "grouped":
                groups = choose([n for n in (2, 3, 4, 8) if shape[-1] % n == 0] or [1])
                return ["convolution", groups * choose([1, 1, 2]), choose([1, 2, 3]), choose([1, 1, 2]), groups]
            case "upsample" if shape[0] * shape[1] <= 9: return [kind, choose(["nearest", "bilinear", "binomial"])]
            case "downsample" if min(shape[:2]) >= 2: return [kind, choose(["mean", "binomial"])]
            case "upsample" | "downsample": return ["gelu"]
            case "self_attention" if shape[2] % 8 or min(shape[:2]) < 2: return ["convolution", 8, 1, 1]
            case "basis": return [kind, choose([2, 3]), choose([2, 4]), choose([2, 3, 8])]
            case "group_normalisation":
                groups = [n for n in (1, 2, 3, 4) if shape[-1] % n == 0 and np.prod(shape) > 2 * n]
                return [kind, choose(groups)] if groups else ["silu"]
            case "instance_normalisation": return [kind] if shape[0] * shape[1] > 2 else ["silu"]
            case "pixel_normalisation": return [kind] if shape[-1] > 1 else ["gelu"]
            case "transposed_convolution":
                stride = choose([1, 2]) if shape[0] * shape[1] <= 9 else 1
                return [kind, choose([2, 3]), choose([2, 3]), stride]
            case "max_pool" | "mean_pool" | "sum_pool":
                size = choose([size for size in (1, 2, 3) if size <= min(shape[:2])])
                return [kind, size, choose([stride for stride in (1, 2) if stride <= size])]
            case "zero_padding": return [kind, 1] if shape[0] * shape[1] <= 9 else ["flatten"]
            case "layer_normalisation": return [kind] if np.prod(shape) > 2 else ["tanh"]
            case "leaky_relu": return [kind, choose([0.125, 0.25])]
            case "dropout": return [kind, choose([0.5, 0.75])]
            case _: return [kind]

    def chain(self, shape, length, depth):
        layers = []
        for _ in range(length):
            layers.append(self.layer(shape, depth))
            shape = self.shape_after(layers[-1], shape)
        return layers, shape

    def residual(self, shape, depth):
        body, made = self.chain(shape, self.random.choice([1, 1, 2, 3]), depth + 1)
        skip = []
        if made == shape and self.random.random() < 0.5:
            return ["residual", body, skip]
        skip, beside = self.chain(shape, self.random.choice([0, 1, 2]), depth + 1)
        if beside != made:
            skip += self.change(beside, made)
        return ["residual", body, skip]

    def change(self, start, end):
        """Layers from one shape to another."""
        if len(start) == len(end) == 3 and start[:2] == end[:2]:
            return [["convolution", end[2], 1, 1]]
        layers = [["flatten"]] if len(start) == 3 else []
        layers.append(["dense", int(np.prod(end)), True])
        return layers + ([["reshape", *end]] if len(end) == 3 else [])

    def network(self):
        shape = self.random.choice([(5,), (8,), (12,), (4, 4, 2), (3, 5, 2), (6, 6, 1), (2, 2, 3),
                                    (3, 4, 8)])
        layers, after = self.chain(shape, self.random.choice([1, 2, 3, 4]), 0)
        if not any(kind == "residual" for kind, *_ in layers):
            layers.append(self.residual(after, 0))
            after = self.shape_after(layers[-1], after)
        if self.penalised:
            layers += ([["flatten"]] if len(after) == 3 else []) + [["dense", 1, True]]
        return shape, layers


def results(seed, shape, layers, penalised, precision):
    """Arrays in the order of the file, and the network."""
    torch.set_default_dtype(precision)
    network = Network(layers, seed)
    x = torch.tensor(fill(seed, 0, EXAMPLES * int(np.prod(shape))).reshape(EXAMPLES, *shape), dtype=precision)
    x.requires_grad_()
    y = network(x)
    slopes = torch.tensor(fill(seed, 1, y.numel()).reshape(y.shape), dtype=precision)
    parameters = network.parameters
    given = torch.autograd.grad((slopes * y).sum(), [x, *parameters], retain_graph=True, allow_unused=True)
    arrays = [y, *given]
    if penalised:
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        cost = (slopes * y).sum() + PENALTY * gradient.square().sum()
        arrays += torch.autograd.grad(cost, parameters, allow_unused=True)
    like = [y, x, *parameters, *parameters]
    return [(torch.zeros_like(other) if array is None else array).detach().numpy().astype(np.float64)
            for array, other in zip(arrays, like)], network


def distances(ours, theirs, parameters):
    """Of float32 from float64, by array: of the array's norm and a hundredth of that of all gradients of its kind."""
    kinds = [ours[:1], ours[1:2], ours[2:2 + parameters], ours[2 + parameters:]]
    whole = [np.sqrt(sum(np.sum(np.square(array)) for array in kind)) for kind in kinds for _ in kind]
    return [np.linalg.norm(a - b) / (np.linalg.norm(a) + all / 100 + 1e-30) for a, b, all in zip(ours, theirs, whole)]


def residuals(layers):
    return sum(1 + residuals(settings[0]) + residuals(settings[1]) for kind, *settings in layers if kind == "residual")


def depth(layers):
    return max((1 + max(depth(settings[0]), depth(settings[1])) for kind, *settings in layers if kind == "residual"),
               default=0)


def chosen(layers):
    """The kinds of layers, those within residuals too."""
    for kind, *settings in layers:
        yield kind
        if kind == "residual":
            yield from chosen(settings[0])
            yield from chosen(settings[1])


torch.set_num_threads(1)
# Blocks as they are published: before the random ones.
BLOCKS = [
    # He et al. 2016 b, full pre-activation, with layer normalisation, and a block that halves the image.
    ((6, 6, 2), [["convolution", 4, 3, 1],
                 ["residual", [["layer_normalisation"], ["leaky_relu", 0.25], ["convolution", 4, 3, 1],
                               ["layer_normalisation"], ["leaky_relu", 0.25], ["convolution", 4, 3, 1]], []],
                 ["residual", [["leaky_relu", 0.25], ["convolution", 6, 3, 1], ["leaky_relu", 0.25],
                               ["convolution", 6, 3, 1], ["mean_pool", 2, 2]],
                  [["convolution", 6, 1, 1], ["mean_pool", 2, 2]]],
                 ["leaky_relu", 0.25], ["flatten"], ["dense", 1, True]]),
    # The input itself is read by both, and three blocks begin with the same value.
    ((8,), [["residual", [["residual", [["residual", [["tanh"]], []], ["dense", 8, True]], []], ["softplus"]], []],
            ["dense", 1, True]]),
    ((4, 4, 3), [["residual", [["residual", [["relu"], ["convolution", 3, 3, 1]], []], ["relu"],
                               ["convolution", 3, 1, 1]], [["convolution", 3, 1, 1], ["tanh"]]],
                 ["flatten"], ["residual", [["dense", 48, True], ["leaky_relu", 0.25]], []], ["dense", 1, True]]),
    # x + x, under other shapes, and a sum that is the whole network.
    ((5,), [["residual", [["flatten"]], []], ["residual", [["reshape", 5]], [["flatten"]]], ["dense", 1, True]]),
    ((7,), [["residual", [["dense", 1, True]], [["maxout", 1, 3]]]]),
    # R3GAN's (Huang et al. 2024): 1×1, 3×3 in groups, 1×1; the image halved, then the channels changed.
    ((4, 4, 4), [["residual", [["convolution", 8, 1, 1], ["leaky_relu", 0.25], ["convolution", 8, 3, 1, 2],
                               ["leaky_relu", 0.25], ["convolution", 4, 1, 1]], []],
                 ["downsample", "binomial"], ["convolution", 6, 1, 1], ["convolution", 6, 2, 2, 6], ["flatten"],
                 ["dense", 1, True]]),
    # SAGAN's (Zhang et al. 2019): a block that doubles the image, both of whose ways enlarge it, then attention.
    ((2, 2, 3), [["residual", [["relu"], ["upsample", "nearest"], ["convolution", 8, 3, 1]],
                  [["upsample", "nearest"], ["convolution", 8, 1, 1]]],
                 ["self_attention"], ["relu"], ["sum_pool", 2, 2], ["flatten"], ["dense", 1, True]]),
]
cases, values, lost = [], [], 0
waiting = [(shape, layers, True, seed) for seed, (shape, layers) in enumerate(BLOCKS, 1)]
counts = dict.fromkeys(COUNTS, 0)
seed = 1000
while True:
    if waiting:
        shape, layers, penalised, number = waiting.pop(0)
    elif any(counts[kind] < COUNTS[kind] for kind in COUNTS):
        penalised = counts[True] < COUNTS[True]
        seed += 1
        number = seed
        torch.set_default_dtype(torch.float64)
        shape, layers = Drawing(seed, penalised).network()
        counts[penalised] += 1
    else:
        break
    arrays, network = results(number, shape, layers, penalised, torch.float64)
    size = sum(array.size for array in arrays)
    single, _ = results(number, shape, layers, penalised, torch.float32)
    apart = max(distances(arrays, single, len(network.parameters)))
    if network.margin < MARGIN or not apart < FLOAT32 or (number == seed and size > 1200) or not network.parameters:
        if number == seed:
            counts[penalised] -= 1
            lost += 1
            continue
        # Of a published block: other values.
        waiting.insert(0, (shape, layers, penalised, number + 100))
        continue
    cases.append({"seed": number, "penalised": penalised, "input": list(shape), "layers": layers})
    values += [array.astype("<f4").ravel() for array in arrays]

folder = pathlib.Path(__file__).parent.parent / "NetsTests" / "Fixtures"
np.concatenate(values).tofile(folder / "graphs.f32")
(folder / "graphs.json").write_text(
    "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
kinds = sorted({kind for case in cases for kind in chosen(case["layers"])})
print(f"{len(cases)} networks with {sum(residuals(case['layers']) for case in cases)} residuals, up to "
      f"{max(depth(case['layers']) for case in cases)} deep, of {len(kinds)} kinds of layers; {lost} left out; "
      f"{4 * sum(array.size for array in values)} bytes")
print(*kinds)
