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
        places = {name: str(scratch) for name in ("TMPDIR", "OMPI_MCA_btl_vader_backing_directory", "OMPI_MCA_osc_sm_backing_directory")}
        self.log = run / "metrics.jsonl"
        self.before = self.steps()
        self.running = Running(["train", "--config", CONFIGS / "ring.yaml", "--run", run, "--resume", "auto", "--steps", STEPS],
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
        """Until some time of the start, of the training, or of the end; which. On a busy machine a time since the beginning alone would
        say little of how far the run has come."""
        moment = chance.choice(["start", "training", "training", "end"]) if self.before < STEPS else "start"
        deadline = time.monotonic() + LIMIT
        if moment != "start":
            # The log of the job before is cut back to its last checkpoint: a step beyond it is this job's.
            step = chance.randint(self.before + 1, STEPS) if moment == "training" else STEPS
            while self.running.process.poll() is None and self.steps() < step:
                assert time.monotonic() < deadline, f"step {step} not reached after {LIMIT} s"
                time.sleep(0.005)
        try:
            self.running.process.wait(chance.uniform(0, {"start": 1, "training": 0.05, "end": 0.5}[moment]))
        except subprocess.TimeoutExpired:
            pass
        return moment

    def kill(self, what, chance):
        """Kills a rank, rank 0, the launcher (the only process of one rank) or all; returns which, or none where the job had ended."""
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
        """Waits for the end of all its processes: how the job ended, and after how many seconds."""
        started = time.monotonic()
        while living := self.processes():
            if time.monotonic() - started > LIMIT:
                self.running.end()
                pytest.fail(f"alive after {LIMIT} s, as process: rank, None for a launcher: {living}")
            time.sleep(0.01)
        return self.running.wait(LIMIT), time.monotonic() - started


def test_kills_at_random_times(tmp_path, request, capsys):
    wanted = request.config.getoption("--kills")
    seed = request.config.getoption("--kill-seed") or secrets.randbelow(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    whole = tmp_path / "whole"
    train("ring", whole, "--steps", STEPS, ranks=3)
    kills, runs, slowest = collections.Counter(), 0, 0.0
    while kills.total() < wanted:
        runs += 1
        run = tmp_path / f"run-{runs}"
        ranks, killed = 3, True
        while killed:
            job = Job(run, tmp_path / "tmp", ranks)
            moment = job.wait_until_random(chance)
            what = chance.choice(["rank", "rank 0", "launcher", "all"])
            killed = job.kill(what, chance)
            print(f"run {runs} on {ranks} ranks, step {job.steps()}: killed {what} in the {moment}, {killed}", flush=True)
            finished, seconds = job.end()
            # Open MPI's launcher removes what its ranks leave; where it was killed itself, nobody does. Of a window of shared
            # memory it knows nothing: the file of one stays where a rank is killed while it is made.
            left = [path for path in job.scratch.iterdir() if not path.name.startswith("osc_sm.")]
            assert job.running.process.pid in killed or not left, left
            shutil.rmtree(job.scratch)
            # A warning would be of a checkpoint that cannot be read.
            assert not finished.warnings, finished
            assert killed or finished.code == 0, finished
            if killed:
                kills[moment] += 1
                slowest = max(slowest, seconds)
                ranks = chance.randint(1, SHARDS)
        assert_same(checkpoint(run, STEPS), checkpoint(whole, STEPS))
        assert [line["step"] for line in metrics(run)] == list(range(1, STEPS + 1))
        assert_complete(run, whole)
        shutil.rmtree(run)
    with capsys.disabled():
        print(f"\n{kills.total()} kills ({', '.join(f'{kills[moment]} in the {moment}' for moment in kills)}) in {runs} runs, seed {seed}: "
              f"all {runs} ended with the same bits; a job was gone after at most {slowest:.1f} s")
