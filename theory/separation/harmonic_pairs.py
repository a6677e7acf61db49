r"""Pairs on the sphere that differ by one harmonic, :math:`P_k(\langle x, e\rangle)`.

By the Funk–Hecke formula the mean of a neuron :math:`\sigma(\langle\theta, x\rangle)` under the
difference :math:`\nu - \mu = g P_k \tau` is :math:`g\lambda_k P_k(\langle\theta, e\rangle)`.
For F1 the largest counts, at :math:`\theta = \pm e`; for F2 the root mean square, and
:math:`E P_k^2 = 1/N(d, k)`. So their ratio is :math:`\sqrt{N(d,k)}` for every activation.

* Positive parts: :math:`\nu \propto (P_k)_+`, :math:`\mu \propto (P_k)_-`, of disjoint supports;
  :math:`g = 1/c_k` with :math:`c_k = \frac12 E_\tau|P_k|`.
* Smooth: :math:`(1 \pm \gamma P_k)\tau`, :math:`g = 2\gamma`.

The activation is :math:`\sigma(t) = a\max(t,0)^\alpha + b\max(-t,0)^\alpha`, whose coefficients are
:math:`(a + (-1)^k b)\lambda_k`. The pairs are those of [domingoenrich2021separation]_, which has
bounds; the values are derived here.
"""

import math

import numpy as np
from scipy.special import roots_legendre

from .._checks import check_integer, check_positive, check_sizes
from ..activations import ReLUPower
from ..function_spaces import mean_abs_legendre
from ..sphere import legendre_roots, legendre_values, log_harmonic_dimensions
from ..stein_discrepancies import f1_stein

_N_NODES = 200
# Degrees up to which the mean embedding of a positive part is summed, beyond its own.
_MORE_DEGREES = 100


def ipm(k: int, d: int, a: float = 1, b: float = 0, alpha: int = 1) -> tuple[float, float]:
    r"""F1 and F2 distances of the positive-part pair.

    .. math:: d_{F1} = |a + (-1)^k b|\,|\lambda_k| / c_k, \qquad d_{F2} = d_{F1}/\sqrt{N(d,k)} .

    Parameters
    ----------
    k, d : int
        Degree (>= 1) and ambient dimension (>= 2).
    a, b : float
        Slopes of the activation on the two sides.
    alpha : int, default=1
        Power of the activation, at least 0.

    Returns
    -------
    f1, f2 : float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    k = check_integer("k", k, 1)
    return _distances(2 / mean_abs_legendre(k, d), k, d, a, b, alpha)


def smooth_ipm(
    k: int, d: int, gamma: float = 1, a: float = 1, b: float = 0, alpha: int = 1
) -> tuple[float, float]:
    r"""F1 and F2 distances of the pair of densities :math:`1 \pm \gamma P_k`.

    Parameters
    ----------
    k, d : int
        Degree (>= 1) and ambient dimension (>= 2).
    gamma : float
        In (0, 1].
    a, b, alpha
        As for `ipm`.

    Returns
    -------
    f1, f2 : float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if check_positive("gamma", gamma) > 1:
        raise ValueError(f"gamma must be at most 1 for a density, got {gamma!r}.")
    return _distances(2 * gamma, check_integer("k", k, 1), d, a, b, alpha)


