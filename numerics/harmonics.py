r"""Spherical harmonics in any dimension: polynomials, projections from samples, bases.

Degree k on the sphere of R^d has :math:`N(d, k)` independent harmonics. For a basis orthonormal
in :math:`L^2(\tau)` the addition theorem reads

.. math:: \sum_{j=1}^{N(d, k)} Y_j(x) Y_j(y) = N(d, k)\, P_{k,d}(\langle x, y\rangle),

with the Legendre polynomial of dimension d, :math:`P_{k,d}(1) = 1`. Hence the component of degree
k of a function needs no basis: :math:`f_k(x) = N(d, k)\,E_\tau[f(y) P_k(\langle x, y\rangle)]`
[atkinson2012spherical]_ (sections 2.2 and 2.3). For a zonal function
:func:`~lazyactive.numerics.spectra.funk_hecke` gives :math:`a_k = E_\tau[f P_k]` by quadrature:
the component is :math:`N a_k P_k`, and its squared norm :math:`N a_k^2`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._checks import check_count, check_sphere, check_vector
from ._harmonic_kernels import legendre_moments, legendre_table, ratios
from ._tiles import tiled_vector, tiles
from .sphere import normalize

__all__ = ["SquaredNorms", "basis", "dimension", "legendre", "project", "project_at"]

_MAX_BASIS_ENTRIES = 200_000_000


class SquaredNorms(NamedTuple):
    """Estimates of the squared norms of a function's components of degree 0, 1, ..."""

    values: NDArray
    standard_errors: NDArray


def dimension(d: int, degree: int) -> int:
    r"""Count the linearly independent harmonics of one degree.

    .. math:: N(d, k) = \binom{k+d-1}{d-1} - \binom{k+d-3}{d-1}, \qquad N(d, 0) = 1.

    Raises
    ------
    ValueError
        If ``d < 2`` or ``degree < 0``.
    """
    d, degree = check_count(d, "d", 2), check_count(degree, "degree", 0)
    if degree == 0:
        return 1
    return math.comb(degree + d - 1, d - 1) - math.comb(degree + d - 3, d - 1)


def legendre(t: ArrayLike, d: int, max_degree: int) -> NDArray:
    r"""Evaluate the Legendre polynomials of dimension d, all degrees at once.

    .. math:: (k+d-2)\,P_{k+1}(t) = (2k+d-2)\,t\,P_k(t) - k\,P_{k-1}(t), \qquad P_0 = 1, P_1 = t,

    the Chebyshev polynomials for d = 2, and :math:`C_k^{(d-2)/2}(t) / C_k^{(d-2)/2}(1)` for
    d > 2 [atkinson2012spherical]_ (section 2.7).

    Parameters
    ----------
    t : array_like
        Points of [-1, 1], any shape.
    d : int
        Ambient dimension, at least 2.
    max_degree : int
        Largest degree, at least 0.

    Returns
    -------
    ndarray of float64, shape ``(max_degree + 1, *t.shape)``
        The error stays below ``k + 2 sqrt(d)`` rounding units of the amplitude of the oscillation
        at t, :math:`[P_k^2 + (1-t^2) P_k'^2 / (k(k+d-2))]^{1/2}`, near the ends too.

    Raises
    ------
    ValueError
        If a point is outside [-1, 1] or not a number, ``d < 2`` or ``max_degree < 0``.
    """
    d, max_degree = check_count(d, "d", 2), check_count(max_degree, "max_degree", 0)
    points = check_vector(np.ravel(t), name="t").astype(np.float64, copy=False)
    outside = np.abs(points) > 1
    if outside.any():
        raise ValueError(f"t must lie in [-1, 1], but it contains {points[outside][0]}.")
    out = np.empty((max_degree + 1, len(points)))
    legendre_table(points, ratios(d, max_degree), out)
    return out.reshape(max_degree + 1, *np.shape(t))


