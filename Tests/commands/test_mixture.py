"""A mixture of Gaussians by expectation–maximisation: a run as any other, without players."""

import json

import h5py
import numpy
import pytest

from conftest import arrays, assert_same, checkpoint, gan_dist, metrics

LN_2_PI = numpy.log(2 * numpy.pi)


def fit(run, *arguments, ranks=1, code=0):
    finished = gan_dist("train", "--preset", "mixture-em", "--run", run, "--set", "model.tolerance=0", *arguments,
                        ranks=ranks)
    assert finished.code == code, finished
    return finished


def ring(run, *arguments, steps=6, **more):
    return fit(run, "--set", "data.synthetic=ring", "--set", "data.count=600", "--set", "model.principal=null",
               "--set", "model.components=8", "--steps", steps, *arguments, **more)


@pytest.fixture
def clothes(tmp_path):
    """300 images of 6 × 5 whose values hang together, and 60 more of the kind."""
    generator = numpy.random.default_rng(3)
    basis = generator.normal(size=(4, 30))
    for name, count in ("train", 300), ("test", 60):
        values = generator.normal(size=(count, 4)) @ basis + 0.1 * generator.normal(size=(count, 30))
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["images"] = numpy.clip(30 * values + 128, 0, 255).astype(numpy.uint8).reshape(count, 6, 5, 1)
    return tmp_path / "train.h5", tmp_path / "test.h5"


def likelihood(path, rows):
    """The mean ln p of rows by the definition, from a checkpoint's arrays."""
    found = arrays(path)
    logs = []
    for weight, mean, covariance in zip(found["mixture/weights"], found["mixture/means"], found["mixture/covariances"]):
        if covariance.ndim == 1:
            covariance = numpy.diag(covariance)
        centred = rows - mean
        distance = (centred @ numpy.linalg.inv(covariance) * centred).sum(1)
        _, determinant = numpy.linalg.slogdet(covariance)
        logs.append(numpy.log(weight) - (len(mean) * LN_2_PI + determinant + distance) / 2)
    return numpy.logaddexp.reduce(logs).mean()


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_same_bits_on_any_number_of_ranks_and_over_a_resume(covariance, clothes, tmp_path):
    options = ("--data", clothes[0], "--shards", 8, "--set", "model.components=5", "--set", "model.principal=6",
               "--set", f"model.covariance={covariance}", "--set", f"data.held_out={clothes[1]}")
    fit(tmp_path / "one", *options, "--steps", 6)
    for ranks in 2, 3, 5, 8:
        fit(tmp_path / f"{ranks}", *options, "--steps", 6, ranks=ranks)
        assert_same(checkpoint(tmp_path / f"{ranks}", 6), checkpoint(tmp_path / "one", 6))
    fit(tmp_path / "resumed", *options, "--steps", 2, ranks=3)
    again = gan_dist("train", "--run", tmp_path / "resumed", "--resume", "auto", "--steps", 6, ranks=2)
    assert again.code == 0, again
    assert_same(checkpoint(tmp_path / "resumed", 6), checkpoint(tmp_path / "one", 6))
    assert [line["step"] for line in metrics(tmp_path / "resumed")] == list(range(1, 7))
    for mine, whole in zip(metrics(tmp_path / "resumed"), metrics(tmp_path / "one")):
        assert mine["log_likelihood"] == whole["log_likelihood"]
        assert mine["log_likelihood_held_out"] == whole["log_likelihood_held_out"]


def test_the_likelihood_is_that_of_the_formula_and_grows(clothes, tmp_path):
    run = tmp_path / "run"
    fit(run, "--data", clothes[0], "--set", "model.components=3", "--set", "model.principal=4", "--steps", 8)
    logged = [line["log_likelihood"] for line in metrics(run)]
    assert all(later >= before - 1e-10 * abs(later) for before, later in zip(logged, logged[1:])), logged
    found = arrays(checkpoint(run, 8))
    assert all(values.dtype == numpy.float64 for values in found.values())
    with h5py.File(clothes[1]) as file:
        held_out = file["images"][:].reshape(60, 30) / 255
    rows = (held_out - found["principal/mean"]) @ found["principal/directions"].T
    measured = gan_dist("evaluate", run, "--held-out", clothes[1], "--json", ranks=2)
    assert measured.code == 0, measured
    value = json.loads(measured.out)["log-likelihood"]["value"]
    assert value == pytest.approx(likelihood(checkpoint(run, 8), rows), abs=1e-5)


