r"""Spectra of zonal kernels: of any callable profile, of a sample, of finitely many features.

A kernel :math:`\kappa(\langle x, y\rangle)` on the sphere of R^d has one eigenvalue for each
degree, with multiplicity N(d, k),

.. math:: \mu_k = E_\tau[\kappa(t) P_{k,d}(t)]
        = c_d \int_{-1}^1 \kappa(t) P_{k,d}(t) (1 - t^2)^{(d-3)/2}\,dt

(Funk-Hecke formula, [atkinson2012spherical]_ section 2.5), where P has P(1) = 1.
"""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._angular_quadrature import Quadrature, zonal_coefficients
from ._checks import check_count, check_vector
from .sample_spectra import SampleSpectrum, nystrom, random_features

__all__ = [
    "NotPositiveDefiniteWarning",
    "Quadrature",
    "SampleSpectrum",
    "effective_dimension",
    "eigenvalues",
    "funk_hecke",
    "nystrom",
    "random_features",
]


class NotPositiveDefiniteWarning(UserWarning):
    """A profile that was given as a kernel has a negative eigenvalue."""


def eigenvalues(profile: Callable, d: int, max_degree: int) -> Quadrature:
    r"""Compute the eigenvalues of a kernel from its profile, by quadrature in the angle.

    The profile may have kinks, jumps and integrable singularities at t = -1, 0 and 1, where it is
    never evaluated. At another place they show in the errors.

    Parameters
    ----------
    profile : callable
        :math:`\kappa` as a function of :math:`t \in [-1, 1]`, of arrays or of single numbers.
        Arrays come in numpy's long double up to degree 1000. Where that is longer than float64, a
        profile that keeps the type gets eigenvalues correct beyond the rounding of float64.
    d : int
        Ambient dimension, at least 2.
    max_degree : int
        Largest degree, at least 0.

    Returns
    -------
    Quadrature
        ``values`` and ``errors``, both float64 of shape (max_degree + 1,). An error is the
        difference of two rules, plus a bound on the rounding that was measured in the profile. It
        allows for float64 numbers inside the profile, so a long double one often does far better.

    Warns
    -----
    NotPositiveDefiniteWarning
        If an eigenvalue is negative beyond its error; names the first such degree.

    Raises
    ------
    ValueError
        If ``d < 2``, ``max_degree < 0``, or the profile is not real and finite inside [-1, 1].
    """
    result = funk_hecke(profile, d, max_degree)
    negative = np.flatnonzero(result.values + result.errors < 0)
    if negative.size:
        k = int(negative[0])
        warnings.warn(
            f"profile is not positive definite in dimension {d}: "
            f"its eigenvalue of degree {k} is {result.values[k]:.6g}, "
            f"with an error of at most {result.errors[k]:.2g}.",
            NotPositiveDefiniteWarning,
            stacklevel=2,
        )
    return result


def funk_hecke(profile: Callable, d: int, max_degree: int) -> Quadrature:
    r"""Compute the Funk-Hecke coefficients of an activation or any other zonal function.

    They are the numbers :math:`\lambda_k` with :math:`\int \sigma(\langle x, \theta\rangle)
    Y_k(\theta)\,d\tau(\theta) = \lambda_k Y_k(x)` for every harmonic of degree k, of either sign.

    Parameters
    ----------
    profile, d, max_degree
        As in :func:`eigenvalues`.

    Returns
    -------
    Quadrature
        As in :func:`eigenvalues`.

    Raises
    ------
    ValueError
        As in :func:`eigenvalues`.
    """
    d, max_degree = check_count(d, "d", 2), check_count(max_degree, "max_degree", 0)
    return zonal_coefficients(profile, d, max_degree)


def effective_dimension(
    eigenvalues: ArrayLike, multiplicities: ArrayLike, penalty: ArrayLike
) -> NDArray:
    r"""Return :math:`\sum_k N_k \mu_k / (\mu_k + \lambda)`, the degrees of freedom of ridge.

    Parameters
    ----------
    eigenvalues : array_like of shape (K,)
        Negative ones, left by rounding, count as zero.
    multiplicities : array_like of shape (K,) or scalar
        1 for the eigenvalues of a sample.
    penalty : array_like
        Positive penalties :math:`\lambda`, any shape.

    Returns
    -------
    ndarray
        Of the shape of `penalty`.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or a penalty is not positive.
    """
    mu = np.maximum(check_vector(eigenvalues, name="eigenvalues").astype(np.float64), 0)
    N = (
        np.broadcast_to(multiplicities, mu.shape)
        if np.ndim(multiplicities) == 0
        else multiplicities
    )
    N = check_vector(N, len(mu), "multiplicities").astype(np.float64)
    penalties = np.asarray(penalty, dtype=np.float64)
    if not (np.isfinite(penalties) & (penalties > 0)).all():
        raise ValueError(f"penalty must be positive and finite, but it is {penalty!r}.")
    return (mu / (mu + penalties[..., None])) @ N