def project(X: ArrayLike, values: ArrayLike, max_degree: int) -> SquaredNorms:
    r"""Estimate :math:`\|f_k\|^2` in :math:`L^2(\tau)` for each degree, without bias.

    The U-statistic with kernel :math:`h_{ij} = N(d, k)\,f_i f_j\,P_k(\langle x_i, x_j\rangle)`,

    .. math:: U = \frac{1}{n(n-1)} \sum_{i \ne j} h_{ij}, \qquad
       \mathrm{Var}\,U = \frac{2}{n(n-1)} \left[2(n-2)\,\zeta_1 + \zeta_2\right],

    where :math:`\zeta_1 = \mathrm{Cov}(h_{12}, h_{13})` and :math:`\zeta_2 = \mathrm{Var}\,h_{12}`
    are estimated without bias from sums over distinct indices, then cut at zero. Where f has no
    component of degree k, :math:`\zeta_1 = 0` and :math:`\zeta_2` gives the error, which the cut
    makes a little too large (up to 1.4 times for N(d, k) = 1). A value that is only two or three
    times its error is skewed: an interval of 1.96 errors then covers 87% rather than 95%. Where
    a component is a peak that few points see, like P_k of a high degree, value and error are both
    too small in most samples. Time is of order ``n**2 * (d + max_degree)``, memory of order
    ``n * (d + max_degree)``.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Independent uniform points of the sphere, n >= 4.
    values : array_like of shape (n,)
        Values f(x_i); independent noise of mean zero may be added.
    max_degree : int
        Largest degree, at least 0.

    Returns
    -------
    SquaredNorms
        ``values``, which can be negative, and ``standard_errors``, both (max_degree + 1,).

    Raises
    ------
    ValueError
        If a point is off the sphere, n < 4, shapes disagree, ``max_degree < 0``, or N(d, k) is
        beyond the range of float64.
    """
    X = _check_points(X, min_samples=4)
    f = _check_values(values, len(X))
    n, d = X.shape
    max_degree = check_count(max_degree, "max_degree", 0)
    dimensions = np.array([_float_dimension(d, k) for k in range(max_degree + 1)])
    first, second = _sums(X, X, f, max_degree, skip_self=True)
    rows = f[:, None] * first
    pairs = n * (n - 1.0)
    total = rows.sum(axis=0)
    adjacent = (rows**2).sum(axis=0)
    squares = (f**2) @ second
    # Of the ordered pairs of ordered pairs, those sharing one index or both are taken out.
    squared_mean = (total**2 - 4 * adjacent + 2 * squares) / (pairs * (n - 2) * (n - 3))
    zeta_1 = (adjacent - squares) / (pairs * (n - 2)) - squared_mean
    zeta_2 = squares / pairs - squared_mean
    variance = 2 / pairs * (2 * (n - 2) * np.maximum(zeta_1, 0) + np.maximum(zeta_2, 0))
    return SquaredNorms(dimensions * total / pairs, dimensions * np.sqrt(variance))


def project_at(
    points: ArrayLike, X: ArrayLike, values: ArrayLike, degree: int
) -> tuple[NDArray, NDArray]:
    r"""Estimate the component :math:`f_k(x) = N(d, k)\,E_\tau[f(y) P_k(\langle x, y\rangle)]`.

    Parameters
    ----------
    points : array_like of shape (p, d)
        Points of the sphere at which to evaluate it.
    X : array_like of shape (n, d)
        Independent uniform points of the sphere, n >= 2, also independent of ``points``.
    values : array_like of shape (n,)
        Values f(x_i).
    degree : int
        The degree k, at least 0.

    Returns
    -------
    values, standard_errors : ndarray of shape (p,)

    Raises
    ------
    ValueError
        As for :func:`project`, and if ``points`` is not in the dimension of ``X``.
    """
    X = _check_points(X, min_samples=2)
    f = _check_values(values, len(X))
    n, d = X.shape
    points = _check_points(points, "points")
    if points.shape[1] != d:
        raise ValueError(f"points must have {d} columns as X has, but have shape {points.shape}.")
    degree = check_count(degree, "degree", 0)
    scale = _float_dimension(d, degree)
    first, second = (sums[:, degree] for sums in _sums(points, X, f, degree, skip_self=False))
    variance = np.maximum(second / n - (first / n) ** 2, 0) / (n - 1)
    return scale * first / n, scale * np.sqrt(variance)


