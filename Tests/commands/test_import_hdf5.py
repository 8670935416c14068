"""gan-dist data import hdf5: arrays that other programs wrote, compared with what h5py and NumPy make of them."""

import itertools

import h5py
import numpy
import pytest

from conftest import gan_dist
from pictures import pictures

COUNTS = numpy.random.default_rng(2).integers(0, 4096, (12, 5, 4, 3))


def run_import(tmp_path, *arguments, code=0, **contents):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for name, values in contents.items():
            file[name] = values
    (tmp_path / "out.h5").unlink(missing_ok=True)
    finished = gan_dist("data", "import", "hdf5", tmp_path / "in.h5", *arguments, "--out", tmp_path / "out.h5")
    assert finished.code == code, finished
    assert (tmp_path / "out.h5").exists() == (code == 0)
    return finished


def imported(tmp_path, name="images"):
    with h5py.File(tmp_path / "out.h5") as file:
        return file[name][()], list(file[name].attrs.get("range", [])), file["labels"][()] if "labels" in file else None


TYPES = ["<i2", ">i2", "<u2", ">u4", "<i8", ">u8", "<f2", ">f4", ">f8"]
LAYOUTS = {"NHWC": (0, 1, 2, 3), "NCHW": (0, 3, 1, 2), "NCWH": (0, 3, 2, 1), "NWHC": (0, 2, 1, 3)}
LABELS = {"N by 1": numpy.arange(12)[:, None], "one-hot": numpy.eye(12), "booleans": numpy.eye(12, dtype=bool),
          "floats": numpy.arange(12.0),
          "big-endian": numpy.arange(12, dtype=">u2")}


@pytest.mark.parametrize("type, layout, labels", zip(TYPES, itertools.cycle(LAYOUTS), itertools.cycle(LABELS)))
def test_every_type_of_number_layout_and_form_of_labels(type, layout, labels, tmp_path):
    values = COUNTS.astype(type)
    # float16 makes 4096 of 4095.
    run_import(tmp_path, "--range", "0,4096", "--layout", layout, "--size", 8, "--dataset", "x", "--labels", "y",
               x=values.transpose(LAYOUTS[layout]), y=LABELS[labels])
    expected = numpy.zeros((12, 8, 8, 3), numpy.float32)
    expected[:, 1:6, 2:6] = values
    images, bounds, classes = imported(tmp_path)
    assert images.dtype == numpy.float32 and numpy.array_equal(images, expected) and bounds == [0, 4096]
    assert numpy.array_equal(classes, numpy.arange(12))


def test_bytes_and_booleans(tmp_path):
    run_import(tmp_path, images=pictures(10))
    assert numpy.array_equal(imported(tmp_path)[0], pictures(10))
    run_import(tmp_path, images=pictures(10) > 0)
    images, bounds, _ = imported(tmp_path)
    assert numpy.array_equal(images, pictures(10) > 0) and bounds == [0, 1]
    # Bytes beyond a range that was given are clipped, as other numbers are.
    few = numpy.where(numpy.arange(640).reshape(10, 8, 8, 1) % 40 == 0, 250,
                      pictures(10) % 180 + 20).astype(numpy.uint8)
    assert "clipped" in run_import(tmp_path, "--range=0,200", images=few).err
    assert numpy.array_equal(imported(tmp_path)[0], numpy.minimum(few, 200))


def test_integers_that_float32_does_not_hold(tmp_path):
    values = 2**40 + COUNTS.astype(numpy.int64)
    run_import(tmp_path, "--range", f"{2**40},{2**40 + 4095}", images=values)
    images, bounds, _ = imported(tmp_path)
    assert bounds == [0, 1] and numpy.array_equal(images, (COUNTS / 4095).astype(numpy.float32))


def test_matlab_is_not_transposed(tmp_path):
    values = (COUNTS % 256).astype(numpy.uint8)
    with h5py.File(tmp_path / "m.mat", "w", userblock_size=512) as file:
        file["images"] = values.transpose(0, 3, 2, 1)
    with open(tmp_path / "m.mat", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))
    told = gan_dist("data", "info", tmp_path / "m.mat")
    assert told.code == 65 and "MATLAB" in told.err and "--layout NCWH" in told.err, told
    finished = gan_dist("data", "import", "hdf5", tmp_path / "m.mat", "--out", tmp_path / "out.h5")
    assert finished.code == 0 and "MATLAB" in finished.err, finished
    assert numpy.array_equal(imported(tmp_path)[0], values)


def test_labels_are_not_lost_in_silence(tmp_path):
    run_import(tmp_path, "--dataset", "/images", images=pictures(12), labels=numpy.arange(12))
    assert numpy.array_equal(imported(tmp_path)[2], numpy.arange(12))
    told = run_import(tmp_path, "--dataset", "x", x=pictures(12), labels=numpy.arange(12))
    assert imported(tmp_path)[2] is None and "--labels /labels" in told.err, told


@pytest.mark.parametrize("contents, arguments, words", [
    ({"images": COUNTS.astype(numpy.uint16)}, [], ["uint16", "--range=0,4095"]),
    ({"images": (pictures(10) > 0).astype(numpy.uint8)}, [], ["--range=0,1", "--range=0,255"]),
    ({"images": numpy.where(numpy.arange(640).reshape(10, 8, 8) == 200, numpy.nan, 0.5)}, ["--range", "0,1"],
     ["nan", "example 3"]),
    ({"x": pictures(4), "y": numpy.array([[1, 0], [0, 1], [1, 1], [0, 1]])}, ["--dataset", "x", "--labels", "y"],
     ["Row 2", "one-hot"]),
    ({"x": pictures(4), "y": numpy.array([0, 1, 0.5, 1])}, ["--dataset", "x", "--labels", "y"], ["Row 2", "0.5"]),
    ({"deep/x": pictures(4)}, [], ["/deep/x [4, 8, 8, 1] uint8", "--dataset"]),
    ({"images": pictures(4)}, ["--size", 4], ["data.fit"]),
    ({"images": pictures(4)[:0]}, [], ["empty"]),
    ({"images": pictures(4).astype(complex)}, [], ["compound type", "no number"])])
def test_what_is_refused(contents, arguments, words, tmp_path):
    finished = run_import(tmp_path, *arguments, code=65, **contents)
    assert all(word in finished.err for word in words), finished


@pytest.mark.parametrize("options", [dict(compression="gzip", shuffle=True, fletcher32=True), dict(scaleoffset=0)],
                         ids=["gzip", "scaleoffset"])
def test_filters(options, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("images", data=COUNTS.astype(numpy.int32), chunks=(5, 5, 4, 3), **options)
    finished = gan_dist("data", "import", "hdf5", tmp_path / "in.h5", "--range", "0,4095", "--out", tmp_path / "out.h5")
    assert finished.code == 0, finished
    assert numpy.array_equal(imported(tmp_path)[0], COUNTS)


def test_what_the_library_cannot_decompress(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("images", data=pictures(), compression="lzf")
    for command in (["info", tmp_path / "in.h5"], ["import", "hdf5", tmp_path / "in.h5", "--out", tmp_path / "out.h5"]):
        finished = gan_dist("data", *command)
        assert finished.code == 65 and "lzf" in finished.err, finished
        assert "h5repack" not in finished.err and "h5py" in finished.err, finished
