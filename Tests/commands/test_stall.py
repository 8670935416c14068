"""A rank that stands still is named, and ends the job if that lasts; one that goes on in time changes nothing."""

import os
import re
import signal
import time

import pytest

from conftest import assert_same, checkpoint, metrics, train
from processes import ranks as processes
from test_stop import MANY, begin


def stall(start, data, run, rank, *arguments):
    running = begin(start, data, run, 3, "--stall-warn", 4, *arguments)
    time.sleep(1.5)  # ranks put down once a second where they are
    os.kill(processes(running.process.pid)[rank], signal.SIGSTOP)
    return running


@pytest.mark.parametrize("rank", [0, 2])
def test_stopped_rank_is_named_and_ends_the_job(rank, start, data, run):
    finished = stall(start, data, run, rank, "--stall-abort", 7).wait(30)
    assert finished.code == 70, finished
    assert 7 <= finished.seconds < 25, finished
    phases = "data|discriminator|generator|exchange|samples|checkpoint"
    named = re.compile(rf"no progress for (\d+) s: rank {rank} \(host [^)]+\) is at step \d+, phase ({phases}); "
                       "the other ranks wait")
    seen = [named.search(line) for line in finished.warnings + finished.errors]
    assert [found and found[1] for found in seen] == ["4", "7"], finished
    last = metrics(run)[-1]["step"]
    train("dropout", run, "--data", data, "--steps", last + 2, "--resume", "auto", ranks=2, code=0)
    assert not (run / "heartbeats").exists() and not (run / "lock").exists()


def test_continued_in_time_gives_the_same_bits(start, data, run, tmp_path):
    running = stall(start, data, run, 1, "--stall-abort", 60)
    time.sleep(6)
    os.kill(processes(running.process.pid)[1], signal.SIGCONT)
    time.sleep(1)
    running.signal(signal.SIGUSR1)
    finished = running.wait(20)
    assert finished.code == 75, finished
    assert len(finished.warnings) == 1 and "rank 1 (host " in finished.warnings[0], finished
    last = metrics(run)[-1]["step"]
    train("dropout", tmp_path / "whole", "--data", data, "--steps", last, "--checkpoint-every", MANY, ranks=3)
    assert_same(checkpoint(run, last), checkpoint(tmp_path / "whole", last))
    assert not (run / "heartbeats").exists()
