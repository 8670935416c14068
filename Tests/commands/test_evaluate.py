"""evaluate, nearest and classifier as a user calls them; what the measures compute is tested beside their code."""

import json

import h5py
import numpy
import pytest

from conftest import assert_same, checkpoint, evaluated, gan_dist, metrics, refused, train
from pictures import pictures


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    run = tmp_path_factory.mktemp("evaluate") / "ring"
    train("ring", run)
    return run


@pytest.fixture(scope="module")
def images(tmp_path_factory, data):
    run = tmp_path_factory.mktemp("evaluate") / "dense"
    train("dense", run, "--data", data)
    return run


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluate") / "held-out.h5"
    with h5py.File(path, "w") as file:
        file["images"] = pictures(160)[100:]
        file["labels"] = numpy.arange(60) % 3
    return path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory, data, held_out):
    path = tmp_path_factory.mktemp("evaluate") / "classifier.h5"
    finished = gan_dist("classifier", "train", "--data", data, "--held-out", held_out, "--epochs", 2, "--out", path,
                        ranks=2)
    assert finished.code == 0, finished
    assert "of the 60 images" in finished.out, finished
    return path


def test_a_mixture_is_measured_against_itself(ring):
    found = evaluated(ring)
    assert set(found) == {"modes", "swd", "mmd", "memorisation", "intrinsic-dimension", "game"}
    assert found["modes"]["settings"]["samples"] == 2500 and found["modes"]["modes"] == 8
    assert 0 <= found["modes"]["high_quality"] <= 1
    assert found["mmd"]["standard_error"] > 0 and found["swd"]["value"] > 0
    assert found["game"]["jsd_bound"] == pytest.approx((found["game"]["value"] + numpy.log(4)) / 2)


def test_the_figures_do_not_depend_on_the_ranks(images, data, held_out, classifier):
    arguments = (images, "--data", data, "--held-out", held_out, "--classifier", classifier, "--count", 100)
    one = evaluated(*arguments)
    for ranks in (3, 5, 8):
        assert one == evaluated(*arguments, ranks=ranks)
    assert set(one) == {"parzen", "modes", "swd", "mmd", "classifier-score", "frechet-classifier-distance",
                        "kernel-distance", "precision", "recall",
                        "density", "coverage", "labels", "memorisation", "intrinsic-dimension", "pixel-correlation",
                        "sharpness", "game"}
    for outcome in one.values():
        assert numpy.isfinite(outcome["value"]) and outcome["settings"]


def test_samples_of_a_file_are_judged(data, held_out, classifier):
    """Real against real: the training images themselves."""
    found = evaluated("--samples", data, "--data", data, "--held-out", held_out, "--classifier", classifier,
                      "--metrics", "memorisation,frechet-classifier-distance,precision-recall,swd")
    assert found["memorisation"]["copies"] == 100 and found["memorisation"]["value"] <= 0.5
    assert abs(found["frechet-classifier-distance"]["value"]) < 1e-6
    assert found["precision"]["value"] == found["recall"]["value"] == 1
    assert found["swd"]["raw"] < 1e-6


