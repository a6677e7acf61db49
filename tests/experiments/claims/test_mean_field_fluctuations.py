import numpy as np
import pytest

from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import mean_field_fluctuations as module
from lazyactive.experiments.figures import style
from lazyactive.numerics import features, sphere
from lazyactive.numerics.discrepancies.kl import kl_divergence
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training.likelihood import Likelihood

CELL = "d = 3, planted: kl"


@pytest.fixture
def claim(published):
    return published("mean-field-fluctuations")


def simulate(claim, *, slope=-1.0, factor=1.0, noise=0.05, trained_noise=0.1):
    """Errors in planted networks of another slope and constant than predicted."""
    rng = np.random.default_rng(0)
    grid, results = claim.presets["quick"], []
    for condition in grid.conditions:
        m, kind = condition["m"], condition["networks"]
        expected = claim.predict(condition) or {"energy": 0.3 / m}
        spread = trained_noise if kind == "trained" else noise
        for repetition in range(grid.repetitions):
            values = {
                name: value * (1 + spread * rng.standard_normal())
                for name, value in expected.items()
            }
            if kind == "planted" and condition["d"] == 3:
                values["kl"] *= factor * (m / 362) ** (slope + 1)
            results.append(Result(condition, repetition, values, 1.0))
    return results


def outcomes(claim, **options):
    return {check.name: check.outcome for check in claim.verdict(simulate(claim, **options)).checks}


def test_holds_as_predicted(claim):
    judged = outcomes(claim)
    assert len(judged) == 2 * 4 * 2 + 2
    assert set(judged.values()) == {"holds"}


def test_another_slope_fails(claim):
    judged = outcomes(claim, slope=-1.1)
    assert judged.pop(f"{CELL}, slope") == "fails"
    judged.pop(f"{CELL}, constant")
    assert set(judged.values()) == {"holds"}


def test_another_constant_fails(claim):
    judged = outcomes(claim, factor=1.1)
    assert judged[f"{CELL}, constant"] == "fails"
    assert judged[f"{CELL}, slope"] == "holds"


def test_noise_is_undecided(claim):
    judged = outcomes(claim, noise=0.3, trained_noise=0.6)
    assert judged[f"{CELL}, slope"] == judged[f"{CELL}, constant"] == "undecided"
    assert judged["d = 3, trained: energy, slope"] == "undecided"


def test_divergence_is_that_of_the_package():
    rng = np.random.default_rng(0)
    energy, changes = rng.standard_normal(50), 0.3 * rng.standard_normal((4, 50))
    found = module._divergence(changes)
    expected = [kl_divergence(energy, energy + change).value for change in changes]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["planted", "random"])
def test_drawn_networks(claim, kind):
    """One standard error is about 4% of the energy, 5% of the divergence; 6e-5 at four of them."""
    condition = {"d": 3, "networks": kind, "m": 128}
    found = claim.measure(condition, np.random.default_rng(0), {kind: 600})
    expected = claim.predict(condition)
    assert found["energy"] == pytest.approx(expected["energy"], rel=0.16)
    assert found["kl"] == pytest.approx(expected["kl"], rel=0.2)


def test_networks_of_one_repetition_are_trained_on_the_same_data(claim, monkeypatch):
    assert claim.shared_keys == ("m",)
    seen = []
    original = Likelihood.of

    def remembering(X, reference, alpha):
        seen.append(X)
        return original(X, reference, alpha)

    monkeypatch.setattr(Likelihood, "of", staticmethod(remembering))
    for m in (4, 8):
        condition = {"d": 3, "networks": "trained", "m": m}
        assert claim.measure(condition, np.random.default_rng(0), {"trained": 2})["energy"] > 0
    np.testing.assert_array_equal(*seen)


def test_training_learns():
    """The loss falls below that of the uniform density, which is zero."""
    rng = np.random.default_rng(0)
    X = PlantedEnergy(*module.teacher(3)).sample(400, rng).astype(np.float32)
    likelihood = Likelihood.of(X, sphere.uniform(800, 3, rng, np.float32), 1)
    neurons, weights = module._train(likelihood, 3, 256, rng)
    assert likelihood.evaluate(neurons, weights)[0] < -0.02
    assert np.std(features.energy(X, neurons, weights)) > 0.1


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert len(figure.axes) == 2
