import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import restart as module
from lazyactive.experiments.figures import style


@pytest.fixture
def claim():
    return registry.get("restart-is-score-matching")


def simulate(claim, *, slope=1.0, limit=0.0, noise=0.02):
    rng, grid, results = np.random.default_rng(0), claim.presets["quick"], []
    for condition in grid.conditions:
        for repetition in range(grid.repetitions):
            found = {
                "slope": slope + noise * rng.standard_normal(),
                "limit_square": limit**2 + 0.01 * noise * rng.standard_normal(),
            }
            found |= {f"change_{h:g}": 2 * h**slope for h in module.STEPS[:-1]}
            results.append(Result(condition, repetition, found, 1.0))
    return results


def outcomes(claim, **options):
    return {c.name: c.outcome for c in claim.verdict(simulate(claim, **options)).checks}


def test_holds_as_predicted(claim):
    judged = outcomes(claim)
    assert len(judged) == 8
    assert set(judged.values()) == {"holds"}


def test_another_order_fails(claim):
    assert outcomes(claim, slope=0.5)["d = 3, alpha = 2: linear in the step"] == "fails"


def test_another_limit_fails(claim):
    assert outcomes(claim, limit=0.2)["d = 15, alpha = 3: agrees"] == "fails"


def test_noise_is_undecided(claim):
    judged = outcomes(claim, noise=1.0)
    assert judged["d = 3, alpha = 3: linear in the step"] == "undecided"
    assert judged["d = 3, alpha = 3: agrees"] == "undecided"


def test_measure(claim):
    found = claim.measure({"d": 3, "alpha": 3}, np.random.default_rng(0), {"pairs": 20_000})
    assert found["slope"] == pytest.approx(1, abs=0.2)
    assert abs(found["limit_square"]) < 0.01
    assert found["change_0.004"] > found["change_0.0005"]


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert len(figure.axes) == 2
