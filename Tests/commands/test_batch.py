"""The batch scripts, each run as its scheduler would run it: warned in time they save, leave with 75, and ask to be run
again.

The scheduler's commands are stand-ins that note what they are asked. launch/trials/slurm-trial runs two of the scripts
on a real Slurm.
"""

import mmap
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest

from conftest import CONFIGS, LIMIT, ROOT, Running, metrics, wait_until
from processes import ranks as processes
from test_stop import MANY

HOST = "localhost"
# What the scheduler sets, the signal before the limit, the exit code and what is asked of the scheduler.
SCRIPTS = {
    "slurm.sbatch": ({"SLURM_JOB_ID": "7"}, signal.SIGUSR1, 75, "scontrol requeue 7"),
    "slurm-array.sbatch": ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}, signal.SIGUSR1,
                           75, "scontrol requeue 7_2"),
    "pbs.sh": ({"PBS_JOBID": "7"}, None, 75, "qsub -W depend=afterany:7 launch/cluster/pbs.sh"),
    "lsf.sh": ({"LSB_JOBID": "7", "LSB_MCPU_HOSTS": f"{HOST} 2"}, signal.SIGUSR2, 75, ""),
    "sge.sh": ({"JOB_ID": "7", "NSLOTS": "2"}, signal.SIGUSR2, 99, ""),
}
CORES = len(os.sched_getaffinity(0))
# What launch/env sets on one machine.
LAPTOP = {"OMPI_MCA_rmaps_base_oversubscribe", "OMPI_MCA_mpi_yield_when_idle", "OMPI_MCA_hwloc_base_binding_policy"}
FOLDERS = ["SLURM_SUBMIT_DIR", "PBS_O_WORKDIR", "LS_SUBCWD", "SGE_O_WORKDIR"]


class Scheduler:
    def __init__(self, folder):
        self.folder, self.runs, self.asked = folder, folder / "runs", folder / "asked"
        (folder / "nodes").write_text(f"{HOST}\n{HOST}\n")
        for name, prints in {"scontrol": "", "qsub": "", "squeue": "RUNNING"}.items():
            command = folder / name
            note = "" if prints else f'echo "{name} $*" >>{shlex.quote(str(self.asked))}\n'
            command.write_text(f"#!/bin/sh\n{note}echo {prints}\n")
            command.chmod(0o755)
        self.asked.touch()

    @property
    def run(self):
        """The run folder; an array's script makes one a task."""
        return next((path.parent for path in self.runs.rglob("metrics.jsonl")), None)

    def start(self, name, *options, **environment):
        """Runs a script of launch/cluster whose line of training options is replaced, as a user does."""
        words = ["--config", CONFIGS / "ring.yaml", "--shards", 4, *options]
        text = (ROOT / "launch/cluster" / name).read_text()
        script, count = re.subn(r"^train=.*$", lambda _: f"train=({shlex.join(map(str, words))})", text,
                                flags=re.MULTILINE)
        assert count == 1
        (self.folder / name).write_text(script)
        places = {"RUN": str(self.runs / "one"), "RUNS": str(self.runs), "PBS_NODEFILE": str(self.folder / "nodes"),
                  **dict.fromkeys(FOLDERS, str(ROOT))}
        path = f"{self.folder}:{os.environ['PATH']}"
        return Running([], command=["bash", self.folder / name],
                       environment={**places, "PATH": path, **SCRIPTS[name][0], **environment})

    def wait_for_steps(self, running, number=10):
        wait_until(lambda: self.run and len(metrics(self.run)) >= number, f"{number} steps", running)


