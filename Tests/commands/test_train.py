"""What a first user sees: training with nothing said, the run folder, the presets, samples."""

import json

import h5py
import numpy
import pytest
import yaml

from conftest import checkpoint, gan_dist, metrics, train

KEYS = """step epoch samples_seen loss_discriminator loss_real loss_fake loss_generator d_real d_fake value jsd_bound
          grad_norm_discriminator grad_norm_generator lr_discriminator lr_generator samples_per_second seconds_step
          seconds_compute seconds_communication seconds_data time""".split()


def test_alone_on_eight_ranks_trains_the_ring(tmp_path):
    finished = gan_dist("train", ranks=8, limit=180, cwd=tmp_path)
    assert finished.code == 0, finished
    assert "ring" in finished.out + finished.err
    folders = list(tmp_path.rglob("metrics.jsonl"))
    assert len(folders) == 1
    assert not finished.errors


def test_run_folder(data, run):
    train("dense", run, "--data", data, "--steps", 13, ranks=2)
    lines = metrics(run)
    assert [line["step"] for line in lines] == list(range(1, 14))
    for line in lines:
        assert set(KEYS) <= set(line), set(KEYS) - set(line)
        assert all(numpy.isfinite(line[key]) for key in KEYS if isinstance(line[key], (int, float)))
    last = lines[-1]
    assert last["samples_seen"] == 13 * 20
    assert last["jsd_bound"] == pytest.approx((last["value"] + numpy.log(4)) / 2, abs=1e-6)
    assert 0 < last["d_real"] < 1 and 0 < last["d_fake"] < 1
    assert checkpoint(run, 6).exists() and checkpoint(run, 12).exists() and checkpoint(run, 13).exists()
    assert (run / "checkpoints/latest").resolve() == checkpoint(run, 13).resolve()
    for step in (6, 12):
        assert (run / f"samples/step-{step:08d}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert yaml.safe_load((run / "config.yaml").read_text())["training"]["steps"] == 13
    assert not list(run.rglob(".*")) and not list(run.rglob("*.tmp"))


def test_keeps_the_newest_checkpoints(data, run):
    train("dense", run, "--data", data, "--steps", 10, "--checkpoint-every", 2, "--keep", 2)
    kept = sorted(path.name for path in (run / "checkpoints").glob("step-*.h5"))
    assert kept == ["step-00000008.h5", "step-00000010.h5"]


def test_dry_run_trains_nothing(data, run):
    finished = train("dense", run, "--data", data, "--dry-run", ranks=2)
    assert "maxout" in finished.out
    assert not (run / "metrics.jsonl").exists()


# The shape of the images that each is for; None: it makes its data.
PRESETS = {"ring": None, "goodfellow-mnist": (28, 28, 1), "goodfellow-cifar10-dense": (32, 32, 3),
           "goodfellow-cifar10-conv": (32, 32, 3),
           "dcgan-32": (28, 28, 1), "dcgan-32-colour": (32, 32, 3), "fluxgan-mnist": (28, 28, 1),
           "fluxgan-cifar10-dense": (32, 32, 3),
           "fluxgan-cifar10-conv": (32, 32, 3), "pacgan-ring": None, "pacgan-grid": None, "unrolled-ring": None,
           "gaussian1d": None, "dirac": None, "grid-25": None, "wgan-gp-grid": None, "wgan-clip": None, "lsgan": None,
           "hinge-sn": (28, 28, 1), "dragan": (28, 28, 1), "r1": (28, 28, 1), "r3gan-28": (28, 28, 1),
           "r3gan-cifar10": (32, 32, 3), "sngan-32": (32, 32, 3), "sngan-resnet-32": (32, 32, 3),
           "sagan-32": (32, 32, 3), "stacked-fashion": (28, 28, 3),
           "conditional-28": (28, 28, 1), "mixture-em": (28, 28, 1), "vae": (28, 28, 1),
           "autoencoder": (28, 28, 1), "adversarial-autoencoder": (28, 28, 1), "bigan": (28, 28, 1),
           "discriminator-only": None}


def test_all_presets_are_listed():
    assert [line.split()[0] for line in gan_dist("presets").out.splitlines()] == list(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_a_whole_configuration(name, tmp_path):
    printed = gan_dist("presets", name)
    assert printed.code == 0, printed
    config = yaml.safe_load(printed.out)
    autoencoder = {"model", "latent", "encoder", "decoder", "optimizer"}
    parts = {"mixture-em": {"model"}, "vae": autoencoder, "autoencoder": autoencoder,
             "discriminator-only": {"model", "discriminator", "optimizer"}}.get(
        name, {"latent", "generator", "discriminator", "objective", "optimizer"})
    assert parts | {"training", "output"} <= set(config)
    (tmp_path / "preset.yaml").write_text(printed.out)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        values = numpy.random.default_rng(1).integers(0, 256, (200, *(PRESETS[name] or (1, 1, 1))))
        file["images"] = values.astype(numpy.uint8)
        file["labels"] = numpy.arange(200) % 10
    source = [] if PRESETS[name] is None else ["--data", tmp_path / "data.h5"]
    # A shard of its whole minibatch would want more memory than most machines have.
    smaller = ["--batch", 8] if name == "r3gan-cifar10" else []
    again = gan_dist("train", "--config", tmp_path / "preset.yaml", "--run", tmp_path / "run", "--dry-run", *source,
                     *smaller)
    assert again.code == 0, again


@pytest.mark.parametrize("name, counts", [
    # Of pylearn2's: 2,503,984 and 1,231,441. Of FluxGAN.jl's convolutional networks: its reshape to 3072 values fits.
    ("goodfellow-mnist", ("2503984", "1231441")), ("fluxgan-cifar10-conv", ("64822003", "8134073")),
    ("pacgan-ring", ("484802", "407201"))])
def test_presets_have_the_sources_sizes(name, counts, tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = numpy.zeros((200, *(PRESETS[name] or (1, 1, 1))), numpy.uint8)
    source = [] if PRESETS[name] is None else ["--data", tmp_path / "data.h5"]
    finished = gan_dist("train", "--preset", name, "--run", tmp_path / "run", "--steps", 0, *source)
    assert finished.code == 0 and all(count in finished.out for count in counts), finished


# (θ, ψ)'s distance to the equilibrium, by the lines of the preset's comments: the plain ones as published (Mescheder et
# al. 2018), those with R1 computed in float64 from its formulas. In the columns: both at once; D first, k = 1 and 5; G
# first, as in the source, k = 1 and 5.
DIRAC = {
    ("objective.generator=minimax", "objective.penalties=null"): (3.1, 1.41, 1.71, 1.42, 1.85),
    ("objective.penalties=null",): (0.64, 0.271, 0.156, 0.284, 0.139),
    ("objective.loss=wasserstein", "objective.penalties=null", "optimizer.discriminator.clip.weights=1"):
        (1.0, 0.985, 1.0, 1.02, 0.917),
    ("objective.generator=minimax",): (2.6e-6, 2.4e-7, 9e-34, 2.3e-7, 9e-34),
    ("objective.generator=minimax", "objective.penalties.0.gamma=1"): (1e-21, 8e-17, 5e-12, 7e-17, 5e-12),
    (): (2.2e-6, 1.6e-7, 5e-34, 1.5e-7, 4e-34)}
ORDERS = [["training.update=simultaneous", "training.order=null"], ["training.order=discriminatorFirst"],
          ["training.order=discriminatorFirst", "training.discriminator_steps=5"], [],
          ["training.discriminator_steps=5"]]


@pytest.mark.parametrize("settings", DIRAC)
def test_the_dirac_gan_ends_where_the_source_does(settings, tmp_path):
    for number, (order, distance) in enumerate(zip(ORDERS, DIRAC[settings])):
        run = tmp_path / str(number)
        words = [word for setting in [*settings, *order] for word in ("--set", setting)]
        finished = gan_dist("train", "--preset", "dirac", "--run", run, "--quiet", "--log-every", 500,
                            "--sample-every", 500, *words)
        assert finished.code == 0, finished
        with h5py.File(checkpoint(run, 500)) as file:
            values = file["generator/0.constant/values"][0], file["discriminator/0.dense/weight"][0, 0]
        # The table has one digit of some.
        assert numpy.hypot(*values) == pytest.approx(distance, rel=0.11), order


def test_min_max_xy_spirals_and_orbits(tmp_path):
    """The preset dirac with Wasserstein's cost is min over θ, max over ψ of −θψ. With steps η both at once lengthen
    (θ, ψ) by √(1 + η²); in turn, G first, they keep θ² + ψ² + ηθψ."""
    plain = ("--set", "objective.loss=wasserstein", "--set", "objective.penalties=null")
    for name, options in ("orbit", ()), ("spiral", ("--set", "training.update=simultaneous", "--set",
                                                    "training.order=discriminatorFirst")):
        finished = gan_dist("train", "--preset", "dirac", "--run", tmp_path / name, "--steps", 80, "--quiet", *plain,
                            *options)
        assert finished.code == 0, finished
    lines = {name: [(line["parameter_generator"], line["parameter_discriminator"]) for line in
                    map(json.loads, (tmp_path / name / "metrics.jsonl").open())] for name in ("orbit", "spiral")}
    for step, values in enumerate(lines["spiral"], 1):
        assert numpy.hypot(*values) == pytest.approx(numpy.sqrt(2) * 1.04**(step / 2), rel=1e-4)
    kept = [x * x + y * y + 0.2 * x * y for x, y in lines["orbit"]]
    assert kept == pytest.approx([1 + 1 - 0.2] * 80, rel=1e-4)


@pytest.mark.parametrize("name", ["dirac", "grid-25", "wgan-gp-grid", "wgan-clip", "lsgan", "dragan"])
def test_presets_of_objectives_have_the_same_bits_on_two_ranks(name, tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = numpy.random.default_rng(1).integers(0, 256, (200, 28, 28, 1), numpy.uint8)
    source = [] if PRESETS[name] is None else ["--data", tmp_path / "data.h5"]
    for ranks in (1, 2):
        finished = gan_dist("train", "--preset", name, "--run", tmp_path / str(ranks), "--steps", 3, "--shards", 2,
                            *source, ranks=ranks)
        assert finished.code == 0, finished
    assert gan_dist("checkpoint", "diff", checkpoint(tmp_path / "1", 3), checkpoint(tmp_path / "2", 3)).code == 0


def test_set_overrides_one_value(data, run):
    train("dense", run, "--data", data, "--steps", 2, "--set", "optimizer.generator.rate=0.25",
          "--set", "training.batch=8")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["training"]["batch"] == 8
    assert metrics(run)[0]["lr_generator"] == pytest.approx(0.25)
    assert metrics(run)[-1]["samples_seen"] == 16


def test_sample_is_the_same_each_time(data, run, tmp_path):
    train("convolution", run, "--data", data, "--steps", 2)
    latest = run / "checkpoints/latest"
    for name in ("a.h5", "b.h5", "a.png"):
        finished = gan_dist("sample", latest, "--count", 9, "--seed", 5, "--out", tmp_path / name)
        assert finished.code == 0, finished
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with h5py.File(tmp_path / "a.h5") as first, h5py.File(tmp_path / "b.h5") as second:
        images = first["images"][()]
        assert images.shape == (9, 8, 8, 1) and images.std() > 0
        assert numpy.array_equal(images, second["images"][()])


def test_quiet_says_nothing(data, run):
    finished = train("dense", run, "--data", data, "--steps", 2, "--quiet", ranks=2)
    assert finished.out == "" and finished.err == "", finished


@pytest.mark.parametrize("command",
                         ["", "train", "presets", "sample", "interpolate", "report", "export", "data", "data info",
                          "data import idx", "data import cifar10", "data import cifar100", "data import folder",
                          "data synthetic", "checkpoint diff"])
def test_help_ends_with_an_example(command):
    finished = gan_dist(*command.split(), "--help")
    assert finished.code == 0
    last = finished.out.rstrip().rpartition("\n\n")[2]
    assert last.startswith("Example:\n") and "gan-dist " + command in last, finished.out
