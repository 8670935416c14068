"""The same training on any number of ranks."""

import numpy
import pytest

from conftest import arrays, assert_same, checkpoint, gan_dist, resume, train


def parameters(path):
    """The values of both networks, without optimiser moments and running statistics."""
    return {name: values for name, values in arrays(path).items()
            if name.startswith(("generator/", "discriminator/")) and "statistics" not in name}


def largest_difference(first, second):
    """The largest difference between two checkpoints' parameters, as a part of each array's largest value."""
    first, second = parameters(first), parameters(second)
    assert first.keys() == second.keys() and first
    return max(numpy.abs(first[name] - second[name]).max() / max(numpy.abs(first[name]).max(), 1e-3) for name in first)


@pytest.mark.parametrize("config", ["dense", "dropout"])
def test_fifty_steps_agree_to_rounding(config, data, tmp_path):
    # Each run has as many shards as ranks, so sums are taken in another order.
    for ranks in (1, 2, 3, 4, 8):
        train(config, tmp_path / str(ranks), "--data", data, "--steps", 50, ranks=ranks)
    alone = checkpoint(tmp_path / "1", 50)
    for ranks in (2, 3, 4, 8):
        assert largest_difference(alone, checkpoint(tmp_path / str(ranks), 50)) < 1e-4


@pytest.mark.parametrize("config", ["dropout", "convolution", "grouped", "progressive", "winograd", "resampled"])
def test_eight_shards_give_the_same_bits_on_any_ranks(config, data, tmp_path):
    for ranks in (1, 2, 3, 4, 8):
        train(config, tmp_path / str(ranks), "--data", data, "--shards", 8, "--set", "exchange.kind=ordered",
              ranks=ranks)
    for ranks in (2, 3, 4, 8):
        assert_same(checkpoint(tmp_path / "1", 12), checkpoint(tmp_path / str(ranks), 12))


