from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import eval_gegenbauer
from scipy.stats import kstest

from lazyactive.numerics import harmonic_pairs, sphere


def density(k, d, t):
    """P_k times the density of t under tau, both up to constants."""
    value = eval_gegenbauer(k, (d - 2) / 2, t) / eval_gegenbauer(k, (d - 2) / 2, 1.0)
    return value, (1 - t**2) ** ((d - 3) / 2)


def distribution(weight, t):
    grid = np.linspace(-1, 1, 4001)
    cells = [quad(weight, a, b)[0] for a, b in pairwise(grid)]
    return np.interp(t, grid, np.concatenate([[0], np.cumsum(cells)]) / sum(cells))


# Four tests with a fixed seed, of false-alarm rate 1e-3 each.
@pytest.mark.parametrize(("k", "d"), [(6, 6), (3, 16)])
def test_law_of_the_coordinate(k, d):
    axis = sphere.uniform(1, d, rng=0)[0]
    for sign, X in zip(
        (1, -1), harmonic_pairs.positive_parts(k, d, 20_000, rng=1, axis=axis), strict=True
    ):
        np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, atol=1e-12)

        def weight(t, s=sign):
            value, mass = density(k, d, t)
            return max(s * value, 0) * mass

        assert kstest(X @ axis, lambda t, w=weight: distribution(w, t)).pvalue > 1e-3


def test_smooth_pair_has_the_mean_of_its_harmonic():
    k, d, gamma, n = 2, 4, 0.8, 200_000
    X, Y = harmonic_pairs.smooth(k, d, n, gamma, rng=2)
    # E P_k = gamma / N(d, k), and N(4, 2) = 9.
    for sign, sample in ((1, X), (-1, Y)):
        values, _ = density(k, d, sample[:, -1])
        error = values.std() / np.sqrt(n)
        assert abs(values.mean() - sign * gamma / 9) < 4 * error


def test_the_rest_is_uniform():
    X, _ = harmonic_pairs.positive_parts(4, 5, 50_000, rng=3)
    rest = sphere.normalize(X[:, :-1])
    covariance = rest.T @ rest / len(rest)
    # Standard errors are below 1e-3.
    np.testing.assert_allclose(covariance, np.eye(4) / 4, atol=5e-3)
    assert np.abs(rest.mean(axis=0)).max() < 0.01


# Four tests with a fixed seed, of false-alarm rate 1e-3 each.
@pytest.mark.parametrize("rank", [0, 7])
def test_in_groups_each_point_has_its_law(rank):
    k, d, group_size = 4, 5, 8
    axis = sphere.uniform(1, d, rng=5)[0]
    pair = harmonic_pairs.positive_parts(k, d, 40_000, rng=6, axis=axis, group_size=group_size)
    for sign, X in zip((1, -1), pair, strict=True):

        def weight(t, s=sign):
            value, mass = density(k, d, t)
            return max(s * value, 0) * mass

        def law(t, w=weight):
            return distribution(w, t)

        # The points of one rank in their groups are independent, on their part of the quantiles.
        t = X[rank::group_size] @ axis
        quantiles = group_size * law(t)
        # Quantiles run along the angle, against t.
        assert kstest(quantiles - (group_size - 1 - rank), "uniform").pvalue > 1e-3


def test_groups_share_what_is_orthogonal_to_the_axis():
    X, Y = harmonic_pairs.smooth(3, 4, 60, 0.5, rng=7, group_size=20)
    rest = np.concatenate([sphere.normalize(Z[:, :-1]).reshape(3, 20, 3) for Z in (X, Y)], axis=1)
    np.testing.assert_allclose(rest, np.broadcast_to(rest[:, :1], rest.shape), atol=1e-9)
    assert abs(rest[0, 0] @ rest[1, 0]) < 0.99


def test_groups_take_the_noise_from_a_mean():
    # t - t' is a function of the quantile: with 16 in a group its mean has error O(1/16 sqrt(G)).
    means = []
    for group_size in (1, 16):
        pairs = [
            harmonic_pairs.smooth(2, 4, 64, 1.0, rng, group_size=group_size) for rng in range(200)
        ]
        means.append([np.mean(X[:, -1] ** 2 - Y[:, -1] ** 2) for X, Y in pairs])
    assert np.std(means[1]) < np.std(means[0]) / 8
    # Both are unbiased: E t^2 = 1/4 + (3/4) E P_2 with E P_2 = 1/9; 4 standard errors.
    for found in means:
        assert abs(np.mean(found) - 2 * 0.75 / 9) < 4 * np.std(found) / np.sqrt(200)


def test_seed_and_circle():
    first, again = (harmonic_pairs.positive_parts(3, 2, 100, rng=4) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    angles = np.arccos(np.clip(first[0][:, 1], -1, 1))
    # On the circle P_3 is the cosine of three times the angle.
    assert np.all(np.cos(3 * angles) > -1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harmonic_pairs.positive_parts(0, 5, 10), "k must be"),
        (lambda: harmonic_pairs.positive_parts(2, 1, 10), "d must be"),
        (lambda: harmonic_pairs.positive_parts(2, 5, 10, axis=np.eye(4)[0]), "axis must be"),
        (lambda: harmonic_pairs.smooth(2, 5, 10, gamma=1.1), "gamma must be in"),
        (lambda: harmonic_pairs.smooth(2, 5, 10, group_size=3), "group_size must divide"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
