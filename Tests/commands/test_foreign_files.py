"""HDF5 files that others made: what makes HDF5 crash, read for ever or take all memory is refused (65), by one rank, in
time."""

import pathlib
import subprocess
import sys

import h5py
import numpy
import pytest

from conftest import CONFIGS, PROGRAM, ROOT, Running, gan_dist
from test_bad_input import refused

DAMAGED = pathlib.Path(__file__).parent / "damaged"


@pytest.mark.parametrize("ranks", [1, 3])
def test_endless_heap(ranks, run):
    """HDF5 1.10.8 never ends with the text of this file's attributes."""
    path = DAMAGED / "heap.h5"
    finished = gan_dist("train", "--config", CONFIGS / "dense.yaml", "--data", path, "--run", run, ranks=ranks)
    refused(finished, 65, "heap.h5", "damaged")


def test_every_command_looks_first(tmp_path):
    for arguments in [["data", "info"], ["bench", "data"],
                      ["classifier", "train", "--out", tmp_path / "c.h5", "--data"]]:
        refused(gan_dist(*arguments, DAMAGED / "crash.h5"), 65, "crash.h5", "damaged")


def test_mutants(tmp_path):
    """Some of the 20,000 of Tests/fuzz/datasets."""
    fuzz = [sys.executable, ROOT / "Tests/fuzz/datasets", "--count", "60", "--seed", "2", "--limit", "20",
            "--keep", tmp_path,
            "--program", PROGRAM]
    done = subprocess.run(fuzz, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_bomb(tmp_path):
    """A small file of a very large chunk: the limit of memory is the child's, and a job under a limit ends with a
    sentence."""
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        shape = (1, 2048, 4096, 4)
        file.create_dataset("images", data=numpy.zeros(shape, "f4"), chunks=shape, compression=1)
    assert path.stat().st_size < 2 << 20
    limited = ["bash", "-c", 'ulimit -v 400000; exec "$0" "$@"', PROGRAM]
    finished = Running(["data", "verify", path], command=limited).wait()
    assert finished.code in (65, 70) and len(finished.errors) == 1, finished


def test_no_process_for_the_child(data, tmp_path):
    """Where no child can be started (ulimit -u) the file is read without, and that is said."""
    (tmp_path / "spawn.c").write_text("#include <errno.h>\nint posix_spawn(void) { return EAGAIN; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-fno-builtin", "-o", tmp_path / "spawn.so", tmp_path / "spawn.c"],
                   check=True)
    finished = Running(["data", "verify", data], environment={"LD_PRELOAD": str(tmp_path / "spawn.so")}).wait()
    assert finished.code == 0 and len(finished.warnings) == 1 and "child process" in finished.err, finished
