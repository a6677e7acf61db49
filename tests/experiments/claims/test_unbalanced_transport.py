import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import unbalanced_transport as module
from lazyactive.experiments.figures import style


@pytest.fixture
def claim():
    return registry.get("unbalanced-transport-helps")


def simulate(claim, *, gain=3.0, arrives=True, noise=0.1):
    """Times of 5 with birth and death; without, the longest or so many times more."""
    rng, grid, results = np.random.default_rng(0), claim.presets["quick"], []
    for condition in grid.conditions:
        for repetition in range(grid.repetitions):
            found = {"time": 5 * np.exp(noise * rng.standard_normal()), "reached": 1.0, "kl": 0.02}
            if condition["mass_rate"] == 0:
                found["time"] *= gain
            elif not arrives:
                found |= {"time": module.LONGEST, "reached": 0.0}
            results.append(Result(condition, repetition, found, 1.0))
    return results


def outcomes(claim, **options):
    return {c.name: c.outcome for c in claim.verdict(simulate(claim, **options)).checks}


def test_linear_speedup():
    assert module.linear_speedup(3) == pytest.approx(3 / 2)
    assert module.linear_speedup(15) == pytest.approx(15 / 14)


def test_holds_as_measured(claim):
    judged = outcomes(claim)
    assert len(judged) == 4
    assert set(judged.values()) == {"holds"}


def test_no_gain_fails(claim):
    assert set(outcomes(claim, gain=0.8).values()) == {"fails"}


def test_runs_that_do_not_arrive_fail(claim):
    assert set(outcomes(claim, arrives=False).values()) == {"fails"}


def test_noise_is_undecided(claim):
    assert outcomes(claim, gain=2.0, noise=2.0)["d = 15, mass 12: faster"] == "undecided"


def test_measure(claim, monkeypatch):
    monkeypatch.setattr(module, "TARGETS", {3: 0.5})
    condition = {"d": 3, "mass": 40.0, "mass_rate": 1}
    found = claim.measure(condition, np.random.default_rng(0), {"data": 300, "reference": 600})
    assert found["reached"] == 1
    assert 0 < found["time"] < 5


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert len(figure.axes) == 2
