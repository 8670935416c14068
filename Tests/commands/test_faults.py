"""A kill, a full disk or a failing disk at each system call by which a checkpoint reaches the disk, one after another.

The run is held at its first line of output, before its first step, until strace looks at it: from there on only the
thread that writes the checkpoint concerns itself with these files. strace counts a thread's calls by their names, so a
name and a number are one call.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import platform
import re
import shutil
import subprocess

import pytest

from conftest import CONFIGS, LIMIT, PROGRAM, Running, assert_complete, assert_same, checkpoint, gan_dist, wait_until

BEFORE, STEPS = 4, 6
ARGUMENTS = ["--resume", "auto", "--shards", 1, "--checkpoint-every", 2, "--sample-every", 100, "--keep", 1]
WRITING = ["openat", "creat", "fallocate", "ftruncate", "write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync",
           "sync_file_range", "close", "rename",
           "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "chmod",
           "fchmod", "getdents64"]
READING = ["openat", "newfstatat", "fstat", "read", "pread64", "getdents64", "close"]
# What a full disk says; of the other calls a failing one.
NEED_ROOM = {"openat", "fallocate", "write", "rename", "symlink"}


def strace(log, paths, calls, injections):
    """The command that notes `calls` on `paths` alone, of all threads."""
    places = [word for path in paths for word in ("-P", path)]
    faults = [word for injection in injections for word in ("-e", "inject=" + injection)]
    return list(map(str, ["strace", "-f", "-qq", "-o", log, *places, "-e", "trace=" + ",".join(calls), *faults]))


def calls(log):
    """The calls of a log in order, as (thread, name, the rest of the line)."""
    return re.findall(r"^(\d+) +(\w+)\((.*)$", log.read_text(), re.MULTILINE)


def is_traced(process):
    """Whether strace has all of its threads."""
    for thread in pathlib.Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "TracerPid:\t0\n" in (thread / "status").read_text():
                return False
    return True


def counts(codes):
    return ", ".join(f"{codes.count(code)} × {code}" for code in sorted(set(codes)))


class Held:
    """A run that goes on from the checkpoint of step BEFORE, halted by a pipe that has no room for its first line."""

    def __init__(self, run):
        self.run = run
        self.reading, writing = os.pipe()
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, bytes(4096))
        except BlockingIOError:
            os.set_blocking(writing, True)
        # Its log is the last that it opens before it speaks.
        (run / "log.txt").unlink()
        command = [PROGRAM, "train", "--run", run, *ARGUMENTS, "--steps", STEPS]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=writing,
                                        stderr=subprocess.PIPE, text=True)
        os.close(writing)
        wait_until(lambda: (run / "log.txt").exists() or self.process.poll() is not None, "a log")

    def finish_traced(self, log, *injections):
        """Lets it go on to its end under strace: the exit code and the errors that it printed."""
        folder, new = self.run / "checkpoints", checkpoint(self.run, STEPS)
        temporary = f"{platform.node()}.{self.process.pid}.tmp"
        paths = [folder, checkpoint(self.run, BEFORE), new, folder / f".{new.name}.{temporary}", folder / "latest",
                 folder / f".latest.{temporary}"]
        tracer = subprocess.Popen([*strace(log, paths, WRITING, injections), "-p", str(self.process.pid)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: is_traced(self.process.pid), "strace")
        with os.fdopen(self.reading, "rb") as output, concurrent.futures.ThreadPoolExecutor(1) as reader:
            reader.submit(output.read)
            _, err = self.process.communicate(timeout=LIMIT)
        tracer.wait(LIMIT)
        return self.process.returncode, [line for line in err.splitlines() if line.startswith("gan-dist: error: ")]


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A run that ended with the checkpoint before the one that is struck."""
    run = tmp_path_factory.mktemp("before") / "run"
    trained = gan_dist("train", "--config", CONFIGS / "ring.yaml", "--run", run, *ARGUMENTS, "--steps", BEFORE)
    assert trained.code == 0, trained
    return run


