"""The documents: a short README, links that lead somewhere, figures that agree, a drawing made from Package.swift."""

import re
import subprocess

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md")
                   if not any(part.startswith(".") or part in ("data", "runs")
                              for part in path.relative_to(ROOT).parts))
RESULTS = README.partition("## Results\n")[2].partition("\n## ")[0]
FIGURE = r"\d[\d,]*\.\d+|\d,\d{3}|\d+e-\d+"
ROWS = re.findall(r"^\| [^|]*\| ([^|]+) \| \[[^]]+\]\(([^)]+)\) \|$", RESULTS, re.MULTILINE)


def test_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document):
    prose = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        path = link.partition("#")[0]
        if path and not re.match(r"[a-z]+:", path):
            assert (document.parent / path).exists(), link


def test_headline_results_are_of_the_linked_pages():
    assert ROWS
    for result, link in ROWS:
        page = (ROOT / link).read_text()
        figures = set(re.findall(FIGURE, result))
        assert any(figures <= set(re.findall(FIGURE, block)) for block in page.split("\n\n")), \
            f"no paragraph or table of {link} has all of {sorted(figures)}"


def test_drawing_is_of_the_package():
    drawing = subprocess.run([ROOT / "launch/pictures/modules"], capture_output=True, text=True, check=True).stdout
    assert drawing.count("-->") > 10
    assert drawing in README, "put what launch/pictures/modules prints into the README"
