r"""Negative log-likelihood of a shallow energy, its gradients, and its certificate.

For the density :math:`e^{-f}/Z` with respect to tau,

.. math:: L(f) = \frac1n \sum_i f(x_i) + \log E_\tau e^{-f}, \qquad
   dL = \int df \, d\rho, \quad \rho = \nu_n - \nu_f,

so that every gradient is an integral against the signed measure rho, data minus model. Log Z is a
mean over a fixed reference sample of tau, which makes L a smooth deterministic function.
Over measures, :math:`f = \int \sigma(\langle\theta,\cdot\rangle)\, d\gamma(\theta)`, L is convex
with gradient :math:`\psi(\theta) = \int \sigma(\langle\theta,x\rangle)\, d\rho(x)`
[domingoenrich2021dual]_.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .. import sphere
from .._feature_kernels import kernels
from .._likelihood_kernels import tilted_gradient
from .._tiles import TILE, tiled_vector, tiles
from ..ascent import climb
from ..streams import StreamedRows
from .loss import Gradient, Loss, Slope, psi_by_gradient

__all__ = ["Likelihood", "SignedMeasure", "optimality_gap", "steepest_neurons"]


class SignedMeasure(NamedTuple):
    """The negative weights of rho on tiles of reference points; each datum has the weight 1/n.

    ``ess`` is the effective sample size of the reference.
    """

    model: NDArray
    ess: float


@dataclass(frozen=True)
class Likelihood:
    """Data and tiled reference points, and the power of the activation.

    Parameters
    ----------
    data : ndarray of shape (n_tiles, d, TILE) or StreamedRows
        Tiles, or points that stay in a file and are read for each pass.
    reference : ndarray of shape (n_tiles, d, TILE)
    n_data, n_reference : int
        Numbers of points, without padding.
    alpha : int
    """

    data: NDArray | StreamedRows
    reference: NDArray
    n_data: int
    n_reference: int
    alpha: int

    @classmethod
    def of(cls, X: NDArray | StreamedRows, reference: NDArray, alpha: int) -> Self:
        """Arrange points (n, d), whose type is that of the loops, and a sample of tau (M, d)."""
        data = X if isinstance(X, StreamedRows) else tiles(X)
        reference = reference.astype(X.dtype, copy=False)
        return cls(data, tiles(reference), len(X), len(reference), alpha)

    def head(self, n_reference: int) -> Self:
        """Keep the first reference points only, a whole number of tiles of them."""
        n_tiles = -(-n_reference // TILE)
        if n_tiles >= len(self.reference):
            return self
        return type(self)(
            self.data, self.reference[:n_tiles], self.n_data, n_tiles * TILE, self.alpha
        )

    def evaluate(self, neurons: NDArray, weights: NDArray) -> tuple[float, SignedMeasure]:
        """Return L and rho at the energy ``(1/m) sum_j c_j sigma(<theta_j, x>)``."""
        neurons, weights = self._cast(neurons), self._cast(weights)
        f_data = sum(float(f.sum()) for f in self._data_energies(neurons, weights))
        f_reference = np.empty((len(self.reference), TILE))
        kernels(self.alpha).energy(self.reference, neurons, weights, f_reference)
        f = f_reference.ravel()[: self.n_reference]
        lowest = f.min()
        density = np.exp(lowest - f)
        total = density.sum()
        density /= total
        loss = f_data / self.n_data + np.log(total / self.n_reference) - lowest
        rho = SignedMeasure(tiled_vector(self._cast(-density)), 1 / float(density @ density))
        return float(loss), rho

    def value_and_gradient(self, neurons: NDArray, weights: NDArray) -> Gradient:
        """Return L and its derivatives, for alpha > 0, in one pass over each sample."""
        neurons, weights = self._cast(neurons), self._cast(weights)
        of_data = self._data_gradient(neurons, weights)
        log_partition, ess, *of_model = tilted_gradient(
            self.reference, self.n_reference, neurons, weights, self.alpha
        )
        loss = float(weights @ of_data[1]) + log_partition
        return Gradient(loss, of_data[0] - of_model[0], of_data[1] - of_model[1], ess)

    def pointwise(self, neurons: NDArray, weights: NDArray) -> NDArray:
        """Return the negative log-density at every data point, (n,): their mean is L."""
        energies = self._data_energies(self._cast(neurons), self._cast(weights))
        values = np.concatenate(list(energies))
        loss, _ = self.evaluate(neurons, weights)
        return values + (loss - values.mean())

    def gradient(
        self, neurons: NDArray, weights: NDArray, rho: SignedMeasure
    ) -> tuple[NDArray, NDArray]:
        """Differentiate in the neurons, (m, d), and in the output weights, (m,)."""
        neurons, weights = self._cast(neurons), self._cast(weights)
        of_data = self._data_gradient(neurons, weights)
        of_model = self._gradient(self.reference, neurons, weights, rho.model)
        return of_data[0] + of_model[0], of_data[1] + of_model[1]

    psi = psi_by_gradient

    def curvature(self, neuron: NDArray, rho: SignedMeasure) -> float:
        """Return the second derivative of L along the mass of a neuron: its model variance."""
        t = np.maximum(np.einsum("kds,d->ks", self.reference, neuron), 0)
        phi = t**self.alpha
        q = -rho.model
        mean = np.sum(q * phi)
        return float(np.sum(q * (phi - mean) ** 2))

    def screen(self, rho: SignedMeasure, n_points: int) -> tuple[Self, SignedMeasure]:
        """Return the likelihood and rho on the first reference points alone, of the same mass."""
        screen = self.head(n_points)
        model = rho.model[: len(screen.reference)]
        return screen, SignedMeasure(model * (rho.model.sum() / model.sum()), rho.ess)

    def coarse(self) -> Self:
        """Return what candidates are tried on: all of it, since the settled one is kept."""
        return self

    def _gradient(
        self, points: NDArray, neurons: NDArray, weights: NDArray, mass: NDArray
    ) -> tuple[NDArray, NDArray]:
        grad_neurons, grad_weights = np.empty(neurons.shape), np.empty(len(weights))
        kernels(self.alpha).energy_gradient(
            points, neurons, weights, mass, grad_neurons, grad_weights
        )
        return grad_neurons, grad_weights

    def _data_gradient(self, neurons: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
        grad_neurons, grad_weights = np.zeros(neurons.shape), np.zeros(len(weights))
        for points, n in self._data_blocks():
            mass = tiled_vector(np.full(n, 1 / self.n_data, points.dtype))
            of_block = self._gradient(points, neurons, weights, mass)
            grad_neurons += of_block[0]
            grad_weights += of_block[1]
        return grad_neurons, grad_weights

    def _data_energies(self, neurons: NDArray, weights: NDArray) -> Iterator[NDArray]:
        for points, n in self._data_blocks():
            f = np.empty((len(points), TILE))
            kernels(self.alpha).energy(points, neurons, weights, f)
            yield f.ravel()[:n]

    def _data_blocks(self) -> Iterator[tuple[NDArray, int]]:
        """Yield tiles, and the number of points in them."""
        if isinstance(self.data, StreamedRows):
            for block in self.data.blocks():
                yield tiles(block), len(block)
        else:
            yield self.data, self.n_data

    def _cast(self, array: NDArray) -> NDArray:
        return np.ascontiguousarray(array, self.data.dtype)


def steepest_neurons(
    loss: Loss,
    rho: Slope,
    rng: np.random.Generator,
    n_starts: int = 24,
    n_screened: int = 2**13,
) -> tuple[NDArray, NDArray]:
    r"""Search the unit neurons with the largest and with the smallest :math:`\psi(\theta)`.

    All starts move together along geodesics, each with a step that grows on success and shrinks
    on failure: first on a part of the reference sample, then the best few on all of it. The
    function is not concave, so the values found are bounds from inside.

    Parameters
    ----------
    loss : Loss
        The likelihood, or another.
    rho : SignedMeasure
        Its derivative, of the same loss.
    rng : numpy.random.Generator
    n_starts : int
    n_screened : int
        Reference points used at first.

    Returns
    -------
    neurons : ndarray of shape (2, d)
    psi : ndarray of shape (2,)
        The one with the larger ``|psi|`` comes first.
    """
    d = loss.data.shape[1]
    screen, part = loss.screen(rho, n_screened)
    starts = sphere.uniform(n_starts, d, rng)
    signs = np.where(np.arange(n_starts) % 2 == 0, 1.0, -1.0)
    neurons, values = climb(lambda theta: screen.psi(theta, part), starts, signs, 25)
    order = np.argsort(values)
    best = order[[0, 1, -2, -1]]
    signs = np.array([-1.0, -1.0, 1.0, 1.0])
    neurons, values = climb(lambda theta: loss.psi(theta, rho), neurons[best], signs, 15, 0.1)
    extremes = np.array([np.argmin(values), np.argmax(values)])
    extremes = extremes[np.argsort(-np.abs(values[extremes]))]
    return neurons[extremes], values[extremes]


def optimality_gap(
    neurons: NDArray, weights: NDArray, psi: NDArray, largest_psi: float, penalty: float, alpha: int
) -> float:
    r"""Bound how far the penalized loss can still fall within the TV ball of this network.

    By convexity, for every measure of total variation at most
    :math:`\beta = |\gamma|_{TV} = \frac1m\sum_j |c_j| \|\theta_j\|^\alpha`,

    .. math:: (L + \lambda |\cdot|)(\gamma) - (L + \lambda |\cdot|)(\gamma')
       \le \int \psi\, d\gamma + \lambda\beta + \beta \max(\max_\theta |\psi(\theta)| - \lambda, 0),

    the Frank-Wolfe gap; it is as true as the search for the maximum is thorough.

    Parameters
    ----------
    neurons, weights : ndarray of shape (m, d), (m,)
    psi : ndarray of shape (m,)
        psi at the neurons as they are, homogeneous of degree alpha.
    largest_psi : float
        The largest ``|psi|`` found on the unit sphere.
    penalty : float
        The factor lambda on the total variation.
    alpha : int
    """
    beta = total_variation(neurons, weights, alpha)
    slack = max(abs(largest_psi) - penalty, 0.0)
    return float(np.mean(weights * psi) + beta * (penalty + slack))


def total_variation(neurons: NDArray, weights: NDArray, alpha: int) -> float:
    r"""Return the F1 norm of the network, :math:`\frac1m \sum_j |c_j| \|\theta_j\|^\alpha`."""
    return float(np.mean(np.abs(weights) * np.linalg.norm(neurons, axis=1) ** alpha))
