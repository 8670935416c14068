"""Datasets out of datasets: a part, two parts, several as one. What comes out is compared by h5py with what went in."""

import h5py
import numpy
import pytest

from conftest import gan_dist

GENERATOR = numpy.random.default_rng(12)


def tool(*arguments, code=0):
    finished = gan_dist("data", *arguments)
    assert finished.code == code, finished
    return finished


def write(path, count=60, dtype="u1", layout="NHWC", first=0, names=("cat", "dog", "owl"), seed=3, **options):
    """Images whose first value is their number, with all that may go with them."""
    shape = (count, 3, 6, 5) if layout == "NCHW" else (count, 6, 5, 3)
    images = numpy.random.default_rng(seed).integers(0, 200, shape).astype(dtype)
    images.reshape(count, -1)[:, 0] = numpy.arange(first, first + count)
    with h5py.File(path, "w") as file:
        images_ = file.create_dataset("images", data=images, **options)
        images_.attrs["layout"] = layout
        images_.attrs["range"] = [0.0, 255.0]
        file["labels"] = (numpy.arange(count) % 3).astype(">i2").reshape(-1, 1)
        file["latents"] = numpy.random.default_rng(seed + 1).random((count, 4), numpy.float32)
        file.attrs.update({"name": f"pets {first}", "source": "here", "license": "CC0", "deviation": 0.5,
                           "modes": numpy.arange(6.0)})
        file.attrs["label_names"] = numpy.array(names, dtype=h5py.string_dtype())
        file["notes"] = numpy.array(["a", "b"], dtype=h5py.string_dtype())
    return path


def contents(path):
    with h5py.File(path) as file:
        return ({name: item[()] for name, item in file.items()}, {name: item.dtype for name, item in file.items()},
                dict(file["images"].attrs) if "images" in file else {}, dict(file.attrs))


def assert_rows_of(part, whole, rows):
    """The arrays of `part` are the rows `rows` of those of `whole`, of the same type, with the same attributes."""
    values, types, of_images, of_root = contents(part)
    expected, expected_types, expected_images, expected_root = contents(whole)
    assert set(values) == {"images", "labels", "latents"}
    assert all(types[name] == expected_types[name] for name in values)
    for name in values:
        assert numpy.array_equal(values[name], expected[name][rows]), name
    for mine, theirs in ((of_images, expected_images), (of_root, expected_root)):
        assert set(mine) == set(theirs) and all(numpy.array_equal(mine[name], theirs[name]) for name in mine)


def numbers(path):
    """The numbers of a file's images, which are their first values."""
    with h5py.File(path) as file:
        return file["images"][()].reshape(len(file["images"]), -1)[:, 0].astype(int)


@pytest.mark.parametrize("dtype, layout, options",
                         [("u1", "NHWC", {}), (">f8", "NCHW", {"chunks": (50, 3, 6, 5), "compression": "gzip"})])
def test_subset_keeps_rows_in_order_with_all_that_goes_with_them(dtype, layout, options, tmp_path):
    whole = write(tmp_path / "whole.h5", dtype=dtype, layout=layout, **options)
    said = tool("subset", whole, "--out", tmp_path / "a.h5", "--count", 25)
    rows = numbers(tmp_path / "a.h5")
    assert len(set(rows)) == 25 and list(rows) == sorted(rows) and list(rows) != list(range(25))
    assert_rows_of(tmp_path / "a.h5", whole, rows)
    assert len(said.warnings) == 1 and "/notes" in said.warnings[0], said
    tool("subset", whole, "--out", tmp_path / "b.h5", "--count", 25)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    tool("subset", whole, "--out", tmp_path / "c.h5", "--share", 0.5, "--classes", "0,2", "--seed", 2)
    rows = numbers(tmp_path / "c.h5")
    assert len(set(rows)) == 20 and set(rows % 3) == {0, 2}
    assert_rows_of(tmp_path / "c.h5", whole, rows)


