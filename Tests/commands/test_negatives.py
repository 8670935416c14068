"""A discriminator without a generator: a run as any other, whose samples are the negatives that it climbs to."""

import json
import subprocess
import sys

import h5py
import numpy
import pytest

from conftest import ROOT, arrays, assert_same, checkpoint, gan_dist, killed_rank_is_made_good, metrics, resume, train

REFERENCE = ROOT / "Tests/reference"
STEPS = 6
TRACED = ["negatives", "negatives-plane"]


def files(config, data):
    """The option for the data of a configuration that names none."""
    return ("--data", data) if config == "negatives" else ()


def trace_of(config, data, folder, ranks):
    trace = folder / "trace.h5"
    train(config, folder / "run", *files(config, data), "--steps", STEPS, "--shards", 2, "--trace", trace,
          "--trace-steps", STEPS, ranks=ranks)
    return trace


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("config", TRACED)
def test_agrees_with_pytorch(config, ranks, data, tmp_path):
    """Costs, parameters and negatives of six steps, three rounds, by Tests/reference/replay_negatives.py."""
    ours, theirs = arrays(trace_of(config, data, tmp_path, ranks)), arrays(REFERENCE / f"{config}.h5")
    assert len([name for name in theirs if "/loss_" in name]) == 2 * STEPS
    assert len([name for name in theirs if name.endswith("/noise")]) == STEPS
    for name, expected in theirs.items():
        if "/loss_" in name:
            assert ours[name] == pytest.approx(expected, rel=1e-5), name
        else:
            limit = max(1e-4 * numpy.abs(expected).max(), 1e-6)
            assert numpy.abs(ours[name] - expected).max() < limit, name


@pytest.mark.parametrize("config", TRACED)
def test_pytorch_repeats_the_run(config, data, tmp_path):
    pytest.importorskip("torch", reason="no PyTorch; its committed results are compared all the same")
    replayed = subprocess.run(
        [sys.executable, REFERENCE / "replay_negatives.py", trace_of(config, data, tmp_path, 1)],
        capture_output=True, text=True, timeout=120)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_an_ascent_changed_is_seen(data, tmp_path):
    """The comparison can fail: smaller steps find other negatives, from the second round on."""
    train("negatives", tmp_path / "run", "--data", data, "--steps", 3, "--shards", 2, "--trace", tmp_path / "trace.h5",
          "--trace-steps", 3, "--set", "model.step_size=0.4")
    ours, theirs = arrays(tmp_path / "trace.h5"), arrays(REFERENCE / "negatives.h5")
    apart = [numpy.abs(ours[name] - theirs[name]).max()
             for name in (f"steps/{step:06d}/discriminator/0/noise" for step in range(3))]
    assert apart[0] < 1e-6 and apart[1] < 1e-6 and apart[2] > 1e-4


def negatives(path):
    with h5py.File(path) as file:
        return file["negatives"][:]


@pytest.mark.parametrize("config", [*TRACED, "negatives-normalised"])
def test_same_bits_on_any_number_of_ranks_and_over_a_resume(config, data, tmp_path):
    options = (*files(config, data), "--shards", 10, "--steps", STEPS, "--checkpoint-every", 3)
    train(config, tmp_path / "one", *options)
    for ranks in 2, 3, 5, 8:
        train(config, tmp_path / f"{ranks}", *options, ranks=ranks)
        assert_same(checkpoint(tmp_path / f"{ranks}", STEPS), checkpoint(tmp_path / "one", STEPS))
    # Within a round.
    train(config, tmp_path / "resumed", *files(config, data), "--shards", 10, "--steps", 5, ranks=3)
    resume(tmp_path / "resumed", "--steps", STEPS, ranks=2)
    assert_same(checkpoint(tmp_path / "resumed", STEPS), checkpoint(tmp_path / "one", STEPS))
    for mine, whole in zip(metrics(tmp_path / "resumed"), metrics(tmp_path / "one")):
        assert mine["step"] == whole["step"] and mine["loss_fake"] == whole["loss_fake"]
        assert mine["ascent_rise"] == whole["ascent_rise"]
    # They are in the checkpoint, and the ascent has moved them.
    train(config, tmp_path / "start", *files(config, data), "--shards", 10, "--steps", 1)
    start, end = negatives(checkpoint(tmp_path / "start", 1)), negatives(checkpoint(tmp_path / "one", STEPS))
    assert start.shape == end.shape and (start != end).any(axis=tuple(range(1, start.ndim))).all()


