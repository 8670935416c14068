"""What a run draws of itself: sheets, the animation, TensorBoard's events, walks between latents."""

import h5py
import numpy
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

from conftest import assert_same, checkpoint, gan_dist, metrics, resume, train
from test_train import KEYS


def sheet(run, step):
    return numpy.asarray(Image.open(run / f"samples/step-{step:08d}.png"))


def frames(run):
    with Image.open(run / "samples/fixed-latents.gif") as animation:
        assert animation.info["loop"] == 0
        for number in range(animation.n_frames):
            animation.seek(number)
            yield numpy.asarray(animation.convert("RGB")).astype(int)


@pytest.mark.parametrize("config", ["dense", "dropout", "convolution"])
def test_looking_does_not_change_the_training(config, data, tmp_path):
    for name, every in (("often", 1), ("never", 1000)):
        train(config, tmp_path / name, "--data", data, "--sample-every", every, "--steps", 12)
    assert len(list((tmp_path / "often/samples").glob("*.png"))) == 12
    assert_same(checkpoint(tmp_path / "often", 12), checkpoint(tmp_path / "never", 12))
    assert numpy.array_equal(sheet(tmp_path / "often", 12), sheet(tmp_path / "never", 12))


def test_animation_is_the_sheets(data, run):
    train("dense", run, "--data", data, "--sample-every", 3)
    for number, frame in enumerate(frames(run), 1):
        assert numpy.array_equal(frame[..., 0], sheet(run, 3 * number)) and (frame[..., :1] == frame).all()
    assert number == 4
    resume(run, "--steps", 18)
    assert len(list(frames(run))) == 6


def test_plane_shows_points_modes_and_belief(run):
    train("packing-plane", run, "--sample-every", 6)
    picture = sheet(run, 12)
    assert picture.shape == (320, 320, 3)
    # The modes lie at the same places of every sheet: their circles are darker than what is around them.
    apart = numpy.abs(picture.astype(int) - sheet(run, 6).astype(int))
    assert 0 < apart.max() and len(list(frames(run))) == 2
    low, high = picture.reshape(-1, 3).min(0), picture.reshape(-1, 3).max(0)
    assert low.max() < 120 and high.min() > 180
    # Of 256 colours chosen for it, the animation's last frame is the sheet, nearly.
    apart = numpy.abs(list(frames(run))[-1] - picture)
    assert apart.mean() < 1.5 and numpy.abs((list(frames(run))[-1] - picture.astype(int)).mean((0, 1))).max() < 0.5


def test_line_shows_its_histogram(run):
    finished = gan_dist("train", "--preset", "gaussian1d", "--run", run, "--steps", 20, "--sample-every", 10)
    assert finished.code == 0, finished
    assert sheet(run, 20).shape == (240, 400, 3)


def test_nothing_is_drawn_of_vectors(tmp_path, run):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["samples"] = numpy.random.default_rng(1).normal(size=(100, 64)).astype(numpy.float32)
    train("dense", run, "--data", tmp_path / "data.h5", "--steps", 6, "--set", "generator.4=flatten")
    assert not list((run / "samples").iterdir())


def events(run):
    files = list(run.glob("events.out.tfevents.*"))
    assert len(files) == 1
    # The raw loader stops with an exception at a wrong checksum.
    records = list(RawEventFileLoader(str(files[0])).Load())
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return records, accumulator


def test_tensorboard_reads_the_events(data, run):
    train("dense", run, "--data", data, "--steps", 12)
    records, accumulator = events(run)
    assert len(records) == 1 + 12 + 2
    lines = metrics(run)
    for key in KEYS:
        if key in ("step",):
            continue
        scalars = accumulator.Scalars(key)
        assert [scalar.step for scalar in scalars] == [line["step"] for line in lines]
        assert [scalar.value for scalar in scalars] == pytest.approx([line[key] for line in lines], rel=1e-6), key
    images = accumulator.Images("samples")
    assert [image.step for image in images] == [6, 12]
    picture = sheet(run, 12)
    assert (images[1].height, images[1].width) == picture.shape
    assert images[1].encoded_image_string == (run / "samples/step-00000012.png").read_bytes()


def test_no_step_twice_after_a_resume(data, run):
    # Logged to step 10, but the newest checkpoint is of step 6; and a record that was torn.
    train("dense", run, "--data", data, "--steps", 10)
    (checkpoint(run, 10)).unlink()
    (run / "checkpoints/latest").unlink()
    path = next(run.glob("events.out.tfevents.*"))
    path.write_bytes(path.read_bytes() + b"\x18\0\0\0\0\0\0\0torn")
    resume(run, "--steps", 14)
    _, accumulator = events(run)
    assert [scalar.step for scalar in accumulator.Scalars("loss_generator")] == list(range(1, 15))
    assert [image.step for image in accumulator.Images("samples")] == [6, 12, 14]


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_walks_begin_and_end_at_samples(path, data, run, tmp_path):
    train("dense", run, "--data", data, "--steps", 6)
    assert gan_dist("interpolate", run, "--rows", 3, "--columns", 5, "--path", path, "--seed", 7,
                    "--out", tmp_path / "walk.png").code == 0
    assert gan_dist("sample", run, "--count", 6, "--seed", 7, "--out", tmp_path / "ends.h5").code == 0
    walk = numpy.asarray(Image.open(tmp_path / "walk.png")).astype(int)
    assert walk.shape == (3 * 9 - 1, 5 * 9 - 1)
    with h5py.File(tmp_path / "ends.h5") as file:
        ends = numpy.rint(file["images"][..., 0] * 255).astype(int)
    for row in range(3):
        images = [walk[9 * row:9 * row + 8, 9 * column:9 * column + 8] for column in range(5)]
        # Half a shade may be rounded either way.
        assert numpy.abs(images[0] - ends[2 * row]).max() <= 1 and numpy.abs(images[4] - ends[2 * row + 1]).max() <= 1
        assert all((images[column] != images[column + 1]).any() for column in range(4))
