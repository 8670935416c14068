#!/usr/bin/env python3
"""Writes Tests/NetsTests/Fixtures/layers.{json,f32}: inputs, outputs and gradients of layers, networks and optimisers,
by PyTorch.

    python3 Tests/reference/make_layer_fixtures.py        (needs torch and numpy)

layers.f32 holds little-endian float32 values; layers.json says for each case and array where they start and their
dimensions. All computing is in float64, so that the differences found by the tests are those of gan-dist; only the
inputs are float32. Images are NHWC and convolution kernels HWIO (transposed: HWOI), as in gan-dist.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(20140610)
torch.set_default_dtype(torch.float64)
cases: dict[str, dict[str, np.ndarray]] = {}


def draw(*shape):
    """Normal values that float32 holds exactly."""
    return torch.randn(*shape).float().double()


def to_nchw(x):
    return x.permute(0, 3, 1, 2)


def to_nhwc(x):
    return x.permute(0, 2, 3, 1)


def same_padding(size, kernel, stride):
    """(before, after) so that the output has ceil(size / stride) values."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def convolution(x, weight, stride, padding):
    """x NHWC, weight HWIO."""
    x = to_nchw(x)
    if padding == "same":
        top, bottom = same_padding(x.shape[2], weight.shape[0], stride[0])
        left, right = same_padding(x.shape[3], weight.shape[1], stride[1])
        x = F.pad(x, (left, right, top, bottom))
    return to_nhwc(F.conv2d(x, weight.permute(3, 2, 0, 1).contiguous(), stride=stride))


def transposed_convolution(x, weight, stride, padding):
    """x NHWC, weight HWOI. same: the input's size times the stride, cut from (or filled up to) the full result as its
    adjoint does."""
    full = F.conv_transpose2d(to_nchw(x), weight.permute(3, 2, 0, 1).contiguous(), stride=stride)
    if padding == "same":
        for axis in (0, 1):
            size = x.shape[1 + axis] * stride[axis]
            before, _ = same_padding(size, weight.shape[axis], stride[axis])
            missing = max(before + size - full.shape[2 + axis], 0)
            full = F.pad(full, (0, 0, 0, missing) if axis == 0 else (0, missing, 0, 0)).narrow(2 + axis, before, size)
    return to_nhwc(full)


def batch_normalisation(x, scale, shift, running=None, epsilon=1e-5, momentum=0.1):
    """Over all axes but the last, in training; `running` = (mean, variance) is updated in place."""
    mean, variance = running if running else (None, None)
    flat = x.reshape(-1, x.shape[-1])
    return F.batch_norm(flat, mean, variance, scale, shift, training=True, momentum=momentum,
                        eps=epsilon).reshape(x.shape)


def maxout(x, weight, bias, pieces):
    return (x @ weight + bias).view(x.shape[0], -1, pieces).amax(-1)


def record(name, function, x, parameters, **more):
    """Stores what goes in, what comes out, and the gradients of Σ output · outputGradient."""
    x.requires_grad_()
    for value in parameters.values():
        value.requires_grad_()
    output = function(x, *parameters.values())
    gradient = draw(*output.shape)
    output.backward(gradient)
    arrays = {"input": x, "output": output, "outputGradient": gradient, "inputGradient": x.grad, **more}
    for key, value in parameters.items():
        arrays[key] = value
        arrays[key + ".gradient"] = value.grad
    cases[name] = {key: value.detach().numpy().copy() for key, value in arrays.items()}


def linear(inputs, outputs):
    return {"weight": draw(inputs, outputs), "bias": draw(outputs)}


record("dense", lambda x, w, b: x @ w + b, draw(5, 7), linear(7, 11))
record("dense wide", lambda x, w, b: x @ w + b, draw(17, 24), linear(24, 40))
record("dense without bias", lambda x, w: x @ w, draw(3, 6), {"weight": draw(6, 1)})
record("maxout", lambda x, w, b: maxout(x, w, b, 5), draw(6, 9), linear(9, 10 * 5))
record("maxout of two", lambda x, w, b: maxout(x, w, b, 2), draw(9, 4), linear(4, 16 * 2))