def copy(run, folder):
    shutil.copytree(run, folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def whole(before, tmp_path_factory):
    """The run that nothing happens to, and the calls by which its last checkpoint reaches the disk."""
    folder = tmp_path_factory.mktemp("whole")
    run = copy(before, folder / "run")
    code, errors = Held(run).finish_traced(folder / "log")
    assert code == 0 and not errors
    made = calls(folder / "log")
    assert len({thread for thread, _, _ in made}) == 1, "a second thread makes calls, which strace counts apart"
    names = [name for _, name, _ in made]
    # Made, given room, written, forced to the disk, named, the folder forced to the disk; then the link and the one
    # before.
    for name, least in {"openat": 2, "fallocate": 1, "write": 1, "fsync": 2, "rename": 2, "symlink": 1,
                        "unlink": 1}.items():
        assert names.count(name) >= least, names
    return run, [(name, rest) for _, name, rest in made]


def injections(kind, sequence, index):
    """A kill as the call begins, an error of this call alone, or of this and every later one."""
    name = sequence[index][0]
    number = 1 + sum(called == name for called, _ in sequence[:index])
    if kind == "kill":
        return [f"{name}:signal=KILL:when={number}"]
    if kind == "one error":
        return [f"{name}:error={'ENOSPC' if name in NEED_ROOM else 'EIO'}:when={number}"]
    made = [called for called, _ in sequence[:index]]
    return [f"{name}:error=EIO:when={1 + made.count(name)}+" for name in WRITING]


def strike(kind, index, before, whole, folder):
    """One run with one fault, and then one without."""
    whole, sequence = whole
    folder.mkdir()
    run, log = copy(before, folder / "run"), folder / "log"
    code, errors = Held(run).finish_traced(log, *injections(kind, sequence, index))
    what = (kind, sequence[index], code, errors)
    committed = 1 + max(position for position, (name, _) in enumerate(sequence) if name == "fsync")
    if kind == "kill":
        assert code == -9, what
    else:
        assert "INJECTED" in log.read_text(), what
        # What is done for the sake of reading back, or once the checkpoint is safe, may fail.
        opened = [rest for name, rest in sequence[:index] if name == "openat"]
        harmless = index >= committed or (sequence[index][0] == "close" and "O_RDONLY" in opened[-1]
                                          and kind == "one error")
        assert code == (0 if harmless else 74), what
        assert len(errors) == (code != 0), what
        assert code == 0 or f"The last good checkpoint is {checkpoint(run, BEFORE)}" in errors[0], what
    good = []
    for file in (run / "checkpoints").glob("step-*.h5"):
        verified = gan_dist("checkpoint", "verify", file)
        assert verified.code == 0, (what, verified)
        good.append(int(file.stem[5:]))
    assert max(good) == STEPS or (BEFORE in good and index < committed), what
    again = gan_dist("train", "--run", run, *ARGUMENTS, "--steps", STEPS)
    assert again.code == 0 and not again.warnings, (what, again)
    assert f"training from step {max(good)} " in again.out, (what, again)
    assert_same(checkpoint(run, STEPS), checkpoint(whole, STEPS))
    assert_complete(run, whole)
    shutil.rmtree(folder)
    return code


@pytest.mark.parametrize("kind", ["kill", "one error", "errors from there on"])
def test_each_call_of_a_checkpoint(kind, before, whole, tmp_path, capsys):
    sequence = whole[1]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pending = [pool.submit(strike, kind, index, before, whole, tmp_path / str(index))
                   for index in range(len(sequence))]
        codes = [result.result() for result in pending]
    with capsys.disabled():
        print(f"\n{kind}: at each of {len(codes)} calls; exit codes {counts(codes)}")


def test_each_call_of_a_resume(before, whole, tmp_path, capsys):
    """A checkpoint that cannot be read, or a folder that cannot be listed, never has the run begin anew."""
    def resumed(run, log, *injections):
        paths = [run / "checkpoints", checkpoint(run, BEFORE)]
        return Running(["train", "--run", run, *ARGUMENTS, "--steps", BEFORE],
                       command=[*strace(log, paths, READING, injections), PROGRAM]).wait()

    finished = resumed(copy(before, tmp_path / "run"), tmp_path / "log")
    assert finished.code == 0, finished
    names = [name for _, name, _ in calls(tmp_path / "log")]
    assert {"openat", "pread64", "getdents64"} <= set(names), names
    codes = []
    for index, name in enumerate(names):
        run, log = copy(before, tmp_path / str(index)), tmp_path / f"log-{index}"
        finished = resumed(run, log, f"{name}:error=EIO:when={1 + names[:index].count(name)}")
        what = (index, name, finished)
        assert "INJECTED" in log.read_text(), what
        assert finished.code in (0, 74) and len(finished.errors) == (finished.code != 0), what
        assert finished.code != 0 or f"training from step {BEFORE} " in finished.out, what
        again = gan_dist("train", "--run", run, *ARGUMENTS, "--steps", STEPS)
        assert again.code == 0 and not again.warnings and f"training from step {BEFORE} " in again.out, (what, again)
        assert_same(checkpoint(run, STEPS), checkpoint(whole[0], STEPS))
        codes.append(finished.code)
    with capsys.disabled():
        print(f"\nan error at each of {len(codes)} calls of a resume; exit codes {counts(codes)}")
