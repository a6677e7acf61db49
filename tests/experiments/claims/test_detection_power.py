import math

import numpy as np
import pytest
from scipy.stats import norm

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import detection_power as module
from lazyactive.experiments.figures import style

F2 = "F2: predicted sample size"
TESTS = [test for pair in module.TESTS.values() for test in pair]


@pytest.fixture
def claim():
    return registry.get("detection-power")


def truth(claim, test, d):
    """Sample sizes of about those of the pilot."""
    if test == "f2":
        return claim.predict({"test": test, "d": d})["required"]
    exponent = {"f1": 0.3, "max-sliced-wasserstein": 0.7, "sliced-wasserstein": 1.8}[test]
    centre = {"f1": module.F1, "sliced-wasserstein": module.SLICED}.get(test, module.MAX_SLICED)[8]
    return centre * (d / 8) ** exponent


def simulate(claim, *, preset="paper", factors=None, sharpness=3.0):
    """Binomial rejections, with power curves through 80% at the true size times a factor."""
    rng = np.random.default_rng(0)
    grid = claim.presets[preset]
    results = []
    for condition in grid.conditions:
        test, d = condition["test"], condition["d"]
        size = truth(claim, test, d) * (factors or {}).get(test, lambda d: 1.0)(d)
        centre = {"f1": module.F1, "f2": module.F2, "sliced-wasserstein": module.SLICED}
        around = condition["n"] / centre.get(test, module.MAX_SLICED)[d]
        argument = norm.ppf(0.75 / 0.95) + sharpness * math.log(around)
        power = 0.05 + 0.95 * norm.cdf(argument)
        own = condition | {"n": round(around * size)}
        for repetition in range(grid.repetitions):
            n = grid.settings["data_sets"]
            values = {"rejections": float(rng.binomial(n, power)), "data_sets": float(n)}
            results.append(Result(own, repetition, values, 1.0))
    return results


def outcomes(claim, **options):
    return {check.name: check.outcome for check in claim.verdict(simulate(claim, **options)).checks}


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_holds_as_measured(claim, preset):
    judged = outcomes(claim, preset=preset)
    assert len(judged) == 5
    assert set(judged.values()) == {"holds"}


@pytest.mark.parametrize("factor", [0.62, 1.6])
def test_another_size_than_predicted_fails(claim, factor):
    assert outcomes(claim, factors={"f2": lambda d: factor})[F2] == "fails"


def test_a_size_at_the_edge_of_the_tolerance_is_undecided(claim):
    judged = outcomes(claim, factors={"f2": lambda d: 1.25}, preset="quick")
    assert judged[F2] == "undecided"


def test_moving_features_that_need_more_fail(claim):
    # A growth by d^2.2 against d^1.8, and twice as many as average slices.
    factors = {"max-sliced-wasserstein": lambda d: 10 * (d / 8) ** 1.5}
    judged = outcomes(claim, factors=factors)
    assert judged["thin: max-sliced W grows more slowly"] == "fails"
    assert judged["thin: max-sliced W needs fewer samples"] == "fails"
    assert judged["harmonic: F1 needs fewer samples"] == "holds"


def test_no_transition_decides_nothing(claim):
    results = [
        Result(r.condition, r.repetition, {"rejections": 0.0, "data_sets": 8.0}, 1.0)
        for r in simulate(claim)
    ]
    assert {check.outcome for check in claim.verdict(results).checks} == {"undecided"}


@pytest.mark.parametrize("test", TESTS)
def test_measure(claim, test):
    pair = module.HARMONIC if test.startswith("f") else module.THIN
    settings = {"data_sets": 2, "permutations": 19}
    condition = {"pair": pair, "test": test, "d": 4, "n": 20}
    found = claim.measure(condition, np.random.default_rng(0), settings)
    assert found["data_sets"] == 2
    assert found["rejections"] in (0, 1, 2)
    large = condition | {"n": 3 * {"f1": 360, "f2": 1150}.get(test, 200)}
    # The power is 1 to three digits there.
    assert claim.measure(large, np.random.default_rng(1), settings)["rejections"] == 2


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim, preset="quick"), figure)
    assert len(figure.axes) == 2
