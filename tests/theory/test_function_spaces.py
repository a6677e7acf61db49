import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq, linprog, minimize

from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.function_spaces import (
    mean_abs_legendre,
    neuron_f1_norm,
    neuron_f2_norm_growth,
    neuron_f2_norm_partial,
    neuron_to_f2_ball,
    neuron_to_f2_ball_asymptotic,
    ridge_path,
    zonal_f1_norm,
    zonal_f2_norm,
)
from lazyactive.theory.sphere import (
    harmonic_dimension,
    legendre_values,
    log_harmonic_dimensions,
    mean,
)


def legendre(k, d, t):
    """P_k(t) in mpmath, by the recurrence."""
    previous, current = mpmath.mpf(0), mpmath.mpf(1)
    for j in range(k):
        step = (2 * j + d - 2) * t * current - j * previous
        # P_1 = t, also where the recurrence is 0/0 (d = 2).
        previous, current = current, step / (j + d - 2) if j else t
    return current


def least_total_variation(function, alpha):
    """F1 norm of a zonal function on S^2, by linear programming.

    Averaging gamma around the axis keeps it feasible and does not increase its total variation,
    so gamma is a mixture of rings <theta, e> = s; the neurons of a ring have the mean feature
    below. Nothing of harmonic analysis enters.
    """
    s = np.cos(np.linspace(0, np.pi, 361))
    t = np.cos(np.linspace(0, np.pi, 61))[:, None]
    psi = (np.arange(1000) + 0.5) * np.pi / 1000
    radius = np.sqrt((1 - t**2) * (1 - s**2))
    rings = np.mean(
        [np.maximum(t * s + radius * np.cos(angle), 0) ** alpha for angle in psi], axis=0
    )
    values, tolerance = function(t[:, 0]), 1e-7
    matrix = np.hstack([rings, -rings])
    result = linprog(
        np.ones(2 * s.size),
        A_ub=np.vstack([matrix, -matrix]),
        b_ub=np.concatenate([values + tolerance, tolerance - values]),
    )
    assert result.success
    return result.fun


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_f1_norm_of_a_neuron_is_the_least_total_variation(alpha):
    least = least_total_variation(ReLUPower(alpha), alpha)
    assert least == pytest.approx(neuron_f1_norm(alpha)(), rel=0.01)


@pytest.mark.parametrize(
    ("alpha", "k"),
    [(1, 0), (1, 1), (1, 2), (1, 4), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (3, 2), (3, 3)],
)
def test_zonal_f1_norm_is_the_least_total_variation(alpha, k):
    least = least_total_variation(lambda t: legendre_values(t, 3, k)[k], alpha)
    assert least == pytest.approx(zonal_f1_norm(k, 3, alpha), rel=0.01)


@pytest.mark.parametrize(("alpha", "k"), [(1, 3), (1, 9), (2, 4), (0, 2)])
def test_zonal_norms_are_infinite_where_the_coefficient_vanishes(alpha, k):
    assert zonal_f1_norm(k, 5, alpha) == math.inf
    assert zonal_f2_norm(k, 5, alpha) == math.inf


@pytest.mark.parametrize("d", [2, 3, 7, 100])
def test_zonal_norms_of_low_degree(d):
    assert zonal_f1_norm(1, d) == pytest.approx(2, rel=1e-12)
    assert zonal_f2_norm(1, d) == pytest.approx(2 * math.sqrt(d), rel=1e-12)
    assert zonal_f1_norm(2, d, alpha=2) == pytest.approx(4, rel=1e-12)
    # The constant |x|^2 is a sum of d squares, and each of them is two neurons.
    assert zonal_f1_norm(0, d, alpha=2) == pytest.approx(2 * d, rel=1e-12)
    for alpha in range(4):
        by_quadrature = 1 / mean(lambda t, a=alpha: t**a if t > 0 else mpmath.mpf(0), d)
        assert zonal_f1_norm(0, d, alpha) == pytest.approx(float(by_quadrature), rel=1e-12)
        assert zonal_f2_norm(0, d, alpha) == pytest.approx(float(by_quadrature), rel=1e-12)