for name, size, kernel, channels, stride, padding in [
    ("4x4 stride 2 same", (8, 6), (4, 4), (3, 5), (2, 2), "same"),
    ("3x3 same", (5, 7), (3, 3), (2, 9), (1, 1), "same"),
    ("4x4 valid to one", (4, 4), (4, 4), (8, 1), (1, 1), "valid"),
    ("5x5 stride 2 same", (7, 5), (5, 5), (3, 4), (2, 2), "same"),
    ("2x2 stride 3 valid", (9, 7), (2, 2), (1, 6), (3, 3), "valid"),
    ("3x5 stride 2x1 same", (7, 6), (3, 5), (3, 4), (2, 1), "same"),
    ("2x5 stride 1x3 valid", (6, 11), (2, 5), (4, 3), (1, 3), "valid"),
]:
    record("convolution " + name,
           lambda x, w, b, stride=stride, padding=padding: convolution(x, w, stride, padding) + b,
           draw(3, *size, channels[0]), {"weight": draw(*kernel, *channels), "bias": draw(channels[1])})

for name, size, kernel, channels, stride, padding in [
    ("4x4 stride 2 same", (4, 3), (4, 4), (5, 3), (2, 2), "same"),
    ("4x4 valid from one", (1, 1), (4, 4), (12, 8), (1, 1), "valid"),
    ("5x5 stride 3 valid", (3, 2), (5, 5), (4, 2), (3, 3), "valid"),
    ("5x5 stride 2 same", (4, 5), (5, 5), (3, 4), (2, 2), "same"),
    ("2x2 stride 3 same", (3, 3), (2, 2), (2, 3), (3, 3), "same"),
    ("3x5 stride 2x1 same", (4, 6), (3, 5), (3, 4), (2, 1), "same"),
    ("2x5 stride 1x3 valid", (5, 3), (2, 5), (4, 3), (1, 3), "valid"),
    ("4x2 stride 2x3 same", (3, 4), (4, 2), (3, 2), (2, 3), "same"),
]:
    record("transposed convolution " + name,
           lambda x, w, b, stride=stride, padding=padding: transposed_convolution(x, w, stride, padding) + b,
           draw(3, *size, channels[0]), {"weight": draw(*kernel, channels[1], channels[0]), "bias": draw(channels[1])})

for name, shape in [("of images", (4, 3, 5, 10)), ("of vectors", (13, 21)), ("far from zero", (16, 3))]:
    x = draw(*shape)
    if name == "far from zero":
        x = (x + 100).float().double()
    running = draw(shape[-1]), draw(shape[-1]).abs()
    before = {"mean": running[0].clone(), "variance": running[1].clone()}
    parameters = {"scale": draw(shape[-1]), "shift": draw(shape[-1])}
    record("batch normalisation " + name, lambda x, scale, shift: batch_normalisation(x, scale, shift, running), x,
           parameters, **before)
    case = cases["batch normalisation " + name]
    case["mean.after"], case["variance.after"] = running[0].numpy(), running[1].numpy()
    flat = x.detach().reshape(-1, shape[-1])
    case["sampled"] = F.batch_norm(flat, *running, *[p.detach() for p in parameters.values()],
                                   training=False).reshape(shape).numpy()

for name, function in [("relu", F.relu), ("leaky_relu", lambda x: F.leaky_relu(x, 0.2)), ("sigmoid", torch.sigmoid),
                       ("tanh", torch.tanh)]:
    record(name, function, draw(3, 37) * 3, {})

mask = (torch.rand(5, 13) < 0.8).double()
record("dropout", lambda x: x * mask / 0.8, draw(5, 13), {}, mask=mask)


def discriminator(x, w0, b0, w2, scale, shift, w6, b6):
    h = F.leaky_relu(convolution(x, w0, (2, 2), "same") + b0, 0.2)
    h = F.leaky_relu(batch_normalisation(convolution(h, w2, (2, 2), "same"), scale, shift), 0.2)
    return h.reshape(h.shape[0], -1) @ w6 + b6


record("small discriminator", discriminator, draw(4, 8, 8, 2), {
    "0.convolution/weight": draw(4, 4, 2, 8) * 0.2, "0.convolution/bias": draw(8),
    "2.convolution/weight": draw(4, 4, 8, 12) * 0.2,
    "3.batch_normalisation/scale": draw(12), "3.batch_normalisation/shift": draw(12),
    "6.dense/weight": draw(2 * 2 * 12, 1) * 0.2, "6.dense/bias": draw(1)})


