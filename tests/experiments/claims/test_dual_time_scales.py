import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import dual_time_scales as module
from lazyactive.experiments.figures import style


@pytest.fixture
def claim():
    return registry.get("dual-time-scales")


def simulate(claim, *, factor=1.0, flat=False, repetitions=24, noise=0.5):
    """Divergences of the predicted mean, with the scatter of a square of few normal numbers."""
    rng, grid, results = np.random.default_rng(0), claim.presets["quick"], []
    for condition in grid.conditions:
        mean = 0.002 if flat else module.predicted_kl(condition["ratio"], 1000)
        if condition["w"] == module.WEAK:
            mean *= factor
        for repetition in range(repetitions):
            kl = mean * rng.gamma(1 / noise**2, noise**2)
            results.append(Result(condition, repetition, {"kl": kl, "kl_se": 0.0}, 1.0))
    return results


def outcomes(claim, **options):
    return {c.name: c.outcome for c in claim.verdict(simulate(claim, **options)).checks}


def test_holds_as_predicted(claim):
    judged = outcomes(claim)
    assert len(judged) == 10
    assert set(judged.values()) == {"holds"}


def test_a_wrong_factor_fails(claim):
    judged = outcomes(claim, factor=2.2)
    assert judged["w = -0.5, ratio 1: as predicted"] == "fails"


def test_ratios_that_do_not_matter_fail(claim):
    judged = outcomes(claim, flat=True)
    assert judged["w = -10: ratio 64 is worse"] == "fails"


def test_few_runs_are_undecided(claim):
    judged = outcomes(claim, repetitions=2)
    assert judged["w = -0.5, ratio 16: as predicted"] == "undecided"


def test_measure(claim):
    """A long way from matched scales the weak energy has hardly been learned."""
    settings = {"neurons": 24, "walkers": 100}
    condition = {"w": module.WEAK, "ratio": 1 / 64}
    found = claim.measure(condition, np.random.default_rng(0), settings)
    assert found["kl"] == pytest.approx(module.predicted_kl(1 / 64, 100), rel=0.3)


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert len(figure.axes) == 2
