"""A run that is measured while it trains: output.evaluate and data.held_out."""

import json
import os
import signal

import h5py
import numpy
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import CONFIGS, assert_same, checkpoint, gan_dist, metrics, resume, train, wait_until
from pictures import pictures
from processes import ranks as processes


def evaluate(**keys):
    """The option for `output.evaluate`."""
    return "--set", "output.evaluate=" + json.dumps(keys).replace('"', "")


def evaluations(run):
    """The figures by their steps."""
    return {line["step"]: {name: value for name, value in line.items()
                           if name.startswith("evaluation_") and name != "evaluation_settings"}
            for line in metrics(run) if any(name.startswith("evaluation_") for name in line)}


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluation") / "held-out.h5"
    with h5py.File(path, "w") as file:
        file["images"] = pictures(160)[100:]
    return path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("evaluation") / "classifier.h5"
    assert gan_dist("classifier", "train", "--data", data, "--epochs", 2, "--out", path).code == 0
    return path


IMAGES = ["frechet-classifier-distance", "kernel-distance", "precision-recall", "density-coverage", "labels", "modes",
          "classifier-score", "swd", "mmd", "memorisation"]


@pytest.mark.parametrize("config", ["ring", "dropout", "everything"])
def test_measuring_changes_no_bit_and_no_rank_matters(config, data, held_out, classifier, tmp_path):
    files = () if config == "ring" else ("--data", data)
    keys = dict(every=3, count=64)
    if config == "ring":
        keys |= dict(metrics=["modes", "swd", "mmd"], best="swd")
    elif config == "dropout":
        keys |= dict(metrics=IMAGES, best="precision", classifier=str(classifier))
        files += ("--set", f"data.held_out={held_out}")
    else:
        keys |= dict(metrics=["swd"])
        files += ("--set", f"data.held_out={held_out}")
    # Its batch is of packs, which eight shards divide.
    common = ("--shards", 8 if config == "everything" else 3, "--steps", 8, *files)
    train(config, tmp_path / "plain", *common)
    for ranks in (1, 2, 3):
        train(config, tmp_path / f"{ranks}", *common, *evaluate(**keys), ranks=ranks)
        assert_same(checkpoint(tmp_path / "plain", 8), checkpoint(tmp_path / f"{ranks}", 8))
    found = evaluations(tmp_path / "1")
    assert list(found) == [3, 6, 8]
    assert found == evaluations(tmp_path / "2") == evaluations(tmp_path / "3")
    names = {"ring": {"modes", "modes_high_quality", "modes_reverse_kl", "modes_high_quality_standard_error", "swd",
                      "mmd"},
             "dropout": {"precision", "recall", "density", "coverage", "labels", "modes", "swd", "memorisation",
                         "frechet_classifier_distance", "logit_training", "logit_held_out", "logit_gap"},
             "everything": {"swd", "logit_training", "logit_held_out", "logit_gap"}}[config]
    for figures in found.values():
        assert {f"evaluation_{name}" for name in names} <= set(figures)
    # None of them stands still while the networks learn.
    assert len({json.dumps(figures) for figures in found.values()}) == 3


def test_the_figures_are_those_of_evaluate(data, held_out, classifier, run):
    chosen = IMAGES[:5]
    train("dense", run, "--data", data, "--set", f"data.held_out={held_out}",
          *evaluate(every=6, metrics=chosen, count=80, classifier=str(classifier)))
    finished = gan_dist("evaluate", run, "--data", data, "--metrics", ",".join(chosen), "--count", 80,
                        "--classifier", classifier, "--json")
    assert finished.code == 0, finished
    found = evaluations(run)[12]
    for name, outcome in json.loads(finished.out).items():
        assert found["evaluation_" + name.replace("-", "_")] == pytest.approx(outcome["value"], rel=1e-4, abs=1e-6)
    # evaluate knows the run's held-out examples.
    finished = gan_dist("evaluate", run, "--data", data, "--metrics", "memorisation", "--count", 60)
    assert finished.code == 0, finished


def test_the_average_is_measured_where_one_is_kept(data, run):
    train("everything", run, "--data", data, *evaluate(every=6, metrics=["swd"], count=80))
    judge = ("evaluate", run, "--data", data, "--metrics", "swd", "--count", 80, "--json")
    averaged, live = (json.loads(gan_dist(*judge, *more).out)["swd"]["value"] for more in ((), ("--live",)))
    assert evaluations(run)[12]["evaluation_swd"] == pytest.approx(averaged, rel=1e-4)
    assert live != pytest.approx(averaged, rel=1e-2)


