"""Classes and vectors beside the examples: the same bits on any ranks and over resumes, samples of a class, ONNX with
a second input, how often the classifier agrees, and what is refused. PyTorch repeats such runs in test_reference.py."""

import json

import h5py
import numpy
import onnxruntime
import pytest

from conftest import CONFIGS, arrays, assert_same, checkpoint, gan_dist, metrics, resume, train
from pictures import pictures
from test_bad_input import refused

CONDITIONAL = ["conditional", "conditional-plane", "conditional-vectors", "conditional-residual",
               "conditional-synchronised"]


def source(config, data):
    return [] if config == "conditional-plane" else ["--data", data]


@pytest.fixture(scope="module")
def wholes(data, tmp_path_factory):
    """Of each configuration a run of eight shards on one rank."""
    runs = {}
    for config in CONDITIONAL:
        runs[config] = tmp_path_factory.mktemp("conditions") / config
        train(config, runs[config], *source(config, data), "--shards", 8)
    return runs


def dataset(path, labels, numbers=None):
    with h5py.File(path, "w") as file:
        file["images"] = pictures(len(labels))
        file["labels"] = labels
        if numbers is not None:
            file["numbers"] = numbers
    return path


@pytest.mark.parametrize("config", CONDITIONAL)
def test_any_ranks_give_the_same_bits(config, wholes, data, tmp_path):
    for ranks in (2, 3, 5, 8):
        train(config, tmp_path / str(ranks), *source(config, data), "--shards", 8, ranks=ranks)
        assert_same(checkpoint(wholes[config], 12), checkpoint(tmp_path / str(ranks), 12))


@pytest.mark.parametrize("config", CONDITIONAL)
def test_resume_on_other_ranks_gives_the_same_bits(config, wholes, data, run):
    train(config, run, *source(config, data), "--shards", 8, "--steps", 5, ranks=2)
    resume(run, "--steps", 12, ranks=3)
    assert_same(checkpoint(wholes[config], 12), checkpoint(run, 12))


def test_examples_read_in_windows_have_their_labels(data, tmp_path):
    """Blocks of a file that is not in memory: labels stay beside their images, as the trace shows."""
    with h5py.File(data) as file, h5py.File(tmp_path / "blocks.h5", "w") as blocks:
        blocks["images"], blocks["labels"] = file["images"][()], file["labels"][()]
    trace = tmp_path / "trace.h5"
    train("conditional", tmp_path / "run", "--data", tmp_path / "blocks.h5", "--set", "data.memory_limit=2 kB", "--set",
          "data.shuffle={block: 4, window: 3}", "--shards", 2, "--trace", trace, "--trace-steps", 12, ranks=2)
    seen = arrays(trace)
    for name, labels in seen.items():
        if name.endswith("real_label"):
            assert numpy.array_equal(labels, seen[name.replace("real_label", "real_index")] % 3), name
            assert labels.dtype == numpy.int64
            # A relativistic pair is of one class.
            assert numpy.array_equal(labels, seen[name.replace("real_label", "label")]), name


def test_labels_of_generated_examples_are_drawn_as_often_as_those_of_the_data(tmp_path):
    labels = numpy.repeat([0, 3, 7], [60, 30, 10])
    data = dataset(tmp_path / "gaps.h5", labels)
    trained = train("conditional", tmp_path / "run", "--data", data, "--steps", 1)
    assert "condition: 3 classes, labels 0, 3, 7, of 10 … 60 examples each" in trained.out
    for options, expected in [([], [0.6, 0.3, 0.1]), (["--set", "condition.draws=uniform"], [1 / 3] * 3)]:
        run = tmp_path / f"run{len(options)}"
        train("conditional", run, "--data", data, "--steps", 1, *options)
        sampled = gan_dist("sample", run, "--count", 3000, "--out", run / "samples.h5")
        assert sampled.code == 0, sampled
        with h5py.File(run / "samples.h5") as file:
            drawn = file["labels"][()]
        shares = [(drawn == label).mean() for label in (0, 3, 7)]
        assert numpy.abs(numpy.subtract(shares, expected)).max() < 0.05 and sum(shares) == pytest.approx(1)


