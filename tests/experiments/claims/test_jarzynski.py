import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import jarzynski as module
from lazyactive.experiments.figures import style
from lazyactive.theory.gibbs import PlantedGibbs

NETWORK = {"first": -6.0, "second": -3.0, "cosine": 0.6}
DIRECTIONS = {
    d: np.array([[1.0, 0.0] + [0.0] * (d - 2), [0.6, 0.8] + [0.0] * (d - 2)])
    for d in module.DIMENSIONS
}


@pytest.fixture
def claim():
    return registry.get("jarzynski-unbiased")


def simulate(claim, *, bias=None, noise=1.0):
    """One network at all checkpoints; errors are normal, and those of shortcuts of 50 errors."""
    rng = np.random.default_rng(0)
    grid, results = claim.presets["quick"], []
    for condition in grid.conditions:
        d, correction = condition["d"], condition["correction"]
        weights = [NETWORK["first"], NETWORK["second"]]
        exact = PlantedGibbs(DIRECTIONS[d], weights).log_partition()
        shift = (bias or {}).get((d, correction), 0 if correction == "jarzynski" else -50)
        for repetition in range(grid.repetitions):
            values = {}
            for k in module.CHECKPOINTS:
                error = 0.01 * (shift + 0.8 * noise * rng.standard_normal())
                own = NETWORK | {"log_partition": exact + error, "se": 0.01}
                if correction == "persistent" and k > 10:
                    own["first"] = -1200.0
                values |= {f"{name}_{k}": value for name, value in own.items()}
            results.append(Result(condition, repetition, values, 1.0))
    return results


def outcomes(claim, **options):
    return {check.name: check.outcome for check in claim.verdict(simulate(claim, **options)).checks}


def test_holds_as_predicted(claim):
    judged = outcomes(claim)
    assert len(judged) == 8
    assert set(judged.values()) == {"holds"}


def test_a_drift_fails(claim):
    judged = outcomes(claim, bias={(15, "jarzynski"): 6.0})
    assert judged["d = 15: tracked"] == judged["d = 15: unbiased"] == "fails"
    assert judged["d = 3: tracked"] == "holds"


def test_errors_that_are_a_little_large_are_undecided(claim):
    judged = outcomes(claim, bias={(3, "jarzynski"): 3.7}, noise=0.2)
    assert judged["d = 3: tracked"] == "undecided"


def test_shortcuts_that_work_fail(claim):
    judged = outcomes(claim, bias={(3, "persistent"): 0.0, (15, "contrastive"): 4.0})
    assert judged["d = 3: persistent divergence is biased"] == "fails"
    assert judged["d = 15: contrastive divergence is biased"] == "undecided"


def test_weights_that_run_away_are_left_out(claim):
    runs = [r for r in simulate(claim) if r.condition["correction"] == "persistent"]
    assert not module.integrable(runs[0], 20)
    assert module.integrable(runs[0], 10)
    assert "after 10 steps" in module.biased(3, "persistent", runs).statement


def test_measure(claim, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINTS", (1, 3))
    settings = {"walkers": 100, "islands": 8}
    condition = {"d": 3, "correction": "jarzynski"}
    found = claim.measure(condition, np.random.default_rng(0), settings)
    result = Result(condition, 0, found, 1.0)
    # Student's law of 3 degrees of freedom is beyond 30 with probability 1e-4.
    assert all(abs(module.deviation(result, k)) < 30 for k in (1, 3))
    assert found["first_3"] != found["first_1"]


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert len(figure.axes) == 2
