"""Compiled loops behind :mod:`lazyactive.numerics.features`.

Tiles of points meet blocks of neurons; the ``n x m`` matrix of activations is never stored. Sums
over a tile are taken in the type of the data and added up in float64, in an order that does not
depend on the number of threads. In the padding of the last tile every activation vanishes.
"""

import functools
from types import SimpleNamespace

import numba
import numpy as np

from ._jit import kernel, parallel_kernel
from ._simd import fma, lanes, load, splat, store
from ._tiles import (
    MIN_JOBS,
    NEURON_BLOCK,
    ROWS,
    TILE,
    add_features,
    inner_products,
    pack_powers,
    packed_moments,
    times_power,
)

# A job's neurons and their sums stay in the second-level cache, and its points are read once.
NEURONS_PER_JOB = 512


@kernel
def pad_rows(neurons):
    """Add zero neurons until `ROWS` divides their number."""
    m, d = neurons.shape
    padded = np.zeros(((m + ROWS - 1) // ROWS * ROWS, d), neurons.dtype)
    padded[:m] = neurons
    return padded


@kernel
def pad_vector(weights):
    """Add zeros until `ROWS` divides their number."""
    m = len(weights)
    padded = np.zeros((m + ROWS - 1) // ROWS * ROWS, weights.dtype)
    padded[:m] = weights
    return padded


@kernel
def accumulate_gradient(points, neurons, weights, alpha, out):
    """Add m / alpha times the gradient of the energy at the points of a tile to out, (d, TILE).

    Neurons and weights are padded.
    """
    n = lanes(points)
    for s in range(0, TILE, 2 * n):
        for first in range(0, len(weights), ROWS):
            theta = neurons[first : first + ROWS]
            a0, a1, a2, a3, b0, b1, b2, b3 = inner_products(points, theta, s)
            c0, c1 = splat(weights[first]), splat(weights[first + 1])
            c2, c3 = splat(weights[first + 2]), splat(weights[first + 3])
            a0, b0 = times_power(c0, a0, alpha - 1), times_power(c0, b0, alpha - 1)
            a1, b1 = times_power(c1, a1, alpha - 1), times_power(c1, b1, alpha - 1)
            a2, b2 = times_power(c2, a2, alpha - 1), times_power(c2, b2, alpha - 1)
            a3, b3 = times_power(c3, a3, alpha - 1), times_power(c3, b3, alpha - 1)
            for k in range(points.shape[0]):
                t0, t1, t2, t3 = theta[0, k], theta[1, k], theta[2, k], theta[3, k]
                x, y = load(out, (k, s)), load(out, (k, s + n))
                x, y = fma(t0, a0, x), fma(t0, b0, y)
                x, y = fma(t1, a1, x), fma(t1, b1, y)
                x, y = fma(t2, a2, x), fma(t2, b2, y)
                x, y = fma(t3, a3, x), fma(t3, b3, y)
                store(out, (k, s), x)
                store(out, (k, s + n), y)


@kernel
def weighted_features(points, neurons, mass, power, w):
    """Fill w with packed powers of the positive cosines of `ROWS` neurons, times a point's mass."""
    n = lanes(points)
    for s in range(0, TILE, 2 * n):
        a0, a1, a2, a3, b0, b1, b2, b3 = inner_products(points, neurons, s)
        pack_powers(w, s, load(mass, s), a0, a1, a2, a3, power)
        pack_powers(w, s + n, load(mass, s + n), b0, b1, b2, b3, power)


@kernel
def block_energy(points, neurons, weights, alpha, f):
    """Fill f with m times the energy at the points of a tile; neurons are padded."""
    n = lanes(points)
    f[:] = 0
    for first in range(0, len(weights), ROWS):
        theta, c = neurons[first : first + ROWS], weights[first : first + ROWS]
        for s in range(0, TILE, 2 * n):
            a0, a1, a2, a3, b0, b1, b2, b3 = inner_products(points, theta, s)
            store(f, s, add_features(c, a0, a1, a2, a3, alpha, load(f, s)))
            store(f, s + n, add_features(c, b0, b1, b2, b3, alpha, load(f, s + n)))


# NumPy's product would wake the threads of its own library beside ours.
@parallel_kernel
def add_up(shares, sums):
    """The sum over the chunks, each times its share: from (n_chunks, d, m) to (d, m)."""
    n_chunks, d, m = sums.shape
    out = np.empty((d, m))
    for k in numba.prange(d):
        for j in range(m):
            out[k, j] = shares[0] * sums[0, k, j]
        for chunk in range(1, n_chunks):
            for j in range(m):
                out[k, j] += shares[chunk] * sums[chunk, k, j]
    return out


# Not part of a loop with threads: Numba would start them for every assignment.
@kernel
def differentiate(moments, neurons, weights, alpha, grad_neurons, grad_weights):
    """Differentiate a mean energy, given the means of max(t, 0)^(alpha - 1) x, (d, padded m).

    The step, alpha = 0, has no slope, and the means of 1[t > 0] are given, (1, padded m).
    """
    m, d = neurons.shape
    if alpha == 0:
        grad_neurons[:] = 0.0
        grad_weights[:] = moments[0, :m] / m
        return
    for j in range(m):
        value = 0.0
        for k in range(d):
            moment = moments[k, j]
            grad_neurons[j, k] = alpha * moment * weights[j] / m
            # The activation is homogeneous: alpha sigma(t) = t sigma'(t).
            value += moment * neurons[j, k]
        grad_weights[j] = value / m


@functools.cache
def kernels(alpha: int) -> SimpleNamespace:
    """Compile ``energy``, ``energy_gradient`` and ``grad_x`` for one activation."""

    @parallel_kernel
    def energy(X, neurons, weights, out):
        padded, c = pad_rows(neurons), pad_vector(weights)
        for tile in numba.prange(X.shape[0]):
            points = X[tile]
            value = np.zeros(TILE)
            partial = np.empty(TILE, X.dtype)
            for block in range(0, len(c), NEURON_BLOCK):
                stop = block + NEURON_BLOCK
                block_energy(points, padded[block:stop], c[block:stop], alpha, partial)
                for s in range(TILE):
                    value[s] += partial[s]
            for s in range(TILE):
                out[tile, s] = value[s] / len(weights)

    @parallel_kernel
    def energy_gradient(X, neurons, weights, sample_weight, grad_neurons, grad_weights):
        m, d = neurons.shape
        padded = pad_rows(neurons)
        n_blocks = (m + NEURONS_PER_JOB - 1) // NEURONS_PER_JOB
        # Few neurons are shared out among threads by their points.
        n_chunks = max(1, min(X.shape[0], MIN_JOBS // n_blocks))
        sums = np.empty((n_chunks, d if alpha > 0 else 1, len(padded)))
        for job in numba.prange(n_blocks * n_chunks):
            chunk = job // n_blocks
            start = (job % n_blocks) * NEURONS_PER_JOB
            stop = min(start + NEURONS_PER_JOB, len(padded))
            sums[chunk, :, start:stop] = 0
            w = np.empty(ROWS * TILE, X.dtype)
            # The step has no slope: its features themselves are added up.
            one = np.ones((1, TILE), X.dtype)
            for tile in range(chunk * X.shape[0] // n_chunks, (chunk + 1) * X.shape[0] // n_chunks):
                mass = sample_weight[tile]
                for first in range(start, stop, ROWS):
                    theta = padded[first : first + ROWS]
                    weighted_features(X[tile], theta, mass, max(alpha - 1, 0), w)
                    packed_moments(w, X[tile] if alpha > 0 else one, first, sums[chunk])
        moments = add_up(np.ones(n_chunks), sums)
        differentiate(moments, neurons, weights, alpha, grad_neurons, grad_weights)

    @parallel_kernel
    def grad_x(X, neurons, weights, out):
        """Write rows to `out`, (n, d)."""
        padded, c = pad_rows(neurons), pad_vector(weights)
        scale = X.dtype.type(alpha / len(weights))
        for tile in numba.prange(X.shape[0]):
            n, d = out.shape
            gradient = np.zeros((d, TILE), X.dtype)
            if alpha > 0:
                accumulate_gradient(X[tile], padded, c, alpha, gradient)
            for s in range(min(TILE, n - tile * TILE)):
                for k in range(d):
                    out[tile * TILE + s, k] = scale * gradient[k, s]

    return SimpleNamespace(energy=energy, energy_gradient=energy_gradient, grad_x=grad_x)