def test_samples_of_a_class_need_no_dataset(data, tmp_path):
    copy = dataset(tmp_path / "copy.h5", numpy.arange(100) % 3)
    run = tmp_path / "run"
    train("conditional", run, "--data", copy, "--steps", 3)
    copy.unlink()
    for label in (0, 2):
        made = gan_dist("sample", run, "--count", 8, "--class", label, "--out", tmp_path / f"{label}.h5")
        assert made.code == 0, made
    first, second = arrays(tmp_path / "0.h5"), arrays(tmp_path / "2.h5")
    assert (first["labels"] == 0).all() and (second["labels"] == 2).all()
    assert numpy.abs(first["images"] - second["images"]).max() > 1e-4
    # Drawn ones: those of label 2 are what the same latents give when 2 is asked for.
    assert gan_dist("sample", run, "--count", 8, "--out", tmp_path / "drawn.h5").code == 0
    drawn = arrays(tmp_path / "drawn.h5")
    rows = drawn["labels"] == 2
    assert rows.any() and numpy.array_equal(drawn["images"][rows], second["images"][rows])
    for name in ("grid.png", "walks.png"):
        command = ["sample", run, "--count", 12] if name == "grid.png" else ["interpolate", run, "--class", 1]
        assert gan_dist(*command, "--out", tmp_path / name).code == 0
    # Three rows of four pictures of 8 × 8, a pixel between.
    assert png_size(tmp_path / "grid.png") == (4 * 9 - 1, 3 * 9 - 1)
    assert png_size(run / "samples/step-00000003.png") == (21 * 9 - 1, 3 * 9 - 1)
    for option, words in ((["--class", 5], ["class '5'", "0, 1, 2"]), (["--condition", "1,2"], ["is a class"])):
        refused(gan_dist("sample", run, "--count", 1, *option, "--out", tmp_path / "no.png"), 64, *words)


def png_size(path):
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


@pytest.mark.parametrize("names", ["ants\nbees", ["ants", "bees"], numpy.array([b"ants", b"bees"])],
                         ids=["lines", "list", "fixed"])
def test_classes_have_names(names, tmp_path):
    data = dataset(tmp_path / "named.h5", numpy.arange(20) % 2)
    with h5py.File(data, "r+") as file:
        file.attrs["label_names"] = names
    train("conditional", tmp_path / "run", "--data", data, "--steps", 1)
    for name, asked in (("name", "bees"), ("label", 1)):
        made = gan_dist("sample", tmp_path / "run", "--count", 3, "--class", asked, "--out", tmp_path / f"{name}.h5")
        assert made.code == 0, made
    name, label = arrays(tmp_path / "name.h5"), arrays(tmp_path / "label.h5")
    assert all(numpy.array_equal(name[key], label[key]) for key in name)
    refused(gan_dist("sample", tmp_path / "run", "--count", 1, "--class", "beess", "--out", tmp_path / "no.png"), 64,
            "Did you mean 'bees'?")


def test_vectors_are_drawn_and_asked_for(wholes, tmp_path):
    run = wholes["conditional-vectors"]
    for name, options in (("drawn", []), ("asked", ["--condition", "0.5,-1"])):
        made = gan_dist("sample", run, "--count", 9, *options, "--out", tmp_path / f"{name}.h5")
        assert made.code == 0, made
    count = numpy.arange(100)
    rows = {tuple(row) for row in numpy.float32(numpy.stack([count % 7 / 7, numpy.cos(count)], 1))}
    assert {tuple(row) for row in arrays(tmp_path / "drawn.h5")["conditions"]} < rows
    assert (arrays(tmp_path / "asked.h5")["conditions"] == numpy.float32([0.5, -1])).all()
    refused(gan_dist("sample", run, "--count", 1, "--condition", "1", "--out", tmp_path / "no.png"), 64, "2 numbers")
    refused(gan_dist("sample", run, "--count", 1, "--class", "1", "--out", tmp_path / "no.png"), 64, "--class")
    assert gan_dist("interpolate", run, "--out", tmp_path / "walks.png").code == 0


