import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import dual_high_dimension as module
from lazyactive.experiments.figures import style

LEVELS = {"active": 0.013, "frozen": 0.5, "lazy optimum": 0.04}


@pytest.fixture
def claim():
    return registry.get("dual-high-dimension")


def simulate(claim, *, noise=0.1, **levels):
    rng, grid, results = np.random.default_rng(0), claim.presets["quick"], []
    for condition in grid.conditions:
        for repetition in range(grid.repetitions):
            level = (LEVELS | levels)[condition["method"]]
            kl = level * np.exp(noise * rng.standard_normal())
            found = {"kl": kl} | {f"kl_{look:g}": kl for look in module.LOOKS}
            results.append(Result(condition, repetition, found, 1.0))
    return results


def outcomes(claim, **options):
    return {c.name: c.outcome for c in claim.verdict(simulate(claim, **options)).checks}


def test_holds_as_measured(claim):
    assert set(outcomes(claim).values()) == {"holds"}


def test_frozen_neurons_that_do_as_well_fail(claim):
    judged = outcomes(claim, frozen=0.013)
    assert judged["frozen: worse"] == "fails"
    assert judged["lazy optimum: worse"] == "holds"


def test_a_poor_fit_fails(claim):
    assert outcomes(claim, active=0.1)["active: learned"] == "fails"


def test_noise_is_undecided(claim):
    assert outcomes(claim, frozen=0.15, noise=0.5)["frozen: worse"] == "undecided"


def test_measure(claim, monkeypatch):
    """A little training, neurons moving and frozen, from the same start."""
    monkeypatch.setattr(module, "LOOKS", (0.005, 0.3))
    settings = {"data": 500, "walkers": 500}
    found = {
        method: claim.measure({"method": method}, np.random.default_rng(0), settings)
        for method in ("active", "frozen")
    }
    assert found["active"]["kl"] < 0.5 * found["frozen"]["kl"]


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert figure.axes[0].get_xlabel() == "time of training"
