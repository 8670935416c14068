"""Autoencoders, variational and plain: a run as any other, with an encoder in the place of a discriminator."""

import json
import subprocess
import sys

import h5py
import numpy
import pytest

from conftest import ROOT, arrays, assert_same, checkpoint, gan_dist, killed_rank_is_made_good, metrics, resume, train
from pictures import pictures

REFERENCE = ROOT / "Tests/reference"
STEPS = 6
CONFIGS = ["vae", "vae-gaussian", "autoencoder"]


@pytest.fixture
def held_out(tmp_path):
    path = tmp_path / "held-out.h5"
    with h5py.File(path, "w") as file:
        file["images"] = pictures(count=130)[100:]
    return path


def trace_of(config, data, folder, ranks):
    trace = folder / "trace.h5"
    train(config, folder / "run", "--data", data, "--steps", STEPS, "--shards", 2, "--trace", trace, "--trace-steps",
          STEPS, ranks=ranks)
    return trace


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("config", CONFIGS)
def test_agrees_with_pytorch(config, ranks, data, tmp_path):
    """Costs, parameters and running statistics of six steps by Tests/reference/replay_autoencoder.py."""
    ours, theirs = arrays(trace_of(config, data, tmp_path, ranks)), arrays(REFERENCE / f"{config}.h5")
    assert len([name for name in theirs if "/loss_" in name]) == STEPS * (1 if config == "autoencoder" else 2)
    for name, expected in theirs.items():
        if "/loss_" in name:
            assert ours[name] == pytest.approx(expected, rel=1e-5), name
        else:
            limit = max(1e-4 * numpy.abs(expected).max(), 1e-6)
            assert numpy.abs(ours[name] - expected).max() < limit, name


@pytest.mark.parametrize("config", CONFIGS)
def test_pytorch_repeats_the_run(config, data, tmp_path):
    pytest.importorskip("torch",
                        reason="no PyTorch (.venv/bin/pip install torch); "
                               "its committed results are compared all the same")
    replayed = subprocess.run(
        [sys.executable, REFERENCE / "replay_autoencoder.py", trace_of(config, data, tmp_path, 1)],
        capture_output=True, text=True, timeout=120)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_a_noise_changed_is_seen(data, tmp_path):
    """The comparison can fail: another seed draws other codes."""
    train("vae", tmp_path / "run", "--data", data, "--steps", 1, "--shards", 2, "--seed", 7, "--trace",
          tmp_path / "trace.h5")
    name = "steps/000000/autoencoder/loss_reconstruction"
    assert arrays(tmp_path / "trace.h5")[name] != pytest.approx(arrays(REFERENCE / "vae.h5")[name], rel=1e-5)


def test_the_noise_of_a_code_is_the_examples_own(data, tmp_path):
    """It depends neither on the shards nor on the ranks, and no two examples or steps have the same."""
    found = []
    for shards, ranks in (1, 1), (2, 1), (5, 3):
        folder = tmp_path / f"{shards}"
        train("vae", folder, "--data", data, "--steps", 2, "--shards", shards, "--trace", f"{folder}.h5",
              "--trace-steps", 2, ranks=ranks)
        steps = arrays(f"{folder}.h5")
        found.append(numpy.concatenate([steps[f"steps/{step:06d}/autoencoder/noise"] for step in (0, 1)]))
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()
    assert len(numpy.unique(found[0])) == found[0].size == 2 * 20 * 3


@pytest.mark.parametrize("config", CONFIGS)
def test_same_bits_on_any_number_of_ranks_and_over_a_resume(config, data, held_out, tmp_path):
    options = ("--data", data, "--shards", 10, "--steps", STEPS, "--checkpoint-every", 3)
    train(config, tmp_path / "one", *options)
    for ranks in 2, 3, 5, 8:
        train(config, tmp_path / f"{ranks}", *options, ranks=ranks)
        assert_same(checkpoint(tmp_path / f"{ranks}", STEPS), checkpoint(tmp_path / "one", STEPS))
    train(config, tmp_path / "resumed", "--data", data, "--shards", 10, "--steps", 2, ranks=3)
    resume(tmp_path / "resumed", "--steps", STEPS, ranks=2)
    assert_same(checkpoint(tmp_path / "resumed", STEPS), checkpoint(tmp_path / "one", STEPS))
    for mine, whole in zip(metrics(tmp_path / "resumed"), metrics(tmp_path / "one")):
        assert mine["step"] == whole["step"] and mine["loss_reconstruction"] == whole["loss_reconstruction"]
    with h5py.File(checkpoint(tmp_path / "one", STEPS)) as file:
        assert {"encoder", "decoder", "optimizer"} <= set(file)


