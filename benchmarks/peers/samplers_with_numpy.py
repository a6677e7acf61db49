"""Chains in NumPy, vectorized over the chains; energy and gradient share their inner products."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def _uniform(n: int, d: int, rng: np.random.Generator) -> NDArray:
    X = rng.standard_normal((n, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def _tangent(X: NDArray, v: NDArray) -> NDArray:
    return v - np.sum(X * v, axis=1, keepdims=True) * X


def independence(
    neurons: NDArray, weights: NDArray, n_chains: int, n_steps: int
) -> Callable[[], tuple[float, float]]:
    m, d = neurons.shape

    def energy(X: NDArray) -> NDArray:
        return np.maximum(X @ neurons.T, 0) @ weights / m

    def run() -> tuple[float, float]:
        rng, accepted = np.random.default_rng(1), 0
        X = _uniform(n_chains, d, rng)
        f = energy(X)
        for _ in range(n_steps):
            Y = _uniform(n_chains, d, rng)
            f_new = energy(Y)
            moves = np.log(rng.random(n_chains)) < f - f_new
            X[moves], f[moves] = Y[moves], f_new[moves]
            accepted += int(np.count_nonzero(moves))
        return accepted / (n_chains * n_steps), float(f.mean())

    return run


def mala(
    neurons: NDArray, weights: NDArray, n_chains: int, n_steps: int
) -> Callable[[], tuple[float, float]]:
    m, d = neurons.shape
    h = 0.5 / (d - 1)

    def evaluate(X: NDArray) -> tuple[NDArray, NDArray]:
        T = X @ neurons.T
        gradient = _tangent(X, (T > 0) * weights @ neurons / m)
        return np.maximum(T, 0, out=T) @ weights / m, gradient

    def run() -> tuple[float, float]:
        rng, accepted = np.random.default_rng(1), 0
        X = _uniform(n_chains, d, rng)
        f, g = evaluate(X)
        for _ in range(n_steps):
            noise = _tangent(X, rng.standard_normal(X.shape))
            v = np.sqrt(2 * h) * noise - h * g
            r = np.linalg.norm(v, axis=1, keepdims=True)
            cosine, sine = np.cos(r), np.sin(r)
            Y = cosine * X + sine / r * v
            Y /= np.linalg.norm(Y, axis=1, keepdims=True)
            f_new, g_new = evaluate(Y)
            # The way back along the same geodesic.
            back = r * sine * X - cosine * v
            there = np.sum((v + h * g) ** 2, axis=1)
            again = np.sum((back + h * g_new) ** 2, axis=1)
            ratio = f - f_new + (there - again) / (4 * h)
            moves = (np.log(rng.random(n_chains)) < ratio) & (r[:, 0] < np.pi)
            X[moves], f[moves], g[moves] = Y[moves], f_new[moves], g_new[moves]
            accepted += int(np.count_nonzero(moves))
        return accepted / (n_chains * n_steps), float(f.mean())

    return run
