"""The step of dual training as one writes it in NumPy, in the type of the data."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics.training import dual, transport


def steps(X: NDArray, start: dual.State, n_steps: int, step_size: float) -> Callable[[], NDArray]:
    def run() -> NDArray:
        rng, network, walkers = np.random.default_rng(3), start.network, start.walkers
        for _ in range(n_steps):
            neurons = network.neurons.astype(X.dtype)
            weights = (network.weights / len(neurons)).astype(X.dtype)
            gradient = ((walkers @ neurons.T > 0) * weights) @ neurons
            spread = X.dtype.type(np.sqrt(2 * step_size))
            noise = spread * rng.standard_normal(walkers.shape, X.dtype)
            walkers = _follow(walkers, noise - X.dtype.type(step_size) * gradient)
            psi, slopes = np.zeros(len(neurons)), np.zeros(neurons.shape)
            for points, sign in ((X, 1), (walkers, -1)):
                cosines = points @ neurons.T
                psi += sign * np.maximum(cosines, 0).mean(axis=0)
                slopes += sign * ((cosines > 0).astype(X.dtype).T @ points) / len(points)
            network = transport.move(network, psi, slopes, step_size)
        return network.weights - start.network.weights

    return run


def _follow(X: NDArray, v: NDArray) -> NDArray:
    """The geodesic along the tangent part of v."""
    v = v - np.sum(X * v, axis=1, keepdims=True) * X
    r = np.linalg.norm(v, axis=1, keepdims=True)
    Y = np.cos(r) * X + np.sinc(r / X.dtype.type(np.pi)) * v
    return Y / np.linalg.norm(Y, axis=1, keepdims=True)
