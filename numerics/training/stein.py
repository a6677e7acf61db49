r"""Stein discrepancy of a shallow energy from data, as a function of the network.

A Stein discrepancy depends on the model by its scores at the data alone,
:math:`s_i = -P_{x_i} \nabla f(x_i)`, and hands back a tangent field,
:math:`g_i = \partial L/\partial s_i`. For measures,
:math:`f = \int \sigma(\langle\theta,\cdot\rangle)\, d\gamma(\theta)`, the loss is convex, and its
gradient, which moves the neurons, is

.. math:: \psi(\theta) = -\sum_i \sigma'(\langle\theta, x_i\rangle) \langle g_i, \theta\rangle .

No log Z and no reference sample enter [domingoenrich2021ebm]_, section 4.

The score of a ReLU network jumps where a hyperplane of a neuron meets a data point, and so does the
loss. Its gradient almost everywhere misses these jumps, which do not cancel in the mean: a descent
along it goes astray. Training therefore smooths the rectifier, whose derivative rises from 0 to 1
over cosines in [-h, h]. This changes an energy by a term of order :math:`h^2`; the rule

.. math:: h = d^{-1/2} n^{-1/3}

makes it small against the statistical error, of order :math:`n^{-1/2}`, while the number of points
inside of the ramp grows as :math:`n^{2/3}`. The trained network is used with the true rectifier.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from .. import sphere
from .._jit import one_thread
from .._score_kernels import kernels
from .._tiles import tiles
from ..discrepancies.stein import ksd_gradient, stein_gram
from ..features import grad_x
from ..kernels import arc_cosine, rbf
from . import sparse
from .loss import psi_by_gradient, value_then_gradient

__all__ = ["KernelDiscrepancy", "ScoreField", "SteinLoss", "fit", "from_polar", "polar", "ramp"]

BLOCK, TRIAL_BLOCK = 2048, 1024
# Decrease of the squared discrepancy, of order one for an energy of order one, that is not worth
# another step of a trial.
TRIAL_TOLERANCE = 3e-5
# The half-width of a rectifier that is not smoothed.
SHARP = 1e-30
_TINY = 1e-300


class Discrepancy(Protocol):
    """A squared Stein discrepancy of points from a density, of which it is given the scores."""

    def __call__(self, X: NDArray, scores: NDArray) -> tuple[float, NDArray]:
        """Return it, and its derivative in the scores, (n, d)."""

    def pointwise(self, X: NDArray, scores: NDArray) -> NDArray:
        """Return one number for each point, (n,), whose mean is the validation loss."""

    def coarse(self) -> Self:
        """Return a cheaper one, to compare fits by."""


@dataclass(frozen=True)
class KernelDiscrepancy:
    """The squared kernel Stein discrepancy of points, all pairs or pairs within blocks.

    Parameters
    ----------
    kernel, scale
        As in `ksd`.
    block : int, optional
        Take the mean over blocks of at most so many consecutive points. Blocks of 2048 points in
        R^15 cost a fit nothing in precision, and the loss is linear in n.
    """

    kernel: str = "rbf"
    scale: float = 1.0
    block: int | None = None

    def __call__(self, X: NDArray, scores: NDArray) -> tuple[float, NDArray]:
        """Return the V-statistic, which is convex, and its derivative in the scores, (n, d)."""
        value, field = 0.0, np.empty(X.shape)
        for block in _blocks(len(X), self.block or len(X)):
            share = (block.stop - block.start) / len(X)
            part, slope = ksd_gradient(X[block], scores[block], self.kernel, self.scale, "v")
            value += share * part
            field[block] = share * slope
        return value, field

    def pointwise(self, X: NDArray, scores: NDArray) -> NDArray:
        """Return one number for each point, (n,): their mean is the unbiased discrepancy.

        The standard error of that mean is that of a mean of independent numbers.
        """
        values = np.empty(len(X))
        for block in _blocks(len(X), BLOCK):
            gram = stein_gram(X[block], scores[block], self.kernel, self.scale)
            np.fill_diagonal(gram, 0)
            rows = gram.sum(axis=1) / (len(gram) - 1)
            # Each pair is in two rows: the statistic varies twice as much as a mean of rows.
            values[block] = 2 * rows - rows.mean()
        return values

    def coarse(self) -> Self:
        """Return that of pairs within blocks of 1024 points."""
        return replace(self, block=TRIAL_BLOCK)

    def profile(self, cosine: NDArray, d: int) -> tuple[NDArray, NDArray]:
        """Return the base kernel and its derivative at these cosines."""
        if self.kernel == "rbf":
            value = rbf(cosine, self.scale)
            return value, value / self.scale**2
        order = int(self.kernel[-2])
        # J_n' = n^2 J_(n-1); the norms of the features on the sphere differ by d + 2n - 2.
        slope = order**2 / (d + 2 * order - 2) * arc_cosine(cosine, d, order - 1)
        return arc_cosine(cosine, d, order), slope


def _blocks(n: int, size: int) -> list[slice]:
    """Cut n points into blocks of nearly equal length."""
    edges = np.linspace(0, n, -(-n // size) + 1).astype(int)
    return [slice(*pair) for pair in pairwise(edges)]


class ScoreField(NamedTuple):
    """The derivative of the loss in the scores, on tiles; no reference can be too small."""

    data: NDArray
    ess: float = np.inf


@dataclass(frozen=True)
class SteinLoss:
    """Data, a discrepancy, and the power of the activation: what `Likelihood` is for its loss.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere; their type is that of the computation.
    discrepancy : callable
        Takes the points and their scores, returns the squared discrepancy and its derivative.
    alpha : {1, 2, 3}
    half_width : float
        Of the ramp, for alpha = 1.
    """

    X: NDArray
    discrepancy: Discrepancy
    alpha: int
    half_width: float
    data: NDArray

    @classmethod
    def of(
        cls, X: NDArray, discrepancy: Discrepancy, alpha: int, half_width: float | None = None
    ) -> Self:
        """Arrange points (n, d); the half-width is that of the rule unless given."""
        if half_width is None:
            half_width = ramp(*X.shape)
        return cls(X, discrepancy, alpha, half_width, tiles(X))

    def evaluate(self, neurons: NDArray, weights: NDArray) -> tuple[float, ScoreField]:
        """Return the loss and its derivative in the scores."""
        value, field = self.discrepancy(self.X, self.scores(neurons, weights))
        return value, ScoreField(tiles(field.astype(self.X.dtype, copy=False)))

    def scores(self, neurons: NDArray, weights: NDArray) -> NDArray:
        """Return the scores at the data, (n, d), of the smoothed rectifier."""
        n, d = self.X.shape
        lengths, units = polar(neurons)
        out = np.empty(self.data.shape)
        kernels(self.alpha).gradient(
            self.data,
            self._cast(units),
            self._cast(weights * lengths**self.alpha),
            self._scalar(),
            out,
        )
        gradient = out.transpose(0, 2, 1).reshape(-1, d)[:n]
        return -sphere.tangent(self.X, gradient)

    def gradient(
        self, neurons: NDArray, weights: NDArray, field: ScoreField
    ) -> tuple[NDArray, NDArray]:
        """Differentiate in the neurons, (m, d), and in the output weights, (m,)."""
        lengths, units = polar(neurons)
        grad_units, grad_scaled = np.empty(neurons.shape), np.empty(len(weights))
        kernels(self.alpha).pull_back(
            self.data,
            field.data,
            self._cast(units),
            self._cast(weights * lengths**self.alpha),
            self._scalar(),
            grad_units,
            grad_scaled,
        )
        slopes = from_polar(neurons, weights, self.alpha, grad_units, grad_scaled)
        return -slopes[0], -slopes[1]

    psi = psi_by_gradient
    value_and_gradient = value_then_gradient

    def curvature(self, neuron: NDArray, field: ScoreField) -> float:
        """Return the second derivative of the loss along the mass of a unit neuron."""
        neuron = neuron[None]
        values = [self.evaluate(neuron, np.array([mass]))[0] for mass in (-1.0, 0.0, 1.0)]
        return values[0] - 2 * values[1] + values[2]

    def pointwise(self, neurons: NDArray, weights: NDArray) -> NDArray:
        """Return one number for each point, (n,): their mean is the unbiased discrepancy.

        It is that of the true rectifier.
        """
        X = self.X.astype(np.float64, copy=False)
        return self.discrepancy.pointwise(X, -grad_x(X, neurons, weights, self.alpha))

    def screen(self, field: ScoreField, n_points: int) -> tuple[Self, ScoreField]:
        """Return all points: no pair of them meets in psi."""
        return self, field

    def coarse(self) -> Self:
        """Return the loss in float32, and of fewer pairs."""
        if self.X.dtype == np.float32:
            return self
        X = self.X.astype(np.float32)
        return type(self).of(X, self.discrepancy.coarse(), self.alpha, self.half_width)

    def _scalar(self) -> np.floating:
        return self.X.dtype.type(self.half_width)

    def _cast(self, array: NDArray) -> NDArray:
        return np.ascontiguousarray(array, self.X.dtype)


def ramp(n: int, d: int) -> float:
    """Return the half-width of the ramp for n points of the sphere in R^d."""
    return float(d**-0.5 * n ** (-1 / 3))


def polar(neurons: NDArray) -> tuple[NDArray, NDArray]:
    """Return lengths, (m,), and directions, (m, d); a neuron of length zero has direction zero."""
    lengths = np.linalg.norm(neurons, axis=1)
    return lengths, neurons / np.maximum(lengths, _TINY)[:, None]


def from_polar(
    neurons: NDArray, weights: NDArray, alpha: int, grad_units: NDArray, grad_scaled: NDArray
) -> tuple[NDArray, NDArray]:
    """Return the gradients in neurons and weights from those of their smoothed activations.

    The ramp is one of cosines: a neuron acts by its direction, (m, d), and by its length as a
    factor ``|theta|**alpha`` on its output weight, (m,).
    """
    lengths, units = polar(neurons)
    slope = grad_scaled * weights * alpha * lengths ** (alpha - 1)
    across = sphere.tangent(units, grad_units) / np.maximum(lengths, _TINY)[:, None]
    return across + slope[:, None] * units, lengths**alpha * grad_scaled


@one_thread()
def fit(
    X: NDArray,
    alpha: int,
    rng: np.random.Generator,
    discrepancy: Discrepancy,
    penalty: float | None = None,
    max_atoms: int = 32,
) -> sparse.SparseFit:
    """Fit atoms to data by the conditional gradient of `sparse`.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere, float64.
    alpha : {1, 2, 3}
    rng : numpy.random.Generator
    discrepancy : KernelDiscrepancy
    penalty, max_atoms
        As in `sparse.fit`; held-out data choose by the unbiased discrepancy.

    Returns
    -------
    SparseFit
        The certificate is that of the smoothed rectifier.
    """
    return sparse.fit_loss(
        X,
        lambda points: SteinLoss.of(points, discrepancy, alpha),
        lambda points: SteinLoss.of(points, discrepancy, alpha).coarse(),
        rng,
        penalty,
        max_atoms,
        trial_tol=TRIAL_TOLERANCE,
    )
