"""Games with a third player, an encoder beside the generator and the discriminator: the adversarial autoencoder and
BiGAN."""

import json
import subprocess
import sys

import h5py
import numpy
import pytest
import yaml

from conftest import CONFIGS as CONFIGURATIONS
from conftest import ROOT, arrays, assert_same, checkpoint, gan_dist, killed_rank_is_made_good, metrics, resume, train
from pictures import pictures

REFERENCE = ROOT / "Tests/reference"
STEPS = 6
CONFIGS = ["adversarial-autoencoder", "bigan"]
AT_ONCE = ["--set", "training.update=simultaneous"]


def trace_of(config, data, folder, ranks, *options):
    trace = folder / "trace.h5"
    train(config, folder / "run", "--data", data, "--steps", STEPS, "--shards", 2, "--trace", trace, "--trace-steps",
          STEPS, *options, ranks=ranks)
    return trace


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("config", CONFIGS)
def test_agrees_with_pytorch(config, ranks, data, tmp_path):
    """Costs, parameters, running statistics and the average of six steps by Tests/reference/replay_encoder.py."""
    ours, theirs = arrays(trace_of(config, data, tmp_path, ranks)), arrays(REFERENCE / f"{config}.h5")
    assert len([name for name in theirs if name.endswith("/loss_encoder")]) == STEPS
    assert len([name for name in theirs if name.endswith("/loss")]) == STEPS
    for name, expected in theirs.items():
        if "/loss" in name:
            assert ours[name] == pytest.approx(expected, rel=1e-5), name
        else:
            limit = max(1e-4 * numpy.abs(expected).max(), 1e-6)
            assert numpy.abs(ours[name] - expected).max() < limit, name


@pytest.mark.parametrize("config, options", [
    ("adversarial-autoencoder", []), ("adversarial-autoencoder", ["--set", "objective.generator=minimax"]),
    ("bigan", []), ("bigan", ["-k", 2]), ("bigan", AT_ONCE), ("bigan", ["--set", "objective.generator=minimax"]),
    ("bigan", ["--set", "objective={loss: leastSquares}"])])
def test_pytorch_repeats_the_run(config, options, data, tmp_path):
    pytest.importorskip("torch",
                        reason="no PyTorch (.venv/bin/pip install torch); "
                               "its committed results are compared all the same")
    replayed = subprocess.run(
        [sys.executable, REFERENCE / "replay_encoder.py", trace_of(config, data, tmp_path, 1, *options)],
        capture_output=True, text=True, timeout=120)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_another_seed_is_seen(data, tmp_path):
    """The comparison can fail."""
    ours, theirs = arrays(trace_of("bigan", data, tmp_path, 1, "--seed", 7)), arrays(REFERENCE / "bigan.h5")
    name = "steps/000000/generator/loss_encoder"
    assert ours[name] != pytest.approx(theirs[name], rel=1e-5)


def test_a_step_of_all_but_the_second_update_of_d_is_of_one_minibatch(data, tmp_path):
    found = arrays(trace_of("adversarial-autoencoder", data, tmp_path, 2))
    for step in range(STEPS):
        path = f"steps/{step:06d}"
        taken = [found[f"{path}/{place}/real_index"] for place in
                 ("reconstruction", "discriminator/0", "discriminator/1", "encoder")]
        assert (taken[0] == taken[1]).all() and (taken[3] == taken[2]).all() and (taken[1] != taken[2]).any()
    assert metrics(tmp_path / "run")[-1]["samples_seen"] == STEPS * 2 * 20


