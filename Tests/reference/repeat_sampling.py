"""`gan-dist sample --by discriminator|rejection|langevin` repeated with NumPy in float64, from a checkpoint alone:
keyed draws, networks, gradients and the three methods as their papers have them, none of it the program's own code.

For networks of dense and maxout layers, batch normalisation and activations. Tests/commands/test_sampling.py compares.
"""

import h5py
import numpy as np
import yaml


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011): counters [..., 4] and a key of two words."""
    c, k = [np.uint64(word) for word in np.moveaxis(np.asarray(counter, np.uint64), -1, 0)], list(key)
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        first, second = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(second >> shift) ^ c[1] ^ np.uint64(k[0]), second & low,
             (first >> shift) ^ c[3] ^ np.uint64(k[1]), first & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, -1)


SAMPLE, START, ACCEPTANCE, NOISE, LATENTS = 4, 251, 252, 253, 255


def words(seed, number, step, layer, count):
    """Words for value 0, 1, … of sample `number`: those of 32 values come from eight counters, four each."""
    groups = (count + 31) // 32
    counters = [[block, number, step, SAMPLE << 24 | layer << 16] for block in range(8 * groups)]
    return philox(counters, (seed & 0xFFFFFFFF, seed >> 32)).reshape(groups, 8, 4).transpose(0, 2, 1)


def unit(word):
    return (word >> np.uint64(8)).astype(float) * 2.0 ** -24


def uniform(seed, number, step, layer, count, low, high):
    return low + (high - low) * unit(words(seed, number, step, layer, count)).reshape(-1)[:count]


def normal(seed, number, step, layer, count):
    """Box & Muller, a cosine and a sine from two words."""
    word = words(seed, number, step, layer, count)
    values = np.empty(word.shape)
    for pair in (0, 2):
        radius = np.sqrt(-2 * np.log((word[:, pair].astype(float) + 0.5) * 2.0 ** -32))
        values[:, pair] = radius * np.cos(2 * np.pi * unit(word[:, pair + 1]))
        values[:, pair + 1] = radius * np.sin(2 * np.pi * unit(word[:, pair + 1]))
    return values.reshape(-1)[:count]


class Network:
    """Layers as a checkpoint stores them, for a single vector: the output, and what leads a gradient back."""

    def __init__(self, file, role, layers):
        self.layers = []
        for place, layer in enumerate(layers):
            kind, options = next(iter(layer.items())) if isinstance(layer, dict) else (layer, {})
            group, found = f"{role}/{place}.{kind}", {}
            for prefix in (group, f"{role}/statistics/{place}.{kind}"):
                if prefix in file:
                    found |= {name: file[prefix][name][()].astype(float) for name in file[prefix]}
            self.layers.append((kind, options or {}, found))
        self.last = next(kind for kind, _, _ in reversed(self.layers) if kind not in ("reshape", "flatten"))

    def bounds(self):
        return {"sigmoid": (0, 1), "tanh": (-1, 1)}.get(self.last)

    def forward(self, x):
        self.trace = []
        for kind, options, found in self.layers:
            before = x
            if kind == "dense":
                x = x @ found["weight"] + found.get("bias", 0)
            elif kind == "maxout":
                pieces = (x @ found["weight"] + found["bias"]).reshape(options["units"], options["pieces"])
                x = pieces.max(1)
                before = pieces.argmax(1)
            elif kind == "batch_normalisation":
                factor = found["scale"] / np.sqrt(found["variance"] + 1e-5)
                x = (x - found["mean"]) * factor + found["shift"]
                before = factor
            elif kind in ("relu", "leaky_relu"):
                before = np.where(x > 0, 1, options.get("slope", 0.2) if kind == "leaky_relu" else 0)
                x = x * before
            elif kind == "tanh":
                x = np.tanh(x)
                before = 1 - x * x
            elif kind == "sigmoid":
                x = 1 / (1 + np.exp(-x))
                before = x * (1 - x)
            elif kind not in ("dropout", "reshape", "flatten"):
                raise ValueError(kind)
            self.trace.append(before)
        return x

    def backward(self, gradient):
        for (kind, options, found), kept in zip(reversed(self.layers), reversed(self.trace)):
            if kind == "dense":
                gradient = found["weight"] @ gradient
            elif kind == "maxout":
                spread = np.zeros((options["units"], options["pieces"]))
                spread[np.arange(len(kept)), kept] = gradient
                gradient = found["weight"] @ spread.reshape(-1)
            elif kind not in ("dropout", "reshape", "flatten"):
                gradient = gradient * kept
        return gradient


class Pair:
    """G and D of a checkpoint."""

    def __init__(self, checkpoint):
        with h5py.File(checkpoint) as file:
            config = yaml.safe_load(file.attrs["config"])
            self.generator = Network(file, "generator", config["generator"])
            self.discriminator = Network(file, "discriminator", config["discriminator"])
        self.size, self.distribution = config["latent"]["size"], config["latent"].get("distribution", "normal")

    def latent(self, seed, number, step=0):
        if self.distribution == "uniform":
            return uniform(seed, number, step, LATENTS, self.size, -np.sqrt(3), np.sqrt(3))
        return normal(seed, number, step, LATENTS, self.size)

    def logit(self, x):
        return self.discriminator.forward(x).item()

    def ascent(self, seed, number, length, steps, size, deviation):
        """x ← clip(x + η ∇s(x)) from noise."""
        bounds = self.generator.bounds()
        x = (uniform(seed, number, 0, START, length, *bounds) if bounds
             else deviation * normal(seed, number, 0, START, length))
        for _ in range(steps):
            self.logit(x)
            x = x + size * self.discriminator.backward(np.ones(1))
            x = np.clip(x, *bounds) if bounds else x
        return x

    def langevin(self, seed, number, steps, size):
        """Che et al. 2020: z ← z − ε/2 ∇E(z) + √ε n, reflected where latents have a bound."""
        z = self.latent(seed, number)
        for step in range(1, steps + 1):
            self.logit(self.generator.forward(z))
            slope = self.generator.backward(self.discriminator.backward(np.ones(1)))
            if self.distribution == "normal":
                slope = slope - z
            z = z + size / 2 * slope + np.sqrt(size) * normal(seed, number, step, NOISE, self.size)
            if self.distribution == "uniform":
                bound = np.sqrt(3)
                while (abs(z) > bound).any():
                    z = np.where(abs(z) > bound, 2 * np.sign(z) * bound - z, z)
        return self.generator.forward(z)

    def rule(self, seed, burn_in, percentile):
        """M and γ of Azadi et al. 2018 by the logits of a burn-in."""
        logits = np.array([self.logit(self.generator.forward(self.latent(seed, number, 1)))
                           for number in range(burn_in)])
        return logits.max(), np.percentile(score(logits, logits.max()), percentile)

    def rejection(self, seed, number, greatest, gamma):
        """The first of this example's own candidates that is accepted, and how many there were."""
        for attempt in range(10_000):
            x = self.generator.forward(self.latent(seed, number, 2 + attempt))
            chance = 1 / (1 + np.exp(gamma - score(self.logit(x), greatest)))
            if uniform(seed, number, 2 + attempt, ACCEPTANCE, 1, 0, 1)[0] < chance:
                return x, attempt + 1
        raise RuntimeError("nothing was accepted")


def score(logits, greatest):
    below = np.minimum(logits - greatest, 0)
    return below - np.log(-np.expm1(below - 1e-6))