def test_the_log_is_of_the_bound(data, run):
    train("vae", run, "--data", data, "--steps", 4)
    for line in metrics(run):
        assert line["elbo"] == pytest.approx(-line["loss_reconstruction"] - line["loss_divergence"])
        assert line["elbo_per_dimension"] == pytest.approx(line["elbo"] / 64)
        assert line["loss_divergence"] >= 0 and line["grad_norm_encoder"] > 0 and line["grad_norm_decoder"] > 0
    assert (run / "samples/step-00000004.png").exists() and (run / "samples/reconstructions-00000004.png").exists()
    assert b"reconstructions" in b"".join(path.read_bytes() for path in run.glob("events*"))


def test_samples_of_an_autoencoder_are_of_the_distribution_of_its_codes(data, run, tmp_path):
    """Codes m + L ε by NumPy from the checkpoint's arrays, through the decoder as onnxruntime has it."""
    onnxruntime = pytest.importorskip("onnxruntime")
    train("autoencoder", run, "--data", data, "--steps", 30, "--log-every", 10)
    found = arrays(checkpoint(run, 30))
    assert gan_dist("sample", run, "--count", 70, "--latents", "--out", tmp_path / "made.h5", ranks=2).code == 0
    assert gan_dist("export", run, "--format", "onnx", "--out", tmp_path / "decoder.onnx").code == 0
    made = arrays(tmp_path / "made.h5")
    assert abs(made["latents"].mean()) < 0.2 and abs(made["latents"].std() - 1) < 0.1
    session = onnxruntime.InferenceSession(str(tmp_path / "decoder.onnx"))
    assert numpy.abs(session.run(None, {"latents": made["latents"]})[0] - made["images"]).max() < 1e-5

    covariance = found["code/covariance"].astype(float)
    factor = numpy.linalg.cholesky(covariance + 1e-6 * covariance.trace() / 5 * numpy.eye(5))
    codes = found["code/mean"] + made["latents"] @ factor.T
    x = codes @ found["decoder/0.dense/weight"] + found["decoder/0.dense/bias"]
    x = numpy.where(x > 0, x, 0.2 * x) @ found["decoder/2.dense/weight"]
    x = (x - found["decoder/statistics/3.batch_normalisation/mean"]) / numpy.sqrt(
        found["decoder/statistics/3.batch_normalisation/variance"] + 1e-5)
    x = x * found["decoder/3.batch_normalisation/scale"] + found["decoder/3.batch_normalisation/shift"]
    x = numpy.tanh(x) @ found["decoder/5.dense/weight"] + found["decoder/5.dense/bias"]
    assert numpy.abs(1 / (1 + numpy.exp(-x)) - made["images"].reshape(70, -1)).max() < 1e-4


def test_the_log_of_an_autoencoder_has_no_bound(data, held_out, run):
    train("autoencoder", run, "--data", data, "--steps", 4)
    assert all(line["loss_reconstruction"] > 0 and "elbo" not in line for line in metrics(run))
    for options in (["--metrics", "elbo", "--held-out", held_out], ["--metrics", "game"]):
        refused = gan_dist("evaluate", run, *options)
        assert refused.code == 78 and ("no bound" in refused.err or "no discriminator" in refused.err), refused
    assert gan_dist("evaluate", run, "--metrics", "mmd,swd", "--count", 40).code == 0


def test_a_killed_rank_is_made_good(start, data, run, tmp_path):
    killed_rank_is_made_good("vae", start, data, run, tmp_path)


def test_an_asked_for_stop_saves_and_the_run_goes_on(data, run, tmp_path):
    train("vae", tmp_path / "whole", "--data", data, "--shards", 2, "--steps", 4)
    # There is never time for a second step.
    stopped = train("vae", run, "--data", data, "--shards", 2, "--steps", 4, "--walltime", "00:00:01", ranks=2, code=75)
    assert "stopped on request after step 1" in stopped.out, stopped
    resume(run)
    assert_same(checkpoint(run, 4), checkpoint(tmp_path / "whole", 4))


