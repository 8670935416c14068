"""Bad input ends the program, on any number of ranks, with the interface's exit code and one message that names it."""

import os
import pathlib
import subprocess

import h5py
import numpy
import pytest

from conftest import CONFIGS, PROGRAM, ROOT, Running, assert_same, checkpoint, gan_dist, resume, train
from pictures import pictures

both = pytest.mark.parametrize("ranks", [1, 3])


def refused(finished, code, *names):
    """One error line with all of `names` in it or in its remedy, the right code, no crash."""
    assert finished.code == code, finished
    assert len(finished.errors) == 1, finished
    for name in names:
        assert str(name) in finished.err, finished
    for crash in ("Fatal error", "Program crashed", "Backtrace", "Segmentation", "HDF5-DIAG"):
        assert crash not in finished.err, finished
    return finished


def write(path, name="images", **contents):
    with h5py.File(path, "w") as file:
        file.create_dataset(name, **contents)
    return path


def float_pictures(bad):
    images = pictures().astype(numpy.float32)
    images[57, 3, 4, 0] = bad
    return images


# What is wrong with the file → the words that its message must hold.
DATA = {
    "missing": ["data.h5"],
    "folder": ["data.h5"],
    "empty file": ["data.h5"],
    "not HDF5": ["data.h5"],
    "truncated": ["data.h5"],
    "no such dataset": ["data.h5", "images"],
    "group instead of dataset": ["data.h5", "images"],
    "no images": ["data.h5"],
    "two dimensions": ["data.h5"],
    "five dimensions": ["data.h5"],
    "text": ["data.h5"],
    "64-bit integers": ["data.h5"],
    "other size": ["data.h5", "9"],
    "NaN": ["data.h5", "57"],
    "infinity": ["data.h5", "57"],
    "data outside the file": ["data.h5"],
}


def make(kind, path):
    images = pictures()
    match kind:
        case "missing": pass
        case "folder": path.mkdir()
        case "empty file": path.touch()
        case "not HDF5": path.write_text("images\n" * 1000)
        case "truncated":
            write(path, data=images)
            os.truncate(path, path.stat().st_size - 1000)
        case "no such dataset": write(path, name="pictures", data=images)
        case "group instead of dataset":
            with h5py.File(path, "w") as file:
                file.create_group("images")
        case "no images": write(path, data=images[:0])
        case "two dimensions": write(path, data=images.reshape(100, 64))
        case "five dimensions": write(path, data=images[..., None])
        case "text": write(path, data=numpy.array([b"a", b"b"]))
        case "64-bit integers": write(path, data=images.astype(numpy.int64))
        case "other size": write(path, data=pictures(size=9))
        case "NaN": write(path, data=float_pictures(numpy.nan))
        case "infinity": write(path, data=float_pictures(numpy.inf))
        case "data outside the file": write(path, shape=(4, 8, 8, 1), dtype=numpy.uint8,
                                            external=[("/etc/passwd", 0, 256)])


@both
@pytest.mark.parametrize("kind", DATA)
def test_dataset(kind, ranks, tmp_path, run):
    path = tmp_path / "data.h5"
    make(kind, path)
    finished = gan_dist("train", "--config", CONFIGS / "dense.yaml", "--data", path, "--run", run, ranks=ranks)
    refused(finished, 66 if kind == "missing" else 65, *DATA[kind])


# Files with flipped bits on which HDF5 1.10.8 crashes (`crash`), and would read for ever (`endless`).
@pytest.mark.parametrize("name", ["crash", "endless"])
def test_damaged_dataset(name, run):
    path = ROOT / f"Tests/commands/damaged/{name}.h5"
    refused(gan_dist("data", "verify", path), 65, path)
    # Where the library crashes, each rank may say so before the first has ended the job.
    trained = gan_dist("train", "--config", CONFIGS / "dense.yaml", "--data", path, "--run", run, ranks=3)
    assert trained.code == 65 and str(path) in trained.err, trained


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bits_of_a_dataset(seed, tmp_path):
    """Whatever is flipped where the file describes itself, the command ends, with the data or with what is wrong."""
    path = write(tmp_path / "data.h5", data=pictures(), chunks=(10, 8, 8, 1), compression="gzip")
    damaged, random = bytearray(path.read_bytes()), numpy.random.default_rng(seed)
    for position in random.integers(0, 3000, 1 + seed % 8):
        damaged[position] ^= 1 << random.integers(8)
    path.write_bytes(damaged)
    finished = gan_dist("data", "verify", path)
    if finished.code != 0:
        refused(finished, 65, path)


