"""Points in tiles, and the passes over one tile that the compiled loops share.

Points come in tiles, ``(n_tiles, d, TILE)``: within a tile one coordinate of neighbouring points
is contiguous, so that the innermost loop is one vector instruction after another. A tile stays in
the first-level cache while a block of neurons passes over it. The last tile is padded with zeros.

The passes are global, and not made in a factory: a compiled function in a closure would defeat the
cache on disk. Constants in them take the type of the data: a float64 literal would turn float32
loops into float64.
"""

import math

import numba
import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._jit import kernel, parallel_kernel
from ._simd import add_totals, fma, lanes, load, splat, store, where_positive

# Not a power of two: rows would then fall into few sets of the first-level cache.
TILE = 224
NEURON_BLOCK = 64
CACHE_LINE = 64  # bytes
# At least so many pieces, where the work allows it: threads may differ in speed.
MIN_JOBS = 16
# Rows that meet a tile together, so that what is loaded of the tile is used four times.
ROWS = 4


def tiles(X: NDArray) -> NDArray:
    """Rearrange points (n, d) into zero-padded tiles (n_tiles, d, TILE)."""
    n, d = X.shape
    out = _aligned((-(-n // TILE), d, TILE), X.dtype)
    _transpose(np.asarray(X), out)
    return out


def _aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
    """Allocate where cache lines begin: a load that crosses two of them is two loads."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + CACHE_LINE, np.uint8)
    start = -room.ctypes.data % CACHE_LINE
    return room[start : start + size].view(dtype).reshape(shape)


@parallel_kernel
def _transpose(X, out):
    n = X.shape[0]
    for tile in numba.prange(out.shape[0]):
        size = min(TILE, n - tile * TILE)
        for k in range(out.shape[1]):
            for s in range(size):
                out[tile, k, s] = X[tile * TILE + s, k]
            for s in range(size, TILE):
                out[tile, k, s] = 0


def untiled(X: NDArray, n: int) -> NDArray:
    """The first n points of tiles as rows (n, d)."""
    return X.transpose(0, 2, 1).reshape(-1, X.shape[1])[:n]


def tiled_vector(v: NDArray) -> NDArray:
    """Rearrange one number per point, (n,), into zero-padded tiles (n_tiles, TILE)."""
    padded = np.zeros(-(-len(v) // TILE) * TILE, v.dtype)
    padded[: len(v)] = v
    return padded.reshape(-1, TILE)


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


@kernel
def project(points, theta, t):
    """Fill t with the inner products of one row and the points of a tile."""
    n = lanes(points)
    for s in range(0, TILE, 2 * n):
        a = b = splat(points.dtype.type(0))
        for k in range(points.shape[0]):
            a = fma(theta[k], load(points, (k, s)), a)
            b = fma(theta[k], load(points, (k, s + n)), b)
        store(t, s, a)
        store(t, s + n, b)


@kernel(inline="always")
def inner_products(points, theta, s):
    """Inner products of `ROWS` rows with the points in two registers, from s on."""
    n = lanes(points)
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = splat(points.dtype.type(0))
    for k in range(points.shape[0]):
        x, y = load(points, (k, s)), load(points, (k, s + n))
        t0, t1, t2, t3 = theta[0, k], theta[1, k], theta[2, k], theta[3, k]
        a0, b0 = fma(t0, x, a0), fma(t0, y, b0)
        a1, b1 = fma(t1, x, a1), fma(t1, y, b1)
        a2, b2 = fma(t2, x, a2), fma(t2, y, b2)
        a3, b3 = fma(t3, x, a3), fma(t3, y, b3)
    return a0, a1, a2, a3, b0, b1, b2, b3


@kernel(inline="always")
def times_power(x, t, power):
    """The vector x max(t, 0)^power, with 0^0 = 0."""
    if power == 0:
        return where_positive(t, x)
    if power == 1:
        return x * where_positive(t, t)
    positive = where_positive(t, t)
    if power == 2:
        return x * positive * positive
    return x * positive * positive * positive


@kernel(inline="always")
def add_features(weights, t0, t1, t2, t3, alpha, f):
    """Add to f the features at the cosines with `ROWS` neurons, times their weights."""
    f = _add_feature(weights[0], t0, alpha, f)
    f = _add_feature(weights[1], t1, alpha, f)
    f = _add_feature(weights[2], t2, alpha, f)
    return _add_feature(weights[3], t3, alpha, f)


@kernel(inline="always")
def _add_feature(weight, t, alpha, f):
    if alpha == 0:
        return f + where_positive(t, splat(weight))
    return fma(weight, times_power(where_positive(t, t), t, alpha - 1), f)


@kernel(inline="always")
def store_rows(u, s, v0, v1, v2, v3):
    """Write vectors to `ROWS` rows, from s on."""
    store(u, (0, s), v0)
    store(u, (1, s), v1)
    store(u, (2, s), v2)
    store(u, (3, s), v3)


@kernel(inline="always")
def pack_powers(w, s, x, t0, t1, t2, t3, power):
    """Write x times a power of the cosines with `ROWS` neurons at s, in the order of use."""
    n = lanes(w)
    store(w, ROWS * s, times_power(x, t0, power))
    store(w, ROWS * s + n, times_power(x, t1, power))
    store(w, ROWS * s + 2 * n, times_power(x, t2, power))
    store(w, ROWS * s + 3 * n, times_power(x, t3, power))


@kernel
def cosines(points, theta, u):
    """Fill u with the inner products of `ROWS` rows and the points of a tile."""
    n = lanes(points)
    for s in range(0, TILE, 2 * n):
        a0, a1, a2, a3, b0, b1, b2, b3 = inner_products(points, theta, s)
        store_rows(u, s, a0, a1, a2, a3)
        store_rows(u, s + n, b0, b1, b2, b3)


@kernel
def moments(weights, points, first, out):
    """Add the sums of a tile under `ROWS` weights, (ROWS, TILE), to columns of out, (d, m)."""
    _add_sums(weights.reshape(ROWS * TILE), TILE, 1, points, first, out)


@kernel
def packed_moments(weights, points, first, out):
    """Add the sums of a tile under packed weights, (ROWS * TILE,), to columns of out, (d, m)."""
    _add_sums(weights, lanes(points), ROWS, points, first, out)


@kernel
def _add_sums(weights, row, step, points, first, out):
    """Weight r of point s begins at ``row r + step s``."""
    n = lanes(points)
    last = points.shape[0] - 1
    for k in range(0, last + 1, 3):
        # Beyond the last coordinate it is taken again, and not used.
        j, i = min(k + 1, last), min(k + 2, last)
        x0 = x1 = x2 = x3 = y0 = y1 = y2 = y3 = z0 = z1 = z2 = z3 = splat(points.dtype.type(0))
        for s in range(0, TILE, n):
            x, y, z = load(points, (k, s)), load(points, (j, s)), load(points, (i, s))
            w = load(weights, step * s)
            x0, y0, z0 = fma(w, x, x0), fma(w, y, y0), fma(w, z, z0)
            w = load(weights, row + step * s)
            x1, y1, z1 = fma(w, x, x1), fma(w, y, y1), fma(w, z, z1)
            w = load(weights, 2 * row + step * s)
            x2, y2, z2 = fma(w, x, x2), fma(w, y, y2), fma(w, z, z2)
            w = load(weights, 3 * row + step * s)
            x3, y3, z3 = fma(w, x, x3), fma(w, y, y3), fma(w, z, z3)
        add_totals(x0, x1, x2, x3, out, (k, first))
        if k < last:
            add_totals(y0, y1, y2, y3, out, (j, first))
        if k + 1 < last:
            add_totals(z0, z1, z2, z3, out, (i, first))
