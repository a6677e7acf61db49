r"""Exact samples of pairs of densities that differ by one harmonic, without rejection.

The densities with respect to tau are functions of :math:`t = \langle x, e\rangle`: the normalized
positive and negative parts of the Legendre polynomial :math:`P_k(t)`, of disjoint supports, or
:math:`1 \pm \gamma P_k(t)` [domingoenrich2021separation]_. Under tau the angle of t has a density
proportional to :math:`\sin^{d-2}`; the law of the angle is inverted, and what is orthogonal to e is
uniform. A draw costs the same in every dimension.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import sphere
from ._checks import check_count, check_sphere
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

    Returns
    -------
    X, Y : ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If an argument is out of range, or the axis is not a unit vector of R^d.
    """
    rng = np.random.default_rng(rng)
    angle, values, mass, e = _cells(k, d, axis)
    first, second = (
        _sample(angle, np.maximum(sign * values, 0) * mass, n, e, rng) for sign in (1, -1)
    )
    return first, second


def smooth(
    k: int,
    d: int,
    n: int,
    gamma: float = 1.0,
    rng: np.random.Generator | int | None = None,
    axis: ArrayLike | None = None,
) -> tuple[NDArray, NDArray]:
    r"""Draw from :math:`(1 + \gamma P_k)\tau` and :math:`(1 - \gamma P_k)\tau`.

    Parameters
    ----------
    k, d, n, rng, axis
        As for `positive_parts`.
    gamma : float
        In [0, 1].

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
    rng = np.random.default_rng(rng)
    angle, values, mass, e = _cells(k, d, axis)
    first, second = (
        _sample(angle, (1 + sign * gamma * values) * mass, n, e, rng) for sign in (1, -1)
    )
    return first, second


def _cells(k: int, d: int, axis: ArrayLike | None) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return the angles of the edges, P_k and the mass of tau at the middles, and the axis."""
    k, d = check_count(k, "k"), check_count(d, "d", minimum=2)
    e = np.eye(d)[-1] if axis is None else check_sphere(np.atleast_2d(axis), "axis")[0]
    if len(e) != d:
        raise ValueError(f"axis must be a vector of R^{d}, but it has {len(e)} coordinates.")
    edges = np.linspace(0, np.pi, N_CELLS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    return edges, legendre(np.cos(middles), d, k)[k], np.sin(middles) ** (d - 2), e


def _sample(edges: NDArray, mass: NDArray, n: int, e: NDArray, rng: np.random.Generator) -> NDArray:
    n = check_count(n, "n", minimum=0)
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    angle = np.interp(rng.random(n) * cumulative[-1], cumulative, edges)[:, None]
    rest = rng.standard_normal((n, len(e)))
    rest -= (rest @ e)[:, None] * e
    return np.cos(angle) * e + np.sin(angle) * sphere.normalize(rest)
