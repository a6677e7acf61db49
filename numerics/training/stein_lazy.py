r"""Least kernel Stein discrepancy with frozen features: a linear system.

The squared discrepancy is quadratic in the score, hence in the coordinates a of the energy in the
rotated features of `lazy.FrozenFeatures`, whose tangent gradients at a point are
:math:`G(x)`, (d, p). With the base kernel :math:`\kappa(u)`, :math:`u = \langle x,y\rangle`, and
sums over all pairs of points, a point with itself included,

.. math:: KSD^2(a) = a^T Q a + 2 L^T a + \text{const}, \qquad
   Q = \frac{1}{n^2} \sum_{x,y} \kappa\, G(x)^T G(y), \qquad
   L = \frac{1}{n^2} \sum_{x,y} \left[(d-1)\kappa + u\kappa'\right] G(x)^T y ,

and the penalty adds :math:`\lambda |a|^2`, lambda times the squared F2 norm. At weak energies Q is
diagonal, :math:`\mu_l \rho_l` at degree l, with the eigenvalues of `theory.kernels.Stein`, so that
the estimator is the filter :math:`\mu_l\rho_l / (\mu_l\rho_l + \lambda)` on the harmonics of the
data [domingoenrich2021ebm]_, section 4; derived here.

Q has about as many rows as the problem has effective dimensions, and is a sum over pairs of folds:
one pass over the pairs gives the solution for every penalty, trained on all folds but one and
validated on that one. The pass is in float32. What it gets wrong is then refined away by the
compiled gradient of the discrepancy in float64, which knows nothing of Q.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh

from .._jit import one_thread
from .lazy import FrozenFeatures
from .loss import Loss
from .stein import SHARP, KernelDiscrepancy, SteinLoss
from .validation import folds

__all__ = ["Moments", "SteinLazyFit", "Sums", "fit", "fit_sums", "moments", "solve"]

CHUNK = 2048
# The path of penalties starts at the leading eigenvalue and is halved so many times.
PATH_LENGTH = 24
TOLERANCE = 1e-8
MAX_REFINEMENTS = 10


class SteinLazyFit(NamedTuple):
    """Output weights c, (m,), penalty, refinements, and the certificates.

    The residual of the linear system is relative to its right-hand side; the gap bounds how far
    the penalized loss can still fall.
    """

    weights: NDArray
    penalty: float
    n_iter: int
    converged: bool
    residual: float
    optimality_gap: float


class Sums(Protocol):
    """A quadratic loss ``a'Qa + 2 L'a`` of parts of the data."""

    @property
    def sizes(self) -> NDArray:
        """Number of points of each part."""

    def training(self, parts: NDArray, /) -> tuple[NDArray, NDArray]:
        """Return Q, (p, p), and L, (p,), of these parts together."""

    def validation(self, part: int, /) -> tuple[NDArray, NDArray]:
        """Return Q and L by which one part validates what the others trained."""


class Moments(NamedTuple):
    """Sums over the pairs of points of two parts of the data, each unordered pair of parts once.

    For parts a <= b, ``quadratic[a, b]``, (p, p), and ``linear[a, b]``, (p,), are the sums for Q
    and L over both orders; ``diagonal[a]`` are those for Q over points with themselves.
    """

    quadratic: NDArray
    linear: NDArray
    diagonal: NDArray
    sizes: NDArray

    def training(self, parts: NDArray) -> tuple[NDArray, NDArray]:
        """Return Q and L of these parts together, all pairs."""
        n = self.sizes[parts].sum()
        chosen = np.ix_(parts, parts)
        return self.quadratic[chosen].sum((0, 1)) / n**2, self.linear[chosen].sum((0, 1)) / n**2

    def validation(self, part: int) -> tuple[NDArray, NDArray]:
        """Return the unbiased Q and L of one part: no point meets itself."""
        n_pairs = self.sizes[part] * (self.sizes[part] - 1)
        own = self.quadratic[part, part] - self.diagonal[part]
        # The tangent gradients at x are orthogonal to x, so that L has no diagonal.
        return own / n_pairs, self.linear[part, part] / n_pairs


def moments(
    X: NDArray, parts: list[NDArray], features: FrozenFeatures, discrepancy: KernelDiscrepancy
) -> Moments:
    """Sum over all pairs of points.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    parts : list of ndarray
        Indices of the points of each part.
    features : FrozenFeatures
    discrepancy : KernelDiscrepancy
        Its kernel and scale.
    """
    d, p, n_parts = X.shape[1], features.basis.shape[1], len(parts)
    quadratic = np.zeros((n_parts, n_parts, p, p))
    linear, diagonal = np.zeros((n_parts, n_parts, p)), np.zeros((n_parts, p, p))
    chunks = [
        (a, chunk)
        for a, part in enumerate(parts)
        for chunk in np.array_split(part, -(-len(part) // CHUNK))
    ]
    gradients = [gradient_matrix(X[chunk], features) for _, chunk in chunks]
    at_one = float(discrepancy.profile(np.ones(1), d)[0][0])
    for i, (b, rows) in enumerate(chunks):
        flat = gradients[i].reshape(-1, p)
        diagonal[b] += at_one * (flat.T @ flat)
        for j, (a, columns) in enumerate(chunks[: i + 1]):
            cosines = X[rows] @ X[columns].T
            value, slope = discrepancy.profile(cosines, d)
            pulled = value.astype(np.float32) @ gradients[j].reshape(len(columns), -1)
            product = (flat.T @ pulled.reshape(-1, p)).astype(np.float64)
            pull = (d - 1) * value + cosines * slope
            right = (pull @ X[columns]).astype(np.float32).ravel() @ flat
            if i > j:
                product += product.T
                left = (pull.T @ X[rows]).astype(np.float32).ravel()
                right = right + left @ gradients[j].reshape(-1, p)
            quadratic[a, b] += product
            linear[a, b] += right
    sizes = np.array([len(part) for part in parts])
    return Moments(quadratic, linear, diagonal, sizes)


def gradient_matrix(X: NDArray, features: FrozenFeatures) -> NDArray:
    """Return the tangent gradients of the rotated features, (n, d, p), in float32."""
    m, d = features.neurons.shape
    neurons = features.neurons.astype(np.float32)
    rotation = neurons[:, :, None] * (features.basis / np.sqrt(m)).astype(np.float32)[:, None, :]
    points = X.astype(np.float32)
    t = points @ neurons.T
    slope = (t > 0).astype(np.float32)
    if features.alpha > 1:
        slope *= features.alpha * t ** (features.alpha - 1)
    out = (slope @ rotation.reshape(m, -1)).reshape(len(X), d, -1)
    return out - np.einsum("nd,ndp->np", points, out)[:, None, :] * points[:, :, None]


def solve(quadratic: NDArray, linear: NDArray, penalties: NDArray) -> NDArray:
    """Minimize ``a'Qa + 2 L'a + penalty |a|^2`` for each penalty: shape (len(penalties), p)."""
    values, vectors = eigh(quadratic)
    along = vectors.T @ linear
    return -(along / (values + penalties[:, None])) @ vectors.T


@one_thread()
def fit(
    X: NDArray,
    neurons: NDArray,
    alpha: int,
    rng: np.random.Generator,
    discrepancy: KernelDiscrepancy,
    penalty: float | None = None,
) -> SteinLazyFit:
    """Fit output weights of frozen neurons to data.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere, float64.
    neurons : ndarray of shape (m, d)
        Unit neurons, which stay.
    alpha : {1, 2, 3}
    rng : numpy.random.Generator
        Splits the data.
    discrepancy : KernelDiscrepancy
    penalty : float, optional
        lambda; by default the one with the least unbiased discrepancy on held-out data, over five
        folds, along a path of halvings, scaled from the number of training points to all (the
        optimum falls as 1/n).

    Returns
    -------
    SteinLazyFit
    """
    n = len(X)
    features = FrozenFeatures.of(neurons, alpha)
    loss = SteinLoss.of(X, discrepancy, alpha, SHARP)
    parts = [held_out for _, held_out in folds(n, rng)] if penalty is None else [np.arange(n)]
    sums = moments(X, parts, features, discrepancy)
    return fit_sums(loss, features, sums, penalty)


def fit_sums(
    loss: Loss, features: FrozenFeatures, sums: Sums, penalty: float | None
) -> SteinLazyFit:
    """Minimize ``loss + penalty |a|^2`` over coordinates a of frozen features.

    Parameters
    ----------
    loss : Loss
        In float64 and quadratic: it refines the solution and certifies it.
    features : FrozenFeatures
    sums : Sums
        Its moments, of which there are several parts if they are to choose the penalty.
    penalty : float, optional
        As in `fit`.
    """
    neurons, m = features.neurons, len(features.neurons)
    quadratic, linear = sums.training(np.arange(len(sums.sizes)))
    if penalty is None:
        penalty = _choose_penalty(sums, quadratic)
    coordinates = solve(quadratic, linear, np.array([penalty]))[0]
    factor = cho_factor(quadratic + penalty * np.eye(len(linear)))
    scale = float(np.linalg.norm(linear))
    for n_iter in range(MAX_REFINEMENTS + 1):
        weights = features.output_weights(coordinates)
        _, field = loss.evaluate(neurons, weights)
        _, slopes = loss.gradient(neurons, weights, field)
        # Half of the derivative in the coordinates: Q a + L + penalty a, without Q and L.
        residual = np.sqrt(m) / 2 * (slopes @ features.basis) + penalty * coordinates
        size = float(np.linalg.norm(residual))
        if size <= TOLERANCE * scale or n_iter == MAX_REFINEMENTS:
            break
        coordinates = coordinates - cho_solve(factor, residual)
    return SteinLazyFit(
        weights,
        penalty,
        n_iter,
        size <= TOLERANCE * scale,
        size / scale if scale > 0 else 0.0,
        # The loss is strongly convex with modulus 2 lambda, and its gradient is twice the residual.
        size**2 / penalty,
    )


def _choose_penalty(sums: Sums, quadratic: NDArray) -> float:
    """Return the penalty with the least validation loss, over the folds."""
    n, everything = sums.sizes.sum(), np.arange(len(sums.sizes))
    path = np.linalg.eigvalsh(quadratic)[-1] / 2.0 ** np.arange(PATH_LENGTH)
    losses = np.zeros(PATH_LENGTH)
    for part in range(len(everything)):
        n_training = n - sums.sizes[part]
        training = sums.training(everything[everything != part])
        solutions = solve(*training, path * (n / n_training))
        held_out, linear = sums.validation(part)
        losses += (
            sums.sizes[part]
            / n
            * (np.einsum("kp,pq,kq->k", solutions, held_out, solutions) + 2 * solutions @ linear)
        )
    return float(path[np.argmin(losses)])
