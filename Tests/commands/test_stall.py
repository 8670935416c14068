"""A rank that stands still is named, and ends the job if that lasts; one that goes on in time changes nothing."""

import os
import re
import signal

import pytest

from conftest import assert_same, checkpoint, metrics, train, wait_until
from processes import ranks as processes
from test_stop import MANY, begin


def stall(start, data, run, rank, *arguments):
    running = begin(start, data, run, 3, "--stall-warn", 4, *arguments)
    # Each rank puts down once a second where it is.
    there = run / f"heartbeats/rank-{rank}"
    wait_until(lambda: there.exists() and int(there.read_text().split()[2]) > 0, "a heartbeat of training", running)
    os.kill(processes(running.process.pid)[rank], signal.SIGSTOP)
    return running


@pytest.mark.parametrize("rank", [0, 2])
def test_stopped_rank_is_named_and_ends_the_job(rank, start, data, run):
    finished = stall(start, data, run, rank, "--stall-abort", 7).wait()
    assert finished.code == 70, finished
    named = re.compile(rf"no progress for (\d+) s: rank {rank} \(host [^)]+\) is at step \d+, phase "
                       r"(data|discriminator|generator|exchange|samples|checkpoint); the other ranks wait")
    seconds = [named.search(line) and named.search(line)[1] for line in finished.warnings + finished.errors]
    assert seconds == ["4", "7"], finished
    last = metrics(run)[-1]["step"]
    train("dropout", run, "--data", data, "--steps", last + 2, "--resume", "auto", ranks=2, code=0)
    assert not (run / "heartbeats").exists() and not (run / "lock").exists()


def test_continued_in_time_gives_the_same_bits(start, data, run, tmp_path):
    running = stall(start, data, run, 1, "--stall-abort", 60)
    named = running.read_errors_until("rank 1 (host ")
    before = len(metrics(run))
    os.kill(processes(running.process.pid)[1], signal.SIGCONT)
    wait_until(lambda: len(metrics(run)) > before + 1, "further steps", running)
    running.signal(signal.SIGUSR1)
    finished = running.wait()
    assert finished.code == 75, finished
    assert (named + finished.err).count("no progress for") == 1, (named, finished)
    last = metrics(run)[-1]["step"]
    train("dropout", tmp_path / "whole", "--data", data, "--steps", last, "--checkpoint-every", MANY, ranks=3)
    assert_same(checkpoint(run, last), checkpoint(tmp_path / "whole", last))
    assert not (run / "heartbeats").exists()
