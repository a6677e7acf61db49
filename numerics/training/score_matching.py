r"""Score matching of a shallow energy, implicit or by denoising, as a function of the network.

The Fisher divergence from the data, :math:`\frac12 E\,|\nabla_S f - \nabla_S f_*|^2`, is

.. math:: J(f) = E\left[\tfrac12 |\nabla_S f|^2 - \Delta_S f\right]

up to a constant, by parts: implicit score matching, which needs neither log Z nor the score of the
data [hyvarinen2005score]_. Denoising [vincent2011connection]_ moves the data instead,
:math:`y = \exp_x(v)` with tangent :math:`v \sim N(0, \eta^2 I)` and :math:`r = |v| < \pi`. With
respect to tau the density of y given x is proportional to
:math:`e^{-r^2/2\eta^2} (r/\sin r)^{d-2}`; its score points back to x,

.. math:: g = \left[\frac{r}{\eta^2} - (d-2)\left(\frac1r - \cot r\right)\right]
          \frac{\log_y x}{r}, \qquad
   D(f) = E\left[\tfrac12 |\nabla_S f(y)|^2 + \langle \nabla_S f(y), g\rangle\right],

which is :math:`\frac12 E|s - g|^2` for :math:`s = -\nabla_S f` up to a constant. The least D has
the score of the density of y. Each point is moved by v and by -v: where the energy is smooth, the
noise of the mean then does not grow as eta falls. On the sphere derived here; dual training whose
walkers restart at the data before every short step is the first of the two
[domingoenrich2021dual]_.

Both are convex over measures :math:`f = \int \sigma(\langle\theta,\cdot\rangle)\,d\gamma(\theta)`,
with the same quadratic part and

.. math:: \psi(\theta) = E\left[\langle \nabla_S f + g, \nabla_S \sigma_\theta\rangle\right]
   \quad\text{or}\quad
   E\left[\langle \nabla_S f, \nabla_S \sigma_\theta\rangle - \Delta_S \sigma_\theta\right] .

Of a ReLU network the Laplacian has a delta at each neuron's hyperplane: J asks for the density of
the data there, which a sample tells only after smoothing. The activation is therefore convolved
with the bump of `_score_matching_kernels` over cosines, of
half-width h in the linear part. With the same bump in the quadratic part J would be exactly that of
the smoothed energy, and a neuron that meets its own kink in the data would come out too heavy by a
term of order h: two bumps meet in the quadratic part, but only one in the linear part, where the
other kink is that of the data. The quadratic part therefore has the half-width
:math:`h/\sqrt2`, so that the variances of the bumps agree and J is a smoothed divergence,

.. math:: \tfrac12 \langle \nabla_S(f - f_*), K_h \nabla_S(f - f_*)\rangle + \text{const} + O(h^2) .

The noise of denoising is one more bump in the linear part, and adds its variance. The trained
network is used with the true activation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .. import sphere
from .._jit import one_thread
from .._score_matching_kernels import kernels
from .._tiles import tiled_vector, tiles
from . import sparse
from .loss import psi_by_gradient, value_then_gradient
from .stein import ScoreField, from_polar, polar

__all__ = [
    "ScoreMatching",
    "bump_width",
    "denoising",
    "fit",
    "implicit",
    "move",
    "move_by",
    "noise_level",
]

# Pairs +v, -v for each point. Along a neuron v squared varies by twice its squared mean: of four
# pairs the mean varies half as much as the data themselves.
N_PAIRS = 4
# Standard deviations in the half-width of the bump.
HALF_WIDTH = np.sqrt(7.0)
# Factors of the rules for the bump and for the noise.
BUMP, NOISE = 3.0, 0.25
# Decrease of the loss, of order one for an energy of order one, that is not worth another step.
TRIAL_TOLERANCE = 1e-6
_TINY = 1e-300
_ARRAYS = ("X", "targets", "data", "pull", "mass")


@dataclass(frozen=True)
class ScoreMatching:
    """Points, what is linear in the score there, and the power of the activation.

    Parameters
    ----------
    X : ndarray of shape (n * copies, d)
        Points of the sphere, copies of one data point in a row; their type is that of the
        computation.
    targets : ndarray of shape (n * copies, d)
        The score g of the noise; zero for implicit score matching.
    implicit : bool
        Whether the Laplacian counts.
    copies : int
        Points for each data point.
    alpha : {1, 2, 3}
    half_width, quadratic_width : float
        Of the bumps in the linear and in the quadratic part, for alpha = 1 and 2.
    """

    X: NDArray
    targets: NDArray
    implicit: bool
    copies: int
    alpha: int
    half_width: float
    quadratic_width: float
    data: NDArray
    pull: NDArray
    mass: NDArray

    @classmethod
    def of_implicit(cls, X: NDArray, alpha: int, half_width: float | None = None) -> Self:
        """Take the data (n, d) as they are; the half-width is that of the rule unless given."""
        if half_width is None:
            half_width = bump_width(*X.shape)
        return cls._of(X, np.zeros_like(X), True, 1, alpha, half_width, half_width / np.sqrt(2))

    @classmethod
    def of_denoising(
        cls,
        X: NDArray,
        alpha: int,
        noise: float,
        rng: np.random.Generator,
        half_width: float | None = None,
        n_pairs: int = N_PAIRS,
    ) -> Self:
        """Move each of the data (n, d) by noise of this standard deviation, and its opposite."""
        if half_width is None:
            half_width = bump_width(*X.shape)
        moved, targets = move(np.repeat(X, n_pairs, axis=0), noise, rng)
        d = X.shape[1]
        return cls._of(
            moved.reshape(-1, d),
            targets.reshape(-1, d),
            False,
            2 * n_pairs,
            alpha,
            half_width,
            float(np.hypot(half_width, HALF_WIDTH * noise) / np.sqrt(2)),
        )

    @classmethod
    def _of(
        cls,
        X: NDArray,
        targets: NDArray,
        implicit: bool,
        copies: int,
        alpha: int,
        half_width: float,
        quadratic_width: float,
    ) -> Self:
        mass = np.full(len(X), implicit / len(X), X.dtype)
        return cls(
            X,
            targets,
            implicit,
            copies,
            alpha,
            half_width,
            quadratic_width,
            tiles(X),
            tiles(-targets / len(X)),
            tiled_vector(mass),
        )

    def evaluate(self, neurons: NDArray, weights: NDArray) -> tuple[float, ScoreField]:
        """Return the loss, and the derivative of its quadratic part in the scores."""
        scores = self.scores(neurons, weights)
        value = np.mean(np.sum(scores**2, axis=1)) / 2 + np.mean(self.linear(neurons, weights))
        field = (scores / len(self.X)).astype(self.X.dtype, copy=False)
        return float(value), ScoreField(tiles(field))

    def scores(self, neurons: NDArray, weights: NDArray) -> NDArray:
        """Return the scores at the points, (n * copies, d), of the quadratic part."""
        return self._at_points(neurons, weights, self.quadratic_width)[0]

    def linear(self, neurons: NDArray, weights: NDArray) -> NDArray:
        """Return the linear part at the points, (n * copies,)."""
        scores, laplacians = self._at_points(neurons, weights, self.half_width)
        return -laplacians if self.implicit else -np.sum(scores * self.targets, axis=1)

    def _at_points(
        self, neurons: NDArray, weights: NDArray, half_width: float
    ) -> tuple[NDArray, NDArray]:
        n, d = self.X.shape
        lengths, units = polar(neurons)
        gradient, laplacian = np.empty(self.data.shape), np.empty(self.mass.shape)
        kernels(self.alpha).evaluate(
            self.data,
            self._cast(units),
            self._cast(weights * lengths**self.alpha),
            self.X.dtype.type(half_width),
            gradient,
            laplacian,
        )
        slopes = gradient.transpose(0, 2, 1).reshape(-1, d)[:n]
        return -sphere.tangent(self.X, slopes), laplacian.ravel()[:n]

    def gradient(
        self, neurons: NDArray, weights: NDArray, field: ScoreField
    ) -> tuple[NDArray, NDArray]:
        """Differentiate in the neurons, (m, d), and in the output weights, (m,)."""
        lengths, units = polar(neurons)
        m = len(weights)
        grad_units, grad_scaled = np.empty((2, *neurons.shape)), np.empty((2, m))
        parts = (
            (field.data, np.zeros_like(self.mass), self.quadratic_width),
            (self.pull, self.mass, self.half_width),
        )
        for part, (vectors, mass, half_width) in enumerate(parts):
            kernels(self.alpha).pull_back(
                self.data,
                vectors,
                mass,
                self._cast(units),
                self._cast(weights * lengths**self.alpha),
                self.X.dtype.type(half_width),
                grad_units[part],
                grad_scaled[part],
            )
        slopes = from_polar(neurons, weights, self.alpha, grad_units.sum(0), grad_scaled.sum(0))
        return -slopes[0], -slopes[1]

    psi = psi_by_gradient
    value_and_gradient = value_then_gradient

    def curvature(self, neuron: NDArray, field: ScoreField) -> float:
        """Return the second derivative of the loss along the mass of a unit neuron."""
        scores = self.scores(neuron[None], np.ones(1))
        return float(np.mean(np.sum(scores**2, axis=1)))

    def pointwise(self, neurons: NDArray, weights: NDArray) -> NDArray:
        """Return one number for each data point, (n,): their mean is the loss."""
        quadratic = np.sum(self.scores(neurons, weights) ** 2, axis=1) / 2
        terms = quadratic + self.linear(neurons, weights)
        return terms.reshape(-1, self.copies).mean(axis=1)

    def screen(self, field: ScoreField, n_points: int) -> tuple[Self, ScoreField]:
        """Return all points, which are few beside a sample of tau."""
        return self, field

    def coarse(self) -> Self:
        """Return the loss in float32."""
        if self.X.dtype == np.float32:
            return self
        single = {name: getattr(self, name).astype(np.float32) for name in _ARRAYS}
        return replace(self, **single)

    def _cast(self, array: NDArray) -> NDArray:
        return np.ascontiguousarray(array, self.X.dtype)


def move(X: NDArray, noise: float, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Move points along geodesics by Gaussian tangents, and by their opposites.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere.
    noise : float
        Standard deviation in each of the d - 1 directions, in radians. Tangents of length pi or
        more are drawn again.
    rng : numpy.random.Generator

    Returns
    -------
    moved, targets : ndarray of shape (n, 2, d)
        As of `move_by`.
    """
    v = np.empty(X.shape)
    missing = np.arange(len(X))
    while len(missing):
        gaussian = rng.standard_normal((len(missing), X.shape[1]))
        v[missing] = noise * sphere.tangent(X[missing], gaussian)
        missing = missing[np.linalg.norm(v[missing], axis=1) >= np.pi]
    there, back = move_by(X, v, noise), move_by(X, -v, noise)
    return np.stack([there[0], back[0]], axis=1), np.stack([there[1], back[1]], axis=1)


