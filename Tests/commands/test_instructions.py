"""The vector instructions that kernels use: the best of the processor, or those that GAN_DIST_INSTRUCTIONS names; the
ranks of a job use the lowest among theirs."""

import json
import pathlib

import h5py
import pytest
import safetensors.numpy

from conftest import (CONFIGS, PROGRAM, ROOT, SETS, arrays, assert_same, checkpoint, gan_dist, mixed, resume, several,
                      train)

NAMES = {"plain": "SSE2", "avx2": "AVX2 and FMA", "avx512": "AVX-512"}
KERNELS = {"plain": "Prescott", "avx2": "Haswell", "avx512": "SkylakeX"}


def described(run, step):
    return json.loads(gan_dist("checkpoint", "info", checkpoint(run, step), "--json").out)


def test_numbers_below_the_normal_ones_are_zeros(run, tmp_path):
    """G is not moved: a D of zeros has no gradient."""
    config = tmp_path / "tiny.yaml"
    config.write_text("""
name: tiny
data: {synthetic: gaussian1d, count: 100}
latent: {size: 1}
generator: [dense: {units: 1, weights: {constant: 1.0e-39}, bias: none}]
discriminator: [dense: {units: 1, weights: {constant: 0}, bias: none}]
optimizer: {generator: {kind: sgd, rate: 0.1}, discriminator: {kind: sgd, rate: 0.1}}
training: {batch: 8, steps: 1, order: generatorFirst}
""")
    finished = gan_dist("train", "--config", config, "--run", run)
    assert finished.code == 0, finished
    with h5py.File(checkpoint(run, 1)) as file:
        assert file["generator/0.dense/weight"][0, 0] == 0


def test_the_best_are_used_and_named(run):
    finished = train("ring", run, "--steps", 1)
    if SETS:
        assert described(run, 1)["instructions"] == NAMES[SETS[0]]
        assert f"with {NAMES[SETS[0]]}" in finished.out


