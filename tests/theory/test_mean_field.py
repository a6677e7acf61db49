"""Closed brackets against means over networks of particles that are drawn."""

import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.features import feature_matrix
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.theory import mean_field

DIRECTIONS = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, -0.6, 0.8]])
WEIGHTS = np.array([3.0, -2.0, 1.0])


def networks(rng, features, weights, m, size):
    """Energies of `size` networks of m of the J atoms, at points: features (n, J) to (size, n)."""
    chosen = rng.integers(len(weights), size=(size, m))
    counts = np.stack([np.bincount(row, minlength=len(weights)) for row in chosen])
    return counts / m * weights @ features.T


def kl_at(energy, others):
    """KL from the law of the points to each of the other energies, by the mean of an exponential.

    Points are of the law itself: log E exp(f - g) + E(g - f).
    """
    change = others - energy
    return np.log(np.exp(-change).mean(axis=1)) + change.mean(axis=1)


@pytest.mark.parametrize("alpha", [1, 2])
def test_energy_of_atoms(alpha):
    """4000 networks: 4 standard errors, false alarms 6e-5, and 1% for the mean over points."""
    rng, m = np.random.default_rng(0), 7
    X = sphere.uniform(40_000, 3, rng)
    features = feature_matrix(X, DIRECTIONS, alpha)
    exact = features @ WEIGHTS / 3
    squares = np.mean((networks(rng, features, WEIGHTS, m, 4000) - exact) ** 2, axis=1)
    predicted = mean_field.energy_fluctuation(DIRECTIONS, WEIGHTS, alpha) / m
    error = 4 * squares.std() / np.sqrt(4000) + 0.01 * predicted
    assert abs(squares.mean() - predicted) < error


def test_kl_of_atoms():
    """The same, for m so large that the next order, 1/m of it, is below the error."""
    rng, m = np.random.default_rng(1), 300
    X = PlantedEnergy(DIRECTIONS, WEIGHTS).sample(40_000, rng)
    features = feature_matrix(X, DIRECTIONS, 1)
    kl = kl_at(features @ WEIGHTS / 3, networks(rng, features, WEIGHTS, m, 4000))
    predicted = mean_field.kl_fluctuation(DIRECTIONS, WEIGHTS) / (2 * m)
    error = 4 * kl.std() / np.sqrt(4000) + 0.02 * predicted
    assert abs(kl.mean() - predicted) < error


@pytest.mark.parametrize(("d", "alpha"), [(5, 1), (3, 2)])
def test_random_networks(d, alpha):
    rng, m, variance = np.random.default_rng(2), 100, 0.5
    X = sphere.uniform(4000, d, rng)
    energies = np.array(
        [
            feature_matrix(X, sphere.uniform(m, d, rng), alpha)
            @ rng.normal(0, variance**0.5, m)
            / m
            for _ in range(1500)
        ]
    )
    predicted = mean_field.initial_fluctuations(d, variance, alpha)
    squares, kl = np.mean(energies**2, axis=1), kl_at(0.0, energies)
    for found, expected in zip((m * squares, 2 * m * kl), predicted, strict=True):
        assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(1500) + 0.02 * expected


def test_exact_values():
    # kappa(1) = 1/(2d), and lambda_0 = 3/16 for the rectifier at d = 5.
    energy, kl = mean_field.initial_fluctuations(5)
    assert energy == pytest.approx(0.1, rel=1e-12)
    assert kl == pytest.approx(0.1 - (3 / 16) ** 2, rel=1e-12)
    # Equal particles have nothing to fluctuate.
    assert mean_field.energy_fluctuation(DIRECTIONS[[0, 0]], [2.0, 2.0]) == pytest.approx(0)
    assert mean_field.kl_fluctuation(DIRECTIONS[:1], [2.0]) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("options", [{"d": 1}, {"variance": -1.0}, {"alpha": -1}])
def test_bad_input_is_refused(options):
    with pytest.raises(ValueError, match=r"must be"):
        mean_field.initial_fluctuations(**({"d": 5} | options))