def move_by(X: NDArray, v: NDArray, noise: float) -> tuple[NDArray, NDArray]:
    """Move points by tangents shorter than pi.

    Parameters
    ----------
    X, v : ndarray of shape (n, d)
    noise : float
        As in `move`.

    Returns
    -------
    moved : ndarray of shape (n, d)
    targets : ndarray of shape (n, d)
        The score at each moved point, with respect to tau, of the law of moves from x.
    """
    d = X.shape[1]
    r = np.linalg.norm(v, axis=1, keepdims=True)
    direction = v / np.maximum(r, _TINY)
    # Where the two terms would cancel, the first of their series.
    far = np.maximum(r, 1e-4)
    bent = np.where(r < far, r / 3, 1 / far - 1 / np.tan(far))
    pull = r / noise**2 - (d - 2) * bent
    moved = np.cos(r) * X + np.sin(r) * direction
    return moved, pull * (np.sin(r) * X - np.cos(r) * direction)


def bump_width(n: int, d: int) -> float:
    r"""Return the half-width of the bump for n points of the sphere in R^d.

    With p the density at t = 0 of the cosines with a neuron, of order :math:`\sqrt d`, an average
    of bumps over n points has a variance of :math:`\tfrac57 p/(nh)`. It moves the neurons: the
    excess divergence over that of the likelihood, :math:`d/2n`, is a factor of order
    :math:`1/(h\sqrt d)`. The relative bias of a mass is of order :math:`h^2 d`. Variance and
    squared bias balance at

    .. math:: h = 3\, d^{-1/2} (d/n)^{1/5} .

    The factor lies between those with the least divergence of one neuron, 4 in dimensions 3 to 15,
    and of two, 2 in dimension 5. No cosine is beyond 1, and neither is h. Derived here.
    """
    return min(float(BUMP * d**-0.5 * (d / n) ** (1 / 5)), 1.0)


