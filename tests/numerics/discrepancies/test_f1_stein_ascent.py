import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.discrepancies.f1_stein import f1_stein_discrepancy, stein_means
from lazyactive.numerics.discrepancies.f1_stein_ascent import _project, _Sharp, f1_stein_ascent
from lazyactive.numerics.teachers import PlantedEnergy


@pytest.fixture(scope="module")
def X():
    return PlantedEnergy(np.eye(1, 4), np.array([6.0])).sample(500, rng=0)


@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize("surface_term", [False, True])
def test_no_network_beats_the_best_neuron_and_many_steps_come_near(X, alpha, surface_term):
    score = np.zeros(X.shape)
    one = f1_stein_discrepancy(X, score, alpha=alpha, n_starts=64, rng=0).value
    # Features of alpha = 2 are smaller, and so are the slopes.
    wide = f1_stein_ascent(X, score, 100, 60, alpha=alpha, surface_term=surface_term, rng=1)
    assert wide <= one + 1e-9
    assert wide >= (0.9 if surface_term or alpha > 1 else 0.7) * one


def test_one_neuron_that_stays_is_worth_its_mean(X):
    rng = np.random.default_rng(2)
    value = f1_stein_ascent(X, np.zeros(X.shape), 1, 1, 1e6, 1e-12, rng=rng)
    neurons = sphere.uniform(4, 4, np.random.default_rng(2))
    means = np.diag(stein_means(X, np.zeros(X.shape), neurons))
    # So large a step of the weight ends at the edge of the ball.
    assert value == pytest.approx(np.linalg.norm(means), rel=1e-9)


def test_slope_without_surface_term_is_that_of_fixed_sides(X):
    """The derivative of the mean where no point changes sides."""
    problem = _Sharp.of(X, np.zeros(X.shape), "coordinate", 1, 1)
    masses = problem.tiled(np.ones((1, len(X))))
    theta, direction, step = sphere.uniform(1, 4, 3), np.eye(4)[[1]], 1e-7
    slope = problem.slopes(masses, np.zeros(1, int), theta, direction)[0]
    move = sphere.tangent(theta, sphere.uniform(1, 4, 4))
    assert (np.sign(X @ theta[0]) == np.sign(X @ (theta + step * move)[0])).all()
    ends = [
        problem.fields(masses, np.zeros(1, int), theta + sign * step * move)[0][0, 1]
        for sign in (1, -1)
    ]
    assert slope @ move[0] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


def test_projection_is_the_nearest_point_of_the_ball():
    rng = np.random.default_rng(5)
    weights = 3 * rng.standard_normal((4, 7))
    nearest = _project(weights)
    np.testing.assert_allclose(np.mean(np.abs(nearest), axis=1), 1, rtol=1e-12)
    # Of a convex set the nearest point p has <w - p, q - p> <= 0 for every q; corners are enough.
    gap = weights - nearest
    corners = 7 * np.abs(gap).max(axis=1)
    assert (corners <= np.sum(gap * nearest, axis=1) + 1e-12).all()
    inside = weights / 100
    np.testing.assert_array_equal(_project(inside), inside)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_neurons": 0}, "n_neurons must be an integer >= 1, but it is 0"),
        ({"n_steps": 0}, "n_steps must be an integer >= 1, but it is 0"),
        ({"weight_rate": 0.0}, "weight_rate must be a positive finite number, but it is 0.0"),
        ({"feature_rate": -1.0}, "feature_rate must be a positive finite number, but it is -1.0"),
    ],
)
def test_bad_arguments_are_refused(X, arguments, message):
    with pytest.raises(ValueError, match=message):
        f1_stein_ascent(X, np.zeros(X.shape), **arguments)
