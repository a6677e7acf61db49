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


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 10, 1000])
def test_gaussian_f2_against_quadrature(d):
    small, large = 0.1, 1.0

    def rectified(beta, s):
        ratio = beta / s
        return beta * mpmath.ncdf(ratio) + s * mpmath.npdf(ratio)

    def squared(x, y):
        beta, length = mpmath.sin(x), mpmath.cos(x)
        narrow = mpmath.sqrt(large - (large - small) * mpmath.sin(y) ** 2)
        return (rectified(beta, length) - rectified(beta, length * narrow)) ** 2

    with mpmath.workdps(20):
        end = min(mpmath.pi / 2, mpmath.mpf(9) / mpmath.sqrt(d))
        edges = mpmath.linspace(0, end, 4 if d < 100 else 2)
        weight = mpmath.quad(lambda x: mpmath.cos(x) ** (d - 1), edges)
        weight *= mpmath.quad(lambda y: mpmath.cos(y) ** (d - 2), edges)
        # Even in the direction; not in the bias, whose two signs differ by a linear function of
        # mean zero: even as well.
        mean = mpmath.quad(
            lambda x, y: squared(x, y) * mpmath.cos(x) ** (d - 1) * mpmath.cos(y) ** (d - 2),
            edges,
            edges,
        )
        expected = mpmath.sqrt(mean / weight)
    f1, f2 = gaussian_ipm(d, large, small)
    assert f2 == pytest.approx(float(expected), rel=1e-10)
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
