r"""Maximum likelihood by gradient flow of an overparametrized network.

The particles (theta_j, c_j) of :math:`f = \frac1m\sum_j c_j \sigma(\langle\theta_j,\cdot\rangle)`
descend in mean-field time: a step of size h moves a particle by ``-h m dL/dparticle``, so that the
flow does not depend on m [domingoenrich2021ebm]_. The regime is a rate: ``feature_rate = 0``
freezes the neurons (lazy), ``feature_rate > 0`` moves them (active). From a small start the mass of
a particle grows exponentially at a rate given by :math:`|\psi(\theta_j)|`, so that few directions
take all; stopping the flow in time is the regularizer.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import sphere
from .._tiles import untiled
from ..streams import StreamedRows
from .likelihood import Likelihood, optimality_gap, steepest_neurons
from .validation import ENOUGH_REFERENCE, enough_reference, folds

__all__ = ["Info", "ParticleFit", "State", "fit", "init", "step"]

INITIAL_SCALE = 0.01
STEP_SIZE = 1.0
# The steps of `fit` are at most the inverse of the curvature, half of what is stable; the bounds.
SHORTEST_STEP, LONGEST_STEP = 0.25, 4.0
# Neurons and reference points that tell how the energy is curved.
N_LARGEST, N_VARIANCE = 8, 4096
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
    X: NDArray | StreamedRows,
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
    state, n_iter = start, 0
    if penalty is None:
        stop, converged = _choose_time(points, reference, alpha, start, rng, max_time)
        for state, n_iter, _ in _looks(start, batches, 0.0, stop, len(X)):  # noqa: B007
            pass
    else:
        converged = False
        for state, n_iter, info in _looks(start, batches, penalty, max_time, len(X)):  # noqa: B007
            if info.speed < STANDSTILL and state.time > LOOK:
                converged = True
                break
    likelihood = Likelihood.of(points, reference, alpha)
    _, rho = likelihood.evaluate(state.neurons, state.weights)
    psi, _ = likelihood.psi(state.neurons, rho)
    _, (largest, _) = steepest_neurons(likelihood, rho, rng, n_starts=64)
    gap = optimality_gap(state.neurons, state.weights, psi, largest, penalty or 0.0, alpha)
    return ParticleFit(state.neurons, state.weights, n_iter, converged, gap)


def _choose_time(
    points: NDArray | StreamedRows,
    reference: NDArray,
    alpha: int,
    start: State,
    rng: np.random.Generator,
    max_time: float,
) -> tuple[float, bool]:
    """Return the flow time with the least validation loss, and whether the loss rose after it."""
    training, held_out = next(folds(len(points), rng))
    batches = _batches(points[training], reference, alpha)
    few = reference[: min(enough_reference(len(points)), ENOUGH_REFERENCE)]
    validation = Likelihood.of(points[held_out], few, alpha)
    best = (validation.evaluate(start.neurons, start.weights)[0], 0.0)
    for state, _, _ in _looks(start, batches, 0.0, max_time, len(training)):
        loss, _ = validation.evaluate(state.neurons, state.weights)
        best = min(best, (loss, state.time))
        # From a small start the loss is flat at first: give it time.
        if state.time >= max(100.0, 1.25 * best[1]):
            return best[1], True
    return best[1], False


def _looks(
    state: State,
    batches: list[Likelihood],
    penalty: float,
    max_time: float,
    n_points: int,
) -> Iterator[tuple[State, int, Info]]:
    """Follow the flow by steps as long as is safe; yield every `LOOK` state, steps so far and Info.

    The state is the mean over the time since the last one, which takes out most of the noise of
    batches: the error of a step is made good by the next ones, and all the more the longer they
    are.
    """
    n_steps, alpha = 0, batches[0].alpha
    # The noise of batches grows with the step, and is to stay below the error of the sample.
    safety = max(1.0, n_points / batches[0].n_reference)
    while state.time < max_time:
        begin, end = state.time, min(max_time, state.time + LOOK)
        variance = feature_variance(state, batches[n_steps % len(batches)])
        neurons, weights = np.zeros_like(state.neurons), np.zeros_like(state.weights)
        while state.time < end:
            curvature = safety * variance * mean_size(state, alpha) + penalty
            longest = min(max(1 / curvature, SHORTEST_STEP), LONGEST_STEP)
            n_left = math.ceil((end - state.time) / longest)
            step_size = (end - state.time) / n_left
            batch = batches[n_steps % len(batches)]
            state, info = step(state, batch, step_size, penalty=penalty)
            n_steps += 1
            neurons += step_size * state.neurons
            weights += step_size * state.weights
            if n_left == 1:
                # Rounding must not leave a tiny step.
                state = state._replace(time=end)
        passed = end - begin
        yield State(neurons / passed, weights / passed, end), n_steps, info


def mean_size(state: State, alpha: int) -> float:
    r"""Return :math:`\frac1m\sum_j (\|\theta_j\|^{2\alpha} + c_j^2 \|\theta_j\|^{2\alpha-2})`.

    Times the largest variance of a feature under the model it bounds, about, the curvature that a
    step of the flow sees: the largest eigenvalue of the tangent kernel.
    """
    length = np.linalg.norm(state.neurons, axis=1)
    return float(np.mean(length ** (2 * alpha) + (state.weights * length ** (alpha - 1)) ** 2))


def feature_variance(state: State, likelihood: Likelihood) -> float:
    r"""Return the largest variance under the model of a feature of the largest neurons.

    Features are the combinations, of norm 1, of the coordinates of
    :math:`\sigma'(\langle\theta, x\rangle)\,x` with a unit theta; that along theta is alpha times
    the activation itself.
    """
    alpha, few = likelihood.alpha, likelihood.head(N_VARIANCE)
    _, rho = few.evaluate(state.neurons, state.weights)
    density = -rho.model.ravel()
    points = untiled(few.reference, len(density))
    size = np.linalg.norm(state.neurons, axis=1) * np.abs(state.weights)
    largest = 0.0
    for j in np.argsort(-size)[:N_LARGEST]:
        t = points @ sphere.normalize(state.neurons[j]).astype(points.dtype)
        slopes = alpha * np.where(t > 0, np.maximum(t, 0) ** (alpha - 1), 0)
        features = slopes[:, None] * points
        mean = density @ features
        covariance = (features.T * density) @ features - np.outer(mean, mean)
        largest = max(largest, float(np.linalg.eigvalsh(covariance)[-1]))
    return largest


def _batches(points: NDArray | StreamedRows, reference: NDArray, alpha: int) -> list[Likelihood]:
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
