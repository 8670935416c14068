"""Under a launcher that is not Open MPI's each process would train alone: the collective commands refuse, once."""

import os
import pathlib

import pytest

from conftest import PROGRAM, Running
from test_bad_input import refused

RING = ["train", "--steps", "1", "--batch", "16"]


def under(environment, *arguments, ranks=1):
    return Running(arguments, ranks, environment=environment).wait()


def test_other_launchers(tmp_path):
    run = tmp_path / "run"
    for environment in ({"PMI_SIZE": "4", "PMI_RANK": "0"}, {"PMI_SIZE": "4"},
                        {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}):
        refused(under(environment, *RING, "--run", run), 78, "4 processes", "mpirun")
    # Only the first of them speaks.
    finished = under({"PMI_SIZE": "4", "PMI_RANK": "2"}, "bench", "allreduce")
    assert finished.code == 78 and not finished.err, finished
    assert not run.exists()


def test_no_false_alarm(tmp_path):
    """A batch script, a step of one process, mpirun inside a step, and commands of one process."""
    for number, (environment, ranks) in enumerate([({"SLURM_NTASKS": "8", "SLURM_JOB_ID": "1", "SLURM_PROCID": "0"}, 1),
                                                   ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, 1)]):
        assert under(environment, *RING, "--run", tmp_path / str(number), ranks=ranks).code == 0
    step = ["bash", "-c", 'export SLURM_STEP_NUM_TASKS=8; exec "$0" "$@"', PROGRAM]
    assert Running([*RING, "--run", tmp_path / "mpirun"], 2, command=step).wait().code == 0
    assert under({"PMI_SIZE": "4", "PMI_RANK": "0"}, "presets").code == 0


def test_ranks_that_share_a_core_are_named_once(tmp_path):
    """Where there are too few, or ranks are held to one; not where each has its own, bound or not."""
    def siblings(processor):
        return pathlib.Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list").read_text()

    first, *others = sorted(os.sched_getaffinity(0))
    apart = [processor for processor in others if siblings(processor) != siblings(first)]
    if not apart:
        pytest.skip("this machine has one core")
    one, two = [first], [first, apart[0]]
    for number, (processors, ranks, *options) in enumerate([
            (one, 2), (two, 3), (two, 2), (two, 2, "--bind-to", "core")]):
        cores = ",".join(map(str, processors))
        command = ["taskset", "--cpu-list", cores, "mpirun", "-n", str(ranks), *options, PROGRAM]
        finished = Running([*RING, "--quiet", "--run", tmp_path / str(number)], command=command).wait()
        assert finished.code == 0, finished
        warned = [line for line in finished.err.splitlines() if "slower than a core for each" in line]
        assert len(warned) == (ranks > len(processors)), finished
        if warned:
            named = "ranks 0 and 1" if ranks == 2 else "3 ranks"
            assert warned[0].startswith(f"gan-dist: warning: {named} on ") and "--bind-to core" in warned[0], finished
