"""Examples of a checkpoint: the same on any number of ranks, and with truncated latents."""

import h5py
import numpy
import pytest

from conftest import gan_dist, train


def sample(*arguments, ranks=1, code=0):
    finished = gan_dist("sample", *arguments, ranks=ranks)
    assert finished.code == code and len(finished.errors) == (code != 0), finished
    return finished


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("sample")
    train("ring", folder / "ring", "--steps", 2)
    train("dense", folder / "dense", "--data", data, "--steps", 2)
    return folder


# More than two blocks of 256, and a part of one.
@pytest.mark.parametrize("name, count", [("ring", 700), ("dense", 600), ("dense", 3)])
def test_the_ranks_share_the_work_and_not_the_bits(name, count, runs, tmp_path):
    def written(ranks, suffix, *more):
        out = tmp_path / f"{ranks}{suffix}"
        finished = sample(runs / name, "--count", count, "--seed", 5, *more, "--out", out, ranks=ranks)
        assert f"{count} examples of step 2" in finished.out and finished.out.count("examples of step") == 1
        return out.read_bytes() if suffix == ".png" else out

    pictures = {written(ranks, ".png") for ranks in (1, 2, 3)}
    assert len(pictures) == 1
    with h5py.File(written(1, ".h5", "--latents")) as one:
        items = "images" if name == "dense" else "samples"
        assert len(one[items]) == count and len(numpy.unique(one[items][()].reshape(count, -1), axis=0)) == count
        for ranks in (2, 3, 5, 8):
            with h5py.File(written(ranks, ".h5", "--latents")) as many:
                assert set(many) == set(one) and dict(many.attrs) == dict(one.attrs)
                for array in one:
                    assert numpy.array_equal(one[array][()], many[array][()]), array


def test_truncated_latents_are_within_and_others_as_before(runs, tmp_path):
    latents = []
    for number, more in enumerate([(), ("--truncation", 0.7)]):
        sample(runs / "ring", "--count", 300, "--latents", *more, "--out", tmp_path / f"{number}.h5", ranks=number + 1)
        with h5py.File(tmp_path / f"{number}.h5") as file:
            latents.append(file["latents"][()])
    whole, truncated = latents
    within = numpy.abs(whole) <= 0.7
    assert 0.4 < within.mean() < 0.6 and numpy.abs(truncated).max() <= 0.7
    assert numpy.array_equal(whole[within], truncated[within])
    walk = ("interpolate", runs / "ring", "--rows", 2, "--columns", 3)
    assert gan_dist(*walk, "--out", tmp_path / "walk.png").code == 0
    assert gan_dist(*walk, "--truncation", 0.1, "--out", tmp_path / "near.png").code == 0
    assert (tmp_path / "walk.png").read_bytes() != (tmp_path / "near.png").read_bytes()


def test_a_walk_along_a_dimension_changes_that_value_alone(runs, tmp_path):
    """Of rows of one latent each: a row of the picture depends on the column by that value alone."""
    walk = ("interpolate", runs / "dense", "--rows", 2, "--columns", 5)
    pictures = []
    for number in range(5):
        out = tmp_path / f"{number}.png"
        finished = gan_dist(*walk, "--dimension", number, "--out", out)
        assert finished.code == 0 and f"along dimension {number}" in finished.out, finished
        pictures.append(out.read_bytes())
    assert len(set(pictures)) == 5
    for more, words in [(("--dimension", 5), "0 … 4"), (("--dimension", -1), "--dimension -1"),
                        (("--dimension", 1, "--path", "linear"), "--path and --dimension")]:
        refused = gan_dist(*walk, *more, "--out", tmp_path / "no.png")
        assert refused.code == 64 and words in refused.err and not (tmp_path / "no.png").exists(), refused


@pytest.mark.parametrize("ranks", [1, 3])
def test_what_cannot_be_sampled_is_refused_once(ranks, runs, tmp_path):
    out = tmp_path / "out.h5"
    uniform = sample(runs / "dense", "--count", 3, "--truncation", 1, "--out", out, ranks=ranks, code=78)
    assert "--truncation" in uniform.err and "uniform" in uniform.err
    usage = gan_dist("sample", runs / "ring", "--count", 3, "--truncation", 0, "--out", out, ranks=ranks)
    assert usage.code == 64 and usage.err.count("--truncation 0.0 is not") == 1, usage
    sample(tmp_path / "none", "--count", 3, "--out", out, ranks=ranks, code=66)
    assert not out.exists()
    assert "missing" in sample(runs / "ring", "--count", 600, "--out", tmp_path / "missing/out.h5", ranks=ranks,
                               code=73).err
    out.write_text("mine")
    assert "exists" in sample(runs / "ring", "--count", 600, "--out", out, ranks=ranks, code=73).err
    assert out.read_text() == "mine"
