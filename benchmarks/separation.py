"""Metrics of two samples against plain NumPy and POT, and what a hundred thousand points take.

python benchmarks/separation.py           F2 metric, permutation test, sliced Wasserstein distance
python benchmarks/separation.py --large   time and peak memory of the F2 metric alone, n = 100000
"""

import resource
import sys
import time

import numba
import numpy as np
import ot
from timing import alternate, report

from lazyactive.numerics import sphere
from lazyactive.numerics.discrepancies.ipm import f2_ipm
from lazyactive.numerics.discrepancies.two_sample import two_sample_test
from lazyactive.numerics.discrepancies.wasserstein import sliced_wasserstein
from lazyactive.numerics.harmonic_pairs import positive_parts

N, D, DEGREE, BLOCK = 10_000, 15, 6, 1000
N_TEST, N_PERMUTATIONS, N_PROJECTIONS = 1000, 199, 100
N_LARGE = 100_000


def arc_cosine(u: np.ndarray) -> np.ndarray:
    """The kernel of random rectifiers."""
    u = np.clip(u, -1, 1)
    return (np.sqrt(1 - u * u) + (np.pi - np.arccos(u)) * u) / np.float32(2 * np.pi * D)


def plain_f2(X: np.ndarray, Y: np.ndarray) -> float:
    """U-statistic in blocks of rows, so that it fits."""

    def total(A: np.ndarray, B: np.ndarray) -> float:
        return sum(
            float(arc_cosine(A[i : i + BLOCK] @ B.T).sum(dtype=np.float64))
            for i in range(0, len(A), BLOCK)
        )

    n, diagonal = len(X), len(X) / (2 * D)
    own = total(X, X) + total(Y, Y) - 2 * diagonal
    return own / (n * (n - 1)) - 2 * total(X, Y) / n**2


def plain_test(X: np.ndarray, Y: np.ndarray) -> float:
    """Permutations of the rows and columns of a stored kernel."""
    rng, n = np.random.default_rng(0), len(X)
    pooled = np.concatenate([X, Y])
    kernel = arc_cosine(pooled @ pooled.T)
    np.fill_diagonal(kernel, 0)

    def square(order: np.ndarray) -> float:
        a, b = order[:n], order[n:]
        own = kernel[np.ix_(a, a)].sum() + kernel[np.ix_(b, b)].sum()
        return float(own / (n * (n - 1)) - 2 * kernel[np.ix_(a, b)].mean())

    observed = square(np.arange(2 * n))
    others = [square(rng.permutation(2 * n)) for _ in range(N_PERMUTATIONS)]
    return float(1 + np.sum(np.array(others) >= observed)) / (1 + N_PERMUTATIONS)


def compare() -> None:
    print(f"{numba.get_num_threads()} threads, d = {D}")
    X, Y = (Z.astype(np.float32) for Z in positive_parts(DEGREE, D, N, rng=0))
    np.testing.assert_allclose(f2_ipm(X, Y).square, plain_f2(X, Y), atol=1e-7)
    report(
        f"F2 metric, n = {N}, float32, against NumPy",
        *alternate(lambda: f2_ipm(X, Y), lambda: plain_f2(X, Y)),
    )
    A, B = positive_parts(DEGREE, D, N_TEST, rng=1)
    report(
        f"F2 permutation test, n = {N_TEST}, {N_PERMUTATIONS} permutations, against NumPy",
        *alternate(
            lambda: two_sample_test(A, B, "f2", n_permutations=N_PERMUTATIONS, rng=0),
            lambda: plain_test(A, B),
        ),
    )
    A, B = positive_parts(DEGREE, D, N, rng=2)
    directions = sphere.uniform(N_PROJECTIONS, D, rng=3)
    report(
        f"average-sliced W1, n = {N}, {N_PROJECTIONS} directions, against POT",
        *alternate(
            lambda: sliced_wasserstein(A, B, directions=directions),
            lambda: ot.sliced_wasserstein_distance(A, B, p=1, projections=directions.T),
        ),
    )


def large() -> None:
    for dtype in (np.float32, np.float64):
        X, Y = (Z.astype(dtype) for Z in positive_parts(DEGREE, D, N_LARGE, rng=0))
        start = time.perf_counter()
        square = f2_ipm(X, Y).square
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"F2 metric, n = {N_LARGE}, d = {D}, {dtype.__name__}: square {square:.3g}, "
            f"{seconds:.1f} s, peak memory of the process {peak:.0f} MB"
        )


if __name__ == "__main__":
    large() if "--large" in sys.argv else compare()
