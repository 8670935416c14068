"""Ranks that do not do the same are found out: at the start, and in training by a hash of the parameters. Exit code 70,
one message."""

import os
import re
import signal
import subprocess

import h5py
import numpy
import pytest

from conftest import CONFIGS, LIMIT, PROGRAM, arrays, wait_until
from pictures import pictures
from processes import ranks as processes
from test_stop import begin


@pytest.mark.parametrize("other, named", [
    ("images", "the datasets"), ("held-out images", "the held-out examples"),
    ("held-out labels", "the held-out examples")])
def test_ranks_with_another_dataset_are_named(other, named, run, tmp_path):
    """Each rank finds the same paths, but on its own disk: although one reads for all of a node."""
    for number in (0, 1):
        (tmp_path / str(number)).mkdir()
        for name in ("images", "held-out"):
            images, labels = pictures(), numpy.arange(len(pictures())) % 3
            if other.startswith(name):
                images, labels = (images, labels[::-1]) if "labels" in other and number else (images ^ number, labels)
            with h5py.File(tmp_path / str(number) / f"{name}.h5", "w") as file:
                file["images"], file["labels"] = images, labels
    arguments = ["train", "--config", str(CONFIGS / "conditional.yaml"), "--data", "images.h5", "--run", str(run),
                 "--set", "data.held_out=held-out.h5", "--set", "output.evaluate={every: 9, count: 64}"]
    ranks = [["-n", "1", "-wdir", str(tmp_path / str(number)), PROGRAM, *arguments] for number in (0, 1)]
    finished = subprocess.run(["mpirun", *ranks[0], ":", *ranks[1]], capture_output=True, text=True, timeout=LIMIT)
    errors = [line for line in finished.stderr.splitlines() if line.startswith("gan-dist: error: ")]
    assert finished.returncode == 70 and len(errors) == 1, finished
    assert named in errors[0] and "rank 1 " in errors[0], errors
    assert not (run / "lock").exists()


def flip_a_bit(process, values):
    """In every copy of `values` in the memory of a process, what it shares with others among it."""
    pattern, found = values.astype("<f4").tobytes(), 0
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "r+b", buffering=0) as memory:
        for line in maps:
            place = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-(?:p [0-9a-f]+ 00:00|s .*osc_sm)", line)
            if not place or "[v" in line:
                continue
            start, end = (int(number, 16) for number in place.groups())
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue
            at = content.find(pattern)
            while at >= 0:
                memory.seek(start + at)
                memory.write(bytes([content[at] ^ 1]))
                found += 1
                at = content.find(pattern, at + 1)
    return found


def test_a_bit_flipped_in_the_memory_of_a_rank_is_found(start, data, run):
    # With a rate of next to nothing the weights stay what the checkpoint has, so that they can be found.
    still = [word for player in ("generator", "discriminator") for word in ("--set", f"optimizer.{player}.rate=1e-30")]
    running = begin(start, data, run, 3, *still, "--set", "exchange.check_every=5", "--checkpoint-every", 10,
                    "--keep", 1000)
    wait_until(lambda: list((run / "checkpoints").glob("step-*.h5")), "a checkpoint", running)
    written = sorted((run / "checkpoints").glob("step-*.h5"))
    weights = max((values for name, values in arrays(written[-1]).items() if name.startswith("generator/")),
                  key=numpy.size).ravel()[:64]
    rank = processes(running.process.pid)[1]
    os.kill(rank, signal.SIGSTOP)
    found = flip_a_bit(rank, weights)
    os.kill(rank, signal.SIGCONT)
    finished = running.wait()
    assert found > 0 and finished.code == 70 and len(finished.errors) == 1, (found, finished)
    # The three ranks have the generator once, and these weights are the first one's to move.
    assert re.search(r"at step \d+ the parameters and moments of the generator are not what rank 0 \(host ",
                     finished.errors[0]), finished
    assert not (run / "lock").exists()
