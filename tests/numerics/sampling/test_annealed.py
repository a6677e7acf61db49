"""Annealed importance sampling against log Z by quadrature, where plain reweighting fails."""

import numpy as np
import pytest
from scipy import integrate

from lazyactive.numerics.sampling import annealed, reweighting

D = 15


def target(w):
    return (
        lambda X: w * np.maximum(X[:, 0], 0.0),
        lambda X: w * (X[:, 0] > 0)[:, None] * np.eye(D)[:1],
    )


def exact_log_z(w, d):
    def mass(w):
        def integrand(t):
            return (1 - t * t) ** ((d - 3) / 2) * np.exp(-w * max(t, 0.0))

        return integrate.quad(integrand, -1, 0)[0] + integrate.quad(integrand, 0, 1)[0]

    return np.log(mass(w) / mass(0.0))


def test_the_quadrature():
    np.testing.assert_allclose(exact_log_z(-5.0, 15), 0.914948200988979, rtol=1e-12)
    np.testing.assert_allclose(exact_log_z(10.0, 15), -0.457540774942493, rtol=1e-12)


def test_log_z_where_reweighting_refuses():
    w = -40.0
    with pytest.raises(reweighting.PartitionFunctionError):
        reweighting.log_partition(reweighting.sample(3000, D, *target(w), rng=0).log_weights)
    log_weights = annealed.sample(3000, D, *target(w), rng=0, n_temperatures=150).log_weights
    value, se, ess = reweighting.log_partition(log_weights)
    assert ess > 300
    assert se < 0.1
    assert abs(value - exact_log_z(w, D)) < 4 * se  # false-alarm rate 6e-5


@pytest.mark.parametrize("n_temperatures", [1, 2, 5])
@pytest.mark.parametrize("w", [-8.0, 8.0])
@pytest.mark.parametrize("step_size", [0.02, 0.3])
def test_z_is_unbiased_on_any_ladder(n_temperatures, w, step_size):
    """Even when the particles are far from equilibrium; false-alarm rate 6e-5 for each of 12."""
    sample = annealed.sample(
        20_000, D, *target(w), rng=4, n_temperatures=n_temperatures, step_size=step_size
    )
    weights = np.exp(sample.log_weights - exact_log_z(w, D))
    assert abs(weights.mean() - 1) < 4 * weights.std() / np.sqrt(len(weights))


def test_one_temperature_is_reweighting():
    """With a single rise the weights are e^{-f} at the points before the move."""
    energy, gradient = target(-5.0)
    X = np.random.default_rng(0).standard_normal((50, D))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    state, _ = annealed.step(annealed.init(X, energy, gradient), energy, gradient, rng=1)
    np.testing.assert_allclose(state.log_weights, -energy(X), rtol=1e-13)
    assert state.inverse_temperature == 1.0


def test_bad_ladder_is_refused():
    with pytest.raises(ValueError, match="n_temperatures must be an integer >= 1, but it is 0"):
        annealed.sample(5, D, *target(1.0), rng=0, n_temperatures=0)
