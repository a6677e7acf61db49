r"""Unbalanced transport: neurons that move, and gain and lose mass.

The energy is a signed measure of unit neurons, :math:`f(x) = \frac1m\sum_j c_j w_j
\sigma(\langle\theta_j, x\rangle)`, with signs :math:`c_j = \pm1` that stay and masses
:math:`w_j > 0`. A loss that is convex in the measure, with gradient :math:`\psi(\theta)`, descends
along the Wasserstein-Fisher-Rao flow [domingoenrich2021dual]_

.. math:: \dot\theta_j = -r_\theta\, c_j \nabla_S \psi(\theta_j), \qquad
   \dot w_j = -r_w\, c_j\, \psi(\theta_j)\, w_j ,

whose rates are those of transport on the sphere, and of birth and death [rotskoff2019birth]_. The
F1 norm is the mean mass; where it is capped, all masses are divided by one factor, which is the
projection to the allowed ones in relative entropy, the divergence of multiplicative steps.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import sphere
from .._checks import check_count, check_differentiable, check_nonnegative, check_positive
from .loss import Loss

__all__ = ["Info", "Network", "init", "move", "step"]


class Network(NamedTuple):
    """Unit neurons (m, d), their masses (m,) and signs (m,), and the power of the activation."""

    neurons: NDArray
    masses: NDArray
    signs: NDArray
    alpha: int

    @property
    def weights(self) -> NDArray:
        """Output weights in mean-field normalization, (m,)."""
        return self.signs * self.masses

    @property
    def variation(self) -> float:
        """The F1 norm."""
        return float(np.mean(self.masses))


class Info(NamedTuple):
    """The loss before the step, and psi at the neurons, (m,)."""

    loss: float
    psi: NDArray


def init(
    n_neurons: int,
    d: int,
    rng: np.random.Generator | int | None = None,
    mass: float = 1.0,
    alpha: int = 1,
) -> Network:
    """Draw uniform neurons of equal masses; signs are + and - in turn.

    Parameters
    ----------
    n_neurons : int
        An even number makes the mean of the signs zero.
    d : int
    rng : numpy.random.Generator or int, optional
    mass : float
        Of each neuron: the F1 norm of the start.
    alpha : {1, 2, 3}

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    check_differentiable(alpha)
    check_count(n_neurons, "n_neurons")
    mass = check_positive(mass, "mass")
    signs = np.where(np.arange(n_neurons) % 2 == 0, 1.0, -1.0)
    return Network(sphere.uniform(n_neurons, d, rng), np.full(n_neurons, mass), signs, alpha)


def move(
    network: Network,
    psi: NDArray,
    slopes: NDArray,
    step_size: float,
    feature_rate: float = 1.0,
    mass_rate: float = 1.0,
    max_variation: float | None = None,
) -> Network:
    """Take one explicit step of the flow, neurons along geodesics.

    Parameters
    ----------
    network : Network
        Not changed.
    psi, slopes : ndarray of shape (m,), (m, d)
        The gradient of the loss at the neurons, and its own gradient there, in R^d.
    step_size : float
    feature_rate, mass_rate : float
        The rates of transport, and of birth and death. With a feature rate of zero the neurons are
        frozen: the lazy regime.
    max_variation : float, optional
        The largest F1 norm that is allowed.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If a rate is negative or the cap is not positive.
    """
    feature_rate = check_nonnegative(feature_rate, "feature_rate")
    mass_rate = check_nonnegative(mass_rate, "mass_rate")
    neurons, masses, signs, alpha = network
    velocity = -feature_rate * signs[:, None] * sphere.tangent(neurons, slopes)
    neurons = sphere.exponential(neurons, step_size * velocity)
    masses = masses * np.exp(-step_size * mass_rate * signs * psi)
    if max_variation is not None:
        cap = check_positive(max_variation, "max_variation")
        masses = masses * min(1.0, cap / float(np.mean(masses)))
    return Network(neurons, masses, signs, alpha)


def step(
    network: Network,
    loss: Loss,
    step_size: float = 1.0,
    feature_rate: float = 1.0,
    mass_rate: float = 1.0,
    max_variation: float | None = None,
) -> tuple[Network, Info]:
    """Descend a loss whose gradient is known: one step of `move`.

    Parameters
    ----------
    network : Network
        Not changed.
    loss : Loss
        For the same power of the activation.
    step_size, feature_rate, mass_rate, max_variation
        As in `move`.

    Returns
    -------
    Network, Info

    Raises
    ------
    ValueError
        As in `move`.
    """
    step_size = check_positive(step_size, "step_size")
    value, slope = loss.evaluate(network.neurons, network.weights)
    psi, slopes = loss.psi(network.neurons, slope)
    moved = move(network, psi, slopes, step_size, feature_rate, mass_rate, max_variation)
    return moved, Info(value, psi)
