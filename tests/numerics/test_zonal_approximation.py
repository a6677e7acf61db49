import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import linprog, minimize

from lazyactive.numerics import harmonics, zonal_approximation
from lazyactive.numerics.sphere import append_constant, uniform
from lazyactive.numerics.zonal_approximation import (
    distance_to_f1,
    distance_to_f2,
    lifted_f1_norm,
    ring,
    target,
)
from lazyactive.theory.activations import ReLUPower


@pytest.mark.parametrize("d", [3, 4, 5, 9])
@pytest.mark.parametrize(
    ("t", "s", "b"),
    [(0.3, 0.5, 0.0), (0.9, 0.8, 0.0), (0.5, 0.4, -0.6), (0.2, 0.1, 0.7), (1.0, 0.6, -0.3)],
)
def test_ring_against_quadrature(t, s, b, d):
    B = np.sqrt(1 - t**2) * np.sqrt(1 - s**2 - b**2)
    # z = cos(angle) has the density sin^(d-3) of the angle.
    total = quad(lambda angle: np.sin(angle) ** (d - 3), 0, np.pi)[0]
    exact = 0.0
    for sign in (1, -1):
        A = b + sign * t * s
        end = np.arccos(np.clip(-A / B, -1, 1)) if B > 0 else np.pi * (A > 0)
        exact += quad(
            lambda angle, A=A: (A + B * np.cos(angle)) * np.sin(angle) ** (d - 3), 0, end
        )[0]
    assert ring(t, s, d, b) == pytest.approx(exact / total / 2, rel=1e-9, abs=1e-14)


def test_ring_is_a_mean_of_neurons_on_lifted_points():
    d, t, s, b = 6, 0.4, 0.5, -0.3
    x = append_constant(np.array([[t, np.sqrt(1 - t**2), 0, 0, 0, 0]]))[0]
    rest = np.sqrt(1 - s**2 - b**2) * uniform(200_000, d - 1, 0)
    means = []
    for sign in (1, -1):
        ends = np.full((len(rest), 1), sign * s), rest, np.full((len(rest), 1), b)
        means.append(np.maximum(np.hstack(ends) @ x, 0))
    sample = np.mean(means, axis=0)
    z = (sample.mean() - ring(t, s, d, b) / np.sqrt(2)) / (sample.std() / np.sqrt(len(rest)))
    # One comparison beyond 4 standard errors has probability 6e-5.
    assert abs(z) < 4


def test_rectifier_against_theory():
    for d in (3, 5, 10):
        exact = ReLUPower(1).coefficients(d, 200)[::2]
        ours = zonal_approximation._rectifier(d, np.arange(0, 201, 2))
        np.testing.assert_allclose(ours, exact, rtol=1e-11)


@pytest.mark.parametrize(("a", "d", "radius"), [(0.5, 5, 4.0), (0.3, 3, 3.0)])
def test_f1_against_a_program_on_uniform_grids(a, d, radius):
    bounds = distance_to_f1(a, d, radius, 0.05)
    assert bounds.lower <= bounds.upper <= 1.01 * bounds.lower
    t, s = np.linspace(0, 1, 201), np.linspace(0, 1, 301)
    K = ring(t[:, None], s, d)
    n = len(s)
    # Least total variation at the error in question, instead of least error.
    f = target(t, a)
    norms = []
    for error in (bounds.lower, 1.05 * bounds.upper):
        solution = linprog(
            np.ones(2 * n),
            A_ub=np.block([[K, -K], [-K, K]]),
            b_ub=np.concatenate([f + error, error - f]),
        )
        norms.append(solution.fun)
    # Few neurons make the norm larger and few points make it smaller, by about a percent.
    assert norms[1] < radius < 1.03 * norms[0]


