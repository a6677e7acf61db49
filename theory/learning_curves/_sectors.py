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

import numpy as np

from ..gibbs_quadrature import radial_rule
from ..sphere import harmonic_dimension


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
    # A panel of 2 / sqrt(curvature) is one of six radians of a polynomial of this degree.
    rho, log_probability = radial_rule(d, 1, strength + max_degree**2 / 9)
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
