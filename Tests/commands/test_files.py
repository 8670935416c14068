"""The files that other programs read and write: checkpoints, datasets, traces."""

import gzip
import hashlib
import struct

import h5py
import numpy
import pytest

from conftest import arrays, checkpoint, gan_dist, train
from pictures import pictures


def test_h5py_reads_a_checkpoint(data, run):
    train("convolution", run, "--data", data, "--steps", 3, ranks=2)
    path = checkpoint(run, 3)
    with h5py.File(path) as file:
        assert file.attrs["format"] in ("gan-dist-checkpoint", b"gan-dist-checkpoint")
        assert int(file.attrs["format_version"]) == 1
        assert int(file.attrs["step"]) == 3 and int(file.attrs["samples_seen"]) == 60 and int(file.attrs["ranks"]) == 2
        for name in ("epoch", "seed", "shards", "config", "program_version", "blas", "created"):
            assert name in file.attrs, name
        weight = next(file[name + "/weight"] for name in ("generator/" + layer for layer in file["generator"])
                      if name.startswith("generator/1."))
        assert weight.dtype == numpy.float32 and weight.shape == (2, 2, 8, 5)
        assert weight.attrs["layout"] in ("HWOI", b"HWOI")
    stored = arrays(path)
    assert all(values.dtype == numpy.float32 and numpy.isfinite(values).all() for values in stored.values())
    parameters = [name for name in stored if name.startswith("generator/") and "statistics" not in name]
    for name in parameters:
        moments = [other for other in stored if other.startswith("optimizer/generator/")
                   and other.endswith(name.removeprefix("generator/"))]
        assert len(moments) == 2, (name, moments)
    assert any("statistics" in name for name in stored)


def test_checkpoint_carries_its_checksum(data, run):
    train("dense", run, "--data", data, "--steps", 2)
    content = checkpoint(run, 2).read_bytes()
    assert hashlib.sha256(content[:-64]).digest() in content[-64:]
    assert struct.pack("<Q", len(content) - 64) in content[-64:]


def test_info_and_verify(data, run):
    train("dense", run, "--data", data, "--steps", 2)
    for command in (("checkpoint", "info"), ("checkpoint", "verify")):
        assert gan_dist(*command, checkpoint(run, 2)).code == 0
    for command in (("data", "info"), ("data", "verify")):
        finished = gan_dist(*command, data)
        assert finished.code == 0, finished


@pytest.mark.parametrize("kind", ["uint8", "float", "nchw", "other-path", "compressed"])
def test_dataset_written_by_h5py(kind, tmp_path, data, run):
    """However the same pictures are stored, training sees the same values."""
    images, path, extra = pictures(), tmp_path / "data.h5", []
    with h5py.File(path, "w") as file:
        if kind == "uint8":
            file["images"] = images
        elif kind == "float":
            file["images"] = images.astype(numpy.float32) / 255
            file["images"].attrs["range"] = [0.0, 1.0]
        elif kind == "nchw":
            file["images"] = images.transpose(0, 3, 1, 2)
            file["images"].attrs["layout"] = "NCHW"
        elif kind == "other-path":
            file["train/pictures"] = images
            extra = ["--set", "data.dataset=train/pictures"]
        else:
            file.create_dataset("images", data=images, chunks=(16, 8, 8, 1), compression="gzip", shuffle=True)
    trace = tmp_path / "trace.h5"
    train("dense", run, "--data", path, "--steps", 1, "--trace", trace, "--trace-steps", 1, *extra)
    step = arrays(trace)
    expected = images[step["steps/000000/discriminator/0/real_index"]].astype(numpy.float32) / 255
    assert numpy.allclose(step["steps/000000/discriminator/0/real"].reshape(expected.shape), expected, atol=1e-6)


@pytest.mark.parametrize("zipped", [False, True])
def test_import_of_idx(zipped, tmp_path):
    images, labels = pictures(10)[..., 0], numpy.arange(10, dtype=numpy.uint8)
    write, end = (gzip.open, ".gz") if zipped else (open, "")
    with write(tmp_path / f"images{end}", "wb") as file:
        file.write(struct.pack(">IIII", 0x803, *images.shape) + images.tobytes())
    with write(tmp_path / f"labels{end}", "wb") as file:
        file.write(struct.pack(">II", 0x801, 10) + labels.tobytes())
    finished = gan_dist("data", "import", "idx", "--images", tmp_path / f"images{end}",
                        "--labels", tmp_path / f"labels{end}",
                        "--out", tmp_path / "out.h5")
    assert finished.code == 0, finished
    with h5py.File(tmp_path / "out.h5") as file:
        assert numpy.array_equal(file["images"][()], images[..., None])
        assert numpy.array_equal(file["labels"][()], labels)


def test_import_of_fashion_mnist(tmp_path):
    finished = gan_dist("data", "import", "fashion-mnist", "--out", tmp_path / "out.h5", limit=120)
    assert finished.code == 0, finished
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["images"].shape[1:] == (28, 28, 1) and len(file["images"]) == len(file["labels"]) >= 60000
        assert 72 < file["images"][:1000].mean() < 74  # the mean pixel of Fashion-MNIST is 72.9


