"""Which stored values are black and white: said, decided by data.range, and never guessed where the guess leaves most
of it empty."""

import re
import subprocess
import sys

import h5py
import numpy
import pytest

from conftest import CONFIGS, arrays, gan_dist, resume, train
from pictures import pictures

REAL = "steps/000000/discriminator/0/real"


def floats(low=0.0, high=1.0, shape=(100, 8, 8, 1)):
    values = numpy.random.default_rng(5).random(shape)
    return (low + (high - low) * (values - values.min()) / (values.max() - values.min())).astype(numpy.float32)


def with_values(images, *values):
    images = images.copy()
    images.flat[:len(values)] = values
    return images


def write(path, images, name="images", labels=None, **attributes):
    with h5py.File(path, "w") as file:
        file[name] = images
        file[name].attrs.update(attributes)
        if labels is not None:
            file["labels"] = labels
    return path


def seen(tmp_path, images, *arguments, **attributes):
    """What the discriminator saw of the first minibatch, beside the stored values, and the command."""
    path, trace = write(tmp_path / "data.h5", images, **attributes), tmp_path / "trace.h5"
    finished = train("dense", tmp_path / "run", "--data", path, "--steps", 1, "--trace", trace, *arguments)
    step = arrays(trace)
    stored = images[step["steps/000000/discriminator/0/real_index"]].astype(numpy.float64)
    return stored.reshape(len(stored), -1), step[REAL].reshape(len(stored), -1), finished


# What is not guessed → what the message must hold: the values, and a command that decides.
REFUSED = {
    "masks": (pictures() > 0).astype(numpy.uint8),
    "a few negatives": with_values(floats(), -0.3, -0.01),
    "one at minus one": with_values(floats(), -1.0),
    "a hundredth": floats(0, 0.01),
    "centred halves": floats(-0.5, 0.5),
    "standardised": floats(-1.7, 1.7),
    "sixteen": numpy.round(floats(0, 16)),
    "constant": numpy.full((100, 8, 8, 1), 0.7, numpy.float32),
    "uint16": numpy.round(floats(0, 4000)).astype(numpy.uint16),
}


def test_what_is_not_guessed(tmp_path):
    for kind, images in REFUSED.items():
        path = write(tmp_path / "data.h5", images)
        info = gan_dist("data", "info", path)
        assert info.code == 0 and "range    not known: /images in" in info.out, (kind, info)
        assert "data.range" in info.out and "astype" not in info.out, (kind, info)
    for kind in ("masks", "a few negatives"):
        path = write(tmp_path / "data.h5", REFUSED[kind])
        finished = train("dense", tmp_path / "run", "--data", path, "--steps", 1, code=65)
        assert len(finished.errors) == 1 and "data.h5" in finished.err, finished
        assert "--set 'data.range=[" in finished.err, finished


@pytest.mark.parametrize("kind", ["a few negatives", "sixteen"])
def test_the_attribute_that_is_advised_is_taken(kind, tmp_path):
    path = write(tmp_path / "data.h5", REFUSED[kind])
    advice = re.search(r'f\["/images"\]\.attrs\["range"\] = \[([^\]]*)\]', gan_dist("data", "info", path).out)
    with h5py.File(path, "a") as file:
        file["images"].attrs["range"] = [float(end) for end in advice[1].split(",")]
    assert "by the file's attribute" in gan_dist("data", "info", path).out


@pytest.mark.parametrize("images, bounds", [
    (with_values(floats(), 1.0000001, -1e-7), (0, 1)), (with_values(floats(-1, 1), 1.0000002), (-1, 1)),
    (with_values(floats(), 1.0009765625).astype(numpy.float16), (0, 1))], ids=["unit", "symmetric", "float16"])
def test_overshoot_by_rounding_is_clipped(images, bounds, tmp_path):
    stored, real, finished = seen(tmp_path, images)
    assert len(finished.warnings) == 1 and "clipped" in finished.warnings[0], finished
    expected = (numpy.clip(stored, *bounds) - bounds[0]) / (bounds[1] - bounds[0])
    assert numpy.allclose(real, expected, atol=1e-6) and real.min() >= 0 and real.max() <= 1
    # The run keeps its range, and goes on with it.
    assert f"range: [{float(bounds[0])}, {float(bounds[1])}]" in (tmp_path / "run/config.yaml").read_text()
    if bounds[0] < 0:
        return
    again = resume(tmp_path / "run", "--steps", 2)
    assert "as given (data.range)" in again.out, again
    kept = gan_dist("train", "--run", tmp_path / "run", "--resume", "auto", "--steps", 3, "--set", "data.range=null")
    assert kept.code == 0 and f"[{bounds[0]}, {bounds[1]}] as given (data.range)" in kept.out, kept
    contradicting = gan_dist("train", "--run", tmp_path / "run", "--resume", "auto", "--steps", 4,
                             "--set", "data.range=[0,2]")
    assert contradicting.code == 78 and "data.range" in contradicting.err, contradicting


@pytest.mark.parametrize("images, given, attributes", [
    (REFUSED["masks"], (0, 1), {}), (REFUSED["uint16"], (0, 4095), {}), (REFUSED["a few negatives"], (0, 1), {}),
    (floats(0, 16), (0, 16), {"range": [0.0, 255.0]})], ids=["masks", "uint16", "negatives", "over the attribute"])
