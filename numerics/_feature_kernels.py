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

from ._jit import parallel_kernel
from ._tiles import NEURON_BLOCK, TILE, power, project, slope, static_dimension


def kernels(d: int, alpha: int) -> SimpleNamespace:
    """Compile ``energy``, ``energy_gradient`` and ``grad_x`` for one dimension and activation."""
    return _compile(static_dimension(d), alpha)


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
                    project(points, neurons[j], static_d, t)
                    value = X.dtype.type(0)
                    for s in range(TILE):
                        value += mass[s] * power(t[s], alpha)
                        t[s] = mass[s] * slope(t[s], alpha)
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
                project(points, theta, static_d, t)
                for s in range(TILE):
                    t[s] = weight * slope(t[s], alpha)
                for i in range(d):
                    row = total[i]
                    for s in range(TILE):
                        row[s] += theta[i] * t[s]
            for i in range(d):
                for s in range(TILE):
                    out[tile, i, s] = total[i, s] / m

    return SimpleNamespace(energy=energy, energy_gradient=energy_gradient, grad_x=grad_x)
