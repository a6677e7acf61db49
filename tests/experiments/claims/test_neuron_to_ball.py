import math

import numpy as np
import pytest
from scipy.optimize import minimize

from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims.neuron_to_ball import squared_distance
from lazyactive.experiments.figures import style
from lazyactive.numerics.kernels import arc_cosine
from lazyactive.numerics.sphere import uniform


@pytest.fixture
def claim(published):
    return published("neuron-to-f2-ball")


def simulate(claim, preset="quick", *, d=15, factor=1.0, power=0.0, noise=0.02, drift=1.0, n=None):
    """Squared distances with normal errors; what is spoiled, is so in one dimension."""
    rng = np.random.default_rng(0)
    grid = claim.presets[preset]
    results = []
    for condition in grid.conditions:
        exact = claim.predict(condition)["squared_distance"]
        spoiled = condition["d"] == d
        if spoiled:
            exact *= factor * (condition["delta"] / 2) ** (2 * power)
        for repetition in range(n or grid.repetitions):
            value = exact * (1 + (noise if spoiled else 0.02) * rng.standard_normal())
            twice = value * (drift if spoiled else 1.0)
            values = {"squared_distance": value, "twice_extrapolated": twice}
            results.append(Result(condition, repetition, {**values, "finite_width": value}))
    return results


def outcomes(claim, results):
    return {check.name: check.outcome for check in claim.verdict(results).checks}


# All intervals together have the level of 95%: a false alarm in at most 5% of seeds.
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_results_as_predicted_hold(claim, preset):
    assert set(outcomes(claim, simulate(claim, preset)).values()) == {"holds"}


@pytest.mark.parametrize(
    ("spoiled", "check", "answer"),
    [
        ({"factor": 1.2}, "d = 15: distance", "fails"),
        ({"factor": 0.85}, "d = 15: distance", "fails"),
        ({"factor": 1.2}, "d = 15: local slope", "holds"),
        ({"power": 0.1}, "d = 15: local slope", "fails"),
        ({"power": -0.1}, "d = 15: local slope", "fails"),
        # The slope of the asymptote, -3/14, instead of -0.68.
        ({"power": 0.466}, "d = 15: before the asymptote", "fails"),
        ({"noise": 0.4}, "d = 15: distance", "undecided"),
        ({"noise": 0.4}, "d = 15: local slope", "undecided"),
        # Extrapolations that disagree decide nothing.
        ({"drift": 1.2}, "d = 15: distance", "undecided"),
        ({"d": 3, "factor": 1.2}, "d = 3: distance", "fails"),
    ],
)
def test_what_is_wrong_is_seen(claim, spoiled, check, answer):
    judged = outcomes(claim, simulate(claim, **spoiled))
    assert judged[check] == answer
    dimension = check.split(":")[0]
    assert {v for k, v in judged.items() if not k.startswith(f"{dimension}:")} == {"holds"}


def test_one_repetition_decides_nothing(claim):
    assert set(outcomes(claim, simulate(claim, n=1)).values()) == {"undecided"}


def test_a_squared_distance_below_zero_decides_nothing(claim):
    judged = outcomes(claim, simulate(claim, noise=30.0))
    assert {v for k, v in judged.items() if k.startswith("d = 15")} == {"undecided"}


def test_predictions(claim):
    # d = 15 at the penalty 1e-2 of the ridge path.
    condition = {"d": 15, "delta": 0.652551114355477}
    assert claim.predict(condition)["squared_distance"] == pytest.approx(0.147133241244014**2)


@pytest.mark.parametrize("delta", [0.5, 1.5, 100.0])
def test_squared_distance_solves_the_constrained_problem(delta):
    d, m = 4, 5
    features, targets = uniform(m, d, 0), uniform(3, d, 1)
    gram, cross = (arc_cosine(features @ points.T, d, 1) for points in (features, targets))
    solved = []
    for b in cross.T:

        def loss(c, b=b):
            return 1 / (2 * d) - 2 * c @ b / m + c @ gram @ c / m**2

        ball = {"type": "ineq", "fun": lambda c: delta**2 - c @ c / m}
        best = minimize(loss, np.full(m, 0.1), constraints=ball, tol=1e-14)
        solved.append(best.fun)
    assert squared_distance(features, targets, delta) == pytest.approx(np.mean(solved), rel=1e-6)


def test_a_cell_is_measured(claim):
    condition, settings = {"d": 5, "delta": 1.0}, {"width": 400, "targets": 100}
    first, second = (claim.measure(condition, np.random.default_rng(7), settings) for _ in range(2))
    assert first == second
    cells = [claim.measure(condition, np.random.default_rng(s), settings) for s in range(8)]
    exact = claim.predict(condition)["squared_distance"]
    finite, extrapolated = (
        np.array([cell[name] for cell in cells]) for name in ("finite_width", "squared_distance")
    )
    # |z| > 5 of Student's law with 7 degrees of freedom has probability 0.002.
    z = (extrapolated.mean() - exact) / (extrapolated.std(ddof=1) / math.sqrt(8))
    assert abs(z) < 5
    assert extrapolated.std(ddof=1) < 0.02 * exact
    # A ball of finite width is farther away on average, but not by much at this radius.
    assert exact * 0.99 < finite.mean() < 1.05 * exact


def test_the_figure_has_a_curve_for_each_dimension(claim):
    with style():
        from matplotlib.figure import Figure

        figure = Figure()
        claim.draw(simulate(claim), figure)
    (axes,) = figure.axes
    assert len(axes.get_legend_handles_labels()[1]) == 5
    for d in (3, 5, 15):
        exact = math.sqrt(claim.predict({"d": d, "delta": 0.7})["squared_distance"])
        starts = [line.get_ydata()[0] for line in axes.lines if len(line.get_ydata()) == 40]
        assert min(abs(start / exact - 1) for start in starts) < 1e-9
