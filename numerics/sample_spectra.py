r"""What a finite sample, or finitely many features, make of a kernel's spectrum.

The Gram matrix :math:`\kappa(\langle x_i, x_j\rangle)/n` of uniform points has the eigenvalues of
the kernel up to noise [koltchinskii2000random]_: those of degree k form a group of N(d, k) numbers
around :math:`\mu_k`. Groups are found from the gaps of the sample spectrum alone.

**The mean of a group.** Let :math:`E_{ab} = \frac1n \sum_i Y_a(x_i) Y_b(x_i) - \delta_{ab}` for
orthonormal harmonics. The addition theorem makes the trace of E over a degree vanish, so the noise
of first order drops out of the group's mean. Perturbation theory of second order leaves, with
:math:`P_k = P_{k,d}` and :math:`f_j = \mu_j N_j P_j`,

.. math:: \bar\lambda_k - \mu_k = \frac1{n^2} \sum_{i,l} h_k(\langle x_i, x_l\rangle), \qquad
          h_k = P_k \sum_{j \ne k} \frac{\mu_k}{\mu_k - \mu_j} f_j .

The terms i = l are the bias :math:`h_k(1)/n`. The others have mean zero given either point, so
their variance is :math:`2 (n - 1) n^{-3} E_\tau[h_k^2]`. (Derived here.)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._angular_quadrature import angular_rule, zonal_coefficients
from ._checks import check_alpha, check_count, check_sphere
from ._profiles import evaluate
from .harmonics import dimension, legendre
from .kernels import arc_cosine

__all__ = ["SampleSpectrum", "nystrom", "random_features"]

# How many times wider than the widest possible group a gap between groups must be.
_GAP = 1.5
_BLOCK = 512


@dataclass(frozen=True)
class SampleSpectrum:
    """Eigenvalues of a sample, and the groups found among them, in decreasing order.

    Attributes
    ----------
    eigenvalues : ndarray of shape (n,)
        Of the Gram matrix over n, decreasing.
    multiplicities : ndarray of int, shape (g,)
        Sizes of the groups, found from the gaps of `eigenvalues`.
    values : ndarray of shape (g,)
        Means of the groups, corrected for their bias.
    standard_errors : ndarray of shape (g,)
        Standard deviations of `values` over samples, to leading order in 1/n; infinite for a group
        whose size is not the degree's multiplicity, since it is no estimate of the eigenvalue.
    degrees : ndarray of int, shape (g,)
        Degrees in decreasing order of their exact eigenvalues.
    exact_multiplicities : ndarray of int, shape (g,)
        N(d, k) of `degrees`.
    """

    eigenvalues: NDArray
    multiplicities: NDArray
    values: NDArray
    standard_errors: NDArray
    degrees: NDArray
    exact_multiplicities: NDArray


def nystrom(X: ArrayLike, profile: Callable, n_degrees: int | None = None) -> SampleSpectrum:
    r"""Estimate a kernel's spectrum from the Gram matrix of a sample.

    A group ends at the first gap (in the logarithm) that is 1.5 times wider than a group of its
    size can be: by the Marchenko-Pastur law, N eigenvalues equal to 1 spread over
    :math:`[(1-r)^2, (1+r)^2]` with :math:`r = \sqrt{N/n}`. Where no such gap is left, the sample
    is too small to resolve more.

    The bias is removed by Mestre's estimator, which needs the sample's eigenvalues only: with
    :math:`m_a` the roots below each :math:`\lambda_a` of
    :math:`\frac1n \sum_b \lambda_b / (\lambda_b - m) = 1`, the mean over a group of
    :math:`n (\lambda_a - m_a)` [mestre2008improved]_. To first order in 1/n it takes away the bias
    of the module's docstring. The standard error is that of the module's docstring, with
    eigenvalues by quadrature.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Independent uniform points of the sphere, n >= 2.
    profile : callable
        As in :func:`~lazyactive.numerics.spectra.eigenvalues`; finite at t = 1 as well.
    n_degrees : int, optional
        The largest number of groups reported; all that are found unless given.

    Returns
    -------
    SampleSpectrum

    Raises
    ------
    ValueError
        If a point is off the sphere, n < 2, ``n_degrees < 1``, or the profile is not real and
        finite at an inner product of the sample.
    """
    X = check_sphere(X, min_samples=2).astype(np.float64, copy=False)
    limit = len(X) if n_degrees is None else check_count(n_degrees, "n_degrees")
    eigenvalues = np.linalg.eigvalsh(_gram(X, profile))[::-1]
    n, d = X.shape
    sizes = _groups(eigenvalues, limit)
    # Every other degree may be absent by parity, and a few low ones may be out of order.
    quadrature = zonal_coefficients(profile, d, 2 * len(sizes) + 20)
    significant = np.flatnonzero(quadrature.values > quadrature.errors)
    order = significant[np.argsort(-quadrature.values[significant], kind="stable")]
    degrees = order[: len(sizes)]
    multiplicities = np.array(sizes[: len(degrees)], dtype=np.int64)
    exact = np.array([dimension(d, int(k)) for k in degrees], dtype=np.int64)
    spread = _standard_deviations(quadrature.values, degrees, n, d)
    return SampleSpectrum(
        eigenvalues=eigenvalues,
        multiplicities=multiplicities,
        values=_group_means(eigenvalues, multiplicities),
        standard_errors=np.where(multiplicities == exact, spread, np.inf),
        degrees=degrees,
        exact_multiplicities=exact,
    )


def random_features(Theta: ArrayLike, alpha: int, n_degrees: int | None = None) -> SampleSpectrum:
    r"""Compute the spectrum under tau of the kernel of m random features.

    The kernel :math:`\frac1m \sum_j \sigma(\langle\theta_j, x\rangle)
    \sigma(\langle\theta_j, y\rangle)` is :math:`A A^*` with the map :math:`A c = m^{-1/2} \sum_j
    c_j \sigma(\langle\theta_j, \cdot\rangle)` from R^m to :math:`L^2(\tau)`. Its nonzero
    eigenvalues are those of :math:`A^* A`, the m by m matrix :math:`\frac1m
    E_\tau[\sigma(\langle\theta_i, x\rangle) \sigma(\langle\theta_j, x\rangle)] =
    \frac1m \kappa(\langle\theta_i, \theta_j\rangle)` with the arc-cosine kernel: features are to
    this kernel what samples are in :func:`nystrom`, and no data are needed. (Derived here.)

    Parameters
    ----------
    Theta : array_like of shape (m, d)
        Independent uniform features on the sphere, m >= 2.
    alpha : {0, 1, 2, 3}
        Power of the activation.
    n_degrees : int, optional
        As in :func:`nystrom`.

    Returns
    -------
    SampleSpectrum

    Raises
    ------
    ValueError
        If a feature is off the sphere, m < 2, `alpha` is not allowed, or ``n_degrees < 1``.
    """
    Theta, alpha = check_sphere(Theta, "Theta", min_samples=2), check_alpha(alpha)
    d = Theta.shape[1]
    return nystrom(Theta, lambda u: arc_cosine(u, d, alpha), n_degrees)


def _gram(X: NDArray, profile: Callable) -> NDArray:
    n = len(X)
    gram = np.empty((n, n))
    for start in range(0, n, _BLOCK):
        rows = slice(start, start + _BLOCK)
        cosines = np.clip(X[rows] @ X[start:].T, -1.0, 1.0)
        np.fill_diagonal(cosines, 1.0)
        block = evaluate(profile, cosines) / n
        gram[rows, start:] = block
        gram[start:, rows] = block.T
    return gram


def _groups(eigenvalues: NDArray, limit: int) -> list[int]:
    """Sizes of the leading groups that end in a gap."""
    n = len(eigenvalues)
    # Zeros, known to rounding only, form one group: the drop to it is a gap, none is inside it.
    floor = n * np.finfo(np.float64).eps * eigenvalues[0]
    gaps = -np.diff(np.log(np.maximum(eigenvalues, floor)))
    radius = np.sqrt(np.arange(1, n) / n)
    widths = 2 * np.log((1 + radius) / (1 - radius))
    sizes: list[int] = []
    start = 0
    while len(sizes) < limit:
        ends = np.flatnonzero(gaps[start:] > _GAP * widths[: n - 1 - start])
        if not ends.size:
            break
        sizes.append(int(ends[0]) + 1)
        start += sizes[-1]
    return sizes


def _group_means(eigenvalues: NDArray, sizes: NDArray) -> NDArray:
    """Mestre's estimates of the group means; `eigenvalues` decreasing."""
    n, n_grouped = len(eigenvalues), int(np.sum(sizes))
    upper = eigenvalues[:n_grouped].copy()
    lower = np.maximum(eigenvalues[1 : n_grouped + 1], 0)
    # The distance below each eigenvalue is bisected, since the root is close to it.
    small, large = np.zeros(n_grouped), upper - lower
    for _ in range(60):
        distance = (small + large) / 2
        total = np.array(
            [
                np.mean(eigenvalues / (eigenvalues - at + delta))
                for at, delta in zip(upper, distance, strict=True)
            ]
        )
        small, large = np.where(total > 1, distance, small), np.where(total > 1, large, distance)
    estimates = n * (small + large) / 2
    ends = np.cumsum(sizes)
    return np.array(
        [estimates[end - size : end].mean() for end, size in zip(ends, sizes, strict=True)]
    )


def _standard_deviations(mu: NDArray, degrees: NDArray, n: int, d: int) -> NDArray:
    """Leading-order standard deviations of the group means of `degrees`."""
    max_degree = len(mu) - 1
    rule = angular_rule(d, 2 * max_degree, dtype=np.float64)
    t, weights = np.concatenate([rule.cosines, -rule.cosines]), np.tile(rule.weights, 2)
    P = legendre(t, d, max_degree)
    traces = mu * np.array([float(dimension(d, k)) for k in range(max_degree + 1)])
    deviations = np.empty(len(degrees))
    for i, k in enumerate(degrees):
        others = np.arange(max_degree + 1) != k
        h = P[k] * ((traces[others] * mu[k] / (mu[k] - mu[others])) @ P[others])
        deviations[i] = np.sqrt(2 * (n - 1) / n**3 * np.sum(weights * h**2))
    return deviations