def test_data_range_decides(images, given, attributes, tmp_path):
    stored, real, _ = seen(tmp_path, images, "--set", f"data.range=[{given[0]},{given[1]}]", **attributes)
    assert numpy.allclose(real, numpy.clip((stored - given[0]) / (given[1] - given[0]), 0, 1), atol=1e-6)


def test_dark_bytes_are_read_with_a_warning_and_all_is_said(tmp_path):
    images = numpy.round(floats(0, 16)).astype(numpy.uint8)
    stored, real, finished = seen(tmp_path, images)
    assert numpy.allclose(real, stored / 255, atol=1e-6)
    assert len(finished.warnings) == 1 and "maximum of 16" in finished.warnings[0], finished
    line = next(line for line in finished.out.splitlines() if "D sees" in line)
    assert "[0, 255]" in line and "type" in line and f"{images.mean() / 255:.4g}" in line, line
    info = gan_dist("data", "info", tmp_path / "data.h5")
    assert "D sees" in info.out and "type" in info.out and "maximum of 16" in info.out, info
    # Once, however many ranks there are.
    again = train("dense", tmp_path / "three", "--data", tmp_path / "data.h5", "--steps", 1, ranks=3)
    assert len(again.warnings) == 1, again


def test_booleans_are_black_and_white(tmp_path):
    stored, real, _ = seen(tmp_path, pictures() > 0)
    assert numpy.array_equal(real, stored)


def test_vectors_of_bytes_are_scaled_like_images(tmp_path):
    path, trace = write(tmp_path / "data.h5", pictures().reshape(100, 64)), tmp_path / "trace.h5"
    config = tmp_path / "vector.yaml"
    text = (CONFIGS / "dense.yaml").read_text()
    config.write_text("\n".join(line for line in text.splitlines() if "reshape" not in line and "flatten" not in line))
    finished = gan_dist("train", "--config", config, "--data", path, "--run", tmp_path / "run", "--steps", 1,
                        "--trace", trace)
    assert finished.code == 0, finished
    step = arrays(trace)
    stored = pictures().reshape(100, 64)[step["steps/000000/discriminator/0/real_index"]]
    assert numpy.allclose(step[REAL], stored / 255, atol=1e-6)


# Labels, and the row that is wrong.
LABELS = {
    "2^64 - 1": (numpy.array([0] * 9 + [2**64 - 1] * 91, numpy.uint64), "18446744073709551615", "row 9"),
    "negative": (numpy.r_[[0] * 50, [-3], [1] * 49], "-3", "row 50"),
    "10^12": (numpy.r_[[1] * 20, [10**12], [0] * 79], "1000000000000", "row 20"),
    "not one-hot": (numpy.eye(4, dtype=numpy.uint8)[numpy.arange(100) % 3] * (1 + (numpy.arange(100) == 7))[:, None],
                    "[0, 2", "row 7"),
    "too few": (numpy.zeros(99, numpy.int64), "[99]", "100"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_refuse_only_what_uses_them(kind, tmp_path):
    labels, *words = LABELS[kind]
    path = write(tmp_path / "data.h5", pictures(), labels=labels)
    if kind == "2^64 - 1":
        train("dense", tmp_path / "run", "--data", path, "--steps", 1)
    finished = gan_dist("classifier", "train", "--data", path, "--out", tmp_path / "c.h5", "--epochs", 1)
    assert finished.code == 65 and len(finished.errors) == 1, finished
    assert all(word in finished.err.lower() for word in [*words, "/labels", "data.h5"]), finished
    info = gan_dist("data", "info", path)
    assert info.code == 0 and "labels" in info.out, info


def test_a_file_open_for_writing_and_a_dataset_elsewhere(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", """
import h5py, sys
f = h5py.File(sys.argv[1], "w", libver=sys.argv[2]); f["images"] = list(range(9))
print("open", flush=True); sys.stdin.read()""",
                               tmp_path / "open.h5", "latest"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)
    try:
        assert writer.stdout.readline() == "open\n"
        finished = gan_dist("data", "info", tmp_path / "open.h5")
        assert finished.code == 65 and "another program" in finished.err, finished
    finally:
        writer.communicate("")
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        file["train/x/pictures"] = pictures()
    told = gan_dist("data", "info", tmp_path / "deep.h5")
    assert told.code == 65 and "/train/x/pictures [100, 8, 8, 1] uint8" in told.err and "--dataset" in told.err, told
    told = train("dense", tmp_path / "run", "--data", tmp_path / "deep.h5", code=65)
    assert "--set data.dataset=" in told.err, told


def test_resume_of_a_moved_dataset(tmp_path, run):
    path = write(tmp_path / "data.h5", pictures())
    train("dense", run, "--data", path, "--steps", 1)
    path.rename(tmp_path / "moved.h5")
    finished = resume(run, "--steps", 2, code=66)
    assert "step-00000001.h5" in finished.err and "--data" in finished.err, finished
    resume(run, "--steps", 2, "--data", tmp_path / "moved.h5")
