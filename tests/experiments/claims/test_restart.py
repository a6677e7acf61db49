import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.figures import style


@pytest.fixture
def claim():
    return registry.get("restart-is-score-matching")


def simulate(claim, *, order=1.0, floor=0.0, noise=0.02):
    """Square errors of 2 h to a power, plus a floor."""
    rng, grid, results = np.random.default_rng(0), claim.presets["quick"], []
    for condition in grid.conditions:
        for repetition in range(grid.repetitions):
            square = (2 * condition["step"] ** order) ** 2 + floor**2
            square *= np.exp(noise * rng.standard_normal())
            found = {"square_error": square, "square_noise": 0.0}
            results.append(Result(condition, repetition, found, 1.0))
    return results


def outcomes(claim, **options):
    return {c.name: c.outcome for c in claim.verdict(simulate(claim, **options)).checks}


def test_holds_as_predicted(claim):
    judged = outcomes(claim)
    assert len(judged) == 8
    assert set(judged.values()) == {"holds"}


def test_another_order_fails(claim):
    assert outcomes(claim, order=0.5)["d = 3, alpha = 2: linear in the step"] == "fails"


def test_a_floor_fails(claim):
    assert outcomes(claim, floor=0.2)["d = 15, alpha = 3: agrees at small steps"] == "fails"


def test_noise_is_undecided(claim):
    judged = outcomes(claim, noise=1.0)
    assert judged["d = 3, alpha = 3: linear in the step"] == "undecided"


def test_measure(claim):
    """Coarse steps, where the error is far above the noise, which two halves cancel anyway."""
    condition = {"d": 3, "alpha": 3, "step": 0.04}
    found = claim.measure(condition, np.random.default_rng(0), {"pairs": 20_000})
    assert 0.005 < found["square_error"] < 0.1
    assert found["square_noise"] < 0.01


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert len(figure.axes) == 2
