#!/usr/bin/env python3
"""The step of a configuration in PyTorch, timed: what the benchmarks measure gan-dist against.

    gan-dist presets r3gan-28 >step.yaml && peer_torch.py --config step.yaml --batch 64 --steps 10 --channels-last
    torchrun --nproc_per_node=2 peer_torch.py --config step.yaml --batch 64

The networks are built from the YAML's lists of layers as a user of PyTorch writes them (NCHW). One step is the
configuration's updates of the discriminator and one of the generator, each on fresh noise and, where the cost is of
pairs, fresh real examples, with the configuration's loss and penalties, always with Adam, on random data in memory.
--batch is the global minibatch, shared out over the ranks of torchrun: DistributedDataParallel over gloo, or one sum of
all gradients where there are penalties, which DistributedDataParallel reduces wrongly (pytorch issue 47562).
The best known form of each choice is used that changes no result: D judges real and generated examples in one batch
where it has no batch normalisation, its gradients are not computed in the generator's update, Adam is fused, and
--channels-last may be tried. Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import sys
import time

import torch
import torch.distributed
import yaml
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, pad, softplus
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils.parametrizations import spectral_norm


class Maxout(nn.Module):
    def __init__(self, inputs, units, pieces):
        super().__init__()
        self.linear, self.pieces = nn.Linear(inputs, units * pieces), pieces

    def forward(self, x):
        return self.linear(x.flatten(1)).unflatten(1, (-1, self.pieces)).amax(2)


class Basis(nn.Module):
    def __init__(self, inputs, height, width, channels):
        super().__init__()
        self.linear = nn.Linear(inputs, channels, bias=False)
        self.basis = nn.Parameter(torch.randn(channels, height, width))

    def forward(self, x):
        return self.basis * self.linear(x)[:, :, None, None]


class Residual(nn.Module):
    def __init__(self, body, skip):
        super().__init__()
        self.body, self.skip = body, skip

    def forward(self, x):
        return self.body(x) + self.skip(x)


class Resample(nn.Module):
    """By [1, 3, 3, 1] / 8 in both directions."""

    def __init__(self, channels, is_larger):
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / (4 if is_larger else 8)
        self.register_buffer("kernel", torch.outer(row, row).expand(channels, 1, 4, 4).clone())
        self.resample = conv_transpose2d if is_larger else conv2d

    def forward(self, x):
        return self.resample(x, self.kernel, stride=2, padding=1, groups=len(self.kernel))


class Padded(nn.Module):
    """Margins that differ, before a convolution without."""

    def __init__(self, margins, convolution):
        super().__init__()
        self.margins, self.convolution = margins, convolution

    def forward(self, x):
        return self.convolution(pad(x, self.margins))


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, channels // part, 1, bias=False) for part in (8, 8, 2))
        self.output = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma, self.pool = nn.Parameter(torch.zeros(1)), nn.MaxPool2d(2)

    def forward(self, x):
        query, key, value = self.query(x), self.pool(self.key(x)), self.pool(self.value(x))
        weights = torch.softmax(query.flatten(2).mT @ key.flatten(2), -1)
        means = (value.flatten(2) @ weights.mT).unflatten(2, x.shape[2:])
        return self.gamma * self.output(means) + x


def convolution(options, shape):
    kernel, stride = options["kernel"], options.get("stride", 1)
    more = {"stride": stride, "groups": options.get("groups", 1), "bias": options.get("bias") != "none"}
    margins = [0, 0]
    if options.get("padding", "same") == "same":
        total = max((-(-shape[1] // stride) - 1) * stride + kernel - shape[1], 0)
        margins = [total // 2, total - total // 2]
    if margins[0] == margins[1]:
        return nn.Conv2d(shape[0], options["channels"], kernel, padding=margins[0], **more)
    return Padded(margins * 2, nn.Conv2d(shape[0], options["channels"], kernel, **more))


def transposed_convolution(options, shape):
    kernel, stride = options["kernel"], options.get("stride", 1)
    margin = max(kernel - stride, 0) if options.get("padding", "same") == "same" else 0
    return nn.ConvTranspose2d(shape[0], options["channels"], kernel, stride, -(-margin // 2), margin % 2,
                              bias=options.get("bias") != "none")


def module(kind, options, shape):
    """One layer for inputs of a shape without the batch: (channels, height, width) or (features,)."""
    match kind:
        case "dense":
            linear = nn.Linear(torch.Size(shape).numel(), options["units"], bias=options.get("bias") != "none")
            return linear if len(shape) == 1 else nn.Sequential(nn.Flatten(), linear)
        case "maxout":
            return Maxout(torch.Size(shape).numel(), options["units"], options["pieces"])
        case "convolution":
            return convolution(options, shape)
        case "transposed_convolution":
            return transposed_convolution(options, shape)
        case "batch_normalisation":
            return (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(shape[0])
        case "layer_normalisation":
            return nn.GroupNorm(1, shape[0])
        case "residual":
            return Residual(*(network(options.get(branch) or [], shape) for branch in ("body", "skip")))
        case "basis":
            return Basis(shape[0], options["height"], options["width"], options["channels"])
        case "self_attention":
            return Attention(shape[0])
        case "upsample" | "downsample" if options.get("kind") == "binomial":
            return Resample(shape[0], kind == "upsample")
        case "upsample":
            return nn.Upsample(scale_factor=options.get("factor", 2), mode=options.get("kind", "nearest"))
        case "downsample":
            return nn.AvgPool2d(options.get("factor", 2))
        case "sum_pool":
            size = options["size"]
            return nn.AvgPool2d(size, options.get("stride", size), divisor_override=1)
        case "max_pool":
            return nn.MaxPool2d(options["size"], options.get("stride", options["size"]))
        case "mean_pool":
            return nn.AvgPool2d(options["size"], options.get("stride", options["size"]))
        case "dropout":
            return nn.Dropout(1 - options["keep"])
        case "flatten":
            return nn.Flatten()
        case "reshape":
            return nn.Unflatten(1, (options["shape"][-1], *options["shape"][:-1])) if len(shape) == 1 else nn.Flatten()
        case "leaky_relu":
            return nn.LeakyReLU(options.get("slope", 0.2))
        case "relu" | "sigmoid" | "tanh" | "softplus" | "gelu" | "silu":
            return {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "softplus": nn.Softplus, "gelu": nn.GELU,
                    "silu": nn.SiLU}[kind]()
    raise SystemExit(f"peer_torch.py knows no layer '{kind}'")


def network(layers, shape):
    """The layers as one module; each is tried on two examples to know the next one's shape."""
    made, x = [], torch.rand(2, *shape)
    for layer in layers:
        kind, options = next(iter(layer.items())) if isinstance(layer, dict) else (layer, None)
        made.append(module(kind, options or {}, tuple(x.shape[1:])))
        with torch.no_grad():
            x = made[-1](x)
    return nn.Sequential(*made)


