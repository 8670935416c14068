#!/usr/bin/env python3
"""Writes Tests/NetsTests/Fixtures/optimisers.{json,f32}: updates of parameters and spectral normalisation, by PyTorch.

    python3 Tests/reference/make_optimiser_fixtures.py        (needs torch and numpy)

The form of the files and the layouts are those of make_layer_fixtures.py; all computing is in float64.
"""
import json
import pathlib

import numpy as np
import torch

torch.manual_seed(20170310)
torch.set_default_dtype(torch.float64)
STEPS, COUNT = 20, 37
cases: dict[str, dict[str, np.ndarray]] = {}


def draw(*shape):
    """Normal values that float32 holds exactly."""
    return torch.randn(*shape).float().double()


def wide(*shape):
    """Gradients of many sizes: some so small that ε counts, some so large that nothing else does."""
    return (torch.randn(*shape) * 10 ** (torch.rand(*shape) * 9 - 7)).float().double()


def optimise(name, make, clip_norm=None, clip_weights=None, before=lambda optimiser, step: None, gradients=wide):
    start, gradients = draw(COUNT), gradients(STEPS, COUNT)
    value = start.clone().requires_grad_()
    optimiser = make([value])
    after = []
    for step, gradient in enumerate(gradients):
        value.grad = gradient.clone()
        before(optimiser, step)
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_([value], clip_norm)
        optimiser.step()
        if clip_weights is not None:
            with torch.no_grad():
                value.clamp_(-clip_weights, clip_weights)
        after.append(value.detach().clone())
    cases[name] = {"start": start.numpy(), "gradients": gradients.numpy(), "after": torch.stack(after).numpy()}


def set_beta2(optimiser, step):
    """0.9 → 0.99 in a straight line over 10 steps; PyTorch corrects the bias by the β₂ of the step at hand."""
    optimiser.param_groups[0]["betas"] = (0.5, 0.9 + 0.09 * min(step / 10, 1))


def warm_up(optimiser, step):
    """Over 4 steps to 0.01, then half a cosine down to 0.001 over 10."""
    t = min(max(step - 4, 0) / 10, 1)
    optimiser.param_groups[0]["lr"] = 0.01 * step / 4 if step < 4 else 0.001 + 0.009 * (1 + np.cos(np.pi * t)) / 2


optimise("rmsprop", lambda p: torch.optim.RMSprop(p, lr=1e-2, alpha=0.99, eps=1e-8))
optimise("adamw", lambda p: torch.optim.AdamW(p, lr=1e-2, betas=(0.5, 0.999), eps=1e-8, weight_decay=0.1))
optimise("adam, β₂ by schedule", lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.5, 0.9), eps=1e-8), before=set_beta2)
optimise("adam, warm-up and cosine", lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.5, 0.999), eps=1e-8),
         before=warm_up)
# Norms about 6 times √37 on both sides of the bound.
optimise("descent, norm clipped", lambda p: torch.optim.SGD(p, lr=0.1), clip_norm=4.0,
         gradients=lambda *shape: draw(*shape) * torch.logspace(-1, 1, shape[0]).float().double()[:, None])
optimise("adam, norm clipped", lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.5, 0.999), eps=1e-8), clip_norm=1.0)
optimise("rmsprop, weights clipped", lambda p: torch.optim.RMSprop(p, lr=5e-3), clip_weights=0.05)


def spectral(name, module, layout):
    """One pass in training with torch.nn.utils.spectral_norm, which has Miyato's order of u and v. `layout`: of O, I, H
    and W."""
    weight = draw(*module.weight.shape) * 0.3
    with torch.no_grad():
        module.weight.copy_(weight)
    module = torch.nn.utils.spectral_norm(module)
    for vector in (module.weight_u, module.weight_v):
        vector.copy_((vector / vector.norm()).float())
    outputs_first = weight if not isinstance(module, torch.nn.ConvTranspose2d) else weight.transpose(0, 1)
    rest = outputs_first.shape[1:]

    def ours(tensor):
        """[out, …] as PyTorch has it after the outputs were moved to the front, in our layout."""
        return tensor.permute(layout).contiguous().numpy().copy()

    def v():
        """The rest as I, H, W becomes H, W, I."""
        return module.weight_v.reshape(rest).permute(*range(1, len(rest)), 0).reshape(-1).numpy().copy()

    arrays = {"weight": ours(outputs_first), "u": module.weight_u.numpy().copy(), "v": v()}
    # The hook computes `weight` as the module is called.
    inputs = draw(2, rest[0], *([4, 4] if len(rest) == 3 else []))
    module.train()
    module(inputs)
    effective = module.weight
    gradient = draw(*effective.shape)
    effective.backward(gradient)
    to_front = (lambda t: t.transpose(0, 1)) if isinstance(module, torch.nn.ConvTranspose2d) else (lambda t: t)
    matrix = outputs_first.reshape(outputs_first.shape[0], -1)
    arrays |= {
        "after.u": module.weight_u.numpy().copy(), "after.v": v(), "effective": ours(to_front(effective.detach())),
        "gradient": ours(to_front(gradient)), "weightGradient": ours(to_front(module.weight_orig.grad)),
        "sigma": np.array([(weight / effective.detach()).flatten()[0].item()]),
        "largest": np.linalg.svd(matrix.numpy(), compute_uv=False)[:1]}
    cases[name] = arrays


spectral("spectral dense", torch.nn.Linear(13, 9, bias=False), (1, 0))
spectral("spectral dense to one", torch.nn.Linear(70, 1, bias=False), (1, 0))
spectral("spectral dense wide", torch.nn.Linear(90, 41, bias=False), (1, 0))
spectral("spectral convolution", torch.nn.Conv2d(5, 11, (3, 4), bias=False), (2, 3, 1, 0))
spectral("spectral transposed convolution", torch.nn.ConvTranspose2d(12, 7, (4, 2), bias=False), (2, 3, 0, 1))

folder = pathlib.Path(__file__).parent.parent / "NetsTests" / "Fixtures"
index, values, count = {}, [], 0
for case, arrays in cases.items():
    index[case] = {}
    for name, array in arrays.items():
        index[case][name] = {"start": count, "dimensions": list(array.shape)}
        values.append(array.astype("<f4").ravel())
        count += array.size
np.concatenate(values).tofile(folder / "optimisers.f32")
(folder / "optimisers.json").write_text(json.dumps({"torch": torch.__version__, "cases": index}, indent=0) + "\n")
print(f"{len(cases)} cases, {4 * count} bytes")