@pytest.mark.parametrize("command", ["info", "verify"])
@pytest.mark.parametrize("kind", ["missing", "not HDF5", "truncated"])
def test_dataset_tools(command, kind, tmp_path):
    make(kind, tmp_path / "data.h5")
    refused(gan_dist("data", command, tmp_path / "data.h5"), 66 if kind == "missing" else 65, "data.h5")


def test_batch_normalisation_of_a_single_value(run, data):
    """A shard of one example has no variance in a dense layer."""
    config = run.parent / "one.yaml"
    text = (CONFIGS / "convolution.yaml").read_text()
    config.write_text(text.replace("generator:\n", "generator:\n  - dense: {units: 5}\n  - batch_normalisation\n", 1))
    finished = gan_dist("train", "--config", config, "--data", data, "--run", run, "--batch", 7, "--shards", 4, ranks=2)
    refused(finished, 78, "training.batch", "layer 1", "statistics: minibatch")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_dataset(tmp_path, run):
    write(tmp_path / "data.h5", data=pictures()).chmod(0)
    refused(train("dense", run, "--data", tmp_path / "data.h5", code=66), 66, "data.h5")


# Replaced text of dense.yaml, by what → the words that the message must hold: the key, and the right one where it is
# mistyped.
CONFIGURATIONS = {
    "unknown key": ("latent: {size: 5", "latnt: {size: 5", ["latnt", "latent"]),
    "mistyped key": ("momentum: {from: 0.5, to", "momentum: {form: 0.5, to", ["form", "from"]),
    "mistyped layer": ("- maxout:", "- maxuot:", ["maxuot", "maxout"]),
    "mistyped layer key": ("pieces: 3", "peices: 3", ["peices", "pieces"]),
    "mistyped value": ("nonSaturating", "nonsaturated", ["objective.generator", "nonSaturating"]),
    "text for a number": ("batch: 20", "batch: twenty", ["training.batch", "twenty"]),
    "negative": ("batch: 20", "batch: -20", ["training.batch", "-20"]),
    "zero": ("size: 5", "size: 0", ["latent.size"]),
    "infinite": ("initial: 0.1", "initial: .inf", ["rate"]),
    "too large": ("batch: 20", "batch: 1099511627776", ["training.batch"]),
    "more than the memory": ("  - dense: {units: 16,",
                             "  - dense: {units: 3000000}\n  - dense: {units: 3000000}\n  - dense: {units: 16,",
                             ["GB", "units"]),
    "discriminator larger than the memory": ("units: 12, pieces",
                                             "units: 3000000, pieces: 3}\n  - maxout: {units: 3000000, pieces",
                                             ["GB", "units"]),
    "keep above one": ("- flatten", "- dropout: {keep: 1.5}\n  - flatten", ["keep"]),
    "shape that does not fit": ("units: 64", "units: 63", ["63"]),
    "no logit": ("units: 1,", "units: 2,", ["discriminator"]),
    "not YAML": ("name: dense", "name: [dense", ["config.yaml"]),
    "empty": (None, "", ["nothing in it", "gan-dist presets"]),
}


def test_limit_of_memory(data, tmp_path, run):
    """What a batch system's limit does not allow is said, and is no crash."""
    text = (CONFIGS / "dense.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("  - dense: {units: 16,",
                                                       "  - dense: {units: 8000}\n" * 2 + "  - dense: {units: 16,"))
    limited = ["bash", "-c", 'ulimit -v 900000; exec "$0" "$@"', PROGRAM]
    finished = Running(["train", "--config", tmp_path / "config.yaml", "--data", data, "--run", run],
                       command=limited).wait()
    refused(finished, 70, "out of memory", "ulimit")


@both
@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_configuration(kind, ranks, data, tmp_path, run):
    old, new, names = CONFIGURATIONS[kind]
    text = (CONFIGS / "dense.yaml").read_text()
    assert old is None or old in text
    (tmp_path / "config.yaml").write_text(new if old is None else text.replace(old, new))
    finished = gan_dist("train", "--config", tmp_path / "config.yaml", "--data", data, "--run", run, ranks=ranks)
    refused(finished, 78, *names)
    # Nothing is in the way of the mended configuration.
    if run.exists():
        train("dense", run, "--data", data, "--steps", 1)


