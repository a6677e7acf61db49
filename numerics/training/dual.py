r"""Dual training: walkers and neurons move together, by descent and ascent.

The gradient of the likelihood needs means under the model. Walkers supply them, which follow the
Langevin dynamics of the energy as it is, while the neurons descend along

.. math:: \psi(\theta) = \frac1n\sum_i \sigma(\langle\theta, x_i\rangle)
   - \frac1N\sum_k \sigma(\langle\theta, X_k\rangle)

by the unbalanced transport of `transport`: a game between a density and an energy
[domingoenrich2021dual]_. Nothing waits for the walkers to arrive; that is what the rates are for.

Walkers may be put back to the data before every N-th step. Never to do so is maximum likelihood,
with persistent walkers. To do so before every step is score matching: one Langevin step of size h
from the data changes the mean of a feature by :math:`h\,E[\Delta_S\sigma - \langle\nabla_S f,
\nabla_S\sigma\rangle]`, so that :math:`\psi = h\,\psi_{SM} + O(h^2)` with the gradient of
:math:`E[\frac12|\nabla_S f|^2 - \Delta_S f]`. Between the two lies contrastive divergence.

With antithetic noise walkers come in pairs whose noise is opposite. Where both partners start at
the same datum the odd terms, of order :math:`\sqrt h`, cancel; they would drown the signal, of
order h. Walkers that are never put back should have noise of their own: on the sphere partners
with opposite noise are driven to opposite points.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _feature_kernels, sphere
from .._checks import (
    check_columns,
    check_count,
    check_nonnegative,
    check_positive,
    check_sphere,
)
from .._normal_kernels import standard_normal
from .._tiles import MIN_JOBS, ROWS, tiled_vector, tiles
from .._walker_kernels import kernels
from . import transport
from .transport import Network

__all__ = ["Data", "Info", "State", "init", "step"]


class Data(NamedTuple):
    """Points of the sphere (n, d), and the same in tiles, with weights 1/n.

    Checked and arranged once, they serve all steps.
    """

    points: NDArray
    tiles: NDArray
    weights: NDArray

    @classmethod
    def of(cls, X: ArrayLike) -> Self:
        """Check and arrange points; float32 stays float32.

        Raises
        ------
        ValueError
            If the points are off the sphere.
        """
        X = check_sphere(X)
        return cls(X, tiles(X), tiled_vector(np.full(len(X), 1 / len(X), X.dtype)))


class State(NamedTuple):
    """The network, the walkers (n_walkers, d), and the number of steps behind them."""

    network: Network
    walkers: NDArray
    n_steps: int


class Info(NamedTuple):
    """What moved the neurons: psi at each, (m,), and its gradient there, in R^d, (m, d)."""

    psi: NDArray
    slopes: NDArray


def init(
    network: Network,
    n_walkers: int = 1000,
    rng: np.random.Generator | int | None = None,
    dtype: DTypeLike = np.float64,
) -> State:
    """Start from uniform walkers.

    Parameters
    ----------
    network : Network
        As from `transport.init`.
    n_walkers : int
        An even number, for antithetic noise.
    rng : numpy.random.Generator or int, optional
    dtype : numpy dtype
        Of the walkers, and of what is computed from them: float64 or float32.

    Returns
    -------
    State

    Raises
    ------
    ValueError
        If the number of walkers is odd or not positive.
    """
    if check_count(n_walkers, "n_walkers", 2) % 2:
        raise ValueError(f"n_walkers must be even, but it is {n_walkers}.")
    d = network.neurons.shape[1]
    return State(network, sphere.uniform(n_walkers, d, rng, dtype), 0)


def step(
    state: State,
    X: ArrayLike | Data,
    rng: np.random.Generator,
    step_size: float = 0.01,
    feature_rate: float = 1.0,
    mass_rate: float = 1.0,
    walker_rate: float = 1.0,
    restart_every: int | None = None,
    antithetic: bool = False,
    max_variation: float | None = None,
) -> tuple[State, Info]:
    r"""Move the walkers, then the neurons.

    Parameters
    ----------
    state : State
        Not changed.
    X : array_like of shape (n, d), or Data
        float32 stays float32.
    rng : numpy.random.Generator
    step_size : float
        h. Walkers take the step :math:`\exp_x(v)`, :math:`v \sim N(-h r \nabla_S f, 2hr I)` with
        their rate r.
    feature_rate, mass_rate, walker_rate : float
        Speeds of the neurons, of their masses, and of the walkers.
    restart_every : int, optional
        N: put the walkers to the data before every N-th step, each datum as often as the next;
        never by default.
    antithetic : bool
        Let the second half of the walkers have the opposite noise of the first half; after a
        restart, partners are at the same datum.
    max_variation : float, optional
        The largest F1 norm that is allowed.

    Returns
    -------
    State, Info

    Raises
    ------
    ValueError
        If the points are off the sphere or not in the space of the neurons, or an option is out of
        range.

    Notes
    -----
    The walkers are not corrected by a Metropolis step: their law is that of the model up to a
    relative error of order h.
    """
    data = X if isinstance(X, Data) else Data.of(X)
    X = data.points
    network, walkers, n_steps = state
    check_columns(X, walkers.shape[1], "X", "the walkers")
    step_size = check_positive(step_size, "step_size")
    walker_rate = check_nonnegative(walker_rate, "walker_rate")
    if restart_every is not None and n_steps % check_count(restart_every, "restart_every") == 0:
        walkers = _restart(X, len(walkers), rng, antithetic).astype(walkers.dtype, copy=False)
    n_noise = len(walkers) // 2 if antithetic else len(walkers)
    walkers, of_model = _langevin(walkers, network, step_size * walker_rate, n_noise, rng)
    of_data = _mean_features(data, network)
    psi, slopes = of_data[0] - of_model[0], of_data[1] - of_model[1]
    network = transport.move(
        network, psi, slopes, step_size, feature_rate, mass_rate, max_variation
    )
    return State(network, walkers, n_steps + 1), Info(psi, slopes)


def _restart(X: NDArray, n_walkers: int, rng: np.random.Generator, antithetic: bool) -> NDArray:
    """Choose data, each equally often up to one, in pairs for antithetic noise."""
    n_chosen = n_walkers // 2 if antithetic else n_walkers
    chosen = X[np.resize(rng.permutation(len(X)), n_chosen)]
    return np.concatenate([chosen, chosen]) if antithetic else chosen


def _langevin(
    walkers: NDArray, network: Network, step_size: float, n_noise: int, rng: np.random.Generator
) -> tuple[NDArray, tuple[NDArray, NDArray]]:
    """Move the walkers, and take the means of the features where they arrive."""
    m, d = network.neurons.shape
    neurons = network.neurons.astype(walkers.dtype, copy=False)
    moved = np.empty_like(walkers)
    sums = np.zeros((MIN_JOBS, d, m + -m % ROWS))
    kernels(network.alpha).langevin(
        walkers,
        neurons,
        network.weights.astype(walkers.dtype, copy=False),
        _noise((n_noise, d), walkers.dtype, rng),
        step_size,
        moved,
        sums,
    )
    slopes, values = np.empty((m, d)), np.empty(m)
    moments = _feature_kernels.add_up(np.full(MIN_JOBS, 1 / len(walkers)), sums)
    _feature_kernels.differentiate(moments, neurons, np.ones(m), network.alpha, slopes, values)
    return moved, (m * values, m * slopes)


def _noise(shape: tuple[int, int], dtype: np.dtype, rng: np.random.Generator) -> NDArray:
    noise = np.empty(shape, dtype)
    standard_normal(rng.integers(2**64, dtype=np.uint64), noise.reshape(-1))
    return noise


def _mean_features(data: Data, network: Network) -> tuple[NDArray, NDArray]:
    """The mean of each neuron's activation, (m,), and its gradient in the neuron, (m, d)."""
    m, d = network.neurons.shape
    slopes, values = np.empty((m, d)), np.empty(m)
    _feature_kernels.kernels(network.alpha).energy_gradient(
        data.tiles,
        network.neurons.astype(data.tiles.dtype, copy=False),
        np.ones(m, data.tiles.dtype),
        data.weights,
        slopes,
        values,
    )
    return m * values, m * slopes
