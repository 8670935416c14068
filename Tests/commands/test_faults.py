"""A kill, a full disk or a failing disk at each system call by which a checkpoint reaches the disk, one after another.

strace counts the calls that concern the run's checkpoints and makes the K-th of a kind fail, on one rank without mpirun.
"""

import collections
import concurrent.futures
import re
import shutil

import pytest

from conftest import CONFIGS, PROGRAM, Running, assert_complete, assert_same, checkpoint, gan_dist

BEFORE, STEPS = 4, 6
ARGUMENTS = ["--resume", "auto", "--shards", 1, "--checkpoint-every", 2, "--sample-every", 100, "--keep", 1, "--quiet"]
CALLS = ["openat", "fallocate", "ftruncate", "write", "pwrite64", "fsync", "close", "rename", "link", "symlink", "unlink", "getdents64"]
# What a full disk says; of the other calls a failing one.
NEED_ROOM = {"openat", "fallocate", "ftruncate", "write", "pwrite64", "rename", "link", "symlink"}


def files(step):
    return {f"/step-{step:08d}.h5", f"/.step-{step:08d}.h5.$(hostname).$$.tmp"}


# strace counts the calls of each thread apart, and those on the folder and the checkpoint before are made by the thread that
# trains too, when it starts.
PLACES = {"new checkpoint": files(STEPS) | {"/.latest.$(hostname).$$.tmp"}, "folder and checkpoint before": files(BEFORE) | {""}}


def traced(run, log, names, *injection):
    """Goes on training in `run` under strace, which looks at calls on the named files among the checkpoints alone."""
    paths = " ".join(f'-P "$0/checkpoints{name}"' for name in names)
    # With -D the program keeps the shell's process number, which is a part of the temporary names.
    script = f'exec strace -D -f -qq -o "$1" {paths} -e trace={",".join(CALLS)} {" ".join(injection)} "$2" train --run "$0" "${{@:3}}"'
    running = Running([*ARGUMENTS, "--steps", STEPS], command=["bash", "-c", script, str(run), str(log), PROGRAM])
    return running.wait()


def calls(log):
    """The calls of a log in order, as (thread, name, the rest of the line)."""
    return re.findall(r"^(\d+) +(\w+)\((.*)$", log.read_text(), re.MULTILINE)


def good_steps(run):
    """The steps of the run's checkpoints, each of which has to be good."""
    steps = []
    for file in sorted((run / "checkpoints").glob("step-*.h5")):
        verified = gan_dist("checkpoint", "verify", file)
        assert verified.code == 0, verified
        steps.append(int(file.stem[5:]))
    return steps


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A run that ended with the checkpoint before the one that is struck."""
    run = tmp_path_factory.mktemp("before") / "run"
    trained = gan_dist("train", "--config", CONFIGS / "ring.yaml", "--run", run, *ARGUMENTS, "--steps", BEFORE)
    assert trained.code == 0, trained
    return run


def strike(before, whole, folder, names, name, number, fault):
    """One run with one fault, and then one without."""
    folder.mkdir()
    run, log = folder / "run", folder / "log"
    shutil.copytree(before, run, symlinks=True)
    finished = traced(run, log, names, f"-e inject={name}:{fault}:when={number}")
    what = (name, number, fault, finished)
    if "signal" in fault:
        assert finished.code == -9, what
    else:
        assert "INJECTED" in log.read_text(), what
        assert finished.code in (0, 65, 66, 73, 74), what
        assert len(finished.errors) == (finished.code != 0), what
    assert max(good_steps(run)) >= (STEPS if finished.code == 0 else BEFORE), what
    again = gan_dist("train", "--run", run, *ARGUMENTS, "--steps", STEPS)
    assert again.code == 0 and not again.warnings, (what, again)
    assert_same(checkpoint(run, STEPS), checkpoint(whole, STEPS))
    assert_complete(run, whole)
    shutil.rmtree(folder)
    return finished.code


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["kill", "error"])
def test_each_call_of_a_checkpoint(kind, place, before, tmp_path, capsys):
    whole, log = tmp_path / "whole", tmp_path / "log"
    shutil.copytree(before, whole, symlinks=True)
    finished = traced(whole, log, PLACES[place])
    assert finished.code == 0, finished
    made = collections.Counter((thread, name) for thread, name, _ in calls(log))
    counts = {name: max(count for (_, called), count in made.items() if called == name) for _, name in made}
    assert {"fsync", "unlink", "openat", "close"} <= set(counts), counts
    assert place != "new checkpoint" or {"write", "fallocate", "rename", "symlink"} <= set(counts), counts
    faults = {name: "signal=KILL" if kind == "kill" else f"error={'ENOSPC' if name in NEED_ROOM else 'EIO'}" for name in counts}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pending = [pool.submit(strike, before, whole, tmp_path / f"{name}-{number}", PLACES[place], name, number, faults[name])
                   for name, count in counts.items() for number in range(1, count + 1)]
        codes = [result.result() for result in pending]
    with capsys.disabled():
        print(f"\n{place}, {kind}: at each of {len(codes)} calls ({', '.join(f'{count} {name}' for name, count in counts.items())}); "
              f"exit codes {', '.join(f'{codes.count(code)} × {code}' for code in sorted(set(codes)))}")