def generator(z, w1, scale, shift, w4, b4):
    h = transposed_convolution(z.reshape(-1, 1, 1, z.shape[1]), w1, (1, 1), "valid")
    h = F.relu(batch_normalisation(h, scale, shift))
    return torch.sigmoid(transposed_convolution(h, w4, (2, 2), "same") + b4)


record("small generator", generator, draw(4, 10), {
    "1.transposed_convolution/weight": draw(4, 4, 9, 10) * 0.3,
    "2.batch_normalisation/scale": draw(9), "2.batch_normalisation/shift": draw(9),
    "4.transposed_convolution/weight": draw(4, 4, 1, 9) * 0.3, "4.transposed_convolution/bias": draw(1)})


def maxout_discriminator(x, w0, b0, w1, b1, w2, b2):
    return maxout(maxout(x, w0, b0, 5), w1, b1, 5) @ w2 + b2


record("maxout discriminator", maxout_discriminator, draw(7, 12), {
    "0.maxout/weight": draw(12, 30) * 0.3, "0.maxout/bias": draw(30),
    "1.maxout/weight": draw(6, 20) * 0.3, "1.maxout/bias": draw(20), "2.dense/weight": draw(4, 1),
    "2.dense/bias": draw(1)})


def optimise(name, make):
    start, gradients = draw(37), draw(6, 37)
    value = start.clone().requires_grad_()
    optimiser = make([value])
    after = []
    for gradient in gradients:
        value.grad = gradient
        optimiser.step()
        after.append(value.detach().clone())
    cases[name] = {"start": start.numpy(), "gradients": gradients.numpy(), "after": torch.stack(after).numpy()}


optimise("descent", lambda p: torch.optim.SGD(p, lr=0.1))
# At a constant rate PyTorch's momentum is that of gan-dist with its velocity divided by −rate.
optimise("momentum", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.7))
optimise("adam", lambda p: torch.optim.Adam(p, lr=2e-3, betas=(0.5, 0.999), eps=1e-8))



def pool(function, size, stride, edge):
    """Over NHWC; `edge`: PyTorch's ceil_mode keeps windows that the edge cuts, and its mean can count the pixels that
    are there."""
    return lambda x: to_nhwc(function(to_nchw(x), size, stride, ceil_mode=edge == "partial"))


def mean_pool(x, size, stride, ceil_mode):
    return F.avg_pool2d(x, size, stride, ceil_mode=ceil_mode, count_include_pad=False)


def sum_pool(x, size, stride, ceil_mode):
    return F.avg_pool2d(x, size, stride, ceil_mode=ceil_mode, divisor_override=1)


for name, function in [("maximum", F.max_pool2d), ("mean", mean_pool)]:
    record(f"{name} pool 4 stride 2 partial", pool(function, 4, 2, "partial"), draw(2, 9, 7, 10), {})
    record(f"{name} pool 4 stride 2 whole", pool(function, 4, 2, "whole"), draw(2, 9, 7, 3), {})
    record(f"{name} pool 2", pool(function, 2, 2, "whole"), draw(3, 4, 6, 8), {})
record("zero padding", lambda x: F.pad(x, (0, 0, 2, 2, 2, 2)), draw(2, 3, 5, 4), {})
record("channel maxout", lambda x: x.view(*x.shape[:3], -1, 2).amax(-1), draw(2, 4, 3, 12), {})


def optimistic_adam(start, gradients, rate, beta1, beta2, epsilon):
    """Daskalakis et al. 2018, Algorithm 1, in NumPy: x ← x − 2 s_t + s_(t−1), with Adam's corrected step s."""
    first, second, previous, value, after = 0, 0, 0, start.copy(), []
    for t, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        step = rate * (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + epsilon)
        value = value - 2 * step + previous
        previous = step
        after.append(value)
    return np.stack(after)


start, gradients = draw(37).numpy(), draw(6, 37).numpy()
cases["optimistic adam"] = {"start": start, "gradients": gradients,
                            "after": optimistic_adam(start, gradients, 2e-3, 0.5, 0.9, 1e-8)}

