"""One compiled step of Langevin dynamics for walkers on the sphere, and their mean features.

Walkers are rows; a tile of them is transposed in the cache, meets all neurons, moves, meets them
once more where it has arrived, and is written back. The results do not depend on the number of
threads.
"""

import functools
import math
from types import SimpleNamespace

import numba
import numpy as np

from ._feature_kernels import accumulate_gradient, pad_rows, pad_vector, weighted_features
from ._jit import kernel, parallel_kernel
from ._tiles import MIN_JOBS, ROWS, TILE, packed_moments


@kernel
def _exponential_map(points, velocity):
    """Move the points of a tile along the tangent part of their velocities, which is kept."""
    d = len(points)
    number = points.dtype.type
    radial, speed = np.zeros(TILE, points.dtype), np.zeros(TILE, points.dtype)
    for i in range(d):
        for s in range(TILE):
            radial[s] += velocity[i, s] * points[i, s]
    for i in range(d):
        for s in range(TILE):
            velocity[i, s] -= radial[s] * points[i, s]
            speed[s] += velocity[i, s] * velocity[i, s]
    along, ahead = radial, speed
    for s in range(TILE):
        angle = math.sqrt(speed[s])
        along[s] = math.cos(angle)
        ahead[s] = math.sin(angle) / angle if angle > number(0) else number(1)
    length = np.zeros(TILE, points.dtype)
    for i in range(d):
        for s in range(TILE):
            points[i, s] = along[s] * points[i, s] + ahead[s] * velocity[i, s]
            length[s] += points[i, s] * points[i, s]
    # Rounding would add up over thousands of steps; the padding stays zero.
    for s in range(TILE):
        length[s] = number(1) / math.sqrt(length[s]) if length[s] > number(0) else number(0)
    for i in range(d):
        for s in range(TILE):
            points[i, s] *= length[s]


@functools.cache
def kernels(alpha: int) -> SimpleNamespace:
    """Compile ``langevin`` for one activation with a slope."""

    @parallel_kernel
    def langevin(X, neurons, weights, noise, step_size, out, sums):
        """Move walkers to `out`, and sum max(t, 0)^(alpha - 1) x over them there.

        Row i gets the noise of row ``i % len(noise)``, negated in every second round. The first
        axis of `sums` is a chunk of walkers; neurons in it are padded.
        """
        n, d = X.shape
        padded, c = pad_rows(neurons), pad_vector(weights)
        n_noise = len(noise)
        drift = X.dtype.type(alpha * step_size / len(weights))
        spread = X.dtype.type(math.sqrt(2 * step_size))
        n_tiles = (n + TILE - 1) // TILE
        for chunk in numba.prange(MIN_JOBS):
            points = np.zeros((d, TILE), X.dtype)
            velocity = np.zeros((d, TILE), X.dtype)
            gradient = np.zeros((d, TILE), X.dtype)
            w = np.empty(ROWS * TILE, X.dtype)
            mass = np.ones(TILE, X.dtype)
            for tile in range(chunk * n_tiles // MIN_JOBS, (chunk + 1) * n_tiles // MIN_JOBS):
                first = tile * TILE
                size = min(TILE, n - first)
                points[:, size:] = 0
                velocity[:, size:] = 0
                gradient[:] = 0
                for s in range(size):
                    row = first + s
                    sign = spread if (row // n_noise) % 2 == 0 else -spread
                    z = noise[row % n_noise]
                    for i in range(d):
                        points[i, s] = X[row, i]
                        velocity[i, s] = sign * z[i]
                accumulate_gradient(points, padded, c, alpha, gradient)
                for i in range(d):
                    for s in range(TILE):
                        velocity[i, s] -= drift * gradient[i, s]
                _exponential_map(points, velocity)
                for s in range(size):
                    for i in range(d):
                        out[first + s, i] = points[i, s]
                for j in range(0, len(c), ROWS):
                    weighted_features(points, padded[j : j + ROWS], mass, alpha - 1, w)
                    packed_moments(w, points, j, sums[chunk])

    return SimpleNamespace(langevin=langevin)