@pytest.fixture
def scheduler(tmp_path):
    return Scheduler(tmp_path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_warned_it_asks_to_be_run_again_and_goes_on(name, scheduler):
    _, warning, code, asks = SCRIPTS[name]
    running = scheduler.start(name, "--steps", MANY, *([] if warning else ["--walltime", "00:00:06"]))
    scheduler.wait_for_steps(running)
    if warning:
        running.signal(warning)
    finished = running.wait()
    assert finished.code == code, finished
    assert scheduler.asked.read_text().strip() == asks
    assert "stopped on request after step" in finished.out and "to be run again" in finished.out, finished
    cores = dict(re.findall(r"MCW rank (\d+) bound to (socket \d+\[core \d+)", finished.err))
    assert len(set(cores.values())) == min(len(cores), CORES) > 0, finished
    assert len(cores) > CORES or "slower than a core for each" not in finished.err, finished
    last = metrics(scheduler.run)[-1]["step"]
    finished = scheduler.start(name, "--steps", last + 2).wait()
    assert finished.code == 0 and f"training from step {last} " in finished.out, finished
    assert scheduler.asked.read_text().strip() == asks, "a job that is done asks for nothing"


@pytest.mark.parametrize("name, code", [("pbs.sh", 75), ("lsf.sh", 70)])
def test_deleted_it_saves_but_is_not_run_again(name, code, scheduler):
    running = scheduler.start(name, "--steps", MANY)
    scheduler.wait_for_steps(running)
    running.signal(signal.SIGTERM)
    finished = running.wait()
    assert finished.code == code and "stopped on request after step" in finished.out, finished
    assert not scheduler.asked.read_text()


def pod(run, *options, **environment):
    words = ["bash", ROOT / "launch/cluster/k8s/launcher", run, 2, "--config", CONFIGS / "ring.yaml", *options]
    return Running([], command=list(map(str, words)), environment={"K_MPI_JOB_ROLE": "launcher", **environment})


@pytest.mark.parametrize("name, launcher", [
    *((name, "mpirun") for name in SCRIPTS), ("slurm.sbatch", "srun"), ("pod", "mpirun")])
def test_a_job_binds_its_ranks_and_has_no_setting_of_a_laptop(name, launcher, scheduler, run):
    """Nor one of the shell that it was submitted from, as these tests' own; a site's stays."""
    assert LAPTOP == set(os.environ["GAN_DIST_LAPTOP_SETTINGS"].split()) and LAPTOP < os.environ.keys()
    stand_in = scheduler.folder / launcher
    stand_in.write_text('#!/bin/sh\necho "$*"\nenv\n')
    stand_in.chmod(0o755)
    options = {"srun": "--cpu-bind=verbose,cores --distribution=block:block", "pod": "--bind-to none"}
    usual = "--bind-to core:overload-allowed --map-by core --report-bindings"
    bound = options.get(launcher) or options.get(name) or usual
    for site in {}, {"OMPI_MCA_mpi_yield_when_idle": "1", "GAN_DIST_LAPTOP_SETTINGS": ""}:
        if name == "pod":
            finished = pod(run, PATH=f"{scheduler.folder}:{os.environ['PATH']}", **site).wait()
        else:
            finished = scheduler.start(name, LAUNCHER=launcher, **site).wait()
        words, *lines = finished.out.splitlines()
        assert finished.code == 0 and f" {bound} " in f" {words} ", finished
        there = {line.split("=")[0] for line in lines}
        # The second part shows that this would see a setting that is not taken back.
        assert there & LAPTOP == (LAPTOP if site else set()), finished
        assert "OMPI_MCA_oob_tcp_keepalive_time" in there, "what holds for one machine and for many"


def test_pod_that_is_evicted_saves_and_goes_on_in_the_next(run):
    running = pod(run, "--steps", MANY)
    wait_until(lambda: (run / "metrics.jsonl").exists() and len(metrics(run)) >= 10, "ten steps", running)
    running.signal(signal.SIGTERM)
    assert running.wait().code == 75
    last = metrics(run)[-1]["step"]
    finished = pod(run, "--steps", last + 2).wait()
    assert finished.code == 0 and f"training from step {last} " in finished.out, finished


def test_cancelled_it_is_not_run_again(scheduler):
    (scheduler.folder / "squeue").write_text("#!/bin/sh\necho COMPLETING\n")
    running = scheduler.start("slurm.sbatch", "--steps", MANY)
    scheduler.wait_for_steps(running)
    running.signal(signal.SIGTERM)
    assert running.wait().code == 75
    assert not scheduler.asked.read_text()


def test_failed_it_is_not_run_again(scheduler):
    finished = scheduler.start("slurm.sbatch", "--set", "training.batch=0").wait()
    assert finished.code == 78 and not scheduler.asked.read_text(), finished


def mpirun(script):
    return next(int(process) for process in os.listdir("/proc") if process.isdigit()
                and is_child(process, script) and b"mpirun" in open(f"/proc/{process}/cmdline", "rb").read())


def is_child(process, parent):
    try:
        return open(f"/proc/{process}/stat").read().rsplit(")", 1)[1].split()[1] == str(parent)
    except OSError:
        return False


@pytest.mark.parametrize("number, victim",
                         [(signal.SIGTERM, "mpirun"), (signal.SIGINT, "mpirun"), (signal.SIGKILL, "a rank")])
def test_struck_below_the_script_it_is_run_again(number, victim, scheduler):
    """Schedulers may signal every process of a job: mpirun's own exit code hides that the ranks have saved."""
    running = scheduler.start("slurm.sbatch", "--steps", MANY)
    scheduler.wait_for_steps(running)
    launcher = mpirun(running.process.pid)
    os.kill(launcher if victim == "mpirun" else processes(launcher)[-1], number)
    finished = running.wait()
    assert finished.code == (75 if victim == "mpirun" else 137), finished
    assert scheduler.asked.read_text() == "scontrol requeue 7\n"


def test_launcher_that_does_not_end_is_killed_and_run_again(tmp_path):
    """It has a rank for some seconds, and then waits for ever without one."""
    launcher = "import signal, subprocess; subprocess.run(['sleep', '3']); signal.pause()"
    script = f"""
set -euo pipefail
run={shlex.quote(str(tmp_path / 'run'))}
. {ROOT}/launch/cluster/batch.sh
sleep() {{ command sleep 0.1; }}
supervise {shlex.quote(sys.executable)} -c {shlex.quote(launcher)}
echo "$code"
again
"""
    finished = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=LIMIT)
    assert finished.returncode == 0 and finished.stdout.startswith("137\n"), finished
    assert "does not end" in finished.stderr, finished


