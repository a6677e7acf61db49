"""One compiled step of Langevin dynamics for walkers on the sphere.

Walkers are rows; a tile of them is transposed in the cache, meets all neurons, and is written back.
The results do not depend on the number of threads.
"""

import functools
import math
from types import SimpleNamespace

import numba
import numpy as np

from ._feature_kernels import accumulate_gradient, pad_rows, pad_vector
from ._jit import parallel_kernel
from ._tiles import TILE


@functools.cache
def kernels(alpha: int) -> SimpleNamespace:
    """Compile ``langevin`` for one activation."""

    @parallel_kernel
    def langevin(X, neurons, weights, noise, step_size, out):
        """Row i gets the noise of row ``i % len(noise)``, negated in every second round."""
        n = X.shape[0]
        padded, c = pad_rows(neurons), pad_vector(weights)
        n_noise = len(noise)
        drift = X.dtype.type(alpha * step_size / len(weights))
        spread = X.dtype.type(math.sqrt(2 * step_size))
        zero, one = X.dtype.type(0), X.dtype.type(1)
        for tile in numba.prange((n + TILE - 1) // TILE):
            d = X.shape[1]
            first = tile * TILE
            size = min(TILE, n - first)
            points = np.zeros((d, TILE), X.dtype)
            velocity = np.zeros((d, TILE), X.dtype)
            gradient = np.zeros((d, TILE), X.dtype)
            for s in range(size):
                row = first + s
                sign = spread if (row // n_noise) % 2 == 0 else -spread
                z = noise[row % n_noise]
                for i in range(d):
                    points[i, s] = X[row, i]
                    velocity[i, s] = sign * z[i]
            accumulate_gradient(points, padded, c, alpha, gradient)
            t = np.zeros(TILE, X.dtype)
            for i in range(d):
                for s in range(TILE):
                    velocity[i, s] -= drift * gradient[i, s]
                    t[s] += velocity[i, s] * points[i, s]
            radius = np.zeros(TILE, X.dtype)
            for i in range(d):
                for s in range(TILE):
                    velocity[i, s] -= t[s] * points[i, s]
                    radius[s] += velocity[i, s] * velocity[i, s]
            for s in range(size):
                radius[s] = math.sqrt(radius[s])
                t[s] = math.sin(radius[s]) / radius[s] if radius[s] > zero else one
                radius[s] = math.cos(radius[s])
            length = np.zeros(TILE, X.dtype)
            for i in range(d):
                for s in range(TILE):
                    points[i, s] = radius[s] * points[i, s] + t[s] * velocity[i, s]
                    length[s] += points[i, s] * points[i, s]
            # Rounding would add up over thousands of steps.
            for s in range(size):
                scale = one / math.sqrt(length[s])
                for i in range(d):
                    out[first + s, i] = scale * points[i, s]

    return SimpleNamespace(langevin=langevin)