def test_the_gap_is_that_of_training_and_held_out_examples(data, held_out, run, tmp_path):
    train("dense", run, "--data", data, "--set", f"data.held_out={held_out}", *evaluate(every=6))
    for figures in evaluations(run).values():
        assert set(figures) == {"evaluation_logit_training", "evaluation_logit_held_out", "evaluation_logit_gap"}
        assert figures["evaluation_logit_gap"] == pytest.approx(
            figures["evaluation_logit_training"] - figures["evaluation_logit_held_out"])
        assert figures["evaluation_logit_gap"] != 0
    # Of the training data themselves there is none: all 100 in another order, stored in another range, for a D that is
    # shown values in [−1, 1].
    with h5py.File(tmp_path / "floats.h5", "w") as file:
        file["images"] = pictures().astype("f4") / 255
        file["images"].attrs["range"] = [0.0, 1.0]
    train("hinge-spectral", tmp_path / "same", "--data", data, "--set", f"data.held_out={tmp_path}/floats.h5",
          *evaluate(every=6))
    for figures in evaluations(tmp_path / "same").values():
        assert abs(figures["evaluation_logit_gap"]) < 1e-6 and figures["evaluation_logit_training"] != 0


def test_the_best_is_kept_logged_and_shown(run, tmp_path):
    keys = dict(every=4, metrics=["swd", "modes"], count=200, best="swd")
    finished = train("ring", run, "--keep", 1, *evaluate(**keys))
    found = {step: figures["evaluation_swd"] for step, figures in evaluations(run).items()}
    assert list(found) == list(range(4, 41, 4))
    best = min(found, key=found.get)
    assert os.readlink(run / "checkpoints/best") == f"step-{best:08d}.h5"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == sorted(
        {"best", "latest", f"step-{best:08d}.h5", "step-00000040.h5"})
    assert gan_dist("checkpoint", "verify", run / "checkpoints/best").code == 0
    assert f"evaluation of step {best}: swd" in finished.out and "; the best so far" in finished.out
    events = EventAccumulator(str(run))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("evaluation_swd")] == [
        (step, pytest.approx(value)) for step, value in found.items()]
    assert gan_dist("report", run).code == 0
    assert "Evaluation: swd" in (run / "report.html").read_text()
    train("ring", tmp_path / "other", *evaluate(**keys), "--seed", 3)
    assert gan_dist("report", run, tmp_path / "other", "--out", tmp_path / "both.html").code == 0
    assert "Evaluation: swd" in (tmp_path / "both.html").read_text()
    # The next job takes the newest, and may measure otherwise.
    resume(run, "--steps", 44, *evaluate(every=2, metrics=["modes"], count=100))
    assert list(evaluations(run))[-2:] == [42, 44] and "evaluation_swd" not in metrics(run)[-1]
    resume(run, "--steps", 46, "--set", "output.evaluate=null")
    assert list(evaluations(run))[-1] == 44


def test_other_settings_are_not_compared(run):
    """A number in the log says which figures were measured alike."""
    keys = dict(every=4, metrics=["swd"], count=200, best="swd")
    train("ring", run, "--keep", 1, "--steps", 8, *evaluate(**keys))
    before = os.readlink(run / "checkpoints/best")
    finished = resume(run, "--steps", 12, *evaluate(**keys | dict(count=20)))
    assert "the best is looked for anew" in finished.out and "; the best so far" in finished.out
    settings = [line["evaluation_settings"] for line in metrics(run) if "evaluation_settings" in line]
    assert settings[0] == settings[1] != settings[2]
    assert os.readlink(run / "checkpoints/best") == "step-00000012.h5" != before
    events = EventAccumulator(str(run))
    events.Reload()
    assert "evaluation_settings" not in events.Tags()["scalars"]


def test_held_out_examples_are_looked_for_without_evaluations_too(data, run, tmp_path):
    finished = train("dense", run, "--data", data, "--set", f"data.held_out={tmp_path}/none.h5", code=66)
    assert "none.h5" in finished.err


def test_what_evaluations_share_is_made_once(data, held_out, classifier, run):
    metrics = ["frechet-classifier-distance", "labels", "kernel-distance", "precision-recall", "density-coverage",
               "swd", "mmd", "sharpness", "pixel-correlation", "intrinsic-dimension", "memorisation"]
    keys = dict(every=3, metrics=metrics, count=90, classifier=str(classifier))
    train("dense", run, "--data", data, "--shards", 3, "--steps", 3, "--set", f"data.held_out={held_out}",
          *evaluate(**keys), ranks=2)
    shared = run / "real-features.h5"
    with h5py.File(shared) as file:
        assert {name: file[name].size for name in file} == {
            "features": 90 * 128, "log_probabilities": 90 * 3, "moments": 128 + 128 * 128, "kernel-distance_within": 2,
            "squared_radii_3": 90, "squared_radii_5": 90, "sorted_projections": 512 * 90, "mmd_within": 2,
            "median_distance": 1, "sharpness": 90, "pixel_correlations_0": 64 * 64, "intrinsic_dimension": 3,
            "held_out_distances": 60}
    before, first = shared.stat().st_ino, evaluations(run)
    resume(run, "--steps", 6)
    assert shared.stat().st_ino == before
    # Found again where it is not what it should be; the figures are the same.
    shared.write_bytes(shared.read_bytes()[:-70])
    checkpoint(run, 6).unlink()
    second = evaluations(run)
    resume(run, "--steps", 6, ranks=3)
    assert evaluations(run) == second and second[3] == first[3]
    again = shared.stat().st_ino
    resume(run, "--steps", 9, *evaluate(**keys | dict(count=80)))
    assert shared.stat().st_ino != again


