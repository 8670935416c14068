#!/usr/bin/env python3
"""A step with R1 and R2 in PyTorch, timed: what launch/benchmarks/penalties measures gan-dist against.

    peer_penalties.py --networks dcgan-32 --loss relativistic --penalties --batch 64 --steps 5 [--channels-last]

One step is one update of the discriminator and one of the generator, each on fresh noise and, where the cost is of
pairs, fresh real examples, with Adam, on one thread, on data in memory. D judges real and generated examples in one
batch; the gradient of its logits is taken with create_graph and differentiated again. D's gradients are not computed in
the generator's update, and Adam is fused. Prints one JSON object.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn.functional import softplus


def dcgan():
    """The DCGAN at 32 × 32 with one channel, its D without batch normalisation."""
    generator, channels = [], 100
    for width, stride, padding in ((1024, 1, 0), (512, 2, 1), (256, 2, 1)):
        generator += [nn.ConvTranspose2d(channels, width, 4, stride, padding, bias=False), nn.BatchNorm2d(width),
                      nn.LeakyReLU(0.2)]
        channels = width
    generator += [nn.ConvTranspose2d(channels, 1, 4, 2, 1), nn.Sigmoid()]
    discriminator, channels = [], 1
    for width in (128, 256, 512):
        discriminator += [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = width
    discriminator += [nn.Conv2d(channels, 1, 4), nn.Flatten()]
    return nn.Sequential(*generator), nn.Sequential(*discriminator), (100, 1, 1), torch.rand(4096, 1, 32, 32)


def grid():
    """The networks of grid-25, and its 25 Gaussians."""
    def dense(sizes, activation):
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [nn.Linear(inputs, outputs), activation]
        return nn.Sequential(*layers[:-1])

    centres = 2.0 * torch.cartesian_prod(torch.arange(-2, 3), torch.arange(-2, 3))
    points = centres[torch.randint(0, 25, (100_000,))] + 0.05 * torch.randn(100_000, 2)
    return dense([64, 256, 256, 2], nn.ReLU()), dense([2, 256, 256, 1], nn.LeakyReLU(0.2)), (64,), points


class Players:
    def __init__(self, arguments):
        self.generator, self.discriminator, self.latent, self.examples = \
            {"dcgan-32": dcgan, "grid-25": grid}[arguments.networks]()
        if arguments.channels_last:
            self.generator, self.discriminator = (network.to(memory_format=torch.channels_last)
                                                  for network in (self.generator, self.discriminator))
            self.examples = self.examples.contiguous(memory_format=torch.channels_last)
        self.count, self.in_pairs = arguments.batch, arguments.loss == "relativistic"
        self.gamma = 1.0 if arguments.penalties else 0.0
        self.of_generator, self.of_discriminator = (
            torch.optim.Adam(network.parameters(), 2e-4, betas=(0.0, 0.99), fused=True)
            for network in (self.generator, self.discriminator))

    def real(self):
        return self.examples[torch.randint(0, len(self.examples), (self.count,))]

    def noise(self):
        return torch.randn(self.count, *self.latent)

    def move_discriminator(self):
        with torch.no_grad():
            judged = torch.cat([self.real(), self.generator(self.noise())])
        judged.requires_grad_(self.gamma > 0)
        logits = self.discriminator(judged)
        real, fake = logits.chunk(2)
        cost = softplus(fake - real).mean() if self.in_pairs else softplus(-real).mean() + softplus(fake).mean()
        if self.gamma > 0:
            slopes, = torch.autograd.grad(logits.sum(), judged, create_graph=True)
            cost = cost + self.gamma / 2 * slopes.square().sum() / self.count
        self.of_discriminator.zero_grad()
        cost.backward()
        self.of_discriminator.step()

    def move_generator(self):
        self.discriminator.requires_grad_(False)
        fake = self.discriminator(self.generator(self.noise()))
        if self.in_pairs:
            with torch.no_grad():
                real = self.discriminator(self.real())
            cost = softplus(real - fake).mean()
        else:
            cost = softplus(-fake).mean()
        self.of_generator.zero_grad()
        cost.backward()
        self.of_generator.step()
        self.discriminator.requires_grad_(True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", choices=["dcgan-32", "grid-25"], required=True)
    parser.add_argument("--loss", choices=["standard", "relativistic"], required=True)
    parser.add_argument("--penalties", action="store_true")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    players, seconds = Players(arguments), []
    for number in range(arguments.steps + 3):
        start = time.perf_counter()
        players.move_discriminator()
        players.move_generator()
        if number >= 3:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"torch": torch.__version__, **vars(arguments),
                      "seconds_step_median": statistics.median(seconds), "seconds_step_min": min(seconds)}))


if __name__ == "__main__":
    main()
