"""One job at a time in a run folder, and never a lock that outlives its job."""

import json
import signal

import pytest

from conftest import CONFIGS, train, wait_until
from test_stop import MANY, begin


def locks(run):
    return sorted(path.name for path in run.glob("lock*"))


def test_two_at_once_over_a_dead_lock(start, data, run):
    """Several jobs start together where a job was killed: exactly one gets the run."""
    killed = begin(start, data, run, 1, "--checkpoint-every", 5)
    killed.signal(signal.SIGKILL)
    killed.wait()
    for _ in range(3):
        jobs = [start("train", "--config", CONFIGS / "dropout.yaml", "--data", data, "--run", run, "--steps", MANY,
                      "--resume", "auto") for _ in range(4)]
        wait_until(lambda: sum(job.process.poll() is not None for job in jobs) >= 3, "the end of all but one")
        refused = [job for job in jobs if job.process.poll() is not None]
        if [job.process.returncode for job in refused] != [73] * 3:
            pytest.fail(f"{[job.wait() for job in refused]}")
        winner = next(job for job in jobs if job not in refused)
        assert json.loads((run / "lock").read_text())["process"] == winner.process.pid
        # The others saw the lock before the winner could remove the files by which it was made.
        wait_until(lambda: locks(run) == ["lock"], "the lock alone", winner)
        winner.signal(signal.SIGKILL)
        winner.wait()
        for job in refused:
            assert "in use by process" in job.wait().err


def test_two_at_once_in_a_new_folder(start, data, run):
    jobs = [start("train", "--config", CONFIGS / "dense.yaml", "--data", data, "--run", run) for _ in range(4)]
    codes = sorted(job.wait().code for job in jobs)
    assert codes == [0, 73, 73, 73]
    assert locks(run) == []


def holder(**changes):
    """The lock of a job on another host."""
    lock = {"host": "another-host", "boot": "0", "namespace": "pid:[1]", "process": 7, "started": "1"}
    return json.dumps(lock | changes)


def test_requeued_job_takes_over_at_once(data, run, monkeypatch):
    run.mkdir()
    (run / "lock").write_text(holder(job="4711"))
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    finished = train("dense", run, "--data", data, "--steps", 2)
    assert "sign of life" not in finished.out + finished.err and locks(run) == [], finished


@pytest.mark.parametrize("lock", ["", "nonsense"], ids=["empty", "nonsense"])
def test_what_no_living_job_made(lock, data, run):
    run.mkdir()
    (run / "lock").write_text(lock)
    finished = train("dense", run, "--data", data, "--steps", 2)
    assert "sign of life" not in finished.out + finished.err and locks(run) == [], finished


@pytest.mark.parametrize("arguments, code", [
    (["--data", "absent.h5"], 66),
    (["--set", "data.dataset=absent"], 65),
    (["--set", "exchange.shards=7", "--set", "training.batch=3"], 78),
    (["--set", "optimizer.generator.rate=1000000", "--set", "optimizer.discriminator.rate=1000000", "--steps", "200"],
     80),
], ids=["missing", "bad", "impossible", "diverged"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_every_way_out_gives_the_lock_back(arguments, code, ranks, data, run):
    if "--data" not in arguments:
        arguments = ["--data", data, *arguments]
    finished = train("dense", run, *arguments, ranks=ranks, code=code)
    assert len(finished.errors) == 1, finished
    assert locks(run) == [] and not (run / "heartbeats").exists()


def test_dry_run_takes_no_lock(start, data, run):
    running = begin(start, data, run, 1)
    train("dropout", run, "--data", data, "--dry-run")
    assert locks(run) == ["lock"]
    running.signal(signal.SIGUSR1)
    assert running.wait().code == 75
    assert locks(run) == [] and not (run / "heartbeats").exists()
