"""Runs gan-dist as a user does, and the small data and configurations that the tests share."""

import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import time

import h5py
import pytest

from pictures import labelled_pictures
from processes import ranks as processes_of_ranks

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "Tests/commands/configs"
PROGRAM = os.environ["GAN_DIST"]
# Seconds after which what is waited for counts as a hang. It costs nothing where there is none, so that it is far above
# what a tiny network needs on a machine with twenty other programs a core.
LIMIT = 240

# Set from outside it would have OpenBLAS use the same kernels with all instruction sets.
os.environ.pop("OPENBLAS_CORETYPE", None)

# The instruction sets of this processor that there are kernels for, the best first.
_sets = subprocess.run(["bash", "-c", ". launch/common.sh; instruction_sets"], cwd=ROOT, capture_output=True, text=True)
SETS = _sets.stdout.split() if os.uname().machine == "x86_64" else []
several = pytest.mark.skipif(len(SETS) < 2, reason="this processor has one set")

# Workers of pytest-xdist have temporary folders of their own: of two mpiruns that share one, the first to end removes
# Open MPI's session folder there, which the other may be about to use; it then ends with an error of ORTE.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["TMPDIR"] = os.path.join(tempfile.gettempdir(), os.environ["PYTEST_XDIST_WORKER"])
    os.makedirs(os.environ["TMPDIR"], exist_ok=True)
    tempfile.tempdir = None

# In a test run that was started in the background a shell ignores INT, and nohup HUP; gan-dist would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_until(condition, what, running=None):
    """Until `condition` is true; `what` names it. Where `running` ends before, it never will be."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        if running and running.process.poll() is not None and not condition():
            pytest.fail(f"ended without {what}: {running.wait()}")
        if time.monotonic() > deadline:
            if running:
                running.end()
            pytest.fail(f"not within {LIMIT} s: {what}")
        time.sleep(0.01)


class Finished:
    """A command that ended: its exit code, what it printed, and how long it took."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __repr__(self):
        return (f"exit code {self.code} after {self.seconds:.1f} s\n--- standard output\n{self.out}\n"
                f"--- standard error\n{self.err}")

    @property
    def errors(self):
        return [line for line in self.err.splitlines() if line.startswith("gan-dist: error: ")]

    @property
    def warnings(self):
        """Without that of ranks that share cores: it says how many the machine has."""
        return [line for line in self.err.splitlines() if line.startswith("gan-dist: warning: ")
                and "slower than a core for each" not in line]


class Running:
    """gan-dist under mpirun (or alone, on one rank) in a session of its own, so that all of it can be ended."""

    def __init__(self, arguments, ranks=1, cwd=None, environment=None, command=(PROGRAM,)):
        command = [*command, *map(str, arguments)]
        if ranks > 1:
            command = ["mpirun", "-n", str(ranks), *command]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, cwd=cwd, env={**os.environ, **(environment or {})},
                                        start_new_session=True, text=True)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, limit=LIMIT):
        try:
            out, err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.end()
            pytest.fail(f"not done after {limit} s: {' '.join(self.process.args)}")
        return Finished(self.process.returncode, out, err, time.monotonic() - self.started)

    def read_errors_until(self, text):
        """What it prints on standard error up to `text`; ``wait`` returns the rest."""
        seen, deadline = b"", time.monotonic() + LIMIT
        while text.encode() not in seen:
            ready, _, _ = select.select([self.process.stderr], [], [], max(0, deadline - time.monotonic()))
            new = os.read(self.process.stderr.fileno(), 65536) if ready else b""
            if not new:
                pytest.fail(f"{text!r} is not in {seen.decode()!r}")
            seen += new
        return seen.decode()

    def end(self):
        """mpirun ends its ranks on TERM; what is left after three seconds is killed."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.communicate(timeout=3)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.communicate()


@pytest.fixture
def start():
    """Starts gan-dist in the background; what a failed test leaves running is ended."""
    begun = []

    def begin(*arguments, ranks=1, cwd=None):
        begun.append(Running(arguments, ranks, cwd))
        return begun[-1]

    yield begin
    for running in begun:
        running.end()


def gan_dist(*arguments, ranks=1, limit=LIMIT, cwd=None):
    """Runs gan-dist to its end."""
    return Running(arguments, ranks, cwd).wait(limit)


def train(config, run, *arguments, ranks=1, limit=LIMIT, code=0):
    """Trains a configuration of `configs/` and checks the exit code."""
    finished = gan_dist("train", "--config", CONFIGS / f"{config}.yaml", "--run", run, *arguments, ranks=ranks,
                        limit=limit)
    assert finished.code == code, finished
    return finished


def resume(run, *arguments, ranks=1, code=0):
    """Continues the run of a folder: the configuration comes from its checkpoint."""
    finished = gan_dist("train", "--run", run, "--resume", "auto", *arguments, ranks=ranks)
    assert finished.code == code, finished
    return finished


def killed_rank_is_made_good(config, start, data, run, folder):
    """A rank of three is killed in training; two go on, to the bits of one rank that nothing happened to."""
    running = start("train", "--config", CONFIGS / f"{config}.yaml", "--data", data, "--run", run, "--steps", 1_000_000,
                    "--shards", 4, ranks=3)
    log = run / "metrics.jsonl"
    wait_until(lambda: log.exists() and log.read_bytes().count(b"\n") >= 10, "ten steps in the log", running)
    os.kill(processes_of_ranks(running.process.pid)[1], signal.SIGKILL)
    assert running.wait().code != 0
    steps = max(line["step"] for line in metrics(run)) + 4
    resume(run, "--steps", steps, ranks=2)
    train(config, folder / "whole", "--data", data, "--shards", 4, "--steps", steps)
    assert_same(checkpoint(run, steps), checkpoint(folder / "whole", steps))


def metrics(run):
    """The lines that are whole: of a run under way the last may not be."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines(keepends=True)
            if line.endswith("\n")]


