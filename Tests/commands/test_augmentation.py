"""Augmentation whose probability is adaptive: the same bits on any ranks and over resumes, and where p is to be seen.
What it computes is compared in test_reference.py, and with all else at once in test_everything.py."""

import h5py
import pytest

from conftest import arrays, assert_same, checkpoint, gan_dist, metrics, resume, train
from pictures import pictures

STEPS = 12
SHARDS = ("--shards", 5)


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    path = tmp_path_factory.mktemp("colour") / "squares.h5"
    with h5py.File(path, "w") as file:
        file["images"] = pictures(channels=3)
    return path


@pytest.fixture(scope="module")
def whole(colour, tmp_path_factory):
    """The run on one rank."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train("augmented", run, "--data", colour, *SHARDS)
    return run


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_any_ranks_give_the_same_bits(ranks, whole, colour, run):
    train("augmented", run, "--data", colour, *SHARDS, ranks=ranks)
    assert_same(checkpoint(whole, STEPS), checkpoint(run, STEPS))


def test_resume_between_two_changes_gives_the_same_bits(whole, colour, run):
    train("augmented", run, "--data", colour, *SHARDS, "--steps", 5, ranks=2)
    assert arrays(checkpoint(run, 5))["augmentation/signs"] != 0
    resume(run, "--steps", 7, ranks=5)
    resume(run, "--steps", STEPS)
    assert_same(checkpoint(whole, STEPS), checkpoint(run, STEPS))


def test_the_probability_is_state_and_is_shown(whole, colour, run):
    lines = metrics(whole)
    assert lines[0]["augment_probability"] == 0 and lines[-1]["augment_probability"] > 0.3
    assert all(-1 <= line["real_sign"] <= 1 for line in lines)
    stored = arrays(checkpoint(whole, STEPS))
    assert stored["augmentation/probability"] >= lines[-1]["augment_probability"] and \
        stored["augmentation/signs"] == 0
    assert f"augment {lines[-1]['augment_probability']:.2f}" in (whole / "log.txt").read_text()
    events = b"".join(path.read_bytes() for path in whole.glob("events*"))
    assert b"augment_probability" in events and b"real_sign" in events
    finished = gan_dist("report", whole)
    page = (whole / "report.html").read_text()
    assert finished.code == 0 and "Augmentation" in page and "target: 0.8" in page, finished
    # Half as fast: another state.
    train("augmented", run, "--data", colour, *SHARDS, "--steps", 6, "--set", "training.augment.adaptive.over=800",
          "--set", "output.checkpoint_every=6")
    compared = gan_dist("checkpoint", "diff", checkpoint(whole, 6), checkpoint(run, 6))
    assert compared.code == 1 and "augmentation/probability" in compared.out, compared


def test_bench_times_it(tmp_path):
    finished = gan_dist("bench", "step", "--preset", "dcgan-32", "--batch", 2, "--steps", 1, "--set",
                        "training.augment={policy: [translation, cutout]}")
    assert finished.code == 0 and "step" in finished.out, finished
