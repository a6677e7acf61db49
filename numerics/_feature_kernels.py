"""Compiled loops behind :mod:`lazyactive.numerics.features`.

Points come in tiles, ``(n_tiles, d, TILE)``: within a tile one coordinate of neighbouring points
is contiguous, so that the innermost loop is one vector instruction after another, with one
neuron's coordinates held in registers. A tile stays in the first-level cache while a block of
neurons passes over it; the ``n x m`` matrix of activations is never stored. Sums over a tile are
taken in the type of the data and added up in float64, in an order that does not depend on the
number of threads. The last tile is padded with zeros, where every activation vanishes.
"""

import functools
from types import SimpleNamespace

import numba
import numpy as np
from numpy.typing import NDArray

from ._jit import kernel, parallel_kernel

TILE = 256
NEURON_BLOCK = 64
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


def kernels(d: int, alpha: int) -> SimpleNamespace:
    """Compile ``energy``, ``energy_gradient`` and ``grad_x`` for one dimension and activation."""
    return _compile(d if d <= MAX_UNROLLED_DIMENSION else 0, alpha)


@functools.cache
def _compile(static_d: int, alpha: int) -> SimpleNamespace:
    # Constants take the type of t: a float64 literal would turn float32 loops into float64.
    @kernel(inline="always")
    def activation(t):
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
    def derivative(t):
        zero, one = type(t)(0), type(t)(1)
        if alpha == 0:
            return zero
        if alpha == 1:
            return one if t > zero else zero
        positive = t if t > zero else zero
        if alpha == 2:
            return (one + one) * positive
        return (one + one + one) * positive * positive

    @kernel
    def project(points, theta, t):
        d = static_d if static_d > 0 else points.shape[0]
        if static_d > 0:
            for s in range(TILE):
                inner = theta[0] * points[0, s]
                for i in range(1, d):
                    inner += theta[i] * points[i, s]
                t[s] = inner
        else:
            t[:] = 0
            for i in range(d):
                for s in range(TILE):
                    t[s] += theta[i] * points[i, s]

    @parallel_kernel
    def energy(X, neurons, weights, out):
        m = neurons.shape[0]
        for tile in numba.prange(X.shape[0]):
            points = X[tile]
            t = np.empty(TILE, X.dtype)
            partial = np.empty(TILE, X.dtype)
            total = np.zeros(TILE)
            for first in range(0, m, NEURON_BLOCK):
                partial[:] = 0
                for j in range(first, min(first + NEURON_BLOCK, m)):
                    project(points, neurons[j], t)
                    weight = weights[j]
                    for s in range(TILE):
                        partial[s] += weight * activation(t[s])
                for s in range(TILE):
                    total[s] += partial[s]
            for s in range(TILE):
                out[tile, s] = total[s] / m

    @parallel_kernel
    def energy_gradient(X, neurons, weights, sample_weight, grad_neurons, grad_weights):
        m, d = neurons.shape
        for block in numba.prange((m + NEURON_BLOCK - 1) // NEURON_BLOCK):
            t = np.empty(TILE, X.dtype)
            first = block * NEURON_BLOCK
            last = min(first + NEURON_BLOCK, m)
            grad_neurons[first:last] = 0
            grad_weights[first:last] = 0
            for tile in range(X.shape[0]):
                points = X[tile]
                mass = sample_weight[tile]
                for j in range(first, last):
                    project(points, neurons[j], t)
                    value = X.dtype.type(0)
                    for s in range(TILE):
                        value += mass[s] * activation(t[s])
                        t[s] = mass[s] * derivative(t[s])
                    grad_weights[j] += value
                    for i in range(d):
                        coordinate = points[i]
                        moment = X.dtype.type(0)
                        for s in range(TILE):
                            moment += t[s] * coordinate[s]
                        grad_neurons[j, i] += moment
            for j in range(first, last):
                grad_weights[j] /= m
                for i in range(d):
                    grad_neurons[j, i] *= weights[j] / m

    @parallel_kernel
    def grad_x(X, neurons, weights, out):
        m, d = neurons.shape
        for tile in numba.prange(X.shape[0]):
            points = X[tile]
            t = np.empty(TILE, X.dtype)
            total = np.zeros((d, TILE), X.dtype)
            for j in range(m):
                theta = neurons[j]
                weight = weights[j]
                project(points, theta, t)
                for s in range(TILE):
                    t[s] = weight * derivative(t[s])
                for i in range(d):
                    row = total[i]
                    for s in range(TILE):
                        row[s] += theta[i] * t[s]
            for i in range(d):
                for s in range(TILE):
                    out[tile, i, s] = total[i, s] / m

    return SimpleNamespace(energy=energy, energy_gradient=energy_gradient, grad_x=grad_x)
