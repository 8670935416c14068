"""Whole training runs agree with PyTorch repeating them from their traces (Tests/reference/replay_trace.py).

Tests/reference/*.h5 hold PyTorch's losses and parameters after each of six steps, and sketches of them for some
presets of full width (`sketch.py`); `Tests/reference/write` makes them anew. The same seed and pictures give the same
trace today, so no PyTorch is needed to compare with them.
"""

import subprocess
import sys

import h5py
import numpy
import pytest

from conftest import CONFIGS as CONFIGS_FOLDER
from conftest import ROOT, arrays, gan_dist, train
from pictures import pictures

REFERENCE = ROOT / "Tests/reference"
STEPS = 6
sys.path.append(str(REFERENCE))
from sketch import distance, limit, sketch, vectors  # noqa: E402
CONFIGS = ["goodfellow", "dropout", "convolution", "together", "synchronised", "packing", "packing-plane", "unrolled",
           "relativistic", "relativistic-average", "wasserstein-penalty", "wasserstein-clip", "hinge-spectral",
           "least-squares", "reverse-kl", "grouped", "progressive", "winograd", "residual", "resampled", "augmented",
           "augmented-pairs", "conditional", "conditional-plane", "conditional-vectors", "conditional-residual",
           "conditional-synchronised"]
COLOURED = ["augmented", "augmented-pairs"]


def trace_of(config, data, folder, ranks):
    trace = folder / "trace.h5"
    # Where batch normalisation is by shard: two, whoever runs them.
    source = [] if "synthetic:" in (CONFIGS_FOLDER / f"{config}.yaml").read_text() else ["--data", data]
    if config in COLOURED:
        source = ["--data", folder / "colour.h5"]
        with h5py.File(source[1], "w") as file:
            file["images"] = pictures(channels=3)
    train(config, folder / "run", *source, "--steps", STEPS, "--shards", 2, "--trace", trace, "--trace-steps", STEPS,
          ranks=ranks)
    return trace


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("config", CONFIGS)
def test_agrees_with_pytorch(config, ranks, data, tmp_path):
    ours, theirs = arrays(trace_of(config, data, tmp_path, ranks)), arrays(REFERENCE / f"{config}.h5")
    assert len([name for name in theirs if name.endswith("generator/loss")]) == STEPS
    for name, expected in theirs.items():
        if "/loss" in name:
            # A cost is a mean of squares or logarithms of differences of logits of about 1, each good to 1e-7: one that
            # is nearly zero, as LeCam's is, has fewer digits.
            assert ours[name] == pytest.approx(expected, rel=1e-5, abs=1e-8), name
        else:
            # Of the array's largest value; an array that is nearly zero has no digits, so at least 1e-6 apart.
            limit = max(1e-4 * numpy.abs(expected).max(), 1e-6)
            assert numpy.abs(ours[name] - expected).max() < limit, name


# Preset, size and channels of the pictures, seed, batch, steps: as in `write`.
@pytest.mark.parametrize("preset, size, channels, seed, batch, steps", [
    ("goodfellow-mnist", 28, 1, 1, 64, 3), ("dcgan-32", 28, 1, 1, 64, 3), ("r3gan-28", 28, 1, 1, 64, 3),
    ("conditional-28", 28, 1, 3, 8, 2), ("stacked-fashion", 28, 3, 1, 8, 2), ("sngan-32", 32, 3, 3, 8, 1)])
def test_presets_of_full_width_agree_with_pytorch_in_float64(preset, size, channels, seed, batch, steps, tmp_path):
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file["images"] = pictures(size=size, channels=channels)
        file["labels"] = numpy.arange(100) % 10
    trace = tmp_path / "trace.h5"
    finished = gan_dist("train", "--preset", preset, "--data", tmp_path / "large.h5", "--run", tmp_path / "run",
                        "--quiet", "--batch", batch, "--seed", seed,
                        "--steps", steps, "--shards", 2, "--trace", trace, "--trace-steps", steps, ranks=2, limit=180)
    assert finished.code == 0, finished
    ours = arrays(trace)
    with h5py.File(REFERENCE / f"{preset}.h5") as reference:
        assert len(reference) == steps
        for step in range(steps):
            mine = vectors(ours, step)
            assert set(mine) == set(reference[str(step)])
            for kind, values in mine.items():
                theirs = [reference[f"{earlier}/{kind}"].attrs["float32_distance"] for earlier in range(step + 1)]
                apart = distance(sketch(values), reference[f"{step}/{kind}"][()])
                assert apart <= limit(kind, theirs), f"{kind} after step {step + 1}: {apart}"


@pytest.mark.parametrize("config", CONFIGS)
def test_pytorch_repeats_the_run(config, data, tmp_path):
    pytest.importorskip("torch",
                        reason="no PyTorch (.venv/bin/pip install torch); "
                               "its committed results are compared all the same")
    trace = trace_of(config, data, tmp_path, 1)
    replayed = subprocess.run([sys.executable, REFERENCE / "replay_trace.py", trace], capture_output=True, text=True,
                              timeout=120)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_the_reference_tells_answers_apart(data, tmp_path):
    """The comparison of the unrolled step can fail: one answer fewer is another gradient for the generator."""
    trace = tmp_path / "trace.h5"
    train("unrolled", tmp_path / "run", "--steps", STEPS, "--shards", 2, "--set", "training.unrolling_steps=2",
          "--trace", trace, "--trace-steps", STEPS)
    theirs = arrays(REFERENCE / "unrolled.h5")
    name = f"steps/{STEPS - 1:06d}/after/generator/2.dense/weight"
    assert numpy.abs(arrays(trace)[name] - theirs[name]).max() > 1e-4


def test_replay_notices_a_wrong_gradient(data, tmp_path):
    """The comparison can fail: another learning rate in the configuration is seen."""
    pytest.importorskip("torch", reason="no PyTorch (.venv/bin/pip install torch)")
    trace = trace_of("dropout", data, tmp_path, 1)
    with h5py.File(trace, "r+") as file:
        config = file.attrs["config"]
        config = config.decode() if isinstance(config, bytes) else config
        file.attrs["config"] = config.replace("beta1: 0.5", "beta1: 0.6")
    replayed = subprocess.run([sys.executable, REFERENCE / "replay_trace.py", trace], capture_output=True, text=True,
                              timeout=120)
    assert replayed.returncode == 1, replayed.stdout + replayed.stderr