# A few, and more than two blocks of 256.
@pytest.mark.parametrize("config, options", [
    ("conditional-residual", ["--count", 7, "--class", 1, "--truncation", 1]),
    ("conditional-residual", ["--count", 600, "--truncation", 1]), ("conditional-vectors", ["--count", 600]),
    ("conditional-vectors", ["--count", 300, "--condition", "0.5,-1"]),
])
def test_the_ranks_share_the_samples_and_not_the_bits(config, options, wholes, tmp_path):
    made = {}
    for ranks in (1, 3, 5, 8):
        for name, more in (("samples.h5", ["--latents"]), ("grid.png", [])):
            out = tmp_path / f"{ranks}-{name}"
            finished = gan_dist("sample", wholes[config], *options, *more, "--out", out, ranks=ranks)
            assert finished.code == 0, finished
        made[ranks] = arrays(tmp_path / f"{ranks}-samples.h5"), (tmp_path / f"{ranks}-grid.png").read_bytes()
    one, picture = made[1]
    beside = one["labels" if config == "conditional-residual" else "conditions"]
    assert len(beside) == options[1] == len(numpy.unique(one["images"], axis=0))
    assert (len(numpy.unique(beside, axis=0)) == 1) == ("--class" in options or "--condition" in options)
    assert "--truncation" not in options or numpy.abs(one["latents"]).max() <= 1
    for other, same in (made[3], made[5], made[8]):
        assert other.keys() == one.keys() and same == picture
        assert all(numpy.array_equal(other[name], one[name]) for name in one)
    refused(gan_dist("sample", wholes[config], "--count", 3, "--class", "none", "--out", tmp_path / "no.h5", ranks=3),
            64, "--class")


@pytest.mark.parametrize("config", CONDITIONAL)
def test_onnx_has_a_second_input(config, wholes, tmp_path):
    run = wholes[config]
    assert gan_dist("export", run, "--format", "onnx", "--out", tmp_path / "generator.onnx").code == 0
    assert gan_dist("sample", run, "--count", 70, "--latents", "--out", tmp_path / "samples.h5").code == 0
    samples = arrays(tmp_path / "samples.h5")
    expected = samples["images" if "images" in samples else "samples"]
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx")
    inputs = {value.name: value for value in session.get_inputs()}
    if config == "conditional-vectors":
        beside = {"condition": samples["conditions"]}
        assert inputs["condition"].shape == ["batch", 2]
    else:
        beside = {"label": samples["labels"]}
        assert inputs["label"].type == "tensor(int64)" and inputs["label"].shape == ["batch"]
    examples = session.run(None, {"latents": samples["latents"], **beside})[0]
    assert examples.shape == expected.shape and numpy.abs(examples - expected).max() < 1e-5
    one = {name: value[5:6] for name, value in ({"latents": samples["latents"]} | beside).items()}
    assert numpy.abs(session.run(None, one)[0] - expected[5:6]).max() < 1e-5


def test_evaluate_measures_alignment(wholes, data, tmp_path):
    made = gan_dist("classifier", "train", "--data", data, "--epochs", 20, "--out", tmp_path / "classifier.h5")
    assert made.code == 0, made
    results = {}
    for ranks in (1, 3):
        measured = gan_dist("evaluate", wholes["conditional"], "--classifier", tmp_path / "classifier.h5", "--metrics",
                            "alignment", "--count", 300, "--json", ranks=ranks)
        assert measured.code == 0, measured
        results[ranks] = json.loads(measured.out)["alignment"]
    assert results[1] == results[3]
    found = results[1]
    assert 0 <= found["value"] <= 1 and 0 <= found["of_real_examples"] <= 1 and found["labels"] == [0, 1, 2]
    # By the samples themselves: the classifier is asked about a file of each class.
    assert gan_dist("sample", wholes["conditional"], "--count", 300, "--out", tmp_path / "samples.h5").code == 0
    labels = arrays(tmp_path / "samples.h5")["labels"]
    shares = [(labels == label).mean() for label in range(3)]
    assert found["value"] == pytest.approx(numpy.dot(shares, found["of_each_label"]))
    refused(gan_dist("evaluate", wholes["conditional-vectors"], "--classifier", tmp_path / "classifier.h5", "--metrics",
                     "alignment"), 78, "alignment", "no label")
    refused(gan_dist("evaluate", wholes["conditional"], "--metrics", "game"), 78, "condition")


