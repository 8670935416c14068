#!/usr/bin/env python3
"""Repeats a traced training run of gan-dist in PyTorch and says how far the two are apart.

    gan-dist train --preset dcgan-32 --data FILE.h5 --run RUN --trace T.h5 --trace-steps 5
    replay_trace.py T.h5

The trace gives what is random (initial values, minibatches, noise, dropout masks) and the configuration; the losses,
gradients and updates are PyTorch's, in float64: autograd, its convolutions and batch normalisation. Exit code 1 where a
loss differs by more than 1e-5 or a gradient, parameter or running statistic by more than 1e-4, each as a part of its
array's largest value (of a tenth of the network's largest where that is more: a sum that cancels to almost nothing has
no digits to compare).

--against-float64 measures the distances of whole vectors, and those of PyTorch's own float32, for wide networks: see
`against_float64`.

--write-reference OUT.h5 keeps PyTorch's losses and parameters (their sketches, with --against-float64), so that a
machine without PyTorch can compare a trace with them.

Needs torch, numpy, h5py and PyYAML.
"""

import argparse
import collections
import sys

import h5py
import numpy
import torch
import torch.nn.functional as F
import yaml

from sketch import distance, limit, sketch, vectors

LOSS_LIMIT = 1e-5
ARRAY_LIMIT = 1e-4


def tensor(value):
    """Floats in the precision of the replay."""
    made = torch.tensor(value)
    return made.to(torch.get_default_dtype()) if made.is_floating_point() else made


def place(key):
    """`3.dense/weight` is parameter `weight` of layer 3."""
    return int(key.split("/")[-2].split(".")[0]), key.split("/")[-1]


def numbers(node):
    """PyYAML reads YAML 1.1, in which 1e-05 is a text."""
    if isinstance(node, dict):
        return {key: numbers(value) for key, value in node.items()}
    if isinstance(node, list):
        return [numbers(value) for value in node]
    try:
        return float(node) if isinstance(node, str) else node
    except ValueError:
        return node


class Network:
    """The layers of a configuration on parameters in gan-dist's layout; activations are NHWC between layers."""

    def __init__(self, name, layers, initial, statistics):
        self.name = name
        self.layers = [next(iter(layer.items())) if isinstance(layer, dict) else (layer, {}) for layer in layers]
        self.layers = [(kind, options or {}) for kind, options in self.layers]
        self.parameters = {key: tensor(value).requires_grad_() for key, value in initial.items()}
        # Running means start at 0, variances at 1. Their paths begin with `statistics/`.
        self.statistics = {key: torch.full(value.shape, float(key.endswith("variance")))
                           for key, value in statistics.items()}
        self.by_place = {place(key): value for key, value in self.parameters.items()}

    def parameter(self, index, name):
        return self.by_place.get((index, name))

    def forward(self, x, masks=None, seen=None):
        """`masks`: keep masks by the layer's number. `seen`: gets the batch's mean and variance of each batch
        normalisation."""
        for index, (kind, options) in enumerate(self.layers):
            weight, bias = self.parameter(index, "weight"), self.parameter(index, "bias")
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
                case "batch_normalisation":
                    axes = tuple(range(x.dim() - 1))
                    if seen is not None:
                        # As in PyTorch, the running variance follows the unbiased estimate.
                        seen[index] = {"mean": x.detach().mean(axes), "variance": x.detach().var(axes)}
                    last = x.dim() - 1
                    x = F.batch_norm(x.movedim(last, 1), None, None, self.parameter(index, "scale"),
                                     self.parameter(index, "shift"),
                                     training=True, eps=options.get("epsilon", 1e-5)).movedim(1, last)
                case "layer_normalisation":
                    last, scale, shift = x.dim() - 1, self.parameter(index, "scale"), self.parameter(index, "shift")
                    x = F.group_norm(x.movedim(last, 1), 1, scale, shift, options.get("epsilon", 1e-5)).movedim(1, last)
                case "constant":
                    values = self.parameter(index, "values")
                    x = values.expand(len(x), *values.shape)
                case "dropout":
                    x = x * masks[index].reshape(x.shape) / options["keep"]
                case "channel_maxout":
                    x = x.reshape(*x.shape[:-1], -1, options["pieces"]).max(-1).values
                case "max_pool" | "mean_pool":
                    pool, more = F.max_pool2d, {}
                    if kind == "mean_pool":
                        pool, more = F.avg_pool2d, {"count_include_pad": False}
                    x = pool(x.permute(0, 3, 1, 2), options["size"], options.get("stride", options["size"]),
                             ceil_mode=options.get("edge", "whole") == "partial", **more).permute(0, 2, 3, 1)
                case "zero_padding":
                    x = F.pad(x, (0, 0, *[options["pixels"]] * 4))
                case "reshape":
                    x = x.reshape(len(x), *options["shape"])
                case "flatten":
                    x = x.flatten(1)
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
                case _:
                    sys.exit(f"this program knows no layer '{kind}'")
        return x

    def gradients(self, loss, keep=False):
        return dict(zip(self.parameters, torch.autograd.grad(loss, list(self.parameters.values()), retain_graph=keep)))


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
    return F.conv2d(x, weight.permute(3, 2, 0, 1).contiguous(), bias, stride).permute(0, 2, 3, 1)


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


