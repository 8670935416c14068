"""Examples that the discriminator has a part in (`sample --by …`), repeated by NumPy; and what cannot be made so."""

import json
import sys

import h5py
import numpy
import pytest

from conftest import ROOT, checkpoint, gan_dist, train

sys.path.append(str(ROOT / "Tests/reference"))
from repeat_sampling import Pair  # noqa: E402

METHODS = {
    "discriminator": ("--steps", 15, "--step-size", 0.05, "--noise", 1.5),
    "rejection": ("--burn-in", 300, "--percentile", 60),
    "langevin": ("--steps", 12, "--step-size", 0.02),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("sampling")
    # Pairs whose D has an opinion of its own.
    train("ring", folder / "ring", "--steps", 300, "--set", "output.checkpoint_every=300", "--set",
          "optimizer.generator.rate=0.001")
    train("dense", folder / "dense", "--data", data, "--steps", 40, "--set", "output.checkpoint_every=40")
    for name in ("packing-plane", "conditional-plane"):
        train(name, folder / name, "--steps", 2, "--set", "output.checkpoint_every=2")
    return folder


def made(run, by, out, *arguments, count=20, ranks=1):
    finished = gan_dist("sample", run, "--count", count, "--seed", 5, "--by", by, *arguments, "--out", out,
                        ranks=ranks)
    assert finished.code == 0, finished
    with h5py.File(out) as file:
        assert f"--by {by}" in file.attrs["source"]
        return {name: file[name][()] for name in file}


@pytest.mark.parametrize("by", METHODS)
@pytest.mark.parametrize("name, step", [("ring", 300), ("dense", 40)])
def test_numpy_makes_the_same_examples(name, step, by, runs, tmp_path):
    options = [option for option in METHODS[by]]
    if name == "dense" and by == "discriminator":
        # Its range bounds what ascent starts from. Long steps, so that some pixels reach its ends.
        options = ["--steps", 15, "--step-size", 5]
    found = made(runs / name, by, tmp_path / "out.h5", *options)
    ours = found["samples" if name == "ring" else "images"].reshape(20, -1)
    pair = Pair(checkpoint(runs / name, step))
    if by == "discriminator":
        theirs = [pair.ascent(5, number, ours.shape[1], options[1], options[3], 1.5) for number in range(20)]
        assert name == "ring" or 0 < (ours == 0).mean() < 1
    elif by == "langevin":
        theirs = [pair.langevin(5, number, 12, 0.02) for number in range(20)]
    else:
        rule = pair.rule(5, 300, 60)
        theirs, attempts = zip(*(pair.rejection(5, number, *rule) for number in range(20)))
        assert max(attempts) > 1
    assert numpy.abs(ours - numpy.array(theirs)).max() < 2e-4 * max(1, numpy.abs(ours).max())
    # Not what G makes alone, nor what noise is.
    plain = numpy.array([pair.generator.forward(pair.latent(5, number)) for number in range(20)])
    assert numpy.abs(ours - plain).max() > 1e-3


@pytest.mark.parametrize("by", METHODS)
def test_examples_do_not_depend_on_the_ranks(by, runs, tmp_path):
    """More than two blocks of 256; pictures too."""
    first, *others = [made(runs / "ring", by, tmp_path / f"{ranks}.h5", *METHODS[by], count=600, ranks=ranks)
                      for ranks in (1, 2, 3, 5)]
    assert len(numpy.unique(first["samples"], axis=0)) > 300
    for other in others:
        assert numpy.array_equal(first["samples"], other["samples"])
    for ranks in (1, 3):
        finished = gan_dist("sample", runs / "dense", "--count", 9, "--by", by, "--out", tmp_path / f"{ranks}.png",
                            ranks=ranks)
        assert finished.code == 0, finished
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "3.png").read_bytes()


def test_sampling_leaves_the_checkpoint_as_it_is(runs, tmp_path):
    before = checkpoint(runs / "ring", 300).read_bytes()
    made(runs / "ring", "langevin", tmp_path / "out.h5", "--steps", 2)
    assert checkpoint(runs / "ring", 300).read_bytes() == before


def test_the_average_is_sampled_unless_the_last_step_is_asked_for(data, tmp_path):
    train("ring", tmp_path / "run", "--steps", 20, "--set", "training.average={half_life: 1000}")
    usual = made(tmp_path / "run", "langevin", tmp_path / "a.h5", "--steps", 3)
    live = made(tmp_path / "run", "langevin", tmp_path / "b.h5", "--steps", 3, "--live")
    assert not numpy.array_equal(usual["samples"], live["samples"])


