r"""Compiled loops behind :mod:`lazyactive.numerics.discrepancies.f1_stein`.

Neurons in groups of four meet a tile of points together, and nothing of the size of neurons times
points is stored. Every neuron has its own weights on the points, a row of `masses`: so all samples
of a bootstrap are climbed at once. For alpha = 1 the derivative of the activation is a step, and
`width` is the half-width of the ramp that replaces it. Sums over a tile are taken in the type of
the data and added up in float64, in an order that does not depend on the number of threads.
"""

import functools
from collections.abc import Callable
from types import SimpleNamespace

import numba
import numpy as np
from numpy.typing import NDArray

from ._jit import kernel, parallel_kernel
from ._tiles import ROWS, TILE, cosines, moments, power

# Neurons that stay with one thread: a tile is read from the second-level cache so much less often.
NEURON_BLOCK = 4 * ROWS


def kernels(alpha: int) -> SimpleNamespace:
    """Compile ``fields`` and ``slopes`` for one activation."""
    return SimpleNamespace(fields=_compile_fields(alpha), slopes=_compile_slopes(alpha))


def padded(neurons: NDArray) -> NDArray:
    """Append zero rows up to a whole number of groups of neurons."""
    return np.concatenate([neurons, np.zeros((-len(neurons) % ROWS, *neurons.shape[1:]))])


@kernel(inline="always")
def _gather(neurons, first, d, theta):
    for r in range(ROWS):
        for k in range(d):
            theta[r, k] = neurons[first + r, k]


@functools.cache
def _compile_fields(alpha: int) -> Callable:
    @parallel_kernel
    def fields(X, R, masses, sample, neurons, width, moment, step, ramp):
        """Sum sigma(t) r into `moment`, sigma'(t) into `step`, and the ramp into `ramp`."""
        m, d = len(neurons), X.shape[1]
        zero, half, one = X.dtype.type(0), X.dtype.type(0.5), X.dtype.type(1)
        factor, slope = X.dtype.type(alpha), half / width
        for block in numba.prange((m + NEURON_BLOCK - 1) // NEURON_BLOCK):
            t = np.empty((ROWS, TILE), X.dtype)
            theta = np.empty((ROWS, d), X.dtype)
            for tile in range(len(X)):
                for first in range(block * NEURON_BLOCK, min((block + 1) * NEURON_BLOCK, m), ROWS):
                    _gather(neurons, first, d, theta)
                    cosines(X[tile], theta, t)
                    for r in range(ROWS):
                        mass = masses[sample[first + r], tile]
                        hard, soft = zero, zero
                        for s in range(TILE):
                            u = t[r, s]
                            hard += mass[s] * power(u, alpha - 1)
                            if alpha == 1:
                                soft += mass[s] * min(max(half + slope * u, zero), one)
                            t[r, s] = mass[s] * power(u, alpha)
                        step[first + r] += factor * hard
                        ramp[first + r] += soft if alpha == 1 else factor * hard
                    moments(t, R[tile], first, moment)

    return fields


@functools.cache
def _compile_slopes(alpha: int) -> Callable:
    @parallel_kernel
    def slopes(X, R, masses, sample, neurons, directions, width, divergence, out):
        """Differentiate ``<direction, field>`` in the neuron, with the ramp.

        The second term of the field, that of the divergence, is left out if `divergence` is false.
        """
        m, d = len(neurons), X.shape[1]
        zero, half, one = X.dtype.type(0), X.dtype.type(0.5), X.dtype.type(1)
        factor, slope = X.dtype.type(alpha), half / width
        for block in numba.prange((m + NEURON_BLOCK - 1) // NEURON_BLOCK):
            t = np.empty((ROWS, TILE), X.dtype)
            q = np.empty((ROWS, TILE), X.dtype)
            theta = np.empty((ROWS, d), X.dtype)
            a = np.empty((ROWS, d), X.dtype)
            for tile in range(len(X)):
                for first in range(block * NEURON_BLOCK, min((block + 1) * NEURON_BLOCK, m), ROWS):
                    _gather(neurons, first, d, theta)
                    _gather(directions, first, d, a)
                    cosines(X[tile], theta, t)
                    cosines(R[tile], a, q)
                    for r in range(ROWS):
                        mass = masses[sample[first + r], tile]
                        cosine = zero
                        if divergence:
                            for k in range(d):
                                cosine += theta[r, k] * a[r, k]
                        total = zero
                        for s in range(TILE):
                            u = t[r, s]
                            first_derivative = factor * power(u, alpha - 1)
                            if alpha == 1:
                                total += mass[s] * min(max(half + slope * u, zero), one)
                                second = slope if abs(u) < width else zero
                            else:
                                total += mass[s] * first_derivative
                                second = factor * (factor - one) * power(u, alpha - 2)
                            t[r, s] = mass[s] * (first_derivative * q[r, s] + cosine * second)
                        if divergence:
                            for k in range(d):
                                out[k, first + r] += total * a[r, k]
                    moments(t, X[tile], first, out)

    return slopes