def test_of_a_sorted_file_all_kinds_are_judged(tmp_path):
    """Fewer samples than the file holds are drawn from all of it, not taken from its front."""
    for name, order in (("data", numpy.arange(400) % 2), ("sorted", numpy.arange(400) // 200)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["samples"] = (2 * order[:, None] - 1 + numpy.zeros(2)).astype("f4")
    found = evaluated("--samples", tmp_path / "sorted.h5", "--data", tmp_path / "data.h5", "--metrics", "mmd",
                      "--count", 100)
    assert found["mmd"]["value"] < 0.05, found
    assert found == evaluated("--samples", tmp_path / "sorted.h5", "--data", tmp_path / "data.h5", "--metrics", "mmd",
                              "--count", 100, ranks=3)


def test_the_table_has_a_line_a_measure(ring):
    finished = gan_dist("evaluate", ring, "--metrics", "modes,game")
    assert finished.code == 0, finished
    lines = finished.out.splitlines()
    assert any(line.startswith("modes ") for line in lines) and any(line.startswith("game ") for line in lines)


def test_one_dimension_is_drawn_against_the_optimum(tmp_path):
    config = tmp_path / "line.yaml"
    config.write_text("""
name: line
data: {synthetic: gaussian1d, count: 2000}
latent: {size: 1}
generator: [{dense: {units: 8}}, tanh, {dense: {units: 1}}]
discriminator: [{dense: {units: 8}}, tanh, {dense: {units: 1}}]
training: {batch: 64, steps: 20}
""")
    assert gan_dist("train", "--config", config, "--run", tmp_path / "run").code == 0
    found = evaluated(tmp_path / "run", "--metrics", "game", "--figure", tmp_path / "game.svg")
    assert 0 < found["game"]["distance_from_optimal_d"] < 1
    svg = (tmp_path / "game.svg").read_text()
    assert svg.count("<polyline") == 4 and svg.count("<line") == 21 and "NaN" not in svg and "nan" not in svg


LINE = """
name: line
data: {synthetic: mixture1d, count: 2000}
latent: {size: 1}
generator: [{dense: {units: 8}}, tanh, {dense: {units: 1}}]
discriminator: [{dense: {units: 8}}, tanh, {dense: {units: 1}}]
training: {batch: 64, steps: 20}
output: {log_every: 5}
"""
THEORY = "optimal-discriminator,gradient-variance"
COSTS = ["minimax", "non-saturating", "maximum-likelihood", "reverse-kl"]


def test_the_theory_on_a_line(tmp_path):
    """Measured along a run and after it, the same on any number of ranks; no bit of the training depends on it."""
    (tmp_path / "line.yaml").write_text(LINE)
    measure = f"output.evaluate={{every: 10, metrics: [{THEORY}], count: 700, best: optimal-discriminator}}"
    common = ("train", "--config", tmp_path / "line.yaml", "--shards", 3)
    assert gan_dist(*common, "--run", tmp_path / "plain").code == 0
    for ranks in 1, 2, 3:
        finished = gan_dist(*common, "--run", tmp_path / f"{ranks}", "--set", measure, ranks=ranks)
        assert finished.code == 0, finished
        assert_same(checkpoint(tmp_path / "plain", 20), checkpoint(tmp_path / f"{ranks}", 20))
    logged = [{name: value for name, value in line.items() if name.startswith("evaluation_")}
              for line in metrics(tmp_path / "1")]
    assert [bool(line) for line in logged] == [False, True, False, True]
    for ranks in 2, 3:
        assert [line.get("evaluation_optimal_discriminator_jsd") for line in metrics(tmp_path / f"{ranks}")] == \
            [line.get("evaluation_optimal_discriminator_jsd") for line in logged]
        assert [line.get("evaluation_gradient_variance_minimax") for line in metrics(tmp_path / f"{ranks}")] == \
            [line.get("evaluation_gradient_variance_minimax") for line in logged]
    found = evaluated(tmp_path / "1", "--metrics", THEORY, "--count", 700, "--figure", tmp_path / "line.svg")
    assert set(found) == {"optimal-discriminator"} | {f"gradient-variance-{cost}" for cost in COSTS}
    assert found == evaluated(tmp_path / "1", "--metrics", THEORY, "--count", 700, ranks=3)
    assert (tmp_path / "line.svg").read_text().count("<polyline") == 4
    best = found["optimal-discriminator"]
    assert 0 < best["jsd"] < numpy.log(2) and best["game_value"] <= best["best_game_value"]
    assert best["best_game_value"] == pytest.approx(2 * best["jsd"] - numpy.log(4))
    for name, figures in found.items():
        place = "evaluation_" + name.replace("-", "_")
        assert logged[-1][place] == pytest.approx(figures["value"], rel=1e-5)
        if name != "optimal-discriminator":
            assert figures["noise_scale"] == pytest.approx(figures["value"] / figures["norm"]**2)
            assert logged[-1][f"{place}_noise_scale"] == pytest.approx(figures["noise_scale"], rel=1e-5)
    assert gan_dist("report", tmp_path / "1").code == 0
    page = (tmp_path / "1/report.html").read_text()
    assert all(title in page for title in ("distance from the optimal D", "noise scale of G", "V(D*, G)", "divergence"))


@pytest.mark.parametrize("settings, metric, words", [
    (["data.synthetic=ring", "generator.2.dense.units=2"], "optimal-discriminator", "no known density on a line"),
    (["objective.loss=hinge"], "gradient-variance", "no log-odds"),
    (["training.packing=2"], "gradient-variance", "single examples")])
def test_theory_is_refused_where_there_is_none(settings, metric, words, tmp_path):
    (tmp_path / "line.yaml").write_text(LINE)
    options = [word for setting in settings for word in ("--set", setting)]
    train = ("train", "--config", tmp_path / "line.yaml", "--run", tmp_path / "run", "--steps", 1, *options)
    assert gan_dist(*train).code == 0
    refused(gan_dist("evaluate", tmp_path / "run", "--metrics", metric), 78, metric, words)
    refused(gan_dist("train", "--config", tmp_path / "line.yaml", "--run", tmp_path / "measured", *options, "--set",
                     f"output.evaluate={{every: 1, metrics: [{metric}]}}"), 78, "output.evaluate.metrics", words)


def test_a_discriminator_of_packs_is_asked_about_packs(tmp_path):
    finished = gan_dist("train", "--preset", "pacgan-ring", "--run", tmp_path / "run", "--steps", 3,
                        "--set", "data.count=1000")
    assert finished.code == 0, finished
    found = evaluated(tmp_path / "run", "--metrics", "game,modes")
    assert found["game"]["settings"]["packing"] == 2 and numpy.isfinite(found["game"]["value"])


def test_nearest_draws_samples_beside_training_images(images, data, tmp_path):
    """A row a sample: itself and five images; a pixel between."""
    finished = gan_dist("nearest", images, "--data", data, "--count", 4, "--out", tmp_path / "nearest.png", ranks=2)
    assert finished.code == 0, finished
    content = (tmp_path / "nearest.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (6 * 9 - 1, 4 * 9 - 1)


def test_real_images_have_the_figures_of_the_data(data, tmp_path):
    """The training images judged by themselves."""
    figure = tmp_path / "correlations.svg"
    found = evaluated("--samples", data, "--data", data, "--metrics", "intrinsic-dimension,pixel-correlation,sharpness",
                      "--figure", figure, ranks=2)
    assert figure.read_text().count("<polyline") == 3 and "nan" not in figure.read_text()
    dimension, sharpness = found["intrinsic-dimension"], found["sharpness"]
    assert dimension["value"] == pytest.approx(dimension["data"]) and dimension["used"] == dimension["data_used"]
    assert found["pixel-correlation"]["value"] < 1e-6 and len(found["pixel-correlation"]["by_distance"]) == 10
    assert sharpness["value"] > 0 and sharpness["ratio"] == pytest.approx(1)


def test_the_costs_are_drawn(tmp_path):
    finished = gan_dist("objectives", "--out", tmp_path / "costs.svg")
    assert finished.code == 0 and "5 costs" in finished.out, finished
    assert (tmp_path / "costs.svg").read_text().count("<polyline") == 10
    assert gan_dist("objectives", "--out", tmp_path / "costs.png").code == 64
    assert gan_dist("objectives", "--out", tmp_path / "none/costs.svg").code == 73


def found_by(finished):
    """The least and the greatest difference that `nearest --latent` says."""
    assert finished.code == 0, finished
    words = finished.out.partition("of the pixels from ")[2].split(",")[0].split()
    return float(words[0]), float(words[2])


def test_latents_of_a_generators_own_images_are_found(images, data, tmp_path):
    """Its images are reconstructed, others are not; the same picture on any number of ranks."""
    own = tmp_path / "own.h5"
    assert gan_dist("sample", images, "--count", 20, "--seed", 3, "--out", own).code == 0
    pictures = []
    for ranks in 1, 2, 3:
        out = tmp_path / f"{ranks}.png"
        least, most = found_by(gan_dist("nearest", images, "--latent", "--data", own, "--count", 18, "--out", out,
                                        ranks=ranks))
        assert least <= most < 0.01
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[1] == pictures[2]
    # Two images a row, a pixel between, and the same on both sides.
    assert (int.from_bytes(pictures[0][16:20]), int.from_bytes(pictures[0][20:24])) == (2 * 9 - 1, 18 * 9 - 1)
    least, _ = found_by(gan_dist("nearest", images, "--latent", "--data", data, "--count", 4, "--steps", 50, "--out",
                                 tmp_path / "real.png"))
    assert least > 0.05


@pytest.mark.parametrize("ranks", [1, 3])
def test_what_has_no_latent_is_refused(ring, images, data, ranks, tmp_path):
    out = tmp_path / "out.png"
    refused(gan_dist("nearest", ring, "--latent", "--out", out, ranks=ranks), 78, "[2]")
    for more, words in [(("--steps", 3), "--latent"), (("--latent", "--steps", 0), "--steps 0"),
                        (("--latent", "--step-size", -1), "--step-size")]:
        finished = gan_dist("nearest", images, "--data", data, *more, "--out", out, ranks=ranks)
        assert finished.code == 64 and words in finished.err, finished
    assert not out.exists()


def test_the_latent_of_a_labelled_image_is_sought_in_its_class(data, tmp_path):
    train("conditional", tmp_path / "run", "--data", data, "--steps", 2)
    own, other = tmp_path / "own.h5", tmp_path / "other.h5"
    assert gan_dist("sample", tmp_path / "run", "--count", 6, "--out", own).code == 0
    assert found_by(gan_dist("nearest", tmp_path / "run", "--latent", "--data", own, "--count", 6, "--out",
                             tmp_path / "own.png"))[1] < 0.05
    with h5py.File(own) as source, h5py.File(other, "w") as file:
        file["images"] = source["images"][()]
        file["images"].attrs.update(source["images"].attrs)
        file["labels"] = source["labels"][()] + 100
    refused(gan_dist("nearest", tmp_path / "run", "--latent", "--data", other, "--out", tmp_path / "no.png", ranks=3),
            65, "label")


@pytest.mark.parametrize("ranks", [1, 3])
def test_what_cannot_be_measured_is_refused(ring, images, data, held_out, ranks):
    refused(gan_dist("evaluate", ring, "--metrics", "parsen"), 64, "'parsen'", "'parzen'")
    refused(gan_dist("evaluate", images, "--data", data, "--metrics", "parzen", ranks=ranks), 78, "parzen",
            "--held-out")
    refused(gan_dist("evaluate", images, "--data", data, "--metrics", "modes", ranks=ranks), 78, "modes",
            "--classifier")
    refused(gan_dist("evaluate", ring, "--metrics", "labels", ranks=ranks), 78, "labels", "points")
    for metric in "pixel-correlation", "sharpness":
        refused(gan_dist("evaluate", ring, "--metrics", metric, ranks=ranks), 78, metric, "points")
    refused(gan_dist("evaluate", ring, "--metrics", "intrinsic-dimension", "--count", 20, ranks=ranks), 78,
            "intrinsic-dimension", "20 neighbours")
    refused(gan_dist("evaluate", "--samples", data, "--data", data, "--metrics", "game", ranks=ranks), 78, "game",
            "checkpoint")
    refused(gan_dist("evaluate", ring, "--data", held_out, ranks=ranks), 65, "held-out.h5")
    refused(gan_dist("evaluate", ring / "nothing.h5", ranks=ranks), 66, "nothing.h5")
    refused(gan_dist("nearest", ring, "--out", "nearest.png", ranks=ranks), 78, "[2]")


def test_of_padded_images_what_is_within_the_frame_is_classified(data, held_out, classifier, tmp_path):
    config = tmp_path / "padded.yaml"
    config.write_text("""
name: padded
data: {fit: pad}
latent: {size: 4}
generator: [dense: {units: 192}, sigmoid, reshape: {shape: [16, 12, 1]}]
discriminator: [flatten, dense: {units: 1}]
training: {batch: 20, steps: 1}
""")
    run, samples = tmp_path / "run", tmp_path / "samples.h5"
    finished = gan_dist("train", "--config", config, "--run", run, "--data", data, "--set",
                        f"output.evaluate={{every: 1, count: 90, classifier: {classifier}, "
                        "metrics: [frechet-classifier-distance]}")
    assert finished.code == 0, finished
    finished = gan_dist("sample", run, "--count", 90, "--out", samples)
    assert finished.code == 0, finished
    with h5py.File(samples, "r+") as file:
        whole = file["images"]
        height, width = h5py.File(data)["images"].shape[1:3]
        top, left = (16 - height) // 2, (12 - width) // 2
        middle = whole[:, top:top + height, left:left + width]
        attributes = dict(whole.attrs)
        del file["images"]
        file["images"] = middle
        file["images"].attrs.update(attributes)
    settings = ("--data", data, "--classifier", classifier, "--count", 90, "--metrics", "frechet-classifier-distance")
    framed, cut = evaluated(run, *settings), evaluated("--samples", samples, *settings)
    # Of a file they are taken in another order.
    assert framed["frechet-classifier-distance"]["value"] == pytest.approx(
        cut["frechet-classifier-distance"]["value"], rel=1e-6)
    assert metrics(run)[-1]["evaluation_frechet_classifier_distance"] > 0
    # Of images of another size than those that have the frame it is no classifier.
    larger = tmp_path / "larger.h5"
    with h5py.File(larger, "w") as file:
        file["images"] = pictures(100, 10)
        file["images"].attrs["range"] = [0.0, 255.0]
    refused(gan_dist("evaluate", run, "--data", larger, "--classifier", classifier), 78, "classifies images of")


def test_a_classifier_that_cannot_be_used_is_refused(images, data, held_out, classifier, tmp_path):
    refused(gan_dist("classifier", "train", "--data", data, "--out", classifier), 73, "exists")
    unlabelled = tmp_path / "unlabelled.h5"
    with h5py.File(unlabelled, "w") as file:
        file["images"] = pictures()
    refused(gan_dist("classifier", "train", "--data", unlabelled, "--out", tmp_path / "c.h5", ranks=3), 65, "labels")
    checkpoint = next((images / "checkpoints").glob("step-*.h5"))
    refused(gan_dist("evaluate", images, "--data", data, "--classifier", checkpoint), 65, "not a classifier")
    damaged = tmp_path / "damaged.h5"
    content = bytearray(classifier.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    refused(gan_dist("evaluate", images, "--data", data, "--classifier", damaged, ranks=3), 65, "damaged")


def test_few_samples_are_warned_of(images, data, classifier):
    finished = gan_dist("evaluate", images, "--data", data, "--classifier", classifier, "--count", 100,
                        "--metrics", "frechet-classifier-distance")
    assert finished.code == 0 and any("100 examples" in line for line in finished.warnings), finished


def test_the_modes_of_stacked_images_are_counted_by_channels(data, classifier, tmp_path):
    stacked = tmp_path / "stacked.h5"
    assert gan_dist("data", "stack", data, "--channels", 2, "--count", 300, "--out", stacked).code == 0
    arguments = ("--samples", stacked, "--data", stacked, "--classifier", classifier, "--metrics", "modes")
    found = evaluated(*arguments)["modes"]
    assert found == evaluated(*arguments, ranks=3)["modes"]
    assert found["modes"] == 9 and 1 <= found["value"] <= 9 and 0 <= found["reverse_kl"] <= numpy.log(9)
    settings = found["settings"]
    assert settings["samples"] == 300 and settings["modes_are"] == "the classifier's classes of 2 channels"
    refused(gan_dist("evaluate", *arguments[:-1], "labels"), 78, "labels", "channel by itself", "modes")
