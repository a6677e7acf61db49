r"""The arc-cosine kernels: inner products of random features under tau."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["arc_cosine"]


def arc_cosine(cosine: NDArray, d: int, alpha: int) -> NDArray:
    r"""Return :math:`E_\tau[\sigma(\langle x, \theta\rangle)\,\sigma(\langle x, \theta'\rangle)]`.

    With the angle phi between the neurons and :math:`u = \cos\varphi`, Gaussian features give
    :math:`J_\alpha(\varphi)/2\pi` [cho2009kernel]_; on the sphere this is divided by
    :math:`E|g|^{2\alpha} = d (d + 2) \cdots (d + 2\alpha - 2)`.

    Parameters
    ----------
    cosine : ndarray
        Inner products of unit neurons; rounding beyond [-1, 1] is cut.
    d : int
        Ambient dimension.
    alpha : {0, 1, 2, 3}

    Returns
    -------
    ndarray of the same shape
    """
    u = np.clip(cosine, -1.0, 1.0)
    rest = np.pi - np.arccos(u)
    sine = np.sqrt(1 - u * u)
    if alpha == 0:
        angular = rest
    elif alpha == 1:
        angular = sine + rest * u
    elif alpha == 2:
        angular = 3 * sine * u + rest * (1 + 2 * u * u)
    else:
        angular = sine * (4 + 11 * u * u) + rest * (9 * u + 6 * u**3)
    return angular / (2 * np.pi * np.prod([d + 2.0 * i for i in range(alpha)]))