def test_constant_in_high_dimension():
    assert zonal_f1_norm(0, 10**6) == pytest.approx(math.sqrt(2 * math.pi * 10**6), rel=1e-6)


@pytest.mark.parametrize(
    ("d", "k", "f2", "f1", "mean_abs"),
    [
        (3, 2, 7.15541752799933, 6.15840287135601, 0.384900179459751),
        (3, 10, 191.532959658562, 164.750783224718, 0.187704342866703),
        (5, 4, 34.5190329581180, 27.0155737265424, 0.105529584869306),
    ],
)
def test_zonal_norms_table(d, k, f2, f1, mean_abs):
    assert zonal_f2_norm(k, d) == pytest.approx(f2, rel=1e-12)
    assert zonal_f1_norm(k, d) == pytest.approx(f1, rel=1e-12)
    assert mean_abs_legendre(k, d) == pytest.approx(mean_abs, rel=1e-12)


@pytest.mark.parametrize(
    ("alpha", "d", "k"), [(0, 3, 5), (1, 2, 4), (1, 15, 6), (2, 5, 1), (2, 5, 7), (3, 4, 3)]
)
def test_zonal_f2_norm_is_the_norm_of_the_density(alpha, d, k):
    # The density P_k / lambda_k, with lambda_k = E sigma P_k, by quadrature.
    coefficient = mean(lambda t: t**alpha * legendre(k, d, t) if t > 0 else mpmath.mpf(0), d)
    squared_norm = mean(lambda t: legendre(k, d, t) ** 2, d) / coefficient**2
    assert zonal_f2_norm(k, d, alpha) == pytest.approx(float(mpmath.sqrt(squared_norm)), rel=1e-11)


def test_mean_abs_legendre_exact_values():
    assert mean_abs_legendre(0, 5) == 1
    assert mean_abs_legendre(1, 3) == pytest.approx(1 / 2, rel=1e-14)
    assert mean_abs_legendre(2, 3) == pytest.approx(2 / (3 * math.sqrt(3)), rel=1e-14)
    assert mean_abs_legendre(7, 2) == pytest.approx(2 / math.pi, rel=1e-14)


@pytest.mark.parametrize(
    ("k", "d"), [(1, 4), (2, 15), (5, 2), (20, 15), (60, 3), (60, 100), (3, 1000), (60, 1000)]
)
def test_mean_abs_legendre_against_quadrature(k, d):
    grid = np.linspace(0, np.pi, 3000)
    sign = np.sign(legendre_values(np.cos(grid), d, k)[k])
    cells = np.flatnonzero(sign[:-1] != sign[1:])
    roots = [
        brentq(
            lambda phi: legendre_values(math.cos(phi), d, k)[k], grid[i], grid[i + 1], xtol=1e-15
        )
        for i in cells
    ]
    assert len(roots) == k
    # Gauss and Legendre's rule between the roots, where |P_k| is smooth.
    edges = np.unique(np.concatenate([roots, np.linspace(0, np.pi, 40)]))[:, None]
    nodes, weights = np.polynomial.legendre.leggauss(30)
    phi = (edges[:-1] + edges[1:]) / 2 + (edges[1:] - edges[:-1]) / 2 * nodes
    measure = np.sin(phi) ** (d - 2) * weights * (edges[1:] - edges[:-1]) / 2
    values = np.abs(legendre_values(np.cos(phi), d, k)[k])
    expected = np.sum(values * measure) / np.sum(measure)
    assert mean_abs_legendre(k, d) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("k", "d"), [(8, 3), (41, 50)])
