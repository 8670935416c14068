"""Parameters that `gan-dist export --format safetensors` wrote, as the state of a PyTorch network of the same layers,
numbered alike; a residual is a module whose `body` and `skip` are its lists."""

import safetensors
import torch


def state(path, network):
    orders = {"IO": (1, 0), "HWIO": (3, 2, 0, 1), "HWOI": (3, 2, 0, 1), "HWC": (2, 0, 1), "C": (0,)}
    names = {"weight": "weight", "bias": "bias", "scale": "weight", "shift": "bias", "mean": "running_mean",
             "variance": "running_var"}
    with safetensors.safe_open(path, "pt") as file:
        found = {}
        for key in (key for key in file.keys() if key.startswith(network + "/")):
            *layer, name = key.replace("/statistics/", "/").split("/")[1:]
            module = ".".join(part.split(".")[0] for part in layer)
            found[f"{module}.{names.get(name, name)}"] = file.get_tensor(key).permute(orders[file.metadata()[key]])
        return found
