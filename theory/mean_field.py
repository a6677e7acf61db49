r"""How networks of m particles fluctuate about their mean-field limit.

Particles :math:`(c_j, \theta_j)`, drawn independently from a law with the energy
:math:`f(x) = E\,c\,\sigma(\langle\theta, x\rangle)`, have an energy
:math:`f_m = \frac1m\sum_j c_j\sigma_{\theta_j}` that fluctuates about it:

.. math:: E\|f_m - f\|_{L^2(\tau)}^2
          &= \frac1m\left[E\,c^2\|\sigma_\theta\|^2 - \|f\|^2\right], \\
          E\,\mathrm{KL}(\nu_f\|\nu_{f_m})
          &= \frac1{2m}\left[E\,\mathrm{Var}_{\nu_f}(c\,\sigma_\theta)
          - \mathrm{Var}_{\nu_f} f\right] + O(m^{-2}),

the second because KL is half the variance of a small change of energy. The functions here return
the brackets: m times the first, and 2m times the second. Derived here; for the fluctuations of
trained networks, see [rotskoff2018neural]_.
"""

import numpy as np
from numpy.typing import ArrayLike

from ._checks import check_integer, check_positive
from .activations import ReLUPower
from .gibbs import PlantedGibbs


def energy_fluctuation(directions: ArrayLike, weights: ArrayLike, alpha: int = 1) -> float:
    r"""Return :math:`m\,E\|f_m - f\|^2` for particles drawn from J atoms with equal chances.

    Parameters
    ----------
    directions : array_like of shape (J, d)
        Unit vectors.
    weights : array_like of shape (J,)
        The c of each atom: :math:`f = \frac1J\sum_j c_j\sigma_{\theta_j}`.
    alpha : int, default=1
        Power of the activation, at least 0.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a shape is wrong or a direction is not a unit vector.
    """
    gibbs = PlantedGibbs(directions, weights, alpha)
    theta, c = gibbs.directions, gibbs.weights
    activation, d = ReLUPower(alpha), theta.shape[1]
    cosines = np.clip(theta @ theta.T, -1, 1)
    gram = np.array([[float(activation.kernel(u, d)) for u in row] for row in cosines])
    return float(np.mean(c**2 * np.diag(gram)) - c @ gram @ c / len(c) ** 2)


def kl_fluctuation(directions: ArrayLike, weights: ArrayLike, alpha: int = 1) -> float:
    r"""Return the limit of :math:`2m\,E\,\mathrm{KL}(\nu_f\|\nu_{f_m})`, for the same particles.

    Parameters
    ----------
    directions, weights, alpha
        As for `energy_fluctuation`; the directions span at most three dimensions.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a shape is wrong, a direction is not a unit vector, or they span more than three
        dimensions.
    """
    gibbs = PlantedGibbs(directions, weights, alpha)
    return float(np.mean(gibbs.weights**2 * gibbs.var_features()) - gibbs.var_energy())


def initial_fluctuations(d: int, variance: float = 1.0, alpha: int = 1) -> tuple[float, float]:
    r"""Both brackets at a random initialization: uniform directions, and c of mean zero.

    There f = 0, and with the second moment :math:`\kappa(1)` of a feature and its mean
    :math:`\lambda_0` they are :math:`s^2\kappa(1)` and :math:`s^2(\kappa(1) - \lambda_0^2)`.

    Parameters
    ----------
    d : int
        Ambient dimension, at least 2.
    variance : float
        :math:`s^2 = E c^2`.
    alpha : int, default=1
        Power of the activation, at least 0.

    Returns
    -------
    energy, kl : float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    d, variance = check_integer("d", d, 2), check_positive("variance", variance)
    activation = ReLUPower(alpha)
    second = float(activation.kernel(1.0, d))
    mean = float(activation.coefficients(d, 0)[0])
    return variance * second, variance * (second - mean**2)