def test_mean_abs_legendre_against_mpmath(k, d):
    with mpmath.workdps(30):
        angles = mpmath.linspace(0, mpmath.pi, 400)
        values = [legendre(k, d, mpmath.cos(phi)) for phi in angles]
        roots = [
            mpmath.findroot(
                lambda phi: legendre(k, d, mpmath.cos(phi)), angles[i : i + 2], solver="anderson"
            )
            for i in range(399)
            if values[i] * values[i + 1] < 0
        ]
        edges = [mpmath.mpf(0), *roots, mpmath.pi]
        half = mpmath.mpf(d) / 2
        constant = mpmath.gamma(half) / mpmath.sqrt(mpmath.pi) / mpmath.gamma(half - 0.5)
        # The integral of P_k changes sign from each interval to the next.
        panels = [
            mpmath.quad(
                lambda phi: legendre(k, d, mpmath.cos(phi)) * mpmath.sin(phi) ** (d - 2), panel
            )
            for panel in pairwise(edges)
        ]
        expected = constant * sum(abs(panel) for panel in panels)
    assert len(roots) == k
    assert mean_abs_legendre(k, d) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("k", [2, 6])
def test_ratio_of_the_zonal_norms_in_high_dimension(k):
    # P_k sqrt(N) tends to a normalised Hermite polynomial; the correction is of order k^2 / d.
    hermite = np.polynomial.hermite_e.HermiteE.basis(k)
    panels = np.concatenate([[-12.0], np.sort(hermite.roots()), [12.0]])
    x, w = np.polynomial.legendre.leggauss(80)
    expected = 0.0
    for low, high in pairwise(panels):
        g = (low + high) / 2 + (high - low) / 2 * x
        expected += np.sum(w * np.abs(hermite(g)) * np.exp(-(g**2) / 2)) * (high - low) / 2
    expected /= math.sqrt(2 * math.pi * math.factorial(k))
    alpha = 1
    ratio = zonal_f1_norm(k, 10**5, alpha) / zonal_f2_norm(k, 10**5, alpha)
    assert ratio == pytest.approx(expected, rel=1e-3)
    assert zonal_f1_norm(6, 15) / zonal_f2_norm(6, 15) == pytest.approx(0.63, abs=0.005)


@pytest.mark.parametrize(("d", "alpha"), [(2, 0), (2, 1), (3, 1), (4, 5), (15, 2)])
def test_squared_f2_norm_of_a_neuron_up_to_a_degree(d, alpha):
    nonzero = ReLUPower(alpha).coefficients(d, 40) != 0
    for max_degree in range(41):
        expected = sum(harmonic_dimension(d, k) for k in range(max_degree + 1) if nonzero[k])
        assert neuron_f2_norm_partial(d, max_degree, alpha) == expected


@pytest.mark.parametrize("d", [2, 3, 5, 15])
@pytest.mark.parametrize("alpha", [0, 1, 2])
def test_growth_of_the_squared_f2_norm_of_a_neuron(d, alpha):
    growth = neuron_f2_norm_growth(d)
    for K in (10**4, 10**6):
        ratio = neuron_f2_norm_partial(d, K, alpha) / growth(K=K)
        # The product of the d - 1 numbers K, ..., K + d - 1 exceeds K^(d-1) by this at most.
        assert abs(ratio - 1) < (d - 1) * (d + 2) / K


TABLE = [
    (5, 1e-2, 1.40252617575778, 0.163526005733489),
    (5, 1e-6, 11.3056348240703, 0.0122485870238759),
    (15, 1e-2, 0.652551114355477, 0.147133241244014),
    (15, 1e-6, 13.0399691928002, 0.0226774063384991),
]


@pytest.mark.parametrize(("d", "penalty", "delta", "distance"), TABLE)
def test_ridge_path_table(d, penalty, delta, distance):
    assert ridge_path(penalty, d) == pytest.approx((delta, distance), rel=1e-13)
    assert neuron_to_f2_ball(delta, d) == pytest.approx(distance, rel=1e-12)


