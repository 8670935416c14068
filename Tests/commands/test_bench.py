"""The benchmarks print the JSON that the interface promises, and figures that can be; nothing is said of how fast they
are."""

import json

import pytest

from conftest import CONFIGS, gan_dist


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
    # Maxout of 240 units of 5 pieces twice and a logit; dense layers of 1200, 1200 and 784 units. Each parameter fills
    # whole cache lines.
    assert step["bytes_of_gradients"] == [4 * (785 * 1200 + 241 * 1200 + 240 + 16),
                                          4 * (101 * 1200 + 1201 * 1200 + 1201 * 784)]
    layers = {(layer["network"], layer["layer"]) for layer in step["layers"]}
    assert ("generator", "0.dense") in layers and ("discriminator", "2.maxout") in layers
    assert 0 < step["seconds_step_quartiles"][0] <= step["seconds_step_median"] <= step["seconds_step_quartiles"][1]
    for layer in step["layers"]:
        assert set(layer) == {"network", "layer", "pass", "seconds", "seconds_quartiles", "gflops",
                              "gigabytes_per_second", "runs", "share"}
        assert layer["share"] == pytest.approx(layer["runs"] * layer["seconds"] / step["seconds_step_median"])
    # Both players at once: the generator runs once, the discriminator on real and on generated examples.
    runs = {(layer["network"], layer["layer"], layer["pass"]): layer["runs"] for layer in step["layers"]}
    assert runs["generator", "2.dense", "forward"] == 1 and runs["discriminator", "4.maxout", "input gradient"] == 3


@pytest.mark.parametrize("preset", ["vae", "autoencoder", "adversarial-autoencoder", "bigan", "discriminator-only"])
def test_step_of_other_models(preset):
    """By phase alone: the table of layers is of two players."""
    step = figures("step", "--preset", preset, "--batch", 8, "--steps", 2, ranks=2)
    assert step["layers"] == [] and 0 < step["seconds_step_median"] and step["phases"]["compute"] > 0
    assert len(step["bytes_of_gradients"]) == {"adversarial-autoencoder": 3, "bigan": 3, "discriminator-only": 1}.get(
        preset, 2)


def test_a_mixture_has_no_steps_to_time():
    finished = gan_dist("bench", "step", "--preset", "mixture-em", limit=60)
    assert finished.code == 78 and "model.kind" in finished.err, finished


def test_step_of_several_shards_without_layers():
    arguments = ("step", "--preset", "ring", "--batch", 8, "--steps", 2, "--set", "exchange.shards=4")
    assert figures(*arguments, "--no-layers", ranks=2)["layers"] == []
    forward = figures(*arguments, ranks=2)["layers"][0]
    assert (forward["pass"], forward["runs"] % 2) == ("forward", 0)


def test_step_with_penalties_lists_their_passes():
    """Of every layer of D the passes that its kind has, with how often a step runs them and how fast."""
    tanh = ["--set", "discriminator.1={tanh: null}"]
    step = figures("step", "--preset", "grid-25", "--batch", 16, "--steps", 3, *tanh, ranks=1)
    layers = {(layer["network"], layer["layer"], layer["pass"]): layer for layer in step["layers"]}
    runs = {(layer, name): row["runs"] for (network, layer, name), row in layers.items() if network == "discriminator"}
    # R1 and R2: both halves of D's batch.
    for number, name in enumerate(("dense", "tanh", "dense", "leaky_relu", "dense")):
        # Below the curvature of tanh, and in the generator's update.
        assert runs[f"{number}.{name}", "forward"] == 4 and runs[f"{number}.{name}", "adjoint"] == 2
        assert runs[f"{number}.{name}", "tangent"] == (2 if number < 4 else 0)
    assert runs["1.tanh", "curvature"] == 2 and ("3.leaky_relu", "curvature") not in runs
    assert runs["2.dense", "parameter gradients"] == 2 and runs["2.dense", "weight gradient"] == 0
    assert runs["0.dense", "weight gradient"] == 2 and runs["2.dense", "input gradient"] == 1
    for (network, layer, name), row in layers.items():
        if name in ("adjoint", "tangent", "parameter gradients") and "dense" in layer:
            assert row["gflops"] > 0 and row["share"] >= 0, row
    assert not [key for key in layers if key[0] == "generator" and key[2] in ("adjoint", "tangent")]
    assert {name for _, _, name in layers} == {"forward", "input gradient", "weight gradient", "adjoint", "tangent",
                                               "curvature", "parameter gradients"}
    table = gan_dist("bench", "step", "--preset", "grid-25", "--batch", 16, "--steps", 3).out
    assert "discriminator 2.dense parameter gradients" in table and "GFLOP/s" in table


def test_step_of_residuals():
    step = figures("step", "--config", CONFIGS / "residual.yaml", "--steps", 2, "--batch", 8, ranks=1)
    layers = {(layer["network"], layer["layer"]) for layer in step["layers"]}
    assert ("discriminator", "1.residual/body/1.convolution") in layers
    assert ("generator", "2.residual/body/5.residual/body/0.convolution") in layers
    assert ("generator", "2.residual") not in layers


def test_neighbours_that_are_computed_as_one():
    rows = figures("step", "--config", CONFIGS / "resampled.yaml", "--steps", 2, "--batch", 8, ranks=1)["layers"]
    together = {row["layer"]: row["joined"] for row in rows if row["network"] == "generator" and "joined" in row}
    assert together
    for layer, neighbour in together.items():
        runs = [row["runs"] for row in rows if row["network"] == "generator" and row["layer"] == neighbour]
        assert runs and not any(runs), (layer, neighbour)
    assert together["2.residual/body/3.convolution"] == "2.residual/body/2.upsample"


