"""Likelihood with its gradient in neurons and output weights, on data and a reference."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics import sphere
from lazyactive.numerics.training.likelihood import Likelihood

from ..case import Case

PEERS = {
    "NumPy": "benchmarks.peers.with_numpy:likelihood",
    "NumPy, in blocks": "benchmarks.peers.with_numpy:likelihood_in_blocks",
    "PyTorch, formula": "benchmarks.peers.with_torch:likelihood",
    "PyTorch, in blocks": "benchmarks.peers.with_torch:likelihood_in_blocks",
    "JAX, formula": "benchmarks.peers.with_jax:likelihood",
    "JAX, in blocks": "benchmarks.peers.with_jax:likelihood_in_blocks",
}
# At one size only, to save time.
AUTOMATIC = {
    "PyTorch, autograd": "benchmarks.peers.with_torch:likelihood_by_autograd",
    "JAX, grad": "benchmarks.peers.with_jax:likelihood_by_grad",
}


def inputs(n: int, m: int, d: int) -> tuple[NDArray, ...]:
    """Half of the n points are data, half are reference points."""
    rng = np.random.default_rng(0)
    points = sphere.uniform(n, d, rng, np.float32)
    neurons = sphere.uniform(m, d, rng, np.float32)
    weights = np.sqrt(np.float32(2 * m * d)) * rng.standard_normal(m, np.float32)
    return points[: n // 2], points[n // 2 :], neurons, weights


def ours(
    data: NDArray, reference: NDArray, neurons: NDArray, weights: NDArray
) -> Callable[[], tuple]:
    likelihood = Likelihood.of(data, reference, 1)
    return lambda: likelihood.value_and_gradient(neurons, weights)[:3]


def case(n: int, m: int, d: int, rounds: int | None = None, automatic: bool = False) -> Case:
    return Case(
        f"likelihood-d{d}",
        f"likelihood and its gradient, {n // 2:,} data + {n - n // 2:,} reference points, "
        f"m = {m}, d = {d}, float32",
        partial(inputs, n, m, d),
        {"ours": "benchmarks.cases.likelihood:ours"} | PEERS | (AUTOMATIC if automatic else {}),
        flops=4.0 * n * m * d,
        # The gradients of weights are differences of means, small beside the means.
        rtol=1e-3,
        rounds=rounds,
    )


CASES = [
    case(30_000, 500, 15, automatic=True),
    case(30_000, 4096, 64, rounds=3),
    case(30_000, 500, 3),
]
