r"""Samples that a permutation test of the F2 distance needs to tell the positive-part pair.

The U-statistic of two samples of n points has the mean :math:`d_{F2}^2`. Where the two laws are
nearly one, it is a degenerate quadratic form, of variance

.. math:: \frac{8}{n^2}\,E\kappa_c(x, x')^2 ,

with the arc-cosine kernel centred under the pooled law, :math:`\propto |P_k|`. Away from that the
mean embeddings add :math:`\frac{4}{n} g^2\mu_k^2 (\mathrm{Var}_\nu P_k + \mathrm{Var}_\mu P_k)`,
with the kernel's eigenvalue :math:`\mu_k` and :math:`\nu - \mu = g P_k\tau`. A sum of many squares
is compared with a chi-square variable of as many degrees of freedom as give it the same skewness,
those of uniform points. Derived here; approximate, as the laws of two moments are.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import roots_legendre
from scipy.stats import chi2, norm

from .._checks import check_integer
from ..activations import ReLUPower
from ..function_spaces import mean_abs_legendre
from ..sphere import legendre_values, log_harmonic_dimensions
from .harmonic_pairs import ipm, positive_parts

_N_NODES = 400
_MAX_DEGREE = 60


def f2_detection_size(
    k: int, d: int, alpha: int = 1, level: float = 0.05, power: float = 0.8
) -> float:
    """Return the number of points of each sample at which the test has the given power.

    Parameters
    ----------
    k, d : int
        Degree (>= 1) and ambient dimension (>= 2).
    alpha : int, default=1
        Power of the activation, at least 0.
    level, power : float
        In (0, 1); of false and of right rejections, the second larger.

    Returns
    -------
    float
        Infinite where the activation has no part of degree k.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    k = check_integer("k", k, 1)
    if not 0 < level < power < 1:
        raise ValueError(f"0 < level < power < 1 is needed, got level {level} and power {power}.")
    square = ipm(k, d, alpha=alpha)[1] ** 2
    if square == 0:
        return math.inf
    noise = math.sqrt(8 * centred_square(k, d, alpha))
    eigenvalues = np.exp(ReLUPower(alpha).log_eigenvalues(d, _MAX_DEGREE))[1:]
    dimensions = np.exp(log_harmonic_dimensions(d, _MAX_DEGREE))[1:]
    freedom = (dimensions @ eigenvalues**2) ** 3 / (dimensions @ eigenvalues**3) ** 2
    threshold = (float(chi2.ppf(1 - level, freedom)) - freedom) / math.sqrt(2 * freedom)
    t, parts = positive_parts(k, d)
    P = legendre_values(t, d, k)[k]
    spread = sum(float(P**2 @ part - (P @ part) ** 2) for part in parts)
    factor = 2 / mean_abs_legendre(k, d)
    linear = 4 * (factor * float(eigenvalues[k - 1])) ** 2 * spread
    quantile = float(norm.ppf(power))

    def excess(log_n: float) -> float:
        """Mean less threshold, over the standard deviation, less the normal quantile."""
        n = math.exp(log_n)
        deviation = math.sqrt(noise**2 / n**2 + linear / n)
        return (square - threshold * noise / n) / deviation - quantile

    crossing = math.log(noise / square)
    return math.exp(brentq(excess, crossing - 10, crossing + 10))


def centred_square(k: int, d: int, alpha: int = 1) -> float:
    r"""Return :math:`E\kappa_c(x, x')^2`, for independent points of density :math:`\propto |P_k|`.

    With :math:`\kappa^2 = \sum_l b_l P_l`, :math:`\kappa = \sum_l a_l P_l` and the means
    :math:`p_l` of the Legendre polynomials,

    .. math:: E\kappa_c^2 = \sum_l b_l p_l^2 - 2 E\Big(\sum_l a_l p_l P_l\Big)^2
              + \Big(\sum_l a_l p_l^2\Big)^2 .
    """
    t, parts = positive_parts(k, d)
    pooled = (parts[0] + parts[1]) / 2
    values = legendre_values(t, d, _MAX_DEGREE)
    means = values @ pooled
    dimensions = np.exp(log_harmonic_dimensions(d, _MAX_DEGREE))
    of_kernel = dimensions * np.exp(ReLUPower(alpha).log_eigenvalues(d, _MAX_DEGREE))
    embedding = (of_kernel * means) @ values
    # The square of the kernel is smooth in the angle.
    nodes, weights = roots_legendre(_N_NODES)
    angle = np.pi / 2 * (nodes + 1)
    tau = weights * np.sin(angle) ** (d - 2)
    at_nodes = legendre_values(np.cos(angle), d, _MAX_DEGREE)
    of_square = dimensions * (at_nodes @ ((of_kernel @ at_nodes) ** 2 * tau)) / tau.sum()
    return float(of_square @ means**2 - 2 * (embedding**2 @ pooled) + (of_kernel @ means**2) ** 2)
