"""Checkpoints written while training goes on: whole, agreed, and waited for before the job leaves."""

import json
import pathlib
import platform
import signal
import subprocess

import pytest

from conftest import CONFIGS, LIMIT, PROGRAM, assert_same, checkpoint, gan_dist, metrics, resume, train
from test_stop import MANY, begin


def test_every_step(data, run, tmp_path):
    """Each waits for the one before; all are there, and each is the state at its own step."""
    train("dropout", run, "--data", data, "--steps", 12, "--checkpoint-every", 1, "--keep", 100, ranks=2)
    names = sorted(path.name for path in run.glob("checkpoints/step-*"))
    assert names == [checkpoint(run, step).name for step in range(1, 13)]
    for step in (3, 7, 12):
        train("dropout", tmp_path / str(step), "--data", data, "--steps", step, "--checkpoint-every", MANY, ranks=2)
        assert_same(checkpoint(run, step), checkpoint(tmp_path / str(step), step))


def test_failure_ends_the_run_with_the_last_good_one(start, data, run):
    """A file stands where the folder was: the next checkpoint fails, one message says so."""
    running = begin(start, data, run, 2, "--checkpoint-every", 50)
    (run / "checkpoints").rename(run / "kept")
    (run / "checkpoints").touch()
    finished = running.wait()
    assert finished.code == 74, finished
    assert len(finished.errors) == 1 and "checkpoint" in finished.errors[0], finished
    assert not (run / "lock").exists() and not (run / "heartbeats").exists()
    (run / "checkpoints").unlink()
    (run / "kept").rename(run / "checkpoints")
    last = metrics(run)[-1]["step"]
    train("dropout", run, "--data", data, "--resume", "auto", "--steps", last + 1, ranks=2)


@pytest.mark.parametrize("ranks", [1, 3])
def test_signal_while_one_is_written(ranks, start, data, run, tmp_path):
    """With one a step there is always one under way."""
    running = begin(start, data, run, ranks, "--checkpoint-every", 1)
    running.signal(signal.SIGUSR2)
    running.signal(signal.SIGUSR1)
    finished = running.wait()
    assert finished.code == 75 and not finished.errors, finished
    last = metrics(run)[-1]["step"]
    assert not list(run.glob("checkpoints/.*"))
    resume(run, "--steps", last + 2, ranks=ranks)
    train("dropout", tmp_path / "whole", "--data", data, "--steps", last + 2, "--checkpoint-every", MANY, ranks=ranks)
    assert_same(checkpoint(run, last + 2), checkpoint(tmp_path / "whole", last + 2))


def test_other_arithmetic_is_named(data, run, monkeypatch):
    """Resumed with other kernels of OpenBLAS: a warning names both."""
    train("dense", run, "--data", data, "--steps", 2)
    assert not resume(run, "--steps", 3).warnings
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    finished = resume(run, "--steps", 4)
    assert len(finished.warnings) == 1 and str(checkpoint(run, 3)) in finished.warnings[0], finished
    assert "Prescott" in finished.warnings[0] and " was OpenBLAS" in finished.warnings[0], finished


def test_a_processor_with_avx2_has_kernels_with_it(run):
    """OpenBLAS alone takes those of Prescott for a processor that it does not know."""
    processor = pathlib.Path("/proc/cpuinfo").read_text()
    if platform.machine() != "x86_64" or " avx2 " not in processor or " fma " not in processor:
        pytest.skip("this processor has no AVX2")
    train("ring", run, "--steps", 1)
    described = json.loads(gan_dist("checkpoint", "info", checkpoint(run, 1), "--json").out)
    kernels = described["blas"].split("kernels ")[1].split(",")[0]
    assert kernels.lower() in ("haswell", "zen", "skylakex", "cooperlake", "sapphirerapids", "excavator"), described


def test_ranks_with_other_arithmetic_are_named(data, run):
    """That they compute otherwise is no fault then: the run goes on."""
    arguments = ["train", "--config", CONFIGS / "dense.yaml", "--data", data, "--run", run, "--steps", 2,
                 "--set", "exchange.check_every=1"]
    command = ["mpirun", "-n", "1", PROGRAM, *map(str, arguments), ":", "-n", "1", "env", "OPENBLAS_CORETYPE=Prescott",
               PROGRAM, *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    assert finished.returncode == 0, finished
    warnings = [line for line in finished.stderr.splitlines() if line.startswith("gan-dist: warning: ")]
    assert len(warnings) == 1 and "rank 1 on " in warnings[0] and "Prescott" in warnings[0], finished
