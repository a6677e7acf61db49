r"""Compiled loops behind :mod:`lazyactive.numerics.harmonics`.

Near :math:`t = \pm 1` the plain three-term recurrence [atkinson2012spherical]_ (section 2.7)
magnifies rounding by up to k^2. All loops here use its form for differences instead, derived by
subtraction: with :math:`\Delta_k = P_k - P_{k-1}`, on :math:`t \ge 0`,

.. math:: \Delta_{k+1} = b_k \Delta_k - (1 + b_k)(1 - t) P_k, \qquad
   P_{k+1} = P_k + \Delta_{k+1}, \qquad b_k = \frac{k}{k + d - 2},

and :math:`P_k(-t) = (-1)^k P_k(t)`. Points pass in tiles that stay in the first-level cache while
the degree rises.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from ._jit import kernel, parallel_kernel
from ._tiles import TILE

# Rows that share a tile of points while it is in the cache.
ROW_BLOCK = 8


def ratios(d: int, max_degree: int) -> NDArray:
    """Return the coefficients b_k of the recurrence; b_0 is never used."""
    k = np.arange(max_degree + 1.0)
    return k / np.maximum(k + d - 2, 1.0)


@kernel
def _start(t, gap, sign, value, difference):
    for s in range(len(t)):
        value[s] = abs(t[s])
        gap[s] = 1 - value[s]
        difference[s] = -gap[s]
        # Zero at zero makes the odd degrees vanish there exactly.
        sign[s] = np.sign(t[s])


# Reordered sums could turn the difference form back into the plain recurrence.
@kernel(fastmath={"contract"})
def _advance(gap, ratio, value, difference):
    for s in range(len(gap)):
        difference[s] = ratio * difference[s] - (1 + ratio) * (gap[s] * value[s])
        value[s] += difference[s]


@parallel_kernel
def legendre_table(t, ratio, out):
    """Fill out[k, i] = P_k(t_i)."""
    n = len(t)
    n_degrees = len(out)
    for tile in numba.prange((n + TILE - 1) // TILE):
        first = tile * TILE
        last = min(first + TILE, n)
        gap = np.empty(last - first)
        sign = np.empty(last - first)
        value = np.empty(last - first)
        difference = np.empty(last - first)
        _start(t[first:last], gap, sign, value, difference)
        out[0, first:last] = 1
        if n_degrees > 1:
            out[1, first:last] = t[first:last]
        for k in range(2, n_degrees):
            _advance(gap, ratio[k - 1], value, difference)
            row = out[k, first:last]
            if k % 2:
                for s in range(last - first):
                    row[s] = sign[s] * value[s]
            else:
                for s in range(last - first):
                    row[s] = value[s]


@kernel
def _cosines(x, points, t):
    t[:] = 0
    for i in range(len(x)):
        for s in range(TILE):
            t[s] += x[i] * points[i, s]
    for s in range(TILE):
        t[s] = min(max(t[s], -1.0), 1.0)


@kernel
def _moments(mass, value):
    first = 0.0
    second = 0.0
    for s in range(TILE):
        term = mass[s] * value[s]
        first += term
        second += term * term
    return first, second


@parallel_kernel
def legendre_moments(points, X, f, ratio, skip_self, first, second):
    r"""Fill first[i, k] and second[i, k] with the sums over j of (f_j P_k(<x_i, x_j>))^{1, 2}.

    ``X`` (n_tiles, d, TILE) and ``f`` (n_tiles, TILE) are tiles padded with zeros. With
    ``skip_self`` the points are those of ``X`` in the same order, and j = i is left out.
    """
    n_degrees = first.shape[1]
    for block in numba.prange((len(points) + ROW_BLOCK - 1) // ROW_BLOCK):
        t = np.empty(TILE)
        gap = np.empty(TILE)
        sign = np.empty(TILE)
        value = np.empty(TILE)
        difference = np.empty(TILE)
        mass = np.empty((2, TILE))
        rows = range(block * ROW_BLOCK, min((block + 1) * ROW_BLOCK, len(points)))
        for i in rows:
            first[i] = 0
            second[i] = 0
        for tile in range(len(X)):
            for i in rows:
                _cosines(points[i], X[tile], t)
                _start(t, gap, sign, value, difference)
                mass[0] = f[tile]
                if skip_self and i // TILE == tile:
                    mass[0, i % TILE] = 0
                for s in range(TILE):
                    mass[1, s] = mass[0, s] * sign[s]
                for k in range(n_degrees):
                    if k == 0:
                        sums = _moments(mass[0], np.ones(TILE))
                    else:
                        if k > 1:
                            _advance(gap, ratio[k - 1], value, difference)
                        sums = _moments(mass[k % 2], value)
                    first[i, k] += sums[0]
                    second[i, k] += sums[1]
