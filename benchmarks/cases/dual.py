"""Steps of dual training: walkers and neurons together."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import dual, transport

from ..case import Case

D, N_NEURONS, N_DATA, N_WALKERS, STEP_SIZE, N_STEPS = 15, 64, 10_000, 20_000, 0.01, 10


def inputs(dtype: str) -> tuple[NDArray, dual.State, int, float]:
    X = PlantedEnergy(np.eye(2, D), np.array([-10.0, -10.0])).sample(N_DATA, 0).astype(dtype)
    start = dual.init(transport.init(N_NEURONS, D, 1), N_WALKERS, 2, dtype)
    return X, start, N_STEPS, STEP_SIZE


def ours(X: NDArray, start: dual.State, n_steps: int, step_size: float) -> Callable[[], NDArray]:
    data = dual.Data.of(X)

    def run() -> NDArray:
        rng, state = np.random.default_rng(3), start
        for _ in range(n_steps):
            state, _ = dual.step(state, data, rng, step_size)
        return state.network.weights - start.network.weights

    return run


CASES = [
    Case(
        "dual",
        f"{N_STEPS} steps of dual training, {N_DATA:,} data, {N_WALKERS:,} walkers, "
        f"m = {N_NEURONS}, d = {D}, float32",
        partial(inputs, "float32"),
        {"ours": "benchmarks.cases.dual:ours", "NumPy": "benchmarks.peers.dual_with_numpy:steps"},
        # The walkers' noise is not the same, and their means are over 20,000 of them.
        rtol=0.05,
    )
]
