"""Datasets in large compressed chunks: read chunk by chunk where they do not fit the memory that a run may use, with
every example once an epoch and in an order that hangs on the seed alone."""

import h5py
import numpy
import pytest
import yaml

from conftest import arrays, assert_same, checkpoint, gan_dist, resume, train

COUNT, CHUNK = 1_030, 100


@pytest.fixture(scope="module")
def chunked(tmp_path_factory):
    """1,030 images of 8 × 8, 100 in a compressed chunk of 25.6 KB as floats; the last chunk is not full."""
    path = tmp_path_factory.mktemp("chunks") / "chunked.h5"
    images = numpy.random.default_rng(1).random((COUNT, 8, 8, 1), numpy.float32)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(CHUNK, 8, 8, 1),
                            compression="gzip").attrs["range"] = [0.0, 1.0]
        file["labels"] = numpy.arange(COUNT) % 3
    return path, images


# Two windows of three chunks fit 160,000 bytes; all of it is 263,680. The chunks are small, so the block is named.
BLOCKS = ["--set", "data.memory_limit=160 kB", "--set", f"data.shuffle.block={CHUNK}"]


def traced(path):
    """The examples of each minibatch, and what the discriminator saw."""
    trace = arrays(path)
    steps = sorted(name.split("/")[1] for name in trace if name.endswith("discriminator/0/real_index"))
    return ([trace[f"steps/{step}/discriminator/0/real_index"] for step in steps],
            [trace[f"steps/{step}/discriminator/0/real"] for step in steps])


def settled(path):
    with h5py.File(path) as file:
        return yaml.safe_load(file.attrs["config"])["data"]


def test_each_epoch_has_every_example_once_on_any_ranks_and_over_a_resume(chunked, tmp_path):
    path, images = chunked
    arguments = ["--data", path, "--shards", 3, "--batch", 103, *BLOCKS, "--trace-steps", 22]
    seen = []
    for ranks in (1, 2, 3):
        train("dense", tmp_path / str(ranks), *arguments, "--steps", 22, "--trace", tmp_path / f"{ranks}.h5",
              ranks=ranks)
        seen.append(traced(tmp_path / f"{ranks}.h5"))
    indices, real = seen[0]
    for other, _ in seen[1:]:
        assert all(numpy.array_equal(mine, theirs) for mine, theirs in zip(indices, other, strict=True))
    first, second = numpy.concatenate(indices[:10]), numpy.concatenate(indices[10:20])
    assert sorted(first) == sorted(second) == list(range(COUNT)) and not numpy.array_equal(first, second)
    # Whole chunks lie together, three in a window, and within it they are mixed.
    has_last = COUNT // CHUNK in first[:3 * CHUNK] // CHUNK
    window = first[:2 * CHUNK + COUNT % CHUNK] if has_last else first[:3 * CHUNK]
    assert len(set(window // CHUNK)) == 3 and len(set(window[:CHUNK] // CHUNK)) == 3
    for index, values in zip(indices, real, strict=True):
        assert numpy.array_equal(values.reshape(-1, 8, 8, 1), images[index])
    assert settled(checkpoint(tmp_path / "1", 22))["shuffle"] == {"block": CHUNK, "window": 3}
    # Stopped in the middle of a window and gone on with on other ranks, with all in memory: the same bits.
    train("dense", tmp_path / "r", *arguments[:-2], "--steps", 7, ranks=2)
    resume(tmp_path / "r", "--steps", 22, "--set", "data.memory_limit=1GB", ranks=3)
    for run in ("2", "3", "r"):
        assert_same(checkpoint(tmp_path / "1", 22), checkpoint(tmp_path / run, 22))


def test_the_order_is_settled_by_the_file_at_the_start_and_then_fixed(tmp_path):
    images = numpy.random.default_rng(2).integers(0, 256, (120, 64, 64, 1), numpy.uint8)
    layouts = {"large": dict(chunks=(100, 64, 64, 1), compression="gzip"),
               # As h5py cuts by itself: an example lies in many chunks, each with rows of many examples.
               "pieces": dict(chunks=(70, 32, 16, 1), compression="gzip"),
               "small": dict(chunks=(60, 64, 64, 1), compression="gzip"),
               "single": dict(chunks=(1, 64, 64, 1), compression="gzip"), "plain": dict(chunks=(120, 64, 64, 1))}
    network = ["--set", "generator.2.dense.units=4096", "--set", "generator.4.reshape.shape=[64, 64, 1]", "--batch", 8]
    for name, layout in layouts.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("images", data=images, **layout)
        train("dense", tmp_path / name, "--data", tmp_path / f"{name}.h5", *network, "--steps", 1,
              "--set", "data.memory_limit=400 KiB")
    blocks = {name: settled(checkpoint(tmp_path / name, 1))["shuffle"] for name in layouts}
    each = {"block": 1, "window": 1}
    assert blocks == {"large": {"block": 100, "window": 1}, "pieces": {"block": 70, "window": 1},
                      "small": each, "single": each, "plain": each}
    refused = gan_dist("train", "--run", tmp_path / "large", "--resume", "auto", "--steps", 2,
                       "--set", "data.shuffle.block=50")
    assert refused.code == 78 and "data.shuffle.block" in refused.err and "contradicts" in refused.err, refused


def test_a_layout_that_is_slow_is_said_to_be_with_what_to_do(tmp_path):
    images = numpy.full((90, 128, 128, 1), 200, numpy.uint8)
    images[:, ::2] = 0
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(90, 128, 128, 1), compression="gzip")
    network = ["--set", "generator.2.dense.units=16384", "--set", "generator.4.reshape.shape=[128, 128, 1]",
               "--batch", 8]
    slow = train("dense", tmp_path / "run", "--data", tmp_path / "a.h5", *network, "--steps", 1,
                 "--set", "data.memory_limit=1MB")
    assert len(slow.warnings) == 1, slow
    assert "data concat" in slow.warnings[0] and "data.memory_limit" in slow.warnings[0], slow
    row = gan_dist("bench", "data", tmp_path / "a.h5", "--batch", 8, "--minibatches", 3, "--memory-limit", "1.4MiB")
    assert row.code == 0 and "blocks" not in row.out and "file" in row.out, row
    assert "memory" in gan_dist("bench", "data", tmp_path / "a.h5", "--batch", 8, "--minibatches", 3,
                                "--memory-limit", "2MB").out
    assert gan_dist("bench", "data", tmp_path / "a.h5", "--memory-limit", "lots").code == 64


def test_bad_values_in_a_later_chunk_are_named(chunked, tmp_path):
    path, images = chunked
    images = images.copy()
    images[777, 3, 3] = numpy.nan
    with h5py.File(tmp_path / "nan.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(CHUNK, 8, 8, 1),
                            compression="gzip").attrs["range"] = [0.0, 1.0]
    finished = train("dense", tmp_path / "run", "--data", tmp_path / "nan.h5", "--batch", 103, *BLOCKS, "--steps", 22,
                     ranks=2, code=65)
    assert len(finished.errors) == 1 and "nan.h5" in finished.errors[0] and "777" in finished.errors[0], finished
