r"""Functions of degree at most K around an axis: the sectors that a zonal density leaves apart.

Write :math:`x = (t, \sqrt{1-t^2}\,\xi)` with the axis e, :math:`t = \langle x,e\rangle` and
:math:`\xi \in S^{d-2}`. The harmonics of degree k are spanned by products

.. math:: q_{\ell,k}(t)\, Y_\ell(\xi), \qquad
          q_{\ell,k}(t) \propto (1-t^2)^{\ell/2} P_{k-\ell,\,d+2\ell}(t), \qquad 0 \le \ell \le k,

with harmonics :math:`Y_\ell` of S^{d-2}, of which there are N(d-1, l)
([atkinson2012spherical], section 2.11). Averages over :math:`\xi` under a density of t alone make
all second moments block-diagonal: one block for every l, the same for each of its
:math:`Y_\ell`.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline

from ..gibbs_quadrature import radial_rule
from ..sphere import harmonic_dimension

# Sectors that are summed without interpolation; sectors of a parity that are computed beyond.
_ONE_BY_ONE, _SAMPLED = 24, 20
_SECTORS_ERROR = 1e-6


def axis_rule(d: int, strength: float, max_degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes t of [-1, 1], and their probabilities under tau, for integrands with a kink at 0.

    Parameters
    ----------
    d : int
    strength : float
        Largest absolute value of the energy.
    max_degree : int
        Products of two polynomials of this degree are integrated to rounding.

    Returns
    -------
    t, probability : ndarray, shape (n_nodes,)
    """
    # A panel of 2 / sqrt(curvature) is one of twelve radians of a polynomial of this degree.
    rho, log_probability = radial_rule(d, 1, strength + max_degree**2 / 36)
    half = np.exp(log_probability) / 2
    return np.concatenate([-rho[::-1], rho]), np.concatenate([half[::-1], half])


def multiplicity(d: int, ell: int) -> int:
    """Number N(d - 1, l) of harmonics of degree l on S^{d-2}, which is {-1, 1} for d = 2."""
    return harmonic_dimension(d - 1, ell) if d > 2 else int(ell <= 1)


def sector(t: np.ndarray, d: int, ell: int, max_degree: int) -> np.ndarray:
    r"""Values of :math:`q_{\ell,k}`, orthonormal for the law of t under tau, k = l, ..., K.

    The weight :math:`(1-t^2)^\ell` turns that law into the one of dimension d + 2l, whose
    orthonormal polynomials have the recurrence :math:`t p_j = b_{j+1} p_{j+1} + b_j p_{j-1}`,

    .. math:: b_j^2 = \frac{j(j+2a-1)}{4(j+a)(j+a-1)}, \quad a = \frac{d-2}2 + \ell, \qquad
              p_0^2 = \prod_{i=0}^{\ell-1} \frac{d+2i}{d-1+2i}.

    Parameters
    ----------
    t : ndarray, shape (n,)
    d, ell, max_degree : int

    Returns
    -------
    ndarray, shape (max_degree - ell + 1, n)
    """
    a = (d - 2) / 2 + ell
    j = np.arange(1.0, max_degree - ell + 1)
    # At j = 1 a factor a cancels, which vanishes for d = 2, l = 0.
    with np.errstate(invalid="ignore"):
        b = np.sqrt(j * (j + 2 * a - 1) / (4 * (j + a) * (j + a - 1)))
    b[:1] = math.sqrt(1 / (2 * (1 + a)))
    i = np.arange(ell)
    start = math.sqrt(np.prod((d + 2 * i) / (d - 1 + 2 * i)))
    values = np.empty((len(j) + 1, len(t)))
    values[0] = start * (1 - t**2) ** (ell / 2)
    if len(j):
        values[1] = t * values[0] / b[0]
    for k in range(1, len(j)):
        values[k + 1] = (t * values[k] - b[k - 1] * values[k - 1]) / b[k]
    return values


class Covariances:
    r"""Covariances of the scaled features :math:`\sqrt{\mu_k}\,q_{\ell,k}` under densities of t.

    Parameters
    ----------
    t : ndarray, shape (n_nodes,)
    d : int
    degrees, mu : ndarray, shape (n_degrees,)
        Degrees from 1, and their eigenvalues.
    densities : list of ndarray, shape (n_nodes,)
        Probabilities of the nodes.
    negligible : float
        Mass that may be left out.
    zonal : ndarray, shape (n_degrees, n_nodes), optional
        The scaled features of l = 0, where they are known.
    """

    def __init__(
        self,
        t: np.ndarray,
        d: int,
        degrees: np.ndarray,
        mu: np.ndarray,
        densities: list[np.ndarray],
        negligible: float = 0.0,
        zonal: np.ndarray | None = None,
    ) -> None:
        kept = np.any([density > negligible / len(t) for density in densities], axis=0)
        self.t, self.d, self.degrees, self.scale = t[kept], d, degrees, np.sqrt(mu)
        self.densities = [density[kept] for density in densities]
        self.zonal = None if zonal is None or d == 2 else zonal[:, kept]
        if d == 2:
            self.cosines = _cosine_moments(self.t, np.array(self.densities), 2 * int(degrees[-1]))

    def sector(self, ell: int) -> "Sector | CircleSector":
        """The sector l."""
        kept = self.degrees >= ell
        degrees, scale = self.degrees[kept], self.scale[kept]
        if self.d == 2:
            return CircleSector(ell, degrees, scale, self.cosines)
        if ell == 0 and self.zonal is not None:
            return Sector(0, self.zonal, self.densities)
        values = sector(self.t, self.d, ell, int(degrees[-1]))
        return Sector(ell, scale[:, None] * values[degrees - ell], self.densities)


