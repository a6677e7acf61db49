r"""Points on great circles through an axis: means under tau of functions that peak at its ends.

On a great circle through e, :math:`x = \cos\varphi\, e + \sin\varphi\, w` with a uniform w
orthogonal to e, the angle has under tau a density proportional to :math:`|\sin\varphi|^{d-2}`: a
function :math:`h` has

.. math:: E_\tau h = E_w \frac{1}{2\pi}\int h(x)\,\omega(\varphi)\,d\varphi , \qquad
          \omega = \frac{|\sin\varphi|^{d-2}}{c} , \quad
          c = \frac{\Gamma(\frac{d-1}{2})}{\sqrt\pi\,\Gamma(\frac d2)} .

Equidistant angles with a random shift make the mean over a circle unbiased, and exact for
trigonometric polynomials of a degree below their number; for even d :math:`\omega` is one.
Uniform points hardly ever come near the ends of the axis where d is large; these are as dense there
as elsewhere on the circle. Derived here.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import sphere
from ._checks import check_count, check_sphere

__all__ = ["great_circles"]


def great_circles(
    n_circles: int,
    n_angles: int,
    axis: ArrayLike,
    rng: np.random.Generator | int | None = None,
) -> tuple[NDArray, NDArray]:
    r"""Draw independent great circles, with equidistant points on each.

    Parameters
    ----------
    n_circles : int
        Independent groups of points.
    n_angles : int
        Points of a circle, consecutive rows. Above k + d - 2 the mean over a circle is exact for
        polynomials of degree k if d is even, and nearly so if it is odd.
    axis : array_like of shape (d,)
        The unit vector e.
    rng : numpy.random.Generator or int, optional

    Returns
    -------
    X : ndarray of shape (n_circles * n_angles, d)
    weights : ndarray of shape (n_circles * n_angles,)
        The density :math:`\omega` of tau with respect to the law of the points: the mean of
        ``weights * h(X)`` is unbiased for :math:`E_\tau h`.

    Raises
    ------
    ValueError
        If a number is not positive, or the axis is not a unit vector.
    """
    n_circles, n_angles = check_count(n_circles, "n_circles"), check_count(n_angles, "n_angles")
    e = check_sphere(np.atleast_2d(axis), "axis")[0]
    d, rng = len(e), np.random.default_rng(rng)
    w = rng.standard_normal((n_circles, 1, d))
    w = sphere.normalize(w - (w @ e)[..., None] * e)
    angle = 2 * np.pi / n_angles * (np.arange(n_angles) + rng.random((n_circles, 1)))
    sine = np.sin(angle)
    X = np.cos(angle)[..., None] * e + sine[..., None] * w
    c = math.exp(math.lgamma((d - 1) / 2) - math.lgamma(d / 2)) / math.sqrt(math.pi)
    return X.reshape(-1, d), (np.abs(sine) ** (d - 2) / c).ravel()
