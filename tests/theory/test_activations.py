import mpmath
import numpy as np
import pytest
import sympy

from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.sphere import harmonic_dimension, legendre, legendre_values, mean

ALPHAS = [0, 1, 2, 3]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("d", [2, 3, 5, 15, 100])
def test_coefficient_is_the_mean_against_legendre(alpha, d):
    # Funk and Hecke: lambda_k = E sigma(t) P_k(t). Quadrature knows nothing of Gammas.
    with mpmath.workdps(30):
        for k in [*range(8), 11]:
            polynomial = sympy.lambdify(sympy.Symbol("t"), legendre(k, d), "mpmath")
            by_quadrature = mean(
                lambda t, p=polynomial: p(t) * t**alpha if t > 0 else mpmath.mpf(0), d
            )
            exact = mpmath.mpf(sympy.N(ReLUPower(alpha).coefficient(k, d), 30))
            assert abs(exact - by_quadrature) < mpmath.mpf(10) ** -22


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("d", [2, 3, 15, 100])
def test_float_coefficients_against_exact(alpha, d):
    exact = [float(sympy.N(ReLUPower(alpha).coefficient(k, d), 20)) for k in range(52)]
    values = ReLUPower(alpha).coefficients(d, 51)
    np.testing.assert_allclose(values, exact, rtol=3e-12, atol=0)
    zeros = [k for k in range(52) if k >= alpha + 2 and (k - alpha) % 2 == 0]
    assert np.flatnonzero(values == 0).tolist() == zeros


def test_special_values_hold_in_every_dimension():
    d = sympy.Symbol("d", positive=True)
    assert sympy.gammasimp(ReLUPower(1).coefficient(1, d) - 1 / (2 * d)) == 0
    assert sympy.gammasimp(ReLUPower(0).coefficient(0, d)) == sympy.Rational(1, 2)
    assert sympy.gammasimp(ReLUPower(2).coefficient(0, d) - 1 / (2 * d)) == 0
    assert ReLUPower(0).coefficient(3, 5) == sympy.Rational(-1, 32)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("d", [2, 3, 15])
def test_eigenvalues_reproduce_the_kernel(alpha, d):
    # Mercer: the tail beyond degree 4000 is of order 1e-4 for alpha = 0, and 1e-10 otherwise.
    eigenvalues = np.exp(ReLUPower(alpha).log_eigenvalues(d, 4000))
    dimensions = np.array([float(harmonic_dimension(d, k)) for k in range(4001)])
    u = np.array([-0.9, -0.5, 0.0, 0.3, 0.99])
    series = (eigenvalues * dimensions) @ legendre_values(u, d, 4000)
    np.testing.assert_allclose(
        series, ReLUPower(alpha).kernel(u, d), atol=2e-4 if alpha == 0 else 1e-9
    )


def test_kernel_is_arc_cosine():
    u = np.linspace(-1, 1, 11)
    phi, s = np.arccos(u), np.sqrt(1 - u**2)
    for d in (2, 3, 15):
        np.testing.assert_allclose(
            ReLUPower(0).kernel(u, d), (np.pi - phi) / (2 * np.pi), atol=1e-15
        )
        np.testing.assert_allclose(
            ReLUPower(1).kernel(u, d), (s + (np.pi - phi) * u) / (2 * np.pi * d), atol=1e-15
        )
        np.testing.assert_allclose(
            ReLUPower(2).kernel(u, d),
            (3 * s * u + (np.pi - phi) * (1 + 2 * u**2)) / (2 * np.pi * d * (d + 2)),
            atol=1e-15,
        )


def test_activation_is_a_step_at_alpha_zero():
    t = [-1.0, 0.0, 0.5]
    assert ReLUPower(0)(t).tolist() == [0, 0, 1]
    assert ReLUPower(1)(t).tolist() == [0, 0, 0.5]
    assert ReLUPower(2)(t).tolist() == [0, 0, 0.25]


@pytest.mark.parametrize("alpha", [-1, 0.5, True])
def test_bad_alpha(alpha):
    with pytest.raises(ValueError, match="alpha must be an integer >= 0"):
        ReLUPower(alpha)


def test_bad_dimension():
    with pytest.raises(ValueError, match="d must be an integer >= 2, got 1"):
        ReLUPower(1).coefficient(0, 1)
