"""Compiled loops from neurons to the score of a shallow energy, and back.

A Stein discrepancy is a function of the scores at the data. ``gradient`` is that of the energy in
the points, the score up to its sign; ``pull_back`` is its transpose, from a field at the points to
the neurons. Points and fields come in tiles, as in `_feature_kernels`, and sums are taken as there.

For alpha = 1 the gradient jumps where a neuron's hyperplane meets a point, and its derivative in
the neuron would miss the jumps. Both loops therefore take a half-width h: the derivative of the
rectifier then rises on [-h, h] from 0 to 1. It is not used for the other powers.
"""

import functools
from types import SimpleNamespace

import numba
import numpy as np

from ._feature_kernels import MAX_UNROLLED_DIMENSION, NEURON_BLOCK, TILE
from ._jit import kernel, parallel_kernel


def kernels(d: int, alpha: int) -> SimpleNamespace:
    """Compile ``gradient`` and ``pull_back`` for one dimension and activation."""
    return _compile(d if d <= MAX_UNROLLED_DIMENSION else 0, alpha)


@functools.cache
def _compile(static_d: int, alpha: int) -> SimpleNamespace:
    # Constants take the type of t: a float64 literal would turn float32 loops into float64.
    @kernel(inline="always")
    def derivative(t, h):
        zero, one = type(t)(0), type(t)(1)
        if alpha == 1:
            return min(max((t + h) / (h + h), zero), one)
        positive = t if t > zero else zero
        if alpha == 2:
            return (one + one) * positive
        return (one + one + one) * positive * positive

    @kernel(inline="always")
    def bend(t, h):
        zero, one = type(t)(0), type(t)(1)
        if alpha == 1:
            return one / (h + h) if abs(t) < h else zero
        if alpha == 2:
            return one + one if t > zero else zero
        return (type(t)(6)) * t if t > zero else zero

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
    def gradient(X, neurons, weights, h, out):
        m, d = neurons.shape
        for tile in numba.prange(X.shape[0]):
            points = X[tile]
            t = np.empty(TILE, X.dtype)
            partial = np.empty((d, TILE), X.dtype)
            out[tile] = 0
            for first in range(0, m, NEURON_BLOCK):
                partial[:] = 0
                for j in range(first, min(first + NEURON_BLOCK, m)):
                    theta = neurons[j]
                    weight = weights[j]
                    project(points, theta, t)
                    for s in range(TILE):
                        t[s] = weight * derivative(t[s], h)
                    for i in range(d):
                        row = partial[i]
                        for s in range(TILE):
                            row[s] += theta[i] * t[s]
                for i in range(d):
                    for s in range(TILE):
                        out[tile, i, s] += partial[i, s] / m

    @parallel_kernel
    def pull_back(X, field, neurons, weights, h, grad_neurons, grad_weights):
        m, d = neurons.shape
        for block in numba.prange((m + NEURON_BLOCK - 1) // NEURON_BLOCK):
            t = np.empty(TILE, X.dtype)
            along = np.empty(TILE, X.dtype)
            first = block * NEURON_BLOCK
            last = min(first + NEURON_BLOCK, m)
            grad_neurons[first:last] = 0
            grad_weights[first:last] = 0
            for tile in range(X.shape[0]):
                points, vectors = X[tile], field[tile]
                for j in range(first, last):
                    project(points, neurons[j], t)
                    project(vectors, neurons[j], along)
                    value = X.dtype.type(0)
                    for s in range(TILE):
                        slope = derivative(t[s], h)
                        value += slope * along[s]
                        along[s] *= bend(t[s], h)
                        t[s] = slope
                    grad_weights[j] += value
                    for i in range(d):
                        coordinate, component = points[i], vectors[i]
                        moment = X.dtype.type(0)
                        for s in range(TILE):
                            moment += t[s] * component[s] + along[s] * coordinate[s]
                        grad_neurons[j, i] += moment
            for j in range(first, last):
                grad_weights[j] /= m
                for i in range(d):
                    grad_neurons[j, i] *= weights[j] / m

    return SimpleNamespace(gradient=gradient, pull_back=pull_back)
