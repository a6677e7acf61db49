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
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
