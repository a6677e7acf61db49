r"""Harmonic analysis of zonal functions on the unit sphere of R^d.

`d` is the ambient dimension, `tau` the uniform probability measure on `S^{d-1}`, and `t = <x, e>`
the coordinate along a fixed unit vector `e`. The sources write the sphere of `R^d` as `S^{d-1}` too
([atkinson2012spherical], chapter 2).
"""

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import sympy
from numpy.typing import ArrayLike
from scipy.linalg import eigvalsh_tridiagonal

from ._beta import log_beta
from ._checks import check_integer


def harmonic_dimension(d: int, k: int) -> int:
    r"""Number of linearly independent spherical harmonics of degree `k`.

    .. math:: N(d, k) = \binom{k+d-1}{d-1} - \binom{k+d-3}{d-1}, \qquad N(d, 0) = 1.

    Parameters
    ----------
    d : int
        Ambient dimension, at least 2.
    k : int
        Degree, at least 0.

    Raises
    ------
    ValueError
        If `d` or `k` is not an integer, or is too small.

    References
    ----------
    [atkinson2012spherical], section 2.1.3.
    """
    d, k = check_integer("d", d, 2), check_integer("k", k, 0)
    if k == 0:
        return 1
    return math.comb(k + d - 1, d - 1) - math.comb(k + d - 3, d - 1)


def log_harmonic_dimensions(d: int, max_degree: int) -> np.ndarray:
    """Logarithms of N(d, 0), ..., N(d, max_degree), shape (max_degree + 1,), without overflow."""
    d, max_degree = check_integer("d", d, 2), check_integer("max_degree", max_degree, 0)
    return np.concatenate([[0.0], log_dimension(np.arange(1.0, max_degree + 1), d)])


def log_dimension(k: np.ndarray, d: int) -> np.ndarray:
    """Logarithm of N(d, k), continued to real k > 0."""
    return np.log((2 * k + d - 2) / (k * (k + d - 2))) - log_beta(k, d - 1)


def legendre(k: int, d: int, t: sympy.Expr | None = None) -> sympy.Expr:
    r"""Legendre polynomial of degree `k` in dimension `d`, normalised by :math:`P_k(1) = 1`.

    It is the reproducing kernel of degree `k` up to the factor `N(d, k)`, and a Gegenbauer
    polynomial :math:`C_k^{(d-2)/2}` (Chebyshev for d = 2) up to normalisation:

    .. math:: (k+d-2) P_{k+1} = (2k+d-2)\, t P_k - k P_{k-1}.

    Parameters
    ----------
    k, d : int
        Degree (>= 0) and ambient dimension (>= 2).
    t : sympy.Expr, optional
        Argument; the symbol ``t`` by default.

    References
    ----------
    [atkinson2012spherical], section 2.7.
    """
    k, d = check_integer("k", k, 0), check_integer("d", d, 2)
    t = sympy.Symbol("t") if t is None else sympy.sympify(t)
    if k == 0:
        return sympy.Integer(1)
    previous, current = sympy.Integer(1), t
    for j in range(1, k):
        step = (2 * j + d - 2) * t * current - j * previous
        previous, current = current, sympy.expand(step / sympy.Integer(j + d - 2))
    return current


def legendre_values(t: ArrayLike, d: int, max_degree: int) -> np.ndarray:
    """Values of the Legendre polynomials of all degrees up to `max_degree`, by recurrence.

    Parameters
    ----------
    t : array_like
        Points of [-1, 1], any shape; the three-term recurrence is stable there.
    d, max_degree : int
        Ambient dimension (>= 2) and largest degree (>= 0).

    Returns
    -------
    ndarray of float64, shape ``(max_degree + 1, *t.shape)``

    Raises
    ------
    ValueError
        If a point lies outside [-1, 1].
    """
    d, max_degree = check_integer("d", d, 2), check_integer("max_degree", max_degree, 0)
    t = np.asarray(t, dtype=np.float64)
    if not np.all(np.abs(t) <= 1):
        raise ValueError(f"t must lie in [-1, 1], got {t[~(np.abs(t) <= 1)].flat[0]}.")
    values = np.ones((max_degree + 1, *t.shape))
    if max_degree >= 1:
        values[1] = t
    for k in range(1, max_degree):
        values[k + 1] = ((2 * k + d - 2) * t * values[k] - k * values[k - 1]) / (k + d - 2)
    return values


def legendre_roots(k: int, d: int) -> np.ndarray:
    """Roots of the Legendre polynomial of degree `k` (>= 1), in increasing order, shape (k,)."""
    k, d = check_integer("k", k, 1), check_integer("d", d, 2)
    if d == 2:  # P_k(cos phi) = cos(k phi)
        return np.sin(np.pi / (2 * k) * np.arange(1 - k, k, 2))
    j = np.arange(1, k)
    # Square roots of the products of the two factors in t P_j = a_j P_{j+1} + b_j P_{j-1}.
    off_diagonal = np.sqrt(j * (j + d - 3) / ((2 * j + d - 2) * (2 * j + d - 4)))
    return eigvalsh_tridiagonal(np.zeros(k), off_diagonal)


def weight_constant(d: int | sympy.Expr) -> sympy.Expr:
    r"""Constant of the law of one coordinate under tau.

    .. math:: c_d = \frac{\Gamma(d/2)}{\sqrt\pi\,\Gamma((d-1)/2)}, \qquad
              t \sim c_d (1-t^2)^{(d-3)/2}\,dt \text{ on } [-1, 1].
    """
    half = sympy.sympify(d) / 2
    return sympy.gamma(half) / (sympy.sqrt(sympy.pi) * sympy.gamma(half - sympy.Rational(1, 2)))


def mean(f: Callable[[Any], Any], d: int) -> Any:
    r"""Mean of the zonal function `f(<x, e>)` under tau, by quadrature in mpmath.

    .. math:: E_\tau f(\langle x, e\rangle)
              = c_d \int_0^\pi f(\cos\varphi) \sin^{d-2}\varphi\,d\varphi

    Parameters
    ----------
    f : callable
        Maps an mpmath number of [-1, 1] to a number. It may have a kink or a jump at 0, where
        the interval is cut.
    d : int
        Ambient dimension, at least 2.

    Returns
    -------
    mpmath.mpf
        At the working precision (``mpmath.workdps``).
    """
    d = check_integer("d", d, 2)
    half = mpmath.mpf(d) / 2
    constant = mpmath.gammaprod([half], [mpmath.mpf(1) / 2, half - mpmath.mpf(1) / 2])
    interval = [0, mpmath.pi / 2, mpmath.pi]
    return constant * mpmath.quad(
        lambda phi: f(mpmath.cos(phi)) * mpmath.sin(phi) ** (d - 2), interval
    )