def test_negatives_begin_as_noise(data, tmp_path):
    """Normal of the given deviation where nothing bounds them, else uniform; keyed by their numbers alone."""
    for name, options in ("few", [("model.negatives", 500)]), ("many", [("model.negatives", 900)]):
        train("negatives-plane", tmp_path / name, "--steps", 1, *[f"--set={key}={value}" for key, value in options])
    few, many = (negatives(checkpoint(tmp_path / name, 1)) for name in ("few", "many"))
    assert (few == many[:500]).all()
    assert many.std() == pytest.approx(0.7, abs=0.04) and abs(many.mean()) < 0.06
    train("negatives", tmp_path / "images", "--data", data, "--steps", 1)
    images = negatives(checkpoint(tmp_path / "images", 1))
    assert -1 <= images.min() < -0.99 and 0.99 < images.max() <= 1
    assert images.var() == pytest.approx(1 / 3, abs=0.03)


def test_the_log_is_of_rounds(data, run):
    train("negatives", run, "--data", data, "--steps", 4)
    for line in metrics(run):
        assert line["loss_discriminator"] == pytest.approx(line["loss_real"] + line["loss_fake"])
        assert line["jsd_bound"] == pytest.approx((line["value"] + numpy.log(4)) / 2)
        assert (line["ascent_rise"] is None) == (line["step"] % 2 == 1)
        # On a D that has hardly moved since, ascent raises logits.
        assert line["ascent_rise"] is None or line["ascent_rise"] > 0
    assert (run / "samples/step-00000004.png").exists()


def test_a_killed_rank_is_made_good(start, data, run, tmp_path):
    killed_rank_is_made_good("negatives", start, data, run, tmp_path)


def test_an_asked_for_stop_saves_and_the_run_goes_on(data, run, tmp_path):
    train("negatives", tmp_path / "whole", "--data", data, "--shards", 2, "--steps", 4)
    # There is never time for a second step.
    stopped = train("negatives", run, "--data", data, "--shards", 2, "--steps", 4, "--walltime", "00:00:01", ranks=2,
                    code=75)
    assert "stopped on request after step 1" in stopped.out, stopped
    resume(run)
    assert_same(checkpoint(run, 4), checkpoint(tmp_path / "whole", 4))


def test_samples_are_the_negatives_or_what_ascent_finds(data, run, tmp_path):
    train("negatives-plane", run, "--steps", 6)
    for name, ranks in ("one", 1), ("two", 2):
        made = gan_dist("sample", run, "--count", 26, "--out", tmp_path / f"{name}.h5", ranks=ranks)
        assert made.code == 0, made
        found = gan_dist("sample", run, "--count", 300, "--by", "discriminator", "--steps", 5, "--out",
                         tmp_path / f"{name}-found.h5", ranks=ranks)
        assert found.code == 0, found
    assert (arrays(tmp_path / "one.h5")["samples"] == negatives(checkpoint(run, 6))).all()
    for name in "", "-found":
        assert (arrays(tmp_path / f"one{name}.h5")["samples"] == arrays(tmp_path / f"two{name}.h5")["samples"]).all()
    many = gan_dist("sample", run, "--count", 27, "--out", tmp_path / "many.h5")
    assert many.code == 78 and "26 negatives" in many.err and "--by discriminator" in many.err, many


def test_commands_take_the_negatives(data, run, tmp_path):
    train("negatives", run, "--data", data, "--steps", 6)
    for command in (["sample", run, "--count", 9, "--out", tmp_path / "samples.png"],
                    ["sample", run, "--count", 9, "--by", "discriminator", "--out", tmp_path / "found.png"],
                    ["nearest", run, "--out", tmp_path / "nearest.png"],
                    ["evaluate", run, "--metrics", "mmd,swd,sharpness"], ["evaluate", run],
                    ["evaluate", run, "--by", "discriminator", "--metrics", "swd", "--count", 40],
                    ["export", run, "--format", "safetensors", "--out", tmp_path / "d.safetensors"],
                    ["report", run]):
        finished = gan_dist(*command)
        assert finished.code == 0, finished
    page = (run / "report.html").read_text()
    assert "What ascent finds" in page and "The first negatives" in page and "latents" not in page
    again = train("negatives", tmp_path / "again", "--data", data, "--steps", 1, "--initial",
                  tmp_path / "d.safetensors")
    assert "arrays of the networks start as in" in again.out, again


def test_is_measured_while_it_trains(run):
    train("negatives-plane", run, "--steps", 6, "--set",
          "output.evaluate={every: 3, metrics: [modes, swd], count: 64, best: swd}", ranks=2)
    found = [line for line in metrics(run) if "evaluation_swd" in line]
    assert [line["step"] for line in found] == [3, 6]
    measured = gan_dist("evaluate", run, "--metrics", "swd", "--count", 64, "--json")
    assert json.loads(measured.out)["swd"]["value"] == pytest.approx(found[-1]["evaluation_swd"], rel=1e-6)


