r"""The compiled loop behind log Z and its gradient: energies, weights and moments in one pass.

The moments of the features under :math:`e^{-f}` need the energies first, hence all inner products
of points and neurons; these are kept for a tile of points, weighted, and used again. The largest
weight is not known before the end: each chunk of tiles divides by the largest one so far, and
scales its sums when a larger one comes.
"""

import functools
import math
from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

from ._feature_kernels import add_up, differentiate, pad_rows, pad_vector
from ._jit import kernel, parallel_kernel
from ._simd import lanes, load, splat, store
from ._tiles import (
    MIN_JOBS,
    ROWS,
    TILE,
    add_features,
    inner_products,
    pack_powers,
    packed_moments,
)

# Of log 2, the first 33 binary digits and the rest: multiples of the first are exact.
_LOG2_HIGH = 0x162E42FEE00000 / 2.0**53
_LOG2_LOW = 1.90821492927058770002e-10
_TERMS = 13


# Without the licence to reorder sums, which would join the two parts of log 2.
@kernel(fastmath=False)
def exponential(x, scale, out):
    """Fill out with exp(x) for x from -700 to 700, and below with exp(-700); all (TILE,), float64.

    x = k log 2 + r with |r| <= log(2)/2, a Taylor polynomial in r, and the number 2^k by its bits,
    for which `scale`, of int64, is room. The library's function would be called point by point.
    """
    for s in range(TILE):
        y = max(x[s], -700.0)
        k = np.floor(y / (_LOG2_HIGH + _LOG2_LOW) + 0.5)
        r = (y - k * _LOG2_HIGH) - k * _LOG2_LOW
        value = 1.0
        for i in range(_TERMS, 0, -1):
            value = 1.0 + value * r * (1.0 / i)
        out[s] = value
        scale[s] = (np.int64(np.int32(k)) + 1023) << 52
    powers = scale.view(np.float64)
    for s in range(TILE):
        out[s] *= powers[s]


# Without the licence to reorder sums: the order would be another one in the process that compiles
# than in those that find the code on disk.
@kernel(fastmath=False)
def sum_and_squares(x):
    """The sum of a vector, and that of its squares."""
    total = squares = 0.0
    for s in range(len(x)):
        total += x[s]
        squares += x[s] * x[s]
    return total, squares


@kernel
def _energy_and_slopes(points, neurons, weights, alpha, u, f):
    """Fill f with m times the energy at a tile, and u with packed max(t, 0)^(alpha - 1)."""
    n = lanes(points)
    one = splat(points.dtype.type(1))
    f[:] = 0
    for first in range(0, len(weights), ROWS):
        stop = first + ROWS
        theta, c, packed = neurons[first:stop], weights[first:stop], u[first // ROWS]
        for s in range(0, TILE, 2 * n):
            a0, a1, a2, a3, b0, b1, b2, b3 = inner_products(points, theta, s)
            store(f, s, add_features(c, a0, a1, a2, a3, alpha, load(f, s)))
            store(f, s + n, add_features(c, b0, b1, b2, b3, alpha, load(f, s + n)))
            pack_powers(packed, s, one, a0, a1, a2, a3, alpha - 1)
            pack_powers(packed, s + n, one, b0, b1, b2, b3, alpha - 1)


def tilted_gradient(
    X: NDArray, n: int, neurons: NDArray, weights: NDArray, alpha: int
) -> tuple[float, float, NDArray, NDArray]:
    """Average the energy's derivatives over tiled points, by the weights e^{-f}.

    Parameters
    ----------
    X : ndarray of shape (n_tiles, d, TILE)
    n : int
        Number of points, without padding.
    neurons, weights : ndarray of shape (m, d), (m,)
        In the type of the points.
    alpha : {1, 2, 3}

    Returns
    -------
    log_mean : float
        Of e^{-f}.
    ess : float
        Effective number of the weighted points.
    grad_neurons, grad_weights : ndarray of shape (m, d), (m,)
        Weighted means of the derivatives of f.
    """
    m, d = neurons.shape
    chunks = min(len(X), MIN_JOBS)
    lowest, masses, squares = np.empty((3, chunks))
    sums = np.empty((chunks, d, m + -m % ROWS))
    _compile(alpha)(X, n, neurons, weights, lowest, masses, squares, sums)
    factors = np.exp(lowest.min() - lowest)
    total = factors @ masses
    log_mean = np.log(total / n) - lowest.min()
    ess = total**2 / (factors**2 @ squares)
    gradient = np.empty((m, d)), np.empty(m)
    differentiate(add_up(factors / total, sums), neurons, weights, alpha, *gradient)
    return float(log_mean), float(ess), *gradient


@functools.cache
def _compile(alpha: int) -> Callable:

    @parallel_kernel
    def sum_chunks(X, n, neurons, weights, lowest, masses, squares, sums):
        """Sum the weights exp(lowest - f), their squares, and max(t, 0)^(alpha - 1) x under them.

        The first axis of the results is the chunk; neurons in `sums` are padded, points beyond the
        n-th are padding.
        """
        padded, c = pad_rows(neurons), pad_vector(weights / X.dtype.type(len(weights)))
        n_chunks = len(lowest)
        for chunk in numba.prange(n_chunks):
            u = np.empty((len(c) // ROWS, ROWS * TILE), X.dtype)
            weighted = np.empty((X.shape[1], TILE), X.dtype)
            f = np.empty(TILE, X.dtype)
            exponent, weight, room = np.empty(TILE), np.empty(TILE), np.empty(TILE, np.int64)
            low, total, square = np.inf, 0.0, 0.0
            sums[chunk] = 0
            for tile in range(chunk * X.shape[0] // n_chunks, (chunk + 1) * X.shape[0] // n_chunks):
                _energy_and_slopes(X[tile], padded, c, alpha, u, f)
                size = min(TILE, n - tile * TILE)
                lower = low
                for s in range(size):
                    lower = min(lower, f[s])
                if lower < low:
                    factor = math.exp(lower - low)
                    sums[chunk] *= factor
                    total *= factor
                    square *= factor * factor
                    low = lower
                for s in range(TILE):
                    exponent[s] = low - f[s]
                exponential(exponent, room, weight)
                weight[size:] = 0.0
                mass, squared_mass = sum_and_squares(weight)
                total += mass
                square += squared_mass
                for k in range(X.shape[1]):
                    for s in range(TILE):
                        weighted[k, s] = X[tile, k, s] * weight[s]
                for first in range(0, len(c), ROWS):
                    packed_moments(u[first // ROWS], weighted, first, sums[chunk])
            lowest[chunk], masses[chunk], squares[chunk] = low, total, square

    return sum_chunks