def bound(path, images):
    """ELBO of images by the definition: `vae-gaussian`'s networks in NumPy from a checkpoint's arrays, with the mean
    over many codes, whose noise is not the program's."""
    found = arrays(path)

    def layer(name, x):
        return x @ found[f"{name}/weight"] + found.get(f"{name}/bias", 0)

    def normalise(name, x):
        mean, variance = (found[f"{name.split('/')[0]}/statistics/{name.split('/')[1]}/{kind}"]
                          for kind in ("mean", "variance"))
        scale, shift = (found[f"{name}/{kind}"] for kind in ("scale", "shift"))
        return (x - mean) / numpy.sqrt(variance + 1e-5) * scale + shift

    def hidden(network, first, x):
        return numpy.logaddexp(0, normalise(f"{network}/{first + 1}.batch_normalisation",
                                            layer(f"{network}/{first}.dense", x)))

    x = (images.reshape(len(images), -1) / 127.5 - 1).astype(float)
    mean, s = numpy.split(layer("encoder/4.dense", hidden("encoder", 1, x)), 2, axis=1)
    deviation = 1e-6 + numpy.logaddexp(0, s)
    divergence = 0.5 * (mean**2 + deviation**2 - numpy.log(deviation**2) - 1).sum(1)
    noise, reconstruction = numpy.random.default_rng(1), 0
    for _ in range(40):
        z = mean + deviation * noise.normal(size=mean.shape)
        y = numpy.tanh(layer("decoder/3.dense", hidden("decoder", 0, z)))
        reconstruction += 0.5 * ((x - y)**2 / 0.16 + numpy.log(2 * numpy.pi * 0.16)).sum(1) / 40
    return -(reconstruction + divergence)


def test_evaluate_measures_the_bound_of_held_out_examples(data, held_out, run):
    train("vae-gaussian", run, "--data", data, "--steps", 40, "--log-every", 10)
    measured = [gan_dist("evaluate", run, "--held-out", held_out, "--metrics", "elbo", "--json", ranks=ranks)
                for ranks in (1, 2)]
    assert all(found.code == 0 for found in measured), measured
    one, two = (json.loads(found.out)["elbo"] for found in measured)
    assert one == two
    with h5py.File(held_out) as file:
        expected = bound(checkpoint(run, 40), file["images"][:])
    assert one["value"] == pytest.approx(expected.mean(), abs=4 * one["standard_error"])
    assert one["per_dimension"] == pytest.approx(one["value"] / 64)
    assert one["value"] == pytest.approx(-one["reconstruction"] - one["divergence"])


@pytest.mark.parametrize("config", ["vae", "autoencoder"])
def test_commands_of_generators_take_the_decoder(config, data, held_out, run, tmp_path):
    train(config, run, "--data", data, "--steps", 6)
    for name, ranks in ("one", 1), ("two", 2):
        made = gan_dist("sample", run, "--count", 70, "--latents", "--out", tmp_path / f"{name}.h5", ranks=ranks)
        assert made.code == 0, made
    first, second = arrays(tmp_path / "one.h5"), arrays(tmp_path / "two.h5")
    assert (first["images"] == second["images"]).all() and first["latents"].shape == (70, 3 if config == "vae" else 5)
    assert 0 <= first["images"].min() and first["images"].max() <= 1
    for command in (["sample", run, "--count", 9, "--out", tmp_path / "samples.png"],
                    ["interpolate", run, "--out", tmp_path / "walks.png"],
                    ["interpolate", run, "--dimension", 1, "--out", tmp_path / "along.png"],
                    ["nearest", run, "--out", tmp_path / "nearest.png"],
                    ["nearest", run, "--latent", "--steps", 3, "--count", 2, "--out", tmp_path / "latent.png"],
                    ["reconstruct", run, "--data", held_out, "--count", 5, "--out", tmp_path / "rebuilt.png"],
                    ["evaluate", run, "--metrics", "mmd,swd,sharpness,memorisation", "--held-out", held_out],
                    ["evaluate", run, "--count", 40],
                    ["export", run, "--format", "safetensors", "--out", tmp_path / "vae.safetensors"],
                    ["export", run, "--format", "onnx", "--out", tmp_path / "vae.onnx"],
                    ["report", run]):
        finished = gan_dist(*command)
        assert finished.code == 0, finished
    page = (run / "report.html").read_text()
    assert ("Evidence lower bound" in page) == (config == "vae") and "what the decoder makes of their codes" in page
    again = train(config, tmp_path / "again", "--data", data, "--steps", 1, "--initial", tmp_path / "vae.safetensors")
    assert "arrays of the networks start as in" in again.out, again


