"""How the parameters of a traced run move, and what follows them, in PyTorch: see replay_trace.py."""

import collections
import math

import torch

# Before an update: steps and epochs that are complete, real examples read, earlier updates of the same network.
Progress = collections.namedtuple("Progress", "steps epochs examples updates")


def value_at(setting, progress):
    """A number of the configuration, or what its schedule makes of it."""
    if not isinstance(setting, dict):
        return setting
    if "schedule" in setting:
        return scheduled(setting, getattr(progress, setting.get("unit", "steps")))
    if "decay" in setting:
        return max(setting["initial"] / setting["decay"] ** progress.updates, setting.get("floor", 0))
    if "steps" in setting:
        part = min(progress.updates / setting["steps"], 1)
        return setting["initial"] + (setting["final"] - setting["initial"]) * part
    # Momentum, as in the code of Goodfellow et al. 2014: `from` in epochs 0 and 1.
    part = (progress.epochs - 1) / max(setting["epochs"] - 1, 1e-9)
    return setting["from"] + (setting["to"] - setting["from"]) * min(max(part, 0), 1)


def scheduled(setting, time):
    start = setting.get("warmup", 0)
    if time < start:
        return course(setting, 0) * time / start
    return course(setting, time - start)


def course(setting, time):
    if setting["schedule"] == "constant":
        return setting["value"]
    first, last, part = setting["from"], setting["to"], min(time / setting["over"], 1)
    match setting["schedule"]:
        case "linear":
            return (1 - part) * first + part * last
        case "exponential":
            return first ** (1 - part) * last**part
        case "cosine":
            return last + (first - last) * (1 + math.cos(math.pi * part)) / 2


class Optimiser:
    """PyTorch's Adam, AdamW and RMSprop; optimistic Adam around the first; SGD with the rate inside the velocity
    (v ← μv − λg, p ← p + v), which torch.optim does not have. Before it PyTorch's clipping of gradients, after it that
    of parameters."""

    def __init__(self, settings, network):
        self.settings, self.network = settings, network
        self.previous = {name: 0 for name in network.parameters}
        self.velocity = {name: 0 for name in network.parameters}
        self.clip = settings.get("clip") or {}
        parameters, epsilon = list(network.parameters.values()), settings.get("epsilon", 1e-8)
        match settings["kind"]:
            case "adam" | "optimisticAdam":
                self.inner = torch.optim.Adam(parameters, eps=epsilon)
            case "adamw":
                self.inner = torch.optim.AdamW(parameters, eps=epsilon, weight_decay=settings["weight_decay"])
            case "rmsprop":
                self.inner = torch.optim.RMSprop(parameters, alpha=settings["alpha"], eps=epsilon)
            case _:
                self.inner = None

    def rate(self, progress):
        return value_at(self.settings["rate"], progress)

    def step(self, gradients, progress):
        parameters = self.network.parameters
        for name, value in parameters.items():
            value.grad = gradients[name].clone()
        if self.clip.get("norm"):
            torch.nn.utils.clip_grad_norm_(parameters.values(), self.clip["norm"])
        before = {name: value.detach().clone() for name, value in parameters.items()}
        if self.inner is None:
            self.descend(progress)
        else:
            group = self.inner.param_groups[0]
            group["lr"] = self.rate(progress)
            if "betas" in group:
                group["betas"] = self.settings["beta1"], value_at(self.settings["beta2"], progress)
            self.inner.step()
        if self.settings["kind"] == "optimisticAdam":
            self.look_back(before)
        if self.clip.get("weights"):
            with torch.no_grad():
                for value in parameters.values():
                    value.clamp_(-self.clip["weights"], self.clip["weights"])

    @torch.no_grad()
    def descend(self, progress):
        momentum = value_at(self.settings.get("momentum", 0), progress)
        for name, value in self.network.parameters.items():
            self.velocity[name] = momentum * self.velocity[name] - self.rate(progress) * value.grad
            value += self.velocity[name]

    @torch.no_grad()
    def look_back(self, before):
        """Daskalakis et al. 2018: Adam's step twice, and the step of the update before taken back."""
        for name, value in self.network.parameters.items():
            step = before[name] - value
            value.copy_(before[name] - 2 * step + self.previous[name])
            self.previous[name] = step


class Average:
    """w̄ ← β w̄ + (1 − β) w, of what the network computes with."""

    def __init__(self, settings, network, batch):
        self.settings, self.network, self.batch = settings, network, batch
        self.values = {name: value.detach().clone() for name, value in network.effective().items()}

    def follow(self, progress):
        half_life = value_at(self.settings["half_life"], progress)
        if self.settings.get("ramp") is not None:
            half_life = min(half_life, self.settings["ramp"] * self.batch * progress.updates)
        keep = 0.5 ** (self.batch / half_life) if half_life > 0 else 0
        for name, value in self.network.effective().items():
            self.values[name] = keep * self.values[name] + (1 - keep) * value.detach()
