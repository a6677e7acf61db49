"""What a solver asks of a loss: likelihood and Stein discrepancies answer alike."""

from typing import Protocol, Self, TypeVar

from numpy.typing import NDArray

__all__ = ["Loss", "Slope"]


class Slope(Protocol):
    """The derivative of a loss at an energy, in whatever form the loss understands."""

    @property
    def ess(self) -> float:
        """Effective size of the reference sample; infinite where there is none."""


S = TypeVar("S", bound=Slope)


class Loss(Protocol[S]):
    r"""A loss of energies :math:`f = \int \sigma(\langle\theta,\cdot\rangle)\,d\gamma(\theta)`.

    It is convex in the measure gamma, with gradient :math:`\psi(\theta)`. Networks are in
    mean-field normalization.
    """

    @property
    def data(self) -> NDArray:
        """The data, tiled: (n_tiles, d, TILE)."""

    @property
    def alpha(self) -> int:
        """Power of the activation."""

    def evaluate(self, neurons: NDArray, weights: NDArray) -> tuple[float, S]:
        """Return the loss and its derivative."""

    def gradient(self, neurons: NDArray, weights: NDArray, slope: S, /) -> tuple[NDArray, NDArray]:
        """Differentiate in the neurons, (m, d), and in the output weights, (m,)."""

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
