r"""Compiled sums of arc-cosine kernels over all pairs, behind :mod:`.discrepancies.ipm`.

A few points of one tile meet a whole other tile at a time, as in `_stein_kernels`, and nothing of
the size of all pairs is stored. Sums over a tile are taken in the type of the data and added up in
float64, in an order that does not depend on the number of threads.

The arc cosine is not called but computed, so that nothing stops the vectors: with v = \|u\|,
:math:`\arccos v = \sqrt{1-v}\,P(v)`, where P is analytic but for a branch point at v = -1, and a
polynomial of degree 22 on [0, 1] is exact to rounding.
"""

import functools
import math
from collections.abc import Callable

import numba
import numpy as np
from numpy.polynomial import chebyshev

from ._jit import kernel, parallel_kernel
from ._tiles import ROWS, TILE, cosines

# Parts of the rows that may run at once, each with column sums of its own.
STRIPS = 16
_DEGREES = {4: 9, 8: 22}


def _arc_cosine_factor(degree: int) -> tuple[float, ...]:
    """Coefficients of P in powers of 2 v - 1, the highest first."""
    x = chebyshev.chebpts1(degree + 1)
    v = (1 + x) / 2
    series = chebyshev.chebfit(x, np.arccos(v) / np.sqrt(1 - v), degree)
    return tuple(chebyshev.cheb2poly(series)[::-1])


_SINGLE, _DOUBLE = (
    (all_[: len(all_) // 2], all_[len(all_) // 2 :])
    for all_ in (_arc_cosine_factor(_DEGREES[size]) for size in (4, 8))
)


@kernel(inline="always")
def _angular(u, alpha, coefficients):
    """J_alpha of the arc-cosine kernel, from the angle's sine and pi minus the angle."""
    zero, one, two = type(u)(0), type(u)(1), type(u)(2)
    v = min(abs(u), one)
    x = two * v - one
    # In two halves: a single long loop would not be unrolled.
    high, low, power = zero, zero, one
    for coefficient in coefficients[0]:
        high = high * x + type(u)(coefficient)
    for coefficient in coefficients[1]:
        low = low * x + type(u)(coefficient)
        power *= x
    value = high * power + low
    root = math.sqrt(one - v)
    angle = root * value
    rest = type(u)(math.pi) - angle if u > zero else angle
    if alpha == 0:
        return rest
    u = v if u > zero else -v
    sine = root * math.sqrt(one + v)
    if alpha == 1:
        return sine + rest * u
    if alpha == 2:
        return type(u)(3) * sine * u + rest * (one + two * u * u)
    return sine * (type(u)(4) + type(u)(11) * u * u) + rest * u * (type(u)(9) + type(u)(6) * u * u)


def factor(d: int, alpha: int) -> float:
    """Return what the loops leave out: they sum the profile J_alpha, not the kernel."""
    return float(1 / (2 * np.pi * np.prod([d + 2.0 * i for i in range(alpha)])))


@functools.cache
def pair_sums(alpha: int, itemsize: int) -> Callable:
    """Compile the loop for one activation and size of the numbers."""
    coefficients = _SINGLE if itemsize == 4 else _DOUBLE

    @parallel_kernel
    def sums(X, Y, n, m, same, rows, columns, squares):
        """Sum the kernel over all pairs, for each point of X and of Y, and its square for all.

        Shapes are (n_tiles, TILE) for `rows`, (STRIPS, n_tiles, TILE) for `columns` and (STRIPS,)
        for `squares`, which are added up over strips in the end. Where X is Y, pairs of different
        tiles are taken once, and what they lack is to be made up for: rows and columns together are
        the sums of the kernel.
        """
        zero, d = X.dtype.type(0), X.shape[1]
        for strip in numba.prange(STRIPS):
            u = np.empty((ROWS, TILE), X.dtype)
            theta = np.empty((ROWS, d), X.dtype)
            column = np.empty(TILE, X.dtype)
            for tile in range(strip, X.shape[0], STRIPS):
                height = min(TILE, n - tile * TILE)
                for other in range(tile if same else 0, Y.shape[0]):
                    width = min(TILE, m - other * TILE)
                    times = 2 if same and other > tile else 1
                    column[:] = zero
                    for first in range(0, height, ROWS):
                        for r in range(ROWS):
                            for k in range(d):
                                theta[r, k] = X[tile, k, first + r]
                        cosines(Y[other], theta, u)
                        for r in range(min(ROWS, height - first)):
                            total, square = zero, zero
                            for s in range(width):
                                value = _angular(u[r, s], alpha, coefficients)
                                total += value
                                square += value * value
                                column[s] += value
                            rows[tile, first + r] += total
                            squares[strip] += times * square
                    if not same or other > tile:
                        for s in range(width):
                            columns[strip, other, s] += column[s]

    return sums


@functools.cache
def profile(alpha: int, itemsize: int) -> Callable:
    """Compile the kernel's profile J_alpha, which overwrites a matrix of cosines."""
    coefficients = _SINGLE if itemsize == 4 else _DOUBLE

    @parallel_kernel
    def values(cosines):
        for i in numba.prange(cosines.shape[0]):
            for j in range(cosines.shape[1]):
                cosines[i, j] = _angular(cosines[i, j], alpha, coefficients)

    return values
