r"""Maximum likelihood by gradient flow of an overparametrized network.

The particles (theta_j, c_j) of :math:`f = \frac1m\sum_j c_j \sigma(\langle\theta_j,\cdot\rangle)`
descend in mean-field time: a step of size h moves a particle by ``-h m dL/dparticle``, so that the
flow does not depend on m [domingoenrich2021ebm]_. The regime is a rate: ``feature_rate = 0``
freezes the neurons (lazy), ``feature_rate > 0`` moves them (active). From a small start the mass of
a particle grows exponentially at a rate given by :math:`|\psi(\theta_j)|`, so that few directions
take all; stopping the flow in time is the regularizer.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import sphere
from .likelihood import Likelihood, optimality_gap, steepest_neurons
from .validation import folds

__all__ = ["Info", "ParticleFit", "State", "fit", "init", "step"]

INITIAL_SCALE = 0.01
STEP_SIZE = 1.0
# Flow time between two looks at the validation loss, and the longest run.
LOOK = 10.0
LONGEST = 1000.0
# Speed below which a penalized flow has arrived.
STANDSTILL = 1e-4


class State(NamedTuple):
    """Neurons (m, d), output weights (m,), and the flow time behind them."""

    neurons: NDArray
    weights: NDArray
    time: float


class Info(NamedTuple):
    """Loss before the step, the flow's speed, and the effective sample size of the reference."""

    loss: float
    speed: float
    ess: float


class ParticleFit(NamedTuple):
    """The network, steps taken, whether the stopping rule ended the run, and the certificate."""

    neurons: NDArray
    weights: NDArray
    n_iter: int
    converged: bool
    optimality_gap: float


def init(n_neurons: int, d: int, rng: np.random.Generator, scale: float = INITIAL_SCALE) -> State:
    """Draw neurons uniformly on the sphere of radius ``scale``; weights are ``+-scale`` in turn."""
    neurons = scale * sphere.uniform(n_neurons, d, rng)
    weights = scale * np.where(np.arange(n_neurons) % 2 == 0, 1.0, -1.0)
    return State(neurons, weights, 0.0)


def step(
    state: State,
    likelihood: Likelihood,
    step_size: float = STEP_SIZE,
    feature_rate: float = 1.0,
    penalty: float = 0.0,
    scale: float = 1.0,
) -> tuple[State, Info]:
    r"""Take one explicit Euler step of the flow.

    Parameters
    ----------
    state : State
        Not changed.
    likelihood : Likelihood
    step_size : float
        h, in mean-field time.
    feature_rate : float
        Speed of the neurons relative to the output weights; 0 is the lazy regime.
    penalty : float
        lambda of :math:`\frac{\lambda}{2m} \sum_j (c_j^2 + \|\theta_j\|^2)`, which at its minimum
        over scalings of a ReLU neuron is the total-variation penalty.
    scale : float
        s, for the flow of :math:`L(s f)/s^2`, whose energies :math:`s f` move at a pace that does
        not depend on s [chizat2019lazy]_.

    Returns
    -------
    State, Info
        The loss is L.
    """
    m = len(state.weights)
    gradient = likelihood.value_and_gradient(state.neurons, scale * state.weights)
    flow_neurons = -feature_rate * (m / scale**2 * gradient.neurons + penalty * state.neurons)
    flow_weights = -(m / scale * gradient.weights + penalty * state.weights)
    speed = np.sqrt((np.sum(flow_neurons**2) + np.sum(flow_weights**2)) / m)
    moved = State(
        state.neurons + step_size * flow_neurons,
        state.weights + step_size * flow_weights,
        state.time + step_size,
    )
    return moved, Info(gradient.loss, float(speed), gradient.ess)


