"""Compiled loops from neurons to the score of a shallow energy, and back.

A Stein discrepancy is a function of the scores at the data. ``gradient`` is that of the energy in
the points, the score up to its sign; ``pull_back`` is its transpose, from a field at the points to
the neurons. Points and fields come in tiles, as in `_tiles`, and sums are taken as in
`_feature_kernels`.

For alpha = 1 the gradient jumps where a neuron's hyperplane meets a point, and its derivative in
the neuron would miss the jumps. Both loops therefore take a half-width h: the derivative of the
rectifier then rises on [-h, h] from 0 to 1. It is not used for the other powers.
"""

import functools
from types import SimpleNamespace

import numba
import numpy as np

from ._jit import kernel, parallel_kernel
from ._tiles import NEURON_BLOCK, TILE, project, slope


@kernel(inline="always")
def _smooth_slope(t, alpha, h):
    """The derivative of the activation; a ramp for the rectifier."""
    zero, one = type(t)(0), type(t)(1)
    if alpha == 1:
        return min(max((t + h) / (h + h), zero), one)
    return slope(t, alpha)


@kernel(inline="always")
def _bend(t, alpha, h):
    """The second derivative of the activation; that of the ramp for the rectifier."""
    zero, one = type(t)(0), type(t)(1)
    if alpha == 1:
        return one / (h + h) if abs(t) < h else zero
    return type(t)(alpha) * slope(t, alpha - 1)


@functools.cache
def kernels(alpha: int) -> SimpleNamespace:
    """Compile ``gradient`` and ``pull_back`` for one activation."""

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
                        t[s] = weight * _smooth_slope(t[s], alpha, h)
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
                        rise = _smooth_slope(t[s], alpha, h)
                        value += rise * along[s]
                        along[s] *= _bend(t[s], alpha, h)
                        t[s] = rise
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