def test_finds_the_modes_of_a_ring(run):
    finished = gan_dist("train", "--preset", "discriminator-only", "--run", run, "--steps", 600, "--quiet",
                        "--set", "model.negatives=512")
    assert finished.code == 0, finished
    measured = gan_dist("evaluate", run, "--metrics", "modes", "--json")
    assert json.loads(measured.out)["modes"]["value"] >= 6, measured


@pytest.mark.parametrize("options, words", [
    (["--set", "model.example=null"], ["model.example"]),
    (["--set", "model.example=[64]"], ["discriminator: layer 0 (convolution): its input is [64]"]),
    (["--set", "model.example=[8, 8]"], ["model.example", "[height, width, channels]"]),
    (["--set", "model.negatives=1"], ["model.negatives", "2 …"]),
    (["--set", "model.round=0"], ["model.round"]),
    (["--set", "model.step_size=0"], ["model.step_size"]),
    (["--set", "model.bounds=tanh"], ["model.bounds", "none, unit, symmetric"]),
    (["--set", "model.step_sise=1"], ["model.step_sise", "Did you mean 'step_size'?"]),
    (["--set", "generator=[relu]"], ["generator", "a discriminator without a generator (model.kind) has no such part"]),
    (["--set", "latent.size=3"], ["latent", "no such part"]),
    (["--set", "objective.loss=hinge"], ["objective", "no such part"]),
    (["--set", "condition={classes: 3}"], ["condition", "no such part"]),
    (["--set", "data.labels=/labels"], ["data.labels", "looks at no labels"]),
    (["--set", "optimizer.generator.rate=1"], ["optimizer.generator", "no such key"]),
    (["--discriminator-steps", "2"], ["training.discriminator_steps", "no such key"]),
    (["--set", "discriminator.4.dense.units=2"], ["discriminator: its last layer makes [2]", "units: 1"]),
    (["--set", "discriminator.1=join_condition: {classes: 3}"], ["discriminator.1"]),
    (["--set", "discriminator.1=minibatch_deviation"], ["discriminator", "minibatch_deviation", "Take that layer out"]),
    (["--shards", "21"], ["exchange.shards", "21 shards of a batch of 20"]),
    (["--set", "output.evaluate={every: 2, metrics: [gradient-variance]}"], ["output.evaluate.metrics", "a generator"]),
])
def test_what_does_not_fit_is_refused(options, words, data, run):
    finished = train("negatives", run, "--data", data, *options, ranks=2, code=78)
    assert all(word in finished.err for word in words), finished
    assert finished.err.count("error:") == 1, finished


def test_examples_of_another_shape_are_refused(data, run):
    finished = train("negatives", run, "--data", data, "--set", "model.example=[9, 9, 1]", code=65)
    assert "[8, 8, 1], the network wants [9, 9, 1]" in finished.err and "data.fit" in finished.err, finished
    finished = train("negatives-plane", run, "--set", "model.example=[3]", code=78)
    assert "model.example: it is [3] where ring has points of [2]" in finished.err, finished


def test_a_step_that_leaves_the_numbers_is_refused(run):
    layers = ", ".join(["dense: {units: 64, weights: {constant: 1e6}}"] * 4)
    finished = train("negatives-plane", run, "--set", "model.round=1", "--set", "model.step_size=1e12", "--set",
                     f"discriminator=[{layers}, dense: {{units: 1, weights: {{constant: 1e6}}}}]", ranks=2, code=80)
    assert "ascent_rise is nan at step 1" in finished.err and "Lower model.step_size" in finished.err, finished
    assert finished.err.count("error:") == 1, finished


@pytest.mark.parametrize("command, words", [
    (["sample", "RUN", "--count", "4", "--by", "rejection", "--out", "samples.h5"], "asks a generator"),
    (["sample", "RUN", "--count", "4", "--latents", "--out", "samples.h5"], "--latents"),
    (["sample", "RUN", "--count", "4", "--class", "1", "--out", "samples.h5"], "--class"),
    (["interpolate", "RUN", "--out", "walk.png"], "has no generator"),
    (["nearest", "RUN", "--latent", "--out", "nearest.png"], "has no generator"),
    (["export", "RUN", "--format", "onnx", "--out", "d.onnx"], "has no generator"),
    (["reconstruct", "RUN", "--out", "rebuilt.png"], "no encoder"),
    (["evaluate", "RUN", "--metrics", "game"], "no game"),
    (["evaluate", "RUN", "--metrics", "gradient-variance"], "needs a generator"),
    (["bench", "scaling", "--config", ROOT / "Tests/commands/configs/negatives.yaml"], "is no game of two players"),
])
def test_commands_refuse_what_has_no_generator(command, words, data, run, tmp_path):
    train("negatives", run, "--data", data, "--steps", 1)
    finished = gan_dist(*[run if word == "RUN" else word for word in command], cwd=tmp_path)
    assert finished.code in (64, 78) and words in finished.err, finished