UNROLLED = ["training.update=simultaneous", "training.unrolling_steps=2", "objective.generator=minimax",
            "objective.discriminator=sum", "optimizer.discriminator={kind: adam}"]
# Settings that clash, or make no sense → the words that the message must hold: both keys of a clash.
CLASHES = [
    (["objective.penalties=[{kind: r1}]", "discriminator=[flatten, batch_normalisation, {dense: {units: 1}}]"],
     ["objective.penalties", "layer 1", "batch_normalisation", "layer_normalisation"]),
    ([*UNROLLED, "objective.penalties=[{kind: r2}]"], ["training.unrolling_steps", "objective.penalties"]),
    ([*UNROLLED, "objective.penalties=[{kind: lecam}]"], ["training.unrolling_steps", "objective.penalties"]),
    ([*UNROLLED, "spectral={discriminator: true}"], ["training.unrolling_steps", "spectral"]),
    ([*UNROLLED, "generator.0.dense.spectral=true"], ["training.unrolling_steps", "spectral"]),
    ([*UNROLLED, "discriminator=[{convolution: {channels: 8, kernel: 3}}, {self_attention: {spectral: true}}, "
      "flatten, {dense: {units: 1}}]"], ["training.unrolling_steps", "spectral"]),
    ([*UNROLLED, "objective={loss: hinge}"], ["training.unrolling_steps", "objective.loss"]),
    ([*UNROLLED, "training.augment={policy: [flip]}"], ["training.unrolling_steps", "training.augment"]),
    (["training.augment={policy: [flips]}"], ["training.augment.policy", "flips", "Did you mean 'flip'"]),
    (["training.augment={policy: [flip, cutout, flip]}"], ["training.augment.policy", "flip", "twice"]),
    (["training.augment={policy: flip}"], ["training.augment.policy", "list"]),
    (["training.augment={policy: []}"], ["training.augment.policy", "list"]),
    (["training.augment={probability: 1.5}"], ["training.augment.probability", "1.5"]),
    (["training.augment={probability: 0.5, adaptive: {target: 0.6}}"],
     ["training.augment.probability", "training.augment.adaptive"]),
    (["training.augment={adaptive: {every: 0}}"], ["training.augment.adaptive.every"]),
    (["training.augment={adaptive: {target: 2}}"], ["training.augment.adaptive.target"]),
    *[([f"objective={{loss: {loss}}}", "training.augment={adaptive: {target: 0.6}}"],
       ["training.augment.adaptive", "objective.loss", "sign"])
      for loss in ("leastSquares", "wasserstein", "relativistic", "relativisticAverage")],
    (["objective={loss: hinge, label_smoothing: 0.1}"], ["objective.label_smoothing", "objective.loss", "hinge"]),
    (["objective={loss: relativistic, generator: minimax}"], ["objective.generator", "objective.loss", "relativistic"]),
    (["objective={loss: relativistic, discriminator: mean}"], ["objective.discriminator", "relativistic"]),
    (["objective={loss: relativisticAverage, discriminator: sum}"], ["objective.discriminator", "relativisticAverage"]),
    (["objective={loss: wgan}"], ["objective.loss", "wgan", "wasserstein"]),
    (["objective.penalties=[{kind: r1}, {kind: r2}, {kind: r1, gamma: 2}]"], ["objective.penalties.2.kind", "r1"]),
    (["objective.penalties=[{kind: r3}]"], ["objective.penalties.0.kind", "r3", "gradientPenalty"]),
    (["objective.penalties=[{gamma: 3}]"], ["objective.penalties.0.kind"]),
    (["objective.penalties={kind: r1}"], ["objective.penalties", "list"]),
    (["objective.penalties=[{kind: r1, every: 0}]"], ["objective.penalties.0.every"]),
    (["objective.penalties=[{kind: r1, weight: 1}]"], ["objective.penalties.0.weight", "gamma"]),
    (["objective.penalties=[{kind: lecam, every: 2}]"], ["objective.penalties.0.every"]),
    (["objective.penalties=[{kind: lecam, weight: {schedule: linear, from: 1, to: 0}}]"],
     ["objective.penalties.0.weight.over"]),
    (["objective.penalties=[{kind: r1}]", "objective.penalties.1.gamma=2"],
     ["objective.penalties.1.gamma", "no '1'", "0 … 0"]),
    (["generator.1.relu={slope: 0.1}"], ["generator.1.relu.slope", "'generator.1.relu' has no keys"]),
    (["training.average={ramp: 0.1}"], ["training.average.half_life"]),
    (["training.update=simultaneous", "training.order=generatorFirst"], ["training.order", "simultaneous"]),
    (["optimizer.generator.rate={schedule: cosine, from: 0.1, to: 0}"], ["optimizer.generator.rate.over"]),
    (["optimizer.generator.rate={schedule: sine, from: 0.1, to: 0, over: 3}"], ["rate.schedule", "cosine"]),
    (["optimizer.generator.rate={schedule: exponential, from: 0.1, to: 0, over: 3}"], ["rate.to", "linear"]),
    (["optimizer.generator.rate={schedule: linear, from: 0.1, to: 0, over: 3, unit: epochs, warmup: 1}"],
     ["rate.warmup", "epochs"]),
    (["optimizer.generator.rate={schedule: constant, value: 0.1, from: 3}"], ["rate.from", "value"]),
    (["optimizer.generator={kind: adam, beta2: {schedule: linear, from: 0.9, to: 1, over: 3}}"], ["beta2.to"]),
    (["optimizer.generator.clip={norm: 0}"], ["optimizer.generator.clip.norm"]),
    (["spectral={disc: true}"], ["spectral.disc", "discriminator"]),
    (["generator.1.relu.spectral=true"], ["generator.1.relu.spectral"]),
    (["discriminator=[{convolution: {channels: 6, kernel: 3, groups: 4}}, flatten, {dense: {units: 1}}]"],
     ["discriminator", "layer 0", "4 groups"]),
    (["discriminator=[{group_normalisation: {groups: 2}}, flatten, {dense: {units: 1}}]"],
     ["layer 0", "multiple of 2"]),
    (["discriminator=[{group_normalisation: {epsilon: 0.1}}, flatten, {dense: {units: 1}}]"],
     ["discriminator.0.group_normalisation.groups"]),
    (["discriminator=[self_attention, flatten, {dense: {units: 1}}]"], ["layer 0", "multiple of 8 channels"]),
    (["discriminator=[{upsample: {kind: cubic}}, flatten, {dense: {units: 1}}]"], ["upsample.kind", "bilinear"]),
    (["discriminator=[{downsample: {kind: binomial, factor: 3}}, flatten, {dense: {units: 1}}]"],
     ["layer 0", "`factor: 2`"]),
    (["discriminator=[flatten, {scale_shift: {learned: shift, scale: zero}}, {dense: {units: 1}}]"],
     ["discriminator.1.scale_shift.scale"]),
    (["discriminator=[flatten, {dense: {units: 1, weights: {he: -1}}}]"], ["weights", "he"]),
    (["objective.penalties=[{kind: r1}]", "discriminator=[minibatch_deviation, flatten, {dense: {units: 1}}]"],
     ["objective.penalties", "layer 0", "minibatch_deviation", "Leave it out"]),
]


