"""The documents: a short README, links that lead somewhere, figures that agree, a drawing made from Package.swift; the
commands, options, configuration keys and exit codes that they name are the program's."""

import functools
import re
import subprocess

import pytest

from conftest import PROGRAM, ROOT

README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md")
                   if not any(part.startswith(".") or part in ("data", "runs")
                              for part in path.relative_to(ROOT).parts))
KEYS = ROOT / "Sources/Recipes/Recipes.docc/ConfigurationKeys.md"
FILES = ROOT / "Sources/Runs/Runs.docc/Files.md"
# Options that documents name by themselves and that are another program's.
OF_OTHERS = {"--static", "--tests", "--all-sets", "--sanitize", "--jobs", "--bind-to", "--map-by", "--rank-by",
             "--report-bindings", "--cpu-bind", "--distribution", "--ntasks-per-core", "--mpi", "--numprocesses",
             "--dist"}
RESULTS = README.partition("## Results\n")[2].partition("\n## ")[0]
FIGURE = r"\d[\d,]*\.\d+|\d,\d{3}|\d+e-\d+"
ROWS = re.findall(r"^\| [^|]*\| ([^|]+) \| \[[^]]+\]\(([^)]+)\) \|$", RESULTS, re.MULTILINE)


def prose(document):
    """All but the blocks of code."""
    return re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def quoted(document):
    """What stands in backquotes, and every line of the blocks, which indented ones are too."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    lines += re.findall(r"^ {4}(\S.*)", prose(document), re.MULTILINE)
    return re.findall(r"`([^`]+)`", prose(document)) + [re.sub(r"\s+#.*", "", line) for line in lines]


@functools.cache
def helps():
    """Every command as its words, the shortest first, and the program's help of it."""
    found, waiting = {}, [()]
    for command in waiting:
        text = subprocess.run([PROGRAM, *command, "--help"], capture_output=True, text=True, check=True).stdout
        found[command] = text
        commands = text.partition("SUBCOMMANDS:\n")[2].partition("\n\n")[0]
        listed = re.findall(r"^  ([a-z0-9-]+)(?: |$)", commands, re.MULTILINE)
        waiting += [(*command, name) for name in listed]
    return found


def options(command):
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", helps()[command].partition("OPTIONS:\n")[2]))


def used(text):
    """The options that a quoted text names, each with the command of gan-dist that it is of: None for any."""
    for part in re.split(r"&&|[|;]", text):
        words = part.split()
        named = [word for word in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word)]
        programs = [number for number, word in enumerate(words) if word.split("/")[-1] == "gan-dist"]
        if programs:
            words = words[programs[0] + 1:]
        elif words and words[0] == "launch/sweep":
            words = ["train"]
        elif not words or not (words[0].startswith("--") or (words[0],) in helps()):
            continue
        command = max((command for command in helps() if command == tuple(words[:len(command)])), key=len)
        for option in named:
            yield command or None, option.partition("=")[0]


@functools.cache
def keys():
    """The keys and groups of ConfigurationKeys.md, those of a layer as `dense.units`."""
    found = set()
    for section in re.split(r"^##+ ", KEYS.read_text(), flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        for group in re.findall(r"`([\w.]+)`", title) or [""]:
            names = re.findall(r"^\| `([\w]+)` \|", body, re.MULTILINE)
            found |= {group, *(f"{group}.{name}".lstrip(".") for name in names)}
    return found


def test_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document):
    """Files, options of commands, configuration keys. Commands stand in blocks of sh, which test_readme.py runs."""
    assert not re.findall(r"^ {4}(?:gan-dist [a-z]|mpirun |launch/|\. ).*", document.read_text(), re.MULTILINE)
    for text in quoted(document):
        for path in re.findall(r"(?<![\w./-])(?:launch|Sources|Tests)/[\w./-]*\w", text):
            assert (ROOT / path).exists(), f"{path} of: {text}"
        for command, option in used(text):
            there = options(command) if command else OF_OTHERS.union(*map(options, helps()))
            assert option in there, f"{option} of: {text}"
        for key in re.findall(r"(?:^|--set '?)((?:[a-z_]+\.)+[a-z_.0-9]+)(?:$|=)", text):
            key = re.sub(r"^(generator|discriminator)\.\d+\.(residual\.(body|skip)\.\d+\.)*", "", key)
            if key.split(".")[0] in keys():
                assert key in keys(), f"{key} of: {text}"


def test_every_command_stands_in_a_document():
    texts = [" ".join(text.split()) for document in DOCUMENTS for text in quoted(document)]
    for command, text in helps().items():
        if "SUBCOMMANDS:" not in text:
            words = " ".join(command)
            assert any(re.search(rf"(^|gan-dist ){words}( |$)", text) for text in texts), f"no document has {words}"


def test_keys_page_is_what_the_program_prints():
    printed = subprocess.run([PROGRAM, "keys"], capture_output=True, text=True, check=True).stdout
    assert KEYS.read_text() == printed, f"gan-dist keys > {KEYS.relative_to(ROOT)}"
    rows = re.findall(r"^\| `.*", printed, re.MULTILINE)
    assert len(rows) > 60 and not [row for row in rows if re.search(r"\|\s*(\||$)", row[:-1])], "a cell is empty"


def test_every_key_that_is_read_stands_on_the_page():
    """By the calls of the readers: a branch that no value of another key leads to would be missed by the page."""
    readers = r"\w*[iI]nteger|number|\w*[sS]tring|\w*[cC]hoice|section|bytes|rate|momentum|initialiser|extent|shape" \
              "|note|layers|optionalLayers"
    sources = [*(ROOT / "Sources/Recipes").glob("*.swift"), *(ROOT / "Sources/Nets/Layers").glob("*.swift")]
    read = {key for source in sources for key in re.findall(rf'\.(?:{readers})\(\s*"(\w+)"', source.read_text())}
    there = {part for key in keys() for part in key.split(".")}
    assert len(read) > 50 and read <= there, sorted(read - there)


def test_exit_codes_agree():
    source = (ROOT / "Sources/Support/Failure.swift").read_text().partition("enum ExitCode")[2].partition("\n}")[0]
    codes = {0, *map(int, re.findall(r"case \w+ = (\d+)", source))}
    assert len(codes) > 5
    section = FILES.read_text().partition("## Exit codes\n")[2].partition("\n## ")[0]
    assert sorted(map(int, re.findall(r"^\| (\d+) \|", section, re.MULTILINE))) == sorted(codes)
    said = helps()[()].partition("Exit codes:")[2].partition("Environment:")[0]
    assert sorted(map(int, re.findall(r"\b\d+\b", said))) == sorted(codes)
