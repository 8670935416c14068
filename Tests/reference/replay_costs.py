"""The costs of a traced run in PyTorch, of logits of the whole minibatch: see replay_trace.py."""

import sys

import torch
import torch.nn.functional as F

from replay_moves import value_at
from replay_network import tensor

RELATIVISTIC = ("relativistic", "relativisticAverage")


def discriminator_costs(objective, real, fake, progress):
    """Mean costs of both halves; of a relativistic objective the whole cost, and 0."""
    match objective.get("loss", "standard"):
        case "standard":
            smoothing = value_at(objective.get("label_smoothing") or 0, progress)
            on_real = (1 - smoothing) * F.softplus(-real) + smoothing * F.softplus(real)
            return on_real.mean(), F.softplus(fake).mean()
        case "leastSquares":
            return (real - 1).square().mean() / 2, fake.square().mean() / 2
        case "hinge":
            return F.relu(1 - real).mean(), F.relu(1 + fake).mean()
        case "wasserstein":
            return -real.mean(), fake.mean()
        case "relativistic":
            return F.softplus(fake - real).mean(), torch.zeros(())
        case "relativisticAverage":
            on_real, on_fake = F.softplus(-(real - fake.mean())), F.softplus(fake - real.mean())
            return on_real.mean() + on_fake.mean(), torch.zeros(())
    sys.exit(f"this program knows no objective '{objective['loss']}'")


def discriminator_weight(objective):
    is_mean = objective.get("loss", "standard") not in RELATIVISTIC and objective.get("discriminator") == "mean"
    return 0.5 if is_mean else 1


def generator_cost(objective, real, fake):
    """`real`: logits for a relativistic objective."""
    match objective.get("loss", "standard"):
        case "standard":
            return standard_generator_cost(objective["generator"], fake).mean()
        case "leastSquares":
            return (fake - 1).square().mean() / 2
        case "hinge" | "wasserstein":
            return -fake.mean()
        case "relativistic":
            return F.softplus(real - fake).mean()
        case "relativisticAverage":
            return (F.softplus(real - fake.mean()) + F.softplus(-(fake - real.mean()))).mean()
    sys.exit(f"this program knows no objective '{objective['loss']}'")


def standard_generator_cost(kind, logits):
    match kind:
        case "nonSaturating":
            return F.softplus(-logits)
        case "minimax":
            return -F.softplus(logits)
        case "maximumLikelihood":
            return -torch.exp(logits)
        case "reverseKL":
            return -logits
    sys.exit(f"this program knows no generator's cost '{kind}'")


class LeCam:
    """Tseng et al. 2021, with averages of the mean logits that have taken in the minibatch at hand."""

    def __init__(self, settings):
        self.settings, self.averages = settings, None

    def __call__(self, real, fake, progress):
        means, decay = torch.stack([real.detach().mean(), fake.detach().mean()]), self.settings["decay"]
        self.averages = means if self.averages is None else decay * self.averages + (1 - decay) * means
        of_real, of_fake = self.averages
        cost = F.relu(real - of_fake).square().mean() + F.relu(of_real - fake).square().mean()
        return value_at(self.settings["weight"], progress) * cost


# By the kind of a penalty: the name of the rows that it looks at, as the trace has it.
PLACES = {"r1": "real", "r2": "fake", "gradientPenalty": "between", "dragan": "around"}


def active(penalties, progress):
    """Those of an update, by their place."""
    return {PLACES[penalty["kind"]]: penalty for penalty in penalties
            if penalty["kind"] in PLACES and progress.updates % penalty.get("every", 1) == 0}


def between(draws, real, fake):
    """x̂ = εx + (1 − ε)y, one ε a row."""
    share = tensor(draws["interpolation"][()]).reshape(-1, *[1] * (real.dim() - 1))
    return share * real + (1 - share) * fake


def around(draws, real, deviation):
    """x + α · ½ · deviation · β, one α a row and one β a value."""
    share = tensor(draws["perturbation"][()]).reshape(-1, *[1] * (real.dim() - 1))
    return real + share * deviation / 2 * tensor(draws["perturbation_direction"][()]).reshape(real.shape)


def penalty_cost(penalty, squares, progress):
    """The mean over all rows, without the factor of a penalty that is taken at some updates only."""
    if penalty["kind"] in ("r1", "r2"):
        return value_at(penalty["gamma"], progress) / 2 * squares.mean()
    # The root has no slope at 0: it is taken for 0 there.
    norms = torch.where(squares > 0, squares, 1).sqrt() * (squares > 0)
    return value_at(penalty["weight"], progress) * (norms - penalty.get("target", 1)).square().mean()
