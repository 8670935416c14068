"""Options and configuration files as users write them: what is wrong is named with the file, the line, the key and the
option, and with what helps."""

import json
import os
import subprocess

import h5py
import numpy
import pytest
from PIL import Image

from conftest import CONFIGS, PROGRAM, ROOT, gan_dist
from pictures import pictures
from test_bad_input import refused

RING = (CONFIGS / "ring.yaml").read_text()


@pytest.mark.parametrize("options, words", [
    (["--seed", "-1"], ["--seed -1", "seed", "0 … 9223372036854775807"]),
    (["--seed", "9223372036854775808"], ["9223372036854775808 is outside 0 … 9223372036854775807"]),
    (["--seed", "1:30"], ["--seed", "not a whole number"]),
    (["--steps", "1e3"], ["--steps 1e3", "1000"]),
    (["-k", "-1"], ["training.discriminator_steps", "-1 is outside"]),
    (["--set", 'seed="1"'], ['--set seed="1"', "quotes"]),
    (["--set", "optimizer.generator.rate=1e999"], ["too large"]),
    (["--set", "generator.0.dense.units=1_0"], ["--set generator.0.dense.units", "10"]),
    (["--set", "a.b"], ["key.path=value"]), (["--set", "=3"], ["key.path=value"]), (["--set", "seed="], ["no value"]),
    (["--steps", ""], ["--steps", "no value"]),
    (["--set", "training.batch=[1"], ["bracket"]), (["--set", "training=3"], ["--set training=3", "not a group"]),
], ids=str)
def test_options(options, words):
    refused(gan_dist("train", "--dry-run", *options), 78, *words)


# How the file is made from a good one → the words of its message.
FILES = {
    "a key twice": (RING + "training: {batch: 4}\n", ["line 20", "line 23", "'training'"]),
    "a key of a group twice": (RING.replace("latent: {size: 4, distribution: normal}", "latent:\n  size: 5\n  size: 4"),
                               ["line 6", "line 7", "'size'"]),
    "no end of a bracket": (RING + "name: [x\n", ["line 24", "bracket", "line 23"]),
    "no end of a quote": (RING.replace("name: ring", "name: 'ring"), ["quote", "line 2"]),
    "a tab": (RING + "condition:\n\tkind: x\n", ["line 24", "tab"]),
    "a value in an option's words": (RING.replace("batch: 20", "batch: '20'"), ["line 20", "training.batch", "quotes"]),
    "a layer": (RING.replace("units: 2,", "units: two,"), ["line 10", "generator.3.dense.units", "'two'"]),
    "a missing key": (RING.replace("units: 2, ", ""), ["line 10", "generator.3.dense.units", "missing"]),
    "an unknown key": (RING.replace("batch: 20", "bach: 20"), ["line 20", "training.bach", "batch"]),
    "layers that do not fit": (RING.replace("  - batch_normalisation", "  - reshape: {shape: [3, 3, 3]}"),
                               ["c.yaml", "generator"]),
    "two documents": (RING + "---\n" + RING, ["line 23", "second document"]),
    "a tag": (RING.replace("seed: 9", "seed: !Seed 9"), ["line 3", "!Seed"]),
    "a merge": (RING + "<<: {seed: 1}\n", ["line 23", "<<"]),
    "nothing": ("# nothing\n", ["nothing in it"]),
    "too deep": ("[" * 1_000_000, ["nested"]),
    "a control character": (RING + "# \x01\n", ["line 23", "control character"]),
    "other bytes": (b"\xff\x00\x80" * 100, ["UTF-8"]),
    "another kind of file": (b"\x89HDF\r\n\x1a\n" + bytes(100), ["HDF5", "--data"]),
    "too much": (RING + "#" * (1 << 20), ["bytes"]),
}