def test_split_is_disjoint_and_leaves_nothing_out(tmp_path):
    whole = write(tmp_path / "whole.h5")
    tool("split", whole, "--out", tmp_path / "a.h5", "--held-out", tmp_path / "b.h5", "--share", 0.25)
    train, held = numbers(tmp_path / "a.h5"), numbers(tmp_path / "b.h5")
    assert len(held) == 15 and sorted([*train, *held]) == list(range(60))
    for part, rows in (("a.h5", train), ("b.h5", held)):
        assert_rows_of(tmp_path / part, whole, rows)
    tool("split", whole, "--out", tmp_path / "c.h5", "--held-out", tmp_path / "d.h5", "--seed", 9)
    assert len(numbers(tmp_path / "d.h5")) == 6
    tool("split", whole, "--out", tmp_path / "e.h5", "--held-out", tmp_path / "f.h5", "--count", 60, code=65)
    tool("split", whole, "--out", tmp_path / "e.h5", "--held-out", f"{tmp_path}/./e.h5", code=73)
    assert not (tmp_path / "e.h5").exists() and not (tmp_path / "f.h5").exists()


def test_concat_is_one_after_another_and_undoes_a_cut(tmp_path):
    parts = [write(tmp_path / f"{i}.h5", count=20 + i, first=20 * i, seed=i, chunks=(20, 6, 5, 3), compression="gzip")
             for i in range(3)]
    tool("concat", *parts, "--out", tmp_path / "all.h5")
    values, types, of_images, of_root = contents(tmp_path / "all.h5")
    each = [contents(part) for part in parts]
    for name in ("images", "labels", "latents"):
        assert numpy.array_equal(values[name], numpy.concatenate([one[0][name] for one in each]))
        assert types[name] == each[0][1][name]
    assert of_root["name"] == "pets 0; pets 20; pets 40" and of_root["source"] == "here"
    assert list(of_root["label_names"]) == ["cat", "dog", "owl"]
    assert list(of_images["range"]) == [0, 255] and of_images["layout"] == "NHWC"
    # One file alone: the same examples in small chunks without compression.
    tool("concat", parts[0], "--out", tmp_path / "again.h5")
    assert_rows_of(tmp_path / "again.h5", parts[0], slice(None))
    with h5py.File(tmp_path / "again.h5") as file:
        assert file["images"].compression is None


@pytest.mark.parametrize("what, change", [
    ("the layout", lambda file: file["images"].attrs.__setitem__("layout", "NCHW")),
    ("the range", lambda file: file["images"].attrs.__setitem__("range", [0.0, 200.0])),
    ("label_names",
     lambda file: file.attrs.__setitem__("label_names", numpy.array(["dog", "cat", "owl"], dtype=h5py.string_dtype()))),
    ("/labels", lambda file: file.__delitem__("labels")),
    ("float32",
     lambda file: (file.__delitem__("images"), file.__setitem__("images", numpy.zeros((20, 6, 5, 3), "f4")))),
    ("[7, 5, 3]",
     lambda file: (file.__delitem__("images"), file.__setitem__("images", numpy.zeros((20, 7, 5, 3), "u1")))),
])
def test_files_that_differ_are_not_made_one(what, change, tmp_path):
    one, other = write(tmp_path / "one.h5", count=20), write(tmp_path / "other.h5", count=20)
    with h5py.File(other, "a") as file:
        change(file)
    refused = tool("concat", one, other, "--out", tmp_path / "out.h5", code=65)
    assert len(refused.errors) == 1 and what in refused.errors[0] and "other.h5" in refused.errors[0], refused
    assert not (tmp_path / "out.h5").exists()


