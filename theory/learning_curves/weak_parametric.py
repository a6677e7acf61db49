r"""A learner that knows that there is one neuron: its errors at weak energy, by every objective.

The d parameters are the coordinates of :math:`v = |w|^{1/\alpha}\theta`. To first order the error
of the energy is :math:`\sum_i \delta_i\psi_i` with the derivatives of the neuron in v: one along
:math:`\theta`, a multiple of :math:`\sigma(t)`, and d - 1 across, of :math:`\sigma'(t)\langle e,
x\rangle`. By symmetry they are orthogonal in every degree k, where their squared norms are in the
ratio of

.. math:: e_k = N(d,k)\,\mu_k \quad\text{along and}\quad
          e_k = \frac{k(k+d-2)}{d-1}\,N(d,k)\,\mu_k \quad\text{across.}

An objective that weighs the degrees by :math:`r_k`, all alike for likelihood and by the eigenvalues
:math:`\rho_k` of `kernels.Stein` for a kernel Stein discrepancy, is minimised at
:math:`\delta = \sum_k r_k \langle\psi, \varepsilon_k\rangle / \sum_k r_k e_k`, with noise of
variance 1/n in every harmonic. Hence (the sandwich formula)

.. math:: E\,\delta^2 = \frac{\sum_k r_k^2 e_k}{n\,(\sum_k r_k e_k)^2}, \qquad
          E\,\mathrm{KL} = \frac12\sum_i E\,\delta_i^2 \sum_k e_k, \qquad
          E\,\mathrm{KSD}^2 = \sum_i E\,\delta_i^2 \sum_k \rho_k e_k .

For likelihood KL is d/(2n), and :math:`\mathrm{KSD}^2` the trace of the inverse of Fisher's
information times the second derivative of the discrepancy. Neither depends on w. Derived here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._checks import check_integer, check_sizes
from ..activations import ReLUPower
from ..kernels import RBF, Kernel, Stein, eigenvalues
from ..sphere import log_harmonic_dimensions

OBJECTIVES = ("likelihood", "ksd")
# Beyond it Stein kernels see nothing: their eigenvalues fall at least as k^-d.
_MAX_DEGREE = 1024


class WeakParametric(NamedTuple):
    """Mean divergence, and mean squared kernel Stein discrepancy."""

    kl: np.ndarray | float
    ksd: np.ndarray | float


def weak_parametric(
    d: int,
    n: ArrayLike,
    objective: str = "likelihood",
    alpha: int = 1,
    base: Kernel | None = None,
) -> WeakParametric:
    """Mean errors of the best single neuron for data of one, at weak energy and large n.

    Parameters
    ----------
    d : int
        Ambient dimension, at least 2.
    n : array_like
        Numbers of samples, positive.
    objective : {"likelihood", "ksd"}
        What the learner minimises.
    alpha : int, default=1
        Power of the rectifier, at least 1.
    base : Kernel, default=RBF()
        Base kernel of the Stein discrepancy, trained by and measured alike.

    Returns
    -------
    WeakParametric
        Of floats or arrays of the shape of `n`.

    Raises
    ------
    ValueError
        If an argument is out of range, or the base kernel has no derivative at 1.

    Examples
    --------
    >>> from lazyactive.theory.learning_curves import weak_parametric
    >>> ratio = weak_parametric(15, 1000, "ksd").kl / weak_parametric(15, 1000).kl
    >>> print(f"{ratio:.2f}")
    1.68
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}.")
    d, n, alpha = check_integer("d", d, 2), check_sizes(n), check_integer("alpha", alpha, 1)
    rho = eigenvalues(Stein(RBF() if base is None else base), d, _MAX_DEGREE)
    norms = np.exp(
        ReLUPower(alpha).log_eigenvalues(d, _MAX_DEGREE) + log_harmonic_dimensions(d, _MAX_DEGREE)
    )
    # Moments of one coordinate t under tau: E t^(2 alpha - 2) and E t^(2 alpha).
    i = np.arange(alpha)
    lower = float(np.prod((2 * i[:-1] + 1) / (d + 2 * i[:-1])))
    upper = lower * (2 * alpha - 1) / (d + 2 * alpha - 2)
    # The whole squared norms: the variance of sigma, and the mean square of sigma' <e, x>.
    along = upper / 2 - norms[0]
    across = alpha**2 * (lower - upper) / (2 * (d - 1))
    k = np.arange(_MAX_DEGREE + 1)
    kl = ksd = 0.0
    for count, whole, e in (
        (1, along, norms[1:]),
        (d - 1, across, (k * (k + d - 2.0) / (d - 1) * norms)[1:]),
    ):
        once, twice = rho[1:] @ e, rho[1:] ** 2 @ e
        variance = 1 / whole if objective == "likelihood" else twice / once**2
        kl += count * variance * whole / 2
        ksd += count * variance * once
    return WeakParametric((kl / n)[()], (ksd / n)[()])
