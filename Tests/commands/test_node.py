"""What the ranks of a node have once, and what becomes of it where there is no room."""

import os
import pathlib
import re
import subprocess

import h5py
import numpy
import pytest

from conftest import CONFIGS, PROGRAM, Running, assert_same, checkpoint, resume, train, wait_until
from processes import ranks as processes
from test_stop import begin


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """50,000 images, 3.2 MB."""
    path = tmp_path_factory.mktemp("large") / "images.h5"
    with h5py.File(path, "w") as file:
        file["images"] = numpy.random.default_rng(1).integers(0, 256, (50_000, 8, 8, 1), dtype=numpy.uint8)
    return path


def with_room(megabytes, ranks, *arguments, folder="/dev/shm"):
    """gan-dist where /dev/shm, its own, has so much room; windows are kept in `folder`."""
    mount = f'mount -t tmpfs -o size={megabytes}m none /dev/shm && exec mpirun -n {ranks} "$@"'
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("a /dev/shm of one's own takes the right to mount")
    # Open MPI's messages need no room there; the tests' own folder for windows is not to be seen.
    finished = Running(arguments, command=["unshare", "--mount", "sh", "-c", mount, "sh", PROGRAM],
                       environment={"OMPI_MCA_btl": "self,tcp", "OMPI_MCA_osc_sm_backing_directory": folder}).wait()
    assert finished.code == 0, finished
    return finished


def bound_in_turn(ranks, folder, *arguments, megabytes=200):
    """gan-dist on a node of two NUMA domains, a processor each, as Linux would list them, to which mpirun has bound the
    ranks in turn; /dev/shm has so much room."""
    processors = sorted(os.sched_getaffinity(0))[:2]
    if len(processors) < 2:
        pytest.skip("two NUMA domains take two processors")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("a list of NUMA domains of one's own takes the right to mount")
    for number, processor in enumerate(processors):
        (folder / f"node{number}").mkdir(parents=True, exist_ok=True)
        (folder / f"node{number}/cpulist").write_text(f"{processor}\n")
    bind = f'exec taskset -c $((OMPI_COMM_WORLD_RANK % 2 ? {processors[1]} : {processors[0]})) "$@"'
    job = (f'mount --bind {folder} /sys/devices/system/node && mount -t tmpfs -o size={megabytes}m none /dev/shm && '
           f'exec mpirun -n {ranks} --bind-to none sh -c "$0" sh "$@"')
    finished = Running(["unshare", "--mount", "sh", "-c", job, bind, PROGRAM, *map(str, arguments)], command=[],
                       environment={"OMPI_MCA_btl": "self,tcp", "OMPI_MCA_osc_sm_backing_directory": "/dev/shm"}).wait()
    assert finished.code == 0, finished
    return finished


def windows(process):
    """The inodes of the shared windows of a process, and the bytes of each."""
    maps = pathlib.Path(f"/proc/{process}/maps").read_text()
    return {inode: int(end, 16) - int(start, 16)
            for start, end, inode in re.findall(r"(?m)^(\w+)-(\w+) rw-s \w+ \S+ (\d+) .*osc_sm", maps)}


def test_the_dataset_is_held_once(start, large, run):
    running = begin(start, large, run, 3)
    wait_until(lambda: (run / "metrics.jsonl").exists(), "the first step", running)
    of_ranks = [{inode for inode, size in windows(process).items() if size >= 3_200_000}
                for process in processes(running.process.pid)]
    running.end()
    assert len(of_ranks) == 3 and len(of_ranks[0]) == 1, of_ranks
    assert of_ranks[0] == of_ranks[1] == of_ranks[2]


def test_conditions_and_held_out_examples_are_held_once(start, run, tmp_path):
    """Of sizes that nothing else has: 200 KB of labels and 2.6 MB of images beside the 3.2 MB of the dataset."""
    files = {"trained": 50_000, "held-out": 40_000}
    for name, count in files.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["images"] = numpy.random.default_rng(count).integers(0, 256, (count, 8, 8, 1), dtype=numpy.uint8)
            file["labels"] = numpy.arange(count) % 3
    running = start("train", "--config", CONFIGS / "conditional.yaml", "--data", tmp_path / "trained.h5", "--run", run,
                    "--set", f"data.held_out={tmp_path}/held-out.h5", "--set", "output.evaluate={every: 9, count: 64}",
                    "--steps", 1_000_000, "--shards", 5, ranks=3)
    wait_until(lambda: (run / "metrics.jsonl").exists(), "the first step", running)
    of_ranks = [windows(process) for process in processes(running.process.pid)]
    running.end()
    for size in (3_200_000, 2_560_000, 200_000, 160_000):
        shared = [{inode for inode, taken in of_rank.items() if size <= taken < size + 16384} for of_rank in of_ranks]
        assert len(shared[0]) == 1 and all(inodes == shared[0] for inodes in shared), (size, of_ranks[0])


# What three ranks share: 5.3 MB of gradients, then 4 MB of parameters and moments, 1.2 MB of an average; the dataset
# has 3.2 MB, and goes before them. Each needs an eighth more.
@pytest.mark.parametrize("megabytes, private", [
    (24, []),
    (13, ["dataset"]),
    (10, ["dataset", "the average of the generator"]),
    (7, ["dataset", "the parameters and moments of the generator and the average of the generator"]),
    (1, ["dataset", "the parameters and moments of the generator and the average of the generator"])])