@pytest.mark.parametrize("config, options", [("adversarial-autoencoder", []), ("bigan", []), ("bigan", AT_ONCE)])
def test_same_bits_on_any_number_of_ranks_and_over_a_resume(config, options, data, tmp_path):
    options = ["--data", data, "--shards", 10, *options]
    ends = [*options, "--steps", STEPS, "--checkpoint-every", 3]
    train(config, tmp_path / "one", *ends)
    for ranks in 2, 3, 5, 8:
        train(config, tmp_path / f"{ranks}", *ends, ranks=ranks)
        assert_same(checkpoint(tmp_path / f"{ranks}", STEPS), checkpoint(tmp_path / "one", STEPS))
    train(config, tmp_path / "resumed", *options, "--steps", 2, ranks=3)
    resume(tmp_path / "resumed", "--steps", STEPS, ranks=2)
    assert_same(checkpoint(tmp_path / "resumed", STEPS), checkpoint(tmp_path / "one", STEPS))
    for mine, whole in zip(metrics(tmp_path / "resumed"), metrics(tmp_path / "one")):
        assert mine["step"] == whole["step"] and mine["loss_encoder"] == whole["loss_encoder"]
    with h5py.File(checkpoint(tmp_path / "one", STEPS)) as file:
        assert {"encoder", "generator", "discriminator", "average"} <= set(file) and "encoder" in file["optimizer"]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_killed_rank_is_made_good(config, start, data, run, tmp_path):
    killed_rank_is_made_good(config, start, data, run, tmp_path)


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_made_of_a_run(config, data, run, tmp_path):
    train(config, run, "--data", data, "--steps", 4)
    for line in metrics(run):
        assert line["grad_norm_encoder"] > 0 and line["lr_encoder"] == pytest.approx(1e-3)
        assert {"loss_discriminator", "loss_generator", "loss_encoder", "d_real", "d_fake"} <= set(line)
    assert (run / "samples/step-00000004.png").exists() and (run / "samples/reconstructions-00000004.png").exists()
    with h5py.File(tmp_path / "held-out.h5", "w") as file:
        file["images"] = pictures(count=130)[100:]
    for command in (["sample", run, "--count", 9, "--out", tmp_path / "samples.png"],
                    ["interpolate", run, "--out", tmp_path / "walks.png"],
                    ["nearest", run, "--latent", "--steps", 3, "--count", 2, "--out", tmp_path / "latent.png"],
                    ["reconstruct", run, "--data", tmp_path / "held-out.h5", "--count", 5, "--out",
                     tmp_path / "rebuilt.png"],
                    ["evaluate", run, "--count", 40],
                    ["export", run, "--format", "onnx", "--out", tmp_path / "generator.onnx"],
                    ["export", run, "--live", "--format", "safetensors", "--out", tmp_path / "all.safetensors"],
                    ["report", run]):
        finished = gan_dist(*command)
        assert finished.code == 0, finished
    page = (run / "report.html").read_text()
    assert "what the generator makes of their codes" in page
    again = train(config, tmp_path / "again", "--data", data, "--steps", 1, "--initial", tmp_path / "all.safetensors")
    first = arrays(checkpoint(run, 4))
    parameters = [name for name in first if name.startswith(("encoder/", "generator/", "discriminator/"))]
    assert f"{len(parameters)} of {len(parameters)} arrays of the networks start as in" in again.out, again


