"""Reads a checkpoint of gan-dist with h5py alone and checks that it is as documented: python read_checkpoint.py FILE.h5
"""
import hashlib
import struct
import sys

import h5py
import numpy as np

path = sys.argv[1]
with h5py.File(path, "r") as f:
    text = ["format", "config", "program_version", "blas", "created"]
    numbers = ["format_version", "step", "samples_seen", "seed", "shards", "ranks"]
    for name in text:
        assert isinstance(f.attrs[name], str), f"{name} is {type(f.attrs[name])}, not text"
    for name in numbers:
        assert isinstance(f.attrs[name], np.integer), f"{name} is {type(f.attrs[name])}, not a whole number"
    assert np.isscalar(f.attrs["epoch"]), "epoch is not a number"
    assert f.attrs["format"] == "gan-dist-checkpoint", f.attrs["format"]
    assert f.attrs["format_version"] == 1, f.attrs["format_version"]
    for group in ["generator", "discriminator", "optimizer"]:
        assert isinstance(f[group], h5py.Group), f"{group} is no group"

    arrays = {}
    f.visititems(lambda name, object: arrays.update({name: object}) if isinstance(object, h5py.Dataset) else None)
    for name, array in arrays.items():
        assert array.dtype == np.dtype("<f4"), f"{name} is {array.dtype}, not float32"
        assert isinstance(array.attrs["layout"], str), f"{name} has no layout"
        groups = ("generator", "discriminator", "optimizer", "average")
        assert name.split("/")[0] in groups, f"{name} is in no known group"
        array[()]
    for network in ["generator", "discriminator"]:
        parameters = [name for name in arrays if name.startswith(network + "/") and "/statistics/" not in name]
        assert parameters, f"no parameters of the {network}"
    step = int(f.attrs["step"])

with open(path, "rb") as f:
    content = f.read()
magic, version, zero, length, digest, stored_step = struct.unpack("<8sIIQ32sQ", content[-64:])
assert magic == b"\x89GANCKP\n" and version == 1 and zero == 0, "the trailer is not as documented"
assert length == len(content) - 64 and digest == hashlib.sha256(content[:length]).digest(), "length or SHA-256 is wrong"
assert stored_step == step, "the trailer's step is another"
print("ok", len(arrays), "arrays at step", step)
