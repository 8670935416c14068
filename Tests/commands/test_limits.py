"""Limits of memory, files and time, closed and full outputs, signals in the start: a sentence and a code, no hang, no
crash."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import CONFIGS, PROGRAM, Running, gan_dist, train, wait_until
from processes import ranks as processes
from test_bad_input import refused

RING = ["train", "--steps", "1", "--batch", "16"]


def limited(limit, ranks, *arguments):
    return Running(arguments, ranks, command=["bash", "-c", f'ulimit {limit}; exec "$0" "$@"', PROGRAM])


@pytest.mark.parametrize("ranks", [1, 3])
def test_memory_of_the_start(ranks, tmp_path, monkeypatch):
    """OpenBLAS asks for ever where it gets no memory. A rank trains, or says that it has too little."""
    for megabytes in (100, 250, 400, 650, 1500) if ranks == 1 else (250, 650, 1500):
        # As launch/env sets it, too.
        if megabytes == 650:
            monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
        finished = limited(f"-v {megabytes * 1000}", ranks, *RING, "--run", tmp_path / str(megabytes)).wait()
        assert "Fatal" not in finished.err and "crashed" not in finished.err, finished
        if megabytes == 1500:
            assert finished.code == 0, finished
        elif megabytes == 100:
            assert finished.code == 127 and "shared libraries" in finished.err, finished
        elif finished.code != 0:
            assert finished.code == 70 and "memory" in finished.err, finished


def test_open_files_of_the_start(tmp_path):
    """Open MPI crashes with 8, and ends with a code of its own with 16."""
    for ranks, files in (1, 8), (3, 16):
        refused(limited(f"-n {files}", ranks, *RING, "--run", tmp_path / "run").wait(), 70, f"{files} open files",
                "ulimit -n")
    assert limited("-S -n 8", 1, *RING, "--run", tmp_path / "raised").wait().code == 0


def caught(process, number):
    """Whether a process has a handler for the signal."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"SigCgt:\t(\w+)", status)[1], 16) >> (number - 1) & 1


def stuck(tmp_path, **environment):
    """gan-dist with a library loaded first that never ends its initialisation."""
    (tmp_path / "stuck.c").write_text("#include <unistd.h>\n"
                                      "__attribute__((constructor)) static void wait_for_ever(void)\n"
                                      "{ for (;;) pause(); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "stuck.so", tmp_path / "stuck.c"], check=True)
    return Running(RING, command=["env", f"LD_PRELOAD={tmp_path}/stuck.so", PROGRAM], environment=environment)


def test_limit_of_the_start(tmp_path):
    finished = stuck(tmp_path, GAN_DIST_START_LIMIT="2", OMPI_COMM_WORLD_RANK="5").wait()
    refused(finished, 70, "rank 5", socket.gethostname(), "2 s")
    assert "loading the libraries" in finished.err


def one_stuck_rank(tmp_path, **environment):
    """Two ranks, of which the second never comes: the first waits for it in MPI_Init."""
    script = tmp_path / "rank"
    script.write_text('#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = 1 ] && exec sleep 100\nexec "$0.program" "$@"\n')
    (tmp_path / "rank.program").symlink_to(PROGRAM)
    script.chmod(0o755)
    return Running(RING, ranks=2, command=[script], environment=environment)


def test_stuck_rank_ends_the_job(tmp_path):
    refused(one_stuck_rank(tmp_path, GAN_DIST_START_LIMIT="2").wait(), 70, "starting MPI", "rank 0")


def test_signal_in_MPI_Init(tmp_path):
    running = one_stuck_rank(tmp_path)

    def catches(number):
        ranks = processes(running.process.pid)
        return ranks and caught(ranks[0], number)

    wait_until(lambda: catches(signal.SIGTERM), "its handlers", running)
    time.sleep(1)
    os.kill(processes(running.process.pid)[0], signal.SIGTERM)
    finished = running.wait()
    assert finished.code == 143 and "SIGTERM before training began" in finished.err, finished


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_in_the_start(number, tmp_path):
    running = stuck(tmp_path)
    wait_until(lambda: caught(running.process.pid, signal.SIGALRM), "the limit of the start", running)
    running.signal(number)
    assert running.wait().code in (-number, 128 + number)


def test_hangup(start, data, tmp_path):
    """HUP stops a run as TERM does; under nohup it does nothing."""
    for ignored in (False, True):
        run = tmp_path / str(ignored)
        command = ["env", "--ignore-signal=HUP", PROGRAM] if ignored else [PROGRAM]
        arguments = ["train", "--config", CONFIGS / "dense.yaml", "--data", data, "--run", run, "--steps", 10**6]
        running = Running(arguments, command=command)
        log = run / "metrics.jsonl"
        wait_until(lambda: log.exists() and log.stat().st_size > 2000, "some steps", running)
        running.signal(signal.SIGHUP)
        if ignored:
            time.sleep(0.5)
            assert running.process.poll() is None
            running.signal(signal.SIGTERM)
        assert running.wait().code == 75


def test_full_standard_output(data, run):
    train("dense", run, "--data", data, "--steps", 1)
    for command in ("presets", "presets ring", "--help", f"data info {data}", f"data verify {data}",
                    f"checkpoint info {run}/checkpoints/latest",
                    f"evaluate {run} --data {data} --count 20 --metrics mmd --json",
                    "bench allreduce --json --repetitions 1",
                    "train --dry-run"):
        done = subprocess.run(["bash", "-c", f'"$0" {command} > /dev/full', PROGRAM], capture_output=True, text=True)
        assert done.returncode == 74 and done.stderr.count("gan-dist: error: standard output") == 1, (command, done)
    # Nor does a full or closed standard error change the code.
    for to in "/dev/full", "&-":
        done = subprocess.run(["bash", "-c", f'"$0" data info {run}/none.h5 2> {to}'.replace("> &", ">&"), PROGRAM])
        assert done.returncode == 66
    # A reader that has seen enough is no failure.
    commands = 'for i in 1 2 3 4 5; do "$0" presets | true; done; "$0" presets | head -1'
    done = subprocess.run(["bash", "-c", commands, PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done


def test_limit_of_a_file(data, run):
    finished = limited("-f 16", 1, "train", "--config", CONFIGS / "dense.yaml", "--data", data, "--run", run).wait()
    refused(finished, 74, "File too large")


def test_closed_standard_files(data, run):
    """What is printed does not go into the next file that is opened."""
    before = data.read_bytes()
    arguments = ["train", "--config", CONFIGS / "dense.yaml", "--data", data, "--run", run]
    subprocess.run(["bash", "-c", 'exec "$0" "$@" <&- >&- 2>&-', PROGRAM, *map(str, arguments)])
    assert data.read_bytes() == before
    assert gan_dist("checkpoint", "verify", run / "checkpoints/step-00000012.h5").code == 0
    assert all(line.startswith("{") for line in (run / "metrics.jsonl").read_text().splitlines())