def test_labels_that_nothing_can_be_learned_from_are_refused(data, tmp_path):
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["images"] = pictures()
    dataset(tmp_path / "one.h5", numpy.zeros(100, int))
    dataset(tmp_path / "each.h5", numpy.arange(5000))
    dataset(tmp_path / "short.h5", numpy.arange(100) % 3, numpy.zeros((99, 2), numpy.float32))
    with h5py.File(tmp_path / "few.h5", "w") as file:
        file["images"], file["labels"] = pictures(), numpy.arange(99)
    words = {"none": ["/labels", "data.labels"], "one": ["1 kind"], "each": ["5000 kinds"], "few": ["[99]"]}
    for name, expected in words.items():
        finished = train("conditional", tmp_path / name, "--data", tmp_path / f"{name}.h5", ranks=2, code=65)
        refused(finished, 65, *expected)
    refused(train("conditional-vectors", tmp_path / "short", "--data", tmp_path / "short.h5", code=65), 65, "[99, 2]")
    refused(train("conditional-vectors", tmp_path / "images", "--data", data, "--set", "condition.dataset=images",
                  code=65), 65, "[100, 8, 8, 1]")
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file["images"], file["flat"] = pictures(), numpy.zeros(100, numpy.float32)
    refused(train("conditional-vectors", tmp_path / "flat", "--data", tmp_path / "flat.h5", "--set",
                  "condition.dataset=flat", ranks=2, code=65), 65, "[100]", "--set condition.dataset=")
    refused(train("conditional", tmp_path / "other", "--data", data, "--set", "condition.classes=4", code=78), 78,
            "condition.classes", "3 kinds")
    refused(train("conditional", tmp_path / "name", "--data", data, "--set", "data.labels=classes", code=65), 65,
            "no dataset classes", "data.labels")
    refused(train("conditional-vectors", tmp_path / "none", "--data", data, "--set", "condition.dataset=none", ranks=2,
                  code=65), 65, "no dataset none", "condition.dataset")


def test_odd_labels_are_classes(tmp_path):
    """Negative ones, ones of a single example, one-hot ones, under another name."""
    data = dataset(tmp_path / "odd.h5", numpy.array([-1, 5, 1000] * 10 + [9]))
    trained = train("conditional", tmp_path / "odd", "--data", data, "--steps", 2, ranks=2)
    assert "labels -1, 5, 9, 1000, of 1 … 10 examples" in trained.out
    assert any("label 9 there is a single example" in warning for warning in trained.warnings)
    assert gan_dist("sample", tmp_path / "odd", "--count", 2, "--class", -1, "--out", tmp_path / "odd-1.h5").code == 0
    assert (arrays(tmp_path / "odd-1.h5")["labels"] == -1).all()
    with h5py.File(data, "r+") as file:
        file["kinds"] = numpy.eye(3)[numpy.arange(31) % 3]
    trained = train("conditional", tmp_path / "hot", "--data", data, "--steps", 2, "--set", "data.labels=kinds")
    assert "3 classes, labels 0, 1, 2" in trained.out


def test_other_labels_are_another_dataset(data, tmp_path):
    copy = dataset(tmp_path / "copy.h5", numpy.arange(100) % 3)
    run = tmp_path / "run"
    train("conditional", run, "--data", copy, "--steps", 2)
    with h5py.File(copy, "r+") as file:
        file["labels"][...] = (numpy.arange(100) + 1) % 3
    refused(resume(run, "--steps", 4, code=65), 65, "is not the dataset")
    with h5py.File(copy, "r+") as file:
        file["labels"][...] = numpy.arange(100) % 3 + 1
    refused(resume(run, "--steps", 4, code=65), 65, "condition.labels")
    with h5py.File(copy, "r+") as file:
        file["labels"][...] = numpy.arange(100) % 3
    resume(run, "--steps", 4)


@pytest.mark.parametrize("settings, words", [
    (["generator.0=relu", "generator.3=relu"], ["condition", "`generator`"]),
    (["condition=null"], ["generator.0.embedding", "`condition`"]),
    (["training.packing=2"], ["training.packing"]),
    (["condition.dataset=numbers"], ["generator.3.conditional_batch_normalisation", "condition.dataset"]),
    (["condition={draws: often}"], ["condition.draws"]),
    (["condition={classes: 2, counts: [4294967296, 1]}"], ["condition.counts", "2^32"]),
    (["condition={classes: 3, labels: [0, 1]}"], ["condition.labels", "2 numbers for 3 classes"]),
    (["condition={dataset: numbers, draws: uniform}", "generator.3=relu"], ["condition.draws", "condition.dataset"]),
])
def test_configurations_that_cannot_be_are_refused(settings, words, data, run):
    options = [word for setting in settings for word in ("--set", setting)]
    refused(train("conditional", run, "--data", data, *options, code=78), 78, *words)