def test_a_part_of_floats_means_what_the_whole_did(tmp_path):
    """Values in [−1, 1] without an attribute: a part without a negative value must not be taken for [0, 1]."""
    images = numpy.linspace(-1, 1, 40 * 64, dtype="f4").reshape(40, 8, 8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = images
        file["labels"] = numpy.arange(40) // 20
    tool("subset", tmp_path / "a.h5", "--classes", 1, "--out", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert numpy.array_equal(file["images"][()], images[20:]) and list(file["images"].attrs["range"]) == [-1, 1]


def test_wrong_requests_are_explained(tmp_path):
    whole, out = write(tmp_path / "whole.h5"), tmp_path / "out.h5"
    assert "60" in tool("subset", whole, "--count", 61, "--out", out, code=65).err
    assert "class 7" in tool("subset", whole, "--classes", "1,7", "--out", out, code=65).err
    for arguments in (["--count", 0], ["--share", 1.5], ["--classes", "1,x"], [], ["--count", 3, "--share", 0.5]):
        tool("subset", whole, *arguments, "--out", out, code=64)
    tool("subset", tmp_path / "none.h5", "--count", 3, "--out", out, code=66)
    assert not out.exists()
    out.write_text("mine")
    tool("concat", whole, "--out", out, code=73)
    assert out.read_text() == "mine"


@pytest.mark.parametrize("dtype, classes", [("u1", 10), ("f4", 4)])
def test_stacked_images_are_grey_ones_as_channels(dtype, classes, tmp_path):
    images = numpy.random.default_rng(6).integers(1, 200, (30, 5, 4, 1)).astype(dtype)
    labels = numpy.arange(30) % classes
    with h5py.File(tmp_path / "grey.h5", "w") as file:
        file["images"], file["labels"] = images, labels
        file["images"].attrs["range"] = [0.0, 255.0]
        file.attrs["name"] = "digits"
    stack = ("stack", tmp_path / "grey.h5", "--channels", 3, "--count", 400)
    tool(*stack, "--seed", 2, "--out", tmp_path / "stacked.h5")
    values, types, of_images, of_root = contents(tmp_path / "stacked.h5")
    stacked = values["images"]
    assert stacked.shape == (400, 5, 4, 3) and types["images"] == dtype and list(of_images["range"]) == [0, 255]
    assert of_root["name"] == "3 of digits"
    known = {image.tobytes(): number for number, image in enumerate(images[..., 0])}
    chosen = numpy.array([[known[image[..., channel].tobytes()] for channel in range(3)] for image in stacked])
    assert numpy.array_equal(values["labels"], labels[chosen] @ (classes ** numpy.arange(3)[::-1]))
    assert all(set(chosen[:, channel]) == set(range(30)) for channel in range(3))
    assert not numpy.array_equal(chosen[:, 0], chosen[:, 1])
    # The seed alone decides; a shorter file is the start of a longer one.
    tool(*stack[:-1], 50, "--seed", 2, "--out", tmp_path / "short.h5")
    tool(*stack, "--seed", 3, "--out", tmp_path / "other.h5")
    assert numpy.array_equal(contents(tmp_path / "short.h5")[0]["images"], stacked[:50])
    assert not numpy.array_equal(contents(tmp_path / "other.h5")[0]["images"], stacked)


def test_what_cannot_be_stacked_is_refused(tmp_path):
    write(tmp_path / "colour.h5")
    refused = tool("stack", tmp_path / "colour.h5", "--out", tmp_path / "out.h5", code=65)
    assert "[6, 5, 3]" in refused.err and "grey" in refused.err, refused
    tool("stack", tmp_path / "nothing.h5", "--out", tmp_path / "out.h5", code=66)
    tool("stack", tmp_path / "colour.h5", "--channels", 1, "--out", tmp_path / "out.h5", code=64)
    with h5py.File(tmp_path / "grey.h5", "w") as file:
        file["images"], file["labels"] = numpy.zeros((4, 3, 3), "u1"), numpy.array([0, 1, -2, 3])
    assert "-2" in tool("stack", tmp_path / "grey.h5", "--out", tmp_path / "out.h5", code=65).err
    assert not (tmp_path / "out.h5").exists()
