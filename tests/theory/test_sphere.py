import math

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import eval_gegenbauer

from lazyactive.theory.sphere import (
    harmonic_dimension,
    legendre,
    legendre_values,
    log_harmonic_dimensions,
    mean,
    weight_constant,
)

dimensions = st.integers(2, 40)
degrees = st.integers(0, 60)


@given(d=dimensions, k=degrees)
def test_dimensions_add_up_to_polynomials_on_the_sphere(d, k):
    # Homogeneous polynomials of degree k are the harmonics of degrees k, k - 2, ... on the sphere.
    assert sum(harmonic_dimension(d, j) for j in range(k, -1, -2)) == math.comb(k + d - 1, d - 1)


@pytest.mark.parametrize(
    ("d", "k", "expected"), [(3, 0, 1), (3, 10, 21), (5, 7, 204), (15, 3, 665)]
)
def test_dimension_values(d, k, expected):
    assert harmonic_dimension(d, k) == expected


@given(d=dimensions)
def test_log_dimensions(d):
    exact = [math.log(harmonic_dimension(d, k)) for k in range(50)]
    np.testing.assert_allclose(log_harmonic_dimensions(d, 49), exact, atol=1e-12)


def test_log_dimensions_do_not_overflow():
    exact = math.log(harmonic_dimension(1000, 4000))
    assert log_harmonic_dimensions(1000, 4000)[-1] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("d", [2, 3, 4, 7, 15])
def test_legendre_polynomial_against_scipy(d):
    t = np.linspace(-1, 1, 9)
    values = legendre_values(t, d, 30)
    for k in range(8):
        if d == 2:
            reference = np.cos(k * np.arccos(t))
        else:
            order = (d - 2) / 2
            reference = eval_gegenbauer(k, order, t) / eval_gegenbauer(k, order, 1.0)
        exact = [float(legendre(k, d, sympy.Float(point, 30))) for point in t]
        np.testing.assert_allclose(exact, reference, atol=1e-13)
        np.testing.assert_allclose(values[k], reference, atol=1e-13)


@pytest.mark.parametrize(
    ("d", "k", "t", "expected"),
    [
        (3, 5, 0.3, 0.345386250000000),
        (5, 10, -0.7, 0.0583880459681641),
        (15, 20, 0.9, -0.00517457483507465),
    ],
)
def test_legendre_values_table(d, k, t, expected):
    assert legendre_values(t, d, k)[k] == pytest.approx(expected, rel=1e-12)


@given(d=dimensions, k=st.integers(1, 200), t=st.floats(-1, 1))
def test_legendre_values_at_one_parity_and_bound(d, k, t):
    values = legendre_values([t, -t, 1.0], d, k)[k]
    assert abs(values[0]) <= 1 + 1e-12
    assert values[1] == pytest.approx((-1) ** k * values[0], abs=1e-13)
    assert values[2] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("d", [2, 3, 5, 15])
def test_squared_norm_of_legendre_is_one_over_dimension(d):
    for j, k in [(0, 0), (3, 3), (6, 6), (1, 3), (2, 6)]:
        product = sympy.lambdify(sympy.Symbol("t"), legendre(j, d) * legendre(k, d), "mpmath")
        expected = 1 / harmonic_dimension(d, k) if j == k else 0
        assert float(mean(product, d)) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("d", [2, 3, 5, 15, 200])
def test_mean_of_moments(d):
    assert float(mean(lambda t: 1, d)) == pytest.approx(1, rel=1e-13)
    assert float(mean(lambda t: t**2, d)) == pytest.approx(1 / d, rel=1e-13)
    assert float(mean(lambda t: mpmath.mpf(t > 0), d)) == pytest.approx(0.5, rel=1e-13)


@pytest.mark.parametrize(
    ("d", "expected"), [(2, 1 / sympy.pi), (3, sympy.Rational(1, 2)), (5, sympy.Rational(3, 4))]
)
def test_weight_constant(d, expected):
    assert weight_constant(d) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harmonic_dimension(1, 2), "d must be an integer >= 2, got 1"),
        (lambda: harmonic_dimension(3, -1), "k must be an integer >= 0, got -1"),
        (lambda: legendre(2.5, 3), "k must be an integer >= 0, got 2.5"),
        (lambda: legendre_values(1.5, 3, 2), r"t must lie in \[-1, 1\], got 1.5"),
        (lambda: legendre_values(np.nan, 3, 2), r"t must lie in \[-1, 1\], got nan"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
