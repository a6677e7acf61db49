"""Points in tiles, and the passes over one tile that the compiled loops share.

Points come in tiles, ``(n_tiles, d, TILE)``: within a tile one coordinate of neighbouring points
is contiguous, so that the innermost loop is one vector instruction after another. A tile stays in
the first-level cache while a block of neurons passes over it. The last tile is padded with zeros.

The passes are inlined with the dimension and the power as constants. They are global, and not made
in a factory: a compiled function in a closure would defeat the cache on disk. Constants in them
take the type of the data: a float64 literal would turn float32 loops into float64.
"""

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel

TILE = 256
NEURON_BLOCK = 64
# At least so many pieces, where the work allows it: threads may differ in speed.
MIN_JOBS = 16
# Rows that meet a tile together, so that what is loaded of the tile is used four times.
ROWS = 4
# Longer inner products than this are not unrolled: the dimension is then read at run time.
MAX_UNROLLED_DIMENSION = 64


def tiles(X: NDArray) -> NDArray:
    """Rearrange points (n, d) into zero-padded tiles (n_tiles, d, TILE)."""
    n, d = X.shape
    n_tiles = -(-n // TILE)
    padded = np.zeros((n_tiles * TILE, d), X.dtype)
    padded[:n] = X
    return np.ascontiguousarray(padded.reshape(n_tiles, TILE, d).transpose(0, 2, 1))


def tiled_vector(v: NDArray) -> NDArray:
    """Rearrange one number per point, (n,), into zero-padded tiles (n_tiles, TILE)."""
    padded = np.zeros(-(-len(v) // TILE) * TILE, v.dtype)
    padded[: len(v)] = v
    return padded.reshape(-1, TILE)


def static_dimension(d: int) -> int:
    """Return the dimension for `project` to unroll, or 0 where it is too long for that."""
    return d if d <= MAX_UNROLLED_DIMENSION else 0


@kernel(inline="always")
def power(t, alpha):
    """The activation, alpha = 0 (the step) to 3."""
    zero, one = type(t)(0), type(t)(1)
    if alpha == 0:
        return one if t > zero else zero
    positive = t if t > zero else zero
    if alpha == 1:
        return positive
    if alpha == 2:
        return positive * positive
    return positive * positive * positive


@kernel(inline="always")
def slope(t, alpha):
    """The derivative of the activation; zero for the step."""
    if alpha == 0:
        return type(t)(0)
    return type(t)(alpha) * power(t, alpha - 1)


@kernel(inline="always")
def project(points, theta, static_d, t):
    """Fill t with the inner products of one row and the points of a tile."""
    if static_d > 0:
        for s in range(TILE):
            inner = theta[0] * points[0, s]
            for i in range(1, static_d):
                inner += theta[i] * points[i, s]
            t[s] = inner
    else:
        t[:] = 0
        for i in range(points.shape[0]):
            for s in range(TILE):
                t[s] += theta[i] * points[i, s]


@kernel(inline="always")
def cosines(points, theta, d, u):
    """Fill u with the inner products of `ROWS` rows and the points of a tile."""
    zero = points.dtype.type(0)
    for s in range(TILE):
        u0, u1, u2, u3 = zero, zero, zero, zero
        for k in range(d):
            y = points[k, s]
            u0 += theta[0, k] * y
            u1 += theta[1, k] * y
            u2 += theta[2, k] * y
            u3 += theta[3, k] * y
        u[0, s], u[1, s], u[2, s], u[3, s] = u0, u1, u2, u3


@kernel(inline="always")
def moments(weights, points, d, first, out):
    """Add the sums of a tile under `ROWS` weights to rows of out."""
    zero = points.dtype.type(0)
    for k in range(d):
        coordinate = points[k]
        m0, m1, m2, m3 = zero, zero, zero, zero
        for s in range(TILE):
            y = coordinate[s]
            m0 += weights[0, s] * y
            m1 += weights[1, s] * y
            m2 += weights[2, s] * y
            m3 += weights[3, s] * y
        out[first, k] += m0
        out[first + 1, k] += m1
        out[first + 2, k] += m2
        out[first + 3, k] += m3
