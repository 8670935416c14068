"""A run stopped at a step and resumed ends with the training state, bit by bit, of one never stopped."""

import shutil

import pytest

from conftest import assert_same, checkpoint, gan_dist, metrics, resume, train

# Steps 12 of batch 20 on 100 images: an epoch ends after step 5 and after step 10.
STOPS = [1, 5, 7]


@pytest.mark.parametrize("config", ["dense", "dropout", "convolution"])
@pytest.mark.parametrize("ranks", [1, 3])
def test_resumed_run_has_the_bits_of_one_never_stopped(config, ranks, data, tmp_path):
    train(config, tmp_path / "whole", "--data", data, ranks=ranks)
    for stop in STOPS:
        run = tmp_path / f"stopped-{stop}"
        train(config, run, "--data", data, "--steps", stop, ranks=ranks)
        resume(run, "--steps", 12, ranks=ranks)
        assert_same(checkpoint(run, 12), checkpoint(tmp_path / "whole", 12))
        assert [line["step"] for line in metrics(run)] == list(range(1, 13))
        for mine, whole in zip(metrics(run), metrics(tmp_path / "whole")):
            assert mine["loss_discriminator"] == whole["loss_discriminator"]
            assert mine["loss_generator"] == whole["loss_generator"]


def test_resume_from_an_older_checkpoint_cuts_the_log(data, tmp_path):
    run = tmp_path / "run"
    train("dense", run, "--data", data)
    shutil.copytree(run, tmp_path / "whole")
    for step in range(7, 13):
        checkpoint(run, step).unlink(missing_ok=True)
    resume(run)
    assert [line["step"] for line in metrics(run)] == list(range(1, 13))
    assert_same(checkpoint(run, 12), checkpoint(tmp_path / "whole", 12))


def test_resume_from_a_named_checkpoint_into_a_new_folder(data, tmp_path):
    train("dense", tmp_path / "whole", "--data", data)
    new = tmp_path / "new"
    finished = gan_dist("train", "--resume", checkpoint(tmp_path / "whole", 6), "--run", new)
    assert finished.code == 0, finished
    assert_same(checkpoint(new, 12), checkpoint(tmp_path / "whole", 12))


def test_a_run_that_stopped_before_its_first_checkpoint_begins_as_itself(data, tmp_path):
    run = tmp_path / "stopped"
    train("dense", run, "--data", data, "--steps", 0)
    assert not list((run / "checkpoints").glob("step-*.h5"))
    resume(run, "--steps", 2)
    train("dense", tmp_path / "whole", "--data", data, "--steps", 2)
    assert_same(checkpoint(run, 2), checkpoint(tmp_path / "whole", 2))


def test_automatic_resume_starts_where_there_is_nothing(data, run):
    train("dense", run, "--data", data, "--resume", "auto", "--steps", 3)
    train("dense", run, "--data", data, "--resume", "auto", "--steps", 4)
    assert [line["step"] for line in metrics(run)] == [1, 2, 3, 4]


def test_finished_run_has_nothing_to_do(data, run):
    train("dense", run, "--data", data)
    before = checkpoint(run, 12).read_bytes()
    resume(run)
    assert checkpoint(run, 12).read_bytes() == before


def test_differing_states_differ(data, tmp_path):
    """The comparison that the others rest on can fail."""
    train("dense", tmp_path / "one", "--data", data)
    train("dense", tmp_path / "two", "--data", data, "--seed", 99)
    assert gan_dist("checkpoint", "diff", checkpoint(tmp_path / "one", 12), checkpoint(tmp_path / "two", 12)).code == 1
    assert gan_dist("checkpoint", "diff", checkpoint(tmp_path / "one", 6), checkpoint(tmp_path / "one", 12)).code == 1


@pytest.mark.parametrize("option, key", [(("--batch", 10), "batch"), (("--seed", 8), "seed"),
                                         (("--set", "optimizer.generator.rate=0.5"), "rate"),
                                         (("--set", "exchange.precision=bfloat16"), "precision"),
                                         (("--discriminator-steps", 3), "discriminator_steps")])
def test_contradicting_option_is_refused_by_name(option, key, data, run):
    train("dense", run, "--data", data, "--steps", 2)
    refused = resume(run, *option, code=78)
    assert len(refused.errors) == 1 and key in refused.err, refused
