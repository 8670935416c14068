"""Every command that the READMEs show, typed in their order into one shell, in a copy of the project. The program is
the one that is built already, and long work is shortened by options added to it, unless README_IN_FULL is set."""

import gzip
import os
import pathlib
import re
import shlex
import shutil
import signal
import struct
import subprocess
import tempfile

import pytest

from conftest import PROGRAM, ROOT

READMES = [ROOT / "README.md", *sorted((ROOT / "Sources").glob("*/*.docc/*.md")),
           *sorted((ROOT / "Sources").glob("*/README.md")), *sorted((ROOT / "launch").rglob("README.md")),
           *sorted((ROOT / "Tests").glob("*.md"))]
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
NOT_RUN = {"launch/test": "this test is a part of it",
           "mpirun -n 2 .build/release/example-least-squares discs.png": "test_example.py runs it"}
# Slurm's commands for one who is given the whole machine at once. test_batch.py has jobs warned and queued again.
SLURM = {"sbatch": 'SLURM_JOB_ID=7 SLURM_SUBMIT_DIR=$PWD exec bash "$@"', "squeue": "echo RUNNING",
         "scontrol": "exit 1"}
PLAIN_USER = 65534
# A hang is seen within it, on a busy machine too; the commands in full take hours.
LIMIT = 600 if "README_IN_FULL" not in os.environ else None


def commands(text):
    """The lines of the sh blocks, without their comments, continued ones joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.strip()]


SHOWN = [command for readme in READMES for command in commands(readme.read_text())]


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def first_of_fashion(folder, count):
    """Fashion-MNIST's four files with their first images alone."""
    folder.mkdir()
    for part in "train", "t10k":
        for kind, header in ("images-idx3", 16), ("labels-idx1", 8):
            name = f"{part}-{kind}-ubyte.gz"
            with gzip.open(FASHION / name) as file:
                head = bytearray(file.read(header))
                struct.pack_into(">i", head, 4, count)
                body = file.read(count * (28 * 28 if header == 16 else 1))
            with gzip.open(folder / name, "wb") as file:
                file.write(head + body)