class Optimiser:
    """SGD with momentum (v ← μv − λg, p ← p + v) or Adam (Kingma & Ba 2015, Algorithm 1), as torch.optim has them, or
    optimistic Adam around that."""

    def __init__(self, settings, network):
        self.settings, self.network = settings, network
        parameters = list(network.parameters.values())
        self.previous = {name: 0 for name in network.parameters}
        if settings["kind"] in ("adam", "optimisticAdam"):
            self.inner = torch.optim.Adam(parameters, betas=(settings.get("beta1", 0.5), settings.get("beta2", 0.999)),
                                          eps=settings.get("epsilon", 1e-8))
        else:
            self.velocity = {name: torch.zeros_like(value) for name, value in network.parameters.items()}

    def rate(self, update):
        rate = self.settings["rate"]
        if not isinstance(rate, dict):
            return rate
        if "decay" in rate:
            return max(rate["initial"] / rate["decay"] ** update, rate.get("floor", 0))
        part = min(update / rate["steps"], 1)
        return rate["initial"] + (rate["final"] - rate["initial"]) * part

    def momentum(self, epoch):
        momentum = self.settings.get("momentum", 0)
        if not isinstance(momentum, dict):
            return momentum
        return momentum["from"] + (momentum["to"] - momentum["from"]) * min(epoch / momentum["epochs"], 1)

    def step(self, gradients, update, epoch):
        if self.settings["kind"] in ("adam", "optimisticAdam"):
            before = {name: value.detach().clone() for name, value in self.network.parameters.items()}
            for name, value in self.network.parameters.items():
                value.grad = gradients[name]
            self.inner.param_groups[0]["lr"] = self.rate(update)
            self.inner.step()
            if self.settings["kind"] == "optimisticAdam":
                # Daskalakis et al. 2018: Adam's step twice, and the step of the update before taken back.
                with torch.no_grad():
                    for name, value in self.network.parameters.items():
                        step = before[name] - value
                        value.copy_(before[name] - 2 * step + self.previous[name])
                        self.previous[name] = step
            return
        with torch.no_grad():
            for name, value in self.network.parameters.items():
                self.velocity[name] = self.momentum(epoch) * self.velocity[name] - self.rate(update) * gradients[name]
                value += self.velocity[name]


def generator_cost(kind, logits):
    match kind:
        case "nonSaturating":
            return F.softplus(-logits)
        case "minimax":
            return -F.softplus(logits)
        case "maximumLikelihood":
            return -torch.exp(logits)
    sys.exit(f"this program knows no generator's cost '{kind}'")


