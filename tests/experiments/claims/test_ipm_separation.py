import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import ipm_separation as module
from lazyactive.experiments.figures import style
from lazyactive.theory import separation

F1, F2 = (module.GROUPS, "f1"), (module.GROUPS, "f2_square")
PLUG_IN = (module.INDEPENDENT, "f2_square")
NAMES = ("f1", "f2 square", "ratio", "plug-in")


@pytest.fixture
def claim():
    return registry.get("ipm-separation")


def simulate(claim, *, spoiled=None, factor=1.0, noise=None):
    """Predicted values with errors of 0.2% (F1) and 3%; one quantity is spoiled at d = 12."""
    rng = np.random.default_rng(0)
    grid = claim.presets["quick"]
    results = []
    for condition in grid.conditions:
        d, exact = condition["d"], claim.predict(condition)
        for repetition in range(grid.repetitions):
            values = {}
            for quantity in exact:
                error, value = 0.002 if quantity == "f1" else 0.03, exact[quantity]
                if (condition["points"], quantity) == spoiled and d == 12:
                    value, error = factor * value, noise or error
                values[quantity] = value * (1 + error * rng.standard_normal())
            results.append(Result(condition, repetition, values, 1.0))
    return results


def outcomes(claim, **options):
    return {check.name: check.outcome for check in claim.verdict(simulate(claim, **options)).checks}


def test_predicted_distances_hold(claim):
    assert outcomes(claim) == dict.fromkeys(NAMES, "holds")


@pytest.mark.parametrize(
    ("spoiled", "factor", "failing"),
    [
        (F1, 1.01, {"f1"}),
        (F2, 1.2, {"f2 square", "ratio"}),
        # The published plug-in would be 4 times too large.
        (F2, 4.0, {"f2 square", "ratio"}),
        (PLUG_IN, 0.8, {"plug-in"}),
    ],
)
def test_a_wrong_distance_fails(claim, spoiled, factor, failing):
    judged = outcomes(claim, spoiled=spoiled, factor=factor)
    assert {name for name, outcome in judged.items() if outcome == "fails"} == failing


@pytest.mark.parametrize(
    ("spoiled", "noise", "name"),
    [(F1, 0.05, "f1"), (F2, 0.4, "f2 square"), (PLUG_IN, 0.3, "plug-in")],
)
def test_a_noisy_distance_decides_nothing(claim, spoiled, noise, name):
    assert outcomes(claim, spoiled=spoiled, noise=noise)[name] == "undecided"


def test_measure(claim):
    """Within 5 standard errors of some percent, by a pilot: false alarms below 1e-5."""
    condition = {"d": 6, "points": module.GROUPS, "n": 2048}
    exact, found = claim.predict(condition), claim.measure(condition, np.random.default_rng(1), {})
    assert found["f1"] == pytest.approx(exact["f1"], rel=0.05)
    assert found["f2_square"] == pytest.approx(exact["f2_square"], rel=0.3)


def test_plug_in(claim):
    condition = {"d": 6, "points": module.INDEPENDENT, "n": 3000}
    found = claim.measure(condition, np.random.default_rng(2), {"neurons": 500, "data_sets": 2})
    assert found["f2_square"] == pytest.approx(separation.ipm_plug_in(6, 6, 3000) ** 2, rel=0.6)
    # 0.4 / sqrt(n) is twice the standard error.
    assert found["f1"] == pytest.approx(separation.ipm(6, 6)[0], abs=0.015)


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert len(figure.axes) == 2
