"""What a solver asks of a loss: likelihood and Stein discrepancies answer alike."""

from typing import NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..streams import StreamedRows

__all__ = ["Gradient", "Loss", "Slope", "psi_by_gradient", "value_then_gradient"]


class Slope(Protocol):
    """The derivative of a loss at an energy, in whatever form the loss understands."""

    @property
    def ess(self) -> float:
        """Effective size of the reference sample; infinite where there is none."""


class Gradient(NamedTuple):
    """A loss, its derivatives in neurons (m, d) and output weights (m,), and ess as in Slope."""

    loss: float
    neurons: NDArray
    weights: NDArray
    ess: float


S = TypeVar("S", bound=Slope)


class Loss(Protocol[S]):
    r"""A loss of energies :math:`f = \int \sigma(\langle\theta,\cdot\rangle)\,d\gamma(\theta)`.

    It is convex in the measure gamma, with gradient :math:`\psi(\theta)`. Networks are in
    mean-field normalization.
    """

    @property
    def data(self) -> NDArray | StreamedRows:
        """The data, tiled: (n_tiles, d, TILE); or where they are read from, (n, d)."""

    @property
    def alpha(self) -> int:
        """Power of the activation."""

    def evaluate(self, neurons: NDArray, weights: NDArray) -> tuple[float, S]:
        """Return the loss and its derivative."""

    def gradient(self, neurons: NDArray, weights: NDArray, slope: S, /) -> tuple[NDArray, NDArray]:
        """Differentiate in the neurons, (m, d), and in the output weights, (m,)."""

    def value_and_gradient(self, neurons: NDArray, weights: NDArray) -> Gradient:
        """Do both at once, which is cheaper for some."""

    def psi(self, neurons: NDArray, slope: S, /) -> tuple[NDArray, NDArray]:
        """Return psi at each neuron, (m,), and its Euclidean gradient, (m, d)."""

    def curvature(self, neuron: NDArray, slope: S, /) -> float:
        """Return the second derivative along the mass of a unit neuron."""

    def pointwise(self, neurons: NDArray, weights: NDArray) -> NDArray:
        """Return one number for each data point, (n,), whose mean is the validation loss."""

    def screen(self, slope: S, n_points: int, /) -> "tuple[Loss[S], S]":
        """Return loss and derivative on fewer points, for a first search."""

    def coarse(self) -> Self:
        """Return a cheaper loss, on which candidates are tried before one of them is settled."""


def value_then_gradient(loss: Loss, neurons: NDArray, weights: NDArray) -> Gradient:
    """Serve as the method of losses for which there is no shortcut."""
    value, slope = loss.evaluate(neurons, weights)
    return Gradient(value, *loss.gradient(neurons, weights, slope), slope.ess)


def psi_by_gradient(loss: Loss, neurons: NDArray, slope: Slope) -> tuple[NDArray, NDArray]:
    """Serve as the method: psi is the derivative in the output weights, up to normalization."""
    m = len(neurons)
    slopes, values = loss.gradient(neurons, np.ones(m), slope)
    return m * values, m * slopes
