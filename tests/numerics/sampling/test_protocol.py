"""What every sampler must satisfy. A new member of ALL_SAMPLERS is tested the day it is added."""

import numpy as np
import pytest
from scipy import integrate

from lazyactive.numerics import sphere
from lazyactive.numerics.sampling import ALL_SAMPLERS
from lazyactive.numerics.sampling.reweighting import weighted_mean

D = 6
THETA = np.array([0.48, 0.0, 0.6, 0.0, 0.64, 0.0])
CHAINS = [name for name, module in ALL_SAMPLERS.items() if hasattr(module, "step")]


def target(w):
    """One ReLU neuron of weight w: energy, Euclidean gradient."""
    return (
        lambda X: w * np.maximum(X @ THETA, 0.0),
        lambda X: w * (X @ THETA > 0)[:, None] * THETA,
    )


def exact_mean(g, w):
    def weighted(h):
        def integrand(t):
            return h(t) * (1 - t * t) ** ((D - 3) / 2) * np.exp(-w * max(t, 0.0))

        return integrate.quad(integrand, -1, 0)[0] + integrate.quad(integrand, 0, 1)[0]

    return weighted(g) / weighted(lambda t: 1.0)


@pytest.mark.parametrize("name", ALL_SAMPLERS)
@pytest.mark.parametrize("w", [-4.0, 4.0])
def test_exact_moments(name, w):
    """At 4 standard errors the false-alarm rate is 6e-5 for each of the 24 comparisons."""
    X, log_weights, rate = ALL_SAMPLERS[name].sample(8000, D, *target(w), rng=[3, len(name)])
    assert 0 < rate <= 1
    if log_weights is None:
        log_weights = np.zeros(len(X))
    t = X @ THETA
    for g in (lambda t: t, lambda t: t**2, lambda t: np.maximum(t, 0.0)):
        mean, se = weighted_mean(g(t), log_weights)
        assert abs(mean - exact_mean(g, w)) < 4 * se


@pytest.mark.parametrize("name", ALL_SAMPLERS)
def test_same_seed_same_sample(name):
    sample = ALL_SAMPLERS[name].sample
    first, second = sample(50, D, *target(-4.0), rng=1), sample(50, D, *target(-4.0), rng=1)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.X, sample(50, D, *target(-4.0), rng=2).X)


@pytest.mark.parametrize("name", ALL_SAMPLERS)
def test_samples_stay_on_the_sphere(name):
    X = ALL_SAMPLERS[name].sample(50, D, *target(-4.0), rng=1).X
    assert X.shape == (50, D)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, atol=1e-14)


@pytest.mark.parametrize("name", CHAINS)
def test_step_is_pure(name):
    module, (energy, gradient) = ALL_SAMPLERS[name], target(-4.0)
    start = sphere.uniform(50, D, 0)
    kept = start.copy()
    state = module.init(start, energy, gradient)
    once, info = module.step(state, energy, gradient, rng=5)
    twice, _ = module.step(state, energy, gradient, rng=5)
    np.testing.assert_array_equal(start, kept)
    np.testing.assert_array_equal(state.X, kept)
    np.testing.assert_array_equal(once.X, twice.X)
    assert info.accepted.any()
    # What was refused stays put, what was accepted has moved.
    moved = (kept != once.X).any(axis=1)
    np.testing.assert_array_equal(moved, info.accepted)


@pytest.mark.parametrize("name", CHAINS)
def test_state_remembers_the_energy_of_its_points(name):
    module, (energy, gradient) = ALL_SAMPLERS[name], target(-4.0)
    state = module.init(sphere.uniform(50, D, 0), energy, gradient)
    for seed in range(5):
        state, _ = module.step(state, energy, gradient, rng=seed)
    remembered = state.particles if name == "annealed" else state
    np.testing.assert_allclose(remembered.energy, energy(state.X), rtol=1e-13)


@pytest.mark.parametrize("name", ALL_SAMPLERS)
@pytest.mark.parametrize(
    ("energy", "message"),
    [
        (lambda X: X, r"energy must return an array of shape \(9,\) .* returned shape \(9, 6\)"),
        (lambda X: np.full(len(X), np.nan), "energy must return finite values .* 9 of 9"),
    ],
)
def test_bad_energies_are_refused(name, energy, message):
    with pytest.raises(ValueError, match=message):
        ALL_SAMPLERS[name].sample(9, D, energy, lambda X: X, rng=0)
