"""Exact samples of energies in a subspace against quadrature in the ball.

Statistical tests use fixed seeds. At 4 standard errors one comparison raises a false alarm with
probability 6e-5 under a new seed; the about 50 comparisons below, with probability 0.3%.
"""

import numpy as np
import pytest
from scipy import stats

from lazyactive.numerics.subspace import SubspaceEnergy

N = 40_000


def z_score(values, exact):
    return abs(np.mean(values) - exact) / (np.std(values, ddof=1) / np.sqrt(len(values)))


def rough(u):
    """No symmetry, a kink, and nothing separable."""
    centre = np.linspace(0.5, -0.2, u.shape[1])
    return 4 * np.linalg.norm(u - centre, axis=1) - u[:, -1]


def ball_rule(k, d):
    """Points and weights on the unit ball of R^k for the density (1-|u|^2)^{(d-k-2)/2}.

    The midpoint rule on one coordinate after another: each is t = cos(angle) times what radius is
    left, which turns the density into a product of powers of sines.
    """
    m = {1: 4000, 2: 800, 3: 160}[k]
    angle = (np.arange(m) + 0.5) * np.pi / m
    u, mass, radius = np.empty((1, 0)), np.ones(1), np.ones(1)
    for j in range(k):
        t = radius[:, None] * np.cos(angle)
        u = np.column_stack([np.repeat(u, m, axis=0), t.ravel()])
        mass = (mass[:, None] * np.sin(angle) ** (d - j - 2)).ravel()
        radius = (radius[:, None] * np.sin(angle)).ravel()
    return u, mass / mass.sum()


@pytest.mark.parametrize(("k", "d"), [(1, 2), (1, 10), (2, 3), (2, 4), (2, 15), (3, 4), (3, 10)])
def test_moments_are_those_of_quadrature(k, d):
    teacher = SubspaceEnergy(rough, k, d, minimum=-1.0)
    X = teacher.sample(N, rng=[k, d])
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-12)
    u, mass = ball_rule(k, d)
    mass = mass * np.exp(-rough(u))
    mass /= mass.sum()
    moments = [rough, lambda u: u[:, 0], lambda u: u[:, 0] * u[:, -1], lambda u: (u**2).sum(1)]
    for moment in moments:
        assert z_score(moment(X[:, :k]), mass @ moment(u)) < 4
    # The rest is uniform on its sphere: its mean is zero, and all its coordinates are alike.
    assert z_score(X[:, -1], 0.0) < 4
    if d > k + 1:
        assert z_score(X[:, -1] ** 2 - X[:, -2] ** 2, 0.0) < 4


def test_without_energy_the_projection_is_that_of_tau():
    # |u|^2 is Beta(k/2, (d-k)/2); false-alarm rate 1e-4.
    X = SubspaceEnergy(lambda u: np.zeros(len(u)), 3, 10, minimum=0.0).sample(N, rng=3)
    squares = (X[:, :3] ** 2).sum(1)
    assert stats.kstest(squares, stats.beta(1.5, 3.5).cdf).pvalue > 1e-4


def test_a_lower_minimum_gives_the_same_distribution():
    # Two samples of one law; false-alarm rate 1e-4.
    tight, loose = (
        SubspaceEnergy(rough, 2, 5, minimum=minimum).sample(10_000, rng=5)[:, 0]
        for minimum in (-1.0, -2.5)
    )
    assert stats.ks_2samp(tight, loose).pvalue > 1e-4


def test_energy_and_seeds():
    teacher = SubspaceEnergy(rough, 2, 5, minimum=-1.0)
    X = teacher.sample(1000, rng=5)
    np.testing.assert_array_equal(teacher.energy(X), rough(X[:, :2]))
    np.testing.assert_array_equal(X, teacher.sample(1000, rng=5))
    assert not np.array_equal(X, teacher.sample(1000, rng=6))
    assert teacher.sample(0, rng=5).shape == (0, 5)


def test_a_wrong_minimum_is_refused():
    with pytest.raises(ValueError, match=r"a lower bound .*, but it is 0.5 and .* 0.0"):
        SubspaceEnergy(lambda u: np.abs(u[:, 0]), 1, 3, minimum=0.5).sample(1000, rng=0)


def test_a_hopeless_minimum_is_an_error_not_a_loop():
    teacher = SubspaceEnergy(lambda u: np.abs(u[:, 0]), 1, 3, minimum=-50.0)
    with pytest.raises(RuntimeError, match=r"0 of 1 samples were accepted among .* proposals"):
        teacher.sample(1, rng=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((rough, 0, 3, 0.0), "k must be an integer >= 1, but it is 0"),
        ((rough, 3, 3, 0.0), "d must be an integer >= 4, but it is 3"),
        ((rough, 1, 3, np.nan), "minimum must be a finite number, but it is nan"),
    ],
)
def test_bad_energies_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SubspaceEnergy(*arguments)


def test_bad_calls_are_refused():
    teacher = SubspaceEnergy(rough, 2, 5, minimum=-1.0)
    with pytest.raises(ValueError, match="X must have d = 5 columns, but it has 2"):
        teacher.energy([[1.0, 0.0]])
    with pytest.raises(ValueError, match="n must be an integer >= 0, but it is -1"):
        teacher.sample(-1)
