"""Runs with all that a step can have at once: the same bits on any ranks, over resumes and kills; and what is made of
their checkpoints."""

import json
import os
import signal

import h5py
import numpy
import onnxruntime
import pytest
import safetensors.numpy

from conftest import (CONFIGS, arrays, assert_same, checkpoint, gan_dist, metrics, resume, train, wait_until)
from processes import ranks as processes
from test_bad_input import refused
from test_run_evaluation import evaluations

STEPS = 12
# The same without anything that couples shards, so that a rank runs its shards one after another, and G first.
APART = [word for setting in (
    "objective.loss=relativistic", "training.order=generatorFirst", "generator.2.batch_normalisation.statistics=shard",
    "objective.penalties=[{kind: r1, gamma: 2.0}, {kind: r2, gamma: 0.5, every: 3}, {kind: gradientPenalty, every: 2}, "
    "{kind: dragan, weight: 2.0}]") for word in ("--set", setting)]
# Both players at once, on D's examples.
TOGETHER = [word for setting in ("training.update=simultaneous", "training.discriminator_steps=1")
            for word in ("--set", setting)]
VARIANTS = {"coupled": [], "apart": APART, "together": TOGETHER}


@pytest.fixture(scope="module")
def wholes(data, tmp_path_factory):
    """Of each variant a run on one rank."""
    runs = {}
    for name, settings in VARIANTS.items():
        runs[name] = tmp_path_factory.mktemp("everything") / name
        train("everything", runs[name], "--data", data, *settings)
    return runs


@pytest.fixture(scope="module")
def whole(wholes):
    return wholes["coupled"]


