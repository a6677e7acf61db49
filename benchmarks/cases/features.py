"""The shallow energy, its gradient against a signed measure, and its score."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics import features, sphere

from ..case import Case

NUMPY, TORCH, JAX = (f"benchmarks.peers.with_{name}" for name in ("numpy", "torch", "jax"))
# Of the matrix products: inner products, and for gradients one more of the same size.
PRODUCTS = {"energy": 2.0, "gradient": 4.0, "score": 4.0}
WORDS = {
    "energy": "energy alone",
    "gradient": "gradient of the energy against a signed measure",
    "score": "score (gradient of the energy in the points)",
}
BY_HAND = {
    "NumPy": f"{NUMPY}:%s",
    "NumPy, in blocks": f"{NUMPY}:%s_in_blocks",
    "PyTorch, formula": f"{TORCH}:%s",
    "PyTorch, in blocks": f"{TORCH}:%s_in_blocks",
    "JAX, formula": f"{JAX}:%s",
    "JAX, in blocks": f"{JAX}:%s_in_blocks",
}
# At one size only, to save time.
AUTOMATIC = {"PyTorch, autograd": f"{TORCH}:%s_by_autograd", "JAX, grad": f"{JAX}:%s_by_grad"}


def inputs(work: str, n: int, m: int, d: int, dtype: str) -> tuple[NDArray, ...]:
    rng = np.random.default_rng(0)
    X, neurons = sphere.uniform(n, d, rng, dtype), sphere.uniform(m, d, rng, dtype)
    weights = rng.standard_normal(m).astype(dtype)
    mass = (rng.standard_normal(n) / n).astype(dtype)
    return (X, neurons, weights, mass) if work == "gradient" else (X, neurons, weights)


def energy(*arrays: NDArray) -> Callable[[], NDArray]:
    return lambda: features.energy(*arrays)


def gradient(X: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray) -> Callable[[], tuple]:
    return lambda: features.energy_gradient(X, neurons, weights, sample_weight=mass)


def score(*arrays: NDArray) -> Callable[[], NDArray]:
    return lambda: features.grad_x(*arrays)


def case(
    work: str,
    n: int,
    m: int,
    d: int,
    dtype: str = "float32",
    rounds: int | None = None,
    automatic: bool = False,
) -> Case:
    runs = {"ours": "benchmarks.cases.features:%s"} | BY_HAND | (AUTOMATIC if automatic else {})
    return Case(
        f"{work}-d{d}" + ("-double" if dtype == "float64" else ""),
        f"{WORDS[work]}, n = {n:,}, m = {m}, d = {d}, {dtype}",
        partial(inputs, work, n, m, d, dtype),
        {name: reference % work for name, reference in runs.items()},
        flops=PRODUCTS[work] * n * m * d,
        dtype=dtype,
        rtol=1e-3 if dtype == "float32" else 1e-10,
        rounds=rounds,
    )


CASES = [
    case("gradient", 30_000, 500, 15, automatic=True),
    case("gradient", 30_000, 4096, 64, rounds=3),
    case("gradient", 30_000, 500, 3),
    case("gradient", 30_000, 500, 15, "float64"),
    case("energy", 30_000, 500, 15),
    case("energy", 30_000, 4096, 64, rounds=3),
    case("score", 30_000, 500, 15, automatic=True),
]