@pytest.mark.parametrize("penalty", [1e3, 1.0, 1e-2, 1e-5, 1e-9, 1e-10])
def test_ridge_path_of_the_step_on_the_circle(penalty):
    # d = 2, alpha = 0: lambda_0 = 1/2 and |lambda_k| = 1/(pi k) for odd k. With
    # b = 1/(pi sqrt(penalty)), s_k = b^2/(k^2 + b^2), and the partial fractions of tanh give
    # S_1 = sum 1/(k^2 + b^2) = pi tanh(pi b/2)/(4 b) and S_2 = sum 1/(k^2 + b^2)^2 = -S_1'/(2 b).
    with mpmath.workdps(40):
        lam = mpmath.mpf(penalty)
        b = 1 / (mpmath.pi * mpmath.sqrt(lam))
        tanh, sech = mpmath.tanh(mpmath.pi * b / 2), mpmath.sech(mpmath.pi * b / 2)
        first = mpmath.pi * tanh / (4 * b)
        second = mpmath.pi / (8 * b**2) * (tanh / b - mpmath.pi / 2 * sech**2)
        s_0 = 1 / (1 + 4 * lam)
        squared_norm = s_0**2 + 2 * b**4 * second
        squared_distance = (1 - s_0) ** 2 / 4 + 2 / mpmath.pi**2 * (first - b**2 * second)
        expected = float(mpmath.sqrt(squared_norm)), float(mpmath.sqrt(squared_distance))
    assert ridge_path(penalty, 2, alpha=0) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("alpha", [0, 1, 2, 3])
@pytest.mark.parametrize(("d", "penalty"), [(3, 1e-4), (5, 1e-4), (40, 1e-20), (1000, 1e-12)])
def test_ridge_path_against_the_other_form(d, penalty, alpha):
    # D^2 = kappa(1) - sum N mu s (2 - s), in 60 digits; its terms decay faster by a factor mu.
    with mpmath.workdps(60):
        half, lam = mpmath.mpf(d) / 2, mpmath.mpf(penalty)
        constant = mpmath.gamma(half) * mpmath.factorial(alpha) / mpmath.mpf(2) ** (alpha + 1)
        # E (t_+)^(2 alpha) over the sphere.
        squared_norm = mpmath.mpf(0)
        squared_distance = mpmath.gammaprod([half, alpha + 0.5], [0.5, half + alpha]) / 2
        k = 0
        while True:
            coefficient = constant * mpmath.rgamma(1 + mpmath.mpf(alpha - k) / 2)
            coefficient *= mpmath.rgamma((d + alpha + mpmath.mpf(k)) / 2)
            mu = coefficient**2
            dimension, s = harmonic_dimension(d, k), mu / (mu + lam)
            squared_norm += dimension * s**2
            squared_distance -= dimension * mu * s * (2 - s)
            if (
                k > alpha
                and mu
                and (k * dimension * mu * s)
                < mpmath.mpf(10) ** -12 * min(squared_distance, lam * squared_norm)
            ):
                break
            k += 1
        expected = float(mpmath.sqrt(squared_norm)), float(mpmath.sqrt(squared_distance))
    assert ridge_path(penalty, d, alpha) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("d", "cutoff"), [(3, 5000), (30, 2000)])
def test_ridge_path_against_plain_sums_when_many_degrees_are_learned(d, cutoff):
    # The terms of the squared distance fall as k^-8, so that 40 times the cut-off leave 1e-11.
    log_mu = ReLUPower(3).log_eigenvalues(d, 40 * cutoff)
    log_dimension = log_harmonic_dimensions(d, 40 * cutoff)
    penalty = math.exp(log_mu[cutoff])
    kept = np.isfinite(log_mu)
    log_mu, log_dimension = log_mu[kept], log_dimension[kept]
    ratio = np.exp(log_mu) / penalty
    expected = (
        math.sqrt(np.sum(np.exp(log_dimension) * (ratio / (1 + ratio)) ** 2)),
        math.sqrt(np.sum(np.exp(log_dimension + log_mu) / (1 + ratio) ** 2)),
    )
    assert ridge_path(penalty, d, alpha=3) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-4])
def test_ridge_path_on_the_circle_without_harmonics(alpha, penalty):
    # Ridge regression of the neuron at equally spaced points, with the kernel in closed form. The
    # kernel matrix is circulant; the kink of the neuron costs an error of order n^-2.
    n = 2**16
    cosines = np.cos(2 * np.pi * np.arange(n) / n)
    eigenvalues = np.fft.fft(ReLUPower(alpha).kernel(cosines, 2)).real / n
    power = np.abs(np.fft.fft(ReLUPower(alpha)(cosines)) / n) ** 2 / (eigenvalues + penalty) ** 2
    expected = np.sqrt(power @ eigenvalues), penalty * np.sqrt(np.sum(power))
    assert ridge_path(penalty, 2, alpha) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("d", "alpha"), [(2, 0), (3, 1), (15, 1), (15, 2), (300, 1)])
