#!/usr/bin/env python3
"""Writes Tests/NetsTests/Fixtures/conditions.{json,f32}: layers that look at the class of each example or at a vector
beside it, and penalties through them, by PyTorch.

    python3 Tests/reference/make_condition_fixtures.py        (needs torch and numpy)

Files, layouts and precision are as make_layer_fixtures.py describes them. `conditions` are the numbers of classes [N],
or vectors [N, K]; an embedding is torch.nn.functional.embedding of classes, and a product of vectors.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(20180213)
torch.set_default_dtype(torch.float64)
cases: dict[str, dict[str, np.ndarray]] = {}


def draw(*shape, scale=1.0):
    """Normal values that float32 holds exactly."""
    return (torch.randn(*shape) * scale).float().double()


def classes(*numbers):
    return torch.tensor(numbers)


def embed(table, conditions):
    return conditions @ table if conditions.is_floating_point() else F.embedding(conditions, table)


def join(x, values):
    """To a vector, or to every pixel of an image with its channels last."""
    if x.dim() == 4:
        values = values[:, None, None, :].expand(-1, x.shape[1], x.shape[2], -1)
    return torch.cat([x, values], -1)


def projection(x, weight, table, bias, conditions):
    return x @ weight + (embed(table, conditions) * x).sum(1, keepdim=True) + bias


def batch_normalisation(x, scale, shift, conditions, running):
    """Over all axes but the last, in training; `running` is updated in place."""
    last = x.dim() - 1
    normalised = F.batch_norm(x.movedim(last, 1), *running, training=True).movedim(1, last)
    shape = (len(x), *[1] * (last - 1), x.shape[-1])
    return embed(scale, conditions).view(shape) * normalised + embed(shift, conditions).view(shape)


def save(name, arrays):
    cases[name] = {key: value.detach().numpy().copy() for key, value in arrays.items()}


def record(name, function, x, conditions, parameters, **more):
    """Stores what goes in, what comes out, and the gradients of Σ output · outputGradient."""
    x.requires_grad_()
    for value in parameters.values():
        value.requires_grad_()
    output = function(x, *parameters.values())
    gradient = draw(*output.shape)
    output.backward(gradient)
    arrays = {"input": x, "conditions": conditions.double(), "output": output, "outputGradient": gradient,
              "inputGradient": x.grad, **more}
    arrays |= parameters | {key + ".gradient": value.grad for key, value in parameters.items()}
    save(name, arrays)


FOUR = classes(2, 0, 2, 4)
VECTORS = draw(4, 3)
record("embedding", lambda x, e: join(x, embed(e, FOUR)), draw(4, 5), FOUR, {"embedding": draw(5, 3)})
record("embedding of images", lambda x, e: join(x, embed(e, FOUR)), draw(4, 2, 3, 2), FOUR, {"embedding": draw(5, 3)})
record("embedding by vectors", lambda x, e: join(x, embed(e, VECTORS)), draw(4, 3, 2, 9), VECTORS,
       {"embedding": draw(3, 10)})
record("joined classes", lambda x: join(x, F.one_hot(FOUR, 5).double()), draw(4, 3, 2, 2), FOUR, {})
record("joined vectors", lambda x: join(x, VECTORS), draw(4, 6), VECTORS, {})
record("projection", lambda x, w, e, b: projection(x, w, e, b, FOUR), draw(4, 21), FOUR,
       {"weight": draw(21, 1), "embedding": draw(5, 21), "bias": draw(1)})
record("projection by vectors", lambda x, w, e, b: projection(x, w, e, b, VECTORS), draw(4, 7), VECTORS,
       {"weight": draw(7, 1), "embedding": draw(3, 7), "bias": draw(1)})
for name, shape, conditions in [("images", (4, 3, 2, 10), FOUR),
                                ("vectors", (9, 5), classes(1, 1, 0, 2, 1, 0, 0, 2, 1))]:
    running = draw(shape[-1]), draw(shape[-1]).abs()
    before = {"mean": running[0].clone(), "variance": running[1].clone()}
    parameters = {"scale": draw(5, shape[-1]), "shift": draw(5, shape[-1])}
    x = draw(*shape)
    record("conditional batch normalisation of " + name,
           lambda x, scale, shift: batch_normalisation(x, scale, shift, conditions, running), x, conditions, parameters,
           **before)
    case = cases["conditional batch normalisation of " + name]
    case["mean.after"], case["variance.after"] = running[0].numpy().copy(), running[1].numpy().copy()
    flat = (x - running[0]) / (running[1] + 1e-5).sqrt()
    view = (len(x), *[1] * (len(shape) - 2), shape[-1])
    case["sampled"] = (embed(parameters["scale"], conditions).view(view) * flat
                       + embed(parameters["shift"], conditions).view(view)).detach().numpy()


def penalise(name, discriminator, x, conditions, parameters):
    """As make_penalty_fixtures.py: mean softplus(-s_i) + R1, differentiated twice."""
    for value in (x, *parameters.values()):
        value.requires_grad_()
    logits = discriminator(x, *parameters.values())
    slopes, = torch.autograd.grad(F.softplus(-logits).mean(), logits, retain_graph=True)
    gradients, = torch.autograd.grad(logits.sum(), x, create_graph=True)
    cost = F.softplus(-logits).mean() + 0.7 / 2 * gradients.flatten(1).square().sum(1).mean()
    found = torch.autograd.grad(cost, list(parameters.values()), retain_graph=True)
    arrays = {"input": x, "conditions": conditions.double(), "logits": logits, "slopes": slopes,
              "inputGradient": gradients, **parameters}
    save(name, arrays | {f"{key}.r1": value for key, value in zip(parameters, found)})


def of_images(x, table, kernel, bias, weight, hidden, w, e, b):
    x = join(x, embed(table, FOUR)).permute(0, 3, 1, 2)
    x = torch.tanh(F.conv2d(F.pad(x, (1, 1, 1, 1)), kernel.permute(3, 2, 0, 1).contiguous(), bias).permute(0, 2, 3, 1))
    return projection(F.softplus(x.flatten(1) @ weight + hidden), w, e, b, FOUR)


penalise("penalty of classes", of_images, draw(4, 4, 3, 2), FOUR, {
    "0.embedding/embedding": draw(5, 3), "1.convolution/weight": draw(3, 3, 5, 4, scale=0.2),
    "1.convolution/bias": draw(4), "4.dense/weight": draw(48, 9, scale=0.2), "4.dense/bias": draw(9),
    "6.projection/weight": draw(9, 1), "6.projection/embedding": draw(5, 9), "6.projection/bias": draw(1)})


def of_vectors(x, weight, bias, table, second, hidden, w, e, b):
    x = join(join(torch.sigmoid(x @ weight + bias), embed(table, VECTORS)), VECTORS)
    return projection(torch.tanh(x @ second + hidden), w, e, b, VECTORS)


penalise("penalty of vectors", of_vectors, draw(4, 6), VECTORS, {
    "0.dense/weight": draw(6, 8), "0.dense/bias": draw(8), "2.embedding/embedding": draw(3, 4),
    "4.dense/weight": draw(15, 7, scale=0.3), "4.dense/bias": draw(7), "6.projection/weight": draw(7, 1),
    "6.projection/embedding": draw(3, 7), "6.projection/bias": draw(1)})

folder = pathlib.Path(__file__).parent.parent / "NetsTests" / "Fixtures"
index, values, count = {}, [], 0
for case, arrays in cases.items():
    index[case] = {}
    for name, array in arrays.items():
        index[case][name] = {"start": count, "dimensions": list(array.shape)}
        values.append(array.astype("<f4").ravel())
        count += array.size
np.concatenate(values).tofile(folder / "conditions.f32")
(folder / "conditions.json").write_text(json.dumps({"torch": torch.__version__, "cases": index}, indent=0) + "\n")
print(f"{len(cases)} cases, {4 * count} bytes")
