"""Markov chains in parallel on the energy of a random network."""

from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics import features, sphere
from lazyactive.numerics.sampling import independence, mala

from ..case import Case

N_CHAINS, N_STEPS, M, D = 10_000, 10, 500, 15


def inputs(n_chains: int, n_steps: int, m: int, d: int) -> tuple[NDArray, NDArray, int, int]:
    """The energy's standard deviation under tau is about 1."""
    rng = np.random.default_rng(0)
    neurons = sphere.uniform(m, d, rng)
    return neurons, np.sqrt(2 * m * d) * rng.standard_normal(m), n_chains, n_steps


def _chains(
    sampler: ModuleType, neurons: NDArray, weights: NDArray, n_chains: int, n_steps: int
) -> Callable[[], tuple[float, float]]:
    def energy(X: NDArray) -> NDArray:
        return features.energy(X, neurons, weights)

    def gradient(X: NDArray) -> NDArray:
        return features.grad_x(X, neurons, weights)

    def run() -> tuple[float, float]:
        sample = sampler.sample(n_chains, neurons.shape[1], energy, gradient, 1, n_steps=n_steps)
        return sample.acceptance_rate, float(energy(sample.X).mean())

    return run


def by_independence(*arguments) -> Callable[[], tuple[float, float]]:
    return _chains(independence, *arguments)


def by_mala(*arguments) -> Callable[[], tuple[float, float]]:
    return _chains(mala, *arguments)


def case(name: str, words: str) -> Case:
    return Case(
        name,
        f"{words}, {N_CHAINS:,} chains of {N_STEPS} steps, m = {M}, d = {D}, float64",
        partial(inputs, N_CHAINS, N_STEPS, M, D),
        {
            "ours": f"benchmarks.cases.samplers:by_{name}",
            "NumPy": f"benchmarks.peers.samplers_with_numpy:{name}",
            "JAX": f"benchmarks.peers.samplers_with_jax:{name}",
        },
        dtype="float64",
        # Acceptance rates and mean energies: five standard errors of the difference of two means
        # over the chains, whose energies have a standard deviation of about 1.
        rtol=0,
        atol=5 * np.sqrt(2 / N_CHAINS),
    )


CASES = [case("independence", "independence sampler"), case("mala", "MALA")]