def with_spectral_norms(player):
    for part in list(player.modules()):
        if isinstance(part, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            spectral_norm(part)
    return player


COSTS = {  # of D and of G, by the logits of real and generated examples
    "standard": (lambda x, y: softplus(-x).mean() + softplus(y).mean(), lambda x, y: softplus(-y).mean()),
    "leastSquares": (lambda x, y: ((x - 1).square() + y.square()).mean() / 2, lambda x, y: (y - 1).square().mean() / 2),
    "hinge": (lambda x, y: torch.relu(1 - x).mean() + torch.relu(1 + y).mean(), lambda x, y: -y.mean()),
    "wasserstein": (lambda x, y: y.mean() - x.mean(), lambda x, y: -y.mean()),
    "relativistic": (lambda x, y: softplus(y - x).mean(), lambda x, y: softplus(x - y).mean()),
}


class Step:
    """Both networks, their optimisers, and the step."""

    def __init__(self, configuration, batch, ranks, channels_last):
        objective, training = configuration.get("objective", {}), configuration.get("training", {})
        latent = configuration["latent"]["size"]
        self.latent = (latent,)
        generator = network(configuration["generator"], self.latent)
        image = tuple(generator(torch.rand(2, *self.latent)).shape[1:])
        discriminator = network(configuration["discriminator"], image)
        if (configuration.get("spectral") or {}).get("discriminator"):
            with_spectral_norms(discriminator)
        self.images, self.count = torch.rand(4096, *image), batch // ranks
        if channels_last and len(image) == 3:
            generator, discriminator = (one.to(memory_format=torch.channels_last) for one in (generator, discriminator))
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        self.cost, self.cost_of_generator = COSTS[objective.get("loss", "standard")]
        self.in_pairs = objective.get("loss") == "relativistic"
        self.penalties = objective.get("penalties") or []
        self.discriminator_steps = training.get("discriminator_steps", 1)
        self.in_one_batch = not any(isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d))
                                    for part in discriminator.modules())
        self.ranks = ranks
        # In the generator's update the discriminator is called without its wrapper: its gradients are not exchanged.
        self.bare, self.average = discriminator, None
        if training.get("average"):
            self.average = [value.detach().clone() for value in generator.parameters()]
        self.generator, self.discriminator = generator, discriminator
        if ranks > 1 and not self.penalties:
            self.generator, self.discriminator = (DistributedDataParallel(one, broadcast_buffers=False)
                                                  for one in (generator, discriminator))
        self.optimisers = [torch.optim.Adam(one.parameters(), 2e-4, (0.5, 0.999), fused=True)
                           for one in (discriminator, generator)]

    def real(self):
        return self.images[torch.randint(len(self.images), (self.count,))]

    def noise(self):
        return torch.randn(self.count, *self.latent)

    def logits(self, discriminator, real, fake):
        if self.in_one_batch:
            return discriminator(torch.cat([real, fake])).chunk(2)
        return discriminator(real), discriminator(fake)

    def penalty(self, options, real, fake, real_logits, fake_logits):
        """The term of one penalty, of the logits at hand or, between both halves, of a pass of its own."""
        if options["kind"] in ("r1", "r2"):
            points, logits = (real, real_logits) if options["kind"] == "r1" else (fake, fake_logits)
            slopes, = torch.autograd.grad(logits.sum(), points, create_graph=True)
            return options["gamma"] / 2 * slopes.square().sum() / self.count
        share = torch.rand(self.count, *[1] * (real.dim() - 1))
        points = (share * real + (1 - share) * fake).detach().requires_grad_()
        slopes, = torch.autograd.grad(self.discriminator(points).sum(), points, create_graph=True)
        return options["weight"] * (slopes.flatten(1).norm(dim=1) - options.get("target", 1)).square().mean()

    def sum_gradients(self, player):
        """Over the ranks, where DistributedDataParallel does not."""
        if self.ranks > 1 and self.penalties:
            gradients = [value.grad for value in player.parameters()]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            torch.distributed.all_reduce(flat)
            parts = (flat / self.ranks).split([gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts):
                gradient.copy_(part.view_as(gradient))

    def move_discriminator(self):
        self.optimisers[0].zero_grad()
        real = self.real()
        with torch.no_grad():
            fake = self.generator(self.noise())
        if self.penalties:
            real.requires_grad_()
            fake.requires_grad_()
        logits = self.logits(self.discriminator, real, fake)
        loss = self.cost(*logits)
        loss = loss + sum(self.penalty(options, real, fake, *logits) for options in self.penalties)
        loss.backward()
        self.sum_gradients(self.bare)
        self.optimisers[0].step()
        return loss.item()

    def move_generator(self):
        self.optimisers[1].zero_grad()
        self.bare.requires_grad_(False)
        fake = self.generator(self.noise())
        if self.in_pairs:
            with torch.no_grad():
                real_logits = self.bare(self.real())
            cost = self.cost_of_generator(real_logits, self.bare(fake))
        else:
            cost = self.cost_of_generator(None, self.bare(fake))
        cost.backward()
        bare = self.generator.module if isinstance(self.generator, DistributedDataParallel) else self.generator
        self.sum_gradients(bare)
        self.optimisers[1].step()
        if self.average:
            torch._foreach_lerp_(self.average, [value.detach() for value in bare.parameters()], 0.005)
        self.bare.requires_grad_(True)
        return cost.item()

    def __call__(self):
        for _ in range(self.discriminator_steps):
            loss = self.move_discriminator()
        return loss, self.move_generator()


def configuration_of(arguments):
    with open(arguments.config) as file:
        configuration = yaml.safe_load(file)
    for setting in arguments.set:
        path, _, value = setting.partition("=")
        *places, last = path.split(".")
        place = configuration
        for key in places:
            place = place.setdefault(key, {})
        place[last] = yaml.safe_load(value)
    return configuration


def layers_with_norms(part):
    """Whether a layer of `part`, lists within lists, asks for a spectral norm of its own."""
    if isinstance(part, list):
        return any(map(layers_with_norms, part))
    return isinstance(part, dict) and (bool(part.get("spectral")) or any(map(layers_with_norms, part.values())))


def not_built(configuration):
    """What of a configuration this program has no form of: without it the step would be another."""
    training, objective = configuration.get("training") or {}, configuration.get("objective") or {}
    names = [key for key in ("model", "encoder", "condition") if configuration.get(key)]
    names += [f"training.{key}" for key, usual in (("packing", 1), ("unrolling_steps", 0), ("augment", None))
              if training.get(key, usual) not in (usual, None)]
    if (configuration.get("spectral") or {}).get("generator"):
        names.append("spectral.generator")
    names += [f"{player}: a layer's spectral norm" for player in ("generator", "discriminator")
              if layers_with_norms(configuration[player])]
    if objective.get("loss", "standard") not in COSTS:
        names.append(f"objective.loss: {objective['loss']}")
    for penalty in objective.get("penalties") or []:
        if penalty["kind"] not in ("r1", "r2", "gradientPenalty") or penalty.get("every", 1) != 1:
            names.append(f"objective.penalties: {penalty['kind']}{', every' if 'every' in penalty else ''}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, metavar="FILE.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="key.path=value")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ranks = int(os.environ.get("WORLD_SIZE", 1))
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    configuration = configuration_of(arguments)
    if missing := not_built(configuration):
        sys.exit(f"peer_torch.py has no {', '.join(missing)}: {configuration['name']} cannot be compared")
    step = Step(configuration, arguments.batch, ranks, arguments.channels_last)
    for _ in range(3):
        step()
    if ranks > 1:
        torch.distributed.barrier()
    seconds = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    if int(os.environ.get("RANK", 0)) == 0:
        print(json.dumps({"torch": torch.__version__, "configuration": configuration["name"], "ranks": ranks,
                          "batch": arguments.batch,
                          "seconds_step_median": statistics.median(seconds), "seconds_step_min": min(seconds)}))
    if ranks > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
