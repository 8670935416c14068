#!/usr/bin/env python3
"""Repeats a traced training run of gan-dist in PyTorch and says how far the two are apart.

    gan-dist train --preset dcgan-32 --data FILE.h5 --run RUN --trace T.h5 --trace-steps 5
    replay_trace.py T.h5

The trace gives what is random (initial values, minibatches, noise, dropout masks, where penalties look, what
augmentation draws) and the configuration; the losses, gradients and updates are PyTorch's, in float64: autograd
(twice where there are penalties), its convolutions and batch normalisation. Exit code 1 where a loss differs by more
than 1e-5 or a gradient, parameter, running statistic, average or spectral vector by more than 1e-4, each as a part of
its array's largest value (of a tenth of the network's largest where that is more: a sum that cancels to almost nothing
has no digits to compare).

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
import yaml

import replay_costs as costs
from replay_augmentation import Augmentation
from replay_moves import Average, Optimiser, Progress
from replay_network import Network, named, place, tensor
from sketch import distance, limit, sketch, vectors

LOSS_LIMIT = 1e-5
ARRAY_LIMIT = 1e-4
# All but the first and third have a folder of their own in the trace.
KINDS = ("losses", "gradients", "parameters", "statistics", "spectral", "average", "augmentation")


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


class Replay:
    """The run of a trace, step by step."""

    names = "generator", "discriminator"

    def __init__(self, trace):
        self.trace = trace
        self.config = numbers(yaml.safe_load(trace.attrs["config"]))
        self.training = self.config["training"]
        self.batch = self.training["batch"]
        shards = self.config["exchange"].get("shards") or int(trace.attrs.get("shards", 1))
        # What is normalised together: each shard, or the whole minibatch.
        parts = 1 if self.statistics() == "minibatch" else shards
        self.rows = [slice(v * self.batch // parts, (v + 1) * self.batch // parts) for v in range(parts)]
        self.networks = [self.network(name) for name in self.names]
        self.optimisers = {network: Optimiser(self.config["optimizer"][network.name], network)
                           for network in self.networks}
        self.updates = {network: 0 for network in self.networks}
        self.average, self.steps_done, self.results = None, 0, {}
        self.prepare()

    def prepare(self):
        self.generator, self.discriminator = self.networks
        self.objective, self.k = self.config["objective"], self.training["discriminator_steps"]
        self.packing = self.training.get("packing", 1)
        self.packs = self.batch // self.packing
        self.is_relativistic = self.objective.get("loss") in costs.RELATIVISTIC
        self.is_simultaneous = self.training["update"] == "simultaneous"
        self.penalties = self.objective.get("penalties") or []
        self.lecam = next((costs.LeCam(penalty) for penalty in self.penalties if penalty["kind"] == "lecam"), None)
        average = self.training.get("average")
        self.average = Average(average, self.generator, self.batch) if average else None
        augment = self.training.get("augment")
        lowest = 0 if next(kind for name, (kind, _) in reversed(self.generator.layers.items())
                           if "/" not in name and kind not in ("reshape", "flatten")) == "sigmoid" else -1
        self.augmentation = Augmentation(augment, lowest, 1) if augment else None

    def network(self, name):
        statistics = {path: value for path, value in self.arrays(f"steps/000000/after/{name}").items()
                      if path.startswith("statistics/")}
        all_spectral = (self.config.get("spectral") or {}).get(name, False)
        return Network(name, self.config[name], self.arrays(f"initial/{name}"), statistics, all_spectral,
                       (self.config.get("condition") or {}).get("classes"))

    def statistics(self):
        """`shard` or `minibatch`: what batch normalisation takes its statistics over, which has to be one of them in
        all layers."""
        kinds = {options.get("statistics", "shard") for name in self.names
                 for kind, options in named(self.config[name]).values() if kind.endswith("batch_normalisation")}
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
        """Keep masks of the discriminator by the layer's name, for the packs of `rows`."""
        rows = slice(rows.start // self.packing, rows.stop // self.packing)
        if path not in self.trace:
            return {}
        masks = self.arrays(path)
        if half is not None:
            masks = {name.removesuffix(f"/{half}"): mask for name, mask in masks.items() if name.endswith(f"/{half}")}
        return {name: torch.tensor(mask[rows]).to(torch.get_default_dtype()) for name, mask in masks.items()}

    def conditions(self, path, rows, half="fake"):
        """The numbers of classes, or the vectors, beside the rows of one half of an update; None without."""
        for name in ("label", "condition"):
            place = f"{path}/{'real_' if half == 'real' else ''}{name}"
            if place in self.trace:
                return self.read(place)[rows]
        return None

    def save(self, path, values):
        for name, value in values.items():
            self.results[f"{path}/{name}"] = value.detach().clone().numpy()

    def fake(self, path, noise, label, rows, passes):
        seen, masks = {}, {}
        if f"{path}/generator_dropout" in self.trace:
            masks = {name: torch.tensor(mask[rows]).to(torch.get_default_dtype())
                     for name, mask in self.arrays(f"{path}/generator_dropout").items()}
        images = self.generator.forward(noise[rows], masks, seen, self.conditions(path, rows))
        passes.append((label, self.generator, rows, seen))
        return images

    def pack(self, examples):
        """Examples m·p ..< m·(p + 1) as pack p: vectors one after another, images with their channels side by side."""
        packs = examples.reshape(-1, self.packing, *examples.shape[1:]).movedim(1, -2)
        return packs.reshape(*packs.shape[:-2], -1)

    def unpack(self, packs):
        examples = packs.reshape(*packs.shape[:-1], self.packing, -1).movedim(-2, 1)
        return examples.reshape(-1, *examples.shape[2:])

    def augmented(self, packs, path, rows):
        if not self.augmentation:
            return packs
        probability = self.augmentation.probability(self.progress(self.discriminator))
        self.save(path, {"augmentation/probability": torch.tensor(probability)})
        draws = self.trace[f"{path}/augmentation/draws"][rows].astype(float)
        return self.pack(self.augmentation(self.unpack(packs), draws, probability))

    def logits(self, packs, masks, label, rows, passes, conditions):
        seen = {}
        logits = self.discriminator.forward(packs, masks, seen, conditions)
        passes.append((label, self.discriminator, rows, seen))
        return logits.flatten()

    def progress(self, network):
        examples = self.steps_done * self.minibatches() * self.batch
        epochs = examples // int(self.trace.attrs.get("examples", sys.maxsize))
        return Progress(self.steps_done, epochs, examples, self.updates[network])

    def minibatches(self):
        """Of real examples that a step takes."""
        return 1 if self.is_simultaneous else self.k + self.is_relativistic

    def discriminator_cost(self, path, passes, keep_images=False):
        """The cost over the global minibatch, with the logits of both halves; each shard is normalised by its own
        statistics."""
        real, noise = self.read(f"{path}/real"), self.read(f"{path}/noise")
        halves = {"real": [], "fake": []}
        for rows in self.rows:
            images = self.fake(path, noise, path, rows, passes)
            for half, examples in (("real", real[rows]), ("fake", images if keep_images else images.detach())):
                packs = self.pack(examples)
                packs = packs if packs.requires_grad else packs.requires_grad_()
                logits = self.logits(self.augmented(packs, path, rows), self.masks(f"{path}/dropout", rows, half),
                                     f"{path} {half}", rows, passes, self.conditions(path, rows, half))
                halves[half].append((packs, logits))
        packs = {half: [packs for packs, _ in found] for half, found in halves.items()}
        logits = {half: torch.cat([logits for _, logits in found]) for half, found in halves.items()}
        if self.augmentation:
            self.augmentation.saw(logits["real"])
        progress = self.progress(self.discriminator)
        on_real, on_fake = costs.discriminator_costs(self.objective, logits["real"], logits["fake"], progress)
        self.save(path, {"loss_real": on_real, "loss_fake": on_fake})
        cost = costs.discriminator_weight(self.objective) * (on_real + on_fake)
        if self.lecam:
            lecam = self.lecam(logits["real"], logits["fake"], progress)
            self.save(path, {"loss_lecam": lecam})
            if path.endswith(f"/discriminator/{self.training['discriminator_steps'] - 1}"):
                self.save(path, dict(zip(("lecam_real", "lecam_fake"), self.lecam.averages)))
            cost = cost + lecam
        return cost + self.penalty(path, packs, logits), logits

    def penalty(self, path, packs, logits):
        """`packs` that D has seen, by half and shard, and their logits."""
        progress, total = self.progress(self.discriminator), 0
        for name, penalty in costs.active(self.penalties, progress).items():
            if name in packs:
                gradients = torch.autograd.grad(logits[name].sum(), packs[name], create_graph=True)
            else:
                real, fake = (torch.cat(packs[half]).detach() for half in ("real", "fake"))
                if name == "between":
                    rows = costs.between(self.trace[path], real, fake)
                else:
                    rows = costs.around(self.trace[path], real, float(self.trace.attrs["deviation"]))
                rows = rows.requires_grad_()
                masks = self.masks(f"{path}/dropout", slice(0, self.batch), name)
                judged = self.augmented(rows, path, slice(0, self.batch))
                # What penalties alone look at is made of reals, and of their condition.
                conditions = self.conditions(path, slice(0, self.batch), "real")
                sum_of_logits = self.discriminator.forward(judged, masks, conditions=conditions).sum()
                gradients = torch.autograd.grad(sum_of_logits, rows, create_graph=True)
            squares = torch.cat(gradients).flatten(1).square().sum(1)
            cost = costs.penalty_cost(penalty, squares, progress)
            self.save(path, {f"loss_penalty_{name}": cost})
            total = total + penalty.get("every", 1) * cost
        return total

    def discriminator_step(self, path, passes):
        cost, _ = self.discriminator_cost(path, passes)
        self.move(self.discriminator, self.discriminator.gradients(cost), path)

    def generator_step(self, path, passes):
        noise, logits = self.read(f"{path}/noise"), {"real": [], "fake": []}
        real = self.read(f"{path}/real") if self.is_relativistic else None
        for rows in self.rows:
            images = self.fake(path, noise, "generator", rows, passes)
            if self.is_relativistic:
                masks = self.masks(f"{path}/dropout", rows, "real")
                judged = self.augmented(self.pack(real[rows]), path, rows)
                logits["real"].append(self.logits(judged, masks, "generator real", rows, passes,
                                                  self.conditions(path, rows, "real")))
            masks = self.masks(f"{path}/dropout", rows, "fake" if self.is_relativistic else None)
            judged = self.augmented(self.pack(images), path, rows)
            logits["fake"].append(self.logits(judged, masks, "generator", rows, passes, self.conditions(path, rows)))
        logits = {half: torch.cat(found) if found else None for half, found in logits.items()}
        cost = costs.generator_cost(self.objective, logits["real"], logits["fake"])
        self.save(path, {"loss": cost})
        self.move(self.generator, self.generator.gradients(cost), path)

    def simultaneous_step(self, path, passes):
        cost, logits = self.discriminator_cost(f"{path}/discriminator/0", passes, keep_images=True)
        mine = costs.generator_cost(self.objective, logits["real"], logits["fake"])
        gradients = self.discriminator.gradients(cost, keep=True), self.generator.gradients(mine)
        self.save(f"{path}/generator", {"loss": mine})
        self.move(self.discriminator, gradients[0], f"{path}/discriminator/0")
        self.move(self.generator, gradients[1], f"{path}/generator")

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
        start = self.progress(player)
        for t in range(start.updates + 1, start.updates + 1 + self.training["unrolling_steps"]):
            step = dict(zip(player.parameters,
                            torch.autograd.grad(loss, list(player.parameters.values()), create_graph=True)))
            gradients = gradients or {name: value.detach() for name, value in step.items()}
            first = {name: beta1 * first[name] + (1 - beta1) * step[name] for name in step}
            second = {name: beta2 * second[name] + (1 - beta2) * step[name] ** 2 for name in step}
            # A tiny number under the root: a gradient that is zero must not make its slope infinite.
            rate = adam.rate(start._replace(updates=t - 1))
            player.parameters = {name: value - rate / (1 - beta1**t) * first[name]
                                 / (torch.sqrt(second[name] / (1 - beta2**t) + 1e-30) + epsilon)
                                 for name, value in player.parameters.items()}
            loss, _ = self.discriminator_cost(f"{path}/discriminator/0", [], keep_images=True)
        mine = self.generator.gradients(-loss)
        player.parameters = kept
        self.results = results
        self.save(f"{path}/generator", {"loss": -loss})
        self.move(player, gradients, f"{path}/discriminator/0")
        self.move(self.generator, mine, f"{path}/generator")

    def move(self, network, gradients, path, place="gradients"):
        self.save(f"{path}/{place}", gradients)
        progress = self.progress(network)
        self.optimisers[network].step(gradients, progress)
        network.moved()
        if self.average and network.name == "generator":
            self.average.follow(progress)
        self.updates[network] += 1

    def follow(self, passes):
        """Moves the running statistics towards those of each pass in turn, a pass being the same forward of all
        shards."""
        for network in self.networks:
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
        steps = [(self.discriminator_step, f"{path}/discriminator/{inner}", passes) for inner in range(self.k)]
        steps.append((self.generator_step, f"{path}/generator", passes))
        if self.training.get("unrolling_steps", 0):
            steps = [(self.unrolled_step, path, passes)]
        elif self.is_simultaneous:
            steps = [(self.simultaneous_step, path, passes)]
        elif self.training.get("order") == "generatorFirst":
            steps = steps[-1:] + steps[:-1]
        for step in steps:
            step[0](*step[1:])
        self.follow(passes)
        for network in (self.generator, self.discriminator):
            self.save(f"{path}/after/{network.name}", network.parameters | network.statistics)
            for name, vectors in network.spectral.items():
                self.save(f"{path}/after/{network.name}/spectral/{name}", {"u": vectors.u, "v": vectors.v})
        if self.average:
            self.save(f"{path}/after/generator/average", self.average.values)
        self.steps_done += 1
        if self.augmentation:
            self.augmentation.follow(self.steps_done, self.packing)
        return self.results


def differences(ours, theirs):
    """By path, the largest difference between each pair of arrays, as the head of this file says."""
    largest = {path: float(numpy.abs(value).max(initial=0)) for path, value in theirs.items()}
    network = collections.defaultdict(float)
    for path, value in largest.items():
        network[player(path)] = max(network[player(path)], value)
    return {path: float(numpy.abs(numpy.subtract(numpy.ravel(ours[path]), numpy.ravel(value),
                                                 dtype=numpy.float64)).max(initial=0))
            / max(largest[path], network[player(path)] / 10, 1e-30) for path, value in theirs.items()}


def player(path):
    return next((name for name in ("generator", "encoder", "decoder") if f"/{name}" in path), "discriminator")


def kind_of(path):
    if "/loss" in path:
        return "losses"
    return next((kind for kind in KINDS if f"/{kind}/" in path), "parameters")


def report(number, results, trace):
    """Prints the largest difference of each kind of result in one step; returns how many are too large."""
    bad = 0
    for kind in KINDS:
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


def against_float64(kind, trace, steps):
    """How far gan-dist and PyTorch's own float32 are from PyTorch in float64, step by step; returns how often gan-dist
    is too far, and what test_reference.py needs to see the same without PyTorch.

    A leaky ReLU whose input is nearly zero takes the other slope after the smallest rounding, and Adam's first step is
    the sign of a gradient however small it is: in wide networks no float32 program stays within 1e-4 of another, so the
    distance that float32 itself causes is the measure.
    """
    exact, single = {}, {}
    for precision, results in ((torch.float64, exact), (torch.float32, single)):
        torch.set_default_dtype(precision)
        replay = kind(trace)
        for number in range(steps):
            results |= replay.step(number)
    bad, reference, theirs = 0, {}, collections.defaultdict(list)
    ours = kind(trace).arrays("/")
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
    # HDF5's newer format, in which small groups take far less.
    with h5py.File(path, "w", libver="latest") as reference:
        reference.attrs["config"] = trace.attrs["config"]
        reference.attrs["made_by"] = f"replay_trace.py, PyTorch {torch.__version__}"
        for name, (value, attributes) in datasets.items():
            reference.create_dataset(name, data=value).attrs.update(attributes)


def main(kind=Replay):
    """`kind`: what repeats the trace's steps."""
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
            bad, reference = against_float64(kind, trace, steps)
            kept = {path: (value, {"float32_distance": apart}) for path, (value, apart) in reference.items()}
        else:
            torch.set_default_dtype(torch.float64)
            replay = kind(trace)
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
