"""SIGKILL at random times to any part of a job: what is run again ends with the bits of a run that nothing happened to.

A longer trial: Tests/commands/run -k random_times --kills 1000
"""

import collections
import os
import pathlib
import random
import secrets
import shutil
import signal
import subprocess
import time

import pytest

from conftest import CONFIGS, LIMIT, Running, assert_complete, assert_same, checkpoint, metrics, train

SHARDS = 6
# Some seconds of training: as long as it takes to start.
STEPS = 300


class Job:
    """A training of the ring in `run`, whose processes are known by the TMPDIR in their environment."""

    def __init__(self, run, scratch, ranks):
        scratch.mkdir()
        self.scratch = scratch
        # Open MPI's shared memory too, which is otherwise in /dev/shm among everybody's.
        places = {name: str(scratch)
                  for name in ("TMPDIR", "OMPI_MCA_btl_vader_backing_directory", "OMPI_MCA_osc_sm_backing_directory")}
        self.log = run / "metrics.jsonl"
        self.before = self.steps()
        self.running = Running(["train", "--config", CONFIGS / "ring.yaml", "--run", run, "--resume", "auto",
                                "--steps", STEPS],
                               ranks, environment=places)

    def steps(self):
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0

    def processes(self):
        """The job's living processes with their ranks; None for a launcher's."""
        found = {}
        mark = f"TMPDIR={self.scratch}".encode()
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in environment:
                rank = [entry.split(b"=")[1] for entry in environment if entry.startswith(b"OMPI_COMM_WORLD_RANK=")]
                found[int(folder.name)] = int(rank[0]) if rank else None
        return found

    def wait_until_random(self, chance):
        """Until some time of the start, of the training, or of the end; which. On a busy machine a time since the
        beginning alone would say little of how far the run has come."""
        moment = chance.choice(["start", "training", "training", "end"]) if self.before < STEPS else "start"
        deadline = time.monotonic() + LIMIT
        if moment != "start":
            # The log of the job before is cut back to its last checkpoint: a step beyond it is this job's.
            step = chance.randint(self.before + 1, STEPS) if moment == "training" else STEPS
            while self.running.process.poll() is None and self.steps() < step:
                if time.monotonic() > deadline:
                    self.running.process.kill()
                    pytest.fail(f"step {step} not reached after {LIMIT} s: {self.running.wait()}")
                time.sleep(0.005)
        try:
            self.running.process.wait(chance.uniform(0, {"start": 2, "training": 0.05, "end": 0.5}[moment]))
        except subprocess.TimeoutExpired:
            pass
        return moment

    def kill(self, what, chance):
        """Kills a rank, rank 0, the launcher (the only process of one rank) or all; returns which, or none where the
        job had ended."""
        processes = self.processes()
        ranks = [process for process, rank in processes.items() if rank is not None]
        launcher = self.running.process.pid
        victims = {"rank": [chance.choice(ranks)] if ranks else [],
                   "rank 0": [process for process in ranks if processes[process] == 0],
                   "launcher": [], "all": chance.sample(list(processes), len(processes))}[what]
        if self.running.process.poll() is not None:
            return []
        # Ranks that have not started yet die with the launcher.
        victims = victims or [launcher]
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return victims

    def end(self):
        """Waits for the end of all its processes: how the job ended, after how many seconds, and whether the launcher
        had to be killed.

        mpirun of libpmix 4.2.2 (Debian 12) does not end where a rank was killed in the milliseconds in which it first
        speaks to it: it waits for ever for a lock in PMIx_server_finalize, all ranks being gone."""
        started = alone = time.monotonic()
        stuck = False
        while living := self.processes():
            now = time.monotonic()
            if any(rank is not None for rank in living.values()):
                alone = now
            if now - alone > 20 and not stuck:
                self.running.process.kill()
                stuck = True
            if now - started > LIMIT:
                self.running.end()
                pytest.fail(f"alive after {LIMIT} s, as process: rank, None for a launcher: {living}")
            time.sleep(0.01)
        return self.running.wait(LIMIT), time.monotonic() - started, stuck


def start_and_kill(run, scratch, ranks, chance, seen):
    """Starts the run, or goes on with it, and kills something; false where the job had ended by itself before. Counts
    into `seen`."""
    job = Job(run, scratch, ranks)
    moment = job.wait_until_random(chance)
    what = chance.choice(["rank", "rank 0", "launcher", "all"])
    killed = job.kill(what, chance)
    print(f"{run.name} on {ranks} ranks, step {job.steps()}: killed {what} in the {moment}, {killed}", flush=True)
    finished, seconds, stuck = job.end()
    assert killed or (finished.code == 0 and not stuck), finished
    # A warning would be of a checkpoint that cannot be read.
    assert not finished.warnings, finished
    # Open MPI's launcher removes what its ranks leave; where it was killed itself, if only by the pipe to a rank,
    # nobody does. Of a window of shared memory it knows nothing: the file of one stays where a rank is killed while it
    # is made.
    left = {path.name.split(".")[0] for path in scratch.iterdir()}
    assert finished.code < 0 or left <= {"osc_sm"}, (finished, left)
    shutil.rmtree(scratch)
    if killed:
        seen.update([f"in the {moment}", *(f"left {name}" for name in left),
                     *(["launcher stuck without ranks"] if stuck else []),
                     *(["launcher ended by SIGPIPE"] if finished.code == -signal.SIGPIPE else [])])
        seen["slowest"] = max(seen["slowest"], 0 if stuck else seconds)
    return bool(killed)


def test_kills_at_random_times(tmp_path, request, capsys):
    wanted = request.config.getoption("--kills")
    seed = request.config.getoption("--kill-seed") or secrets.randbelow(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    whole = tmp_path / "whole"
    train("ring", whole, "--steps", STEPS, ranks=3)
    kills, runs, seen = 0, 0, collections.Counter()
    while kills < wanted:
        runs += 1
        run, ranks = tmp_path / f"run-{runs}", 3
        while start_and_kill(run, tmp_path / "tmp", ranks, chance, seen):
            kills += 1
            ranks = chance.randint(1, SHARDS)
        assert_same(checkpoint(run, STEPS), checkpoint(whole, STEPS))
        assert [line["step"] for line in metrics(run)] == list(range(1, STEPS + 1))
        assert_complete(run, whole)
        shutil.rmtree(run)
    slowest = seen.pop("slowest")
    with capsys.disabled():
        print(f"\n{kills} kills in {runs} runs, seed {seed}; all {runs} ended with the same bits; "
              f"a job was gone after at most {slowest:.1f} s; "
              + ", ".join(f"{count} {what}" for what, count in sorted(seen.items())))
