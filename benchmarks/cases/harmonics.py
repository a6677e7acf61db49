"""Legendre polynomials of dimension d, all degrees at once."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics import harmonics

from ..case import Case

N, MAX_DEGREE, D = 200_000, 64, 15


def inputs(n: int, d: int, max_degree: int) -> tuple[NDArray, int, int]:
    return np.random.default_rng(0).uniform(-1, 1, n), d, max_degree


def legendre(t: NDArray, d: int, max_degree: int) -> Callable[[], NDArray]:
    return lambda: harmonics.legendre(t, d, max_degree)


CASES = [
    Case(
        "legendre",
        f"Legendre table, degrees 0 to {MAX_DEGREE} at {N:,} points, d = {D}, float64",
        partial(inputs, N, D, MAX_DEGREE),
        {
            "ours": "benchmarks.cases.harmonics:legendre",
            "NumPy": "benchmarks.peers.with_numpy:legendre",
            "SciPy": "benchmarks.peers.with_scipy:legendre",
            "PyTorch": "benchmarks.peers.with_torch:legendre",
            "JAX": "benchmarks.peers.with_jax:legendre",
        },
        moved=8.0 * (MAX_DEGREE + 1) * N,
        dtype="float64",
        rtol=1e-11,
    )
]
