r"""Compiled loops behind :mod:`lazyactive.numerics.discrepancies.stein`.

A pair of points enters the kernel Stein discrepancy through :math:`u = \langle x, y\rangle` alone
and through inner products with the shifted scores :math:`\tilde s`. Sums over y of
:math:`\kappa\,\tilde s(y)`, of :math:`\kappa' u\,y` and of two scalars are therefore enough for its
value and for its gradient in the scores: six multiplications for each coordinate of a pair, and
nothing of the size of all pairs is stored.

Points come in tiles, ``(n_tiles, d, TILE)``, as in `_tiles`. A few points of one tile
meet a whole other tile at a time. Sums over a tile are taken in the type of the data and added up
in float64, in an order that does not depend on the number of threads.
"""

import functools
import math
from collections.abc import Callable
from types import SimpleNamespace

import numba
import numpy as np

from ._jit import kernel, parallel_kernel
from ._tiles import ROWS, TILE, cosines, moments

# The base kernels: the exponential is 0, an arc-cosine kernel its order.
ORDERS = {"rbf": 0, "arc-cosine(1)": 1, "arc-cosine(2)": 2, "arc-cosine(3)": 3}


def kernels(name: str, reach: float) -> SimpleNamespace:
    """Compile ``interactions``, ``gram`` and ``group_sums``.

    Parameters
    ----------
    name : str
        One of `ORDERS`.
    reach : float
        For "rbf", the largest absolute exponent 2 / scale**2; not used otherwise.
    """
    squarings = max(0, math.ceil(math.log2(reach / 0.5))) if name == "rbf" else 0
    pairs = _compile_pairs(ORDERS[name], squarings)
    return SimpleNamespace(interactions=_compile(ORDERS[name], squarings), **pairs)


# The functions below are inlined with `order` and `squarings` as constants, and global for the
# reason given in `_tiles`.
@kernel(inline="always")
def _exponential(x, squarings):
    """Taylor polynomial on [-1/2, 0], squared: no call of a library stops the vectors."""
    one = type(x)(1)
    value = one
    x *= type(x)(0.5**squarings)
    for i in range(14, 0, -1):
        value = one + value * x * (one / type(x)(i))
    for _ in range(squarings):
        value *= value
    return value


@kernel(inline="always")
def _profile(u, z, order, squarings):
    """Value, first derivative, and second derivative times u^3 - u."""
    one = type(u)(1)
    if order == 0:
        value = _exponential(z * (u - one), squarings)
        slope = z * value
        return value, slope, z * slope * u * (u * u - one)
    # With the angle phi of u, J_n = n^2 integral of J_(n-1), from J_0 = pi - phi.
    u = min(max(u, -one), one)
    sine_squared = (one - u) * (one + u)
    sine = math.sqrt(sine_squared)
    rest = type(u)(math.acos(-u))
    j1 = sine + rest * u
    if order == 1:
        return z * j1, z * rest, -z * u * sine
    two, three, four = type(u)(2), type(u)(3), type(u)(4)
    j2 = three * sine * u + rest * (one + two * u * u)
    if order == 2:
        return z * j2, four * z * j1, -four * z * rest * u * sine_squared
    j3 = sine * (four + type(u)(11) * u * u) + rest * u * (type(u)(9) + type(u)(6) * u * u)
    return z * j3, type(u)(9) * z * j2, -type(u)(36) * z * j1 * u * sine_squared


@kernel(inline="always")
def _stein_kernel(x, s, y, t, z, divergence, order, squarings):
    u, scores, crossed = 0.0, 0.0, 0.0
    d = len(x)
    for k in range(d):
        u += x[k] * y[k]
        scores += s[k] * t[k]
        crossed += s[k] * y[k] + x[k] * t[k]
    value, slope, bend = _profile(u, z, order, squarings)
    if not divergence:
        return value * scores
    # The shifted score has the radial part -(d - 1).
    return value * scores + slope * (d - 2 + u * u - 2 * (d - 1) - u * crossed) + bend


@functools.cache
def _compile(order: int, squarings: int) -> Callable:
    @parallel_kernel
    def interactions(X, S, n, z, by_row, scores, points, crossed, slopes, rest):
        zero, d = X.dtype.type(0), X.shape[1]
        for tile in numba.prange(X.shape[0]):
            u = np.empty((ROWS, TILE), X.dtype)
            w = np.empty((ROWS, TILE), X.dtype)
            theta = np.empty((ROWS, d), X.dtype)
            for other in range(X.shape[0]):
                size = min(TILE, n - other * TILE)
                for first in range(0, min(TILE, n - tile * TILE), ROWS):
                    for r in range(ROWS):
                        for k in range(d):
                            theta[r, k] = X[tile, k, first + r]
                    cosines(X[other], theta, u)
                    for r in range(ROWS):
                        slope_sum, rest_sum = zero, zero
                        for s in range(size):
                            t = u[r, s]
                            value, slope, bend = _profile(t, z, order, squarings)
                            w[r, s] = value
                            slope_sum += slope
                            rest_sum += bend + slope * (type(t)(d - 2) + t * t)
                            u[r, s] = slope * t
                        # The padding is zero, but what multiplies it must be finite.
                        for s in range(size, TILE):
                            w[r, s] = zero
                        slopes[tile, first + r] += slope_sum
                        rest[tile, first + r] += rest_sum
                    moments(w, S[other], first, scores[tile])
                    moments(u, X[other], first, points[tile])
                    if by_row:
                        moments(u, S[other], first, crossed[tile])

    return interactions


@functools.cache
def _compile_pairs(order: int, squarings: int) -> dict[str, Callable]:
    @parallel_kernel
    def gram(X, S, Y, T, z, out):
        for i in numba.prange(len(X)):
            for j in range(len(Y)):
                out[i, j] = _stein_kernel(X[i], S[i], Y[j], T[j], z, True, order, squarings)

    @kernel
    def group_sums(X, S, size, back, z, divergence, out):
        """Sum over the points of the group that comes `back` places before that of each point."""
        for i in range(len(X)):
            # Before the first group comes the last, by negative indices.
            first = (i // size - back) * size
            total = 0.0
            for j in range(first, first + size):
                total += _stein_kernel(X[i], S[i], X[j], S[j], z, divergence, order, squarings)
            out[i] = total

    return {"gram": gram, "group_sums": group_sums}