def test_what_finds_no_room_is_every_ranks_own(megabytes, private, large, tmp_path):
    alone, run = tmp_path / "alone", tmp_path / "run"
    train("wide", alone, "--data", large, "--shards", 3)
    finished = with_room(megabytes, 3, "train", "--config", CONFIGS / "wide.yaml", "--data", large, "--run", run)
    told = [warning for warning in finished.warnings if "every rank holds its own" in warning]
    assert len(told) == len(private), finished
    for warning, what in zip(told, private):
        assert f"one copy of the {what} a node" in warning or f"one copy a node of {what} (" in warning, finished
    assert_same(checkpoint(alone, 4), checkpoint(run, 4))


def test_a_container_of_64_megabytes(tmp_path):
    """What a container has in /dev/shm where nobody asks for more: 55 MB of images do not fit beside the networks."""
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"] = numpy.random.default_rng(1).integers(0, 256, (860_000, 8, 8, 1), dtype=numpy.uint8)
    alone, run, data = tmp_path / "alone", tmp_path / "run", ["--data", tmp_path / "images.h5"]
    train("wide", alone, *data, "--shards", 3)
    finished = with_room(64, 3, "train", "--config", CONFIGS / "wide.yaml", "--run", run, *data)
    assert len(finished.warnings) == 1 and "one copy of the dataset a node (52 MiB)" in finished.warnings[0], finished
    assert_same(checkpoint(alone, 4), checkpoint(run, 4))


# Of an unrolled discriminator of 370,000 parameters: its state, 4.5 MB, with the direction of its way back, 1.5 MB.
@pytest.mark.parametrize("megabytes", [1, 3, 5, 7, 8, 9, 11, 20])
def test_unrolling_finds_no_room(megabytes, tmp_path):
    layers = "[dense: {units: 600}, tanh, dense: {units: 600}, tanh, dense: {units: 1}]"
    wide = ["--shards", 2, "--set", f"discriminator={layers}", "--steps", 2]
    alone, run = tmp_path / "alone", tmp_path / "run"
    train("unrolled", alone, *wide)
    with_room(megabytes, 2, "train", "--config", CONFIGS / "unrolled.yaml", "--run", run, *wide)
    assert_same(checkpoint(alone, 2), checkpoint(run, 2))


# With spectral norms of both: what weights are divided by, and twice the parameters, come after the moments.
@pytest.mark.parametrize("megabytes", [8, 9, 11])
def test_spectral_norms_find_no_room(megabytes, large, tmp_path):
    spectral = ["--set", "spectral={discriminator: true, generator: true}"]
    alone, run = tmp_path / "alone", tmp_path / "run"
    train("wide", alone, "--data", large, "--shards", 3, *spectral)
    with_room(megabytes, 3, "train", "--config", CONFIGS / "wide.yaml", "--data", large, "--run", run, *spectral)
    assert_same(checkpoint(alone, 4), checkpoint(run, 4))


def test_a_folder_for_windows_that_is_not_there(large, run):
    """Only the first rank would be told by the library, and the others would wait for it."""
    finished = with_room(50, 3, "train", "--config", CONFIGS / "wide.yaml", "--data", large, "--run", run, "--steps", 1,
                         folder="/dev/shm/none")
    assert any("/dev/shm/none has no room" in warning for warning in finished.warnings), finished


SPECTRAL = ["--set", "spectral={discriminator: true, generator: true}"]


@pytest.mark.parametrize("config, data_of_its_own, options", [
    ("wide", "large", SPECTRAL), ("unrolled", None, []), ("everything", "data", []), ("autoencoder", "data", []),
    ("negatives", "data", [])])
def test_one_copy_a_numa_domain(config, data_of_its_own, options, request, tmp_path):
    """The same bits, also when it goes on with ranks that are not bound."""
    if data_of_its_own:
        options = options + ["--data", request.getfixturevalue(data_of_its_own)]
    arguments, alone, run = ["--shards", 4, *options], tmp_path / "alone", tmp_path / "run"
    train(config, alone, *arguments, "--steps", 4)
    finished = bound_in_turn(4, tmp_path / "node", "train", "--config", CONFIGS / f"{config}.yaml", "--run", run,
                             *arguments, "--steps", 2)
    assert "a copy of the networks for each of 2 NUMA domains" in finished.out, finished
    assert not finished.warnings, finished
    resume(run, "--steps", 4, ranks=3)
    assert_same(checkpoint(alone, 4), checkpoint(run, 4))


# Of four ranks that share 6.6 MB of gradients: two copies of the networks take 10.4 MB, the dataset 3.2 MB.
@pytest.mark.parametrize("megabytes, told", [(30, 0), (19, 1), (14, 2)])
def test_no_room_for_a_copy_a_domain(megabytes, told, large, tmp_path):
    alone, run = tmp_path / "alone", tmp_path / "run"
    train("wide", alone, "--data", large, "--shards", 4)
    finished = bound_in_turn(4, tmp_path / "node", "train", "--config", CONFIGS / "wide.yaml", "--data", large, "--run",
                             run, "--shards", 4, megabytes=megabytes)
    assert ("a copy of the networks for each of 2 NUMA domains" in finished.out) == (told == 0), finished
    assert len(finished.warnings) == told, finished
    assert any("one copy of the networks a NUMA domain" in warning for warning in finished.warnings) == (told > 0)
    assert_same(checkpoint(alone, 4), checkpoint(run, 4))