def fit(
    X: NDArray,
    reference: NDArray,
    alpha: int,
    n_neurons: int,
    rng: np.random.Generator,
    penalty: float | None = None,
    max_time: float = LONGEST,
) -> ParticleFit:
    """Train a network and choose when to stop on held-out data.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere.
    reference : ndarray of shape (M, d)
        A sample of tau, which serves the steps in turn, batch after batch.
    alpha : int
    n_neurons : int
    rng : numpy.random.Generator
    penalty : float, optional
        Weight of the total-variation penalty; the flow then runs on all data until it stands still
        or ``max_time``. By default there is none: a fifth of the data finds the time to stop, and
        the flow is run again on all data for that time.
    max_time : float
        Longest flow time.

    Returns
    -------
    ParticleFit
    """
    points, reference = X.astype(np.float32), reference.astype(np.float32)
    start = init(n_neurons, X.shape[1], rng)
    batches = _batches(points, reference, alpha)
    if penalty is None:
        stop, converged = _choose_time(points, reference, alpha, start, rng, max_time)
        state = start
        for state, _ in _flow(start, batches, 0.0, stop):  # noqa: B007
            pass
    else:
        state, converged = start, False
        for state, info in _flow(start, batches, penalty, max_time):
            if info.speed < STANDSTILL and state.time > LOOK:
                converged = True
                break
    likelihood = Likelihood.of(points, reference, alpha)
    _, rho = likelihood.evaluate(state.neurons, state.weights)
    psi, _ = likelihood.psi(state.neurons, rho)
    _, (largest, _) = steepest_neurons(likelihood, rho, rng, n_starts=64)
    gap = optimality_gap(state.neurons, state.weights, psi, largest, penalty or 0.0, alpha)
    n_iter = round(state.time / STEP_SIZE)
    return ParticleFit(state.neurons, state.weights, n_iter, converged, gap)


def _choose_time(
    points: NDArray,
    reference: NDArray,
    alpha: int,
    start: State,
    rng: np.random.Generator,
    max_time: float,
) -> tuple[float, bool]:
    """Return the flow time with the least validation loss, and whether the loss rose after it."""
    training, held_out = next(folds(len(points), rng))
    batches = _batches(points[training], reference, alpha)
    validation = Likelihood.of(points[held_out], reference[: 2**16], alpha)
    best = (validation.evaluate(start.neurons, start.weights)[0], 0.0)
    looks = round(LOOK / STEP_SIZE)
    for i, (state, _) in enumerate(_flow(start, batches, 0.0, max_time), 1):
        if i % looks == 0:
            loss, _ = validation.evaluate(state.neurons, state.weights)
            best = min(best, (loss, state.time))
            # From a small start the loss is flat at first: give it time.
            if state.time >= max(100.0, 1.25 * best[1]):
                return best[1], True
    return best[1], False


def _flow(
    state: State,
    batches: list[Likelihood],
    penalty: float,
    max_time: float,
) -> Iterator[tuple[State, Info]]:
    for i in range(round(max_time / STEP_SIZE)):
        state, info = step(state, batches[i % len(batches)], penalty=penalty)
        yield state, info


def _batches(points: NDArray, reference: NDArray, alpha: int) -> list[Likelihood]:
    """Split the reference, and data beyond a batch's size, so that a step costs a batch."""
    size = 8192 if len(points) < 4096 else 16384
    n_parts = -(-len(points) // size)
    ends = np.arange(n_parts + 1) * len(points) // n_parts
    parts = [
        Likelihood.of(points[start:stop], reference[:1], alpha)
        for start, stop in itertools.pairwise(ends)
    ]
    blocks = [
        Likelihood.of(points[:1], reference[i : i + size], alpha)
        for i in range(0, len(reference) - size + 1, size)
    ] or [Likelihood.of(points[:1], reference, alpha)]
    n_batches = max(len(blocks), n_parts)
    batches = []
    for i in range(n_batches):
        data, block = parts[i % n_parts], blocks[i % len(blocks)]
        batches.append(
            Likelihood(data.data, block.reference, data.n_data, block.n_reference, alpha)
        )
    return batches
