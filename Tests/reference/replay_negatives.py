#!/usr/bin/env python3
"""Repeats a traced run of a discriminator without a generator in PyTorch and says how far the two are apart.

    gan-dist train --preset discriminator-only --run RUN --trace T.h5 --trace-steps 24
    replay_negatives.py T.h5

The examples, the noise that negatives begin as, dropout's masks and the first parameters are the trace's; costs,
gradients and updates PyTorch's, in float64, and so is the ascent at the end of each round, by autograd: what the trace
says of a negative that PyTorch has moved is compared. Options, limits and exit codes are those of replay_trace.py.
"""

import torch
import torch.nn.functional as F

from replay_trace import Replay, main

BOUNDS = {"none": None, "unit": (0, 1), "symmetric": (-1, 1)}


class NegativesReplay(Replay):
    """The run of a trace, step by step."""

    names = "discriminator",

    def prepare(self):
        self.discriminator, = self.networks
        self.model, self.packing = self.config["model"], 1
        # By their numbers, those that the trace has shown.
        self.negatives = {}

    def minibatches(self):
        return 1

    def ascend(self, x):
        """Without dropout."""
        bounds = BOUNDS[self.model["bounds"]]
        masks = {name: torch.tensor(options["keep"]).expand(len(x), self.sizes[name])
                 for name, (kind, options) in self.discriminator.layers.items() if kind == "dropout"}
        for _ in range(self.model["ascent_steps"]):
            x = x.detach().requires_grad_()
            slope, = torch.autograd.grad(self.discriminator.forward(x, masks).sum(), x)
            x = x.detach() + self.model["step_size"] * slope
            x = x if bounds is None else x.clamp(*bounds)
        return x

    def step(self, number):
        """Repeats one step and returns its results by their paths in the trace."""
        self.results = {}
        path, passes = f"steps/{number:06d}/discriminator/0", []
        real, shown = self.read(f"{path}/real"), self.read(f"{path}/noise")
        numbers = [(number * self.batch + row) % self.model["negatives"] for row in range(self.batch)]
        for row, negative in enumerate(numbers):
            self.negatives.setdefault(negative, shown[row])
        fake = torch.stack([self.negatives[negative] for negative in numbers])
        self.save(path, {"noise": fake})
        logits, self.sizes = {"real": [], "fake": []}, {}
        for rows in self.rows:
            for half, examples in ("real", real), ("fake", fake):
                masks = self.masks(f"{path}/dropout", rows, half)
                self.sizes |= {name: mask.shape[1] for name, mask in masks.items()}
                logits[half].append(self.logits(examples[rows], masks, f"{path} {half}", rows, passes, None))
        on_real, on_fake = F.softplus(-torch.cat(logits["real"])).mean(), F.softplus(torch.cat(logits["fake"])).mean()
        self.save(path, {"loss_real": on_real, "loss_fake": on_fake})
        self.move(self.discriminator, self.discriminator.gradients(on_real + on_fake), path)
        self.follow(passes)
        after = f"steps/{number:06d}/after/discriminator"
        self.save(after, self.discriminator.parameters | self.discriminator.statistics)
        for name, vectors in self.discriminator.spectral.items():
            self.save(f"{after}/spectral/{name}", {"u": vectors.u, "v": vectors.v})
        self.steps_done += 1
        if self.steps_done % self.model["round"] == 0:
            numbers = sorted(self.negatives)
            found = self.ascend(torch.stack([self.negatives[negative] for negative in numbers]))
            self.negatives = dict(zip(numbers, found))
        return self.results


if __name__ == "__main__":
    main(NegativesReplay)
