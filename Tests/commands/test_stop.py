"""Stopping on request: all ranks agree at a step boundary, save, and leave with 75; running again loses nothing."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import CONFIGS, assert_same, checkpoint, metrics, resume, train, wait_until
from processes import is_stuck
from processes import ranks as processes

MANY = 1_000_000


def begin(start, data, run, ranks, *arguments):
    """A run without end, once it has logged ten steps."""
    running = start("train", "--config", CONFIGS / "dropout.yaml", "--data", data, "--run", run, "--steps", MANY,
                    *arguments, ranks=ranks)
    log = run / "metrics.jsonl"
    wait_until(lambda: log.exists() and log.read_bytes().count(b"\n") >= 10, "ten steps in the log", running)
    return running


def assert_continues(run, data, tmp_path, ranks):
    """The stopped run and one never stopped are in the same state three steps on."""
    last = metrics(run)[-1]["step"]
    assert checkpoint(run, last).exists()
    resume(run, "--steps", last + 3, ranks=ranks)
    train("dropout", tmp_path / "whole", "--data", data, "--steps", last + 3, "--checkpoint-every", MANY, ranks=ranks)
    assert_same(checkpoint(run, last + 3), checkpoint(tmp_path / "whole", last + 3))
    assert [line["step"] for line in metrics(run)] == list(range(1, last + 4))


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("how", ["USR1", "USR2", "TERM", "INT", "file"])
def test_stops_and_continues(how, ranks, start, data, run, tmp_path):
    running = begin(start, data, run, ranks)
    if how == "file":
        (run / "stop").touch()
    elif how in ("TERM", "INT"):
        # mpirun forwards USR1 and USR2; on these two it ends the ranks itself, so they go to a rank.
        os.kill(running.process.pid if ranks == 1 else processes(running.process.pid)[-1], getattr(signal, f"SIG{how}"))
    else:
        running.signal(getattr(signal, f"SIG{how}"))
    finished = running.wait()
    assert finished.code == 75, finished
    assert not finished.errors
    assert not (run / "stop").exists(), "the next start would stop at once"
    assert_continues(run, data, tmp_path, ranks)


def test_two_signals_are_one(start, data, run):
    running = begin(start, data, run, 3)
    running.signal(signal.SIGUSR1)
    running.signal(signal.SIGUSR1)
    assert running.wait().code == 75


def test_signal_before_the_first_step(start, data, run):
    """Whenever it comes, the job ends by itself and a later one begins or continues."""
    for delay in (0.05, 0.3, 0.6):
        running = start("train", "--config", CONFIGS / "dense.yaml", "--data", data, "--run", run, "--steps", MANY,
                        "--resume", "auto", ranks=2)
        time.sleep(delay)

        def ends():
            # Again and again: mpirun forwards nothing before its ranks exist.
            running.signal(signal.SIGUSR1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(2)
            return running.process.poll() is not None or is_stuck(running.process)

        wait_until(ends, "the end of a job asked to stop in its start")
        stuck = running.process.poll() is None
        if stuck:
            running.signal(signal.SIGKILL)
        finished = running.wait()
        # 138: the signal came before the program could ask for it.
        assert stuck or finished.code in (75, 128 + signal.SIGUSR1, -signal.SIGUSR1), finished
    last = max((line["step"] for line in metrics(run)), default=0) if (run / "metrics.jsonl").exists() else 0
    train("dense", run, "--data", data, "--steps", last + 2, "--resume", "auto", ranks=2)


@pytest.mark.parametrize("ranks", [1, 3])
def test_signal_at_the_end(ranks, start, data, run, tmp_path):
    """After the last step there is nothing to stop: the job is done as if it had not come."""
    train("dense", tmp_path / "whole", "--data", data, ranks=ranks)
    running = start("train", "--config", CONFIGS / "dense.yaml", "--data", data, "--run", run, ranks=ranks)
    wait_until(lambda: (run / "metrics.jsonl").exists() and len(metrics(run)) == 12, "the last step", running)
    # To the ranks: mpirun itself dies of a signal that comes when they are gone and it no longer forwards any.
    for _ in range(50):
        for rank in processes(running.process.pid) if ranks > 1 else [running.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                if running.process.poll() is None:
                    os.kill(rank, signal.SIGUSR1)
        time.sleep(0.005)
    finished = running.wait()
    assert finished.code == 0, finished
    assert_same(checkpoint(run, 12), checkpoint(tmp_path / "whole", 12))


@pytest.mark.parametrize("ranks", [1, 3])
def test_walltime(ranks, data, run, tmp_path):
    train("dropout", run, "--data", data, "--steps", MANY, "--walltime", "00:00:03", ranks=ranks, code=75)
    assert_continues(run, data, tmp_path, ranks)


def test_run_folder_in_use(start, data, run):
    running = begin(start, data, run, 1, "--shards", 2)
    for ranks in (1, 2):
        finished = resume(run, "--steps", MANY, ranks=ranks, code=73)
        assert len(finished.errors) == 1 and str(run) in finished.err, finished
    running.signal(signal.SIGUSR1)
    assert running.wait().code == 75


def test_lock_of_a_killed_job_is_taken_over(start, data, run):
    running = begin(start, data, run, 1, "--checkpoint-every", 5)
    # Checkpoints are written on a thread: without one the resumed run would be a new one.
    wait_until(lambda: list((run / "checkpoints").glob("step-*.h5")), "a checkpoint", running)
    running.signal(signal.SIGKILL)
    # Not waited for yet: a zombie does not hold the lock.
    status = pathlib.Path(f"/proc/{running.process.pid}/stat")
    wait_until(lambda: status.read_text().rsplit(")", 1)[1].split()[0] == "Z", "its end")
    last = metrics(run)[-1]["step"]
    resume(run, "--steps", last + 10)
    assert [line["step"] for line in metrics(run)] == list(range(1, last + 11))


def test_killed_rank_ends_the_job(start, data, run):
    running = begin(start, data, run, 3)
    os.kill(processes(running.process.pid)[-1], signal.SIGKILL)
    finished = running.wait()
    assert finished.code != 0, finished