@pytest.mark.parametrize("kind, modes", [("ring", 8), ("grid", 25)])
def test_synthetic_mixture(kind, modes, tmp_path):
    for name in ("a.h5", "b.h5"):
        finished = gan_dist("data", "synthetic", kind, "--count", 1000, "--seed", 4, "--out", tmp_path / name)
        assert finished.code == 0, finished
    points, again = arrays(tmp_path / "a.h5")["samples"], arrays(tmp_path / "b.h5")["samples"]
    assert points.shape == (1000, 2) and numpy.array_equal(points, again)
    if kind == "ring":
        means = numpy.array([(numpy.cos(a), numpy.sin(a)) for a in numpy.arange(8) * numpy.pi / 4])
    else:
        means = numpy.array([(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)])
    distances = numpy.linalg.norm(points[:, None] - means, axis=-1)
    deviation = {"ring": 0.01, "grid": 0.05}[kind]
    assert set(distances.argmin(1)) == set(range(modes))
    # 98.889 % of a plane normal lie within three deviations; 1,000 points give ±0.33 points.
    assert (distances.min(1) < 3 * deviation).mean() == pytest.approx(0.98889, abs=0.0133)


def test_swiss_roll(tmp_path):
    """Against NumPy's draws by the formula of scikit-learn's make_swiss_roll (noise 0.25, coordinates 0 and 2), divided
    by 7.5 as in gan_toy.py: the quantiles of the radius agree."""
    made = gan_dist("data", "synthetic", "swissRoll", "--count", 20000, "--seed", 4, "--out", tmp_path / "a.h5")
    assert made.code == 0, made
    with h5py.File(tmp_path / "a.h5") as file:
        assert "labels" not in file and "modes" not in file.attrs
        points = file["samples"][()]
    random = numpy.random.default_rng(1)
    t = 1.5 * numpy.pi * (1 + 2 * random.random(20000))
    theirs = (numpy.stack([t * numpy.cos(t), t * numpy.sin(t)], -1) + 0.25 * random.normal(size=(20000, 2))) / 7.5
    shares = numpy.linspace(0.02, 0.98, 25)
    radii = [numpy.quantile(numpy.hypot(*rows.T), shares) for rows in (points, theirs)]
    # 20,000 points give each quantile of a radius uniform on a width of 1.26 to 1.26 · 0.5 / √20,000 = 0.0045.
    assert numpy.abs(radii[0] - radii[1]).max() < 5 * 2**0.5 * 0.0045
    assert numpy.abs(points.mean(0) - theirs.mean(0)).max() < 0.05


def test_a_run_on_points_without_modes(run):
    finished = gan_dist("train", "--preset", "wgan-clip", "--set", "data={synthetic: swissRoll, count: 500}",
                        "--run", run, "--steps", 2, "--sample-every", 1)
    assert finished.code == 0, finished
    assert (run / "samples/step-00000002.png").exists()
    measured = gan_dist("evaluate", run, "--metrics", "swd", "--count", 500)
    assert measured.code == 0, measured
    refused = gan_dist("evaluate", run, "--metrics", "modes")
    assert refused.code == 78 and "the built-in swissRoll are not known" in refused.err, refused
    classes = gan_dist("train", "--preset", "wgan-clip", "--run", run.parent / "classes", "--set",
                       "data={synthetic: swissRoll, count: 500}", "--set", "condition={}", "--set",
                       "generator=[embedding: {size: 2}, dense: {units: 2}]", "--set",
                       "discriminator=[dense: {units: 2}, projection]", "--dry-run")
    assert classes.code == 78 and "has no modes that could be its classes" in classes.err, classes


@pytest.mark.parametrize("config, ranks", [("dropout", 1), ("dropout", 3), ("convolution", 2)])
def test_trace_holds_what_another_program_needs(config, ranks, data, run, tmp_path):
    train(config, run, "--data", data, "--steps", 3, "--trace", tmp_path / "trace.h5", "--trace-steps", 2, ranks=ranks)
    trace = arrays(tmp_path / "trace.h5")
    with h5py.File(tmp_path / "trace.h5") as file:
        assert "config" in file.attrs
        assert sorted(file["steps"]) == ["000000", "000001"]
    inner = 2 if config == "dropout" else 1
    for step in ("steps/000000/", "steps/000001/"):
        for i in range(inner):
            part = f"{step}discriminator/{i}/"
            assert trace[part + "real"].size == 20 * 64 and trace[part + "noise"].shape == (20, 5)
            assert trace[part + "real_index"].shape == (20,)
            assert trace[part + "loss_real"].size == trace[part + "loss_fake"].size == 1
            if config == "dropout":
                for mask in ("real", "fake"):
                    kept = [values for name, values in trace.items() if name.startswith(part + "dropout/")
                            and name.endswith(mask)]
                    assert sorted(values.size for values in kept) == [20 * 12, 20 * 64]
                    assert all(set(numpy.unique(values)) <= {0, 1} for values in kept)
        assert trace[step + "generator/noise"].shape == (20, 5) and trace[step + "generator/loss"].size == 1
    for network in ("generator", "discriminator"):
        names = [name.removeprefix(f"initial/{network}/") for name in trace if name.startswith(f"initial/{network}/")]
        names = [name for name in names if "statistics" not in name]
        assert names
        for name in names:
            initial, after = trace[f"initial/{network}/{name}"], trace[f"steps/000000/after/{network}/{name}"]
            assert initial.shape == after.shape and not numpy.array_equal(initial, after)
