"""Configurations as other programs read them: by YAML 1.1, as PyYAML does, and by YAML 1.2."""

import re

import h5py
import pytest
import yaml

from conftest import CONFIGS, ROOT, checkpoint, gan_dist
from test_bad_input import refused

RING = yaml.safe_load((CONFIGS / "ring.yaml").read_text())

# Texts that a reader of YAML 1.1 or 1.2 takes for something else, unless they are in quotes.
TEXTS = ["on", "1e5", "null", "12:30:45", "2026-01-01", "=", "0o7", "010", "y", "a: b", "a #b", "ü 🎲", "it's", "- a",
         "*a", " blanks  about ", "two\nlines\n", "\\n\t"]


class Core(yaml.SafeLoader):
    """The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2, 10.3.2)."""


Core.yaml_implicit_resolvers = {}
for tag, pattern in [("null", "null|Null|NULL|~|"), ("bool", "true|True|TRUE|false|False|FALSE"),
                     ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
                     ("float",
                      r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")]:
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), None)
# Where 1.1 takes 010 for an octal number, 1.2 does not.
Core.add_constructor("tag:yaml.org,2002:int",
                     lambda loader, node: int(node.value, 0 if node.value[:2] in ("0o", "0x") else 10))
Core.add_constructor("tag:yaml.org,2002:float",
                     lambda loader, node: float(node.value.replace(".inf", "inf").replace(".nan", "nan")))


def readers(text):
    return yaml.safe_load(text), yaml.load(text, Core)


def printed(*arguments):
    """What a dry run prints of the configuration, by both readers; the networks come after it."""
    finished = gan_dist("train", "--dry-run", *arguments)
    assert finished.code == 0, finished
    return readers(finished.out.split("\n\n")[0])


def numbers_as_texts(node):
    if isinstance(node, (dict, list)):
        return [found for item in (node.values() if isinstance(node, dict) else node)
                for found in numbers_as_texts(item)]
    return [node] if isinstance(node, str) and re.match(r"^[-+.]?\d", node) else []


def test_numbers_of_the_command_line_are_decimal():
    for found in printed("--seed", "010", "--batch", "064", "--steps", "0100", "-k", "02", "--shards", "008",
                         "--keep", "+3", "--set", "latent.size=020",
                         "--set",
                         "optimizer.generator={kind: adam, rate: 1e-4, epsilon: 2.E-8, beta1: .5, beta2: 00.9}",
                         "--set", "name=010"):
        training = found["training"]
        assert (training["batch"], training["steps"], training["discriminator_steps"]) == (64, 100, 2)
        assert (found["exchange"]["shards"], found["output"]["keep"], found["latent"]["size"]) == (8, 3, 20)
        assert found["seed"] == 10 and found["name"] == "010"
        assert found["optimizer"]["generator"] == {"kind": "adam", "rate": 1e-4, "epsilon": 2e-8, "beta1": 0.5,
                                                   "beta2": 0.9}


def test_presets_hold_no_number_that_a_reader_takes_for_a_text():
    presets = sorted((ROOT / "Sources/Recipes/Presets").glob("*.yaml"))
    assert gan_dist("presets", presets[0].stem).out == presets[0].read_text()
    for preset in presets:
        first, second = readers(preset.read_text())
        assert first == second and not numbers_as_texts(first), preset


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_quoted_where_they_need_it(text, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({**RING, "data": {"synthetic": "ring", "count": 100, "dataset": text}},
                                     allow_unicode=True), encoding="utf-8")
    for found in printed("--config", config):
        assert found["data"]["dataset"] == text


def test_a_run_stores_what_every_reader_takes_for_the_same(data, run, tmp_path):
    """Numbers as the user spelt them are written as every reader takes them; the run goes on from its own words, and
    from the user's."""
    odd = tmp_path / "on #1: it's ü .h5"
    odd.write_bytes(data.read_bytes())
    text = (CONFIGS / "dense.yaml").read_text().replace("seed: ", "seed: +", 1)
    config = tmp_path / "c.yaml"
    config.write_text(text)
    options = ["--set", "optimizer.generator={kind: adam, rate: 1E-4}"]
    for start in (["--config", config, "--data", odd, *options, "--steps", 2],
                  ["--resume", "auto", "--config", config, "--data", odd, *options, "--steps", "04"],
                  ["--resume", "auto", "--data", odd, "--steps", "6"]):
        finished = gan_dist("train", "--run", run, *start)
        assert finished.code == 0, finished
    stored = (run / "config.yaml").read_text(encoding="utf-8")
    with h5py.File(checkpoint(run, 6)) as file:
        assert file.attrs["config"] in (stored, stored.encode())
    first, second = readers(stored)
    assert first == second and not numbers_as_texts(first)
    assert first["optimizer"]["generator"]["rate"] == 1e-4 and first["data"]["file"] == str(odd)
    assert first["training"]["steps"] == 6
    # The user's own file, which 1.1 and 1.2 read alike but for `1e-4`.
    assert first["seed"] == yaml.safe_load(text)["seed"]
    again = gan_dist("train", "--run", run, "--resume", "auto", "--batch", 1)
    refused(again, 78, "training.batch", "contradicts")


def test_a_file_with_two_readings_is_refused(tmp_path):
    config = tmp_path / "c.yaml"
    text = (CONFIGS / "ring.yaml").read_text()
    for value, words in {"010": ["line 3", "8 by YAML 1.1", "10 by YAML 1.2"], "1:30": ["line 3", "seed"],
                         "1_000": ["Write it in digits: 1000"]}.items():
        config.write_text(text.replace("seed: 9", f"seed: {value}"))
        refused(gan_dist("train", "--dry-run", "--config", config), 78, config, "seed", *words)
    config.write_text(text.replace("seed: 9", "seed: 0x10"))
    assert [found["seed"] for found in printed("--config", config)] == [16, 16]
