#!/usr/bin/env python3
"""The step of the dense preset in JAX, timed: what launch/benchmarks/peers measures gan-dist against, beside
peer_torch.py.

    taskset --cpu-list 0 peer_jax.py --preset goodfellow-mnist --batch 128 --steps 30

One step, compiled as one function, is one update of the discriminator and one of the generator, each on fresh noise,
with Adam, on random images held in memory: the step of peer_torch.py. XLA has no setting that holds it to one thread on
every version: give the process one core. Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import time

import jax
import jax.numpy as jnp

RATE, BETA1, BETA2, EPSILON = 2e-4, 0.5, 0.999, 1e-8


def initial(key, sizes):
    """Weights and biases of dense layers, sizes[i] = (inputs, outputs)."""
    return [(0.02 * jax.random.normal(part, size), jnp.zeros(size[1]))
            for part, size in zip(jax.random.split(key, len(sizes)), sizes)]


def generate(parameters, latents):
    """Goodfellow et al. 2014, MNIST."""
    (w0, b0), (w1, b1), (w2, b2) = parameters
    hidden = jax.nn.relu(jax.nn.relu(latents @ w0 + b0) @ w1 + b1)
    return jax.nn.sigmoid(hidden @ w2 + b2)


def dropout(key, x, rate):
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def decide(parameters, images, key):
    """Logits; maxout of 240 units of 5 pieces."""
    keys = jax.random.split(key, 3)
    x = dropout(keys[0], images, 0.2)
    for (weight, bias), rate, key in zip(parameters, (0.5, 0.5), keys[1:]):
        x = dropout(key, (x @ weight + bias).reshape(-1, 240, 5).max(-1), rate)
    weight, bias = parameters[-1]
    return x @ weight + bias


def discriminator_cost(parameters, generator, images, latents, keys):
    fake = jax.lax.stop_gradient(generate(generator, latents))
    return (jax.nn.softplus(-decide(parameters, images, keys[0])).mean()
            + jax.nn.softplus(decide(parameters, fake, keys[1])).mean())


def generator_cost(parameters, discriminator, latents, key):
    return jax.nn.softplus(-decide(discriminator, generate(parameters, latents), key)).mean()


def adam(player, gradient, count):
    """Kingma & Ba 2015, algorithm 1; a player is its parameters and their two moments."""
    values, first, second = player
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradient)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradient)
    values = jax.tree.map(
        lambda p, m, v: p - RATE * (m / (1 - BETA1**count)) / (jnp.sqrt(v / (1 - BETA2**count)) + EPSILON),
        values, first, second)
    return values, first, second


def step(state, data, batch):
    """One alternation step; the state is given up, so that its memory is used again."""
    generator, discriminator, count, key = state
    key, pick, noise, again, real, fake, last = jax.random.split(key, 7)
    images = data[jax.random.randint(pick, (batch,), 0, data.shape[0])]
    cost, gradient = jax.value_and_grad(discriminator_cost)(discriminator[0], generator[0], images,
                                                            jax.random.normal(noise, (batch, 100)), (real, fake))
    discriminator = adam(discriminator, gradient, count)
    own, gradient = jax.value_and_grad(generator_cost)(generator[0], discriminator[0],
                                                       jax.random.normal(again, (batch, 100)), last)
    return (adam(generator, gradient, count), discriminator, count + 1, key), (cost, own)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["goodfellow-mnist"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()

    def player(values):
        return values, jax.tree.map(jnp.zeros_like, values), jax.tree.map(jnp.zeros_like, values)

    keys = jax.random.split(jax.random.key(0), 4)
    state = (player(initial(keys[0], [(100, 1200), (1200, 1200), (1200, 784)])),
             player(initial(keys[1], [(784, 1200), (240, 1200), (240, 1)])), 1.0, keys[2])
    data = jax.random.uniform(keys[3], (4096, 784))
    compiled = jax.jit(step, static_argnums=2, donate_argnums=0)
    seconds = []
    for number in range(arguments.steps + 3):
        start = time.perf_counter()
        state, costs = compiled(state, data, arguments.batch)
        jax.block_until_ready((state, costs))
        if number >= 3:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"jax": jax.__version__, "preset": arguments.preset, "ranks": 1, "batch": arguments.batch,
                      "cores": len(os.sched_getaffinity(0)),
                      "seconds_step_median": statistics.median(seconds), "seconds_step_min": min(seconds)}))


if __name__ == "__main__":
    main()
