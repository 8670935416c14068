"""Arrays that NumPy saved, of every type, order and version of the format, against what NumPy itself reads."""

import io
import random
import struct
import zipfile

import h5py
import numpy
import pytest

from conftest import gan_dist

GENERATOR = numpy.random.default_rng(7)


def import_(*arguments, out, code=0):
    finished = gan_dist("data", "import", "npy", *arguments, "--out", out)
    assert finished.code == code, finished
    if code:
        assert len(finished.errors) == (0 if code == 64 else 1) and not out.exists(), finished
    assert not list(out.parent.glob(".*")), "temporary files are left"
    return finished


def stored(path):
    with h5py.File(path) as file:
        images = file["images" if "images" in file else "samples"]
        return images[()], dict(images.attrs), file["labels"][()] if "labels" in file else None


def save(path, array, version=None, fortran=False):
    with open(path, "wb") as file:
        numpy.lib.format.write_array(file, numpy.asfortranarray(array) if fortran else array, version=version)
    return path


@pytest.mark.parametrize("dtype, options, version, fortran", [
    ("|u1", [], (1, 0), False), ("|b1", [], (2, 0), True), ("<u2", ["--range", "0,4095"], (3, 0), False),
    (">u2", ["--range", "0,4095"], None, True),
    ("<i4", ["--range", "0,4095"], None, False), (">i8", ["--range", "0,4095"], None, False),
    ("|i1", ["--range=-128,127"], None, True),
    ("<f2", [], None, False), (">f4", [], None, True), ("<f8", [], None, False),
])
def test_types_byte_orders_versions_and_orders(dtype, options, version, fortran, tmp_path):
    kind = numpy.dtype(dtype).kind
    values = {"b": lambda: GENERATOR.integers(0, 2, (5, 4, 3, 2)), "f": lambda: GENERATOR.random((5, 4, 3, 2))}.get(
        kind, lambda: GENERATOR.integers(-100 if dtype == "|i1" else 0, 100 if dtype[1:] in "i1u1" else 4096,
                                         (5, 4, 3, 2)))()
    array = values.astype(dtype)
    import_(save(tmp_path / "a.npy", array, version, fortran), *options, "--layout", "NCHW", out=tmp_path / "out.h5")
    images, attributes, labels = stored(tmp_path / "out.h5")
    assert images.dtype == ("u1" if kind == "b" or dtype == "|u1" else "f4") and labels is None
    assert numpy.array_equal(images, array.transpose(0, 2, 3, 1).astype(images.dtype))
    expected = [0, 1] if kind in "fb" else [0, 255] if dtype == "|u1" else [-128, 127] if dtype == "|i1" else [0, 4095]
    assert list(attributes["range"]) == expected and attributes["layout"] == "NHWC"


@pytest.mark.parametrize("write", [numpy.savez, numpy.savez_compressed])
def test_archives_with_their_labels(write, tmp_path):
    arrays = {f"{part}_{kind}": GENERATOR.integers(0, 256, (n, 6, 6, 3)).astype("u1")
              if kind == "images" else GENERATOR.integers(0, 9, (n, 1)).astype(">u2")
              for part, n in (("train", 11), ("val", 4)) for kind in ("images", "labels")}
    write(tmp_path / "set.npz", **arrays)
    ambiguous = import_(tmp_path / "set.npz", out=tmp_path / "none.h5", code=65)
    assert all(name in ambiguous.errors[0] for name in arrays) and "--array" in ambiguous.err
    said = import_(tmp_path / "set.npz", "--array", "val_images", out=tmp_path / "val.h5")
    images, _, labels = stored(tmp_path / "val.h5")
    assert numpy.array_equal(images, arrays["val_images"]) and numpy.array_equal(labels, arrays["val_labels"][:, 0])
    assert "val_labels" in said.err and "train_images" in said.err, said
    # Several files one after another, and one-hot labels in a file of their own.
    hot = numpy.eye(3, dtype="f4")[GENERATOR.integers(0, 3, 15)]
    numpy.save(tmp_path / "hot.npy", hot)
    numpy.save(tmp_path / "more.npy", arrays["val_images"])
    write(tmp_path / "one.npz", arrays["train_images"])
    import_(tmp_path / "one.npz", tmp_path / "more.npy", "--labels", tmp_path / "hot.npy", "--size", 8,
            out=tmp_path / "all.h5")
    images, _, labels = stored(tmp_path / "all.h5")
    both = numpy.concatenate([arrays["train_images"], arrays["val_images"]])
    assert numpy.array_equal(images, numpy.pad(both, ((0, 0), (1, 1), (1, 1), (0, 0))))
    assert numpy.array_equal(labels, hot.argmax(1))
    import_(tmp_path / "set.npz", "--array", "nothing", out=tmp_path / "none.h5", code=65)


