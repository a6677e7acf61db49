"""Means over great circles against those under tau."""

import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.great_circles import great_circles
from lazyactive.numerics.harmonics import legendre


@pytest.mark.parametrize("d", [2, 3, 6, 17])
def test_points_are_on_circles_through_the_axis(d):
    e = sphere.uniform(1, d, 0)[0]
    X, weights = great_circles(5, 8, e, 1)
    assert X.shape == (40, d)
    assert weights.shape == (40,)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, atol=1e-12)
    for circle in X.reshape(5, 8, d):
        assert np.linalg.matrix_rank(np.vstack([circle, e]), tol=1e-10) == 2
        # Neighbours are at equal angles, and an even number of points has opposite ones.
        steps = np.sum(circle * np.roll(circle, 1, axis=0), axis=1)
        np.testing.assert_allclose(steps, np.cos(2 * np.pi / 8), atol=1e-12)
        np.testing.assert_allclose(circle[:4], -circle[4:], atol=1e-12)


@pytest.mark.parametrize(("d", "error"), [(6, 1e-13), (16, 1e-13), (5, 5e-3), (15, 1e-6)])
def test_polynomials_of_the_cosine_are_integrated(d, error):
    """The mean of P_j P_k is 1 / N(d, k) where j = k, and else 0, on every circle.

    Exactly so for even d; for odd d the (d-2)-nd derivative of the weight jumps.
    """
    e, k = sphere.uniform(1, d, 0)[0], 5
    X, weights = great_circles(4, 2 * k + d, e, 1)
    values = legendre(np.clip(X @ e, -1, 1), d, k)
    for circle in range(4):
        own = slice(circle * (2 * k + d), (circle + 1) * (2 * k + d))
        gram = (values[:, own] * weights[own]) @ values[:, own].T / (2 * k + d)
        # From the relations of Legendre polynomials, 1 / N(d, 1) = 1/d and so on.
        assert gram[0, 0] == pytest.approx(1, abs=error)
        assert gram[1, 1] == pytest.approx(1 / d, abs=error)
        assert gram[2, 2] == pytest.approx(2 / ((d - 1) * (d + 2)), abs=error)
        np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=error)


@pytest.mark.parametrize("n_angles", [1, 3, 20])
def test_means_are_unbiased(n_angles):
    """z-scores of a neuron's mean and that of its cube: false-alarm rate 1e-4 each at 4."""
    d, theta = 5, sphere.uniform(1, 5, 0)[0]
    X, weights = great_circles(40_000, n_angles, np.eye(d)[0], 1)
    t = np.maximum(X @ theta, 0)
    # E t^2 / 2 and E |t| / 2 of a coordinate of the sphere of R^5.
    for values, exact in ((t**2, 1 / (2 * d)), (t, 3 / 16)):
        means = (weights * values).reshape(-1, n_angles).mean(axis=1)
        assert abs(means.mean() - exact) < 4 * means.std() / np.sqrt(len(means))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_circles": 0}, "n_circles must be an integer >= 1"),
        ({"n_angles": 1.5}, "n_angles must be an integer >= 1"),
        ({"axis": np.ones(3)}, "axis must lie on the unit sphere"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        great_circles(**({"n_circles": 2, "n_angles": 2, "axis": np.eye(3)[0]} | change))
