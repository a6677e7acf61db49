import functools

import mpmath
import numpy as np
import pytest
import sympy
from scipy.optimize import minimize_scalar

from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.gibbs import kl_to_uniform
from lazyactive.theory.learning_curves import (
    optimal_penalty,
    weak,
    weak_asymptote,
    weak_planted,
)
from lazyactive.theory.sphere import harmonic_dimension


@pytest.mark.parametrize(
    ("d", "w", "n", "expected"),
    [
        (3, 1, 1000, 0.0040399317005945),
        (3, 2, 100, 0.031525651558506),
        (5, 2, 1000, 0.010257222839914),
        (15, 2, 300, 0.02518076703667),
    ],
)
def test_values(d, w, n, expected):
    assert weak(w, d, n) == pytest.approx(expected, rel=1e-10)


SLOPES = {
    3: [-0.400, -0.563, -0.698, -0.751, -0.707, -0.668, -0.647, -0.632, -0.620, -0.608, -0.601],
    5: [-0.214, -0.379, -0.513, -0.616, -0.674, -0.599, -0.508, -0.493, -0.470, -0.447, -0.433],
    10: [-0.068, -0.166, -0.325, -0.416, -0.480, -0.575, -0.565, -0.418, -0.312, -0.328, -0.276],
    15: [-0.032, -0.086, -0.212, -0.343, -0.391, -0.434, -0.545, -0.533, -0.359, -0.247, -0.232],
}


@pytest.mark.parametrize("d", SLOPES)
def test_local_slopes(d):
    n = np.array([10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6, 1e8])
    slopes = np.log(weak(2, d, n * np.exp(1e-3)) / weak(2, d, n * np.exp(-1e-3))) / 2e-3
    np.testing.assert_allclose(slopes, SLOPES[d], atol=6e-4)


@functools.cache
def exact_coefficient(alpha, k, d):
    return float(ReLUPower(alpha).coefficient(k, d))


@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize("d", [3, 15])
@pytest.mark.parametrize("penalty", [None, 1e-4, 1e-1])
def test_series_against_exact_coefficients(alpha, d, penalty):
    # The defining series term by term, with SymPy's coefficients and a sharp tail: every second
    # degree, and terms like k^(-2 - 2 alpha), so that the
    # rest beyond degree K is near term * K / (2 + 4 alpha).
    w, n, terms = 2.0, 500.0, []
    lam = 1 / (n * w**2) if penalty is None else penalty
    for k in range(1, 400):
        coefficient = exact_coefficient(alpha, k, d)
        if coefficient != 0:
            dimension, mu = harmonic_dimension(d, k), coefficient**2
            s = mu / (mu + lam)
            terms.append(((1 - s) ** 2 * w**2 * mu * dimension + s**2 * dimension / n) / 2)
    tail = terms[-1] * 400 / (2 + 4 * alpha)
    value = weak(w, d, n, alpha, penalty)
    assert value == pytest.approx(sum(terms) + tail, abs=tail / 5 + 1e-10 * value)


@pytest.mark.parametrize("alpha", [0, 1, 2])
def test_limits_of_the_penalty(alpha):
    # Infinite penalty learns nothing: half the variance of the energy, from moments of t alone.
    w, d = 3.0, 7
    with mpmath.workdps(20):
        first, second = (ReLUPower(p * alpha).coefficient(0, d) for p in (1, 2))
    assert weak(w, d, 100, alpha, 1e12) == pytest.approx(
        w**2 * float(second - first**2) / 2, rel=1e-8
    )


def test_weak_limit_of_the_exact_divergence():
    # An unlearned weak energy: the curve must start at the divergence from the uniform measure.
    assert weak(0.01, 5, 1, penalty=1e12) == pytest.approx(kl_to_uniform(0.01, 5), rel=0.01)


@pytest.mark.parametrize(("d", "alpha", "n"), [(3, 0, 50), (3, 1, 1e3), (5, 2, 1e3), (15, 1, 1e4)])
def test_optimal_penalty(d, alpha, n):
    w = 1.7
    best = minimize_scalar(
        lambda log_penalty: weak(w, d, n, alpha, np.exp(log_penalty)),
        bracket=(-np.log(n) - 3, -np.log(n) + 3),
        tol=1e-10,
    )
    assert np.exp(best.x) / optimal_penalty(w, n) == pytest.approx(1, abs=1e-4)
    assert best.fun == pytest.approx(weak(w, d, n, alpha), rel=1e-9)


def test_no_signal():
    assert weak(0, 5, [10, 100]).tolist() == [0, 0]
    assert optimal_penalty(0, 10) == np.inf
    # Two equal neurons of opposite weights cancel.
    assert weak_planted(np.ones((2, 2)), [3, -3], 5, 100) == 0


def test_split_neuron_is_one_neuron():
    n = np.array([30, 1000])
    split = weak_planted(np.ones((2, 2)), [1, 3], 5, n)
    np.testing.assert_allclose(split, weak(2, 5, n), rtol=1e-9)