@pytest.mark.parametrize("settings, names", CLASHES, ids=[clash[0][-1] for clash in CLASHES])
def test_clashing_settings(settings, names, data, run):
    words = [word for setting in settings for word in ("--set", setting)]
    refused(train("dense", run, "--data", data, *words, code=78), 78, *names)


@both
def test_missing_configuration(ranks, run):
    refused(gan_dist("train", "--config", "nowhere.yaml", "--run", run, ranks=ranks), 66, "nowhere.yaml")


@both
def test_mistyped_option_and_preset(ranks, run):
    assert gan_dist("train", "--bacth", 8, ranks=ranks).code == 64
    refused(gan_dist("train", "--preset", "rign", "--run", run, ranks=ranks), 78, "rign", "ring")
    refused(gan_dist("train", "--set", "training.bacth=8", "--run", run, ranks=ranks), 78, "training.bacth", "batch")


def test_batch_smaller_than_ranks(data, run):
    refused(train("dense", run, "--data", data, "--batch", 2, ranks=3, code=78), 78, "2", "3")


@both
def test_existing_run_folder(ranks, data, run):
    train("dense", run, "--data", data, "--steps", 2)
    before = checkpoint(run, 2).read_bytes()
    refused(train("dense", run, "--data", data, "--steps", 2, ranks=ranks, code=73), 73, run, "--resume")
    assert checkpoint(run, 2).read_bytes() == before


@both
def test_run_folder_that_cannot_be_made(ranks, data, tmp_path):
    (tmp_path / "file").touch()
    refused(train("dense", tmp_path / "file/run", "--data", data, ranks=ranks, code=73), 73, "file/run")


