import numpy as np
import pytest

from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import lazy_scaling as module
from lazyactive.experiments.figures import style

KIND = "d = 3, alpha = 1"


@pytest.fixture
def claim(published):
    return published("lazy-scaling")


def simulate(claim, *, exponent=1.0, factor=1.0, small=0.8, noise=0.002, weak=1.0, weak_noise=0.02):
    """Movements of s^-exponent times the limit at large s, and s^-small below 16."""
    rng = np.random.default_rng(0)
    grid, results = claim.presets["quick"], []
    for condition in grid.conditions:
        for repetition in range(grid.repetitions):
            if condition["w"] == module.WEAK:
                expected = weak**0.5 * claim.predict(condition)["linearized"]
                values = {"linearized": expected * (1 + weak_noise * rng.standard_normal())}
            else:
                values = {"linearized": 5.0}
                for s in module.SCALES:
                    power = -small if s < 16 else -exponent
                    size = 5.0 * factor * s**power * (1 + noise * rng.standard_normal())
                    values[f"movement_{s}"] = size
            results.append(Result(condition, repetition, values, 1.0))
    return results


def outcomes(claim, **options):
    return {check.name: check.outcome for check in claim.verdict(simulate(claim, **options)).checks}


def test_holds_as_predicted(claim):
    judged = outcomes(claim)
    assert len(judged) == 3 * 4 + 2
    assert set(judged.values()) == {"holds"}


def test_another_slope_fails(claim):
    judged = outcomes(claim, exponent=0.95)
    for name in ("slope", "constant", "limit"):
        assert judged[f"{KIND}: {name}"] == "fails"
    assert judged[f"{KIND}: small s"] == "holds"


def test_another_constant_fails_the_limit_alone(claim):
    judged = outcomes(claim, factor=1.05)
    assert judged[f"{KIND}: limit"] == "fails"
    assert judged[f"{KIND}: slope"] == judged[f"{KIND}: constant"] == "holds"


def test_a_network_that_is_lazy_at_any_scale_fails(claim):
    assert outcomes(claim, small=1.0)[f"{KIND}: small s"] == "fails"


def test_noise_is_undecided(claim):
    judged = outcomes(claim, noise=0.05, weak_noise=0.2)
    assert judged[f"{KIND}: limit"] == judged[f"{KIND}: weak energy"] == "undecided"


def test_a_wrong_constant_at_weak_energy_fails(claim):
    assert outcomes(claim, weak=1.2)[f"{KIND}: weak energy"] == "fails"


def test_measure(claim, monkeypatch):
    monkeypatch.setattr(module, "SCALES", (1, 4096))
    monkeypatch.setattr(module, "TIME", 10.0)
    condition = {"d": 3, "alpha": 1, "w": module.STRONG, "n": 100}
    found = claim.measure(condition, np.random.default_rng(0), {"pairs": 16, "data_sets": 1})
    assert module.scaled(Result(condition, 0, found, 1.0), 4096) == pytest.approx(1, abs=0.02)
    assert found["movement_1"] > 100 * found["movement_4096"]


def test_measure_at_weak_energy(claim):
    """Both signs of w in turn; 20 sets of 50 points have a mean square good to 20%."""
    condition = {"d": 3, "alpha": 1, "w": module.WEAK, "n": 50}
    found = claim.measure(condition, np.random.default_rng(0), {"pairs": 16, "data_sets": 20})
    assert found["linearized"] == pytest.approx(claim.predict(condition)["linearized"], rel=0.25)


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert len(figure.axes) == 1