@pytest.mark.parametrize("ranks", [1, 3])
def test_conditional_examples_have_their_labels(ranks, data, tmp_path):
    """Of a class that is asked for, and of those that are drawn, as plain samples have them."""
    train("conditional", tmp_path / "run", "--data", data, "--steps", 2, "--set", "objective.loss=standard", "--set",
          "objective.penalties=null")
    plain = tmp_path / "plain.h5"
    assert gan_dist("sample", tmp_path / "run", "--count", 20, "--seed", 5, "--out", plain).code == 0
    with h5py.File(plain) as file:
        labels = file["labels"][()]
    for by, options in METHODS.items():
        options = [option for option in options if option not in ("--noise", 1.5)]
        drawn = made(tmp_path / "run", by, tmp_path / f"{by}.h5", *options, ranks=ranks)
        assert numpy.array_equal(drawn["labels"], labels)
        asked = made(tmp_path / "run", by, tmp_path / f"{by}-1.h5", *options, "--class", 1, ranks=ranks)
        assert set(asked["labels"]) == {1} and asked["images"].shape == drawn["images"].shape
        same = labels == 1
        # A burn-in is of the classes that are asked for, so that rejection has another rule.
        if by != "rejection":
            assert numpy.array_equal(asked["images"][same], drawn["images"][same])
            assert not numpy.array_equal(asked["images"][~same], drawn["images"][~same])


def test_evaluate_measures_what_sample_makes(runs, tmp_path):
    for by, options in METHODS.items():
        made(runs / "ring", by, tmp_path / f"{by}.h5", *options, count=300)
        direct = gan_dist("evaluate", runs / "ring", "--by", by, *options, "--seed", 5, "--count", 300, "--metrics",
                          "swd", "--json", ranks=3)
        assert direct.code == 0, direct
        found = json.loads(direct.out)["swd"]
        assert found["settings"].pop("by") == by
        data = tmp_path / "data.h5"
        data.unlink(missing_ok=True)
        assert gan_dist("data", "synthetic", "ring", "--count", 1000, "--seed", 9, "--out", data).code == 0
        both = gan_dist("evaluate", "--samples", tmp_path / f"{by}.h5", "--data", data, "--seed", 5, "--count", 300,
                        "--metrics", "swd", "--json")
        assert both.code == 0, both
        assert json.loads(both.out)["swd"]["value"] == pytest.approx(found["value"], rel=1e-6)


@pytest.mark.parametrize("ranks", [1, 3])
def test_what_the_discriminator_cannot_say_is_refused(ranks, runs, tmp_path):
    out = tmp_path / "out.h5"

    def refused(name, by, code, *words, more=()):
        finished = gan_dist("sample", runs / name, "--count", 3, "--by", by, *more, "--out", out, ranks=ranks)
        assert finished.code == code and not out.exists(), finished
        assert sum(finished.err.count(line) for line in finished.errors) <= 1 or code == 64
        for word in words:
            assert word in finished.err, finished

    for by in METHODS:
        refused("packing-plane", by, 78, f"--by {by}", "packs of 3")
    for by in ("rejection", "langevin"):
        refused("conditional-plane", by, 78, f"--by {by}", "log-odds", "objective.loss")
    refused("ring", "langevin", 80, "not finite", "--step-size", more=("--step-size", 1e30))
    refused("ring", "discriminator", 64, "--live", more=("--live",))
    refused("ring", "discriminator", 64, "--truncation", more=("--truncation", 1))
    refused("ring", "rejection", 64, "--steps goes with", more=("--steps", 3))
    refused("ring", "langevin", 64, "--burn-in goes with", more=("--burn-in", 30))
    refused("ring", "generator", 64, "--noise goes with", more=("--noise", 1))
    refused("ring", "langevin", 64, "--steps 0", more=("--steps", 0))
    refused("ring", "discriminator", 64, "--step-size", more=("--step-size", 0))
    refused("ring", "rejection", 64, "--percentile 101", more=("--percentile", 101))
    refused("ring", "langevin", 64, "--latents", more=("--latents",))
    refused("ring", "guessing", 64, "guessing")


def test_a_discriminator_that_compares_examples_is_refused(tmp_path, data):
    """Its logit is not of one example."""
    train("progressive", tmp_path / "run", "--data", data, "--steps", 2)
    finished = gan_dist("sample", tmp_path / "run", "--count", 3, "--by", "discriminator", "--out", tmp_path / "a.h5")
    assert finished.code == 78 and "minibatch_deviation" in finished.err, finished
    finished = gan_dist("evaluate", "--samples", data, "--data", data, "--by", "langevin")
    assert finished.code == 64 and "checkpoint" in finished.err, finished
