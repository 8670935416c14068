"""What other programs make of a checkpoint: ONNX in onnxruntime, safetensors in NumPy and PyTorch."""

import sys

import h5py
import numpy
import onnxruntime
import pytest
import safetensors
import safetensors.numpy

from conftest import ROOT, arrays, checkpoint, gan_dist, train


def exported(run, kind, out, code=0):
    finished = gan_dist("export", run, "--format", kind, "--out", out)
    assert finished.code == code, finished
    return finished


def sampled(run, folder, count=70):
    """Latents and the examples that `sample` makes of them: more than one batch of the program's."""
    finished = gan_dist("sample", run, "--count", count, "--seed", 3, "--latents", "--out", folder / "samples.h5")
    assert finished.code == 0, finished
    with h5py.File(folder / "samples.h5") as file:
        return file["latents"][()], file["images" if "images" in file else "samples"][()]


@pytest.mark.parametrize("config", ["dense", "panels", "convolution", "packing", "ring", "constant", "every-layer",
                                    "grouped", "progressive", "residual", "resampled"])
def test_onnxruntime_makes_the_same_examples(config, data, run, tmp_path):
    train(config, run, *([] if config in ("ring", "constant", "panels") else ["--data", data]), "--steps", 6)
    exported(run, "onnx", tmp_path / "generator.onnx")
    latents, expected = sampled(run, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx")
    assert [value.name for value in session.get_inputs()] == ["latents"]
    assert session.get_inputs()[0].shape == ["batch", latents.shape[1]]
    examples = session.run(None, {"latents": latents})[0]
    assert examples.shape == expected.shape and expected.std() > 1e-3
    assert numpy.abs(examples - expected).max() < 1e-5
    # One by one it is the same, so nothing of the batch is in the model.
    assert numpy.abs(session.run(None, {"latents": latents[5:6]})[0] - expected[5:6]).max() < 1e-5


def train_preset(preset, run, steps):
    """A few steps of two examples of random pixels at full width."""
    size, channels = (28, 1) if preset.endswith("28") else (28, 3) if preset == "stacked-fashion" else (32, 3)
    data = run.parent / "preset.h5"
    with h5py.File(data, "w") as file:
        file["images"] = numpy.random.default_rng(1).integers(0, 256, (40, size, size, channels), dtype="u1")
        file["labels"] = numpy.arange(40) % 10
    finished = gan_dist("train", "--preset", preset, "--data", data, "--run", run, "--batch", 2, "--steps", steps,
                        "--quiet")
    assert finished.code == 0, finished


@pytest.mark.parametrize("preset", ["dcgan-32-colour", "r3gan-28", "r3gan-cifar10", "sngan-32", "sngan-resnet-32",
                                    "sagan-32", "conditional-28", "stacked-fashion"])
def test_onnxruntime_runs_the_generators_of_presets(preset, run, tmp_path):
    train_preset(preset, run, 1)
    exported(run, "onnx", tmp_path / "generator.onnx")
    made = gan_dist("sample", run, "--count", 4, "--latents", "--out", tmp_path / "samples.h5")
    assert made.code == 0, made
    samples = arrays(tmp_path / "samples.h5")
    inputs = {"latents": samples["latents"]}
    if preset.startswith("conditional"):
        inputs["label"] = samples["labels"]
    examples = onnxruntime.InferenceSession(tmp_path / "generator.onnx").run(None, inputs)[0]
    assert examples.shape == samples["images"].shape and examples.std() > 1e-3
    # Where the output is linear what is beyond black and white is cut, so that the file is a dataset.
    error = numpy.abs(numpy.clip(examples, -1, 1) - samples["images"]).max()
    assert error < 1e-5 * max(1, numpy.abs(examples).max())
    assert gan_dist("data", "info", tmp_path / "samples.h5").code == 0


def test_onnx_refuses_what_it_has_no_form_of(data, run, tmp_path):
    train("every-layer", run, "--data", data, "--steps", 1, "--set", "generator.10.mean_pool.edge=partial")
    refused = exported(run, "onnx", tmp_path / "generator.onnx", code=78)
    assert "layer 10" in refused.errors[0] and not (tmp_path / "generator.onnx").exists()
    exported(run, "safetensors", tmp_path / "all.safetensors")
    exported(run, "safetensors", tmp_path / "all.safetensors", code=73)


def test_safetensors_are_the_checkpoint(data, run, tmp_path):
    train("convolution", run, "--data", data, "--steps", 3)
    exported(run, "safetensors", tmp_path / "all.safetensors")
    stored = {name: values for name, values in arrays(checkpoint(run, 3)).items() if not name.startswith("optimizer/")}
    found = safetensors.numpy.load_file(tmp_path / "all.safetensors")
    assert found.keys() == stored.keys()
    assert all(numpy.array_equal(found[name], stored[name]) and found[name].dtype == numpy.float32 for name in stored)
    with safetensors.safe_open(tmp_path / "all.safetensors", "np") as file, h5py.File(checkpoint(run, 3)) as original:
        for name in stored:
            if "statistics" not in name:
                assert file.metadata()[name] == original[name].attrs["layout"], name


def test_numpy_runs_the_generator(data, run, tmp_path):
    train("dense", run, "--data", data, "--steps", 3)
    exported(run, "safetensors", tmp_path / "all.safetensors")
    found = safetensors.numpy.load_file(tmp_path / "all.safetensors")
    latents, expected = sampled(run, tmp_path)
    hidden = numpy.maximum(latents @ found["generator/0.dense/weight"] + found["generator/0.dense/bias"], 0)
    images = 1 / (1 + numpy.exp(-(hidden @ found["generator/2.dense/weight"] + found["generator/2.dense/bias"])))
    assert numpy.abs(images.reshape(expected.shape) - expected).max() < 1e-5


def test_pytorch_loads_the_generator(data, run, tmp_path):
    torch = pytest.importorskip("torch", reason="no PyTorch (.venv/bin/pip install torch)")
    sys.path.insert(0, str(ROOT / "Tests/reference"))
    from load_into_pytorch import state

    train("convolution", run, "--data", data, "--steps", 3)
    exported(run, "safetensors", tmp_path / "all.safetensors")
    nn = torch.nn
    generator = nn.Sequential(
        nn.Unflatten(1, (5, 1, 1)), nn.ConvTranspose2d(5, 8, 2, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(8, 6, 4, 2, 1, bias=False), nn.BatchNorm2d(6), nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Sigmoid()).eval()
    missing, unexpected = generator.load_state_dict(state(tmp_path / "all.safetensors", "generator"), strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    latents, expected = sampled(run, tmp_path)
    with torch.no_grad():
        images = generator(torch.tensor(latents)).permute(0, 2, 3, 1).numpy()
    assert numpy.abs(images - expected).max() < 1e-5


def residual_of(torch):
    """The module of `residual`, as load_into_pytorch.py describes it."""
    class Residual(torch.nn.Module):
        def __init__(self, body, skip=()):
            super().__init__()
            self.body, self.skip = torch.nn.Sequential(*body), torch.nn.Sequential(*skip)

        def forward(self, x):
            return self.body(x) + self.skip(x)

    return Residual


def test_pytorch_loads_residuals(data, run, tmp_path):
    torch = pytest.importorskip("torch", reason="no PyTorch (.venv/bin/pip install torch)")
    sys.path.insert(0, str(ROOT / "Tests/reference"))
    from load_into_pytorch import state

    nn, Residual = torch.nn, residual_of(torch)
    train("residual", run, "--data", data, "--steps", 3, "--set", "generator.1.reshape.shape=[1, 1, 64]",
          "--set", "generator.2.residual.body.2.transposed_convolution.kernel=2",
          "--set", "generator.5={transposed_convolution: {channels: 1, kernel: 4, stride: 4}}")
    exported(run, "safetensors", tmp_path / "all.safetensors")
    with safetensors.safe_open(tmp_path / "all.safetensors", "np") as file:
        assert file.metadata()["generator/2.residual/body/5.residual/body/0.convolution/weight"] == "HWIO"
    generator = nn.Sequential(
        nn.Linear(5, 64), nn.Unflatten(1, (64, 1, 1)),
        Residual([nn.BatchNorm2d(64), nn.ReLU(), nn.ConvTranspose2d(64, 6, 2, 2, bias=False), nn.BatchNorm2d(6),
                  nn.LeakyReLU(0.1), Residual([nn.Conv2d(6, 6, 3, padding=1), nn.Tanh()])],
                 [nn.ConvTranspose2d(64, 6, 2, 2, bias=False)]),
        nn.BatchNorm2d(6), nn.ReLU(), nn.ConvTranspose2d(6, 1, 4, 4), nn.Sigmoid()).eval()
    missing, unexpected = generator.load_state_dict(state(tmp_path / "all.safetensors", "generator"), strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    latents, expected = sampled(run, tmp_path)
    with torch.no_grad():
        images = generator(torch.tensor(latents)).permute(0, 2, 3, 1).numpy()
    assert numpy.abs(images - expected).max() < 1e-5


def test_pytorch_loads_r3gan(run, tmp_path):
    """The parameters of the preset r3gan-28, in modules written from the paper's description."""
    torch = pytest.importorskip("torch", reason="no PyTorch (.venv/bin/pip install torch)")
    sys.path.insert(0, str(ROOT / "Tests/reference"))
    from load_into_pytorch import state

    nn, Residual = torch.nn, residual_of(torch)

    class Basis(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.basis = nn.Parameter(torch.empty(64, 64)), nn.Parameter(torch.empty(64, 7, 7))

        def forward(self, z):
            return self.basis * nn.functional.linear(z, self.weight)[:, :, None, None]

    class Upsample(nn.Module):
        def forward(self, x):
            row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
            kernel = torch.outer(row, row).expand(x.shape[1], 1, 4, 4)
            return nn.functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])

    def block(channels):
        return Residual([nn.Conv2d(channels, 2 * channels, 1), nn.LeakyReLU(0.2),
                         nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=channels // 8), nn.LeakyReLU(0.2),
                         nn.Conv2d(2 * channels, channels, 1, bias=False)])

    layers = [Basis(), block(64), block(64)]
    for before, after in ((64, 32), (32, 16)):
        layers += [nn.Conv2d(before, after, 1, bias=False), Upsample(), block(after), block(after)]
    generator = nn.Sequential(*layers, nn.Conv2d(16, 1, 1, bias=False))
    train_preset("r3gan-28", run, 3)
    exported(run, "safetensors", tmp_path / "all.safetensors")
    generator.load_state_dict(state(tmp_path / "all.safetensors", "generator"))
    # Both are of the average.
    made = gan_dist("sample", run, "--count", 20, "--latents", "--out", tmp_path / "samples.h5")
    assert made.code == 0, made
    samples = arrays(tmp_path / "samples.h5")
    with torch.no_grad():
        images = generator(torch.tensor(samples["latents"])).permute(0, 2, 3, 1).numpy()
    assert images.std() > 0.1
    assert numpy.abs(numpy.clip(images, -1, 1) - samples["images"]).max() < 1e-5 * numpy.abs(images).max()


def test_a_run_starts_from_safetensors(data, tmp_path):
    train("dense", tmp_path / "first", "--data", data, "--steps", 3)
    exported(tmp_path / "first", "safetensors", tmp_path / "all.safetensors")
    found = safetensors.numpy.load_file(tmp_path / "all.safetensors")
    # The generator alone, as PyTorch's users would save it; the discriminator starts afresh.
    safetensors.numpy.save_file({name: values for name, values in found.items() if name.startswith("generator/")},
                                tmp_path / "half.safetensors")
    for file in ("all", "half"):
        started = train("dense", tmp_path / file, "--data", data, "--steps", 1,
                        "--initial", tmp_path / f"{file}.safetensors",
                        "--trace", tmp_path / f"{file}.h5", ranks=2)
        assert "start as in" in started.out
        trace = arrays(tmp_path / f"{file}.h5")
        for name, values in found.items():
            same = numpy.array_equal(trace["initial/" + name], values)
            assert same if file == "all" or name.startswith("generator/") else not same or "bias" in name, name


def test_bad_safetensors_are_refused(data, tmp_path):
    train("dense", tmp_path / "first", "--data", data, "--steps", 1)
    exported(tmp_path / "first", "safetensors", tmp_path / "all.safetensors")
    whole = (tmp_path / "all.safetensors").read_bytes()
    found = safetensors.numpy.load_file(tmp_path / "all.safetensors")
    bad = {"cut": whole[:-4], "short": whole[:5], "header": b"\xff" * 8 + whole[8:],
           "text": b"no safetensors here at all"}
    for name, content in bad.items():
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    safetensors.numpy.save_file({"generator/9.dense/weight": numpy.zeros((2, 2), numpy.float32)},
                                tmp_path / "name.safetensors")
    safetensors.numpy.save_file({"generator/0.dense/weight": found["generator/0.dense/weight"].T.copy()},
                                tmp_path / "shape.safetensors")
    safetensors.numpy.save_file({"generator/0.dense/weight": found["generator/0.dense/weight"].astype(numpy.float64)},
                                tmp_path / "type.safetensors")
    words = {"name": "generator/9.dense/weight", "shape": "[16, 5]", "type": "F64"}
    for name in [*bad, *words]:
        refused = train("dense", tmp_path / name, "--data", data, "--initial", tmp_path / f"{name}.safetensors",
                        ranks=2, code=65)
        assert len(refused.errors) == 1 and name + ".safetensors" in refused.errors[0], refused
        assert words.get(name, "") in refused.errors[0], refused
    train("dense", tmp_path / "missing", "--data", data, "--initial", tmp_path / "none.safetensors", code=66)