def checkpoint(run, step):
    return run / f"checkpoints/step-{step:08d}.h5"


def mixed(options, *command):
    """A rank for each of the instruction sets that `options` name."""
    line = ["mpirun"]
    for option in options:
        line += [":"] * (len(line) > 1) + ["-n", "1", "env", f"GAN_DIST_INSTRUCTIONS={option}", *map(str, command)]
    return subprocess.run(line, capture_output=True, text=True, timeout=LIMIT)


def assert_same(first, second):
    """The two checkpoints hold the same training state, bit by bit."""
    compared = gan_dist("checkpoint", "diff", first, second)
    assert compared.code == 0, compared


def assert_complete(run, whole):
    """The run folder holds what one of a run never stopped holds, and no temporary file. A job that is killed before it
    removes the oldest checkpoints, or cannot list them, leaves these: none is removed that has not been seen to be
    superfluous."""
    names, expected = ({str(path.relative_to(folder)) for path in folder.rglob("*")} for folder in (run, whole))
    assert expected <= names
    more = sorted(names - expected)
    assert all(name.startswith("checkpoints/step-") for name in more), more


def arrays(path):
    """Every dataset of an HDF5 file by its path."""
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, item[()])
                        if isinstance(item, h5py.Dataset) else None)
    return found


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=50, help="how many processes test_kills.py kills at random times")
    parser.addoption("--kill-seed", type=int, default=None, help="what its random choices follow from")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """100 images of 8 × 8 with labels, and vectors of two numbers beside them, as h5py writes them."""
    path = tmp_path_factory.mktemp("data") / "squares.h5"
    with h5py.File(path, "w") as file:
        for name, values in labelled_pictures().items():
            file[name] = values
    return path


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


def pytest_terminal_summary(terminalreporter):
    counts = {kind: len(terminalreporter.stats.get(kind, [])) for kind in ("passed", "failed", "error", "skipped")}
    terminalreporter.write_line("")
    failed = counts["failed"] + counts["error"]
    terminalreporter.write_line(f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped")


def evaluated(*arguments, ranks=1):
    """The measures of `gan-dist evaluate`, by their names."""
    finished = gan_dist("evaluate", *arguments, "--json", ranks=ranks)
    assert finished.code == 0, finished
    return json.loads(finished.out)


def refused(finished, code, *words):
    """That a command ended so, with one line of error that has these words."""
    assert finished.code == code and len(finished.errors) == 1, finished
    for word in words:
        assert word in finished.err, finished