@pytest.fixture(scope="module")
def networks(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("networks") / "run"
    train("everything-networks", run, "--data", data)
    return run


@pytest.mark.parametrize("variant, ranks", [("coupled", 2), ("coupled", 3), ("coupled", 5), ("coupled", 8),
                                            ("apart", 3), ("apart", 8), ("together", 3)])
def test_any_ranks_give_the_same_bits(variant, ranks, wholes, data, run):
    train("everything", run, "--data", data, *VARIANTS[variant], ranks=ranks)
    assert_same(checkpoint(wholes[variant], STEPS), checkpoint(run, STEPS))


@pytest.mark.parametrize("variant", VARIANTS)
def test_resume_on_other_ranks_gives_the_same_bits(variant, wholes, data, run):
    train("everything", run, "--data", data, *VARIANTS[variant], "--steps", 1, ranks=5)
    resume(run, "--steps", 7, ranks=1)
    resume(run, "--steps", STEPS, ranks=2)
    assert_same(checkpoint(wholes[variant], STEPS), checkpoint(run, STEPS))


@pytest.mark.parametrize("ranks", [2, 3, 5, 8])
def test_networks_of_everything_have_the_same_bits(ranks, networks, data, run):
    """Classes, residuals, attention, every normalisation, dropout in both and an adaptive augmentation; measured as it
    goes, and resumed on other ranks."""
    train("everything-networks", run, "--data", data, "--steps", 6, ranks=ranks)
    resume(run, "--steps", STEPS, ranks=9 - ranks)
    assert_same(checkpoint(networks, STEPS), checkpoint(run, STEPS))
    assert evaluations(run) == evaluations(networks)
    last = metrics(run)[-1]
    assert 0 < last["augment_probability"] and last["loss_discriminator"] > 0
    assert os.readlink(run / "checkpoints/best") == os.readlink(networks / "checkpoints/best")


def test_killed_run_ends_with_the_same_bits(start, data, run, tmp_path):
    running = start("train", "--config", CONFIGS / "everything.yaml", "--data", data, "--run", run, "--steps", 100_000,
                    "--set", "output.keep=1000000", ranks=3)
    wait_until(lambda: len(list((run / "checkpoints").glob("step-*.h5"))) > 1, "two checkpoints", running)
    os.kill(processes(running.process.pid)[1], signal.SIGKILL)
    running.wait()
    last = max(int(path.stem[5:]) for path in (run / "checkpoints").glob("step-*.h5")) + 3
    resume(run, "--steps", last, ranks=2)
    train("everything", tmp_path / "whole", "--data", data, "--steps", last)
    assert_same(checkpoint(run, last), checkpoint(tmp_path / "whole", last))


def test_state_and_figures_are_all_there(whole):
    names = {name.split("/")[0] for name in arrays(checkpoint(whole, STEPS))}
    assert {"generator", "discriminator", "optimizer", "spectral", "average", "lecam"} <= names
    # Also what is taken at every other update only, which is never the last one of a step here.
    keys = {f"{figure}_{place}" for figure in ("penalty", "grad_x", "grad_x_squared")
            for place in ("real", "fake", "between", "around")}
    keys |= {"lecam", "augment_probability", "sigma/discriminator/5.dense/weight"}
    assert all(keys <= line.keys() for line in metrics(whole))
    assert '"sigma/generator/1.transposed_convolution/weight"' in (whole / "metrics.jsonl").read_text()
    events = b"".join(path.read_bytes() for path in whole.glob("events*"))
    assert all(key.encode() in events for key in keys | {"pair_gap", "pairs_ranked"}) and b"\x06d_real" not in events


def effective(stored, name, layout):
    """The weight that the network computes with, of the one that is trained."""
    weight = stored[name].astype(numpy.float64)
    matrix = weight.reshape(-1, weight.shape[-1]).T
    if layout.endswith("OI"):
        matrix = numpy.moveaxis(weight, -2, 0).reshape(weight.shape[-2], -1)
    return weight / (stored[f"spectral/{name}/u"] @ matrix @ stored[f"spectral/{name}/v"])


def test_exports_are_what_is_computed_with(whole, tmp_path):
    stored, networks = arrays(checkpoint(whole, STEPS)), {}
    for flags in ((), ("--live",)):
        made, word = {}, "".join(flags)
        for kind in ("onnx", "safetensors"):
            finished = gan_dist("export", whole, "--format", kind, *flags, "--out", tmp_path / f"{word}.{kind}")
            assert finished.code == 0, finished
        gan_dist("sample", whole, "--count", 20, "--seed", 3, *flags, "--latents", "--out", tmp_path / f"{word}.h5")
        with h5py.File(tmp_path / f"{word}.h5") as file:
            latents, expected = file["latents"][()], file["images"][()]
        session = onnxruntime.InferenceSession(tmp_path / f"{word}.onnx")
        assert numpy.abs(session.run(None, {"latents": latents})[0] - expected).max() < 1e-5
        networks[flags] = safetensors.numpy.load_file(tmp_path / f"{word}.safetensors"), expected
    (average, ofAverage), (live, ofLive) = networks[()], networks[("--live",)]
    assert average.keys() == live.keys() and numpy.abs(ofAverage - ofLive).max() > 1e-3
    with h5py.File(checkpoint(whole, STEPS)) as file:
        for name, values in live.items():
            spectral = f"spectral/{name}/u" in stored
            right = effective(stored, name, file[name].attrs["layout"]) if spectral else stored[name]
            assert numpy.allclose(values, right, rtol=1e-5, atol=1e-7), name
            if name.startswith("generator/") and "statistics" not in name:
                assert numpy.array_equal(average[name], stored["average/" + name]), name
            else:
                assert numpy.array_equal(average[name], values), name


def looks(run, data, folder, *flags):
    """What the commands that look at a generator make of it."""
    folder.mkdir()
    commands = {"sample": ["sample", run, "--count", 8], "interpolate": ["interpolate", run, "--rows", 2],
                "nearest": ["nearest", run, "--data", data, "--count", 3]}
    for name, command in commands.items():
        finished = gan_dist(*command, *flags, "--out", folder / f"{name}.png")
        assert finished.code == 0, finished
    evaluated = gan_dist("evaluate", run, "--data", data, "--metrics", "swd", "--count", 64, "--json", *flags)
    assert evaluated.code == 0, evaluated
    return {**{name: (folder / f"{name}.png").read_bytes() for name in commands},
            "evaluate": json.loads(evaluated.out)["swd"]["value"]}


def test_live_is_the_last_step_where_there_is_an_average(whole, data, run, tmp_path):
    average, live = looks(whole, data, tmp_path / "average"), looks(whole, data, tmp_path / "live", "--live")
    assert all(average[name] != live[name] for name in average)
    train("dense", run, "--data", data, "--steps", 3)
    assert looks(run, data, tmp_path / "as it is") == looks(run, data, tmp_path / "the same", "--live")


def test_no_value_of_the_game_without_log_odds(whole, data):
    refused(gan_dist("evaluate", whole, "--data", data, "--metrics", "game"), 78, "game", "log-odds", "objective.loss")
    finished = gan_dist("evaluate", whole, "--data", data, "--count", 64, "--json")
    assert finished.code == 0 and "game" not in json.loads(finished.out), finished


def test_initial_values_are_of_the_networks_alone(whole, data, run, tmp_path):
    """An average or a vector of a spectral norm that is given would be overwritten at once."""
    stored = arrays(checkpoint(whole, STEPS))
    for name in ("average/generator/1.transposed_convolution/weight", "spectral/discriminator/5.dense/weight/u",
                 "lecam/means"):
        safetensors.numpy.save_file({name: stored[name]}, tmp_path / "more.safetensors")
        refused(train("everything", run, "--data", data, "--initial", tmp_path / "more.safetensors", code=65), 65, name)
    given = {name: values for name, values in stored.items()
             if name.startswith(("generator/", "discriminator/")) and "statistics" not in name}
    safetensors.numpy.save_file(given, tmp_path / "all.safetensors")
    for ranks in (1, 3):
        train("everything", tmp_path / str(ranks), "--data", data, "--initial", tmp_path / "all.safetensors",
              "--steps", 2, ranks=ranks)
    assert_same(checkpoint(tmp_path / "1", 2), checkpoint(tmp_path / "3", 2))


@pytest.mark.parametrize("key", ["objective", "spectral", "average", "augment"])
def test_what_a_given_configuration_lacks_contradicts_the_checkpoint(key, data, run, tmp_path):
    text = (CONFIGS / "everything.yaml").read_text()
    train("everything", run, "--data", data, "--steps", 1)
    lines = text.splitlines(keepends=True)
    if key == "objective":
        lines = [line for line in lines if "  penalties" not in line and "- {kind" not in line]
    else:
        lines = [line for line in lines if not line.strip().startswith(f"{key}: {{")]
    assert "".join(lines) != text
    (tmp_path / "config.yaml").write_text("".join(lines))
    finished = gan_dist("train", "--config", tmp_path / "config.yaml", "--data", data, "--run", run, "--resume", "auto")
    refused(finished, 78, key, "contradicts")
    # The whole of it goes on.
    train("everything", run, "--data", data, "--resume", "auto", "--steps", 2)
