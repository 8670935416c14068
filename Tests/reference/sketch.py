"""Distances between vectors too long to commit, from short sketches of them.

The sketch of x adds every value, with a random sign, to one of 1024 sums: a fixed linear map that keeps a vector's
length within a few per cent (the variance of the squared length is 2/1024 of its square; Charikar, Chen and
Farach-Colton 2002). So the length of x − y is that of the difference of their sketches.
"""

import numpy

SUMS = 1024


def sketch(values):
    choices = numpy.random.Generator(numpy.random.Philox(SUMS))
    sums = choices.integers(0, SUMS, values.size)
    signs = 1.0 - 2.0 * choices.integers(0, 2, values.size)
    return numpy.bincount(sums, weights=signs * values.astype(numpy.float64), minlength=SUMS)


def distance(values, expected):
    """|x − y| / |y|, of two vectors or of their sketches."""
    apart = numpy.linalg.norm(numpy.subtract(values, expected, dtype=numpy.float64))
    # Both are all zeros where every hinge is past its corner; an x beside a y of zeros is infinitely far.
    return float(apart / numpy.linalg.norm(expected)) if apart else 0.0


def vectors(arrays, step):
    """One step's results, of a trace or of a replay, as long vectors: its losses, and of each player the gradients and
    the parameters after it."""
    path = f"steps/{step:06d}/"
    of_step = {name.removeprefix(path): arrays[name] for name in sorted(arrays) if name.startswith(path)}
    kinds = {
        "losses": lambda name: name.rpartition("/")[2].startswith("loss"),
        "gradients of the discriminator": lambda name: name.startswith("discriminator/") and "/gradients/" in name,
        "gradients of the generator": lambda name: name.startswith("generator/gradients/"),
        "running statistics": lambda name: "/statistics/" in name,
    }
    for network in "encoder", "decoder":
        kinds[f"gradients of the {network}"] = lambda name, network=network: f"/gradients/{network}/" in name
    for network in "discriminator", "generator", "encoder", "decoder":
        kinds[network] = (lambda name, network=network: name.startswith(f"after/{network}/")
                          and "/statistics/" not in name)
    chosen = {kind: [numpy.ravel(value) for name, value in of_step.items() if belongs(name)]
              for kind, belongs in kinds.items()}
    return {kind: numpy.concatenate(parts) for kind, parts in chosen.items() if parts}


def limit(kind, theirs):
    """How far gan-dist may be from PyTorch's float64, given the distances of PyTorch's own float32 in this step and
    those before.

    Where rounding is not amplified: 1e-5 for losses, 1e-4 for parameters and running statistics; for gradients 3e-3,
    because a few units whose leaky ReLU or maxout goes the other way make that much. Later not farther than a float32
    program comes: the distances of two such programs are draws of the same kind, those of the few losses more widely
    spread than those of long vectors.
    """
    if kind == "losses":
        return max(1e-5, 5 * max(theirs))
    return max(3e-3 if kind.startswith("gradients") else 1e-4, 2.5 * max(theirs))