def damage(path, kind):
    content = bytearray(path.read_bytes())
    if kind == "flipped bit":
        content[len(content) // 2] ^= 1
    elif kind == "truncated":
        del content[-100:]
    elif kind == "zeroed page":
        content[1024:2048] = bytes(1024)
    else:
        content.clear()
    path.write_bytes(content)


@both
@pytest.mark.parametrize("kind", ["flipped bit", "truncated", "zeroed page", "emptied"])
def test_corrupted_checkpoint(kind, ranks, data, tmp_path, run):
    train("dense", run, "--data", data, ranks=ranks)
    whole = checkpoint(run, 12).rename(tmp_path / "whole.h5")
    checkpoint(run, 12).write_bytes(whole.read_bytes())
    damage(checkpoint(run, 12), kind)
    refused(gan_dist("checkpoint", "verify", checkpoint(run, 12)), 65, "step-00000012.h5")
    refused(gan_dist("sample", checkpoint(run, 12), "--count", 4, "--out", tmp_path / "x.png"), 65, "step-00000012.h5")
    # The one before it is used, with a warning, and the same state comes out again.
    finished = resume(run, ranks=ranks)
    assert len(finished.warnings) == 1 and "step-00000012.h5" in finished.warnings[0], finished
    assert_same(checkpoint(run, 12), whole)
    # With none left the run is never begun anew.
    for path in (run / "checkpoints").glob("step-*.h5"):
        damage(path, kind)
    refused(resume(run, ranks=ranks, code=65), 65, "step-")


@both
def test_checkpoint_that_is_something_else(ranks, data, run, tmp_path):
    refused(gan_dist("train", "--resume", data, "--run", run, ranks=ranks), 65, data.name)
    refused(gan_dist("train", "--resume", tmp_path / "none.h5", "--run", run, ranks=ranks), 66, "none.h5")


@both
def test_full_disk(ranks, data, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "gan-dist-test", disk],
                      capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk takes root")
    try:
        finished = train("dense", disk / "run", "--data", data, "--steps", 2000, "--checkpoint-every", 1, "--keep", 50,
                         "--sample-every", 1, ranks=ranks, code=74)
        refused(finished, 74, "step-")
        kept = sorted((disk / "run/checkpoints").glob("step-*.h5"))
        assert kept and kept[-1].name in finished.err, finished
        assert gan_dist("checkpoint", "verify", kept[-1]).code == 0
        assert all(path.suffix == ".h5" for path in (disk / "run/checkpoints").iterdir() if path.name != "latest")
    finally:
        subprocess.run(["umount", disk], check=True)


@both
def test_diverging_run(ranks, data, run):
    finished = train("dense", run, "--data", data, "--steps", 500, "--checkpoint-every", 1,
                     "--set", "optimizer.generator.rate=1.0e6",
                     "--set", "optimizer.discriminator.rate=1.0e6", ranks=ranks, code=80)
    refused(finished, 80)
    kept = sorted((run / "checkpoints").glob("step-*.h5"))
    assert not kept or kept[-1].name in finished.err, finished
    for path in kept:
        with h5py.File(path) as file:
            file.visititems(lambda name, item: isinstance(item, h5py.Group) or numpy.isfinite(item[()]).all()
                            or pytest.fail(name))


@pytest.mark.parametrize("arguments",
                         [["sample", "none.h5", "--count", "4", "--out", "x.png"], ["checkpoint", "info", "none.h5"],
                                       ["checkpoint", "diff", "none.h5", "none.h5"],
                          ["data", "import", "idx", "--images", "none.gz", "--out", "x.h5"]])
def test_missing_file_of_the_other_commands(arguments, tmp_path):
    refused(gan_dist(*arguments, cwd=tmp_path), 66, "none")
    assert not list(pathlib.Path(tmp_path).iterdir())


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x03", b"\0\0\x08\x03\0\0\0\x0a\0\0\0\x08\0\0\0\x08" + bytes(100),
                                     b"text\n" * 100])
def test_damaged_idx(content, tmp_path):
    (tmp_path / "images").write_bytes(content)
    refused(gan_dist("data", "import", "idx", "--images", tmp_path / "images", "--out", tmp_path / "x.h5"), 65,
            "images")
    assert not (tmp_path / "x.h5").exists()


def test_vectors_cannot_be_augmented(run):
    refused(train("ring", run, "--set", "training.augment={policy: [flip]}", code=78), 78, "training.augment", "[2]",
            "reshape")