def test_three_restarts_without_progress_are_the_last(tmp_path):
    script = f"""
set -euo pipefail
run={shlex.quote(str(tmp_path / 'run'))}
. {ROOT}/launch/cluster/batch.sh
mkdir -p "$run/checkpoints"
code=75
try() {{ if again >/dev/null 2>&1; then echo again; else echo stop; fi; }}
try; touch "$run/checkpoints/step-00000008.h5"; try; try; try
touch "$run/checkpoints/step-00000010.h5"; try; try; try; try
code=74; touch "$run/checkpoints/step-00000012.h5"; try
"""
    finished = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=LIMIT)
    # 8 is new, twice nothing new, …; 10 is new, and the third time without a newer one is the last. 74 is no reason to
    # try again.
    assert finished.stdout.split() == ["again"] * 4 + ["again"] * 3 + ["stop"] + ["stop"], finished


def test_what_dead_jobs_left_is_removed_and_nothing_else(tmp_path):
    names = ["vader_segment.host.0.1.0", "osc_sm.host.0.1.0", "vader_segment.host.0.2.0", "vader_segment.host.0.3.0",
             "somebody-else"]
    dead, dead_window, mapped, young, other = files = [tmp_path / name for name in names]
    launchers = tmp_path / f"ompi.{os.uname().nodename}.{os.getuid()}"
    gone, alive = launchers / "pid.2000000000", launchers / f"pid.{os.getpid()}"
    for folder in (gone, alive):
        folder.mkdir(parents=True)
    for file in files:
        file.write_bytes(bytes(4096))
        if file != young:
            os.utime(file, (0, 0))
    with open(mapped, "r+b") as file, mmap.mmap(file.fileno(), 0):
        os.utime(mapped, (0, 0))
        environment = {**os.environ, "TMPDIR": str(tmp_path), "OMPI_MCA_btl_vader_backing_directory": str(tmp_path)}
        subprocess.run(["bash", "-c", f"set -euo pipefail; run=x; . {ROOT}/launch/cluster/batch.sh; sweep"],
                       env=environment, check=True, timeout=LIMIT)
    assert sorted(path for path in tmp_path.iterdir()) == sorted([mapped, young, other, launchers])
    assert list(launchers.iterdir()) == [alive]
