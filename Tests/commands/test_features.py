"""`gan-dist evaluate --features`: features that another program computed."""

import json

import h5py
import numpy
import pytest

from conftest import ROOT, evaluated, gan_dist, refused
from pictures import pictures

FIXTURES = json.loads((ROOT / "Tests/EvaluationTests/Fixtures/evaluation.json").read_text())


def features(path, rows, dtype="f4", name="features"):
    with h5py.File(path, "a") as file:
        file[name] = numpy.asarray(rows, dtype)
    return path


@pytest.mark.parametrize("dtype, name", [("f4", "features"), ("f8", "pool_3")])
def test_features_of_another_program_are_compared(dtype, name, tmp_path):
    """With what SciPy and scikit-learn make of them (Tests/reference/make_evaluation_fixtures.py)."""
    case = FIXTURES["frechet"]
    real = features(tmp_path / "a.h5", numpy.reshape(case["second"], (60, 5)), dtype, name)
    fake = features(tmp_path / "b.h5", numpy.reshape(case["first"], (40, 5)), dtype, name)
    features(real, numpy.arange(60), "i8", "labels")
    found = evaluated("--features", real, fake)
    assert found["frechet-distance"]["value"] == pytest.approx(case["distance"][0], rel=1e-5)
    assert found["frechet-distance"]["settings"] == {"samples": 40, "reference": 60, "features": 5, "real": str(real),
                                                     "generated": str(fake)}
    assert found == evaluated("--features", real, fake, ranks=3)
    case = FIXTURES["manifolds"]
    real = features(tmp_path / "c.h5", numpy.reshape(case["real"], (120, 3)), dtype, name)
    fake = features(tmp_path / "d.h5", numpy.reshape(case["samples"], (100, 3)), dtype, name)
    found = evaluated("--features", real, fake, "--metrics", "precision-recall,density-coverage")
    assert set(found) == {"precision", "recall", "density", "coverage"}
    for measure, outcome in found.items():
        assert outcome["value"] == pytest.approx(case[measure][0], abs=1e-12), measure


def test_the_kernel_distance_of_points_is_that_of_the_formula(tmp_path):
    """k(x, y) = (x·y / D + 1)³ of examples that are all alike."""
    one, other = numpy.array([1, 2, 0, 1.0]), numpy.array([0, 1, 1, 3.0])
    real, fake = features(tmp_path / "a.h5", [one] * 9), features(tmp_path / "b.h5", [other] * 6)
    found = evaluated("--features", real, fake, "--metrics", "kernel-distance")["kernel-distance"]
    kernel = [(x @ y / 4 + 1) ** 3 for x, y in ((one, one), (other, other), (one, other))]
    assert found["value"] == pytest.approx(kernel[0] + kernel[1] - 2 * kernel[2])
    assert found["settings"]["blocks"] == 2


@pytest.mark.parametrize("ranks", [1, 3])
def test_files_that_are_no_features_are_refused(data, ranks, tmp_path):
    rows = numpy.random.default_rng(3).normal(size=(20, 4))
    real, fake = features(tmp_path / "real.h5", rows), features(tmp_path / "fake.h5", rows[:, :3])

    def judged(other, *more, code=65, words=()):
        refused(gan_dist("evaluate", "--features", real, other, *more, ranks=ranks), code, *words)

    judged(fake, words=("3 values", "real.h5 4", "network"))
    judged(tmp_path / "none.h5", code=66, words=("none.h5",))
    with h5py.File(tmp_path / "squares.h5", "w") as file:
        file["images"] = pictures()
    judged(tmp_path / "squares.h5", words=("squares.h5", "/features", "--dataset"))
    judged(tmp_path / "squares.h5", "--dataset", "images", words=("real.h5", "images"))
    several = features(features(tmp_path / "several.h5", rows, name="a"), rows, name="b")
    judged(several, words=("several.h5", "/a", "/b"))
    judged(features(tmp_path / "one.h5", rows[:1]), words=("one.h5", "one example"))
    judged(features(tmp_path / "nan.h5", rows * [1, 1, numpy.nan, 1]), words=("nan.h5", "nan"))
    few = features(tmp_path / "few.h5", rows[:3])
    judged(few, "--metrics", "precision-recall", code=78, words=("precision-recall", "3 neighbours"))
    judged(few, "--metrics", "frechet", code=64, words=("frechet-distance",))
    found = gan_dist("evaluate", "--features", real, few, ranks=ranks)
    assert found.code == 0 and found.out.count("left out") == 2 and "20 examples" not in found.err, found
    for arguments in ((real,), (real, fake, "--classifier", "c.h5"), (real, fake, "--samples", data)):
        finished = gan_dist("evaluate", "--features", *arguments, ranks=ranks)
        assert finished.code == 64 and "--features" in finished.err, finished


def test_features_that_overflow_are_refused(tmp_path):
    rows = numpy.random.default_rng(1).normal(size=(60, 5))
    real, fake = features(tmp_path / "real.h5", rows), features(tmp_path / "fake.h5", 1e30 * rows)
    finished = gan_dist("evaluate", "--features", real, fake, "--json", limit=60)
    assert finished.code == 65 and "is no number" in finished.err and "fake.h5" in finished.err, finished
