"""The page of all claims: its parts, and what a hostile or broken folder does to it."""

import base64
import json
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from PIL import Image

from lazyactive.experiments.claim import ALL_CLAIMS
from lazyactive.experiments.cli import main

HOSTILE = "<script>alert(1)</script> & \"quotes\" 'single' $title ${title} </section>"
PARTS = ("statement", "formula", "checks", "conditions", "command")
VOID = {"meta", "link", "img", "br", "hr", "path"}


class Page(HTMLParser):
    """Elements in order, as (tag, attributes, ancestors), and the text; tags must match."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self._open)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def verify(out, name="fake", *arguments):
    result = invoke("verify", name, "--out", out, "--jobs", 1, *arguments)
    assert result.exit_code in (0, 1, 3), result.output


def report(out):
    result = invoke("report", "--out", out)
    assert result.exit_code == 0, result.output
    return result, (out / "report.html").read_text(encoding="utf-8")


def without_date(text):
    return re.sub(r"Report of [-\d]+ [:\d]+ UTC", "", text)


def edit(out, name="fake", **changes):
    path = out / name / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch):
    """Empty pictures: drawing takes most of the time, and is tested elsewhere."""

    def draw(content, folder):
        Image.new("RGB", (800, 600)).save(folder / "figure.png")

    monkeypatch.setattr("lazyactive.experiments._console.draw", draw)


@pytest.fixture
def three(fake, tmp_path):
    """Claims of each outcome, with a formula, and their results."""
    for outcome in ("holds", "fails", "undecided"):
        claim = fake(name=f"fake-{outcome}", outcome=outcome)
        type(claim).formula = r"y \approx \frac{1}{2}" "\n" r"y > 0"
        type(claim).formula_text = "y is about one half."
        type(claim).source = "bach2017breaking, section 2"
        verify(tmp_path, claim.name)
    return tmp_path


def test_every_claim_has_all_of_its_parts(three):
    result, text = report(three)
    page = Page(text)
    assert "written to" in result.stdout
    assert result.stderr == ""
    for outcome in ("holds", "fails", "undecided"):
        section = re.search(rf'<section id="claim-fake-{outcome}".*?</section>', text, re.DOTALL)[0]
        own = Page(section)
        classes = {name for _, a, _ in own.elements for name in a.get("class", "").split()}
        assert classes >= set(PARTS)
        assert outcome in own.text
        assert "A mean of n squared normal numbers is one." in own.text
        # The reference in full.
        assert "Breaking the Curse of Dimensionality with Convex Neural Networks" in own.text
        (formula,) = [a for a in own.all("div") if a.get("class") == "formula"]
        assert formula["role"] == "img"
        assert formula["aria-label"] == "y is about one half."
        assert len([a for a in own.all("svg") if a.get("width", "").endswith("em")]) == 2
        assert "the mean is one" in own.text
        for words in (
            "Preset quick",
            "Seed 0",
            "Wall time",
            "numpy",
            "the source that is installed",
        ):
            assert words in own.text, words
        command = f"lazyactive verify fake-{outcome} --preset quick --seed 0 --out {three}"
        assert command in own.text
    # The list of contents leads to every section.
    anchors = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    assert anchors == {a["id"] for a in page.all("section") if "id" in a}
    assert len(anchors) == 3


def test_the_tally_counts_every_claim(three):
    page = Page(report(three)[1])
    missing = len(ALL_CLAIMS) - 3
    assert f"holds 1 fails 1 undecided 1 not run {missing}" in page.text


def test_the_table_has_what_the_summary_has(three):
    page = Page(report(three)[1])
    summary = json.loads((three / "fake-holds" / "summary.json").read_text())
    for entry in summary["conditions"]:
        found = entry["measured"]["y"]
        half = (found["high"] - found["low"]) / 2
        assert f"{found['value']:.4g} ± {half:.2g}" in page.text
    # Measured too, but not reported.
    assert "first" not in page.text
    assert "predicted" in page.text


def test_nothing_is_loaded_and_every_picture_has_words(three):
    text = report(three)[1]
    page = Page(text)
    for tag, attributes, _ in page.elements:
        assert tag not in {"script", "iframe", "object", "embed", "video", "audio", "base"}
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
        if "href" in attributes:
            loaded = tag != "a"
            allowed = ("data:",) if loaded else ("#", "https://")
            assert attributes["href"].startswith(allowed), attributes
    assert not re.search(r"url\(|@import", text)
    images = page.all("img")
    assert len(images) == 3
    for image in images:
        assert "A mean of n squared normal numbers is one." in image["alt"]
        assert "1 " in image["alt"]
        content = base64.b64decode(image["src"].partition(",")[2])
        assert content.startswith(b"\x89PNG")
        assert (image["width"], image["height"]) == ("384", "288")
    for _, attributes, ancestors in page.elements:
        if attributes.get("role") == "img":
            assert attributes["aria-label"]
            assert "main" in ancestors


def test_the_same_results_give_the_same_page(three):
    first, second = report(three)[1], report(three)[1]
    assert without_date(first) == without_date(second)
    assert re.search(r"Report of \d{4}-\d\d-\d\d \d\d:\d\d UTC", first)
    assert [path.name for path in three.glob(".report*")] == []


def test_hostile_words_stay_words(fake, tmp_path):
    claim = fake()
    type(claim).statement = HOSTILE
    type(claim).source = HOSTILE
    type(claim).formula_text = HOSTILE
    type(claim).formula = r"x \notacommand{<b>}"
    verify(tmp_path)
    edit(
        tmp_path,
        settings={HOSTILE: HOSTILE},
        preset=HOSTILE,
        versions={HOSTILE: HOSTILE},
        source_digest=HOSTILE,
    )
    path = tmp_path / "fake" / "summary.json"
    summary = json.loads(path.read_text())
    summary["checks"][0] |= {"name": HOSTILE, "statement": HOSTILE, "level": HOSTILE}
    summary["conditions"][0]["condition"]["method"] = HOSTILE
    summary["failures"] = [{"condition": {"n": HOSTILE}, "repetition": 0, "error": HOSTILE}]
    path.write_text(json.dumps(summary))
    text = report(tmp_path)[1]
    assert "<script" not in text
    assert "<b>" not in text
    page = Page(text)
    assert page.text.count("<script>alert(1)</script>") >= 9
    (image,) = page.all("img")
    assert HOSTILE in image["alt"]
    # What mathtext cannot draw is shown as it was written.
    assert r"x \notacommand{<b>}" in page.text


def test_a_claim_of_ones_own_is_shown_from_its_summary(fake, tmp_path):
    claim = fake(name="of-ones-own")
    type(claim).formula, type(claim).formula_text = "y = 1", "y is one."
    verify(tmp_path, claim.name)
    del ALL_CLAIMS[claim.name]
    page = Page(report(tmp_path)[1])
    assert "A mean of n squared normal numbers is one." in page.text
    assert "No claim of this name is registered here." in page.text
    assert "y is one." in [a.get("aria-label") for a in page.all("div")]
    assert "first" not in page.text
    assert "lazyactive verify of-ones-own" not in page.text


def test_an_older_summary_takes_the_formula_from_the_claim(fake, tmp_path):
    claim = fake()
    verify(tmp_path)
    path = tmp_path / "fake" / "summary.json"
    summary = json.loads(path.read_text())
    for key in ("formula", "formula_text", "reported"):
        del summary[key]
    del summary["checks"][0]["level"]
    path.write_text(json.dumps(summary))
    type(claim).formula, type(claim).formula_text = "y = 1", "y is one."
    page = Page(report(tmp_path)[1])
    assert "y is one." in [a.get("aria-label") for a in page.all("div")]
    assert "first" not in page.text


def test_a_claim_without_formula_or_figure_shows_none(fake, tmp_path):
    fake()
    verify(tmp_path)
    (tmp_path / "fake" / "figure.png").unlink()
    page = Page(report(tmp_path)[1])
    assert "There is no figure." in page.text
    assert page.all("img") == []
    assert not [a for a in page.all("div") if a.get("class") == "formula"]


def test_another_source_is_named(fake, tmp_path):
    fake()
    verify(tmp_path)
    edit(tmp_path, source_digest="0" * 64)
    assert "another source than the one that is installed" in Page(report(tmp_path)[1]).text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "the summary must be JSON"),
        ("[]", "the summary must be"),
        ("{}", "must hold 'claim'"),
        ('{"claim": "fake", "statement": 3}', "'statement' of the summary"),
        ("\udcff", "decode"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_is_shown(fake, tmp_path, content, reason):
    fake()
    fake(name="other")
    verify(tmp_path, "other")
    (tmp_path / "fake").mkdir()
    path = tmp_path / "fake" / "summary.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    result, text = report(tmp_path)
    page = Page(text)
    assert result.stderr.count("\n") == 1
    assert str(path) in result.stderr
    assert reason in result.stderr
    assert "unreadable 1" in page.text
    assert reason in page.text
    assert "holds 1" in page.text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"claim": "other"}, "the claim must be 'fake'"),
        ({"verdict": "perhaps"}, "an outcome must be"),
        ({"seconds": "long"}, "'seconds' of the summary"),
        ({"formula": 1}, "'formula' of the summary"),
        ({"reported": [1]}, "'reported' of the summary"),
        ({"conditions": [{"condition": {}, "cells": 1, "measured": {"y": 1}, "predicted": {}}]},
         "the measured 'y'"),
    ],
)  # fmt: skip
def test_a_summary_of_another_shape_is_unreadable(fake, tmp_path, changes, reason):
    fake()
    verify(tmp_path)
    edit(tmp_path, **changes)
    result, text = report(tmp_path)
    assert reason in result.stderr
    assert "unreadable 1" in Page(text).text


def test_a_figure_that_is_no_picture_is_unreadable(fake, tmp_path):
    fake()
    verify(tmp_path)
    (tmp_path / "fake" / "figure.png").write_text("this is a letter")
    assert "must be a PNG picture" in report(tmp_path)[0].stderr


def test_summaries_of_something_else_are_left_out(tmp_path):
    (tmp_path / "spectrum-rbf-1-d3").mkdir()
    (tmp_path / "spectrum-rbf-1-d3" / "summary.json").write_text('{"kernel": "rbf(1)"}')
    result, text = report(tmp_path)
    assert "spectrum-rbf-1-d3" not in text
    assert result.stderr == ""
    assert "Not run yet" in text


def test_numbers_that_are_not_finite_are_named(fake, tmp_path):
    fake(repetitions=1)
    verify(tmp_path)
    path = tmp_path / "fake" / "summary.json"
    summary = json.loads(path.read_text())
    # One repetition has no interval.
    assert summary["conditions"][0]["measured"]["y"]["low"] is None
    summary["checks"][0] |= {
        "observed": None,
        "interval": {"value": None, "low": None, "high": 2.0},
        "level": "99% interval",
    }
    path.write_text(json.dumps(summary))
    text = Page(report(tmp_path)[1]).text
    assert "(−∞, 2] (99% interval)" in text
    assert "not finite" in text
    assert f"{summary['conditions'][0]['measured']['y']['value']:.4g}" in text


def test_long_tables_wait_and_short_ones_do_not(fake, tmp_path):
    fake(sizes=tuple(range(10, 17)))
    fake(name="short")
    verify(tmp_path)
    verify(tmp_path, "short")
    page = Page(report(tmp_path)[1])
    assert "14 conditions" in page.text
    assert len(page.all("details")) == 1


def test_a_folder_that_is_not_there_is_bad_usage(tmp_path):
    result = invoke("report", "--out", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "--out" in result.stderr
    assert "nothing" in result.stderr
    (tmp_path / "file").write_text("")
    assert invoke("report", "--out", tmp_path / "file").exit_code == 2
