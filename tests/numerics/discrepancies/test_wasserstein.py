import numpy as np
import ot
import pytest
from scipy.stats import wasserstein_distance

from lazyactive.numerics import sphere
from lazyactive.numerics.discrepancies import wasserstein
from lazyactive.numerics.discrepancies.wasserstein import (
    _distances_and_slopes,
    max_sliced_wasserstein,
    sliced_lower_bound,
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


def test_blocks_ties_and_single_precision(monkeypatch):
    rng = np.random.default_rng(4)
    # Steps of 1/4 are exact in both precisions, and many projections on the axes coincide.
    X, Y = np.round(4 * rng.standard_normal((90, 3))) / 4, np.round(rng.standard_normal((61, 3)))
    directions = np.vstack([np.eye(3), sphere.uniform(8, 3, rng)])
    expected = np.mean([wasserstein_distance(X @ theta, Y @ theta) for theta in directions])
    # Three directions at a time.
    monkeypatch.setattr(wasserstein, "BLOCK", 3 * 151)
    found = sliced_wasserstein(X, Y, directions=directions)
    assert found.value == pytest.approx(expected, rel=1e-12)
    single = sliced_wasserstein(
        X.astype(np.float32), Y.astype(np.float32), directions=directions.astype(np.float32)
    )
    assert single.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "witness", [np.abs, np.sin, lambda z: np.maximum(0.3 - z, 0)], ids=["abs", "sin", "rectifier"]
)
def test_witness_stays_below_the_distance_of_the_same_samples(witness):
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((200, 4)), 0.5 * rng.standard_normal((150, 4))
    for theta in sphere.uniform(20, 4, rng):
        both = np.vstack([theta, theta])
        bound = sliced_lower_bound(X, Y, directions=both, witness=witness).value
        assert bound == pytest.approx(np.mean(witness(X @ theta)) - np.mean(witness(Y @ theta)))
        assert bound < sliced_wasserstein(X, Y, directions=both).value


def test_witness_attains_the_distance_of_a_scaled_copy():
    # Each point is carried to its own copy, towards zero.
    X = np.random.default_rng(6).standard_normal((300, 5))
    bound, distance = sliced_lower_bound(X, 0.4 * X, rng=0), sliced_wasserstein(X, 0.4 * X, rng=0)
    assert bound == pytest.approx(distance, rel=1e-12)


def test_thin_gaussian_between_its_bounds():
    d, n = 100, 5000
    rng = np.random.default_rng(7)
    bounds, distances = [], []
    for _ in range(8):
        X = rng.standard_normal((n, d))
        Y = X.copy()
        Y[:, -1] *= np.sqrt(0.1)
        # The squared cosines of a basis with any direction sum to 1: little noise of directions.
        basis = sphere.orthogonal_uniform(d, d, rng)
        bounds.append(sliced_lower_bound(X, Y, directions=basis).value)
        distances.append(sliced_wasserstein(X, Y, directions=basis).value)
    _, average = separation.sliced_wasserstein(d)
    error = np.std(bounds, ddof=1) / np.sqrt(8)
    # Student's t with 7 degrees of freedom is above 5.4 in one case of 1000.
    assert abs(np.mean(bounds) - average) < 5.4 * error
    assert error < 0.01 * average
    # Coupled samples are too far apart by less than two independent ones are.
    assert average < np.mean(distances) < separation.sliced_wasserstein_plug_in(n)


def masses(n, m):
    return np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])


def test_distance_and_its_derivative():
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((60, 4)), 0.3 * rng.standard_normal((41, 4)) + 0.2
    points, mass = np.concatenate([X, Y]), masses(60, 41)
    theta = sphere.uniform(1, 4, rng)[0]
    step = 1e-7
    moved = theta + step * np.vstack([np.zeros(4), np.eye(4), -np.eye(4)])
    values, slopes = _distances_and_slopes(points, mass, moved)
    assert values[0] == pytest.approx(wasserstein_distance(X @ theta, Y @ theta), rel=1e-12)
    differences = (values[1:5] - values[5:]) / (2 * step)
    np.testing.assert_allclose(slopes[0], differences, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("d", [3, 30])
def test_thin_gaussian(d):
    # n is large enough for 3% of the maximum; the average carries the noise floor.
    rng = np.random.default_rng(2)
    n = 20_000
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((n, d))
    Y[:, -1] *= np.sqrt(0.1)
    largest, average = separation.sliced_wasserstein(d)
    found = max_sliced_wasserstein(X, Y, n_starts=4, rng=0)
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
        (lambda X: sliced_lower_bound(X, X[:, :2]), "Y must have as many columns"),
        (lambda X: sliced_lower_bound(X, X, n_projections=1), "n_projections"),
        (lambda X: max_sliced_wasserstein(X, X, n_starts=1), "n_starts"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).standard_normal((10, 3)))