def test_labels_without_a_condition_are_refused(data, run):
    refused(train("dense", run, "--data", data, "--set", "data.labels=labels", code=78), 78, "data.labels",
            "`condition`")
    refused(train("unrolled", run, "--set", "condition={draws: uniform}", "--set", "generator.0=join_condition",
                  code=78), 78, "condition")


def test_the_preset_takes_a_step(data, run, tmp_path):
    with h5py.File(tmp_path / "ten.h5", "w") as file:
        file["images"], file["labels"] = pictures(size=28), numpy.arange(100) % 10
    finished = gan_dist("train", "--preset", "conditional-28", "--data", tmp_path / "ten.h5", "--run", run,
                        "--batch", 10, "--steps", 1, ranks=2)
    assert finished.code == 0, finished
    measured = gan_dist("bench", "step", "--preset", "conditional-28", "--batch", 8, "--steps", 1)
    assert measured.code == 0 and "projection" in measured.out, measured
    scaled = gan_dist("bench", "scaling", "--preset", "conditional-28", "--batch", 4, "--steps", 1)
    assert scaled.code == 0, scaled


def test_a_run_is_measured_while_it_trains(wholes, data, run):
    """The measures sample as `gan-dist sample` does and change no bit."""
    measured = ["--shards", 8, "--set", "output.evaluate={every: 6, metrics: [swd], count: 50}"]
    train("conditional", run, "--data", data, *measured, "--set", f"data.held_out={data}", ranks=2)
    assert_same(checkpoint(wholes["conditional"], 12), checkpoint(run, 12))
    assert '"evaluation_swd"' in (run / "metrics.jsonl").read_text()


def gaps(run):
    return [{name: line[f"evaluation_logit_{name}"] for name in ("training", "held_out", "gap")}
            for line in metrics(run) if "evaluation_logit_gap" in line]


@pytest.mark.parametrize("config", ["conditional", "conditional-vectors"])
def test_held_out_examples_are_judged_with_their_conditions(config, data, tmp_path):
    """Of the training data in another order D's mean logits are the same; with other conditions they are not."""
    order = numpy.random.default_rng(1).permutation(100)
    everything = arrays(data)
    for name, rows in (("same", order), ("other", numpy.roll(order, 1))):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["images"] = everything["images"][order]
            for beside in ("labels", "numbers"):
                file[beside] = everything[beside][rows]
    found = {}
    for name, ranks in (("same", 2), ("other", 1)):
        train(config, tmp_path / name, "--data", data, "--shards", 3, "--set", f"data.held_out={tmp_path}/{name}.h5",
              "--set", "output.evaluate={every: 6}", ranks=ranks)
        found[name] = gaps(tmp_path / name)
    for same, other in zip(found["same"], found["other"], strict=True):
        assert same["training"] == other["training"] != 0
        assert abs(same["gap"]) < 1e-6 < abs(other["gap"])


@pytest.mark.parametrize("ranks", [1, 2])
def test_held_out_examples_of_other_conditions_are_refused_before_the_first_step(data, ranks, run, tmp_path):
    def held(config, *words, numbers=None, labels=None):
        with h5py.File(tmp_path / "held.h5", "w") as file:
            file["images"] = pictures(20)
            if labels is not None:
                file["labels"] = labels
            if numbers is not None:
                file["numbers"] = numbers
        finished = gan_dist("train", "--config", CONFIGS / f"{config}.yaml", "--data", data, "--run", run, "--resume",
                            "auto", "--set", f"data.held_out={tmp_path}/held.h5", "--steps", 1, "--set",
                            "output.evaluate={every: 1}", ranks=ranks)
        if words:
            refused(finished, 65, "data.held_out", "held.h5", *words)
            assert not list((run / "checkpoints").iterdir())
        return finished

    count = numpy.arange(20)
    held("conditional", "no /labels")
    held("conditional", "labels 5, 7", "0, 1, 2", labels=count % 2 * 2 + 5)
    held("conditional-vectors", "numbers", labels=count % 3)
    held("conditional-vectors", "3 numbers", numbers=numpy.ones((20, 3)))
    held("conditional-vectors", "[7, 2]", numbers=numpy.ones((7, 2)))
    finished = held("conditional", labels=count % 2)
    assert finished.code == 0 and len(finished.warnings) == 1, finished
    assert "no example of label 2" in finished.warnings[0]
