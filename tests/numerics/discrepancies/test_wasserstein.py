import numpy as np
import ot
import pytest
from scipy.stats import wasserstein_distance

from lazyactive.numerics import sphere
from lazyactive.numerics.discrepancies.wasserstein import (
    _distance_and_slope,
    max_sliced_wasserstein,
    sliced_wasserstein,
)
from lazyactive.theory import separation


@pytest.mark.parametrize(("n", "m"), [(500, 500), (300, 401)])
def test_against_optimal_transport_on_the_same_projections(n, m):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((n, 7)), 0.5 + rng.standard_normal((m, 7))
    directions = sphere.uniform(50, 7, rng)
    expected = ot.sliced_wasserstein_distance(X, Y, projections=directions.T, p=1)
    assert sliced_wasserstein(X, Y, directions=directions).value == pytest.approx(
        expected, rel=1e-10
    )


def masses(n, m):
    return np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])


def test_distance_and_its_derivative():
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((60, 4)), 0.3 * rng.standard_normal((41, 4)) + 0.2
    points, mass = np.concatenate([X, Y]), masses(60, 41)
    theta = sphere.uniform(1, 4, rng)[0]
    value, slope = _distance_and_slope(points, mass, theta)
    assert value == pytest.approx(wasserstein_distance(X @ theta, Y @ theta), rel=1e-12)
    step = 1e-7
    differences = [
        (
            _distance_and_slope(points, mass, theta + step * e)[0]
            - _distance_and_slope(points, mass, theta - step * e)[0]
        )
        / (2 * step)
        for e in np.eye(4)
    ]
    np.testing.assert_allclose(slope, differences, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("d", [3, 30])
def test_thin_gaussian(d):
    # n is large enough for 3% of the maximum; the average carries the noise floor.
    rng = np.random.default_rng(2)
    n = 20_000
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((n, d))
    Y[:, -1] *= np.sqrt(0.1)
    largest, average = separation.sliced_wasserstein(d)
    found = max_sliced_wasserstein(X, Y, rng=0)
    assert found.value == pytest.approx(largest, rel=0.03)
    assert abs(found.direction[-1]) > 0.99
    floor = separation.sliced_wasserstein_plug_in(n)
    mean = sliced_wasserstein(X, Y, 200, rng=0)
    assert average - 4 * mean.se < mean.value < average + floor + 4 * mean.se


def test_shift_is_found_along_itself():
    rng = np.random.default_rng(3)
    shift = np.array([0.3, -0.4, 1.2])
    X = rng.standard_normal((2000, 3))
    found = max_sliced_wasserstein(X, X + shift, rng=0)
    # A translated copy is at the distance of the translation, in its direction.
    assert found.value == pytest.approx(1.3, rel=1e-6)
    assert abs(found.direction @ shift) == pytest.approx(1.3, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: sliced_wasserstein(X, X[:, :2]), "Y must have as many columns"),
        (lambda X: sliced_wasserstein(X, X, directions=np.eye(2)), "directions must have as many"),
        (lambda X: sliced_wasserstein(X, X, directions=2 * np.eye(3)), "directions"),
        (lambda X: sliced_wasserstein(X, X, n_projections=1), "n_projections"),
        (lambda X: max_sliced_wasserstein(X, X, n_starts=1), "n_starts"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).standard_normal((10, 3)))
