r"""The linearized model: training to which a network that is scaled up comes ever closer.

A network :math:`f = s\,h(w)` with :math:`h(w_0) = 0`, trained on :math:`L(f)/s^2`, behaves for
large s as its linearization at the start does [chizat2019lazy]_. In the space of functions that is
the flow of a fixed kernel,

.. math:: \dot f = -K \rho_f, \qquad K(x, y) = m\,\langle Dh(x), Dh(y)\rangle,

with :math:`\rho_f` the derivative of the loss, data minus model. It needs no parameters: with
:math:`q = \int_0^T \rho\,dt`, their movement in the mean-field norm is :math:`\sqrt{q^T K q}`.
Here the steps are explicit ones, as those of `particles.step`, of which this is the limit at the
same step size.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from .. import sphere
from .._checks import check_alpha, check_count, check_positive, check_sphere, check_vector
from ..features import feature_matrix
from ..kernels import arc_cosine
from .particles import State

__all__ = [
    "KernelState",
    "antisymmetric",
    "init",
    "movement",
    "squared_movement",
    "step",
    "tangent_kernel",
    "wide_tangent_kernel",
]


class KernelState(NamedTuple):
    """Energy f at the points (N,), the integral q of rho (N,), and the flow time behind them."""

    energy: NDArray
    integral: NDArray
    time: float


def antisymmetric(n_pairs: int, d: int, rng: np.random.Generator) -> State:
    """Draw unit neurons twice each, with output weights 1 and -1, so that the energy is zero.

    Raises
    ------
    ValueError
        If there is no pair, or d < 2.
    """
    # Neighbours, so that their sum is zero to the last bit.
    neurons = np.repeat(sphere.uniform(check_count(n_pairs, "n_pairs"), d, rng), 2, axis=0)
    return State(neurons, np.tile([1.0, -1.0], n_pairs), 0.0)


def movement(state: State, start: State) -> float:
    r"""Return :math:`\sqrt{\frac1m\sum_j (\|\theta_j-\theta_j^0\|^2 + (c_j-c_j^0)^2)}`."""
    change = np.sum((state.neurons - start.neurons) ** 2) + np.sum(
        (state.weights - start.weights) ** 2
    )
    return float(np.sqrt(change / len(state.weights)))


def tangent_kernel(X: ArrayLike, neurons: ArrayLike, weights: ArrayLike, alpha: int = 1) -> NDArray:
    r"""Return the tangent kernel of a network at points of the sphere.

    .. math:: K(x, y) = \frac1m\sum_j \left[\sigma(\langle\theta_j,x\rangle)
              \sigma(\langle\theta_j,y\rangle) + c_j^2 \langle x,y\rangle
              \sigma'(\langle\theta_j,x\rangle)\sigma'(\langle\theta_j,y\rangle)\right]

    Parameters
    ----------
    X : array_like of shape (N, d)
        Points of the sphere.
    neurons, weights : array_like of shape (m, d), (m,)
    alpha : {1, 2, 3}

    Returns
    -------
    ndarray of shape (N, N)

    Raises
    ------
    ValueError
        If an array has the wrong shape or is not finite, points are off the sphere, or alpha is
        not one of 1 to 3.
    """
    X, alpha = check_sphere(X).astype(np.float64), _check_smooth(alpha)
    neurons = np.asarray(neurons, dtype=np.float64)
    if neurons.ndim != 2 or neurons.shape[1] != X.shape[1]:
        raise ValueError(f"neurons must have shape (m, {X.shape[1]}), but have {neurons.shape}.")
    weights = check_vector(weights, len(neurons), "weights").astype(np.float64)
    features = feature_matrix(X, neurons, alpha)
    slopes = weights * alpha * feature_matrix(X, neurons, alpha - 1)
    return (features @ features.T + (X @ X.T) * (slopes @ slopes.T)) / len(weights)


def wide_tangent_kernel(X: ArrayLike, alpha: int = 1, variance: float = 1.0) -> NDArray:
    r"""Return the tangent kernel at infinite width: uniform neurons, and a given :math:`E c^2`.

    Parameters
    ----------
    X : array_like of shape (N, d)
        Points of the sphere.
    alpha : {1, 2, 3}
    variance : float

    Returns
    -------
    ndarray of shape (N, N)

    Raises
    ------
    ValueError
        If points are off the sphere, or another argument is out of range.
    """
    X, alpha = check_sphere(X).astype(np.float64), _check_smooth(alpha)
    d, u = X.shape[1], X @ X.T
    slopes = check_positive(variance, "variance") * alpha**2 * u * arc_cosine(u, d, alpha - 1)
    return arc_cosine(u, d, alpha) + slopes


def init(n_points: int) -> KernelState:
    """Start at energy zero."""
    return KernelState(np.zeros(n_points), np.zeros(n_points), 0.0)


def step(state: KernelState, kernel: NDArray, n_data: int, step_size: float) -> KernelState:
    """Take one explicit Euler step of the kernel's flow of the likelihood.

    Parameters
    ----------
    state : KernelState
        Not changed.
    kernel : ndarray of shape (N, N)
        At the points: data first, then a sample of tau.
    n_data : int
        How many of the points are data.
    step_size : float
        In flow time.

    Returns
    -------
    KernelState
    """
    rho = np.concatenate([np.full(n_data, 1 / n_data), -softmax(-state.energy[n_data:])])
    return KernelState(
        state.energy - step_size * (kernel @ rho),
        state.integral + step_size * rho,
        state.time + step_size,
    )


def squared_movement(state: KernelState) -> float:
    r"""Return :math:`q^T K q`, as :math:`-q^T f`: from energy zero, :math:`f = -K q`."""
    return -float(state.integral @ state.energy)


def _check_smooth(alpha: int) -> int:
    if check_alpha(alpha) == 0:
        raise ValueError("alpha must be at least 1, since a step has no derivative, but it is 0.")
    return alpha