@several
@pytest.mark.parametrize("option", SETS)
def test_each_has_the_same_bits_on_two_ranks(option, data, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_DIST_INSTRUCTIONS", option)
    for ranks in (1, 2):
        train("convolution", tmp_path / str(ranks), "--data", data, "--steps", 2, "--shards", 2, ranks=ranks)
    assert_same(checkpoint(tmp_path / "1", 2), checkpoint(tmp_path / "2", 2))
    info = described(tmp_path / "1", 2)
    assert info["instructions"] == NAMES[option]
    if option != SETS[0]:
        assert f"kernels {KERNELS[option]}," in info["blas"]


@several
def test_ranks_use_the_lowest_among_theirs(data, tmp_path, monkeypatch):
    """With its bits, and so without a warning."""
    arguments = ["--config", CONFIGS / "convolution.yaml", "--data", data, "--steps", 2, "--run", tmp_path / "mixed"]
    finished = mixed([SETS[0], SETS[-1]], PROGRAM, "train", *arguments)
    assert finished.returncode == 0 and "computes with" not in finished.stderr, finished
    monkeypatch.setenv("GAN_DIST_INSTRUCTIONS", SETS[-1])
    train("convolution", tmp_path / "lowest", "--data", data, "--steps", 2, ranks=2)
    assert_same(checkpoint(tmp_path / "mixed", 2), checkpoint(tmp_path / "lowest", 2))
    assert described(tmp_path / "mixed", 2)["instructions"] == NAMES[SETS[-1]]


@several
def test_a_run_continued_with_others_is_warned_of(data, run, monkeypatch):
    train("dense", run, "--data", data, "--steps", 1)
    monkeypatch.setenv("GAN_DIST_INSTRUCTIONS", SETS[-1])
    warnings = resume(run, "--steps", 2).warnings
    assert len(warnings) == 1 and f"instructions is {NAMES[SETS[-1]]}, was {NAMES[SETS[0]]}" in warnings[0], warnings


def test_what_the_processor_lacks_is_refused(run, monkeypatch):
    monkeypatch.setenv("GAN_DIST_INSTRUCTIONS", "avx1024")
    finished = gan_dist("train", "--run", run)
    assert finished.code == 64 and len(finished.errors) == 1 and "GAN_DIST_INSTRUCTIONS" in finished.errors[0], finished
    assert "plain" in finished.err and not run.exists(), finished


def test_what_one_rank_alone_cannot_have_is_said(run):
    """The others, which start MPI meanwhile, end with it."""
    finished = mixed(["plain", "AVX-512"], PROGRAM, "train", "--run", run)
    assert finished.returncode == 64 and finished.stderr.count("AVX-512") == 1, finished
    assert "Did you mean 'avx512'?" in finished.stderr and not (run / "checkpoints").exists(), finished


def test_an_empty_variable_is_as_none(run, monkeypatch):
    monkeypatch.setenv("GAN_DIST_INSTRUCTIONS", "")
    assert gan_dist("--version").code == 0


def test_no_build_has_flags_of_a_processor():
    """So `swift build` alone, and who depends on the library, get the same kernels."""
    for path in [ROOT / "Package.swift", *(ROOT / "launch").glob("*"), ROOT / "Tests/units/run"]:
        if path.is_file():
            text = pathlib.Path(path).read_text()
            assert "unsafeFlags" not in text and "-march" not in text, path


@several
def test_files_are_the_same_however_weights_lie(tmp_path, monkeypatch):
    """In panels where kernels read them so, by rows with those that have no such products: what starts the same and
    moves four steps is the same but for rounding."""
    runs = {}
    for option in SETS:
        monkeypatch.setenv("GAN_DIST_INSTRUCTIONS", option)
        train("panels", tmp_path / option, "--shards", 2)
        runs[option] = arrays(checkpoint(tmp_path / option, 4))
    plain = runs.pop("plain")
    for option, found in runs.items():
        assert found.keys() == plain.keys()
        for name, values in plain.items():
            scale = max(1e-3, abs(values).max())
            assert abs(values - found[name]).max() < 1e-4 * scale, (option, name)


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_weights_in_panels_have_the_same_bits_on_any_ranks_and_resumed(ranks, run, tmp_path):
    train("panels", tmp_path / "whole", "--shards", 8)
    train("panels", run, "--shards", 8, "--steps", 2, ranks=ranks)
    resume(run, "--steps", 4)
    assert_same(checkpoint(run, 4), checkpoint(tmp_path / "whole", 4))


@several
def test_weights_in_panels_go_on_with_other_instructions(run, tmp_path, monkeypatch):
    """From a checkpoint, and what was exported starts another run."""
    monkeypatch.setenv("GAN_DIST_INSTRUCTIONS", "plain")
    train("panels", run, "--steps", 2)
    exported = tmp_path / "networks.safetensors"
    written = gan_dist("export", checkpoint(run, 2), "--format", "safetensors", "--out", exported, "--live")
    assert written.code == 0, written
    monkeypatch.delenv("GAN_DIST_INSTRUCTIONS")
    resume(run, "--steps", 4)
    train("panels", tmp_path / "whole", "--steps", 4)
    resumed, whole = arrays(checkpoint(run, 4)), arrays(checkpoint(tmp_path / "whole", 4))
    for name, values in whole.items():
        assert abs(values - resumed[name]).max() < 1e-4 * max(1e-3, abs(values).max()), name
    train("panels", tmp_path / "started", "--steps", 1, "--initial", exported, "--set", "optimizer.generator.rate=1e-9")
    started = arrays(checkpoint(tmp_path / "started", 1))
    for name, values in safetensors.numpy.load_file(exported).items():
        if name.startswith("generator/") and "statistics" not in name:
            assert abs(values - started[name]).max() < 1e-7, name
