"""The page of a run: whole, without a network, and drawn by a browser; and the sweep that ends with one."""

import base64
import html.parser
import json
import os
import re
import shutil
import subprocess

import numpy
import pytest
import yaml
from PIL import Image

from conftest import CONFIGS, PROGRAM, ROOT, gan_dist, train

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "img", "source", "br", "link", "input"}


class Reader(html.parser.HTMLParser):
    """Collects the text and checks that every element is closed in its turn."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.sources = [], [], []
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attributes)

    def handle_startendtag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "srcset", "href")]

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def report(*arguments, code=0):
    finished = gan_dist("report", *arguments)
    assert finished.code == code, finished
    return finished


def read(path):
    page = path.read_text(encoding="utf-8")
    reader = Reader(page)
    assert all(source.startswith("data:image/") for source in reader.sources)
    assert "http" not in page and "<script" not in page
    return page, "".join(reader.text), reader.sources


def test_page_of_a_run(data, run):
    train("dense", run, "--data", data, "--sample-every", 3)
    (run / "evaluation.json").write_text(json.dumps({
        "parzen": {"value": 123.5, "standard_error": 1.25, "settings": {"sigma": 0.2}},
        "modes": {"value": 8, "high_quality": 0.97, "settings": {}}}))
    shutil.copy(run / "samples/step-00000003.png", run / "nearest.png")
    report(run)
    page, text, sources = read(run / "report.html")
    for words in ("Losses", "D's probabilities", "Gradient norms", "Throughput", "Samples of fixed latents",
                  "Over the run", "From one latent to another",
                  "nearest", "parzen", "123.5", "1.25", "high quality 0.97", "sigma 0.2", "Configuration", "momentum:"):
        assert words in text, words
    # Four sheets, nearest, walks, and the animation with the still picture in its place.
    assert len(sources) == 4 + 1 + 1 + 2
    assert sum(source.startswith("data:image/gif") for source in sources) == 1
    contents = [base64.b64decode(source.split(",")[1]) for source in sources]
    for step in (3, 6, 9, 12):
        assert (run / f"samples/step-{step:08d}.png").read_bytes() in contents
    assert page.count("<svg") == 6


def test_curves_are_the_metrics(data, run):
    train("dense", run, "--data", data, "--steps", 12)
    report(run)
    page, _, _ = read(run / "report.html")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    chart = next(part for part in page.split("<figure>") if "<b>Losses</b>" in part)
    curves = [numpy.array([pair.split() for pair in path.split("L")], float)
              for path in re.findall(r'class="line s\d" d="M([^"]+)"', chart)]
    assert len(curves) == 2
    ys = numpy.concatenate([curve[:, 1] for curve in curves])
    losses = numpy.array([[line[key] for line in lines] for key in ("loss_discriminator", "loss_generator")])
    # Places are a straight function of the values, lower for larger, to a tenth of a pixel.
    slope, offset = numpy.polyfit(losses.ravel(), ys, 1)
    assert slope < 0 and numpy.abs(slope * losses.ravel() + offset - ys).max() < 0.11
    assert numpy.ptp(curves[0][:, 0]) > 500


def test_comparison_of_runs(data, tmp_path):
    for k in (1, 2):
        train("dense", tmp_path / f"k{k}", "--data", data, "-k", k)
    report(tmp_path / "k1", tmp_path / "k2", "--out", tmp_path / "both.html")
    page, text, sources = read(tmp_path / "both.html")
    assert "k = 1" in text and "k = 2" in text and "training.discriminator_steps" in text
    assert page.count("<svg") == 8 and len(sources) == 2
    assert gan_dist("report", tmp_path / "k1", tmp_path / "k2").code == 64


def test_names_are_shown_as_they_are(data, run):
    odd = run.with_name("a<b>&c")
    train("dense", odd, "--data", data, "--steps", 2)
    train("dense", run, "--data", data, "--steps", 2, "--seed", 5, "--batch", 10)
    report(odd, run, "--out", run.with_name("page.html"))
    assert "a<b>&c" in read(run.with_name("page.html"))[1]


def test_bad_runs_are_refused(data, run, tmp_path):
    assert "config.yaml" in report(tmp_path, code=66).errors[0]
    train("dense", run, "--data", data, "--steps", 2)
    log = (run / "metrics.jsonl").read_text()
    # A last line that is being written is no error; one in the middle is.
    (run / "metrics.jsonl").write_text(log + '{"step": 3, "loss')
    report(run)
    (run / "metrics.jsonl").write_text("nonsense\n" + log)
    assert "metrics.jsonl" in report(run, code=65).errors[0]
    (run / "metrics.jsonl").write_text(log)
    (run / "evaluation.json").write_text("[1, 2]")
    assert "evaluation.json" in report(run, code=65).errors[0]
    (run / "evaluation.json").unlink()
    report(run, "--out", tmp_path / "none/page.html", code=73)


def brightness(page, folder, dark):
    picture = folder / f"{'dark' if dark else 'light'}.png"
    subprocess.run([BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    "--window-size=1200,1600",
                    *(["--blink-settings=preferredColorScheme=0"] if dark else []), f"--user-data-dir={folder}/browser",
                    f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True, timeout=60)
    return numpy.asarray(Image.open(picture).convert("RGB")).astype(float)


@pytest.mark.skipif(BROWSER is None, reason="no chromium (apt-get install chromium)")
def test_a_browser_draws_it_light_and_dark(data, run, tmp_path):
    train("dense", run, "--data", data, "--steps", 12)
    report(run)
    light, dark = (brightness(run / "report.html", tmp_path, dark) for dark in (False, True))
    assert numpy.median(light) > 230 and numpy.median(dark) < 50
    # Curves in their colours stand out from both backgrounds.
    for picture, colour in ((light, (0, 114, 178)), (dark, (86, 180, 233))):
        assert (numpy.abs(picture - colour).max(-1) < 12).sum() > 300


def sweep(*arguments, limit=120):
    return subprocess.run([ROOT / "launch/sweep", *map(str, arguments)], capture_output=True, text=True, timeout=limit,
                          env={**os.environ, "GAN_DIST": PROGRAM})


def test_sweep_ends_with_the_comparison(data, tmp_path):
    finished = sweep("-j", 2, tmp_path / "k", "training.discriminator_steps=1,2,3", "--config", CONFIGS / "dense.yaml",
                     "--data", data, "--steps", 6)
    assert finished.returncode == 0, finished
    for k in (1, 2, 3):
        assert yaml.safe_load((tmp_path / f"k/{k}/config.yaml").read_text())["training"]["discriminator_steps"] == k
    text = read(tmp_path / "k/comparison.html")[1]
    assert all(f"k = {k}" in text for k in (1, 2, 3))


def test_sweep_tells_of_a_run_that_failed(data, tmp_path):
    finished = sweep(tmp_path / "b", "training.batch=20,0", "--config", CONFIGS / "dense.yaml", "--data", data,
                     "--steps", 3)
    assert finished.returncode == 78 and "training.batch" in finished.stderr, finished
    assert "Losses" in read(tmp_path / "b/comparison.html")[1]
    assert sweep(tmp_path / "c", "training.batch").returncode == 64


def dirac(steps, rate=0.2, gamma=0.3):
    """θ and ψ after each step of the preset, from the formulas in float64: G first, then D, non-saturating with R1."""
    theta, psi = 1.0, -1.0
    for _ in range(steps):
        theta += rate * psi / (1 + numpy.exp(psi * theta))
        # D(x) = ψx: real examples are at 0, generated ones at θ; ∇ₓ D = ψ.
        psi -= rate * (theta / (1 + numpy.exp(-psi * theta)) + gamma * psi)
        yield theta, psi


def paths(page):
    chart = next(part for part in page.split("<figure>") if "<b>The players' path</b>" in part)
    return chart, [numpy.array([pair.split() for pair in path.split("L")], float)
                   for path in re.findall(r'class="line s\d" d="M([^"a]+)"', chart)]


EQUILIBRIA = [
    ("{loss: standard}", ["1.386", "−log 4", "½"]),
    ("{loss: standard, discriminator: mean}", ["0.6931", "−log 4", "½"]),
    # With D(x) = 0.45 and all costs of that; none where it changes.
    ("{loss: standard, label_smoothing: 0.1}", ["1.376", "-1.396", "0.45"]),
    ("{loss: standard, label_smoothing: {schedule: linear, from: 0.1, to: 0, over: 9}}", []),
    ("{loss: leastSquares}", ["0.25"]), ("{loss: hinge}", ["2"]), ("{loss: wasserstein}", ["0"]),
    ("{loss: relativistic}", ["0.6931"]), ("{loss: relativisticAverage}", ["1.386"])]


@pytest.mark.parametrize("objective, lines", EQUILIBRIA)
def test_lines_of_equilibrium(objective, lines, run):
    finished = gan_dist("train", "--preset", "grid-25", "--run", run, "--set", f"objective={objective}", "--steps", 4,
                        "--log-every", 2, "--batch", 16, "--set", "data.count=64", "--quiet")
    assert finished.code == 0, finished
    report(run)
    texts = re.findall(r">([^<>]*at equilibrium: [^<>]*)<", read(run / "report.html")[0])
    assert sorted(text.split(": ")[1] for text in texts) == sorted(lines)


def test_walks_of_the_last_steps_parameters(data, run, tmp_path):
    """Where an average was kept they are another picture; a page of several runs has none."""
    train("convolution", run, "--data", data, "--steps", 3, "--set", "training.average={half_life: 200}")
    pictures = []
    for flags in ((), ("--live",)):
        report(run, *flags)
        pictures.append(read(run / "report.html")[2][-1])
    assert pictures[0] != pictures[1]
    report(run, run, "--live", "--out", tmp_path / "page.html", code=64)


def test_path_of_a_game_of_two_numbers(run):
    """As in the figures of Mescheder et al. 2018: of the log, and in the plane on one scale."""
    assert gan_dist("train", "--preset", "dirac", "--run", run, "--steps", 120).code == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    logged = numpy.array([(line["parameter_generator"], line["parameter_discriminator"]) for line in lines])
    assert numpy.abs(logged - list(dirac(120))).max() < 1e-5
    assert "θ" in (run / "log.txt").read_text()
    report(run)
    chart, curves = paths(read(run / "report.html")[0])
    assert len(curves) == 1 and "equilibrium" in chart
    # The last point is drawn twice: where the curve ends whatever is left out of it.
    x, y = curves[0][:-1].T
    scale, x0 = numpy.polyfit(logged[:, 0], x, 1)
    minus, y0 = numpy.polyfit(logged[:, 1], y, 1)
    assert scale > 50 and abs(minus + scale) < 0.01 * scale
    assert numpy.abs(scale * logged[:, 0] + x0 - x).max() < 0.11
    assert numpy.abs(minus * logged[:, 1] + y0 - y).max() < 0.11
    # The cross of the equilibrium is at (0, 0).
    cross = re.findall(r'class="equilibrium" x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"', chart)
    x1, y1, x2, y2 = map(float, cross[0])
    assert abs((x1 + x2) / 2 - x0) < 0.2 and abs((y1 + y2) / 2 - y0) < 0.2


def test_paths_of_runs_beside_each_other(run, tmp_path):
    alone = tmp_path / "alone"
    assert gan_dist("train", "--preset", "dirac", "--run", run, "--steps", 30).code == 0
    assert gan_dist("train", "--preset", "dirac", "--run", alone, "--steps", 30,
                    "--set", "objective.penalties=null").code == 0
    report(run, alone, "--out", tmp_path / "both.html")
    chart, curves = paths(read(tmp_path / "both.html")[0])
    assert len(curves) == 2 and len(set(re.findall(r'class="key (s\d)"', chart))) == 2


def test_other_games_have_no_path(data, run):
    train("dense", run, "--data", data, "--steps", 3)
    assert "parameter_generator" not in (run / "metrics.jsonl").read_text()
    report(run)
    assert "The players' path" not in read(run / "report.html")[1]
