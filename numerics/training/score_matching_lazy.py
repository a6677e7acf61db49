r"""Score matching with frozen features: a linear system.

In the coordinates a of the rotated features of `lazy.FrozenFeatures` the losses of `score_matching`
are

.. math:: \tfrac12 a^T Q a + L^T a, \qquad Q = E\,G(x)^T G(x),

with the tangent gradients G of the features, and :math:`L = -E\,\Delta_S\varphi(x)`, or
:math:`L = E\,G(y)^T g` for denoising; the penalty adds :math:`\lambda|a|^2`, lambda times the
squared F2 norm. For unit neurons, activations with the derivatives :math:`\sigma'_j` at a point
whose cosines are :math:`t_j`,

.. math:: \langle\nabla_S\sigma_j, \nabla_S\sigma_k\rangle
   = \sigma'_j \sigma'_k \left(\langle\theta_j,\theta_k\rangle - t_j t_k\right),

so that Q is made of two products of matrices whatever d is. They are in float32; what is lost is
refined away by the compiled gradient in float64, which knows nothing of Q. The penalty is chosen
over five folds as in `stein_lazy`; all points moved from one data point are in the same fold.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._jit import one_thread
from .._score_matching_kernels import kernels
from .lazy import FrozenFeatures
from .score_matching import ScoreMatching
from .stein_lazy import SteinLazyFit, fit_sums
from .validation import folds

__all__ = ["Moments", "fit", "moments"]

CHUNK = 2048


class Moments(NamedTuple):
    """Sums over the points of each part: half of Q, (parts, p, p), and of L, (parts, p).

    The loss is then ``a'Qa + 2 L'a`` with the means, as for Stein discrepancies.
    """

    quadratic: NDArray
    linear: NDArray
    sizes: NDArray

    def training(self, parts: NDArray) -> tuple[NDArray, NDArray]:
        """Return the means over these parts together."""
        n = self.sizes[parts].sum()
        return self.quadratic[parts].sum(0) / n, self.linear[parts].sum(0) / n

    def validation(self, part: int) -> tuple[NDArray, NDArray]:
        """Return the means over one part."""
        return self.training(np.array([part]))


def moments(loss: ScoreMatching, parts: list[NDArray], features: FrozenFeatures) -> Moments:
    """Sum over the data.

    Parameters
    ----------
    loss : ScoreMatching
    parts : list of ndarray
        Indices of the data of each part.
    features : FrozenFeatures
    """
    p = features.basis.shape[1]
    quadratic, linear = np.zeros((len(parts), p, p)), np.zeros((len(parts), p))
    for part, rows in enumerate(parts):
        gram, slope = _features_of(loss, rows, features)
        quadratic[part] = features.basis.T @ gram @ features.basis
        linear[part] = features.basis.T @ slope
    m = len(features.neurons)
    scale = 2 * loss.copies
    return Moments(
        quadratic / (scale * m),
        linear / (scale * np.sqrt(m)),
        np.array([len(rows) for rows in parts]),
    )


def _features_of(
    loss: ScoreMatching, rows: NDArray, features: FrozenFeatures
) -> tuple[NDArray, NDArray]:
    """Sum the Gram matrix of the neurons' gradients, (m, m), and what is linear, (m,)."""
    neurons = features.neurons.astype(np.float32)
    m, d = neurons.shape
    profile = kernels(loss.alpha).profile
    outer, radial, linear = np.zeros((m, m)), np.zeros((m, m)), np.zeros(m)
    copies = (loss.copies * rows[:, None] + np.arange(loss.copies)).ravel()
    for chunk in np.array_split(copies, -(-len(copies) // CHUNK)):
        cosines = loss.X[chunk].astype(np.float32) @ neurons.T
        slopes, laplacians = np.empty_like(cosines), np.empty_like(cosines)
        profile(cosines, d, np.float32(loss.half_width), slopes, laplacians)
        if loss.implicit:
            linear -= laplacians.sum(axis=0, dtype=np.float64)
        else:
            along = loss.targets[chunk].astype(np.float32) @ neurons.T
            linear += np.einsum("ij,ij->j", slopes, along, dtype=np.float64)
        profile(cosines, d, np.float32(loss.quadratic_width), slopes, laplacians)
        outer += slopes.T @ slopes
        slopes *= cosines
        radial += slopes.T @ slopes
    return outer * (features.neurons @ features.neurons.T) - radial, linear


@one_thread()
def fit(
    loss: ScoreMatching,
    neurons: NDArray,
    rng: np.random.Generator,
    penalty: float | None = None,
) -> SteinLazyFit:
    """Fit output weights of frozen neurons to data.

    Parameters
    ----------
    loss : ScoreMatching
        Of the data, float64.
    neurons : ndarray of shape (m, d)
        Unit neurons, which stay.
    rng : numpy.random.Generator
        Splits the data.
    penalty : float, optional
        lambda; by default the one with the least loss on held-out data, over five folds, as in
        `stein_lazy.fit`.

    Returns
    -------
    SteinLazyFit
    """
    features = FrozenFeatures.of(neurons, loss.alpha)
    n = len(loss.X) // loss.copies
    parts = [held_out for _, held_out in folds(n, rng)] if penalty is None else [np.arange(n)]
    return fit_sums(loss, features, moments(loss, parts, features), penalty)
