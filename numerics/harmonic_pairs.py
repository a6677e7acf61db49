r"""Exact samples of pairs of densities that differ by one harmonic, without rejection.

The densities with respect to tau are functions of :math:`t = \langle x, e\rangle`: the normalized
positive and negative parts of the Legendre polynomial :math:`P_k(t)`, of disjoint supports, or
:math:`1 \pm \gamma P_k(t)` [domingoenrich2021separation]_. Under tau the angle of t has a density
proportional to :math:`\sin^{d-2}`; the law of the angle is inverted, and what is orthogonal to e is
uniform. A draw costs the same in every dimension.

Points may be drawn in groups, the same for both samples, that share what is orthogonal to e and
have equidistant quantiles of t, from a common random shift. Each point has its law as before, and
groups are independent; but within one the integral over t is nearly exact, which takes most of the
noise from a comparison of the two.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import sphere
from ._checks import check_count, check_group_size, check_sphere
from .harmonics import legendre

__all__ = ["positive_parts", "smooth"]

# Cells of equal angle; within one the density is taken as constant. Moments are off by 1e-9.
N_CELLS = 2**16


def positive_parts(
    k: int,
    d: int,
    n: int,
    rng: np.random.Generator | int | None = None,
    axis: ArrayLike | None = None,
    group_size: int = 1,
) -> tuple[NDArray, NDArray]:
    r"""Draw from :math:`(P_k)_+ \tau` and :math:`(P_k)_- \tau`, normalized.

    Parameters
    ----------
    k, d : int
        Degree (>= 1) and ambient dimension (>= 2).
    n : int
        Points of each sample.
    rng : numpy.random.Generator or int, optional
    axis : array_like of shape (d,), optional
        The unit vector e; the last coordinate axis by default.
    group_size : int, default=1
        Divides n. Above 1 so many consecutive points of X, and the same rows of Y, are one draw.

    Returns
    -------
    X, Y : ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If an argument is out of range, or the axis is not a unit vector of R^d.
    """
    angle, values, mass, e = _cells(k, d, axis)
    return _pair(
        angle, [np.maximum(sign * values, 0) * mass for sign in (1, -1)], n, e, rng, group_size
    )


def smooth(
    k: int,
    d: int,
    n: int,
    gamma: float = 1.0,
    rng: np.random.Generator | int | None = None,
    axis: ArrayLike | None = None,
    group_size: int = 1,
) -> tuple[NDArray, NDArray]:
    r"""Draw from :math:`(1 + \gamma P_k)\tau` and :math:`(1 - \gamma P_k)\tau`.

    Parameters
    ----------
    k, d, n, rng, axis, group_size
        As for `positive_parts`.
    gamma : float
        In [0, 1]; with 0 both are uniform.

    Returns
    -------
    X, Y : ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If an argument is out of range, or the axis is not a unit vector of R^d.
    """
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma must be in [0, 1], but it is {gamma!r}.")
    angle, values, mass, e = _cells(k, d, axis)
    return _pair(
        angle, [(1 + sign * gamma * values) * mass for sign in (1, -1)], n, e, rng, group_size
    )


def _cells(k: int, d: int, axis: ArrayLike | None) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return the angles of the edges, P_k and the mass of tau at the middles, and the axis."""
    k, d = check_count(k, "k"), check_count(d, "d", minimum=2)
    e = np.eye(d)[-1] if axis is None else check_sphere(np.atleast_2d(axis), "axis")[0]
    if len(e) != d:
        raise ValueError(f"axis must be a vector of R^{d}, but it has {len(e)} coordinates.")
    edges = np.linspace(0, np.pi, N_CELLS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    return edges, legendre(np.cos(middles), d, k)[k], np.sin(middles) ** (d - 2), e


def _pair(
    edges: NDArray,
    masses: Sequence[NDArray],
    n: int,
    e: NDArray,
    rng: np.random.Generator | int | None,
    group_size: int,
) -> tuple[NDArray, NDArray]:
    """Draw from both laws of the angle: independently, or in groups that share their randomness."""
    n = check_count(n, "n", minimum=0)
    group_size = check_group_size(group_size, n)
    rng = np.random.default_rng(rng)
    if group_size == 1:
        first, second = (
            _points(edges, mass, rng.random(n), _orthogonal(n, e, rng), e) for mass in masses
        )
    else:
        shifts = rng.random((n // group_size, 1))
        quantiles = ((np.arange(group_size) + shifts) / group_size).ravel()
        rest = np.repeat(_orthogonal(n // group_size, e, rng), group_size, axis=0)
        first, second = (_points(edges, mass, quantiles, rest, e) for mass in masses)
    return first, second


def _orthogonal(n: int, e: NDArray, rng: np.random.Generator) -> NDArray:
    """Draw uniform unit vectors orthogonal to e."""
    rest = rng.standard_normal((n, len(e)))
    rest -= (rest @ e)[:, None] * e
    return sphere.normalize(rest)


def _points(
    edges: NDArray, mass: NDArray, quantiles: NDArray, rest: NDArray, e: NDArray
) -> NDArray:
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    angle = np.interp(quantiles * cumulative[-1], cumulative, edges)[:, None]
    return np.cos(angle) * e + np.sin(angle) * rest