def test_penalty_is_the_slope_of_the_path(d, alpha):
    # A multiplier is a derivative: d(D^2) = -penalty d(delta^2).
    for penalty in (1e-1, 1e-4, 1e-7):
        delta, distance = ridge_path(penalty * np.exp([-1e-3, 1e-3]), d, alpha)
        slope = np.diff(distance**2) / np.diff(delta**2)
        assert slope[0] == pytest.approx(-penalty, rel=1e-5)


def test_distance_is_the_smallest_under_the_constraint():
    # A general-purpose optimiser chooses the shrinkage of each degree.
    d, delta, max_degree = 15, 5.0, 12
    mu = ReLUPower(1).coefficients(d, max_degree) ** 2
    degrees = np.flatnonzero(mu)
    mu = mu[degrees]
    dimension = np.array([harmonic_dimension(d, int(k)) for k in degrees], dtype=float)
    beyond = 1 / (2 * d) - dimension @ mu
    # In the coordinates a = s sqrt(N) the constraint is a ball of radius delta.
    best = minimize(
        lambda a: 1e3 * (np.sum(mu * (np.sqrt(dimension) - a) ** 2) + beyond),
        np.zeros(degrees.size),
        jac=lambda a: -2e3 * mu * (np.sqrt(dimension) - a),
        constraints={
            "type": "ineq",
            "fun": lambda a: delta**2 - a @ a,
            "jac": lambda a: -2 * a,
        },
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 1000},
    )
    assert best.success
    # Degrees above 12 hold almost nothing of the optimum at this radius.
    assert neuron_to_f2_ball(delta, d) == pytest.approx(math.sqrt(best.fun / 1e3), rel=1e-5)


@pytest.mark.parametrize(("d", "alpha"), [(2, 1), (3, 0), (5, 1), (15, 1), (1000, 1)])
def test_distance_inverts_the_path(d, alpha):
    penalties = np.array([[1e2, 1e-1], [1e-4, 1e-9]])
    delta, distance = ridge_path(penalties, d, alpha)
    assert delta.shape == distance.shape == (2, 2)
    np.testing.assert_allclose(neuron_to_f2_ball(delta, d, alpha), distance, rtol=1e-11)


def test_distance_at_the_ends():
    assert neuron_to_f2_ball(0, 15) == pytest.approx(math.sqrt(1 / 30), rel=1e-14)
    assert neuron_to_f2_ball(1e-200, 15) == pytest.approx(math.sqrt(1 / 30), rel=1e-14)
    # To first order the ball moves towards the kernel section, of slope ||T f|| / ||f||_T.
    mu = ReLUPower(1).coefficients(15, 60) ** 2
    dimension = np.array([harmonic_dimension(15, k) for k in range(61)], dtype=float)
    gain = 1 / 30 - neuron_to_f2_ball(1e-4, 15) ** 2
    assert gain == pytest.approx(2e-4 * math.sqrt(dimension @ mu**2), rel=1e-3)


@pytest.mark.parametrize(
    ("d", "alpha"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 3), (5, 1), (15, 1), (15, 2)]
)
def test_asymptote(d, alpha):
    # The penalty learns the degrees up to K. A fixed number of low degrees is misjudged, a share
    # of order K^(1-d), and the rest has corrections of order K^-2.
    log_mu = ReLUPower(alpha).log_eigenvalues(d, 400 * d + alpha + 1)
    cutoffs = 2 * d * np.array([25, 200]) + alpha + 1
    delta, distance = ridge_path(np.exp(log_mu[cutoffs]), d, alpha)
    errors = np.abs(distance / neuron_to_f2_ball_asymptotic(d, alpha)(delta=delta) - 1)
    assert errors[1] < 0.01
    order = -np.diff(np.log(errors)) / np.diff(np.log(cutoffs + d / 2 - 1))
    assert order[0] == pytest.approx(min(d - 1, 2), abs=0.2)


