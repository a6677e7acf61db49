r"""Eigenvalues of :math:`e^{-z(1-u)}` for many z and degrees, by ratios of Bessel functions."""

import math
from functools import cache

import numpy as np
from numpy.polynomial import Polynomial
from scipy.special import gammaln

from .._beta import stirling_remainder

# Terms and lowest order of Debye's expansion: its error is below 1e-15.
_DEBYE_TERMS = 12
_DEBYE_ORDER = 15.0
# Arguments up to which the power series is taken, and its terms.
_SERIES_ARGUMENT, _SERIES_TERMS = 20.0, 60
# Steps of the ratios' recurrence above the last one that is wanted.
_MARGIN = 20


def log_gaussian_spectrum(z: np.ndarray, d: int, max_degree: int) -> np.ndarray:
    r"""Logarithms of :math:`e^{-z}(2/z)^\nu\,\Gamma(\nu+1)\,I_{k+\nu}(z)`, :math:`\nu = d/2-1`.

    The ratios :math:`R_k = I_{k+\nu}/I_{k+\nu-1}` obey the backward recurrence
    :math:`1/R_k = 2(k+\nu)/z + R_{k+1}` of positive terms ([dlmf], 10.29.1), which loses no
    digits; Debye's expansion in the order ([dlmf], 10.41.3) starts it.

    Parameters
    ----------
    z : ndarray, shape (n,)
        Positive.
    d, max_degree : int
        Ambient dimension (>= 2) and largest degree (>= 0).

    Returns
    -------
    ndarray, shape (max_degree + 1, n)
    """
    nu = d / 2 - 1
    # Degree whose order is high enough for Debye's expansion: 0 unless d is small.
    anchor = max(0, math.ceil(_DEBYE_ORDER - nu))
    top = max(max_degree, anchor) + _MARGIN
    ratio = np.exp(_log_bessel(top + nu, z) - _log_bessel(top + nu - 1, z))
    logs = np.empty((max_degree + 1, len(z)))
    to_anchor = np.zeros(len(z))
    for k in range(top - 1, 0, -1):
        ratio = 1 / (2 * (k + nu) / z + ratio)
        if k <= max_degree:
            logs[k] = np.log(ratio)
        if k <= anchor:
            to_anchor += np.log(ratio)
    if anchor == 0:
        logs[0] = _log_degree_zero(nu, z)
    else:
        scale = nu * np.log(2 / z) + gammaln(nu + 1)
        descended = _log_bessel(anchor + nu, z) - to_anchor + scale
        logs[0] = np.where(z < _SERIES_ARGUMENT, _log_series(nu, z), descended)
    return np.cumsum(logs, axis=0, out=logs)


def _log_series(nu: float, z: np.ndarray) -> np.ndarray:
    r"""Return degree 0 by the power series of :math:`{}_0F_1(\nu+1; z^2/4)`, for small z."""
    z = np.minimum(z, _SERIES_ARGUMENT)
    term, total = np.ones_like(z), np.ones_like(z)
    for j in range(1, _SERIES_TERMS):
        term = term * (z / 2) ** 2 / (j * (nu + j))
        total += term
    return np.log(total) - z


def _log_bessel(order: float, z: np.ndarray) -> np.ndarray:
    r"""Return :math:`\log e^{-z} I_\nu(z)` for an order of at least 15."""
    s = np.hypot(order, z)
    exponent = order**2 / (s + z) - order * np.log((order + s) / z)
    return exponent - 0.5 * np.log(2 * np.pi * s) + _log_debye_sum(order, s)


def _log_degree_zero(order: float, z: np.ndarray) -> np.ndarray:
    """Return degree 0 for an order of at least 15, Stirling's terms cancelled by hand."""
    x = z / order
    root = np.hypot(1, x)
    main = order * (1 / (root + x) - 1 - np.log1p(x * x / (2 * (1 + root))))
    rest = stirling_remainder(order) - 0.5 * np.log(root)
    return main + rest + _log_debye_sum(order, order * root)


def _log_debye_sum(order: float, s: np.ndarray) -> np.ndarray:
    p = order / s
    return np.log(sum(term(p) / order**j for j, term in enumerate(_debye_polynomials())))


@cache
def _debye_polynomials() -> tuple[Polynomial, ...]:
    r"""The polynomials of Debye's expansion ([dlmf], 10.41.9).

    .. math:: U_{j+1}(p) = \tfrac12 p^2 (1-p^2)\,U_j'(p) + \tfrac18\int_0^p (1-5q^2)\,U_j(q)\,dq .
    """
    polynomials = [Polynomial([1.0])]
    for _ in range(_DEBYE_TERMS):
        last = polynomials[-1]
        slope = Polynomial([0, 0, 0.5, 0, -0.5]) * last.deriv()
        polynomials.append(slope + (Polynomial([1 / 8, 0, -5 / 8]) * last).integ())
    return tuple(polynomials)