def test_f2_against_a_general_solver():
    a, d, radius = 0.5, 4, 2.0
    bounds = distance_to_f2(a, d, radius, 0.2)
    assert bounds.lower <= bounds.upper <= 1.01 * bounds.lower
    t = np.linspace(0, 1, 201)
    k = np.arange(0, 41, 2)
    N = np.array([float(harmonics.dimension(d, j)) for j in k.tolist()])
    coefficients = np.sqrt(N) * ReLUPower(1).coefficients(d, 40)[::2]
    features = coefficients * harmonics.legendre(t, d, 40)[::2].T
    f = target(t, a)
    constraints = [
        {"type": "ineq", "fun": lambda z: z[-1] - (features @ z[:-1] - f)},
        {"type": "ineq", "fun": lambda z: z[-1] + (features @ z[:-1] - f)},
        {"type": "ineq", "fun": lambda z: radius**2 - z[:-1] @ z[:-1]},
    ]
    start = np.append(np.zeros(len(k)), 0.5)
    best = minimize(
        lambda z: z[-1],
        start,
        jac=lambda z: np.eye(len(z))[-1],
        method="SLSQP",
        constraints=constraints,
        options={"maxiter": 300, "ftol": 1e-8},
    )
    assert best.success
    assert best.x[-1] == pytest.approx(np.mean(bounds), rel=0.01)


def test_more_degrees_change_nothing(monkeypatch):
    few = distance_to_f2(0.4, 7, 128.0, 0.01)
    monkeypatch.setattr(zonal_approximation, "DEGREES", 30.0)
    many = distance_to_f2(0.4, 7, 128.0, 0.01)
    assert few.lower == pytest.approx(many.lower, rel=1e-4)


@pytest.mark.parametrize("distance", [distance_to_f1, distance_to_f2])
def test_small_balls(distance):
    # Of a tiny radius, the distance is the norm of the target, or less by the radius or so.
    assert 0.599 < distance(0.4, 5, 1e-3, 0.3).upper < 0.6
    # It is convex in the radius: the value in the middle is below the chord.
    low, middle, high = (distance(0.4, 5, radius, 0.05) for radius in (2.0, 4.0, 6.0))
    assert middle.lower < (low.upper + high.upper) / 2
    assert low.lower > middle.upper > middle.lower > high.upper


@pytest.mark.parametrize(("d", "radius"), [(5, 8.0), (7, 32.0), (9, 64.0)])
def test_a_ball_of_f2_lies_in_that_of_f1(d, radius):
    # The total variation of a measure with a density is at most its norm in L2(tau).
    f1, f2 = distance_to_f1(0.5, d, radius, 0.02), distance_to_f2(0.5, d, radius, 0.02)
    assert f1.upper < f2.lower


def test_a_wrong_scale_costs_a_percent():
    # The distance is 0.0063.
    good, bad = (distance_to_f1(0.5, 7, 64.0, scale) for scale in (0.01, 0.06))
    assert good.upper < 1.01 * good.lower
    assert max(good.lower, bad.lower) <= 1.01 * min(good.upper, bad.upper)


@pytest.mark.parametrize("d", [3, 5, 9])
@pytest.mark.parametrize("a", [0.3, 0.5, 0.7])
def test_the_norm_with_a_constant(a, d):
    bounds = lifted_f1_norm(a, d)
    assert bounds.upper == pytest.approx(2 * np.sqrt(2 * (1 + a**2)))
    assert (1 - 1e-4) * bounds.upper < bounds.lower < (1 + 1e-9) * bounds.upper


def test_a_neuron_in_the_place_of_the_target(monkeypatch):
    # |t| is twice the even part of one neuron, of norm 1: a ball of radius 1.9 leaves 5% of it.
    monkeypatch.setattr(zonal_approximation, "target", lambda t, a: np.abs(t))
    assert distance_to_f1(0.5, 5, 1.9, 0.1) == pytest.approx((0.05, 0.05))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 5, 2.0, 0.1), "a must be below 1, but it is 1.0"),
        ((0.0, 5, 2.0, 0.1), "a must be a positive finite number, but it is 0.0"),
        ((0.5, 2, 2.0, 0.1), "d must be an integer >= 3, but it is 2"),
        ((0.5, 5, -1.0, 0.1), "radius must be a positive finite number, but it is -1.0"),
        ((0.5, 5, 2.0, 0.0), "scale must be a positive finite number, but it is 0.0"),
    ],
)
@pytest.mark.parametrize("distance", [distance_to_f1, distance_to_f2])
def test_refusals(distance, arguments, message):
    with pytest.raises(ValueError, match=message):
        distance(*arguments)
