"""The benchmarks print the JSON that the interface promises, and figures that can be; nothing is said of how fast they are."""

import json

import pytest

from conftest import gan_dist


def figures(*arguments, ranks):
    finished = gan_dist("bench", *arguments, "--json", ranks=ranks, limit=120)
    assert finished.code == 0, finished
    return json.loads(finished.out)


@pytest.mark.parametrize("ranks", [1, 2])
def test_step(ranks):
    step = figures("step", "--preset", "goodfellow-mnist", "--batch", 8, "--steps", 3, ranks=ranks)
    assert (step["preset"], step["ranks"], step["batch"]) == ("goodfellow-mnist", ranks, 8)
    assert 0 < step["seconds_step_min"] <= step["seconds_step_median"]
    assert step["samples_per_second"] == pytest.approx(8 / step["seconds_step_median"])
    assert set(step["phases"]) == {"data", "compute", "communication", "optimizer"}
    assert all(seconds >= 0 for seconds in step["phases"].values())
    layers = {(layer["network"], layer["layer"]) for layer in step["layers"]}
    assert ("generator", "0.dense") in layers and ("discriminator", "2.maxout") in layers
    assert all(set(layer) == {"network", "layer", "pass", "seconds", "gflops"} for layer in step["layers"])


def test_allreduce():
    sums = figures("allreduce", "--repetitions", 2, ranks=2)
    assert sums["ranks"] == 2 and {row["kind"] for row in sums["rows"]} == {"ordered", "ordered-messages", "mpi"}
    assert all(0 < row["seconds_min"] <= row["seconds_median"] for row in sums["rows"])
    assert max(row["bytes"] for row in sums["rows"]) > 48e6


@pytest.mark.parametrize("ranks", [1, 3])
def test_data(ranks, data):
    reader = figures("data", data, "--batch", 10, "--minibatches", 20, ranks=ranks)
    assert (reader["ranks"], reader["batch"]) == (ranks, 10)
    assert [row["from"] for row in reader["rows"]] == ["memory", "file"]
    assert all(0 < row["seconds_min"] <= row["seconds_median"] and row["samples_per_second"] > 0 for row in reader["rows"])


def test_bad_input(tmp_path):
    missing = gan_dist("bench", "data", tmp_path / "no.h5", ranks=2)
    assert missing.code == 66 and len(missing.errors) == 1, missing
    assert gan_dist("bench", "step", "--preset", "dcgan-33").code == 78