def basis(X: ArrayLike, degree: int) -> NDArray:
    r"""Evaluate a basis of the harmonics of one degree, orthonormal in :math:`L^2(\tau)`.

    It rises from the circle, one coordinate at a time. With :math:`r_m^2 = x_1^2 + ... + x_m^2`
    and harmonic polynomials Y, homogeneous of degree l, of the first m - 1 coordinates,

    .. math:: c\; r_m^{k-l} P_{k-l,\,m+2l}(x_m / r_m)\; Y(x_1, ..., x_{m-1}), \qquad
       c^2 = N(m + 2l, k - l) \prod_{i=0}^{l-1} \frac{m + 2i}{m - 1 + 2i},

    over l = 0, ..., k and an orthonormal set of Y for each l [atkinson2012spherical]_
    (section 2.11). The factor before Y is a polynomial in x_m and r_m^2, evaluated without a
    division by r_m; c is derived from the weight :math:`(1-t^2)^{l + (m-3)/2}` of the squared
    factor, which is that of dimension m + 2l.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Points of the sphere.
    degree : int
        The degree k, at least 0.

    Returns
    -------
    ndarray of shape (n, N(d, degree))
        For d = 2 the columns are sqrt(2) cos(k phi) and sqrt(2) sin(k phi). At most three times
        this memory is used on the way.

    Raises
    ------
    ValueError
        If a point is off the sphere, ``degree < 0``, or the result has more than 2e8 entries.
    """
    X = _check_points(X)
    degree = check_count(degree, "degree", 0)
    n, d = X.shape
    if n * dimension(d, degree) > _MAX_BASIS_ENTRIES:
        raise ValueError(
            f"degree must leave at most {_MAX_BASIS_ENTRIES} entries, "
            f"but it is {degree} with {n} points in dimension {d}."
        )
    levels = _circle(X[:, 0], X[:, 1], degree)
    squared_radius = X[:, 0] ** 2 + X[:, 1] ** 2
    for m in range(3, d + 1):
        squared_radius = squared_radius + X[:, m - 1] ** 2
        degrees = range(degree + 1) if m < d else range(degree, degree + 1)
        levels = _raise(levels, m, X[:, m - 1], squared_radius, degrees)
    return levels[-1]


def _circle(x: NDArray, y: NDArray, max_degree: int) -> list[NDArray]:
    z, power = x + 1j * y, np.full(x.shape, math.sqrt(2), dtype=np.complex128)
    levels = [np.ones((len(x), 1))]
    for _ in range(max_degree):
        power = power * z
        levels.append(np.stack([power.real, power.imag], axis=1))
    return levels


def _raise(
    levels: list[NDArray], m: int, x: NDArray, squared_radius: NDArray, degrees: range
) -> list[NDArray]:
    """Build the harmonics of m coordinates, of some degrees, from those of m - 1 coordinates."""
    raised: dict[int, list[NDArray]] = {k: [] for k in degrees}
    weight = 1.0
    for ell, lower in enumerate(levels):
        solid = _solid_legendre(x, squared_radius, m + 2 * ell, degrees[-1] - ell)
        for k in raised:
            if k >= ell:
                c = math.sqrt(weight * dimension(m + 2 * ell, k - ell))
                raised[k].append(c * solid[k - ell][:, None] * lower)
        weight *= (m + 2 * ell) / (m - 1 + 2 * ell)
    return [np.concatenate(parts, axis=1) for parts in raised.values()]


def _solid_legendre(x: NDArray, squared_radius: NDArray, d: int, max_degree: int) -> list[NDArray]:
    """Evaluate r^k P_{k,d}(x / r), a polynomial in x and r^2, for k = 0, ..., max_degree."""
    table = [np.ones_like(x), x]
    for k in range(1, max_degree):
        ratio = k / (k + d - 2)
        table.append((1 + ratio) * x * table[k] - ratio * squared_radius * table[k - 1])
    return table


def _check_points(X: ArrayLike, name: str = "X", min_samples: int = 1) -> NDArray:
    # What a row's norm lacks to 1, within the tolerance, would grow with the degree.
    return normalize(check_sphere(X, name, min_samples=min_samples).astype(np.float64, copy=False))


def _check_values(values: ArrayLike, n: int) -> NDArray:
    return check_vector(values, n, "values").astype(np.float64, copy=False)


def _sums(
    points: NDArray, X: NDArray, f: NDArray, max_degree: int, skip_self: bool
) -> tuple[NDArray, NDArray]:
    first = np.empty((len(points), max_degree + 1))
    second = np.empty_like(first)
    legendre_moments(
        points,
        tiles(X),
        tiled_vector(f),
        ratios(X.shape[1], max_degree),
        skip_self,
        first,
        second,
    )
    return first, second


def _float_dimension(d: int, degree: int) -> float:
    try:
        return float(dimension(d, degree))
    except OverflowError:
        raise ValueError(
            f"degree must leave N(d, degree) within float64, but it is {degree} in dimension {d}."
        ) from None