record("softplus", F.softplus, draw(3, 37) * 3, {})
for name, shape, function in [
    ("of images", (4, 3, 5, 6), lambda x, *parameters: to_nhwc(F.group_norm(to_nchw(x), 1, *parameters))),
    ("of vectors", (13, 21), lambda x, *parameters: F.layer_norm(x, x.shape[1:], *parameters)),
    ("far from zero", (5, 12), lambda x, *parameters: F.layer_norm(x, x.shape[1:], *parameters)),
]:
    x = (draw(*shape) + (100 if name == "far from zero" else 0)).float().double()
    record("layer normalisation " + name, function, x, {"scale": draw(shape[-1]), "shift": draw(shape[-1])})
record("constant", lambda x, values: values.expand(len(x), -1, -1, -1) + 0 * x.sum(), draw(4, 3),
       {"values": draw(2, 3, 4)})



# Layers of networks since 2016.
def grouped_convolution(x, weight, stride, padding, groups):
    """x NHWC, weight [K, L, I / groups, O]."""
    x = to_nchw(x)
    if padding == "same":
        top, bottom = same_padding(x.shape[2], weight.shape[0], stride[0])
        left, right = same_padding(x.shape[3], weight.shape[1], stride[1])
        x = F.pad(x, (left, right, top, bottom))
    return to_nhwc(F.conv2d(x, weight.permute(3, 2, 0, 1).contiguous(), stride=stride, groups=groups))


