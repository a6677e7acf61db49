"""Compiled feature maps against plain NumPy and against this machine's matrix product.

python benchmarks/features.py
"""

import time
from collections.abc import Callable

import numba
import numpy as np

from lazyactive.numerics import features, sphere

N, M, D, REPEATS = 100_000, 500, 15, 5


def best(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(dtype: type) -> None:
    rng = np.random.default_rng(0)
    X = sphere.uniform(N, D, rng, dtype)
    neurons = sphere.uniform(M, D, rng, dtype)
    weights = rng.standard_normal(M).astype(dtype)
    mass = rng.standard_normal(N).astype(dtype)

    def plain_energy() -> np.ndarray:
        return np.maximum(X @ neurons.T, 0) @ weights / M

    def plain_gradient() -> tuple[np.ndarray, np.ndarray]:
        T = X @ neurons.T
        gated = (T > 0) * mass[:, None]
        return (gated.T @ X) * weights[:, None] / M, mass @ np.maximum(T, 0) / M

    pairs = {
        "energy": (lambda: features.energy(X, neurons, weights), plain_energy, 1),
        "gradient": (
            lambda: features.energy_gradient(X, neurons, weights, 1, mass),
            plain_gradient,
            2,
        ),
    }
    product = best(lambda: X @ neurons.T)
    for name, (compiled, plain, products) in pairs.items():
        ours = best(compiled)
        print(
            f"{np.dtype(dtype).name} {name:8s} {1e3 * ours:7.1f} ms  "
            f"{2e-9 * N * M * D * products / ours:6.1f} Gflop/s  "
            f"{best(plain) / ours:5.1f} x NumPy  {products * product / ours:5.2f} x X @ neurons.T"
        )


def main() -> None:
    print(f"n = {N}, m = {M}, d = {D}, {numba.get_num_threads()} threads, best of {REPEATS}")
    for dtype in (np.float32, np.float64):
        compare(dtype)


if __name__ == "__main__":
    main()