def stein(k: int, d: int, gamma: float = 1, alpha: int = 1) -> tuple[float, float]:
    r"""F1 and F2 Stein discrepancies of :math:`\propto e^{\gamma P_k}` for uniform data.

    With :math:`\lambda = \lambda_k^{(\alpha+1)}` of the activation with one more power, over fields
    of total variation 1 as a whole (the vector-valued ball), and over F2,

    .. math:: SD_{F1} = \gamma\,|\lambda| \frac{k(k+d-2)}{\alpha+1} \quad (k > \alpha), \qquad
       SD_{F2}^2 = \gamma^2 \frac{\lambda^2}{(\alpha+1)^2}
                   \frac{k(k+d-2)\left[k(k+d-2) + (d-1+\alpha)^2\right]}{N(d,k)} ,

    the first at :math:`\theta = e`. For :math:`k \le \alpha` the maximum can lie elsewhere, and is
    searched (`theory.stein_discrepancies.f1_stein`, which also has the ball with total variation 1
    for each coordinate; that is at least as large).

    Parameters
    ----------
    k, d : int
        Degree (>= 1) and ambient dimension (>= 2).
    gamma : float
        Positive.
    alpha : int, default=1
        Power of the activation of the fields, at least 1.

    Returns
    -------
    f1, f2 : float
        Zero where :math:`\lambda` is: k > alpha + 1 with k - alpha even.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    k, d = check_integer("k", k, 1), check_integer("d", d, 2)
    gamma, alpha = check_positive("gamma", gamma), check_integer("alpha", alpha, 1)
    laplacian = k * (k + d - 2)
    coefficient = abs(ReLUPower(alpha + 1).coefficients(d, k)[k])
    size = gamma * float(coefficient) / (alpha + 1)
    root = math.exp(log_harmonic_dimensions(d, k)[k] / 2)
    f2 = size * math.sqrt(laplacian * (laplacian + (d - 1 + alpha) ** 2)) / root
    f1 = size * laplacian if k > alpha else f1_stein(-gamma * np.eye(k + 1)[k], d, alpha)
    return f1, f2


def ipm_plug_in(k: int, d: int, n: float, a: float = 1, b: float = 0, alpha: int = 1) -> float:
    r"""Root mean square of the F2 distance of two samples of n points of the positive-part pair.

    With the mean embeddings m of the two measures in F2, and :math:`\kappa(1) = E_\tau\sigma^2`,

    .. math:: E\,\hat d^2 = d_{F2}^2 + \frac{2\kappa(1) - \|m_\nu\|^2 - \|m_\mu\|^2}{n} .

    Parameters
    ----------
    k, d : int
    n : float
        Number of points of each sample.
    a, b, alpha
        As for `ipm`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    _, f2 = ipm(k, d, a, b, alpha)
    check_sizes(n)
    max_degree = k + _MORE_DEGREES
    squares = np.exp(ReLUPower(alpha).log_eigenvalues(d, max_degree))
    squares *= (a + b * (-1.0) ** np.arange(max_degree + 1)) ** 2
    squares *= np.exp(log_harmonic_dimensions(d, max_degree))
    t, parts = positive_parts(k, d)
    values = legendre_values(t, d, max_degree)
    embedded = sum(float(squares @ (values @ part) ** 2) for part in parts)
    diagonal = (a**2 + b**2) * float(ReLUPower(alpha).kernel(1.0, d))
    return math.sqrt(f2**2 + (2 * diagonal - embedded) / n)


def _distances(
    factor: float, k: int, d: int, a: float, b: float, alpha: int
) -> tuple[float, float]:
    if not (math.isfinite(a) and math.isfinite(b)):
        raise ValueError(f"a and b must be finite, got {a!r} and {b!r}.")
    coefficient = ReLUPower(alpha).coefficients(d, k)[k]
    f1 = factor * abs(a + (-1) ** k * b) * abs(float(coefficient))
    return f1, f1 * math.exp(-log_harmonic_dimensions(d, k)[k] / 2)


def positive_parts(k: int, d: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Nodes t, and the weights at them that integrate under each part."""
    nodes, node_weights = roots_legendre(_N_NODES)
    # Between neighbouring roots everything is smooth in the angle.
    edges = np.concatenate([[0.0], np.arccos(legendre_roots(k, d))[::-1], [np.pi]])
    half = np.diff(edges)[:, None] / 2
    t = np.cos(edges[:-1, None] + half * (1 + nodes)).ravel()
    # The constant of the density drops out.
    mass = (half * node_weights).ravel() * (1 - t**2) ** ((d - 2) / 2)
    parts = [np.maximum(sign * legendre_values(t, d, k)[k], 0) * mass for sign in (1, -1)]
    return t, [part / part.sum() for part in parts]