def header(text, version=1):
    encoded = text.encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(encoded)) + encoded


GOOD = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2), }\n"
BAD = {
    "objects": ("pickled", header(GOOD.replace("|u1", "|O")) + b"\x80\x04." * 9),
    "texts": ("texts", header(GOOD.replace("|u1", "<U4")) + bytes(128)),
    "complex": ("complex", header(GOOD.replace("|u1", "<c8")) + bytes(64)),
    "record": ("records", header(GOOD.replace("'|u1'", "[('a', '|u1')]")) + bytes(8)),
    "huge": ("shape", header(GOOD.replace("(2, 2, 2)", "(4294967296, 4294967296, 4294967296)")) + bytes(8)),
    "beyond": ("shape", header(GOOD.replace("(2, 2, 2)", "(99999999999999999999, 2)")) + bytes(8)),
    "negative": ("shape", header(GOOD.replace("(2, 2, 2)", "(-2, 2)")) + bytes(8)),
    "short": ("cut", header(GOOD) + bytes(7)),
    "long": ("behind", header(GOOD) + bytes(9)),
    "empty": ("shape", header(GOOD.replace("(2, 2, 2)", "(0, 2, 2)"))),
    "scalar": ("shape", header(GOOD.replace("(2, 2, 2)", "()")) + bytes(1)),
    "version": ("version", header(GOOD).replace(b"NUMPY\x01", b"NUMPY\x09") + bytes(8)),
    "header": ("header", header(GOOD)[:30]),
    "claims": ("header", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(8)),
    "python": ("understood", header("{'descr': __import__('os'), 'shape': (2,)}") + bytes(2)),
    "key": ("missing", header("{'descr': '|u1', 'shape': (2, 2)}") + bytes(4)),
    "magic": ("NumPy", b"hello, hello, hello"),
    "nothing": ("NumPy", b""),
}


def test_hostile_files_are_refused_by_name(tmp_path):
    for name, (word, content) in BAD.items():
        (tmp_path / f"{name}.npy").write_bytes(content)
        refused = import_(tmp_path / f"{name}.npy", out=tmp_path / "out.h5", code=65)
        assert word in refused.errors[0] and f"{name}.npy" in refused.errors[0], refused


def test_damaged_archives_are_refused(tmp_path):
    content = io.BytesIO()
    numpy.savez_compressed(content, images=GENERATOR.integers(0, 256, (9, 8, 8)).astype("u1"))
    content, chance = content.getvalue(), random.Random(1)
    mutants = {"cut": content[:len(content) // 2], "text": b"PK is not all"}
    # A byte of the compressed values: the checksum is wrong.
    for number in range(3):
        place = chance.randrange(100, len(content) - 150)
        mutants[f"flip{number}"] = content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1:]
    for name, mutant in mutants.items():
        (tmp_path / f"{name}.npz").write_bytes(mutant)
        assert f"{name}.npz" in import_(tmp_path / f"{name}.npz", out=tmp_path / "out.h5", code=65).errors[0]
    with zipfile.ZipFile(tmp_path / "pickle.npz", "w") as archive:
        archive.writestr("arr_0.npy", BAD["objects"][1])
    assert "pickled" in import_(tmp_path / "pickle.npz", out=tmp_path / "out.h5", code=65).errors[0]
    # Bombs: an array that unpacks to more than it claims, and one that claims more than it has.
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", header(GOOD) + bytes(20_000_000))
    import_(tmp_path / "bomb.npz", out=tmp_path / "out.h5", code=65)
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no .npy" in import_(tmp_path / "other.npz", out=tmp_path / "out.h5", code=65).errors[0]
    assert gan_dist("data", "import", "npy", tmp_path / "none.npy", "--out", tmp_path / "out.h5").code == 66


def test_zip64_and_vectors(tmp_path):
    vectors = GENERATOR.normal(size=(7, 3))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("points.npy", "w", force_zip64=True) as file:
        numpy.lib.format.write_array(file, vectors)
    import_(tmp_path / "a.npz", out=tmp_path / "out.h5")
    assert numpy.array_equal(stored(tmp_path / "out.h5")[0], vectors.astype("f4"))
