"""Metrics of two samples: the F2 metric of all pairs, its permutation test, Wasserstein."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics import sphere
from lazyactive.numerics.discrepancies import ipm, two_sample, wasserstein
from lazyactive.numerics.harmonic_pairs import positive_parts

from ..case import Case

D, DEGREE = 15, 6


def pair(n: int) -> tuple[NDArray, ...]:
    X, Y = positive_parts(DEGREE, D, n, rng=0)
    return X.astype(np.float32), Y.astype(np.float32)


def pair_to_test(n: int, n_permutations: int) -> tuple[NDArray, NDArray, int]:
    return *positive_parts(DEGREE, D, n, rng=1), n_permutations


def pair_to_project(n: int, n_projections: int) -> tuple[NDArray, NDArray, NDArray]:
    return *positive_parts(DEGREE, D, n, rng=2), sphere.uniform(n_projections, D, rng=3)


def f2_ipm(X: NDArray, Y: NDArray) -> Callable[[], float]:
    return lambda: ipm.f2_ipm(X, Y).square


def two_sample_test(X: NDArray, Y: NDArray, n_permutations: int) -> Callable[[], float]:
    return lambda: (
        two_sample.two_sample_test(X, Y, "f2", n_permutations=n_permutations, rng=0).p_value
    )


def sliced_wasserstein(X: NDArray, Y: NDArray, directions: NDArray) -> Callable[[], float]:
    return lambda: wasserstein.sliced_wasserstein(X, Y, directions=directions).value


PEERS = {
    "NumPy": "benchmarks.peers.with_numpy:f2_ipm",
    "PyTorch": "benchmarks.peers.with_torch:f2_ipm",
    "JAX": "benchmarks.peers.with_jax:f2_ipm",
}


def f2_case(n: int, rounds: int, *peers: str) -> Case:
    return Case(
        f"f2-ipm-{n}",
        f"exact F2 metric of two samples, n = {n:,} each, d = {D}, float32",
        partial(pair, n),
        {"ours": "benchmarks.cases.separation:f2_ipm"} | {peer: PEERS[peer] for peer in peers},
        # A difference of means of the kernel, which are about 1 / (2 pi d) = 0.01, in float32.
        rtol=0,
        atol=1e-7,
        rounds=rounds,
    )


CASES = [
    f2_case(5_000, 3, "NumPy", "PyTorch", "JAX"),
    # The arc cosine of NumPy and of JAX takes a minute or two for so many pairs.
    f2_case(30_000, 2, "PyTorch"),
    Case(
        "two-sample-test",
        f"F2 permutation test, n = 1,000 each, 199 permutations, d = {D}, float64",
        partial(pair_to_test, 1000, 199),
        {
            "ours": "benchmarks.cases.separation:two_sample_test",
            "NumPy": "benchmarks.peers.with_numpy:two_sample_test",
        },
        # Two p-values of 199 permutations each: five standard errors of their difference.
        rtol=0,
        atol=0.25,
        rounds=3,
    ),
    Case(
        "sliced-wasserstein",
        f"average-sliced Wasserstein distance, n = 10,000 each, 100 directions, d = {D}, float64",
        partial(pair_to_project, 10_000, 100),
        {
            "ours": "benchmarks.cases.separation:sliced_wasserstein",
            "POT": "benchmarks.peers.with_pot:sliced_wasserstein",
        },
        rtol=1e-10,
        rounds=3,
    ),
]