def test_finds_the_modes_of_the_ring(tmp_path):
    run = tmp_path / "run"
    ring(run, steps=40)
    means = arrays(checkpoint(run, 40))["mixture/means"]
    # Of eight starts by k-means++ hardly any is without an example of its own mode.
    assert len({round(float(numpy.arctan2(y, x)) / (numpy.pi / 4)) % 8 for x, y in means}) >= 7
    assert (run / "samples" / "fixed-latents.gif").exists()
    assert gan_dist("sample", run, "--count", 500, "--out", tmp_path / "points.png").code == 0
    assert gan_dist("sample", run, "--count", 500, "--out", tmp_path / "points.h5").code == 0
    with h5py.File(tmp_path / "points.h5") as file:
        assert file["samples"].shape == (500, 2) and set(file["labels"][:]) <= set(range(8))
    report = gan_dist("report", run)
    assert report.code == 0, report
    assert "Log-likelihood" in (run / "report.html").read_text()


def test_samples_of_images_are_a_dataset_that_other_commands_take(clothes, tmp_path):
    run, out = tmp_path / "run", tmp_path / "samples.h5"
    fit(run, "--data", clothes[0], "--set", "model.components=3", "--set", "model.principal=4", "--steps", 3)
    assert gan_dist("sample", run, "--count", 64, "--out", out).code == 0
    assert gan_dist("sample", run, "--count", 64, "--out", tmp_path / "again.h5", ranks=3).code == 0
    with h5py.File(out) as first, h5py.File(tmp_path / "again.h5") as second:
        assert (first["images"][:] == second["images"][:]).all()
        assert 0 <= first["images"][:].min() and first["images"][:].max() <= 1
    measured = gan_dist("evaluate", "--samples", out, "--data", clothes[0], "--metrics", "mmd", "--json")
    assert measured.code == 0, measured


def test_ends_when_a_step_gains_too_little(tmp_path):
    run = tmp_path / "run"
    finished = ring(run, "--set", "model.tolerance=0.5", steps=50)
    assert "gained less than model.tolerance" in finished.out
    last = metrics(run)[-1]["step"]
    assert 2 <= last < 50
    # It has ended, as a job that is queued again finds, unless less is enough.
    again = gan_dist("train", "--run", run, "--resume", "auto")
    assert again.code == 0 and "gained less than model.tolerance" in again.out, again
    assert metrics(run)[-1]["step"] == last
    more = gan_dist("train", "--run", run, "--resume", "auto", "--set", "model.tolerance=0")
    assert more.code == 0 and metrics(run)[-1]["step"] == 50, more


def test_singular_covariances_are_told_of(tmp_path):
    data = tmp_path / "twice.h5"
    with h5py.File(data, "w") as file:
        values = numpy.random.default_rng(1).normal(size=(200, 1)).astype(numpy.float32)
        file["samples"] = numpy.concatenate([values, 2 * values], 1)
    finished = fit(tmp_path / "run", "--data", data, "--set", "model.principal=null", "--set", "model.components=2",
                   "--steps", 3)
    assert len(finished.warnings) == 1 and "singular" in finished.warnings[0], finished
    assert "model.floor" in finished.warnings[0], finished
    assert not ring(tmp_path / "ring").warnings


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_dry_run_fits_nothing(ranks, clothes, tmp_path):
    finished = fit(tmp_path / "run", "--data", clothes[0], "--shards", 3, "--set", "model.principal=4", "--dry-run",
                   ranks=ranks)
    assert "300 examples of [6, 5, 1]" in finished.out and "4 principal components" in finished.out, finished
    assert "components: " in finished.out and "shards of the examples" in finished.out, finished
    assert not (tmp_path / "run").exists()


def test_options_of_samples_are_refused(clothes, tmp_path):
    run = tmp_path / "run"
    fit(run, "--data", clothes[0], "--set", "model.components=2", "--set", "model.principal=4", "--steps", 2)
    for option in ["--count", "10"], ["--figure", "f.svg"], ["--live"], ["--data", clothes[0]]:
        finished = gan_dist("evaluate", run, "--held-out", clothes[1], *option)
        assert finished.code == 78 and option[0] in finished.err, finished