@pytest.mark.parametrize("kind", FILES)
def test_files(kind, tmp_path):
    text, words = FILES[kind]
    (tmp_path / "c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(gan_dist("train", "--dry-run", "--config", tmp_path / "c.yaml"), 78, tmp_path / "c.yaml", *words)


def test_files_of_other_editors_are_read(tmp_path):
    for number, text in enumerate([RING.encode("utf-8-sig"), RING.encode("utf-16"), RING.replace("\n", "\r\n").encode(),
                                   b"%YAML 1.2\n---\n" + RING.encode() + b"...\n",
                                   RING.replace("size: 4", "size: &four 4")
                                   .replace("sample_every: 20", "sample_every: *four").encode()]):
        (tmp_path / f"{number}.yaml").write_bytes(text)
        finished = gan_dist("train", "--dry-run", "--config", tmp_path / f"{number}.yaml")
        assert finished.code == 0 and "seed: 9" in finished.out, finished


def test_paths(tmp_path, run):
    """Where a file cannot be opened or made, what to do fits the reason."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for path, code, words in [(tmp_path, 78, "folder"), (tmp_path / "pipe", 78, "nothing in it"),
                              (tmp_path / "loop", 66, "links"), (tmp_path / "file/x", 66, "not a folder"),
                              (tmp_path / ("x" * 300), 66, "255"), ("~/x.yaml", 66, "$HOME")]:
        refused(gan_dist("train", "--config", path, "--run", run), code, path, words)
    for folder in ("file", "file/x"):
        refused(gan_dist("train", "--run", tmp_path / folder), 73, f"{tmp_path}/{folder}: ",
                f"{tmp_path}/file is a file", "--run")
    refused(gan_dist("train", "--run", tmp_path / ("x" * 300)), 73, "255")
    assert gan_dist("train", "--run", "").code == 64
    piped = subprocess.run(["bash", "-c", '"$0" train --dry-run --config <(sed "s/seed: 9/seed: 7/" "$1")', PROGRAM,
                            CONFIGS / "ring.yaml"], capture_output=True, text=True, timeout=60)
    assert piped.returncode == 0 and "seed: 7" in piped.stdout, piped


def test_walltime():
    for value, code in [("90", 64), ("0:00", 64), ("-5", 64), ("1-", 64), ("1-02:00:00", 0), ("2-3", 0), ("90:00", 0)]:
        finished = gan_dist("train", "--dry-run", "--walltime", value)
        assert finished.code == code, finished
        if value == "90":
            assert "01:30:00" in finished.err and "00:01:30" in finished.err


def test_bench_measures_a_configuration(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(RING.replace("name: ring", "name: mine"))
    figures = json.loads(gan_dist("bench", "step", "--config", config, "--batch", "012", "--steps", 1, "--no-layers",
                                  "--json", ranks=2).out)
    assert (figures["preset"], figures["batch"], figures["ranks"]) == ("mine", 12, 2)
    config.write_text(RING.replace("dropout: {keep: 0.8}", "relu").replace("  - batch_normalisation\n", ""))
    assert json.loads(gan_dist("bench", "scaling", "--config", config, "--steps", 1, "--json").out)["preset"] == "ring"
    for command in ("step", "scaling"):
        assert gan_dist("bench", command, "--config", config, "--preset", "ring").code == 64
    refused(gan_dist("bench", "step", "--config", tmp_path / "none.yaml", ranks=2), 66, "none.yaml")
    refused(gan_dist("bench", "step", "--batch", "0", ranks=2), 78, "--batch 0")


CHANNELS = """
name: planes
latent: {size: 4}
generator: [{dense: {units: COUNT}}, sigmoid, {reshape: {shape: [8, 8, CHANNELS]}}]
discriminator: [flatten, {dense: {units: 1}}]
training: {batch: 8, steps: 4}
output: {sample_every: 2}
"""


def test_pictures_of_other_channels(tmp_path):
    """Two channels are drawn side by side in grey, as what sample stores of them is; of forty no picture is
    promised."""
    for channels in (2, 40):
        images = numpy.concatenate([pictures()] * channels, axis=-1)
        with h5py.File(tmp_path / f"{channels}.h5", "w") as file:
            file["images"] = images
        text = CHANNELS.replace("COUNT", str(64 * channels)).replace("CHANNELS", str(channels))
        (tmp_path / f"{channels}.yaml").write_text(text)
        finished = gan_dist("train", "--config", tmp_path / f"{channels}.yaml", "--data", tmp_path / f"{channels}.h5",
                            "--run", tmp_path / f"run{channels}")
        assert finished.code == 0, finished
        drawn = sorted(path.name for path in (tmp_path / f"run{channels}/samples").iterdir())
        assert drawn == (["fixed-latents.gif", "step-00000002.png", "step-00000004.png"] if channels == 2 else [])
        assert ("samples in" in finished.out) == (channels == 2), finished
        assert ("no pictures" in finished.out) == (channels == 40), finished
    for suffix in ("png", "h5"):
        assert gan_dist("sample", tmp_path / "run2", "--count", 4, "--out", tmp_path / f"s.{suffix}").code == 0
    with h5py.File(tmp_path / "s.h5") as file:
        values = file["images"][()]
    grid = numpy.asarray(Image.open(tmp_path / "s.png")).astype(int)
    assert grid.shape == (17, 33)
    for index in range(4):
        top, left = index // 2 * 9, index % 2 * 17
        expected = numpy.concatenate([values[index, :, :, 0], values[index, :, :, 1]], axis=1)
        assert abs(grid[top:top + 8, left:left + 16] - 255 * expected).max() <= 0.51
    for command in (["interpolate", tmp_path / "run2"], ["nearest", tmp_path / "run2", "--count", 2]):
        assert gan_dist(*command, "--out", tmp_path / f"{command[0]}.png").code == 0
        assert Image.open(tmp_path / f"{command[0]}.png").mode == "L"
    refused(gan_dist("sample", tmp_path / "run40", "--count", 1, "--out", tmp_path / "x.png"), 78, "cannot be drawn",
            "--out FILE.h5")


def test_sweep_splits_values_at_their_commas_and_stays_where_it_was_called(tmp_path):
    """A stand-in for the program writes down how it was called, and where; one for mpirun calls it."""
    program, launcher, work = tmp_path / "stand-in", tmp_path / "mpirun", tmp_path / "work"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" >"$PWD/call.$$"\n')
    launcher.write_text('#!/bin/sh\nwhile [ "$1" != "$GAN_DIST" ]; do shift; done\nexec "$@"\n')
    work.mkdir()
    for script in (program, launcher):
        script.chmod(0o755)
    environment = {**os.environ, "GAN_DIST": str(program), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    values = ["{kind: adam, rate: 1e-4}", "{kind: sgd, rate: 0.1}", "[1, 2]", '"x,y"', "a b", "a_b", "../up", "x" * 200]
    finished = subprocess.run([ROOT / "launch/sweep", "-j", "1", "out", "optimizer.generator=" + ",".join(values),
                               "--config", "c.yaml"], cwd=work,
                              env=environment, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished
    calls = [path.read_text().splitlines() for path in work.glob("call.*")]
    found = {call[call.index("--set") + 1].removeprefix("optimizer.generator="): call[call.index("--run") + 1]
             for call in calls}
    assert set(found) == set(values)
    assert all(call[0] == str(work) and call[1:4] == ["train", "--config", "c.yaml"] for call in calls)
    folders = list(found.values())
    assert len(set(folders)) == len(values)
    assert all(folder.startswith("out/") and len(folder) < 120 for folder in folders)
    assert all(set(folder[4:]) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for folder in folders), folders
    assert found[values[0]] == "out/kind_adam_rate_1e-4"
    for bad in ("k={a,b", "k=1,,2", "k=1,1", "k=", "k"):
        assert subprocess.run([ROOT / "launch/sweep", "out", bad], cwd=work, env=environment,
                              capture_output=True).returncode == 64
