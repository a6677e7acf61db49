r"""Zonal kernels as functions of the cosine :math:`u = \langle x, y\rangle`.

Each takes an array of cosines and returns an array of the same shape, of the same type if that is
wider than float64; rounding beyond [-1, 1] is cut.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["arc_cosine", "laplace", "leaky_relu", "neural_tangent", "rbf", "stein_rbf"]


def arc_cosine(cosine: ArrayLike, d: int, alpha: int) -> NDArray:
    r"""Return :math:`E_\tau[\sigma(\langle x, \theta\rangle)\,\sigma(\langle y, \theta\rangle)]`.

    With :math:`u = \cos\varphi`, Gaussian features give :math:`J_\alpha(\varphi)/2\pi`
    [cho2009kernel]_; on the sphere this is divided by
    :math:`E|g|^{2\alpha} = d (d + 2) \cdots (d + 2\alpha - 2)`.

    Parameters
    ----------
    cosine : array_like
        Inner products of unit vectors.
    d : int
        Ambient dimension.
    alpha : {0, 1, 2, 3}
    """
    u, sine, rest = _angle(cosine)
    if alpha == 0:
        angular = rest
    elif alpha == 1:
        angular = sine + rest * u
    elif alpha == 2:
        angular = 3 * sine * u + rest * (1 + 2 * u * u)
    else:
        angular = sine * (4 + 11 * u * u) + rest * (9 * u + 6 * u**3)
    return angular / (2 * np.pi * np.prod([d + 2.0 * i for i in range(alpha)]))


def leaky_relu(cosine: ArrayLike, d: int, a: float, b: float, alpha: int = 1) -> NDArray:
    r"""Kernel of uniform features :math:`a\,\sigma(t) + b\,\sigma(-t)`, sigma as `arc_cosine`'s.

    The two halves of a feature never act together, so the cross term pairs x with -y.
    """
    u = np.asarray(cosine)
    return (a * a + b * b) * arc_cosine(u, d, alpha) + 2 * a * b * arc_cosine(-u, d, alpha)


def neural_tangent(cosine: ArrayLike, depth: int = 2) -> NDArray:
    """Tangent kernel of a ReLU network with `depth` layers of weights, equal to `depth` at 1.

    The recursion of [jacot2018ntk]_ with He's initialisation: the covariance s of a layer becomes
    kappa_1(s), and the tangent kernel k becomes k kappa_0(s) + kappa_1(s). ``depth=1`` is linear.
    """
    u, sine, rest = _angle(cosine)
    covariance, tangent = u, u
    for _ in range(depth - 1):
        following = (sine + rest * covariance) / np.pi
        tangent = tangent * rest / np.pi + following
        covariance, sine, rest = _angle(following)
    return tangent


def rbf(cosine: ArrayLike, scale: float = 1.0) -> NDArray:
    r"""Return :math:`\exp(-\|x-y\|^2 / 2 s^2)`, that is :math:`\exp(-(1-u)/s^2)`."""
    return np.exp((_cosine(cosine) - 1) / scale**2)


def laplace(cosine: ArrayLike, rate: float = 1.0) -> NDArray:
    r"""Return :math:`\exp(-c \|x-y\|)`, where :math:`\|x-y\|^2 = 2 (1 - u)`."""
    return np.exp(-rate * np.sqrt(2 * (1 - _cosine(cosine))))


def stein_rbf(cosine: ArrayLike, d: int, scale: float = 1.0) -> NDArray:
    r"""Kernel of the squared Stein discrepancy of a perturbed uniform law, for an RBF kernel.

    The Stein operator of tau takes a field h to :math:`\mathrm{div}_S h - (d-1)\langle x,
    h\rangle`. Applied to :math:`\kappa(\langle x,y\rangle) I` in both arguments it leaves

    .. math:: (d-1)^2 u\kappa + (d-1)\kappa' - (1-u^2)\left[(2d-1)\kappa' + u\kappa''\right] ,

    derived here, and :math:`\kappa' = \kappa/s^2, \kappa'' = \kappa/s^4`.
    """
    u = _cosine(cosine)
    z = scale**-2.0
    outer = (1 - u) * (1 + u)
    factor = (d - 1) ** 2 * u + (d - 1) * z - outer * ((2 * d - 1) * z + u * z * z)
    return factor * rbf(u, scale)


def _cosine(cosine: ArrayLike) -> NDArray:
    u = np.asarray(cosine)
    return np.clip(u.astype(np.promote_types(u.dtype, np.float64), copy=False), -1, 1)


def _angle(cosine: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """Return u cut to [-1, 1], the sine of its angle phi, and pi - phi."""
    u = _cosine(cosine)
    return u, np.sqrt((1 - u) * (1 + u)), np.arccos(-u)
