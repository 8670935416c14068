#!/usr/bin/env python3
"""The step of a preset in PyTorch, timed: what launch/benchmarks/peers measures gan-dist against.

    peer_torch.py --preset dcgan-32 --batch 64 --steps 10
    torchrun --nproc_per_node=2 peer_torch.py --preset dcgan-32 --batch 64

One step is one update of the discriminator and one of the generator, each on fresh noise, with Adam, on random images
held in memory. --batch is the global minibatch, shared out over the ranks of torchrun (DistributedDataParallel, gloo).
The best known form of each choice is used that changes no result: the discriminator's gradients are not computed in the
generator's update, Adam is fused, and --channels-last and --compile may be tried. Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import time

import torch
import torch.distributed
from torch import nn
from torch.nn.functional import softplus
from torch.nn.parallel import DistributedDataParallel


class Maxout(nn.Module):
    def __init__(self, inputs, units, pieces):
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, x):
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


def goodfellow():
    """Goodfellow et al. 2014, MNIST."""
    generator = nn.Sequential(nn.Linear(100, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, 784),
                              nn.Sigmoid())
    discriminator = nn.Sequential(nn.Dropout(0.2), Maxout(784, 240, 5), nn.Dropout(0.5), Maxout(240, 240, 5),
                                  nn.Dropout(0.5), nn.Linear(240, 1))
    return generator, discriminator, (100,), (784,)


def dcgan():
    """The DCGAN at 32 × 32 with one channel."""
    layers, channels = [], 100
    for width, stride, padding in ((1024, 1, 0), (512, 2, 1), (256, 2, 1)):
        layers += [nn.ConvTranspose2d(channels, width, 4, stride, padding, bias=False), nn.BatchNorm2d(width),
                   nn.LeakyReLU(0.2)]
        channels = width
    generator = nn.Sequential(*layers, nn.ConvTranspose2d(channels, 1, 4, 2, 1), nn.Sigmoid())
    layers, channels = [nn.Conv2d(1, 128, 4, 2, 1), nn.LeakyReLU(0.2)], 128
    for width in (256, 512):
        layers += [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
        channels = width
    discriminator = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4), nn.Flatten())
    return generator, discriminator, (100, 1, 1), (1, 32, 32)


class Players:
    """Both networks, their optimisers, and the step."""

    def __init__(self, arguments, ranks):
        networks = {"goodfellow-mnist": goodfellow, "dcgan-32": dcgan}[arguments.preset]
        self.generator, self.discriminator, self.latent, image = networks()
        self.count = arguments.batch // ranks
        self.images = torch.rand(4096, *image)
        if arguments.channels_last and len(image) == 3:
            self.generator, self.discriminator = (network.to(memory_format=torch.channels_last)
                                                  for network in (self.generator, self.discriminator))
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        if arguments.compile:
            self.generator, self.discriminator = torch.compile(self.generator), torch.compile(self.discriminator)
        # In the generator's update the discriminator is called without its wrapper: its gradients are not exchanged
        # there.
        self.bare = self.discriminator
        if ranks > 1:
            self.generator, self.discriminator = (DistributedDataParallel(network, broadcast_buffers=False)
                                                  for network in (self.generator, self.discriminator))
        self.optimisers = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), fused=True)
                           for network in (self.discriminator, self.generator)]

    def noise(self):
        return torch.randn(self.count, *self.latent)

    def step(self):
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        real = self.images[torch.randint(len(self.images), (self.count,))]
        with torch.no_grad():
            fake = self.generator(self.noise())
        loss = softplus(-self.discriminator(real)).mean() + softplus(self.discriminator(fake)).mean()
        loss.backward()
        self.optimisers[0].step()
        self.bare.requires_grad_(False)
        cost = softplus(-self.bare(self.generator(self.noise()))).mean()
        cost.backward()
        self.optimisers[1].step()
        self.bare.requires_grad_(True)
        return loss.item(), cost.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["goodfellow-mnist", "dcgan-32"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ranks = int(os.environ.get("WORLD_SIZE", 1))
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    players = Players(arguments, ranks)
    for _ in range(3):
        players.step()
    if ranks > 1:
        torch.distributed.barrier()
    seconds = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        players.step()
        seconds.append(time.perf_counter() - start)
    if int(os.environ.get("RANK", 0)) == 0:
        print(json.dumps({"torch": torch.__version__, "preset": arguments.preset, "ranks": ranks,
                          "batch": arguments.batch,
                          "seconds_step_median": statistics.median(seconds), "seconds_step_min": min(seconds)}))
    if ranks > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