def test_asymptote_is_the_limit():
    # A wrong constant would show in the ninth digit.
    delta, distance = ridge_path(1e-14, 3, alpha=0)
    assert distance / neuron_to_f2_ball_asymptotic(3, 0)(delta=delta) == pytest.approx(1, abs=3e-9)


@pytest.mark.parametrize("d", [2, 5, 1000])
@pytest.mark.parametrize("alpha", [0, 1, 2])
def test_asymptotic_exponent(d, alpha):
    asymptote = neuron_to_f2_ball_asymptotic(d, alpha)
    assert asymptote.symbols == ("delta",)
    ratio = asymptote(delta=200.0) / asymptote(delta=100.0)
    assert ratio == pytest.approx(2 ** (-(2 * alpha + 1) / (d - 1)), rel=1e-12)


def test_exponents_before_the_asymptote():
    # d = 15, alpha = 1: the limit is -3/14 = -0.214. Secants over two decades of the penalty.
    delta, distance = ridge_path([1e-4, 1e-6, 1e-8, 1e-10, 1e-18], 15)
    np.testing.assert_allclose(delta[:4], [4.93, 13.04, 67.98, 404.5], rtol=1e-3)
    steep = np.log(distance[1] / distance[0]) / np.log(delta[1] / delta[0])
    shallow = np.log(distance[3] / distance[2]) / np.log(delta[3] / delta[2])
    assert steep == pytest.approx(-0.94, abs=0.005)
    assert shallow == pytest.approx(-0.28, abs=0.005)
    # The local exponent is -penalty delta^2 / D^2, as the penalty is the slope of the path. It
    # steps from degree to degree, and at delta = 6e5 it is still above the limit by 2%.
    local = -np.array([1e-4, 1e-6, 1e-8, 1e-10, 1e-18]) * delta**2 / distance**2
    np.testing.assert_allclose(local, [-0.758, -0.331, -0.278, -0.267, -0.2191], rtol=2e-3)
    step = 1e-3
    nearby = neuron_to_f2_ball(delta[3] * np.exp([-step, step]), 15)
    assert np.diff(np.log(nearby))[0] / (2 * step) == pytest.approx(local[3], rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neuron_f1_norm(-1), "alpha must be an integer >= 0, got -1"),
        (lambda: neuron_f2_norm_partial(3, -1), "max_degree must be an integer >= 0, got -1"),
        (lambda: neuron_f2_norm_growth(1), "d must be an integer >= 2, got 1"),
        (lambda: mean_abs_legendre(2.5, 3), "k must be an integer >= 0, got 2.5"),
        (lambda: mean_abs_legendre(2, 1), "d must be an integer >= 2, got 1"),
        (lambda: zonal_f2_norm(2, 1), "d must be an integer >= 2, got 1"),
        (lambda: zonal_f1_norm(-2, 3), "k must be an integer >= 0, got -2"),
        (lambda: ridge_path(0.0, 3), "penalty must be positive and finite, got 0.0"),
        (lambda: ridge_path([1, np.nan], 3), "penalty must be positive and finite"),
        (lambda: ridge_path(1.0, 3, alpha=0.5), "alpha must be an integer >= 0, got 0.5"),
        (lambda: ridge_path(1e-14, 2, alpha=0), "penalty must be larger for d = 2, alpha = 0"),
        (lambda: neuron_to_f2_ball(-1.0, 3), "delta must be >= 0 and finite, got -1.0"),
        (lambda: neuron_to_f2_ball(1.0, 1), "d must be an integer >= 2, got 1"),
        (lambda: neuron_to_f2_ball(1e9, 2), "delta must be smaller for d = 2, alpha = 1"),
        (lambda: neuron_to_f2_ball_asymptotic(1), "d must be an integer >= 2, got 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_nuclear_norms_without_closed_form_are_refused():
    with pytest.raises(NotImplementedError, match="got k = 1, alpha = 3"):
        zonal_f1_norm(1, 5, alpha=3)