class Replay:
    """The run of a trace, step by step."""

    def __init__(self, trace):
        self.trace = trace
        self.config = numbers(yaml.safe_load(trace.attrs["config"]))
        self.batch = self.config["training"]["batch"]
        self.k = self.config["training"]["discriminator_steps"]
        self.packing = self.config["training"].get("packing", 1)
        self.packs = self.batch // self.packing
        shards = self.config["exchange"].get("shards") or int(trace.attrs.get("shards", 1))
        # What is normalised together: each shard, or the whole minibatch.
        parts = 1 if self.statistics() == "minibatch" else shards
        self.rows = [slice(v * self.batch // parts, (v + 1) * self.batch // parts) for v in range(parts)]
        self.generator, self.discriminator = (
            Network(name, self.config[name], self.arrays(f"initial/{name}"),
                    {path: value for path, value in self.arrays(f"steps/000000/after/{name}").items()
                     if path.startswith("statistics/")})
            for name in ("generator", "discriminator"))
        self.optimisers = {network: Optimiser(self.config["optimizer"][network.name], network)
                           for network in (self.generator, self.discriminator)}
        self.updates = {self.generator: 0, self.discriminator: 0}
        self.epoch = 0
        self.results = {}

    def statistics(self):
        """`shard` or `minibatch`: what batch normalisation takes its statistics over, which has to be one of them in
        all layers."""
        layers = [layer["batch_normalisation"] or {} for name in ("generator", "discriminator")
                  for layer in self.config[name]
                  if isinstance(layer, dict) and "batch_normalisation" in layer]
        kinds = {options.get("statistics", "shard") for options in layers}
        if len(kinds) > 1:
            sys.exit("this program knows no mixture of batch normalisations")
        return kinds.pop() if kinds else "shard"

    def arrays(self, path):
        found = {}
        self.trace[path].visititems(lambda name, item: found.__setitem__(name, item[()])
                                    if isinstance(item, h5py.Dataset) else None)
        return found

    def read(self, path):
        return tensor(self.trace[path][()])

    def masks(self, path, rows, half=None):
        """Keep masks of the discriminator by the layer's number, for the packs of `rows`."""
        rows = slice(rows.start // self.packing, rows.stop // self.packing)
        if path not in self.trace:
            return {}
        group = self.trace[path]
        masks = {name: numpy.asarray(group[name] if half is None else group[name][half])[rows] for name in group}
        return {int(name.split(".")[0]): torch.tensor(mask).to(torch.get_default_dtype())
                for name, mask in masks.items()}

    def save(self, path, values):
        for name, value in values.items():
            self.results[f"{path}/{name}"] = value.detach().clone().numpy()

    def fake(self, noise, label, rows, passes):
        seen = {}
        images = self.generator.forward(noise[rows], seen=seen)
        passes.append((label, self.generator, rows, seen))
        return images

    def pack(self, examples):
        """Examples m·p ..< m·(p + 1) as pack p: vectors one after another, images with their channels side by side."""
        packs = examples.reshape(-1, self.packing, *examples.shape[1:]).movedim(1, -2)
        return packs.reshape(*packs.shape[:-2], -1)

    def logits(self, images, masks, label, rows, passes):
        seen = {}
        logits = self.discriminator.forward(self.pack(images), masks, seen)
        passes.append((label, self.discriminator, rows, seen))
        return logits.flatten()

    def discriminator_cost(self, path, passes, keep_images=False):
        """Mean cost over the global minibatch; each shard is normalised by its own statistics."""
        real, noise = self.read(f"{path}/real"), self.read(f"{path}/noise")
        smoothing = self.config["objective"].get("label_smoothing", 0)
        on_real, on_fake, fakes = 0, 0, []
        for rows in self.rows:
            logits = self.logits(real[rows].reshape(-1, *real.shape[1:]), self.masks(f"{path}/dropout", rows, "real"),
                                 f"{path} real", rows, passes)
            costs = (1 - smoothing) * F.softplus(-logits) + smoothing * F.softplus(logits)
            on_real = on_real + costs.sum() / self.packs
            images = self.fake(noise, path, rows, passes)
            logits = self.logits(images if keep_images else images.detach(),
                                 self.masks(f"{path}/dropout", rows, "fake"), f"{path} fake", rows, passes)
            on_fake = on_fake + F.softplus(logits).sum() / self.packs
            fakes.append(logits)
        self.save(path, {"loss_real": on_real, "loss_fake": on_fake})
        halves = on_real + on_fake
        return (halves if self.config["objective"]["discriminator"] == "sum" else halves / 2), torch.cat(fakes)

    def unrolled_step(self, path, passes):
        """Metz et al. 2017: the generator's gradient through the discriminator's steps of Adam, by autograd."""
        player, settings = self.discriminator, self.config["optimizer"]["discriminator"]
        loss, _ = self.discriminator_cost(f"{path}/discriminator/0", passes, keep_images=True)
        kept, adam = player.parameters, self.optimisers[player]
        beta1, beta2, epsilon = settings["beta1"], settings["beta2"], settings["epsilon"]
        state = {name: adam.inner.state.get(value, {}) for name, value in kept.items()}
        first = {name: state[name].get("exp_avg", torch.zeros_like(value)).clone() for name, value in kept.items()}
        second = {name: state[name].get("exp_avg_sq", torch.zeros_like(value)).clone() for name, value in kept.items()}
        results, gradients = dict(self.results), None
        for t in range(self.updates[player] + 1, self.updates[player] + 1 + self.config["training"]["unrolling_steps"]):
            step = dict(zip(player.parameters,
                            torch.autograd.grad(loss, list(player.parameters.values()), create_graph=True)))
            gradients = gradients or {name: value.detach() for name, value in step.items()}
            first = {name: beta1 * first[name] + (1 - beta1) * step[name] for name in step}
            second = {name: beta2 * second[name] + (1 - beta2) * step[name] ** 2 for name in step}
            # A tiny number under the root: a gradient that is zero must not make its slope infinite.
            player.parameters = {name: value - adam.rate(t - 1) / (1 - beta1**t) * first[name]
                                 / (torch.sqrt(second[name] / (1 - beta2**t) + 1e-30) + epsilon)
                                 for name, value in player.parameters.items()}
            player.by_place = {place(key): value for key, value in player.parameters.items()}
            loss, _ = self.discriminator_cost(f"{path}/discriminator/0", [], keep_images=True)
        mine = self.generator.gradients(-loss)
        player.parameters, player.by_place = kept, {place(key): value for key, value in kept.items()}
        self.results = results
        self.save(f"{path}/generator", {"loss": -loss})
        self.move(player, gradients, f"{path}/discriminator/0")
        self.move(self.generator, mine, f"{path}/generator")

    def move(self, network, gradients, path):
        self.save(f"{path}/gradients", gradients)
        self.optimisers[network].step(gradients, self.updates[network], self.epoch)
        self.updates[network] += 1

    def follow(self, passes):
        """Moves the running statistics towards those of each pass in turn, a pass being the same forward of all
        shards."""
        for network in (self.generator, self.discriminator):
            mine = {}
            for label, owner, rows, seen in passes:
                if owner is network:
                    mine.setdefault(label, []).append((rows.stop - rows.start, seen))
            for shards in mine.values():
                for key, running in network.statistics.items():
                    index, name = place(key)
                    momentum = network.layers[index][1].get("momentum", 0.1)
                    value = sum(count * seen[index][name] for count, seen in shards) / self.batch
                    network.statistics[key] = (1 - momentum) * running + momentum * value

    def step(self, number):
        """Repeats one step and returns its results by their paths in the trace."""
        self.results = {}
        path, passes = f"steps/{number:06d}", []
        cost = self.config["objective"]["generator"]
        if self.config["training"].get("unrolling_steps", 0):
            self.unrolled_step(path, passes)
        elif self.config["training"]["update"] == "simultaneous":
            loss, logits = self.discriminator_cost(f"{path}/discriminator/0", passes, keep_images=True)
            mine = generator_cost(cost, logits).mean()
            gradients = self.discriminator.gradients(loss, keep=True), self.generator.gradients(mine)
            self.save(f"{path}/generator", {"loss": mine})
            self.move(self.discriminator, gradients[0], f"{path}/discriminator/0")
            self.move(self.generator, gradients[1], f"{path}/generator")
        else:
            for inner in range(self.k):
                loss, _ = self.discriminator_cost(f"{path}/discriminator/{inner}", passes)
                self.move(self.discriminator, self.discriminator.gradients(loss), f"{path}/discriminator/{inner}")
            noise, mine = self.read(f"{path}/generator/noise"), 0
            for rows in self.rows:
                images = self.fake(noise, "generator", rows, passes)
                logits = self.logits(images, self.masks(f"{path}/generator/dropout", rows), "generator", rows, passes)
                mine = mine + generator_cost(cost, logits).sum() / self.packs
            self.save(f"{path}/generator", {"loss": mine})
            self.move(self.generator, self.generator.gradients(mine), f"{path}/generator")
        self.follow(passes)
        for network in (self.generator, self.discriminator):
            self.save(f"{path}/after/{network.name}", network.parameters | network.statistics)
        return self.results


def differences(ours, theirs):
    """By path, the largest difference between each pair of arrays, as the head of this file says."""
    largest = {path: float(numpy.abs(value).max(initial=0)) for path, value in theirs.items()}
    network = {"generator": 0.0, "discriminator": 0.0}
    for path, value in largest.items():
        network[player(path)] = max(network[player(path)], value)
    return {path: float(numpy.abs(numpy.subtract(numpy.ravel(ours[path]), numpy.ravel(value),
                                                 dtype=numpy.float64)).max(initial=0))
            / max(largest[path], network[player(path)] / 10, 1e-30) for path, value in theirs.items()}


def player(path):
    return "generator" if "/generator" in path else "discriminator"


def kind_of(path):
    if "/loss" in path:
        return "losses"
    return "gradients" if "/gradients/" in path else "statistics" if "/statistics/" in path else "parameters"


def report(number, results, trace):
    """Prints the largest difference of each kind of result in one step; returns how many are too large."""
    bad = 0
    for kind in ("losses", "gradients", "parameters", "statistics"):
        theirs = {path: value for path, value in results.items() if kind_of(path) == kind}
        if not theirs:
            continue
        apart = differences({path: trace[path][()] for path in theirs}, theirs)
        # A NaN counts as the largest.
        path = max(apart, key=lambda path: (numpy.isnan(apart[path]), apart[path]))
        limit = LOSS_LIMIT if kind == "losses" else ARRAY_LIMIT
        wrong = not apart[path] <= limit
        bad += wrong
        verdict = f"  TOO FAR: at most {limit}" if wrong else ""
        print(f"step {number + 1}  {kind:10}  {apart[path]:.1e}  {path}{verdict}")
    return bad


def against_float64(trace, steps):
    """How far gan-dist and PyTorch's own float32 are from PyTorch in float64, step by step; returns how often gan-dist
    is too far, and what test_reference.py needs to see the same without PyTorch.

    A leaky ReLU whose input is nearly zero takes the other slope after the smallest rounding, and Adam's first step is
    the sign of a gradient however small it is: in wide networks no float32 program stays within 1e-4 of another, so the
    distance that float32 itself causes is the measure.
    """
    exact, single = {}, {}
    for precision, results in ((torch.float64, exact), (torch.float32, single)):
        torch.set_default_dtype(precision)
        replay = Replay(trace)
        for number in range(steps):
            results |= replay.step(number)
    bad, reference, theirs = 0, {}, collections.defaultdict(list)
    ours = Replay(trace).arrays("/")
    for number in range(steps):
        mine, floats = vectors(ours, number), vectors(single, number)
        for kind, expected in vectors(exact, number).items():
            theirs[kind].append(distance(floats[kind], expected))
            apart, most = distance(mine[kind], expected), limit(kind, theirs[kind])
            wrong = not apart <= most
            bad += wrong
            verdict = f"  TOO FAR: at most {most:.1e}" if wrong else ""
            print(f"step {number + 1}  {kind:30}  PyTorch's float32 {theirs[kind][-1]:.1e}  "
                  f"gan-dist {apart:.1e}{verdict}")
            reference[f"{number}/{kind}"] = sketch(expected), theirs[kind][-1]
    return bad, reference


def write(path, trace, datasets):
    """`datasets`: values and attributes by path."""
    with h5py.File(path, "w") as reference:
        reference.attrs["config"] = trace.attrs["config"]
        reference.attrs["made_by"] = f"replay_trace.py, PyTorch {torch.__version__}"
        for name, (value, attributes) in datasets.items():
            reference.create_dataset(name, data=value).attrs.update(attributes)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("trace")
    arguments.add_argument("--write-reference", metavar="OUT.h5")
    arguments.add_argument("--against-float64", action="store_true")
    arguments = arguments.parse_args()
    torch.set_num_threads(1)

    bad, kept = 0, {}
    with h5py.File(arguments.trace) as trace:
        steps = len(trace["steps"])
        if arguments.against_float64:
            bad, reference = against_float64(trace, steps)
            kept = {path: (value, {"float32_distance": apart}) for path, (value, apart) in reference.items()}
        else:
            torch.set_default_dtype(torch.float64)
            replay = Replay(trace)
            for number in range(steps):
                results = replay.step(number)
                kept |= {path: (numpy.float32(value), {}) for path, value in results.items()
                         if "/gradients/" not in path}
                bad += report(number, results, trace)
        if arguments.write_reference:
            write(arguments.write_reference, trace, kept)
    print("the runs agree" if bad == 0 else f"{bad} comparisons failed")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
