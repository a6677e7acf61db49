"""Stein discrepancies: of a kernel with its gradient, and of F1."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics import sphere
from lazyactive.numerics.discrepancies.f1_stein import f1_stein_discrepancy
from lazyactive.numerics.discrepancies.f1_stein_ascent import f1_stein_ascent
from lazyactive.numerics.discrepancies.stein import ksd_gradient
from lazyactive.numerics.teachers import PlantedEnergy

from ..case import Case


def points_and_scores(n: int, d: int) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(0)
    X = sphere.uniform(n, d, rng, np.float32)
    return X, sphere.tangent(X, rng.standard_normal((n, d), np.float32))


def ksd(X: NDArray, scores: NDArray) -> Callable[[], tuple[float, NDArray]]:
    return lambda: ksd_gradient(X, scores, statistic="v")


def planted(n: int, d: int) -> tuple[NDArray, NDArray]:
    X = PlantedEnergy.random(1, d, 10.0, rng=0).sample(n, rng=1)
    return X, np.zeros_like(X)


def f1_search(X: NDArray, scores: NDArray) -> Callable[[], float]:
    return lambda: f1_stein_discrepancy(X, scores, rng=0).value


def f1_ascent(X: NDArray, scores: NDArray) -> Callable[[], float]:
    return lambda: f1_stein_ascent(X, scores, surface_term=True, rng=0)


def ksd_case(n: int) -> Case:
    return Case(
        "ksd",
        f"kernel Stein discrepancy and its gradient, n = {n:,}, d = 15, float32",
        partial(points_and_scores, n, 15),
        {
            "ours": "benchmarks.cases.stein:ksd",
            "NumPy": "benchmarks.peers.with_numpy:ksd",
            "NumPy, fewer products": "benchmarks.peers.with_numpy:ksd_by_sums",
            "PyTorch": "benchmarks.peers.with_torch:ksd",
            "JAX": "benchmarks.peers.with_jax:ksd",
        },
        rounds=3,
    )


CASES = [
    ksd_case(10_000),
    Case(
        "f1-stein",
        "F1 Stein discrepancy of 2,000 planted points from the uniform density, d = 10, "
        "one neuron searched, against a network of 500 that climbs for 100 steps",
        partial(planted, 2000, 10),
        {
            "ours": "benchmarks.cases.stein:f1_search",
            "ascent": "benchmarks.cases.stein:f1_ascent",
        },
        # Both are bounds from inside: the larger is the better.
        rtol=None,
        note=lambda results: f"found {float(results[0][0]):.4f}",
        rounds=3,
    ),
]
