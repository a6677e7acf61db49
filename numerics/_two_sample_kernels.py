r"""Compiled loops behind :mod:`lazyactive.numerics.discrepancies.two_sample`.

All labellings of the pooled points are treated together. A labelling gives every point a mass: its
share of the first sample, or minus its share of the second; what is compared is linear in it.
"""

import functools
from collections.abc import Callable

import numba
import numpy as np

from ._jit import parallel_kernel
from ._tiles import NEURON_BLOCK, TILE, project, slope


@functools.cache
def neuron_slopes(alpha: int) -> Callable:
    """Compile the gradients of means of neurons, each under a labelling of its own."""

    @parallel_kernel
    def slopes(X, masses, labelling, neurons, out):
        """Sum mass * sigma'(t) x over the tiles of X; neuron j weighs by masses[labelling[j]]."""
        m, d = neurons.shape
        for block in numba.prange((m + NEURON_BLOCK - 1) // NEURON_BLOCK):
            t = np.empty(TILE, X.dtype)
            first, last = block * NEURON_BLOCK, min((block + 1) * NEURON_BLOCK, m)
            out[first:last] = 0
            for tile in range(len(X)):
                points = X[tile]
                for j in range(first, last):
                    mass = masses[labelling[j], tile]
                    project(points, neurons[j], t)
                    for s in range(TILE):
                        t[s] = mass[s] * slope(t[s], alpha)
                    for i in range(d):
                        coordinate = points[i]
                        moment = X.dtype.type(0)
                        for s in range(TILE):
                            moment += t[s] * coordinate[s]
                        out[j, i] += moment

    return slopes


@parallel_kernel
def sliced_distances(order, gaps, masses, out):
    """W1 along each direction, (P, B): points in the `order` of their projections, (P, N)."""
    for p in numba.prange(len(order)):
        for b in range(len(masses)):
            height, total = 0.0, 0.0
            for j in range(len(gaps[p])):
                height += masses[b, order[p, j]]
                total += abs(height) * gaps[p, j]
            out[p, b] = total


@parallel_kernel
def direction_slopes(X, masses, labelling, directions, out):
    """Differentiate W1 along each direction, under its own labelling, in the direction.

    W1 is the sum over the points of ``|height before| - |height after|`` times the projection.
    """
    n, d = X.shape
    for k in numba.prange(len(directions)):
        t = np.empty(n)
        for i in range(n):
            inner = 0.0
            for c in range(d):
                inner += X[i, c] * directions[k, c]
            t[i] = inner
        mass = masses[labelling[k]]
        height = 0.0
        out[k] = 0
        ordered = np.argsort(t)
        for j in range(n):
            i = ordered[j]
            # Beyond the last point the two distribution functions agree, but for rounding.
            after = height + mass[i] if j < n - 1 else 0.0
            factor = abs(height) - abs(after)
            height = after
            for c in range(d):
                out[k, c] += factor * X[i, c]
