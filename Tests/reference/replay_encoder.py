#!/usr/bin/env python3
"""Repeats a traced run of a game with an encoder (an adversarial autoencoder, a BiGAN) in PyTorch and says how far the
two are apart.

    gan-dist train --preset bigan --data FILE.h5 --run RUN --trace T.h5 --trace-steps 5
    replay_encoder.py T.h5

What is random and the first parameters are the trace's; costs, gradients and updates PyTorch's, in float64. Options,
limits and exit codes are those of replay_trace.py.
"""

import torch
from torch.distributions import Normal

import replay_costs as costs
from replay_moves import Average
from replay_trace import Replay, main


class EncoderReplay(Replay):
    """The run of a trace, step by step."""

    names = "generator", "discriminator", "encoder"

    def prepare(self):
        self.generator, self.discriminator, self.encoder = self.networks
        self.model, self.objective = self.config["model"], self.config["objective"]
        self.k, self.is_simultaneous = self.training["discriminator_steps"], self.training["update"] == "simultaneous"
        self.is_of_pairs = self.model["kind"] == "bigan"
        average = self.training.get("average")
        self.average = Average(average, self.generator, self.batch) if average else None

    def minibatches(self):
        return self.k

    def run(self, network, inputs, label, rows, passes):
        seen = {}
        output = network.forward(inputs, seen=seen)
        passes.append((label, network, rows, seen))
        return output

    def judged(self, path, rows, passes):
        """The half that D is to call real, and the other: codes, or pairs."""
        real = self.read(f"{path}/real")[rows]
        codes = self.run(self.encoder, real, path, rows, passes)
        noise = self.read(f"{path}/noise")[rows] if f"{path}/noise" in self.trace else None
        if not self.is_of_pairs:
            return noise, codes
        made = self.run(self.generator, noise, path, rows, passes)
        return torch.cat([real.flatten(1), codes], 1), torch.cat([made.flatten(1), noise], 1)

    def logits_of(self, path, passes, halves=(0, 1)):
        found = [], []
        for rows in self.rows:
            judged = self.judged(path, rows, passes)
            for half in halves:
                label = f"{path} {half}"
                found[half].append(self.run(self.discriminator, judged[half], label, rows, passes).flatten())
        return [torch.cat(logits) if logits else None for logits in found]

    def reconstruction_step(self, path, passes):
        real, cost = self.read(f"{path}/real"), 0
        for rows in self.rows:
            codes = self.run(self.encoder, real[rows], path, rows, passes)
            output = self.run(self.generator, codes, path, rows, passes)
            cost -= Normal(output, self.model["deviation"]).log_prob(real[rows]).sum() / self.batch
        self.save(path, {"loss": cost})
        networks = self.generator, self.encoder
        gradients = [network.gradients(cost, keep=True) for network in networks]
        for network, gradient in zip(networks, gradients):
            self.move(network, gradient, path, f"gradients/{network.name}")

    def discriminator_cost(self, path, logits):
        on_real, on_fake = costs.discriminator_costs(self.objective, *logits, self.progress(self.discriminator))
        self.save(path, {"loss_real": on_real, "loss_fake": on_fake})
        return costs.discriminator_weight(self.objective) * (on_real + on_fake)

    def discriminator_step(self, path, passes):
        cost = self.discriminator_cost(path, self.logits_of(path, passes))
        self.move(self.discriminator, self.discriminator.gradients(cost), path)

    def encoder_step(self, path, passes):
        """Of an adversarial autoencoder: the encoder against the discriminator of codes."""
        cost = costs.generator_cost(self.objective, None, self.logits_of(path, passes, halves=[1])[1])
        self.save(path, {"loss_encoder": cost})
        self.move(self.encoder, self.encoder.gradients(cost), path, "gradients/encoder")

    def costs_of_pairs(self, path, logits):
        """G's of the pairs that it made; E's of those of data, which is G's with the sides exchanged."""
        mirrored = 1 - logits[0] if self.objective["loss"] == "leastSquares" else -logits[0]
        found = [costs.generator_cost(self.objective, None, half) for half in (logits[1], mirrored)]
        self.save(path, {"loss": found[0], "loss_encoder": found[1]})
        return found

    def pairs_step(self, path, passes):
        networks = self.generator, self.encoder
        found = self.costs_of_pairs(path, self.logits_of(path, passes))
        gradients = [network.gradients(cost, keep=True) for network, cost in zip(networks, found)]
        for network, gradient, place in zip(networks, gradients, ("gradients", "gradients/encoder")):
            self.move(network, gradient, path, place)

    def simultaneous_step(self, path, passes):
        place = f"{path}/discriminator/0"
        logits = self.logits_of(place, passes)
        found = [self.discriminator_cost(place, logits), *self.costs_of_pairs(f"{path}/generator", logits)]
        networks = self.discriminator, self.generator, self.encoder
        gradients = [network.gradients(cost, keep=True) for network, cost in zip(networks, found)]
        places = (place, "gradients"), (f"{path}/generator", "gradients"), (f"{path}/generator", "gradients/encoder")
        for network, gradient, where in zip(networks, gradients, places):
            self.move(network, gradient, *where)

    def step(self, number):
        """Repeats one step and returns its results by their paths in the trace."""
        self.results = {}
        path, passes = f"steps/{number:06d}", []
        steps = [(self.discriminator_step, f"{path}/discriminator/{inner}") for inner in range(self.k)]
        if not self.is_of_pairs:
            steps = [(self.reconstruction_step, f"{path}/reconstruction"), *steps,
                     (self.encoder_step, f"{path}/encoder")]
        elif self.is_simultaneous:
            steps = [(self.simultaneous_step, path)]
        else:
            steps.append((self.pairs_step, f"{path}/generator"))
        for step, place in steps:
            step(place, passes)
        self.follow(passes)
        for network in self.networks:
            self.save(f"{path}/after/{network.name}", network.parameters | network.statistics)
        if self.average:
            self.save(f"{path}/after/generator/average", self.average.values)
        self.steps_done += 1
        return self.results


if __name__ == "__main__":
    main(EncoderReplay)
