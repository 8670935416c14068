"""The example "add your own" learns, and writes the same picture on one rank and on two."""

import math
import re

import numpy
import pytest
from PIL import Image

from conftest import ROOT, SETS, Running, mixed, several

EXAMPLE = ROOT / ".build/release/example-least-squares"
SIDE, COLUMNS, ROWS = 16, 8, 8


def example(picture, ranks):
    finished = Running([picture], ranks, command=(EXAMPLE,)).wait()
    assert finished.code == 0, finished
    return finished


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """What one rank printed and the pictures that one rank and two wrote."""
    folder = tmp_path_factory.mktemp("example")
    alone, two = folder / "alone.png", folder / "two.png"
    out = example(alone, 1).out
    example(two, 2)
    return out, alone, two


def test_the_same_picture_on_two_ranks(pictures):
    _, alone, two = pictures
    assert alone.read_bytes() == two.read_bytes()


@several
def test_ranks_of_other_instructions_use_the_lowest_among_theirs(tmp_path, monkeypatch):
    """As those of the program do: parameters lie in memory as the kernels want them, on all ranks alike."""
    finished = mixed([SETS[0], SETS[-1]], EXAMPLE, tmp_path / "mixed.png")
    assert finished.returncode == 0, finished
    monkeypatch.setenv("GAN_DIST_INSTRUCTIONS", SETS[-1])
    lowest = example(tmp_path / "lowest.png", 2)
    assert (tmp_path / "mixed.png").read_bytes() == (tmp_path / "lowest.png").read_bytes()
    assert finished.stdout.splitlines()[:-1] == lowest.out.splitlines()[:-1]


def test_a_grid_of_pictures(pictures):
    with Image.open(pictures[1]) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        assert picture.size == (COLUMNS * (SIDE + 1) - 1, ROWS * (SIDE + 1) - 1)


def test_costs(pictures):
    costs = [[float(cost) for cost in line] for line in re.findall(r"^step \d+: cost of D (\S+), of G (\S+)$",
                                                                   pictures[0], re.MULTILINE)]
    assert len(costs) == 7 and all(math.isfinite(cost) for line in costs for cost in line)
    assert costs[-1][0] < costs[0][0] / 2


def errors(tiles):
    """Of each tile the mean squared error, white being 1, to the nearest of the discs that there are."""
    y, x = numpy.mgrid[:SIDE, :SIDE]
    left, top, radius = numpy.meshgrid(numpy.linspace(4, 11, 29), numpy.linspace(4, 11, 29),
                                       numpy.linspace(2.5, 4.5, 9))
    distance = numpy.hypot(x - left.reshape(-1, 1, 1), y - top.reshape(-1, 1, 1))
    discs = (numpy.clip(radius.reshape(-1, 1, 1) - distance, -1, 1) + 1) / 2
    return numpy.array([((discs - tile) ** 2).mean(axis=(1, 2)).min() for tile in tiles])


def test_the_generator_makes_discs(pictures):
    image = numpy.asarray(Image.open(pictures[1])) / 255
    tiles = [image[row * (SIDE + 1):][:SIDE, column * (SIDE + 1):][:, :SIDE]
             for row in range(ROWS) for column in range(COLUMNS)]
    real, generated = tiles[:32], tiles[32:]
    assert errors(real).max() < 0.002
    # A tile all black is far from the smallest disc.
    assert errors([numpy.zeros((SIDE, SIDE))])[0] > 0.05
    assert numpy.median(errors(generated)) < 0.03
    # Discs of many places, not one over and over: as spread as the real ones, within a factor of two.
    spread = [numpy.var(numpy.array(of), axis=0).mean() for of in (real, generated)]
    assert spread[1] > spread[0] / 2
