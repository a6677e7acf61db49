r"""Maximum likelihood with walkers, and log Z tracked along the way.

The gradient of the loss needs means under the model, which walkers supply. As the energy changes
from f to f' under a walker at x, its log-weight grows by :math:`f(x) - f'(x)`, before a Metropolis
step moves it that leaves the new model invariant. As in annealed importance sampling the weights
then have the mean :math:`Z` and the weighted walkers the law of the model, at every time and for
any speed of the training [carbone2023jarzynski]_.

That holds for energies that do not depend on the walkers. The network runs after the fluctuations
of the walkers that it is trained with, so that their own estimate of log Z drifts at every step, by
the step size times the variance of the gradient: at the optimum too, where it adds up for ever. So
there are two groups of walkers. One leads the network; the other follows, its Z is unbiased, and
log Z is read off it alone. Walkers live on islands, each of which resamples its own when their
weights are worth too few; the spread of the islands' estimates is the error of log Z.

Two popular shortcuts are here to be compared with. *Persistent* contrastive divergence keeps the
walkers and drops the weights: walkers lag behind, and do not pass between modes. *Contrastive*
divergence starts them at the data before every step. Both then take the growth of log Z from
walkers of the wrong law.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, softmax

from .. import features, sphere
from .._checks import (
    check_count,
    check_differentiable,
    check_nonnegative,
    check_positive,
    check_sphere,
)
from ..sampling import mala, reweighting
from ..sampling.diagnostics import Estimate
from ..sampling.reweighting import effective_sample_size, resample

__all__ = ["CORRECTIONS", "Info", "State", "init", "log_partition", "step"]

CORRECTIONS = ("jarzynski", "persistent", "contrastive")
# Islands resample when their weights are worth less than this part of their walkers.
RESAMPLING_THRESHOLD = 0.5


class State(NamedTuple):
    """Network, walkers, and what is known of log Z.

    Attributes
    ----------
    neurons : ndarray of shape (m, d)
    weights : ndarray of shape (m,)
    alpha : int
    walkers : sampling.mala.State
        Those of all islands, one after the other: the first half of the islands leads.
    log_weights : ndarray of shape (n_islands, n_walkers)
    log_factors : ndarray of shape (n_islands,)
        Logarithms of the mean weights that resampling has taken out.
    """

    neurons: NDArray
    weights: NDArray
    alpha: int
    walkers: mala.State
    log_weights: NDArray
    log_factors: NDArray


class Info(NamedTuple):
    """Effective part of the leading walkers, share of moves accepted, and islands resampled."""

    ess: float
    acceptance_rate: float
    n_resampled: int


def init(
    neurons: ArrayLike,
    weights: ArrayLike,
    alpha: int = 1,
    n_walkers: int = 1000,
    n_islands: int = 32,
    rng: np.random.Generator | int | None = None,
) -> State:
    """Start from uniform walkers, weighted by the network that training starts from.

    Parameters
    ----------
    neurons : array_like of shape (m, d)
    weights : array_like of shape (m,)
    alpha : {1, 2, 3}
        Power of the activation.
    n_walkers, n_islands : int
        Walkers of each island, and islands: half of them lead, and at least two follow.
    rng : numpy.random.Generator or int, optional

    Returns
    -------
    State

    Raises
    ------
    ValueError
        If a shape is wrong or an option is out of range.
    """
    check_differentiable(alpha)
    check_count(n_walkers, "n_walkers", 2)
    if check_count(n_islands, "n_islands", 4) % 2:
        raise ValueError(f"n_islands must be even, but it is {n_islands}.")
    neurons, weights = np.array(neurons, np.float64), np.array(weights, np.float64)
    X = sphere.uniform(n_islands * n_walkers, neurons.shape[1], rng)
    walkers = mala.init(X, *_model(neurons, weights, alpha))
    log_weights = -walkers.energy.reshape(n_islands, n_walkers)
    return State(neurons, weights, alpha, walkers, log_weights, np.zeros(n_islands))


def step(
    state: State,
    X: ArrayLike,
    rng: np.random.Generator,
    step_size: float = 1.0,
    feature_rate: float = 1.0,
    correction: str = "jarzynski",
    n_moves: int = 1,
    walker_step_size: float | None = None,
) -> tuple[State, Info]:
    """Train the network by one step of the flow, and let the walkers follow.

    Parameters
    ----------
    state : State
        Not changed.
    X : array_like of shape (n, d)
        Data.
    rng : numpy.random.Generator
    step_size : float
        h in mean-field time: a particle moves by ``-h m dL/dparticle``.
    feature_rate : float
        Speed of the neurons relative to the output weights; 0 is the lazy regime.
    correction : {"jarzynski", "persistent", "contrastive"}
    n_moves : int
        Metropolis steps of the walkers.
    walker_step_size : float, optional
        Their time step, as in `sampling.mala.step`.

    Returns
    -------
    State, Info

    Raises
    ------
    ValueError
        If the points are off the sphere or an option is out of range.
    """
    X = check_sphere(X).astype(np.float64, copy=False)
    if correction not in CORRECTIONS:
        raise ValueError(f"correction must be one of {CORRECTIONS}, but it is {correction!r}.")
    step_size = check_positive(step_size, "step_size")
    feature_rate = check_nonnegative(feature_rate, "feature_rate")
    check_count(n_moves, "n_moves")
    walkers, accepted = state.walkers, 0.0
    if correction == "contrastive":
        start = X[rng.integers(len(X), size=len(walkers.X))]
        model = _model(state.neurons, state.weights, state.alpha)
        walkers = mala.init(start, *model)
        walkers, accepted = _move(walkers, model, n_moves, walker_step_size, rng)
    leading = len(state.log_factors) // 2
    shares = np.full(len(walkers.X) // 2, 2 / len(walkers.X))
    if correction == "jarzynski":
        shares = softmax((state.log_weights + state.log_factors[:, None])[:leading]).ravel()
    neurons, weights = _descend(state, X, walkers.X[: len(shares)], shares, step_size, feature_rate)
    model = _model(neurons, weights, state.alpha)
    moved = mala.init(walkers.X, *model)
    growth = (walkers.energy - moved.energy).reshape(state.log_weights.shape)
    log_weights, log_factors, n_resampled = state.log_weights, state.log_factors, 0
    if correction == "jarzynski":
        log_weights = log_weights + growth
        moved, log_weights, log_factors, n_resampled = _resample(
            moved, log_weights, log_factors, rng
        )
        total = (log_weights + log_factors[:, None])[:leading]
        ess = effective_sample_size(total.ravel()) / total.size
    else:
        # The weights of the start stay; what is added is the mean over the walkers as they are.
        log_factors = log_factors + _log_mean(growth)
        ess = 1.0
    if correction != "contrastive":
        moved, accepted = _move(moved, model, n_moves, walker_step_size, rng)
    new = State(neurons, weights, state.alpha, moved, log_weights, log_factors)
    return new, Info(ess, accepted, n_resampled)


def log_partition(state: State) -> Estimate:
    """Estimate log Z by the mean of Z over the islands that follow, with the error they show."""
    following = len(state.log_factors) // 2
    logs = (state.log_factors + _log_mean(state.log_weights))[following:]
    estimate = reweighting.log_partition(logs, min_ess=0)
    return Estimate(estimate.value, estimate.se)


def _model(
    neurons: NDArray, weights: NDArray, alpha: int
) -> tuple[Callable[[NDArray], NDArray], Callable[[NDArray], NDArray]]:
    """Return the energy and its gradient as functions of the points."""
    return (
        lambda X: features.energy(X, neurons, weights, alpha),
        lambda X: features.grad_x(X, neurons, weights, alpha),
    )


def _descend(
    state: State, X: NDArray, walkers: NDArray, shares: NDArray, step_size: float, rate: float
) -> tuple[NDArray, NDArray]:
    """Move the particles against the gradient of the loss."""
    m, network = len(state.weights), (state.neurons, state.weights, state.alpha)
    of_data = features.energy_gradient(X, *network)
    of_model = features.energy_gradient(walkers, *network, shares)
    neurons = state.neurons - step_size * rate * m * (of_data[0] - of_model[0])
    return neurons, state.weights - step_size * m * (of_data[1] - of_model[1])


def _move(
    walkers: mala.State,
    model: tuple[Callable[[NDArray], NDArray], Callable[[NDArray], NDArray]],
    n_moves: int,
    step_size: float | None,
    rng: np.random.Generator,
) -> tuple[mala.State, float]:
    accepted = 0.0
    for _ in range(n_moves):
        walkers, info = mala.step(walkers, *model, rng, step_size)
        accepted += float(np.mean(info.accepted))
    return walkers, accepted / n_moves


def _resample(
    walkers: mala.State, log_weights: NDArray, log_factors: NDArray, rng: np.random.Generator
) -> tuple[mala.State, NDArray, NDArray, int]:
    """Resample the islands whose weights are worth too few walkers."""
    n_islands, n_walkers = log_weights.shape
    kept = np.arange(n_islands * n_walkers).reshape(n_islands, n_walkers)
    log_weights, log_factors, n_resampled = log_weights.copy(), log_factors.copy(), 0
    for i, own in enumerate(log_weights):
        if effective_sample_size(own) < RESAMPLING_THRESHOLD * n_walkers:
            kept[i] = kept[i, resample(own, n_walkers, rng)]
            log_factors[i] += _log_mean(own)
            log_weights[i] = 0
            n_resampled += 1
    if n_resampled:
        walkers = mala.State(*(part[kept.ravel()] for part in walkers))
    return walkers, log_weights, log_factors, n_resampled


def _log_mean(log_weights: NDArray) -> NDArray:
    """Logarithm of the mean along the last axis."""
    return logsumexp(log_weights, axis=-1) - np.log(log_weights.shape[-1])
