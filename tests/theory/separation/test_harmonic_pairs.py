import functools

import mpmath
import numpy as np
import pytest
import sympy

from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.kernels import ArcCosine
from lazyactive.theory.separation import ipm, ipm_plug_in, smooth_ipm, stein
from lazyactive.theory.sphere import harmonic_dimension, legendre_roots
from lazyactive.theory.sphere import legendre as sympy_legendre
from lazyactive.theory.stein_discrepancies import f1_stein, kernel_stein

# The series of degree 40 loses some thirty of them.
DIGITS = 60


@functools.cache
def series(k, d):
    """By the hypergeometric series in (1 - t) / 2, which the recurrence does not share."""
    return [
        mpmath.rf(-k, j)
        * mpmath.rf(k + d - 2, j)
        / mpmath.rf(mpmath.mpf(d - 1) / 2, j)
        / mpmath.factorial(j)
        for j in range(k, -1, -1)
    ]


def legendre(k, d, t):
    return mpmath.polyval(series(k, d), (1 - t) / 2)


def mean(f, d, edges):
    """Mean of f(t) under tau, in the angle, cut at 0 and at `edges`."""
    constant = mpmath.gammaprod([mpmath.mpf(d) / 2], [0.5, mpmath.mpf(d - 1) / 2])
    angles = sorted({0, mpmath.pi / 2, mpmath.pi, *(mpmath.acos(t) for t in edges)})
    return constant * mpmath.quad(
        lambda phi: f(mpmath.cos(phi)) * mpmath.sin(phi) ** (d - 2), angles
    )


@pytest.mark.parametrize(("k", "d"), [(1, 2), (6, 2), (5, 3), (6, 16), (40, 100), (6, 1000)])
def test_roots(k, d):
    roots = legendre_roots(k, d)
    assert np.all(np.diff(roots) > 0)
    with mpmath.workdps(DIGITS):
        for root in map(mpmath.mpf, roots):
            slope = mpmath.diff(lambda t: legendre(k, d, t), root)
            assert abs(legendre(k, d, root) / slope) < 1e-14


@pytest.mark.parametrize(
    ("k", "d", "alpha"),
    [
        (2, 2, 1),
        (3, 3, 0),
        (3, 3, 1),
        (6, 6, 1),
        (6, 16, 1),
        (5, 100, 2),
        (6, 1000, 1),
        (5, 1000, 0),
    ],
)
def test_ipm_against_quadrature(k, d, alpha):
    a, b = 1.0, 0.25
    with mpmath.workdps(DIGITS):
        # A kink next to an edge costs the square of the distance.
        roots = [mpmath.mpf(root) for root in legendre_roots(k, d) if abs(root) > 1e-12]
        half_mean = mean(lambda t: abs(legendre(k, d, t)), d, roots) / 2

        def neuron(t):
            return (a if t > 0 else b) * abs(t) ** alpha

        expected = abs(mean(lambda t: neuron(t) * legendre(k, d, t), d, roots)) / half_mean
    f1, f2 = ipm(k, d, a, b, alpha)
    if expected < 1e-40:
        assert f1 == f2 == 0
        return
    assert f1 == pytest.approx(float(expected), rel=1e-10)
    assert f2 == pytest.approx(float(expected / mpmath.sqrt(harmonic_dimension(d, k))), rel=1e-10)


def test_published_setting():
    # Of arXiv 2106.05739: k = 6, ReLU; values of shared tables, to the digits that they have.
    assert ipm(6, 6) == pytest.approx((0.0360680428425801, 0.00196767305351230), rel=1e-13)
    assert ipm(6, 12) == pytest.approx((0.0341636760637017, 0.000325575123493255), rel=1e-13)
    f1, f2 = ipm(6, 16)
    assert f1 / f2 == pytest.approx(np.sqrt(harmonic_dimension(16, 6)), rel=1e-13)


def test_smooth_pair_is_a_multiple():
    f1, f2 = smooth_ipm(4, 7, gamma=0.3, a=1, b=2)
    coefficient = ReLUPower(1).coefficients(7, 4)[4]
    assert f1 == pytest.approx(2 * 0.3 * 3 * abs(coefficient), rel=1e-13)
    assert f2 == pytest.approx(f1 / np.sqrt(harmonic_dimension(7, 4)), rel=1e-13)
    # Odd degrees: the absolute value (a = b) does not see them.
    assert smooth_ipm(1, 7, 1, 1, 1) == (0, 0)


@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize(("k", "d"), [(1, 3), (2, 5), (5, 6), (5, 12), (3, 40)])
def test_stein_against_the_search_over_neurons(k, d, alpha):
    coefficients = np.zeros(k + 1)
    coefficients[k] = -0.7
    f1, f2 = stein(k, d, gamma=0.7, alpha=alpha)
    assert f1 == pytest.approx(f1_stein(coefficients, d, alpha), rel=1e-7, abs=1e-15)
    assert f2**2 == pytest.approx(kernel_stein(coefficients, d, ArcCosine(alpha)), rel=1e-10)
    if f1:
        # Total variation 1 for each coordinate is a larger ball, by a few percent here.
        assert f1 <= f1_stein(coefficients, d, alpha, "coordinate")


def test_stein_published_setting():
    assert stein(5, 6) == pytest.approx((0.0110237190020360, 0.00105641935943180), rel=1e-12)
    assert stein(5, 12) == pytest.approx((0.00266032434438275, 7.18420936097085e-5), rel=1e-12)


@pytest.mark.parametrize(("k", "d", "b"), [(2, 3, 0.0), (3, 4, 0.5)])
def test_plug_in_against_sums_over_random_pairs(k, d, b):
    # The kernel between two points of the same part: a double sum over a fine grid of the axis and
    # of the angle about it is replaced by degrees, each integrated on a grid of its own.
    phi = (np.arange(40_000) + 0.5) * np.pi / 40_000
    t, mass = np.cos(phi), np.sin(phi) ** (d - 2)
    values = np.array([np.polyval(np.array(coefficients(ell, d)), t) for ell in range(25)])
    embedded = 0.0
    for sign in (1, -1):
        part = np.maximum(sign * values[k], 0) * mass
        means = values @ part / part.sum()
        factors = ReLUPower(1).coefficients(d, 24) * (1 + b * (-1.0) ** np.arange(25))
        dimensions = [harmonic_dimension(d, ell) for ell in range(25)]
        embedded += float(np.sum(factors**2 * dimensions * means**2))
    n = 1000
    _, f2 = ipm(k, d, 1, b)
    expected = f2**2 + ((1 + b**2) / d - embedded) / n
    assert ipm_plug_in(k, d, n, 1, b) ** 2 == pytest.approx(expected, rel=1e-6)


def coefficients(k, d):
    t = sympy.Symbol("t")
    return [float(c) for c in sympy.Poly(sympy_legendre(k, d, t), t).all_coeffs()] if k else [1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ipm(0, 5), "k must be an integer >= 1"),
        (lambda: ipm(6, 1), "d must be an integer >= 2"),
        (lambda: ipm(6, 5, a=np.nan), "a and b must be finite"),
        (lambda: smooth_ipm(6, 5, gamma=1.5), "gamma must be at most 1"),
        (lambda: stein(5, 5, gamma=-1), "gamma must be a positive"),
        (lambda: stein(5, 5, alpha=0), "alpha must be an integer >= 1"),
        (lambda: ipm_plug_in(6, 5, 0), "n must be positive"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
