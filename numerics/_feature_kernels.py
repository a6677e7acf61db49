"""Compiled loops behind :mod:`lazyactive.numerics.features`.

Tiles of points meet blocks of neurons, one neuron's coordinates held in registers; the ``n x m``
matrix of activations is never stored. Sums over a tile are taken in the type of the data and added
up in float64, in an order that does not depend on the number of threads. In the padding of the
last tile every activation vanishes.
"""

import functools
from types import SimpleNamespace

import numba
import numpy as np

from ._jit import kernel, parallel_kernel
from ._tiles import (
    MIN_JOBS,
    NEURON_BLOCK,
    ROWS,
    TILE,
    cosines,
    moments,
    power,
    project,
    slope,
    static_dimension,
)


def kernels(d: int, alpha: int) -> SimpleNamespace:
    """Compile ``energy``, ``energy_gradient`` and ``grad_x`` for one dimension and activation."""
    return _compile(static_dimension(d), alpha)


@kernel
def pad_rows(neurons):
    """Add zero neurons until `ROWS` divides their number."""
    m, d = neurons.shape
    padded = np.zeros(((m + ROWS - 1) // ROWS * ROWS, d), neurons.dtype)
    padded[:m] = neurons
    return padded


@kernel(inline="always")
def accumulate_gradient(points, neurons, weights, d, alpha, u, total):
    """Add m times the gradient of the energy at the points of a tile to total, (d, TILE).

    Neurons are padded; u is room for their cosines, (ROWS, TILE).
    """
    m = weights.shape[0]
    for first in range(0, m, ROWS):
        theta = neurons[first : first + ROWS]
        cosines(points, theta, d, u)
        for r in range(ROWS):
            weight = weights[first + r] if first + r < m else weights.dtype.type(0)
            for s in range(TILE):
                u[r, s] = weight * slope(u[r, s], alpha)
        for i in range(d):
            t0, t1, t2, t3 = theta[0, i], theta[1, i], theta[2, i], theta[3, i]
            for s in range(TILE):
                total[i, s] += t0 * u[0, s] + t1 * u[1, s] + t2 * u[2, s] + t3 * u[3, s]


# Not inlined: Numba would start its threads for each sum.
@kernel
def add_up(sums, values, neurons, weights, alpha, grad_neurons, grad_weights):
    """Add up the chunks; the values follow from the moments, where the activation has a slope."""
    m, d = neurons.shape
    for j in range(m):
        value = values[:, j].sum()
        for i in range(d):
            moment = sums[:, j, i].sum()
            grad_neurons[j, i] = moment * weights[j] / m
            # The activation is homogeneous: alpha sigma(t) = t sigma'(t).
            value += moment * neurons[j, i] / max(alpha, 1)
        grad_weights[j] = value / m


@functools.cache
def _compile(static_d: int, alpha: int) -> SimpleNamespace:
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
                    project(points, neurons[j], static_d, t)
                    weight = weights[j]
                    for s in range(TILE):
                        partial[s] += weight * power(t[s], alpha)
                for s in range(TILE):
                    total[s] += partial[s]
            for s in range(TILE):
                out[tile, s] = total[s] / m

    @parallel_kernel
    def energy_gradient(X, neurons, weights, sample_weight, grad_neurons, grad_weights):
        m, n_columns = neurons.shape
        padded = pad_rows(neurons)
        n_blocks = (m + NEURON_BLOCK - 1) // NEURON_BLOCK
        # Few neurons are shared out among threads by their points.
        n_chunks = max(1, min(X.shape[0], MIN_JOBS // n_blocks))
        sums = np.zeros((n_chunks, len(padded), n_columns))
        values = np.zeros((n_chunks, len(padded)))
        for job in numba.prange(n_blocks * n_chunks):
            # A constant: inner products are unrolled.
            d = static_d if static_d > 0 else X.shape[1]
            chunk = job // n_blocks
            start = (job % n_blocks) * NEURON_BLOCK
            u = np.empty((ROWS, TILE), X.dtype)
            for tile in range(chunk * X.shape[0] // n_chunks, (chunk + 1) * X.shape[0] // n_chunks):
                points = X[tile]
                mass = sample_weight[tile]
                for first in range(start, min(start + NEURON_BLOCK, m), ROWS):
                    cosines(points, padded[first : first + ROWS], d, u)
                    if alpha == 0:
                        for r in range(ROWS):
                            value = X.dtype.type(0)
                            for s in range(TILE):
                                value += mass[s] * power(u[r, s], alpha)
                            values[chunk, first + r] += value
                    else:
                        for r in range(ROWS):
                            for s in range(TILE):
                                u[r, s] = mass[s] * slope(u[r, s], alpha)
                        moments(u, points, d, first, sums[chunk])
        add_up(sums, values, neurons, weights, alpha, grad_neurons, grad_weights)

    @parallel_kernel
    def grad_x(X, neurons, weights, out):
        m = neurons.shape[0]
        padded = pad_rows(neurons)
        for tile in numba.prange(X.shape[0]):
            d = static_d if static_d > 0 else X.shape[1]
            u = np.empty((ROWS, TILE), X.dtype)
            total = np.zeros((d, TILE), X.dtype)
            accumulate_gradient(X[tile], padded, weights, d, alpha, u, total)
            for i in range(d):
                for s in range(TILE):
                    out[tile, i, s] = total[i, s] / m

    return SimpleNamespace(energy=energy, energy_gradient=energy_gradient, grad_x=grad_x)
