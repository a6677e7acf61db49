r"""Gaussian measures that differ in one direction: :math:`N(0, v I)` against one thin variance.

:math:`\nu = N(0, v_l I)` in R^d, and :math:`\mu` has the variance :math:`v_s < v_l` along e. With
:math:`s = \sqrt v` and :math:`c = 1 - v_s/v_l` a projection on a direction of squared cosine
:math:`u^2` with e has the standard deviations :math:`s_l` and :math:`s_l\sqrt{1 - cu^2}`: a metric
that maximizes over directions sees :math:`s_l - s_s`, one that averages sees about
:math:`s_l c/(2d)` of it ([domingoenrich2021separation]_; the values are derived here).

The rectifier meets (x, 1), with neurons :math:`\theta = (w, \beta)` on the sphere of R^(d+1). Under
a Gaussian of standard deviation s along w its mean is :math:`g(\beta, |w|s)`, with
:math:`g(\beta, s) = \beta\Phi(\beta/s) + s\varphi(\beta/s)`.
"""

import math

import numpy as np
from scipy.special import ndtr, roots_legendre

from .._checks import check_integer, check_positive

_N_NODES = 400


def sliced_wasserstein(d: int, large: float = 1.0, small: float = 0.1) -> tuple[float, float]:
    r"""Maximum and average over directions of the W1 distance between projections.

    W1 between centred Gaussians is :math:`\sqrt{2/\pi}` times the difference of their standard
    deviations, so

    .. math:: \max = \sqrt{2/\pi}\,(s_l - s_s), \qquad \mathrm{average} = \sqrt{2/\pi}\,s_l
              \left[1 - {}_2F_1(-\tfrac12, \tfrac12; \tfrac d2; c)\right] .

    Parameters
    ----------
    d : int
        Dimension, at least 2.
    large, small : float
        Variances :math:`v_l > v_s`.

    Returns
    -------
    max, average : float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    d, wide, narrow, c = _check(d, large, small)
    # The series without its leading 1, whose terms are all of one sign.
    average, term, j = 0.0, c / (2 * d), 1
    while term > 1e-17 * average:
        average += term
        term *= (j - 0.5) * (j + 0.5) / ((d / 2 + j) * (j + 1)) * c
        j += 1
    scale = math.sqrt(2 / math.pi)
    return scale * (wide - narrow), scale * wide * average


def sliced_wasserstein_plug_in(n: float, large: float = 1.0) -> float:
    r"""Leading mean of W1 between two samples of n numbers of :math:`N(0, v_l)`.

    The difference of two empirical distribution functions at x is nearly Gaussian, of variance
    :math:`2\Phi(1-\Phi)/n`, so that

    .. math:: E W_1 \sim s_l \sqrt{\frac2n} \sqrt{\frac2\pi}
              \int \sqrt{\Phi(x)(1-\Phi(x))}\,dx .

    An average-sliced distance below it is noise.

    Parameters
    ----------
    n : float
        Number of points of each sample.
    large : float
        Variance.
    """
    check_positive("n", n)
    # Beyond 12 standard deviations nothing is left at double precision.
    x, weights = roots_legendre(_N_NODES)
    integral = 12 * weights @ np.sqrt(ndtr(12 * x) * ndtr(-12 * x))
    return math.sqrt(check_positive("large", large)) * 2 * float(integral) / math.sqrt(math.pi * n)


def gaussian_ipm(
    d: int, large: float = 1.0, small: float = 0.1, a: float = 1, b: float = 0
) -> tuple[float, float]:
    r"""F1 and F2 distances, for leaky rectifiers of (x, 1).

    .. math:: d_{F1} = |a+b|\,\frac{s_l - s_s}{\sqrt{2\pi}}, \qquad d_{F2}^2 = (a+b)^2\,
       E_\theta\left[g(\beta, |w|s_l) - g(\beta, |w|s_l\sqrt{1-cu^2})\right]^2 ,

    the first attained at :math:`\theta = (e, 0)`, the second by quadrature over
    :math:`\beta` and :math:`u = \langle w, e\rangle/|w|`.

    Parameters
    ----------
    d : int
        Dimension of x, at least 2.
    large, small : float
        Variances :math:`v_l > v_s`.
    a, b : float
        Slopes of the activation on the two sides: the two differ by a linear function, which has
        mean zero, so that only their sum counts.

    Returns
    -------
    f1, f2 : float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    d, wide, narrow, c = _check(d, large, small)
    beta, weights = _one_coordinate(d + 1)
    f2 = math.sqrt(_mean_square(d, beta, weights, wide, c))
    return abs(a + b) * (wide - narrow) / math.sqrt(2 * math.pi), abs(a + b) * f2


def gaussian_tilde_f2(d: int, large: float = 1.0, small: float = 0.1) -> float:
    r"""F2 distance with the bias :math:`\beta = \sin\omega` of a uniform angle, as published.

    Parameters
    ----------
    d : int
    large, small : float
        As for `gaussian_ipm`.
    """
    d, wide, _, c = _check(d, large, small)
    # The integrand is smooth and periodic in the angle: equal weights converge fastest.
    omega = (np.arange(_N_NODES) + 0.5) * np.pi / _N_NODES
    weights = np.full(_N_NODES, 1 / _N_NODES)
    return math.sqrt(_mean_square(d, np.sin(omega - np.pi / 2), weights, wide, c))


def _mean_square(d: int, beta: np.ndarray, weights: np.ndarray, wide: float, c: float) -> float:
    """Mean square of the difference of g, for a law of the bias and a uniform direction of w."""
    u, direction_weights = _one_coordinate(d)
    length = np.sqrt(1 - beta**2)[:, None] * wide
    difference = _mean_rectifier(beta[:, None], length)
    difference = difference - _mean_rectifier(beta[:, None], length * np.sqrt(1 - c * u**2))
    return float(weights @ difference**2 @ direction_weights)


def _mean_rectifier(beta: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Mean of max(z, 0) for z of mean `beta` and standard deviation `s`."""
    ratio = beta / s
    return beta * ndtr(ratio) + s * np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)


def _one_coordinate(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the law of one coordinate of a uniform point of the sphere of R^d."""
    # About the equator, as far as the law of the angle x, near exp(-(d-2) x^2 / 2), can be seen.
    nodes, weights = roots_legendre(_N_NODES)
    x = nodes * min(math.pi / 2, 9 / math.sqrt(max(d - 2, 1)))
    weights = weights * np.cos(x) ** (d - 2)
    return np.sin(x), weights / weights.sum()


def _check(d: int, large: float, small: float) -> tuple[int, float, float, float]:
    d = check_integer("d", d, 2)
    large, small = check_positive("large", large), check_positive("small", small)
    if small >= large:
        raise ValueError(f"small must be less than large, {large}, got {small}.")
    return d, math.sqrt(large), math.sqrt(small), 1 - small / large
