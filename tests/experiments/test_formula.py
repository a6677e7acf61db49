import re
from itertools import pairwise

import pytest

from lazyactive.experiments import formula
from lazyactive.experiments.claim import load


@pytest.mark.parametrize("claim", load().values(), ids=list(load()))
def test_every_claim_has_formulas_that_can_be_drawn_and_heard(claim):
    lines = claim.formula.splitlines()
    assert lines
    for line in lines:
        assert "$" not in line
        assert "<path" in formula.svg(line)
    assert claim.formula_text.endswith(".")
    assert "\\" not in claim.formula_text


def test_a_fraction_is_drawn_upright_in_the_colour_of_the_text():
    text = formula.svg(r"\frac{d}{2n}")
    left, top, width, height = map(float, re.search(r'viewBox="(.*?)"', text)[1].split())
    numbers = re.search(r' d="(.*?)"', text)[1]
    assert 'fill="currentColor"' in text
    # The ends of segments, with the coordinates of control points left out.
    points = [
        tuple(map(float, words.split()[-2:])) for words in re.findall(r"[MLQC]([^A-Z]*)", numbers)
    ]
    assert all(left <= x <= left + width and top <= y <= top + height for x, y in points)
    # A letter d, a bar, and beneath it a figure and a letter: more is below the bar than above.
    edges = [
        y
        for (x, y), (other, level) in pairwise(points)
        if y == level and abs(x - other) > 0.5 * width
    ]
    assert max(edges) - min(edges) < 0.1 * formula.EM
    bar = min(edges)
    below = sum(y > bar + 0.1 * formula.EM for _, y in points)
    above = sum(y < bar for _, y in points)
    assert below > above > 0


def test_a_formula_is_a_function_of_its_text_and_needs_no_names():
    first, second = formula.svg(r"\mu_k \sim k^{-d}"), formula.svg(r"\mu_k \sim k^{-d}")
    assert first == second
    assert first != formula.svg(r"\mu_k \sim k^{-p}")
    # Names would clash with those of another formula on the page.
    assert not re.search(r"\bid=|href=|url\(", first)


def test_what_mathtext_cannot_read_is_refused():
    with pytest.raises(ValueError, match="frac"):
        formula.svg(r"\frac{d}")