for name, size, kernel, channels, stride, padding, groups in [
    ("of 16 channels", (8, 9), (3, 3), (32, 32), (1, 1), "same", 2),
    ("narrow", (5, 7), (3, 2), (6, 9), (1, 1), "same", 3),
    ("1x1", (3, 4), (1, 1), (8, 36), (1, 1), "same", 2),
    ("stride 2", (7, 6), (4, 3), (4, 6), (2, 2), "same", 2),
    ("stride 3x1 valid", (8, 5), (2, 3), (6, 4), (3, 1), "valid", 2),
    ("depthwise", (6, 5), (3, 3), (11, 11), (1, 1), "same", 11),
    ("depthwise to one", (4, 4), (4, 4), (16, 16), (1, 1), "valid", 16),
    ("depthwise stride 2", (7, 5), (3, 2), (9, 9), (2, 2), "same", 9),
    ("two a channel", (5, 4), (3, 3), (5, 10), (1, 1), "same", 5),
]:
    record("convolution in groups " + name,
           lambda x, w, b, stride=stride, padding=padding, groups=groups:
               grouped_convolution(x, w, stride, padding, groups) + b,
           draw(3, *size, channels[0]),
           {"weight": draw(*kernel, channels[0] // groups, channels[1]), "bias": draw(channels[1])})


def resize(x, factor, mode):
    more = {"align_corners": False} if mode == "bilinear" else {}
    return to_nhwc(F.interpolate(to_nchw(x), scale_factor=factor, mode=mode, **more))


def binomial(x, larger):
    """(1, 3, 3, 1) along both axes with zeros outside, as a depthwise convolution or a transposed one."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(row, row).expand(x.shape[3], 1, 4, 4) / (16 if larger else 64)
    function = F.conv_transpose2d if larger else F.conv2d
    return to_nhwc(function(to_nchw(x), kernel, stride=2, padding=1, groups=x.shape[3]))


for factor in (2, 3):
    for mode in ("nearest", "bilinear"):
        record(f"upsample {mode} {factor}", lambda x, factor=factor, mode=mode: resize(x, factor, mode),
               draw(2, 3, 4, 5), {})
    record(f"downsample mean {factor}", lambda x, factor=factor: to_nhwc(F.avg_pool2d(to_nchw(x), factor)),
           draw(2, 7, 6, 9), {})
record("upsample binomial", lambda x: binomial(x, True), draw(2, 3, 4, 9), {})
record("downsample binomial", lambda x: binomial(x, False), draw(2, 6, 7, 5), {})

for name, shape, groups in [("of images", (3, 4, 3, 12), 3), ("of vectors", (7, 12), 4),
                            ("far from zero", (3, 3, 5, 16), 2)]:
    x = (draw(*shape) + (100 if name == "far from zero" else 0)).float().double()
    record("group normalisation " + name,
           lambda x, scale, shift, groups=groups:
               F.group_norm(x.movedim(-1, 1), groups, scale, shift).movedim(1, -1), x,
           {"scale": draw(shape[-1]), "shift": draw(shape[-1])})
record("instance normalisation",
       lambda x, scale, shift: to_nhwc(F.instance_norm(to_nchw(x), weight=scale, bias=shift)), draw(3, 5, 4, 10),
       {"scale": draw(10), "shift": draw(10)})


def pixel_normalisation(x):
    return x / (x.square().mean(-1, keepdim=True) + 1e-8).sqrt()


record("pixel normalisation of images", pixel_normalisation, draw(2, 3, 4, 11), {})
record("pixel normalisation of vectors", pixel_normalisation, draw(5, 16), {})


def minibatch_deviation(x, sizes):
    """A channel more: of each group of neighbours, `sizes` of them, the mean over all values of the deviation."""
    parts = []
    for examples in x.split(sizes):
        deviation = (examples.var(0, unbiased=False) + 1e-8).sqrt().mean()
        parts.append(torch.cat([examples, deviation.expand(*examples.shape[:-1], 1)], -1))
    return torch.cat(parts)


record("minibatch deviation of images", lambda x: minibatch_deviation(x, [4, 3, 3]), draw(10, 3, 2, 5), {})
record("minibatch deviation of vectors", lambda x: minibatch_deviation(x, [2, 2]), draw(4, 11), {})


def self_attention(x, query, key, value, output, gamma):
    """Weights [1, 1, I, O]; keys and values by the largest of 2 x 2 pixels."""
    images = to_nchw(x)
    maps = [F.conv2d(images, weight.permute(3, 2, 0, 1)) for weight in (query, key, value)]
    q, k, v = maps[0].flatten(2), F.max_pool2d(maps[1], 2).flatten(2), F.max_pool2d(maps[2], 2).flatten(2)
    weights = torch.softmax(q.mT @ k, -1)
    means = (weights @ v.mT).mT.reshape(len(x), -1, *images.shape[2:])
    return gamma * to_nhwc(F.conv2d(means, output.permute(3, 2, 0, 1))) + x


for name, height, width, channels in [("", 4, 6, 16), (" of odd sides", 5, 3, 8)]:
    record("self-attention" + name, self_attention, draw(3, height, width, channels), {
        "0.self_attention/" + key: draw(*size) * scale for key, size, scale in [
            ("query", (1, 1, channels, channels // 8), 0.25), ("key", (1, 1, channels, channels // 8), 0.25),
            ("value", (1, 1, channels, channels // 2), 0.25), ("output", (1, 1, channels // 2, channels), 0.25),
            ("gamma", (1,), 1)]})

record("basis", lambda z, weight, basis: basis * (z @ weight)[:, None, None], draw(5, 6),
       {"weight": draw(6, 9), "basis": draw(4, 3, 9)})
record("scale and shift", lambda x, scale, shift: x * scale + shift, draw(2, 3, 4, 10),
       {"scale": draw(10), "shift": draw(10)})
record("scale alone", lambda x, scale: x * scale, draw(5, 10), {"scale": draw(10)})
record("shift alone", lambda x, shift: x + shift, draw(2, 3, 4, 5), {"shift": draw(5)})
record("gelu", F.gelu, draw(3, 37) * 3, {})
record("silu", F.silu, draw(3, 37) * 3, {})
record("sum pool 3 stride 2 partial", pool(sum_pool, 3, 2, "partial"), draw(2, 6, 7, 3), {})

folder = pathlib.Path(__file__).parent.parent / "NetsTests" / "Fixtures"
index, values, count = {}, [], 0
for case, arrays in cases.items():
    index[case] = {}
    for name, array in arrays.items():
        index[case][name] = {"start": count, "dimensions": list(array.shape)}
        values.append(array.astype("<f4").ravel())
        count += array.size
np.concatenate(values).tofile(folder / "layers.f32")
(folder / "layers.json").write_text(json.dumps({"torch": torch.__version__, "cases": index}, indent=0) + "\n")
print(f"{len(cases)} cases, {4 * count} bytes")
