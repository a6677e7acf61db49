import mpmath
import numpy as np
import pytest
from scipy.special import roots_jacobi
from scipy.stats import norm

from lazyactive.theory.separation import (
    gaussian_ipm,
    gaussian_tilde_f2,
    sliced_wasserstein,
    sliced_wasserstein_plug_in,
)


@pytest.mark.parametrize(("large", "small"), [(1.0, 0.1), (4.0, 1.0), (1.0, 0.999)])
@pytest.mark.parametrize("d", [2, 3, 15, 1000])
def test_sliced_wasserstein_against_quadrature(d, large, small):
    with mpmath.workdps(40):
        c = 1 - mpmath.mpf(small) / mpmath.mpf(large)
        constant = mpmath.gammaprod([mpmath.mpf(d) / 2], [0.5, mpmath.mpf(d - 1) / 2])
        mean = constant * mpmath.quad(
            lambda x: (1 - mpmath.sqrt(1 - c * mpmath.sin(x) ** 2)) * mpmath.cos(x) ** (d - 2),
            mpmath.linspace(-mpmath.pi / 2, mpmath.pi / 2, 9),
        )
        scale = mpmath.sqrt(2 * mpmath.mpf(large) / mpmath.pi)
        largest = scale * (1 - mpmath.sqrt(1 - c))
    assert sliced_wasserstein(d, large, small) == pytest.approx(
        (float(largest), float(scale * mean)), rel=1e-10
    )


def test_defaults_are_variances():
    assert sliced_wasserstein(30) == pytest.approx(
        (0.545571308600849, 0.0122395962012872), rel=1e-13
    )


def test_noise_of_one_dimension():
    with mpmath.workdps(30):
        integral = mpmath.quad(
            lambda x: mpmath.sqrt(mpmath.ncdf(x) * mpmath.ncdf(-x)), mpmath.linspace(-16, 16, 17)
        )
        expected = 3 * mpmath.sqrt(mpmath.mpf(2) / 500) * mpmath.sqrt(2 / mpmath.pi) * integral
    assert sliced_wasserstein_plug_in(500, large=9) == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize("d", [2, 10, 1000])
def test_gaussian_f2_against_quadrature(d):
    small, large = 0.1, 1.0

    def rectified(beta, s):
        return beta * norm.cdf(beta / s) + s * norm.pdf(beta / s)

    # Of Gauss and Legendre, in angles, in the part of the sphere that has any weight.
    t, weights = np.polynomial.legendre.leggauss(50)
    edges = np.linspace(0, min(np.pi / 2, 9 / np.sqrt(d)), 5)
    angle = ((edges[1:] + edges[:-1])[:, None] / 2 + np.diff(edges)[:, None] / 2 * t).ravel()
    mass = np.outer(np.diff(edges), weights).ravel()
    x, y = angle[:, None], angle
    beta, length = np.sin(x), np.cos(x)
    narrow = np.sqrt(large - (large - small) * np.sin(y) ** 2)
    squared = (rectified(beta, length) - rectified(beta, length * narrow)) ** 2
    # Even in the direction; not in the bias, whose two signs differ by a linear function of
    # mean zero: even as well.
    law = np.outer(mass * np.cos(angle) ** (d - 1), mass * np.cos(angle) ** (d - 2))
    expected = np.sqrt(np.sum(law * squared) / np.sum(law))
    f1, f2 = gaussian_ipm(d, large, small)
    assert f2 == pytest.approx(expected, rel=1e-10)
    assert f1 == pytest.approx((1 - 0.1**0.5) / np.sqrt(2 * np.pi), rel=1e-14)
    assert gaussian_ipm(d, large, small, a=1, b=2) == pytest.approx((3 * f1, 3 * f2), rel=1e-14)


@pytest.mark.parametrize("d", [2, 3, 10, 30])
def test_gaussian_f2_against_gauss_jacobi(d):
    beta, beta_weights = roots_jacobi(150, (d - 2) / 2, (d - 2) / 2)
    u, u_weights = roots_jacobi(150, (d - 3) / 2, (d - 3) / 2)
    beta, length = beta[:, None], np.sqrt(1 - beta**2)[:, None]

    def rectified(s):
        return beta * norm.cdf(beta / s) + s * norm.pdf(beta / s)

    difference = rectified(length) - rectified(length * np.sqrt(1 - 0.9 * u**2))
    mean = beta_weights @ difference**2 @ u_weights / beta_weights.sum() / u_weights.sum()
    assert gaussian_ipm(d)[1] == pytest.approx(np.sqrt(mean), rel=1e-9)


def test_gaussian_f1_is_the_largest_over_neurons():
    # By Monte-Carlo-free means: g is exact, and neurons are scanned over bias and cosine.
    f1, _ = gaussian_ipm(5)
    beta = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 401)[1:-1])[:, None]
    cosine = np.linspace(0, 1, 201)

    def rectified(s):
        return beta * norm.cdf(beta / s) + s * norm.pdf(beta / s)

    length = np.sqrt(1 - beta**2)
    values = rectified(length) - rectified(length * np.sqrt(1 - 0.9 * cosine**2))
    assert values.max() == pytest.approx(f1, rel=1e-12)


def test_tilde_f2():
    # Shared tables, to 12 digits.
    assert gaussian_tilde_f2(3) == pytest.approx(0.0567251003421, rel=1e-11)
    assert gaussian_tilde_f2(1000) == pytest.approx(0.00018403920825, rel=1e-11)


def test_bad_input():
    with pytest.raises(ValueError, match="small must be less than large"):
        sliced_wasserstein(3, 1, 1)
    with pytest.raises(ValueError, match="d must be an integer >= 2"):
        gaussian_ipm(1)
    with pytest.raises(ValueError, match="n must be a positive"):
        sliced_wasserstein_plug_in(0)
