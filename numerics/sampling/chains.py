r"""What all samplers share: the target as callables, Info, Sample, and the loop over steps.

A target :math:`p(x) \propto e^{-f(x)}` with respect to tau is given by two callables,
``energy(X) -> (n,)`` and ``gradient(X) -> (n, d)``. The gradient may be the Euclidean one; a
sampler that needs it projects it, and a sampler that doesn't never calls it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._checks import check_count

__all__ = ["Chains", "Function", "Info", "Sample", "accept", "evaluate", "run"]

Function = Callable[[NDArray], NDArray]


class Info(NamedTuple):
    """What happened in one Metropolis step of a batch of chains.

    Attributes
    ----------
    accepted : ndarray of bool, shape (n,)
    log_acceptance : ndarray, shape (n,)
        The logarithm of the Metropolis ratio; above 0 the move is accepted for certain.
    """

    accepted: NDArray[np.bool_]
    log_acceptance: NDArray[np.float64]


class Sample(NamedTuple):
    """What every sampler's ``sample`` returns.

    Attributes
    ----------
    X : ndarray, shape (n, d)
    log_weights : ndarray of shape (n,), or None
        Unnormalized log-weights whose exponentials have mean Z; None if the rows have equal weight
        and Z is unknown, as for a Markov chain.
    acceptance_rate : float
        Fraction of Metropolis moves accepted; 1 where there are none.
    """

    X: NDArray[np.float64]
    log_weights: NDArray[np.float64] | None
    acceptance_rate: float


class Chains(NamedTuple):
    """Draws of a batch of chains, shape (n_chains, n_draws, d), and where the chains ended."""

    X: NDArray[np.float64]
    acceptance_rate: float
    state: Any


def evaluate(function: Function, X: NDArray, shape: tuple[int, ...], name: str) -> NDArray:
    """Call a target's function on `X` and refuse what is not a finite array of `shape`."""
    values = np.asarray(function(X), dtype=np.float64)
    if values.shape != shape:
        raise ValueError(
            f"{name} must return an array of shape {shape} for points of shape {X.shape}, "
            f"but it returned shape {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} must return finite values on the whole sphere, but it did not at "
            f"{int((~np.isfinite(values)).sum())} of {values.size} entries."
        )
    return values


def accept(log_acceptance: NDArray, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Accept each move with probability ``min(1, exp(log_acceptance))``."""
    return -rng.exponential(size=len(log_acceptance)) < log_acceptance


def run(
    step: Callable[[Any, np.random.Generator], tuple[Any, Info]],
    state: Any,
    n_steps: int,
    rng: np.random.Generator | int | None = None,
    thin: int = 1,
) -> Chains:
    """Take `n_steps` steps from `state` and keep every `thin`-th.

    Parameters
    ----------
    step : callable
        ``step(state, rng) -> (state, info)``: a sampler's step with all else bound.
    state : State
        The chains' start; not changed.
    n_steps, thin : int
        Steps to take, and steps to a draw.
    rng : numpy.random.Generator or int, optional

    Returns
    -------
    Chains
        With ``n_steps // thin`` draws of each chain.
    """
    n_steps, thin = check_count(n_steps, "n_steps"), check_count(thin, "thin")
    rng = np.random.default_rng(rng)
    draws = np.empty((n_steps // thin, *state.X.shape))
    n_accepted = 0
    for i in range(1, n_steps + 1):
        state, info = step(state, rng)
        n_accepted += int(np.count_nonzero(info.accepted))
        if i % thin == 0:
            draws[i // thin - 1] = state.X
    rate = n_accepted / (n_steps * len(state.X))
    return Chains(np.swapaxes(draws, 0, 1), rate, state)