def test_onnx_is_the_decoder_with_its_sigmoid(data, run, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    train("vae", run, "--data", data, "--steps", 6)
    assert gan_dist("export", run, "--format", "onnx", "--out", tmp_path / "vae.onnx").code == 0
    assert gan_dist("sample", run, "--count", 5, "--latents", "--out", tmp_path / "made.h5").code == 0
    made = arrays(tmp_path / "made.h5")
    session = onnxruntime.InferenceSession(str(tmp_path / "vae.onnx"))
    images = session.run(None, {"latents": made["latents"]})[0]
    assert numpy.abs(images - made["images"]).max() < 1e-5


@pytest.mark.parametrize("config", ["vae", "autoencoder"])
def test_reconstructions_come_near_to_the_examples(config, data, run, tmp_path):
    train(config, run, "--data", data, "--steps", 300, "--log-every", 100)
    assert metrics(run)[-1]["loss_reconstruction"] < metrics(run)[0]["loss_reconstruction"]
    drawn = gan_dist("reconstruct", run, "--count", 100, "--out", tmp_path / "rebuilt.png", ranks=2)
    apart = float(drawn.out.rpartition(" ")[2])
    with h5py.File(data) as file:
        # The mean image, the best that a decoder can make without a code.
        images = file["images"][:] / 255
    assert apart < 0.8 * images.var(0).mean(), drawn


def test_is_measured_while_it_trains(data, held_out, run):
    train("vae", run, "--data", data, "--steps", 6, "--set", f"data.held_out={held_out}", "--set",
          "output.evaluate={every: 3, metrics: [elbo, mmd], count: 64, best: elbo}", ranks=2)
    found = [line for line in metrics(run) if "evaluation_elbo" in line]
    assert [line["step"] for line in found] == [3, 6]
    assert all(line["evaluation_elbo_per_dimension"] == pytest.approx(line["evaluation_elbo"] / 64) for line in found)
    measured = gan_dist("evaluate", run, "--held-out", held_out, "--metrics", "elbo", "--count", 64, "--json")
    assert json.loads(measured.out)["elbo"]["value"] == pytest.approx(found[-1]["evaluation_elbo"], rel=1e-6)


def test_points_with_a_normal_cost(run, tmp_path):
    config = tmp_path / "ring.yaml"
    config.write_text("""
model: {kind: vae, reconstruction: gaussian, deviation: 0.1}
data: {synthetic: ring, count: 2000}
latent: {size: 2}
encoder: [dense: {units: 32}, tanh, dense: {units: 4}]
decoder: [dense: {units: 32}, tanh, dense: {units: 2}]
training: {batch: 64}
""")
    finished = gan_dist("train", "--config", config, "--run", run, "--steps", 20, ranks=2)
    assert finished.code == 0, finished
    assert gan_dist("evaluate", run, "--metrics", "modes,elbo").code == 0
    assert (run / "samples/reconstructions-00000020.png").exists()


@pytest.mark.parametrize("options, words", [
    (["--set", "latent.size=4"], ["encoder: its last layer makes [6]", "[8]", "latent.size"]),
    (["--set", "encoder.6.dense.units=7"], ["encoder: its last layer makes [7]", "units: 6"]),
    (["--set", "decoder.6.transposed_convolution.channels=2"],
     ["decoder: its last layer makes [8, 8, 2]", "[8, 8, 1]", "data.fit"]),
    (["--set", "decoder.3.reshape.shape=[3, 3, 8]"], ["decoder: layer 3 (reshape)"]),
    (["--set", "decoder=[dense: {units: 64}, reshape: {shape: [8, 8, 1]}, sigmoid]"],
     ["decoder", "logits", "model.reconstruction"]),
    (["--set", "discriminator=[relu]"], ["discriminator", "a variational autoencoder (model.kind) has no such part"]),
    (["--set", "generator=[relu]"], ["generator", "no such part"]),
    (["--set", "objective.loss=hinge"], ["objective", "no such part"]),
    (["--set", "condition={classes: 3}"], ["condition", "no such part"]),
    (["--set", "data.labels=/labels"], ["data.labels", "looks at no labels"]),
    (["--set", "decoder.1=join_condition: {classes: 3}"], ["decoder.1"]),
    (["--set", "model.components=3"], ["model.components", "no such key"]),
    (["--set", "model.reconstruction=laplace"], ["model.reconstruction", "bernoulli, gaussian"]),
    (["--set", "model.deviation=1"], ["model.deviation", "no such key"]),
    (["--set", "latent.distribution=uniform"], ["latent.distribution", "no such key"]),
    (["--set", "optimizer.generator.rate=1"], ["optimizer.generator", "no such key"]),
    (["--set", "encoderr=[relu]"], ["encoderr", "Did you mean 'encoder'?"]),
    (["--discriminator-steps", "2"], ["training.discriminator_steps", "no such key"]),
    (["--shards", "21"], ["exchange.shards", "21 shards of a batch of 20"]),
    (["--set", "output.evaluate={every: 2, metrics: [elbo]}"], ["data.held_out", "it is missing"]),
    (["--set", "output.evaluate={every: 2, metrics: [game]}"], ["output.evaluate.metrics"]),
    (["--set", "output.evaluate={every: 2}"], ["output.evaluate.metrics", "nothing to measure"]),
])
def test_what_does_not_fit_is_refused(options, words, data, run):
    finished = train("vae", run, "--data", data, *options, ranks=2, code=78)
    assert all(word in finished.err for word in words), finished
    assert finished.err.count("error:") == 1, finished


@pytest.mark.parametrize("options, words", [
    (["--set", "latent.size=4"], ["encoder: its last layer makes [5]", "[4]", "units: 4", "latent.size"]),
    (["--set", "model.kind=vae"], ["encoder: its last layer makes [5]", "[10]", "units: 10"]),
    (["--set", "discriminator=[relu]"], ["discriminator", "an autoencoder (model.kind) has no such part"]),
    (["--set", "data.labels=/labels"], ["data.labels", "an autoencoder looks at no labels"]),
    (["--set", "data.held_out=HELD", "--set", "output.evaluate={every: 2, metrics: [elbo]}"],
     ["output.evaluate.metrics", "no bound"]),
])
def test_what_does_not_fit_an_autoencoder_is_refused(options, words, data, held_out, run):
    options = [option.replace("HELD", str(held_out)) for option in options]
    finished = train("autoencoder", run, "--data", data, *options, code=78)
    assert all(word in finished.err for word in words), finished


def test_values_that_are_no_probabilities_are_refused(run, tmp_path):
    with h5py.File(tmp_path / "vectors.h5", "w") as file:
        file["samples"] = numpy.linspace(-1, 2, 200, dtype=numpy.float32).reshape(100, 2)
    for source in ["--data", tmp_path / "vectors.h5"], ["--set", "data.synthetic=ring"]:
        finished = train("vae", run, *source, "--set", "encoder=[dense: {units: 6}]", "--set",
                         "decoder=[dense: {units: 2}]", code=78)
        assert "model.reconstruction" in finished.err and "within 0 … 1" in finished.err, finished


@pytest.mark.parametrize("command, words", [
    (["sample", "RUN", "--count", "4", "--by", "rejection", "--out", "samples.h5"], "has no players"),
    (["sample", "RUN", "--count", "4", "--class", "1", "--out", "samples.h5"], "--class"),
    (["evaluate", "RUN", "--metrics", "game"], "an autoencoder has no discriminator"),
    (["evaluate", "RUN", "--metrics", "elbo"], "--held-out"),
    (["evaluate", "RUN", "--metrics", "log-likelihood"], "a generator has no density"),
    (["bench", "scaling", "--config", ROOT / "Tests/commands/configs/vae.yaml"], "is no game of two players"),
])
def test_commands_refuse_what_an_autoencoder_has_not(command, words, data, run, tmp_path):
    train("vae", run, "--data", data, "--steps", 1)
    finished = gan_dist(*[run if word == "RUN" else word for word in command], cwd=tmp_path)
    assert finished.code in (64, 78) and words in finished.err, finished


def test_reconstruct_refuses_a_generator(data, run, tmp_path):
    train("dropout", run, "--data", data, "--steps", 1)
    finished = gan_dist("reconstruct", run, "--out", tmp_path / "rebuilt.png")
    assert finished.code == 78 and "it has no encoder" in finished.err, finished
    finished = gan_dist("evaluate", run, "--metrics", "elbo")
    assert finished.code == 78 and "there is no encoder" in finished.err, finished
