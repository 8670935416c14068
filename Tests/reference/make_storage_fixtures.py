"""Writes Tests/StorageTests/Fixtures: small dataset files as h5py makes them, good and bad.

    python Tests/reference/make_storage_fixtures.py        (needs h5py, numpy and torch)

Value i, counted through the array in the order it is stored, is 7 i mod 256 for bytes.
"""
import os
import pathlib

import h5py
import numpy as np
import torch

folder = pathlib.Path(__file__).resolve().parents[1] / "StorageTests" / "Fixtures"
folder.mkdir(exist_ok=True)
os.chdir(folder)
for old in folder.glob("*.h5"):
    old.unlink()


def pixels(*shape):
    return (7 * np.arange(np.prod(shape)) % 256).astype("uint8").reshape(shape)


def ramp(*shape, low=0.0, high=1.0, dtype="float32"):
    return np.linspace(low, high, int(np.prod(shape))).astype(dtype).reshape(shape)


def write(name, array=None, attributes=(), path="images", **options):
    with h5py.File(name, "w") as f:
        d = f.create_dataset(path, data=array, **options)
        for key, value in dict(attributes).items():
            d.attrs[key] = value


# Good ones
write("uint8.h5", pixels(5, 4, 3, 1))
write("uint8_nhw.h5", pixels(5, 4, 3))
write("uint8_nchw.h5", pixels(3, 3, 4, 5), {"layout": "NCHW"})
write("uint8_nchw_bytes.h5", pixels(3, 3, 4, 5), {"layout": np.bytes_("NCHW"), "range": [0, 255]})
write("float_unit.h5", ramp(6, 4, 3, 1))
write("float_big_endian.h5", ramp(6, 4, 3, 1, low=-1, dtype=">f8"), chunks=(2, 4, 3, 1), compression="gzip",
      shuffle=True)
write("float_range.h5", ramp(6, 4, 3, 1, low=-50, high=150), {"range": [-50.0, 150.0]}, fletcher32=True)
write("float16.h5", ramp(6, 4, 3, 1, dtype="float16"))
write("samples.h5", ramp(6, 2, low=-3, high=8), path="samples")
write("elsewhere.h5", pixels(5, 4, 3, 1), path="train/pixels")
write("chunked.h5", pixels(100, 2, 2, 1), chunks=(7, 2, 2, 1))
with h5py.File("labels.h5", "w") as f:
    f["images"] = pixels(5, 4, 3, 1)
    f["labels"] = np.array([3, 1, 3, 0, 1], dtype="int32")
    f.attrs["name"], f.attrs["license"] = "five", "CC0-1.0"
with h5py.File("soft_link.h5", "w") as f:
    f["data/pixels"] = pixels(5, 4, 3, 1)
    f["images"] = h5py.SoftLink("/data/pixels")
images = torch.tensor(ramp(2, 6, 5, 3)) ** 2
with h5py.File("resize.h5", "w") as f:
    f["images"] = images.numpy()
    for size in [(9, 4), (3, 5), (12, 10)]:
        fitted = torch.nn.functional.interpolate(images.permute(0, 3, 1, 2), size=size, mode="bilinear",
                                                 align_corners=False)
        f[f"expected/{size[0]}x{size[1]}"] = fitted.permute(0, 2, 3, 1).contiguous().numpy()

# Bad ones
write("float_no_range.h5", ramp(6, 4, 3, 1, high=7))
write("range_reversed.h5", ramp(6, 4, 3, 1), {"range": [1.0, 0.0]})
write("outside_range.h5", np.concatenate([ramp(5, 4, 3, 1), np.full((1, 4, 3, 1), 2, "float32")]),
      {"range": [0.0, 1.0]})
bad = ramp(6, 4, 3, 1)
bad[3, 2, 1, 0] = np.nan
write("nan.h5", bad)
bad = ramp(6, 4, 3, 1)
bad[5, 0, 0, 0] = -np.inf
write("infinite.h5", bad, {"range": [0.0, 1.0]})
write("layout.h5", pixels(5, 4, 3, 1), {"layout": "CHWN"})
write("int16.h5", pixels(5, 4, 3, 1).astype("int16"))
write("int8.h5", (pixels(5, 4, 3, 1) // 2).astype("int8"))
write("boolean.h5", pixels(5, 4, 3, 1) > 100)
write("compound.h5", np.zeros((5,), dtype=[("a", "f4"), ("b", "u1")]))
write("text.h5", np.array([["a", "b"]], dtype="S3"))
write("vlen.h5", np.array([np.arange(3), np.arange(2)], dtype=object), dtype=h5py.vlen_dtype("uint8"))
write("rank1.h5", pixels(60))
write("rank5.h5", pixels(2, 2, 2, 2, 2))
write("scalar.h5", np.uint8(3))
write("no_examples.h5", shape=(0, 4, 3, 1), dtype="uint8")
write("no_space.h5", h5py.Empty("f4"))
write("zero_height.h5", shape=(3, 0, 3, 1), dtype="uint8")
write("overflow.h5", shape=(2**62, 28, 28, 1), dtype="uint8", chunks=(1, 28, 28, 1))
write("never_filled.h5", shape=(60000, 28, 28, 1), dtype="uint8", chunks=(1, 28, 28, 1))
with h5py.File("mostly_empty.h5", "w") as f:
    f.create_dataset("images", shape=(2**31, 28, 28, 1), dtype="uint8", chunks=(1, 28, 28, 1))[0] = 1
write("lzf.h5", pixels(5, 4, 3, 1), compression="lzf")
write("huge_chunk.h5", shape=(2**20, 32, 32, 3), dtype="uint8", chunks=(2**20, 32, 32, 1), compression="gzip")
with h5py.File("group.h5", "w") as f:
    f["images/a"] = pixels(5, 4, 3, 1)
with h5py.File("nothing.h5", "w") as f:
    f.attrs["name"] = "nothing"
with h5py.File("labels_wrong_count.h5", "w") as f:
    f["images"], f["labels"] = pixels(5, 4, 3, 1), np.arange(4)
with h5py.File("labels_float.h5", "w") as f:
    f["images"], f["labels"] = pixels(5, 4, 3, 1), np.arange(5.0)
with h5py.File("external_link.h5", "w") as f:
    f["images"] = h5py.ExternalLink("uint8.h5", "/images")
with h5py.File("soft_to_external.h5", "w") as f:
    f["inner/images"] = h5py.ExternalLink("uint8.h5", "/images")
    f["images"] = h5py.SoftLink("/inner/images")
with h5py.File("soft_loop.h5", "w") as f:
    f["images"] = h5py.SoftLink("/images")
with h5py.File("external_storage.h5", "w") as f:
    f.create_dataset("images", shape=(2, 4, 4, 1), dtype="uint8", external=[("/etc/passwd", 0, 32)])
layout = h5py.VirtualLayout(shape=(5, 4, 3, 1), dtype="uint8")
layout[:] = h5py.VirtualSource("uint8.h5", "images", shape=(5, 4, 3, 1))
with h5py.File("virtual.h5", "w", libver="latest") as f:
    f.create_virtual_dataset("images", layout)