def test_traffic():
    traffic = figures("traffic", "--preset", "grid-25", "--batch", 8, "--ranks", 16, "--steps", 2, ranks=1)
    assert traffic["samples_of_rank"] == 8 and traffic["bytes"]["weights"] > 0 and traffic["seconds_compute"] > 0
    table = gan_dist("bench", "traffic", "--preset", "grid-25", "--batch", 8, "--ranks", 16, "--steps", 2).out
    assert "a node of 16 ranks, 8 samples each" in table and "last-level cache" in table
    refused = gan_dist("bench", "traffic", "--preset", "unrolled-ring")
    assert refused.code == 78 and "no number of passes" in refused.errors[0], refused


def test_layers():
    grid = figures("layers", "--only", "→ 64 channels, 4×4", ranks=1)
    assert grid["gflops_of_peak"] > 0 and grid["bytes_per_second"] > 0
    passes = {(row["layer"], row["batch"], row["pass"]): row for row in grid["passes"]}
    wide = passes["convolution 3×3 stride 1, 64 → 64 channels, 4×4", 64, "forward"]
    # 2 · 16 pixels · 9 taps · 64 · 64 operations an example; the input, the output and the weights, 4 bytes a value.
    operations = 64 * 2 * 16 * 9 * 64 * 64
    assert wide["gflops"] * 1e9 * wide["seconds"] == pytest.approx(operations)
    assert wide["intensity"] == pytest.approx(operations / (4 * (64 * 2 * 16 * 64 + 9 * 64 * 64)))
    assert wide["algorithm"] in ("winograd", "windows") and "seconds_of_blas" not in wide
    assert passes["convolution 4×4 stride 2, 1 → 64 channels, 4×4", 1, "weight gradient"]["algorithm"] == "few channels"
    dense = figures("layers", "--only", "dense 256 → 256", ranks=2)["passes"]
    assert len(dense) == 3 * 9 and all(row["seconds_of_blas"] > 0 for row in dense)
    assert {row["algorithm"] for row in dense} <= {"panels", "panels and BLAS", "BLAS"}
    strange = gan_dist("bench", "layers", "--only", "3x3")
    assert strange.code == 64 and "--only 3x3" in strange.err


def test_allreduce():
    sums = figures("allreduce", "--repetitions", 2, ranks=2)
    assert sums["ranks"] == 2 and {row["kind"] for row in sums["rows"]} == {"ordered", "ordered-messages", "mpi"}
    assert all(0 < row["seconds_min"] <= row["seconds_median"] for row in sums["rows"])
    assert max(row["bytes"] for row in sums["rows"]) > 48e6


@pytest.mark.parametrize("ranks", [1, 2])
def test_scaling(ranks):
    scaling = figures("scaling", "--preset", "ring", "--batch", 64, "--steps", 2, "--bandwidth", 10, "--latency", 30,
                      ranks=ranks)
    settings = {"preset": "ring", "ranks": ranks, "cores_per_node": ranks, "batch": 64}
    assert {name: scaling[name] for name in settings} == settings
    network = scaling["network"]
    assert (network["latency"], network["bytes_per_second"]) == (pytest.approx(30e-6), pytest.approx(1.25e9))
    assert ("seconds_of_message" in network) == (ranks > 1) and network.get("seconds_of_message", 0) >= 0
    assert scaling["network_is_measured"] is False and ("memory" in scaling) == (ranks > 1)
    assert [point["samples"] for point in scaling["compute_points"]] == [64, 32, 16, 8, 4, 2]
    check = scaling["check"]
    assert check["error"] == pytest.approx(check["seconds_predicted"] / check["seconds_measured"] - 1)
    assert [row["ranks"] for row in scaling["strong"]] == [8, 16, 32, 64]
    assert [row["ranks"] for row in scaling["weak"]] == [8, 16, 32, 64, 128, 256, 512]
    for row in scaling["strong"] + scaling["weak"]:
        assert row["nodes"] == row["ranks"] / ranks
        assert row["seconds_step"] == pytest.approx(sum(row["parts"].values()))
        assert row["seconds_hidden"] >= 0 and row["limit"] == max(row["parts"], key=row["parts"].get)
    # A rank moves the same parameters and takes part in longer sums, whatever its samples.
    assert scaling["strong"][-1]["parts"]["latency"] > scaling["strong"][0]["parts"]["latency"] > 60e-6


def test_scaling_that_cannot_be_measured():
    alone = gan_dist("bench", "scaling", "--preset", "ring", "--cores-per-node", 8)
    assert alone.code == 64 and "mpirun -n 2" in alone.err, alone
    assert gan_dist("bench", "scaling", "--preset", "ring", "--batch", 2).code == 78
    assert gan_dist("bench", "scaling", "--preset", "ring", "--set", "exchange.kind=mpi").code == 78


@pytest.mark.parametrize("ranks", [1, 3])
def test_data(ranks, data):
    reader = figures("data", data, "--batch", 10, "--minibatches", 20, ranks=ranks)
    assert (reader["ranks"], reader["batch"]) == (ranks, 10)
    assert [row["from"] for row in reader["rows"]] == ["memory", "file"]
    assert all(0 < row["seconds_min"] <= row["seconds_median"] and row["samples_per_second"] > 0
               for row in reader["rows"])


def test_bad_input(tmp_path):
    missing = gan_dist("bench", "data", tmp_path / "no.h5", ranks=2)
    assert missing.code == 66 and len(missing.errors) == 1, missing
    assert gan_dist("bench", "step", "--preset", "dcgan-33").code == 78
