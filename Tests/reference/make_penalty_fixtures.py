#!/usr/bin/env python3
"""Writes Tests/NetsTests/Fixtures/penalties.{json,f32}: gradients of gradient penalties, by PyTorch.

    python3 Tests/reference/make_penalty_fixtures.py        (needs torch and numpy)

The cost is mean softplus(-s_i) + the penalty: R1 (R2 is the same on other rows) or WGAN-GP, differentiated twice with
create_graph. Files, layouts and precision are as make_layer_fixtures.py describes them.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(20180707)
torch.set_default_dtype(torch.float64)
cases: dict[str, dict[str, np.ndarray]] = {}
# What the tests' dropout keeps of 4 examples of 20 and of 12 values, as they draw it (seed 1, step 0).
KEPT = {
    "1": "01001111001110111111101010011110001111101101110111010101111111100110111101010111",
    "4": "010000110011101110010011010100000001011011010111",
}


def draw(*shape):
    """Normal values that float32 holds exactly."""
    return torch.randn(*shape).float().double()


def to_nchw(x):
    return x.permute(0, 3, 1, 2)


def to_nhwc(x):
    return x.permute(0, 2, 3, 1)


class Network:
    """Layers by their names here; parameters have the names of gan-dist: 0.dense/weight."""

    def __init__(self, *layers):
        self.layers, self.parameters, self.masks = layers, {}, {}
        # The smallest distance of any value to a corner of a function: float32 must be on the same side of it.
        self.margin = float("inf")

    def parameter(self, number, kind, name, *shape, scale=1.0):
        key = f"{number}.{kind}/{name}"
        if key not in self.parameters:
            self.parameters[key] = (draw(*shape) * scale).float().double()
        return self.parameters[key]

    def away_from(self, distances):
        distances = distances.detach().abs()
        # Dropout's zeros are zeros in float32 too.
        self.margin = min(self.margin, distances[distances > 0].min().item())

    def __call__(self, x):
        for number, (kind, *settings) in enumerate(self.layers):
            x = getattr(self, kind)(number, x, *settings)
        return x

    def linear(self, number, kind, x, outputs):
        weight = self.parameter(number, kind, "weight", x.shape[1], outputs, scale=x.shape[1] ** -0.5)
        return x @ weight + self.parameter(number, kind, "bias", outputs)

    def dense(self, number, x, units):
        return self.linear(number, "dense", x, units)

    def winners(self, maps):
        """The largest of the last axis."""
        if maps.shape[-1] > 1:
            first, second = maps.topk(2, -1).values.unbind(-1)
            self.away_from(first - second)
        return maps.amax(-1)

    def maxout(self, number, x, units, pieces):
        return self.winners(self.linear(number, "maxout", x, units * pieces).view(len(x), units, pieces))

    def channel_maxout(self, number, x, pieces):
        return self.winners(x.reshape(*x.shape[:-1], -1, pieces))

    def kernels(self, number, kind, kernel, inputs, *channels):
        """For PyTorch: of the weights HWIO or HWOI with the first two dimensions last, and the last first."""
        scale = (inputs * kernel**2) ** -0.5
        weight = self.parameter(number, kind, "weight", kernel, kernel, *channels, scale=scale)
        return weight.permute(3, 2, 0, 1).contiguous()

    def convolution(self, number, x, channels, kernel, stride, padding):
        weight = self.kernels(number, "convolution", kernel, x.shape[3], x.shape[3], channels)
        bias = self.parameter(number, "convolution", "bias", channels)
        x = to_nchw(x)
        if padding == "same":
            down, across = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
            x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return to_nhwc(F.conv2d(x, weight, bias, stride))

    def transposed_convolution(self, number, x, channels, kernel, stride):
        """`same`, of a kernel at least as large as its stride."""
        weight = self.kernels(number, "transposed_convolution", kernel, x.shape[3], channels, x.shape[3])
        bias = self.parameter(number, "transposed_convolution", "bias", channels)
        full = F.conv_transpose2d(to_nchw(x), weight, bias, stride)
        before, height, width = (kernel - stride) // 2, x.shape[1] * stride, x.shape[2] * stride
        return to_nhwc(full[:, :, before:before + height, before:before + width])

    def layer_normalisation(self, number, x):
        scale = self.parameter(number, "layer_normalisation", "scale", x.shape[-1])
        shift = self.parameter(number, "layer_normalisation", "shift", x.shape[-1])
        last = x.dim() - 1
        return F.group_norm(x.movedim(last, 1), 1, scale, shift).movedim(1, last)

    def grouped(self, number, x, channels, kernel, stride, padding, groups):
        """A convolution in groups, without bias."""
        inputs = x.shape[3] // groups
        weight = self.kernels(number, "convolution", kernel, inputs, inputs, channels)
        x = to_nchw(x)
        if padding == "same":
            down, across = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
            x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return to_nhwc(F.conv2d(x, weight, None, stride, groups=groups))

    def normalisation(self, number, x, kind, groups):
        scale = self.parameter(number, kind, "scale", x.shape[-1])
        shift = self.parameter(number, kind, "shift", x.shape[-1])
        return F.group_norm(x.movedim(-1, 1), groups, scale, shift).movedim(1, -1)

    def group_normalisation(self, number, x, groups):
        return self.normalisation(number, x, "group_normalisation", groups)

    def instance_normalisation(self, number, x):
        return self.normalisation(number, x, "instance_normalisation", x.shape[-1])

    def pixel_normalisation(self, number, x):
        return x / (x.square().mean(-1, keepdim=True) + 1e-8).sqrt()

    def self_attention(self, number, x):
        """The softmax and all else written out, so that PyTorch can differentiate it twice."""
        channels = x.shape[-1]

        def weight(name, inputs, outputs):
            return self.parameter(number, "self_attention", name, 1, 1, inputs, outputs, scale=inputs ** -0.5)[0, 0]

        def pooled(maps):
            height, width = (size // 2 for size in maps.shape[1:3])
            squares = maps[:, :2 * height, :2 * width].unflatten(1, (height, 2)).unflatten(3, (width, 2))
            return self.winners(squares.permute(0, 1, 3, 5, 2, 4).flatten(-2)).flatten(1, 2)

        q = (x @ weight("query", channels, channels // 8)).flatten(1, 2)
        k = pooled(x @ weight("key", channels, channels // 8))
        v = pooled(x @ weight("value", channels, channels // 2))
        means = torch.softmax(q @ k.mT, -1) @ v
        means = (means @ weight("output", channels // 2, channels)).reshape(x.shape)
        return self.parameter(number, "self_attention", "gamma", 1) * means + x

    def upsample(self, number, x, kind):
        more = {"align_corners": False} if kind == "bilinear" else {}
        return to_nhwc(F.interpolate(to_nchw(x), scale_factor=2, mode=kind, **more))

    def binomial(self, number, x):
        """Smaller by 2."""
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        kernel = torch.outer(row, row).expand(x.shape[3], 1, 4, 4)
        return to_nhwc(F.conv2d(to_nchw(x), kernel, stride=2, padding=1, groups=x.shape[3]))

    def basis(self, number, x, height, width, channels):
        weight = self.parameter(number, "basis", "weight", x.shape[1], channels, scale=x.shape[1] ** -0.5)
        values = self.parameter(number, "basis", "basis", height, width, channels)
        return values * (x @ weight)[:, None, None]

    def scale_shift(self, number, x):
        scale = self.parameter(number, "scale_shift", "scale", x.shape[-1])
        return x * scale + self.parameter(number, "scale_shift", "shift", x.shape[-1])

    def gelu(self, number, x):
        return F.gelu(x)

    def silu(self, number, x):
        return F.silu(x)

    def leaky_relu(self, number, x, slope):
        self.away_from(x)
        return F.leaky_relu(x, slope)

    def max_pool(self, number, x, size, stride):
        """Also windows that the edge cuts."""
        padded = F.pad(to_nchw(x), (0, size - 1, 0, size - 1), value=-1e9)
        windows = padded.unfold(2, size, stride).unfold(3, size, stride).flatten(4)
        y = to_nhwc(F.max_pool2d(to_nchw(x), size, stride, ceil_mode=True))
        self.winners(windows[:, :, :y.shape[1], :y.shape[2]])
        return y

    def mean_pool(self, number, x, size):
        return to_nhwc(F.avg_pool2d(to_nchw(x), size))

    def zero_padding(self, number, x, pixels):
        return F.pad(x, (0, 0, pixels, pixels, pixels, pixels))

    def reshape(self, number, x, *shape):
        return x.reshape(len(x), *shape)

    def flatten(self, number, x):
        return x.flatten(1)

    def dropout(self, number, x, keep):
        mask = torch.tensor([float(kept) for kept in KEPT[str(number)]]).view(x.shape)
        self.masks[f"{number}.dropout.mask"] = mask
        return x * mask / keep

    def tanh(self, number, x):
        return torch.tanh(x)

    def sigmoid(self, number, x):
        return torch.sigmoid(x)

    def softplus(self, number, x):
        return F.softplus(x)


GAMMA, FACTOR = 0.7, 10.0
PENALTIES = {
    "r1": lambda norms: GAMMA / 2 * norms.square().mean(),
    "gradientPenalty": lambda norms: FACTOR * (norms - 1).square().mean(),
}


def record(name, x, *layers):
    network = Network(*layers)
    network(x)
    x.requires_grad_()
    for value in network.parameters.values():
        value.requires_grad_()
    logits = network(x)
    slopes, = torch.autograd.grad(F.softplus(-logits).mean(), logits, retain_graph=True)
    gradients, = torch.autograd.grad(logits.sum(), x, create_graph=True)
    norms = gradients.flatten(1).square().sum(1).sqrt()
    arrays = {"input": x, "logits": logits, "slopes": slopes, "inputGradient": gradients}
    arrays |= network.parameters | network.masks
    for kind, penalty in PENALTIES.items():
        cost = F.softplus(-logits).mean() + penalty(norms)
        found = torch.autograd.grad(cost, list(network.parameters.values()), retain_graph=True)
        arrays |= {f"{key}.{kind}": value for key, value in zip(network.parameters, found)}
    assert network.margin > 1e-5, f"{name}: {network.margin} from a corner: take another seed"
    cases[name] = {key: value.detach().numpy().copy() for key, value in arrays.items()}


record("leaky convolutions", draw(4, 8, 8, 3),
       ("convolution", 8, 4, 2, "same"), ("leaky_relu", 0.2), ("convolution", 6, 3, 1, "same"), ("leaky_relu", 0.2),
       ("flatten",), ("dense", 1))
record("transposed convolution", draw(4, 10),
       ("dense", 12), ("leaky_relu", 0.1), ("reshape", 2, 2, 3), ("transposed_convolution", 5, 4, 2),
       ("leaky_relu", 0.0), ("transposed_convolution", 2, 3, 1), ("tanh",), ("flatten",), ("dense", 1))
record("maxout", draw(6, 12), ("maxout", 6, 5), ("maxout", 4, 3), ("dense", 1))
record("pooling", draw(3, 9, 7, 2),
       ("zero_padding", 2), ("convolution", 12, 3, 1, "valid"), ("channel_maxout", 3), ("max_pool", 3, 2),
       ("convolution", 6, 3, 1, "same"), ("leaky_relu", 0.2), ("mean_pool", 2), ("flatten",), ("dense", 1))
record("smooth", draw(5, 9),
       ("dense", 20), ("tanh",), ("dense", 15), ("sigmoid",), ("dense", 12), ("softplus",), ("dense", 1))
record("smooth convolutions", draw(3, 8, 8, 2),
       ("convolution", 6, 4, 2, "same"), ("softplus",), ("max_pool", 2, 1), ("tanh",), ("convolution", 8, 3, 1, "same"),
       ("channel_maxout", 2), ("sigmoid",), ("mean_pool", 2), ("flatten",), ("maxout", 5, 2), ("tanh",), ("dense", 1))
record("layer normalisation", draw(4, 8, 8, 3),
       ("convolution", 8, 4, 2, "same"), ("layer_normalisation",), ("leaky_relu", 0.2), ("flatten",),
       ("dense", 16), ("layer_normalisation",), ("tanh",), ("dense", 1))
record("dropout", draw(4, 9),
       ("dense", 20), ("dropout", 0.7), ("leaky_relu", 0.2), ("dense", 12), ("dropout", 0.6), ("tanh",), ("dense", 1))

# A block of R3GAN's discriminator and its head, without what joins blocks.
record("grouped convolutions", draw(3, 8, 8, 3),
       ("convolution", 32, 1, 1, "same"), ("leaky_relu", 0.2), ("grouped", 32, 3, 1, "same", 2), ("scale_shift",),
       ("leaky_relu", 0.2), ("convolution", 6, 1, 1, "same"), ("binomial",), ("grouped", 6, 4, 1, "valid", 6),
       ("flatten",), ("dense", 1))
record("newer normalisations", draw(4, 9),
       ("basis", 2, 2, 8), ("group_normalisation", 2), ("silu",), ("upsample", "bilinear"),
       ("grouped", 6, 3, 1, "same", 1), ("instance_normalisation",), ("gelu",), ("pixel_normalisation",),
       ("grouped", 4, 3, 2, "same", 2), ("group_normalisation", 4), ("flatten",), ("dense", 1))
record("self-attention", draw(3, 5, 6, 4),
       ("convolution", 16, 3, 1, "same"), ("softplus",), ("self_attention",), ("upsample", "nearest"),
       ("convolution", 8, 3, 2, "same"), ("tanh",), ("self_attention",), ("flatten",), ("dense", 1))

folder = pathlib.Path(__file__).parent.parent / "NetsTests" / "Fixtures"
index, values, count = {}, [], 0
for case, arrays in cases.items():
    index[case] = {}
    for name, array in arrays.items():
        index[case][name] = {"start": count, "dimensions": list(array.shape)}
        values.append(array.astype("<f4").ravel())
        count += array.size
np.concatenate(values).tofile(folder / "penalties.f32")
(folder / "penalties.json").write_text(json.dumps({"torch": torch.__version__, "cases": index}, indent=0) + "\n")
print(f"{len(cases)} cases, {4 * count} bytes")
