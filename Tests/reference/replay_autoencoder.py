#!/usr/bin/env python3
"""Repeats a traced run of an autoencoder of gan-dist in PyTorch and says how far the two are apart.

    gan-dist train --preset vae --data FILE.h5 --run RUN --trace T.h5 --trace-steps 5
    replay_autoencoder.py T.h5

The examples, the noise of the codes and the first parameters are the trace's; distributions, costs, divergence,
gradients and updates PyTorch's, in float64. Options, limits and exit codes are those of replay_trace.py.
"""

import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from replay_trace import Replay, main


class CodeMoments:
    """The mean and the covariance of the codes of late, by their first and second moments."""

    def __init__(self, size):
        self.first, self.second = torch.zeros(size), torch.eye(size)

    def follow(self, codes, step):
        share = max(1 / step, 0.01)
        self.first = torch.lerp(self.first, codes.mean(0), share)
        self.second = torch.lerp(self.second, codes.T @ codes / len(codes), share)
        return {"mean": self.first, "covariance": self.second - self.first.outer(self.first)}


class AutoencoderReplay(Replay):
    """The run of a trace, step by step."""

    names = "encoder", "decoder"

    def prepare(self):
        self.encoder, self.decoder = self.networks
        self.model = self.config["model"]
        self.codes = CodeMoments(self.config["latent"]["size"]) if self.model["kind"] == "autoencoder" else None

    def minibatches(self):
        return 1

    def reconstruction(self, output, examples):
        """−ln p(x | z), of all examples together."""
        if self.model["reconstruction"] == "bernoulli":
            return F.binary_cross_entropy_with_logits(output, examples, reduction="sum")
        return -Normal(output, self.model["deviation"]).log_prob(examples).sum()

    def step(self, number):
        """Repeats one step and returns its results by their paths in the trace."""
        self.results = {}
        path, passes = f"steps/{number:06d}/autoencoder", []
        real, reconstruction, divergence, codes = self.read(f"{path}/real"), 0, 0, []
        noise = None if self.codes else self.read(f"{path}/noise")
        for rows in self.rows:
            seen = {}, {}
            passes += [("encoder", self.encoder, rows, seen[0]), ("decoder", self.decoder, rows, seen[1])]
            described = self.encoder.forward(real[rows], seen=seen[0])
            if self.codes:
                codes.append(described)
            else:
                mean, deviation = described.chunk(2, 1)
                code = Normal(mean, 1e-6 + F.softplus(deviation))
                codes.append(code.loc + code.scale * noise[rows])
                divergence += kl_divergence(code, Normal(torch.zeros(()), torch.ones(()))).sum() / self.batch
            output = self.decoder.forward(codes[-1], seen=seen[1])
            reconstruction += self.reconstruction(output, real[rows]) / self.batch
        self.save(path, {"loss_reconstruction": reconstruction})
        if self.codes:
            self.save(f"steps/{number:06d}/after/code", self.codes.follow(torch.cat(codes).detach(), number + 1))
        else:
            self.save(path, {"loss_divergence": divergence})
        gradients = [network.gradients(reconstruction + divergence, keep=True) for network in self.networks]
        for network, gradient in zip(self.networks, gradients):
            self.save(f"{path}/gradients/{network.name}", gradient)
            self.optimisers[network].step(gradient, self.progress(network))
            self.updates[network] += 1
        self.follow(passes)
        for network in self.networks:
            self.save(f"steps/{number:06d}/after/{network.name}", network.parameters | network.statistics)
        self.steps_done += 1
        return self.results


if __name__ == "__main__":
    main(AutoencoderReplay)