def noise_level(n: int, d: int) -> float:
    r"""Return the standard deviation of the noise for n points of the sphere in R^d.

    Noise shrinks the first harmonic of the energy by :math:`e^{-(d-1)\eta^2/2}`, and all others
    by more. With

    .. math:: \eta = \tfrac14\, d^{-1/2} (d/n)^{1/4}

    that bias is of the order of the statistical error, :math:`\sqrt{d/n}`, and a small part of it.
    """
    return float(NOISE * d**-0.5 * (d / n) ** (1 / 4))


def implicit(n: int, d: int, alpha: int) -> Callable[[NDArray], ScoreMatching]:
    """Return the implicit loss of some of n points, with the bump for all of them."""
    half_width = bump_width(n, d)
    return lambda points: ScoreMatching.of_implicit(points, alpha, half_width)


def denoising(
    n: int, d: int, alpha: int, noise: float, rng: np.random.Generator
) -> Callable[[NDArray], ScoreMatching]:
    """Return the denoising loss of some of n points, with the bump for all of them."""
    half_width = bump_width(n, d)
    return lambda points: ScoreMatching.of_denoising(points, alpha, noise, rng, half_width)


@one_thread()
def fit(
    X: NDArray,
    loss_of: Callable[[NDArray], ScoreMatching],
    rng: np.random.Generator,
    penalty: float | None = None,
    max_atoms: int = 32,
) -> sparse.SparseFit:
    """Fit atoms to data by the conditional gradient of `sparse`.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere, float64.
    loss_of : callable
        Returns the loss of some of the points, with the same bump or noise for any number of them.
    rng, penalty, max_atoms
        As in `sparse.fit`; held-out data choose by the same loss.

    Returns
    -------
    SparseFit
        The certificate is that of the smoothed activation.
    """
    return sparse.fit_loss(
        X,
        loss_of,
        lambda points: loss_of(points).coarse(),
        rng,
        penalty,
        max_atoms,
        trial_tol=TRIAL_TOLERANCE,
    )