@pytest.mark.parametrize("config", ["grouped", "progressive", "resampled"])
def test_newer_layers_stopped_midway_go_on_with_the_same_bits_on_other_ranks(config, data, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "stopped"
    train(config, whole, "--data", data, "--shards", 8)
    train(config, run, "--data", data, "--shards", 8, "--steps", 3, ranks=5)
    resume(run, "--steps", 7, ranks=2)
    resume(run, "--steps", 12, ranks=3)
    assert_same(checkpoint(whole, 12), checkpoint(run, 12))


def test_attention_gives_the_same_bits_on_any_ranks(data, tmp_path):
    """Without a spectral norm before it, in a list that is searched for one."""
    attention = "discriminator=[{convolution: {channels: 8, kernel: 3}}, self_attention, flatten, {dense: {units: 1}}]"
    for ranks in (1, 2):
        train("dense", tmp_path / str(ranks), "--data", data, "--shards", 2, "--steps", 2, "--set", attention,
              ranks=ranks)
    assert_same(checkpoint(tmp_path / "1", 2), checkpoint(tmp_path / "2", 2))


# Dropout, batch normalisation, Adam for one network and momentum for the other; 8 shards of 20 examples are of unequal
# size.
RING = ["--shards", 8, "-k", 2, "--steps", 12]


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """The ring on one rank."""
    run = tmp_path_factory.mktemp("ring") / "run"
    train("ring", run, *RING)
    return run


@pytest.mark.parametrize("ranks", range(2, 9))
def test_any_ranks_give_the_same_bits(ranks, ring, run):
    train("ring", run, *RING, ranks=ranks)
    assert_same(checkpoint(ring, 12), checkpoint(run, 12))


@pytest.mark.parametrize("ranks", [2, 5, 8])
def test_messages_over_tcp_give_the_same_bits(ranks, ring, run, monkeypatch):
    # Without windows of shared memory the ranks exchange messages, as between nodes.
    for name, value in (("btl", "self,tcp"), ("osc", "^sm")):
        monkeypatch.setenv(f"OMPI_MCA_{name}", value)
    trained = train("ring", run, *RING, ranks=ranks)
    assert any("shared memory" in warning for warning in trained.warnings), trained
    assert_same(checkpoint(ring, 12), checkpoint(run, 12))


def test_residuals_give_the_same_bits_on_any_ranks_and_resumed(data, tmp_path):
    for ranks in (1, 2, 3, 8):
        train("residual", tmp_path / str(ranks), "--data", data, "--shards", 8, ranks=ranks)
    train("residual", tmp_path / "resumed", "--data", data, "--shards", 8, "--steps", 6, ranks=3)
    resume(tmp_path / "resumed", "--steps", 12, ranks=2)
    for other in ("2", "3", "8", "resumed"):
        assert_same(checkpoint(tmp_path / "1", 12), checkpoint(tmp_path / other, 12))
    name = "generator/statistics/2.residual/body/3.batch_normalisation/mean"
    assert arrays(checkpoint(tmp_path / "1", 12))[name].any()


def test_packing_gives_the_same_bits_on_any_ranks(data, tmp_path):
    for ranks in (1, 2, 3, 8):
        train("packing", tmp_path / str(ranks), "--data", data, "--shards", 8, ranks=ranks)
    for ranks in (2, 3, 8):
        assert_same(checkpoint(tmp_path / "1", 12), checkpoint(tmp_path / str(ranks), 12))


def test_unrolling_gives_the_same_bits_on_any_ranks(tmp_path):
    for ranks in (1, 2, 3):
        train("unrolled", tmp_path / str(ranks), "--shards", 4, ranks=ranks)
    for ranks in (2, 3):
        assert_same(checkpoint(tmp_path / "1", 12), checkpoint(tmp_path / str(ranks), 12))
    train("unrolled", tmp_path / "stopped", "--shards", 4, "--steps", 6)
    resume(tmp_path / "stopped", "--steps", 12, ranks=2)
    assert_same(checkpoint(tmp_path / "1", 12), checkpoint(tmp_path / "stopped", 12))


def test_packs_do_not_cross_shards(data, run):
    for arguments, remedy in ((["--shards", 5], "multiple of 10"), (["--set", "training.packing=3"], "multiple of 3")):
        refused = train("packing", run, "--data", data, *arguments, ranks=2, code=78)
        assert len(refused.errors) == 1 and "training.packing" in refused.errors[0] and remedy in refused.err, refused


def test_synchronised_batch_normalisation_gives_the_same_bits_on_any_ranks(data, tmp_path):
    # 20 examples are not divided evenly by 6 shards, nor 6 shards by 4 ranks; two steps of D, so that its passes
    # alternate.
    for ranks in (1, 2, 3, 4):
        train("synchronised", tmp_path / str(ranks), "--data", data, "--shards", 6,
              "--set", "training.discriminator_steps=2", ranks=ranks)
    for ranks in (2, 3, 4):
        assert_same(checkpoint(tmp_path / "1", 12), checkpoint(tmp_path / str(ranks), 12))


def test_synchronised_batch_normalisation_is_that_of_one_batch(data, tmp_path):
    for config in ("synchronised", "convolution"):
        for shards in (1, 4):
            train(config, tmp_path / f"{config}-{shards}", "--data", data, "--shards", shards)
    apart = {config: largest_difference(*(checkpoint(tmp_path / f"{config}-{shards}", 12) for shards in (1, 4)))
             for config in ("synchronised", "convolution")}
    # By shard it is another training: the comparison can fail.
    assert apart["synchronised"] < 1e-4 < 1e-3 < apart["convolution"]


def test_resume_on_other_ranks_gives_the_same_bits(ring, run):
    train("ring", run, *RING[:-1], 2, ranks=8)
    for ranks, steps in ((3, 4), (5, 7), (1, 9), (8, 12)):
        resume(run, "--steps", steps, ranks=ranks)
    assert_same(checkpoint(ring, 12), checkpoint(run, 12))


def test_other_shards_give_other_bits(data, tmp_path):
    """The comparison of bits can fail: another number of shards adds in another order."""
    train("dropout", tmp_path / "8", "--data", data, "--shards", 8)
    train("dropout", tmp_path / "5", "--data", data, "--shards", 5)
    assert gan_dist("checkpoint", "diff", checkpoint(tmp_path / "8", 12), checkpoint(tmp_path / "5", 12)).code == 1


def test_every_sample_of_an_epoch_is_seen_once(data, run, tmp_path):
    train("dense", run, "--data", data, "--steps", 10, "--trace", tmp_path / "trace.h5", "--trace-steps", 10, ranks=3)
    trace = arrays(tmp_path / "trace.h5")
    seen = [trace[f"steps/{step:06d}/discriminator/0/real_index"] for step in range(10)]
    first, second = numpy.concatenate(seen[:5]), numpy.concatenate(seen[5:])
    assert sorted(first) == sorted(second) == list(range(100))
    assert not numpy.array_equal(first, second)