class Sector:
    """Covariances of one sector, numbered as the densities are."""

    def __init__(self, ell: int, features: np.ndarray, densities: list[np.ndarray]) -> None:
        self.ell, self.features, self.densities = ell, features, densities

    def __len__(self) -> int:
        return len(self.features)

    def covariance(self, number: int) -> np.ndarray:
        """Covariance under a density, of the degrees from l."""
        weighted = self.features * self.densities[number]
        moments = weighted @ self.features.T
        if self.ell == 0:
            mean = weighted.sum(axis=1)
            moments -= np.outer(mean, mean)
        return moments

    def size(self, number: int) -> float:
        """Trace of the second moments, about zero."""
        return float(np.einsum("kt,kt,t", self.features, self.features, self.densities[number]))


class CircleSector:
    """The same for d = 2, where products of two cosines, or two sines, are sums of cosines."""

    def __init__(
        self, ell: int, degrees: np.ndarray, scale: np.ndarray, cosines: np.ndarray
    ) -> None:
        self.ell, self.degrees, self.scale, self.cosines = ell, degrees, scale, cosines

    def __len__(self) -> int:
        return len(self.degrees)

    def covariance(self, number: int) -> np.ndarray:
        """Covariance under a density, of the degrees from l."""
        cosines, k = self.cosines[number], self.degrees
        moments = cosines[np.abs(k[:, None] - k)]
        if self.ell == 0:
            moments += cosines[k[:, None] + k] - 2 * np.outer(cosines[k], cosines[k])
        else:
            moments -= cosines[k[:, None] + k]
        moments *= self.scale
        moments *= self.scale[:, None]
        return moments

    def size(self, number: int) -> float:
        """Trace of the second moments, about zero."""
        sign = 1 if self.ell == 0 else -1
        cosines = self.cosines[number]
        return float(self.scale**2 @ (cosines[0] + sign * cosines[2 * self.degrees]))


def sum_over_sectors(
    covariances: Covariances,
    trace: Callable[[Sector | CircleSector], float],
    noise: int,
    factor: float,
) -> float:
    """Sum of a trace over all sectors, each as often as there are harmonics of it.

    Sectors are summed one by one until the bound on the others is negligible. Beyond some tens of
    them the logarithm of the trace is a smooth function of l, apart for even and odd l, and is
    interpolated.

    Parameters
    ----------
    covariances : Covariances
    trace : callable
        From a sector to a positive number.
    noise : int
        Number of a density such that the trace is at most `factor` times that of its covariance.
    factor : float
    """
    d, degrees = covariances.d, covariances.degrees
    last = int(degrees[-1]) if d > 2 else 1
    # Over a basis of degree k the squares sum to N(d, k) at every point.
    whole = float(covariances.scale**2 @ [harmonic_dimension(d, int(k)) for k in degrees])
    total, left = 0.0, whole
    for ell in range(min(last, _ONE_BY_ONE - 1) + 1):
        block, count = covariances.sector(ell), multiplicity(d, ell)
        total += count * trace(block)
        left -= count * block.size(noise)
        # The difference itself is rounded.
        if factor * max(left, 1e-15 * whole) <= _SECTORS_ERROR * total:
            return total
    for first in range(_ONE_BY_ONE, min(_ONE_BY_ONE + 2, last + 1)):
        ells = np.arange(first, last + 1, 2)
        total += sum(
            multiplicity(d, int(ell)) * value
            for ell, value in zip(ells, _interpolated(covariances, trace, ells), strict=True)
        )
    return total


def _interpolated(
    covariances: Covariances, trace: Callable[[Sector | CircleSector], float], ells: np.ndarray
) -> np.ndarray:
    """Traces of sectors of one parity, most of them by interpolation."""
    if len(ells) <= 2 * _SAMPLED:
        return np.array([trace(covariances.sector(int(ell))) for ell in ells])
    known = np.unique(np.round(np.linspace(0, len(ells) - 1, _SAMPLED)).astype(int))
    values = [trace(covariances.sector(int(ell))) for ell in ells[known]]
    logs = np.log(np.maximum(values, np.finfo(float).tiny))
    return np.exp(CubicSpline(known, logs)(np.arange(len(ells))))


def _cosine_moments(t: np.ndarray, densities: np.ndarray, max_degree: int) -> np.ndarray:
    r"""Means of :math:`\cos k\varphi` at t = cos phi, k = 0, ..., K: shape (n_densities, K + 1).

    The addition theorem of :math:`\cos(i + jB)\varphi` needs cosines and sines of few multiples.
    """
    size = math.isqrt(max_degree) + 1
    low, high = _waves(t, size, 1), _waves(t, -(-(max_degree + 1) // size), size)
    moments = [
        (low * density).real @ high.real.T - (low * density).imag @ high.imag.T
        for density in densities
    ]
    return np.array([part.T.ravel()[: max_degree + 1] for part in moments])


def _waves(t: np.ndarray, size: int, stride: int) -> np.ndarray:
    """exp(i k phi) for the first multiples k of the stride, shape (size, n_nodes)."""
    return np.exp(1j * np.outer(stride * np.arange(size), np.arccos(t)))
