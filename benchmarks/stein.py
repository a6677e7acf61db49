"""Stein discrepancies against plain NumPy, and the memory that they take.

python benchmarks/stein.py            time: kernel discrepancy with its gradient, F1 discrepancy
python benchmarks/stein.py --memory   peak memory of this process with the kernel discrepancy alone
"""

import resource
import sys

import numba
import numpy as np
from timing import alternate, report

from lazyactive.numerics import sphere
from lazyactive.numerics.discrepancies.f1_stein import f1_stein_discrepancy
from lazyactive.numerics.discrepancies.f1_stein_ascent import f1_stein_ascent
from lazyactive.numerics.discrepancies.stein import ksd_gradient
from lazyactive.numerics.teachers import PlantedEnergy

N, D, BLOCK = 10_000, 15, 1000


def points_and_scores() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = sphere.uniform(N, D, rng, np.float32)
    return X, sphere.tangent(X, rng.standard_normal((N, D)).astype(np.float32))


def dense(X: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """V-statistic of the RBF discrepancy and its derivative in the scores, by the Stein kernel.

    In blocks of rows, so that it fits.
    """
    n, d = X.shape
    shifted = scores - np.float32(d - 1) * X
    total, field = 0.0, np.empty((n, d), np.float32)
    for first in range(0, n, BLOCK):
        x, s = X[first : first + BLOCK], shifted[first : first + BLOCK]
        u = x @ X.T
        kappa = np.exp(u - 1)
        crossed = s @ X.T + x @ shifted.T
        stein = kappa * (s @ shifted.T - 2 * (d - 1) - u * crossed + u**3 - u + d - 2 + u**2)
        total += stein.sum(dtype=np.float64)
        field[first : first + BLOCK] = kappa @ shifted + x * kappa.sum(1)[:, None] - (kappa * u) @ X
    return total / n**2, sphere.tangent(X, 2 / n**2 * field)


def thrifty(X: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """The same with the sums over y that the compiled loops take."""
    n, d = X.shape
    shifted = scores - np.float32(d - 1) * X
    total, field = 0.0, np.empty((n, d), np.float32)
    for first in range(0, n, BLOCK):
        x, s = X[first : first + BLOCK], shifted[first : first + BLOCK]
        u = x @ X.T
        kappa = np.exp(u - 1)
        sums, product = kappa.sum(1), kappa * u
        pulled, points = kappa @ shifted, product @ X
        total += float(np.sum(s * (pulled - 2 * points))) - 2 * (d - 1) * float(sums.sum())
        product *= u * u + u - 1
        total += float(product.sum()) + (d - 2) * float(sums.sum())
        field[first : first + BLOCK] = pulled + x * sums[:, None] - points
    return total / n**2, sphere.tangent(X, 2 / n**2 * field)


def kernel_discrepancy() -> None:
    X, scores = points_and_scores()

    def ours() -> tuple[float, np.ndarray]:
        return ksd_gradient(X, scores, statistic="v")

    for other in (dense, thrifty):
        for a, b in zip(ours(), other(X, scores), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(a).max())
    compiled, plain, lean = alternate(ours, lambda: dense(X, scores), lambda: thrifty(X, scores))
    print(f"KSD and its gradient, n = {N}, d = {D}, {numba.get_num_threads()} threads")
    report("  against the Stein kernel in NumPy, float32", compiled, plain)
    report("  against the same sums in NumPy, float32", compiled, lean)


def f1_discrepancy() -> None:
    """One neuron, searched, against a network of 500 that climbs for 100 steps."""
    n, d = 2000, 10
    X = PlantedEnergy.random(1, d, 10.0, rng=0).sample(n, rng=1)
    scores = np.zeros_like(X)
    print(f"F1 Stein discrepancy from the uniform density, n = {n}, d = {d}, w = 10")
    for surface_term in (False, True):
        values: list[list[float]] = [[], []]

        def ours(found: list[float] = values[0]) -> None:
            found.append(f1_stein_discrepancy(X, scores, rng=len(found)).value)

        def ascent(found: list[float] = values[1], term: bool = surface_term) -> None:
            found.append(f1_stein_ascent(X, scores, surface_term=term, rng=len(found)))

        compiled, climbed = alternate(ours, ascent)
        report(f"  against ascent {'with' if surface_term else 'without'} jumps", compiled, climbed)
        print(f"    values {min(values[0]):.4f} at least, against {max(values[1]):.4f} at most")


def memory() -> None:
    value, _ = ksd_gradient(*points_and_scores())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"KSD and its gradient, n = {N}, d = {D}: {value:.4g}, peak memory {peak:.0f} MB")


if __name__ == "__main__":
    if "--memory" in sys.argv:
        memory()
    else:
        kernel_discrepancy()
        f1_discrepancy()
