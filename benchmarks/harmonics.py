"""Legendre table against SciPy degree by degree and against writing the same memory.

python benchmarks/harmonics.py
"""

import time
from collections.abc import Callable

import numba
import numpy as np
from scipy.special import eval_gegenbauer

from lazyactive.numerics import harmonics, sphere

N, MAX_DEGREE, D, REPEATS = 1_000_000, 64, 15, 5
N_SAMPLES = 4000


def best(run: Callable[[], object], repeats: int = REPEATS) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


@numba.njit(parallel=True)
def fill(out: np.ndarray) -> None:
    flat = out.reshape(-1)
    for i in numba.prange(len(flat)):
        flat[i] = 1.0


def main() -> None:
    t = np.random.default_rng(0).uniform(-1, 1, N)
    shape = (MAX_DEGREE + 1, N)

    def scipy_table() -> np.ndarray:
        out = np.empty(shape)
        for k in range(MAX_DEGREE + 1):
            out[k] = eval_gegenbauer(k, D / 2 - 1, t) / eval_gegenbauer(k, D / 2 - 1, 1.0)
        return out

    print(
        f"n = {N}, degrees 0 to {MAX_DEGREE}, d = {D}, {numba.get_num_threads()} threads, "
        f"best of {REPEATS}"
    )
    ours = best(lambda: harmonics.legendre(t, D, MAX_DEGREE))
    memory = best(lambda: fill(np.empty(shape)))
    scipy = best(scipy_table, repeats=1)
    print(
        f"legendre  {1e3 * ours:7.1f} ms  {8e-9 * np.prod(shape) / ours:5.1f} GB/s  "
        f"{scipy / ours:6.1f} x SciPy  {memory / ours:5.2f} x writing fresh memory"
    )
    X = sphere.uniform(N_SAMPLES, D, rng=0)
    project = best(lambda: harmonics.project(X, np.maximum(X[:, 0], 0), MAX_DEGREE))
    print(
        f"project   {1e3 * project:7.1f} ms  {N_SAMPLES} samples, "
        f"{1e9 * project / N_SAMPLES**2 / (MAX_DEGREE + 1):.3f} ns per pair and degree"
    )


if __name__ == "__main__":
    main()