def test_a_tolerance_of_nothing_goes_on_when_nothing_is_gained_any_more(tmp_path):
    run = tmp_path / "run"
    ring(run, "--set", "model.components=1", steps=12)
    assert [line["step"] for line in metrics(run)] == list(range(1, 13))


def test_an_asked_for_stop_saves_and_the_run_goes_on(tmp_path):
    ring(tmp_path / "whole", "--shards", 2)
    run = tmp_path / "run"
    # There is never time for a second step.
    stopped = ring(run, "--shards", 2, "--walltime", "00:00:01", ranks=2, code=75)
    assert "stopped on request after step 1" in stopped.out, stopped
    again = gan_dist("train", "--run", run, "--resume", "auto")
    assert again.code == 0, again
    assert_same(checkpoint(run, 6), checkpoint(tmp_path / "whole", 6))


@pytest.mark.parametrize("options, words", [
    (["--set", "model.components=601"], ["model.components", "601 components of 600 examples"]),
    (["--set", "model.principal=3"], ["model.principal", "at most 2"]),
    (["--set", "model.covariance=spherical"], ["model.covariance", "full, diagonal"]),
    (["--set", "model.floor=0"], ["model.floor"]),
    (["--set", "generator=[relu]"], ["generator", "a mixture (model.kind) has no such part"]),
    (["--set", "objective.loss=hinge"], ["objective"]),
    (["--set", "data.labels=labels"], ["data.labels", "no labels"]),
    (["--set", "output.evaluate={every: 2}"], ["output.evaluate"]),
    (["--batch", "64"], ["training", "batch"]),
    (["--shards", "700"], ["600 examples", "700 shards"]),
    (["--set", "data.memory_limit=1000"], ["data.memory_limit"]),
    (["--trace", "trace.h5"], ["--trace"]),
])
def test_what_does_not_fit_is_refused(options, words, tmp_path):
    finished = ring(tmp_path / "run", *options, ranks=2, code=78)
    assert all(word in finished.err for word in words), finished
    assert finished.err.count("error:") == 1, finished


def test_more_components_than_different_examples(tmp_path):
    with h5py.File(tmp_path / "same.h5", "w") as file:
        file["samples"] = numpy.tile(numpy.float32([[1, 2], [3, 4]]), (20, 1))
    finished = fit(tmp_path / "run", "--data", tmp_path / "same.h5", "--set", "model.components=3", "--set",
                   "model.principal=null", ranks=2, code=78)
    assert "only 2 different examples" in finished.err, finished


def test_a_value_that_never_changes_meets_the_floor(tmp_path):
    generator = numpy.random.default_rng(1)
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file["samples"] = numpy.hstack([generator.normal(size=(80, 2)), numpy.ones((80, 1))]).astype(numpy.float32)
    for covariance in "full", "diagonal":
        run = tmp_path / covariance
        finished = fit(run, "--data", tmp_path / "flat.h5", "--set", "model.components=2", "--set",
                       "model.principal=null", "--set", f"model.covariance={covariance}", "--steps", 3)
        assert "the floor acts on 2 components" in finished.out, finished
        assert all(numpy.isfinite(values).all() for values in arrays(checkpoint(run, 3)).values())


@pytest.mark.parametrize("command", [
    ["interpolate", "RUN", "--out", "walks.png"],
    ["export", "RUN", "--format", "onnx", "--out", "mixture.onnx"],
    ["nearest", "RUN", "--out", "nearest.png"],
    ["evaluate", "RUN", "--metrics", "mmd"],
    ["evaluate", "RUN"],
    ["evaluate", "RUN", "--by", "rejection"],
    ["sample", "RUN", "--count", "4", "--by", "langevin", "--out", "samples.h5"],
    ["sample", "RUN", "--count", "4", "--latents", "--out", "samples.h5"],
])
def test_commands_of_generators_refuse_a_mixture(command, tmp_path):
    ring(tmp_path / "run", steps=1)
    finished = gan_dist(*[tmp_path / "run" if word == "RUN" else word for word in command], cwd=tmp_path)
    assert finished.code == 78, finished
    assert "mixture" in finished.err, finished