def test_reconstructions_are_g_of_the_code(data, run, tmp_path):
    """By NumPy from the checkpoint's arrays: of the first examples, with running statistics and G's average."""
    train("bigan", run, "--data", data, "--steps", 30, "--log-every", 10)
    drawn = gan_dist("reconstruct", run, "--count", 100, "--out", tmp_path / "rebuilt.png", ranks=2)
    found = arrays(checkpoint(run, 30))

    def dense(name, x):
        return x @ found[f"{name}/weight"] + found.get(f"{name}/bias", 0)

    def normalise(network, layer, x):
        place = f"{network}/statistics/{layer}.batch_normalisation"
        x = (x - found[f"{place}/mean"]) / numpy.sqrt(found[f"{place}/variance"] + 1e-5)
        name = f"{'average/' if network == 'generator' else ''}{network}/{layer}.batch_normalisation"
        return x * found[f"{name}/scale"] + found[f"{name}/shift"]

    with h5py.File(data) as file:
        x = file["images"][:] / 255
    padded = numpy.pad(x[..., 0], ((0, 0), (1, 1), (1, 1)))
    kernel, hidden = found["encoder/0.convolution/weight"][:, :, 0], numpy.zeros((len(x), 4, 4, 6))
    for row in range(4):
        for column in range(4):
            window = padded[:, 2 * row:2 * row + 4, 2 * column:2 * column + 4]
            hidden[:, row, column] = numpy.einsum("nhw,hwo->no", window, kernel) + found["encoder/0.convolution/bias"]
    hidden = numpy.where(hidden > 0, hidden, 0.2 * hidden).reshape(len(x), -1)
    code = dense("encoder/6.dense", numpy.tanh(normalise("encoder", 4, dense("encoder/3.dense", hidden))))
    hidden = normalise("generator", 1, dense("average/generator/0.dense", code))
    hidden = dense("average/generator/3.dense", numpy.where(hidden > 0, hidden, 0.2 * hidden))
    apart = ((1 / (1 + numpy.exp(-hidden)) - x.reshape(len(x), -1))**2).mean()
    assert float(drawn.out.rpartition(" ")[2]) == pytest.approx(apart, rel=2e-3), drawn


def test_an_adversarial_autoencoder_learns_to_reconstruct(data, run, tmp_path):
    train("adversarial-autoencoder", run, "--data", data, "--steps", 400, "--log-every", 100, "--set",
          "training.average=null")
    drawn = gan_dist("reconstruct", run, "--count", 100, "--out", tmp_path / "rebuilt.png")
    with h5py.File(data) as file:
        # The mean image, the best without a code; as D sees them, from −1 to 1.
        images = file["images"][:] / 127.5 - 1
    assert float(drawn.out.rpartition(" ")[2]) < 0.8 * images.var(0).mean(), drawn


@pytest.mark.parametrize("config", CONFIGS)
def test_is_measured_while_it_trains(config, data, run, tmp_path):
    with h5py.File(tmp_path / "held-out.h5", "w") as file:
        file["images"] = pictures(count=130)[100:]
    train(config, run, "--data", data, "--steps", 6, "--set", f"data.held_out={tmp_path / 'held-out.h5'}", "--set",
          "output.evaluate={every: 3, metrics: [mmd, memorisation], count: 20}", ranks=2)
    found = [line for line in metrics(run) if "evaluation_mmd" in line]
    assert [line["step"] for line in found] == [3, 6] and "evaluation_logit_gap" not in found[0]


