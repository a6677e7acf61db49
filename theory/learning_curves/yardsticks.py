r"""Yardsticks of the active regime: the parametric oracle, and the bound for a ball of F1."""

import numpy as np
import sympy
from numpy.typing import ArrayLike

from .._checks import check_integer, check_sizes
from ..prediction import Prediction

_J, _d, _n, _alpha, _norm = sympy.symbols("J d n alpha norm", positive=True)

PARAMETRIC_ORACLE = Prediction(
    _J * _d / (2 * _n),
    "asymptotic",
    "maximum likelihood over the J d coordinates of w_j theta_j, n to infinity",
    "derived in lazyactive.theory.learning_curves.parametric_oracle",
    "parametric oracle",
)

F1_BOUND = Prediction(
    4 * _alpha * _norm / sympy.sqrt(_n),
    "upper bound",
    "maximum likelihood in a ball of F1 that contains the target; alpha >= 1",
    "derived in lazyactive.theory.learning_curves.f1_bound",
    "F1 bound",
)


def parametric_oracle(n_neurons: int, d: int, n: ArrayLike) -> np.ndarray | float:
    r"""Mean divergence of a maximum-likelihood fit that knows the number of neurons.

    A regular model with p parameters has mean divergence p/(2n) to leading order; J rectified
    neurons have the J d coordinates of :math:`w_j\theta_j` (Wilks' theorem).

    Parameters
    ----------
    n_neurons, d : int
        Number J of neurons (>= 1), ambient dimension (>= 2).
    n : array_like
        Numbers of samples, positive.
    """
    check_integer("n_neurons", n_neurons, 1)
    check_integer("d", d, 2)
    return PARAMETRIC_ORACLE(J=n_neurons, d=d, n=check_sizes(n))


def f1_bound(norm: float, n: ArrayLike, alpha: int = 1) -> np.ndarray | float:
    r"""Upper bound on the mean divergence of maximum likelihood in a ball of F1.

    Let the ball :math:`\{\|f\|_{F1}\le\beta\}` contain the target :math:`f^*`, and let
    :math:`\hat f` minimise :math:`L_n(f) = \int f d\nu_n + \log Z_f` over it. Since
    :math:`L_n(\hat f) \le L_n(f^*)`,

    .. math:: \mathrm{KL}(\nu\|\nu_{\hat f}) = L(\hat f) - L(f^*)
              \le \int \hat f\, d(\nu-\nu_n) + \int f^*\, d(\nu_n-\nu) .

    The last term has mean zero. The mean of the first is at most
    :math:`\beta\,E\sup_\theta|\int\sigma_\theta\,d(\nu-\nu_n)|`, because the ball is the closed
    convex hull of the functions :math:`\pm\beta\sigma_\theta`; symmetrisation by signs
    :math:`\varepsilon_i` bounds this by
    :math:`\frac{2\beta}n E\sup_\theta|\sum_i\varepsilon_i\sigma(\langle\theta,x_i\rangle)|`. On
    [-1, 1] the activation is alpha-Lipschitz and vanishes at 0, so the contraction principle for
    absolute values removes it at the price of :math:`2\alpha`, and
    :math:`E\sup_\theta|\langle\theta,\sum_i\varepsilon_i x_i\rangle| = E|\sum_i\varepsilon_i x_i|
    \le \sqrt n`:

    .. math:: E\,\mathrm{KL}(\nu\|\nu_{\hat f}) \le \frac{4\alpha\beta}{\sqrt n} .

    Parameters
    ----------
    norm : float
        Radius beta of the ball, at least the F1 norm :math:`\frac1J\sum_j|w_j|` of the target.
    n : array_like
        Numbers of samples, positive.
    alpha : int, default=1
        Power of the rectifier, at least 1: the step function is not Lipschitz.

    References
    ----------
    [domingoenrich2021ebm], section 4, with a larger constant; [bach2017breaking], appendix for the
    Rademacher complexity of F1.
    """
    check_integer("alpha", alpha, 1)
    if not 0 <= norm < np.inf:
        raise ValueError(f"norm must be a finite number >= 0, got {norm!r}.")
    return F1_BOUND(alpha=alpha, norm=norm, n=check_sizes(n))
