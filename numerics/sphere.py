r"""The unit sphere S^{d-1} in R^d: uniform samples, tangents, geodesics.

``d`` is the ambient dimension and ``tau`` the uniform probability measure.
Points are rows: arrays are ``(n, d)``.
"""

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = [
    "append_constant",
    "distance",
    "exponential",
    "logarithm",
    "normalize",
    "orthogonal_uniform",
    "tangent",
    "uniform",
]


def normalize(X: NDArray) -> NDArray:
    """Divide each row by its Euclidean norm."""
    return X / np.linalg.norm(X, axis=-1, keepdims=True)


def _check_size(n: int, d: int) -> None:
    if n < 0:
        raise ValueError(f"n must be a non-negative number of points, but is {n}.")
    if d < 2:
        raise ValueError(f"d must be an ambient dimension of at least 2, but is {d}.")


def uniform(
    n: int,
    d: int,
    rng: np.random.Generator | np.random.SeedSequence | int | None = None,
    dtype: DTypeLike = np.float64,
) -> NDArray:
    """Draw independent points from tau.

    Parameters
    ----------
    n : int
        Number of points.
    d : int
        Ambient dimension, at least 2.
    rng : numpy.random.Generator, SeedSequence or int, optional
        Source of randomness.
    dtype : numpy dtype
        Type of the result; the arithmetic is float64.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If ``n < 0`` or ``d < 2``.
    """
    _check_size(n, d)
    X = np.random.default_rng(rng).standard_normal((n, d))
    return normalize(X).astype(dtype, copy=False)


def orthogonal_uniform(
    n: int,
    d: int,
    rng: np.random.Generator | np.random.SeedSequence | int | None = None,
    dtype: DTypeLike = np.float64,
) -> NDArray:
    r"""Draw points from tau in randomly rotated cross-polytopes.

    Each group of 2d consecutive points is ``{+-q_1, ..., +-q_d}`` for a Haar-distributed
    orthonormal basis ``q``. Every single point is uniform, so means over the sample are unbiased,
    and the group integrates every polynomial of degree at most 3 exactly: the Monte-Carlo error
    of degrees 1 to 3 is gone [yu2016orthogonal]_. If ``2d`` does not divide ``n``, the last group
    is cut short.

    Parameters
    ----------
    n, d, rng, dtype
        As in :func:`uniform`.

    Returns
    -------
    ndarray of shape (n, d)
    """
    _check_size(n, d)
    rng = np.random.default_rng(rng)
    n_groups = -(-n // (2 * d))
    gaussian = rng.standard_normal((n_groups, d, d))
    q, r = np.linalg.qr(gaussian)
    # QR alone is not Haar: the signs of R's diagonal must be moved into Q.
    signs = np.sign(np.diagonal(r, axis1=1, axis2=2))
    frames = np.swapaxes(q * signs[:, None, :], 1, 2)
    X = np.stack([frames, -frames], axis=1).reshape(-1, d)[:n]
    return X.astype(dtype, copy=False)


def append_constant(X: NDArray) -> NDArray:
    r"""Lift points of the sphere of R^d to the sphere of R^{d+1}: ``(x, 1) / sqrt(2)``, rowwise.

    A neuron on the lifted points is one with a bias on the points themselves. The images lie on a
    parallel of latitude, and those of a sample of tau are not uniform on the larger sphere.
    """
    constant = np.ones((*X.shape[:-1], 1), X.dtype)
    return np.concatenate([X, constant], axis=-1) / np.sqrt(X.dtype.type(2))


def tangent(X: NDArray, v: NDArray) -> NDArray:
    """Project vectors ``v`` onto the tangent spaces at ``X``: ``v - <x, v> x``, rowwise."""
    return v - np.sum(X * v, axis=-1, keepdims=True) * X


def exponential(X: NDArray, v: NDArray) -> NDArray:
    """Follow the geodesic from ``x`` with initial tangent ``v`` for unit time.

    ``exp_x(v) = cos(r) x + sin(r) v / r`` with ``r = |v|``; rows of shape (n, d).
    """
    r = np.linalg.norm(v, axis=-1, keepdims=True)
    # np.sinc(r / pi) is sin(r) / r without the hole at zero.
    return normalize(np.cos(r) * X + np.sinc(r / np.pi) * v)


def logarithm(X: NDArray, Y: NDArray) -> NDArray:
    """Invert :func:`exponential`: the shortest tangent at ``x`` that leads to ``y``.

    Antipodal points have no unique logarithm; the result there is not defined.
    """
    v = tangent(X, Y)
    sine = np.linalg.norm(v, axis=-1, keepdims=True)
    cosine = np.sum(X * Y, axis=-1, keepdims=True)
    r = np.arctan2(sine, cosine)
    return v / np.where(sine > 0, sine, 1.0) * r


def distance(X: NDArray, Y: NDArray) -> NDArray:
    """Geodesic distance (the angle, accurate near 0 and pi) between rows: shape (n,)."""
    return 2 * np.arctan2(np.linalg.norm(X - Y, axis=-1), np.linalg.norm(X + Y, axis=-1))