BOTH = [
    (["--set", "training.packing=2"], ["training.packing", "cannot be combined", "training.packing: 1"]),
    (["--set", "training.augment={probability: 0.5}"], ["training.augment", "null"]),
    (["--set", "training.order=generatorFirst"], ["training.order", "discriminatorFirst"]),
    (["--set", "training.unrolling_steps=2"], ["training.unrolling_steps"]),
    (["--set", "objective={penalties: [{kind: r1, gamma: 1}]}"], ["objective.penalties", "null"]),
    (["--set", "objective={penalties: [{kind: lecam}]}"], ["objective.penalties", "null"]),
    (["--set", "objective={loss: relativistic}"], ["objective.loss", "pairs of logits", "hinge"]),
    (["--set", "objective={loss: relativisticAverage}"], ["objective.loss", "pairs of logits"]),
    (["--set", "decoder=[relu]"], ["decoder", "no such part"]),
    (["--set", "optimizer.encoder.rate=-1"], ["optimizer.encoder.rate"]),
    (["--set", "model.kind=gan"], ["encoder", "a GAN (model.kind) has no such part", "another model.kind"]),
    (["--set", "encoder.6.dense.units=5"], ["encoder: its last layer makes [5]", "latent.size", "- dense: {units: "]),
    (["--set", "encoder.3.dense.units=0"], ["encoder.3.dense.units"]),
    (["--set", "model.kind=biggan"], ["model.kind", "Did you mean 'bigan'?"]),
    (["--set", "model.reconstruction=bernoulli"], ["model.reconstruction", "no such key"]),
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("options, words", BOTH)
def test_what_does_not_fit_is_refused(config, options, words, data, run):
    finished = train(config, run, "--data", data, *options, code=78)
    assert all(word in finished.err for word in words), finished
    assert finished.err.count("error:") == 1, finished


@pytest.mark.parametrize("config", CONFIGS)
def test_a_measure_of_a_d_of_examples_is_refused(config, data, run):
    refused = gan_dist("train", "--config", CONFIGURATIONS / f"{config}.yaml", "--data", data, "--run", run, "--set",
                       "output.evaluate={every: 2, metrics: [gradient-variance]}", ranks=2)
    assert refused.code == 78 and "judges single examples" in refused.err, refused


@pytest.mark.parametrize("config", CONFIGS)
def test_a_game_without_the_encoder_that_it_has_is_refused(config, data, run, tmp_path):
    whole = yaml.safe_load((ROOT / f"Tests/commands/configs/{config}.yaml").read_text())
    del whole["encoder"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(whole))
    finished = gan_dist("train", "--config", tmp_path / "config.yaml", "--data", data, "--run", run)
    assert finished.code == 78 and "encoder" in finished.err and "missing" in finished.err, finished


@pytest.mark.parametrize("config, options, words", [
    ("adversarial-autoencoder", ["--set", "training.update=simultaneous", "-k", "1"], ["training.update"]),
    ("adversarial-autoencoder", ["--set", "discriminator.0=flatten", "--set", "latent.size=4"],
     ["encoder: its last layer makes [3]", "[4]"]),
    ("adversarial-autoencoder", ["--set", "model.deviation=0"], ["model.deviation"]),
    ("bigan", ["--set", "model.deviation=1"], ["model.deviation", "no such key"]),
    ("bigan", ["--set", "discriminator.0.residual.skip.0.slice.start=65"],
     ["discriminator: layer 0.residual.skip.0 (slice)", "wants 69 values, not 68"]),
    ("bigan", ["--set", "discriminator=[convolution: {channels: 2, kernel: 3}, flatten, dense: {units: 1}]"],
     ["discriminator: layer 0 (convolution): its input is [68]"]),
    ("bigan", ["--set", "training.update=simultaneous", "-k", "2"], ["training.discriminator_steps"]),
])
def test_what_does_not_fit_one_of_them_is_refused(config, options, words, data, run):
    finished = train(config, run, "--data", data, *options, ranks=2, code=78)
    assert all(word in finished.err for word in words), finished
    assert finished.err.count("error:") == 1, finished


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("command, words", [
    (["sample", "RUN", "--count", "4", "--by", "rejection", "--out", "samples.h5"], "it judges codes, or pairs"),
    (["sample", "RUN", "--count", "4", "--by", "discriminator", "--out", "samples.h5"], "it judges codes, or pairs"),
    (["evaluate", "RUN", "--metrics", "game"], "judges codes, or examples with theirs"),
    (["evaluate", "RUN", "--metrics", "elbo"], "no bound"),
    (["bench", "scaling", "--config", "CONFIG"], "games of two players"),
])
def test_commands_refuse_what_the_game_has_not(config, command, words, data, run, tmp_path):
    train(config, run, "--data", data, "--steps", 1)
    named = {"RUN": run, "CONFIG": ROOT / f"Tests/commands/configs/{config}.yaml"}
    finished = gan_dist(*[named.get(word, word) for word in command], cwd=tmp_path)
    assert finished.code in (64, 78) and words in finished.err, finished
    measured = gan_dist("evaluate", run, "--metrics", "mmd,sharpness", "--count", 40, "--json")
    assert measured.code == 0 and json.loads(measured.out)["mmd"]["value"] >= 0, measured