class Clone:
    """The project as a clone has it after its build, for one user."""

    def __init__(self, base, name, user=None):
        self.base, self.user = base, user
        self.tree, self.home = base / name, base / f"{name}-home"
        self.home.mkdir()
        shutil.copytree(ROOT, self.tree, ignore=lambda folder, names: [
            name for name in names if name in (".git", ".venv", "__pycache__") or name.startswith(".build")
            or folder == str(ROOT) and name in ("data", "runs")])
        executable(self.tree / ".build/release/gan-dist", f"""#!/bin/sh
if [ -z "$README_IN_FULL" ]; then
    case $* in
        "train "*dcgan-32*) set -- "$@" --steps 1 --batch 16 ;;
        "train "*) set -- "$@" --steps 1 ;;
        "classifier train "*) set -- "$@" --epochs 1 ;;
        # A mixture is asked for all held-out examples.
        "evaluate runs/mixture "*) ;;
        "evaluate "*) set -- "$@" --count 60 ;;
        "data import fashion-mnist "*) set -- "$@" --dir {base}/fashion ;;
    esac
fi
exec {base}/program/gan-dist "$@"
""")
        if user is not None:
            for path in [self.home, self.tree, *self.tree.rglob("*")]:
                os.chown(path, user, user, follow_symlinks=False)

    def type(self, lines, shell="bash"):
        """Types the lines into one shell: each line's exit code and output; no code where the shell did not come to
        it."""
        marks = [f"echo '<<{number}'\n{line}\necho \">>$?\"\n" for number, line in enumerate(lines)]
        # None of what the tests themselves run in: no settings, no program on PATH.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("OMPI_", "OPENBLAS_", "GAN_DIST", "TMPDIR"))}
        path = [folder for folder in os.environ["PATH"].split(":") if not folder.endswith(".build/release")]
        environment |= {"HOME": str(self.home), "PATH": ":".join([f"{self.base}/bin", *path])}
        command = [shell, "-c", "".join(marks)]
        if self.user is not None:
            command = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", *command]
        process = subprocess.Popen(command, cwd=self.tree, env=environment, text=True, start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            out, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            out, _ = process.communicate()
        results = {}
        for number, line in enumerate(lines):
            found = re.search(rf"^<<{number}\n(.*?)^>>(\d+)$", out, re.MULTILINE | re.DOTALL)
            results[line] = (int(found[2]), found[1]) if found else (None, out[-2000:])
        return results


@pytest.fixture(scope="module")
def base():
    """A folder that a plain user can read, with the program, a compiler that has built it already, and a little
    data."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="gan-dist-readme.", dir="/tmp"))
    base.chmod(0o755)
    (base / "program").mkdir()
    shutil.copy(PROGRAM, base / "program/gan-dist")
    version = subprocess.run(["swift", "--version"], capture_output=True, text=True, check=True).stdout
    executable(base / "bin/swift", f"#!/bin/sh\nif [ \"$1\" = --version ]; then echo {shlex.quote(version)}; fi\n")
    for name, line in SLURM.items():
        executable(base / "bin" / name, f"#!/bin/sh\n{line}\n")
    first_of_fashion(base / "fashion", 300)
    yield base
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def results(base):
    return Clone(base, "clone").type([command for command in SHOWN if command not in NOT_RUN])


@pytest.mark.parametrize("command", SHOWN)
def test_runs_as_it_stands(command, request):
    if command in NOT_RUN:
        pytest.skip(f"{command}: {NOT_RUN[command]}")
    code, out = request.getfixturevalue("results")[command]
    assert code == 0, f"{command} ended with {code}\n{out}"


def test_plain_user_types_what_the_quickstart_says(base):
    """As a user without rights, in a POSIX shell; all of it is done where this test runs as root."""
    user = PLAIN_USER if os.getuid() == 0 else None
    clone = Clone(base, "plain", user)
    code, out = clone.type(["launch/quickstart"], shell="sh")["launch/quickstart"]
    assert code == 0, out
    said = re.search(r"^What you can type next, in this folder:\n\n((?:    .*\n)+)\Z", out, re.MULTILINE)
    assert said, out
    following = [re.sub(r"\s+#.*", "", line.strip()) for line in said[1].splitlines()]
    assert following[0] == ". launch/env"
    for line, (code, out) in clone.type(following, shell="sh").items():
        assert code == 0, f"{line} ended with {code}\n{out}"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder that is another user's")
def test_a_folder_of_another_user_is_named(base):
    clone = Clone(base, "foreign", PLAIN_USER)
    (clone.tree / "runs").mkdir(mode=0o755)
    for line, folder in ("launch/quickstart", "runs"), ("launch/build", ".build/release"):
        os.chown(clone.tree / folder, 0, 0)
        code, out = clone.type([line])[line]
        assert code == 73 and f"may not write in {clone.tree / folder}, which is root's" in out, out


@pytest.mark.parametrize("sudo", [True, False])
def test_packages_that_cannot_be_installed_are_named(base, sudo):
    """For a user without sudo, or whom it refuses."""
    clone = Clone(base, f"sudo-{sudo}", PLAIN_USER if os.getuid() == 0 else None)
    folder = base / f"rights-{sudo}"
    executable(folder / "dpkg-query", """#!/bin/sh
if [ "$3" = libgif-dev ]; then exit 1; fi
printf 'install ok installed'
""")
    if sudo:
        executable(folder / "sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    elif shutil.which("sudo"):
        pytest.skip("this machine has sudo")
    line = f"PATH={folder}:$PATH launch/setup"
    code, out = clone.type([line])[line]
    assert code == 69 and "have this run by root, then run this again: apt-get install libgif-dev" in out, out


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh"])
def test_environment_is_sourced_again_and_from_elsewhere(base, shell):
    """Twice changes nothing more; a value that is set stays; where nothing is built it says what to do."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    tree = base / f"unbuilt-{shell}"
    (tree / "launch").mkdir(parents=True)
    shutil.copy(ROOT / "launch/env", tree / "launch/env")
    lines = [f"cd {tree}" if shell == "sh" else "cd /", f". {tree}/launch/env", f". {tree}/launch/env",
             "echo $PATH; echo $OMPI_MCA_rmaps_base_oversubscribe $OPENBLAS_NUM_THREADS $OMPI_MCA_mpi_yield_when_idle"]
    environment = {"PATH": "/usr/bin:/bin", "OMPI_MCA_mpi_yield_when_idle": "0"}
    command = [shutil.which(shell), "-euc", "\n".join(lines)]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert shown.stdout == f"{tree}/.build/release:/usr/bin:/bin\n1 1 0\n", shown
    assert "gan-dist is not built yet: run launch/quickstart" in shown.stderr
