r"""Compiled loops from neurons to the gradient and the Laplacian of a shallow energy, and back.

Score matching sees an energy by its gradient on the sphere and by its Laplacian there. For a unit
neuron and :math:`t = \langle\theta, x\rangle`,

.. math:: \Delta_S \sigma(t) = (1 - t^2)\,\sigma''(t) - (d-1)\, t\, \sigma'(t) .

``evaluate`` gives both at the points; ``pull_back`` is its transpose, from a field and a mass at
the points to the neurons; ``profile`` fills matrices of features. Points and fields come in tiles,
as in `_tiles`, and sums are taken as in `_feature_kernels`. Training runs on one thread, and so do
these loops: parallel ones take twice as long to compile.

For alpha = 1 the second derivative of the activation is a delta, and for alpha = 2 the third one
is. The activation is therefore convolved with the bump
:math:`\tfrac{15}{16h} (1 - t^2/h^2)^2` on [-h, h], which is even and has a continuous derivative;
the standard deviation of the bump is :math:`h/\sqrt7`. For alpha = 3 it is not used.
"""

import functools
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from ._jit import kernel
from ._tiles import NEURON_BLOCK, TILE, power, project


def kernels(alpha: int) -> SimpleNamespace:
    """Compile ``evaluate``, ``pull_back`` and ``profile`` for one activation."""
    return SimpleNamespace(profile=_compile_profile(alpha), **_compile(alpha))


@kernel
def _derivatives(t, alpha, h):
    """The first three derivatives of the smoothed activation."""
    number = type(t)
    if alpha == 3:
        return number(3) * power(t, 2), number(6) * power(t, 1), number(6) * power(t, 0)
    one = number(1)
    u = min(max(t / h, -one), one)
    v = u * u
    w = one - v
    bump = number(15 / 16) * w * w / h
    step = number(1 / 2) + number(15 / 16) * u * (one - number(2 / 3) * v + number(1 / 5) * v * v)
    if alpha == 1:
        return step, bump, number(-15 / 4) * u * w / h / h
    inside = number(5 / 32) + u / number(2)
    inside += number(15 / 32) * v * (one - v / number(3) + v * v / number(15))
    return number(2) * (h * inside + max(t - h, number(0))), number(2) * step, number(2) * bump


@kernel
def _laplacian(t, first, second, degree):
    """The Laplacian of the activation on the sphere."""
    return (type(t)(1) - t * t) * second - degree * t * first


@functools.cache
def _compile(alpha: int) -> dict[str, Callable]:
    @kernel
    def evaluate(X, neurons, weights, h, gradient, laplacian):
        m, d = neurons.shape
        degree = X.dtype.type(d - 1)
        for tile in range(X.shape[0]):
            points = X[tile]
            t = np.empty(TILE, X.dtype)
            curved = np.empty(TILE, X.dtype)
            partial = np.empty((d, TILE), X.dtype)
            gradient[tile] = 0
            laplacian[tile] = 0
            for block in range(0, m, NEURON_BLOCK):
                partial[:] = 0
                curved[:] = 0
                for j in range(block, min(block + NEURON_BLOCK, m)):
                    theta = neurons[j]
                    weight = weights[j]
                    project(points, theta, t)
                    for s in range(TILE):
                        first, second, _ = _derivatives(t[s], alpha, h)
                        curved[s] += weight * _laplacian(t[s], first, second, degree)
                        t[s] = weight * first
                    for i in range(d):
                        row = partial[i]
                        for s in range(TILE):
                            row[s] += theta[i] * t[s]
                for s in range(TILE):
                    laplacian[tile, s] += curved[s] / m
                for i in range(d):
                    for s in range(TILE):
                        gradient[tile, i, s] += partial[i, s] / m

    @kernel
    def pull_back(X, field, mass, neurons, weights, h, grad_neurons, grad_weights):
        m, d = neurons.shape
        degree = X.dtype.type(d - 1)
        two = X.dtype.type(2)
        for block in range((m + NEURON_BLOCK - 1) // NEURON_BLOCK):
            t = np.empty(TILE, X.dtype)
            along = np.empty(TILE, X.dtype)
            start = block * NEURON_BLOCK
            stop = min(start + NEURON_BLOCK, m)
            grad_neurons[start:stop] = 0
            grad_weights[start:stop] = 0
            one = X.dtype.type(1)
            for tile in range(X.shape[0]):
                points, vectors, masses = X[tile], field[tile], mass[tile]
                for j in range(start, stop):
                    project(points, neurons[j], t)
                    project(vectors, neurons[j], along)
                    value = X.dtype.type(0)
                    for s in range(TILE):
                        u = t[s]
                        first, second, third = _derivatives(u, alpha, h)
                        value += first * along[s] + masses[s] * _laplacian(u, first, second, degree)
                        bent = (one - u * u) * third - (degree + two) * u * second
                        bent -= degree * first
                        along[s] = second * along[s] + masses[s] * bent
                        t[s] = first
                    grad_weights[j] += value
                    for i in range(d):
                        coordinate, component = points[i], vectors[i]
                        moment = X.dtype.type(0)
                        for s in range(TILE):
                            moment += t[s] * component[s] + along[s] * coordinate[s]
                        grad_neurons[j, i] += moment
            for j in range(start, stop):
                grad_weights[j] /= m
                for i in range(d):
                    grad_neurons[j, i] *= weights[j] / m

    return {"evaluate": evaluate, "pull_back": pull_back}


@functools.cache
def _compile_profile(alpha: int) -> Callable:
    @kernel
    def profile(cosines, d, h, slopes, laplacians):
        """Fill with the slope and the Laplacian of the activation at cosines, all (n, m)."""
        degree = cosines.dtype.type(d - 1)
        for i in range(len(cosines)):
            for j in range(cosines.shape[1]):
                t = cosines[i, j]
                first, second, _ = _derivatives(t, alpha, h)
                slopes[i, j] = first
                laplacians[i, j] = _laplacian(t, first, second, degree)

    return profile
