r"""Random-walk Metropolis on the sphere, along geodesics.

From x draw :math:`v \sim N(0, 2hI)` in the tangent space and propose :math:`y = \exp_x(v)`. The way
back has the same length, so the proposal is symmetric and the ratio is :math:`e^{f(x)-f(y)}`.
Derived here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lazyactive.numerics import sphere
from lazyactive.numerics._checks import check_positive, check_sphere
from lazyactive.numerics.sampling.chains import Function, Info, Sample, accept, evaluate, run

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
    step_size: float = 0.1,
) -> tuple[State, Info]:
    """Propose a point nearby to every chain, and accept or reject it."""
    rng = np.random.default_rng(rng)
    scale = np.sqrt(2 * check_positive(step_size, "step_size"))
    v = sphere.tangent(state.X, scale * rng.standard_normal(state.X.shape))
    proposal = sphere.exponential(state.X, v)
    proposed = evaluate(energy, proposal, state.energy.shape, "energy")
    log_acceptance = state.energy - proposed
    accepted = accept(log_acceptance, rng)
    X = np.where(accepted[:, None], proposal, state.X)
    return State(X, np.where(accepted, proposed, state.energy)), Info(accepted, log_acceptance)


def sample(
    n: int,
    d: int,
    energy: Function,
    gradient: Function | None = None,
    rng: np.random.Generator | int | None = None,
    n_steps: int = 200,
    step_size: float = 0.1,
) -> Sample:
    """Return the ends of `n` independent chains of `n_steps` steps, started from tau."""
    rng = np.random.default_rng(rng)
    start = init(sphere.uniform(n, d, rng), energy)
    chains = run(
        lambda state, rng: step(state, energy, None, rng, step_size), start, n_steps, rng, n_steps
    )
    return Sample(chains.state.X, None, chains.acceptance_rate)