@pytest.mark.parametrize("ranks", [1, 3])
def test_what_cannot_be_measured_is_refused_at_the_start(data, held_out, classifier, ranks, tmp_path):
    def refused(code, *words, config="dense", held=None, **keys):
        run = tmp_path / "run"
        more = () if config == "ring" else ("--data", data)
        more += ("--set", f"data.held_out={held}") if held else ()
        finished = train(config, run, "--resume", "auto", *more, *evaluate(**dict(every=3) | keys), ranks=ranks,
                         code=code)
        assert len(finished.errors) == 1 and all(word in finished.err for word in words), finished
        assert not list((run / "checkpoints").iterdir())

    refused(78, "output.evaluate.metrics", "nothing to measure")
    refused(78, "output.evaluate.metrics.1", "'parzen'", "swd", metrics=["swd", "parzen"])
    refused(78, "output.evaluate.classifier", "missing", "labels", metrics=["labels"])
    refused(78, "output.evaluate.metrics", "points", config="ring", metrics=["labels"])
    refused(78, "data.held_out", "memorisation", metrics=["memorisation"])
    refused(66, "output.evaluate.classifier", "none.h5", metrics=["labels"], classifier=str(tmp_path / "none.h5"))
    refused(65, "output.evaluate.classifier", "not a", metrics=["labels"], classifier=str(data))
    refused(78, "output.evaluate.best", "'recall'", "swd", metrics=["swd"], best="recall")
    refused(78, "output.evaluate.patience", "best", metrics=["swd"], patience=10)
    refused(78, "output.evaluate.every", metrics=["swd"], every=0)
    refused(78, "output.evaluate.metrics", "list", metrics="swd")
    refused(66, "data.held_out", "none.h5", held=tmp_path / "none.h5")
    small = tmp_path / "small.h5"
    with h5py.File(small, "w") as file:
        file["images"] = pictures(20, size=6)
    refused(65, "data.held_out", "small.h5", "[6, 6, 1]", held=small)
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["images"] = pictures(1)
    refused(65, "data.held_out", "one.h5", "packs of 2", config="everything", held=tmp_path / "one.h5")


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("how", ["KILL", "TERM"])
def test_a_job_that_ends_while_it_measures_loses_nothing(how, ranks, start, run, tmp_path):
    """Most of the time goes into evaluations, so that the signal comes in one."""
    keys = dict(every=2, metrics=["swd", "modes", "mmd"], count=4000, best="swd")
    many = evaluate(**keys)
    running = start("train", "--config", CONFIGS / "ring.yaml", "--run", run, "--shards", 3, "--steps", 100_000,
                    *many, ranks=ranks)
    log = run / "metrics.jsonl"
    wait_until(lambda: log.exists() and log.read_bytes().count(b"evaluation_swd") >= 3, "three evaluations", running)
    if how == "KILL":
        os.kill(processes(running.process.pid)[-1] if ranks > 1 else running.process.pid, signal.SIGKILL)
        assert running.wait().code != 0
    else:
        os.kill(processes(running.process.pid)[-1] if ranks > 1 else running.process.pid, signal.SIGTERM)
        finished = running.wait()
        assert finished.code == 75, finished
    last = metrics(run)[-1]["step"] // 2 * 2 + 2
    resume(run, "--steps", last, ranks=ranks)
    train("ring", tmp_path / "whole", "--shards", 3, "--steps", last, *many)
    assert_same(checkpoint(run, last), checkpoint(tmp_path / "whole", last))
    assert evaluations(run) == evaluations(tmp_path / "whole")
    assert os.readlink(run / "checkpoints/best") == os.readlink(tmp_path / "whole/checkpoints/best")


def test_a_run_that_gets_no_better_ends(run):
    keys = dict(every=2, metrics=["modes"], count=16, best="modes", patience=4)
    # Sixteen samples at a rate of nothing reach the same modes for ever.
    still = ("--set", "optimizer.generator={kind: sgd, rate: 0}")
    finished = train("ring", run, *still, *evaluate(**keys))
    assert list(evaluations(run)) == [2, 4, 6]
    assert "ends early: no better modes than" in finished.out and "output.evaluate.patience: 4" in finished.out
    assert resume(run).out.count("ends early") == 1
    resume(run, "--set", "output.evaluate.patience=null", "--steps", 10)
    assert list(evaluations(run)) == [2, 4, 6, 8, 10]


def test_a_run_that_is_not_measured_says_nothing_of_it(run):
    finished = train("ring", run, "--steps", 2, "--dry-run")
    assert "evaluate" not in finished.out and "held_out" not in finished.out
    finished = train("ring", run, "--steps", 2, "--dry-run", *evaluate(every=5, metrics=["swd"]))
    assert "every: 5" in finished.out and "- swd" in finished.out
