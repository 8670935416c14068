"""The options by which the tests themselves are started."""

import subprocess

import pytest

from conftest import ROOT


def typed(*words):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_launch_test_says_what_it_can_do():
    shown = typed("launch/test", "--help")
    assert shown.returncode == 0 and "--all-sets" in shown.stdout and "--sanitize" in shown.stdout, shown


@pytest.mark.parametrize("words", [
    ["launch/test", "--sanitise"], ["launch/test", "--all-sets", "--sanitize"], ["launch/build", "--test"],
    ["Tests/units/run", "--set", "avx1024"], ["Tests/units/run", "--set"],
    ["Tests/units/run", "--sanitize", "memory"],
])
def test_other_options_are_refused(words):
    refused = typed(*words)
    assert refused.returncode == 64 and len(refused.stderr.splitlines()) == 1 and not refused.stdout, refused