@pytest.mark.parametrize("n_nodes", [16, 24])
def test_planted_against_kernel_ridge_on_a_grid(n_nodes):
    # The bias without harmonics. As n grows the fit is kernel ridge regression in L2(tau), whose
    # residual is penalty (K + penalty)^(-1) f; here K is the kernel matrix on a grid of S^2 (Gauss
    # in height, equidistant in azimuth). The tolerance is the error of the grid at the kinks of
    # the activation, of third order for alpha = 2.
    alpha, d, penalty = 2, 3, 1e-2
    gram, weights = np.array([[1.0, 0.3], [0.3, 1.0]]), np.array([2.0, -3.0])
    z, z_weights = np.polynomial.legendre.leggauss(n_nodes)
    phi = np.arange(2 * n_nodes) * np.pi / n_nodes
    radius = np.sqrt(1 - z**2)
    coordinates = [
        np.outer(radius, np.cos(phi)),
        np.outer(radius, np.sin(phi)),
        np.outer(z, np.ones_like(phi)),
    ]
    x = np.stack(coordinates, axis=-1).reshape(-1, 3)
    root = np.sqrt(np.repeat(z_weights / 2, len(phi)) / len(phi))
    directions = np.array([[1, 0, 0], [0.3, np.sqrt(1 - 0.09), 0]])
    target = np.maximum(x @ directions.T, 0) ** alpha @ weights / 2
    kernel = root[:, None] * ReLUPower(alpha).kernel(np.clip(x @ x.T, -1, 1), d) * root
    residual = penalty * np.linalg.solve(kernel + penalty * np.eye(len(x)), root * target)
    residual -= root * (root @ residual)
    bias = weak_planted(gram, weights, d, 1e15, alpha, penalty)
    assert bias == pytest.approx(residual @ residual / 2, rel=5 * n_nodes**-3)


@pytest.mark.parametrize("gram", [[[1, 0.3], [0.3, 1]], [[1, -1], [-1, 1]]])
def test_planted_optimum_against_a_scan(gram):
    weights, d, n = [2.0, -3.0], 5, 1000
    scan = [weak_planted(gram, weights, d, n, penalty=p) for p in np.geomspace(1e-7, 1e3, 300)]
    best = weak_planted(gram, weights, d, n)
    assert best <= min(scan) * (1 + 1e-12)
    assert best == pytest.approx(min(scan), rel=1e-2)


def test_noise_against_sampled_moments():
    # The noise of degree 2 is that of the empirical mean of the harmonics: a penalty between the
    # eigenvalues, energy zero. Degree-1 and degree-2 harmonics of R^3, 2000 data sets of n = 50:
    # the standard error of the mean is 2%; 5 of them raise a false alarm once in 10^6.
    rng = np.random.default_rng(5)
    n, d, penalty, risks = 50, 3, 1e-2, []
    mu = ReLUPower(1).coefficients(d, 2) ** 2
    s1, s2 = mu[1:] / (mu[1:] + penalty)
    for _ in range(2000):
        x = rng.standard_normal((n, d))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        mean, second = x.mean(axis=0), x.T @ x / n - np.eye(d) / d
        # Squared norms of the projections: N(d, k) times the mean of P_k over pairs.
        risks.append((s1**2 * d * mean @ mean + s2**2 * 5 * 1.5 * np.sum(second**2)) / 2)
    tail = ReLUPower(1).coefficients(d, 60)[3:] ** 2
    dimensions = [harmonic_dimension(d, k) for k in range(3, 61)]
    rest = np.sum(dimensions * (tail / (tail + penalty)) ** 2) / (2 * n)
    standard_error = np.std(risks) / np.sqrt(len(risks))
    # Weight zero leaves the noise alone.
    assert abs(weak(0, d, n, penalty=penalty) - rest - np.mean(risks)) < 5 * standard_error


@pytest.mark.parametrize(("d", "alpha"), [(2, 1), (3, 0), (3, 1), (5, 1)])
def test_asymptote(d, alpha):
    ratios = [weak(2, d, n, alpha) / weak_asymptote(d, alpha)(n=n, w=2) - 1 for n in (1e5, 1e8)]
    assert abs(ratios[1]) < 0.02
    assert abs(ratios[1]) < abs(ratios[0]) / 2


def test_asymptote_has_the_rate_of_a_lazy_neuron():
    expression = weak_asymptote(15).expression
    n = next(s for s in expression.free_symbols if s.name == "n")
    slope = sympy.simplify(n * sympy.diff(sympy.log(expression), n))
    assert slope == sympy.Rational(-3, 17)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: weak(1, 3, 0), "n must be positive and finite, got 0"),
        (lambda: weak(1, 3, 10, penalty=0), "penalty must be positive, got 0"),
        (lambda: weak(1, 1, 10), "d must be an integer >= 2, got 1"),
        (lambda: weak(np.nan, 3, 10), "weights must be a nonempty list of finite numbers"),
        (lambda: weak_planted(np.eye(3), [1, 2], 3, 10), "directions_gram must be a symmetric"),
        (lambda: weak_planted(2 * np.eye(2), [1, 2], 3, 10), "with unit diagonal"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
