"""A kill, a full disk or a failing disk at each system call by which a checkpoint reaches the disk, one after another.

strace counts the calls that concern the run's checkpoints and makes the K-th of a kind fail, on one rank without mpirun.
"""

import concurrent.futures
import re
import shutil

import pytest

from conftest import CONFIGS, PROGRAM, Running, assert_complete, assert_same, checkpoint, gan_dist

STEPS = 6
EVERY = 2
ARGUMENTS = ["--resume", "auto", "--steps", STEPS, "--shards", 1, "--checkpoint-every", EVERY, "--sample-every", 100, "--keep", 1, "--quiet"]
CALLS = ["openat", "fallocate", "ftruncate", "write", "pwrite64", "fsync", "close", "rename", "link", "symlink", "unlink", "getdents64"]
# What a full disk says; of the other calls a failing one.
NEED_ROOM = {"openat", "fallocate", "ftruncate", "write", "pwrite64", "rename", "link", "symlink"}


def traced(run, log, *injection):
    """Trains in `run` under strace, which looks at calls on the folder of checkpoints and the files in it alone."""
    files = ["", "/latest", "/.latest.$(hostname).$$.tmp"]
    for step in range(EVERY, STEPS + 1, EVERY):
        files += [f"/step-{step:08d}.h5", f"/.step-{step:08d}.h5.$(hostname).$$.tmp"]
    paths = " ".join(f'-P "$0/checkpoints{file}"' for file in files)
    # With -D the program keeps the shell's process number, which is a part of the temporary names.
    script = f'exec strace -D -f -qq -o "$1" {paths} -e trace={",".join(CALLS)} {" ".join(injection)} "$2" train --run "$0" "${{@:3}}"'
    running = Running(["--config", CONFIGS / "ring.yaml", *ARGUMENTS], command=["bash", "-c", script, str(run), str(log), PROGRAM])
    return running.wait()


def calls(log):
    """The calls of a log in order, as (name, the rest of the line)."""
    return re.findall(r"^\d+ +(\w+)\((.*)$", log.read_text(), re.MULTILINE)


def good_steps(run):
    """The steps of the run's checkpoints, each of which has to be good."""
    steps = []
    for file in sorted((run / "checkpoints").glob("step-*.h5")):
        verified = gan_dist("checkpoint", "verify", file)
        assert verified.code == 0, verified
        steps.append(int(file.stem[5:]))
    return steps


def committed(log):
    """The step of the last checkpoint that had got its name and whose folder had been forced to the disk."""
    last = renamed = 0
    for name, rest in calls(log):
        if "INJECTED" in rest or "= 0" not in rest:
            continue
        if name == "rename" and (step := re.search(r'/step-0*(\d+)\.h5"\) = 0', rest)):
            renamed = int(step[1])
        if name == "fsync":
            last = renamed
    return last


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing happens to, and how often it makes each call."""
    folder = tmp_path_factory.mktemp("whole")
    finished = traced(folder / "run", folder / "log")
    assert finished.code == 0, finished
    counts = {name: sum(1 for called, _ in calls(folder / "log") if called == name) for name in CALLS}
    # Three checkpoints: each is written, forced to the disk with its folder, and named.
    assert counts["write"] >= 3 and counts["fsync"] >= 6 and counts["rename"] >= 6 and counts["unlink"] >= 5, counts
    return folder / "run", {name: count for name, count in counts.items() if count}


def strike(whole, folder, name, number, fault):
    """One run with one fault, and then one without."""
    folder.mkdir()
    run, log = folder / "run", folder / "log"
    finished = traced(run, log, f"-e inject={name}:{fault}:when={number}")
    what = (name, number, fault, finished)
    if "signal" in fault:
        # A signal is delivered as the call returns, which it does before a last close.
        assert finished.code == -9, what
    else:
        assert "INJECTED" in log.read_text(), what
        assert finished.code in (0, 66, 73, 74), what
        assert len(finished.errors) == (finished.code != 0), what
    good = good_steps(run) if run.exists() else []
    assert max(good, default=0) >= committed(log), what
    again = gan_dist("train", "--config", CONFIGS / "ring.yaml", "--run", run, *ARGUMENTS)
    assert again.code == 0 and not again.warnings, (what, again)
    assert_same(checkpoint(run, STEPS), checkpoint(whole, STEPS))
    assert_complete(run, whole)
    shutil.rmtree(folder)
    return finished.code


@pytest.mark.skip(reason="to be mended: since checkpoints are written on a thread, the order and number of calls vary from run to run")
@pytest.mark.parametrize("kind", ["kill", "error"])
def test_each_call_of_a_checkpoint(kind, whole, tmp_path, capsys):
    run, counts = whole
    faults = {name: "signal=KILL" if kind == "kill" else f"error={'ENOSPC' if name in NEED_ROOM else 'EIO'}" for name in counts}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pending = [pool.submit(strike, run, tmp_path / f"{name}-{number}", name, number, faults[name])
                   for name, count in counts.items() for number in range(1, count + 1)]
        codes = [result.result() for result in pending]
    with capsys.disabled():
        print(f"\n{kind}: at each of {len(codes)} calls ({', '.join(f'{count} {name}' for name, count in counts.items())}); "
              f"exit codes {', '.join(f'{codes.count(code)} × {code}' for code in sorted(set(codes)))}")
