import numpy as np
import pytest
from matplotlib.figure import Figure

from lazyactive.experiments.claim import Claim, Preset, Result
from lazyactive.experiments.figures import style


class Line(Claim):
    name, statement, source = "line", "y is n.", "nowhere"
    precision = 0.1

    def __init__(self, grid, predicted=("y",)):
        self.presets = {"quick": Preset(grid, 8)}
        self.predicted = predicted

    def predict(self, condition):
        return {name: float(condition.get("n", 1)) for name in self.predicted}

    def measure(self, condition, rng, settings):
        raise NotImplementedError


GRID = tuple({"n": n, "method": m} for m in ("a", "b") for n in (1, 10, 100))


def simulate(claim, *, noise=0.01, bias=1.0, quantities=("y",)):
    """Normal numbers around the prediction; `bias` is a factor of the last condition."""
    rng = np.random.default_rng(0)
    grid = claim.presets["quick"]
    return [
        Result(
            c, r,
            {
                q: c.get("n", 1) * (bias if c == grid.conditions[-1] else 1)
                * (1 + noise * rng.standard_normal())
                for q in quantities
            },
        )
        for c in grid.conditions
        for r in range(grid.repetitions)
    ]  # fmt: skip


def test_means_that_agree_hold():
    claim = Line(GRID)
    verdict = claim.verdict(simulate(claim))
    assert verdict.outcome == "holds"
    (check,) = verdict.checks
    assert check.name == "y"
    assert "99% for all 6 together" in check.statement


def test_one_mean_that_is_off_fails_and_is_shown():
    claim = Line(GRID)
    verdict = claim.verdict(simulate(claim, bias=1.1))
    assert verdict.outcome == "fails"
    assert "n = 100, method = b" in verdict.checks[0].statement
    assert verdict.checks[0].predicted == 100


def test_means_too_noisy_for_the_precision_are_undecided():
    claim = Line(GRID)
    assert claim.verdict(simulate(claim, noise=0.3)).outcome == "undecided"


def test_nothing_to_compare_is_undecided():
    claim = Line(GRID, predicted=("z",))
    verdict = claim.verdict(simulate(claim))
    assert verdict.outcome == "undecided"
    assert "both predicted and measured" in verdict.checks[0].statement


def test_every_quantity_has_its_check():
    claim = Line(GRID, predicted=("y", "z", "unmeasured"))
    verdict = claim.verdict(simulate(claim, quantities=("y", "z", "other")))
    assert [check.name for check in verdict.checks] == ["y", "z"]
    assert "all 12 together" in verdict.checks[0].statement
    assert claim.reported == ("y", "z", "unmeasured")


def test_false_alarms_are_as_rare_as_stated():
    # 2000 right claims of 6 conditions; at most 1% fail, up to the 3.1 standard errors of a
    # binomial law that are exceeded with probability 0.001: 20 + 3.1 * 4.45 = 34. Of intervals at
    # 99% each, 5.9% would fail.
    claim, fails = Line(tuple({"n": n} for n in range(1, 7))), 0
    rng = np.random.default_rng(1)
    level = 1 - 0.01 / 6
    from scipy.stats import t

    data = rng.standard_normal((2000, 6, 8))
    half = t.ppf((1 + level) / 2, 7) * data.std(axis=2, ddof=1) / np.sqrt(8)
    expected = (np.abs(data.mean(axis=2)) > half).any(axis=1)
    for sample in data[:200]:
        results = [
            Result(c, r, {"y": c["n"] + sample[i, r]})
            for i, c in enumerate(claim.presets["quick"].conditions)
            for r in range(8)
        ]
        fails += claim.verdict(results).outcome == "fails"
    assert fails == expected[:200].sum()
    assert expected.sum() <= 34


@pytest.mark.parametrize(
    ("grid", "panels", "curves", "scale"),
    [
        (GRID, 1, 2, ("log", "log")),
        (({"n": 1}, {"n": 2}), 1, 1, ("linear", "linear")),
        (({"method": "a"}, {"method": "b"}), 1, 1, ("linear", "linear")),
        (({"n": 3},), 1, 1, ("linear", "linear")),
    ],
)
def test_draw(grid, panels, curves, scale):
    claim = Line(grid)
    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
        figure.canvas.draw()
    assert len(figure.axes) == panels
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == scale
    assert len(axes.containers) == curves
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-1] == "predicted" or "predicted" in labels
    if curves == 2:
        assert {"method = a", "method = b"} < set(labels)


def test_draw_has_a_panel_for_each_quantity_that_was_measured():
    claim = Line(GRID, predicted=("y", "z", "unmeasured"))
    with style():
        figure = Figure()
        claim.draw(simulate(claim, quantities=("y", "z")), figure)
    assert [axes.get_ylabel() for axes in figure.axes] == ["y", "z"]
