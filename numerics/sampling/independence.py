r"""Independence Metropolis-Hastings: propose from tau, whatever the present point.

The ratio is :math:`e^{f(x) - f(y)}`. The chain is uniformly ergodic for any bounded energy, with
a rate of convergence of at least :math:`Z e^{\min f}`, and so becomes useless once f oscillates
much more than log n.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._checks import check_sphere
from .chains import Function, Info, Sample, accept, evaluate, run

__all__ = ["Info", "State", "init", "sample", "step"]


class State(NamedTuple):
    """Points ``X`` of shape (n, d), one to a chain, and their energies, shape (n,)."""

    X: NDArray[np.float64]
    energy: NDArray[np.float64]


def init(X: ArrayLike, energy: Function, gradient: Function | None = None) -> State:
    """Start a chain at each row of `X`; the gradient is never called."""
    X = check_sphere(X).astype(np.float64)
    return State(X, evaluate(energy, X, (len(X),), "energy"))


def step(
    state: State,
    energy: Function,
    gradient: Function | None = None,
    rng: np.random.Generator | int | None = None,
) -> tuple[State, Info]:
    """Propose a uniform point to every chain, and accept or reject it."""
    rng = np.random.default_rng(rng)
    n, d = state.X.shape
    proposal = sphere.uniform(n, d, rng)
    proposed_energy = evaluate(energy, proposal, state.energy.shape, "energy")
    log_acceptance = state.energy - proposed_energy
    accepted = accept(log_acceptance, rng)
    X = np.where(accepted[:, None], proposal, state.X)
    return State(X, np.where(accepted, proposed_energy, state.energy)), Info(
        accepted, log_acceptance
    )


def sample(
    n: int,
    d: int,
    energy: Function,
    gradient: Function | None = None,
    rng: np.random.Generator | int | None = None,
    n_steps: int = 100,
) -> Sample:
    """Return the ends of `n` independent chains of `n_steps` steps, started from tau.

    The bias left is at most ``(1 - Z exp(min f))**n_steps`` in total variation.
    """
    rng = np.random.default_rng(rng)
    start = init(sphere.uniform(n, d, rng), energy)
    chains = run(lambda state, rng: step(state, energy, rng=rng), start, n_steps, rng, n_steps)
    return Sample(chains.state.X, None, chains.acceptance_rate)
