r"""Norms of the active space F1 and of the lazy space F2, and the distance from one to the other.

Both spaces hold the functions :math:`f(x) = \int \sigma(\langle x, \theta\rangle)\,d\gamma(\theta)`
on :math:`S^{d-1}` with :math:`\sigma(t) = \max(t, 0)^\alpha`. The F1 norm is the least total
variation of such a gamma, the F2 norm the least :math:`L_2(\tau)` norm of its density
([bach2017breaking], section 2). By Funk and Hecke gamma acts degree by degree,
:math:`f_k = \lambda_k \gamma_k`, hence

.. math:: \|f\|_{F2}^2 = \sum_{\lambda_k \ne 0} \|f_k\|^2 / \lambda_k^2 ,

infinite if f has mass on a degree with :math:`\lambda_k = 0`, and :math:`\|f\|_{F1} \le
\|f\|_{F2}`. All degrees k with k - alpha odd have :math:`\lambda_k \ne 0`; of the others only
:math:`k \le \alpha` do. So one parity class of gamma is determined by f, and of the other class
only finitely many degrees are.
"""

import math

import mpmath
import numpy as np
import sympy
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp

from ._checks import check_integer
from .activations import ReLUPower
from .prediction import Prediction
from .sphere import legendre_roots, legendre_values, log_dimension, log_harmonic_dimensions

# The largest degree bounds the memory: 100 MB.
_MIN_DEGREE, _MAX_DEGREE = 1000, 2**22
_N_TAIL_NODES = 40

_delta, _K = sympy.symbols("delta K", positive=True)


def neuron_f1_norm(alpha: int = 1) -> Prediction:
    r"""F1 norm of one neuron :math:`\sigma(\langle x, \theta_0\rangle)`: exactly 1.

    The Dirac measure at :math:`\theta_0` has total variation 1. Any other gamma that represents the
    neuron agrees with it on every degree k with k - alpha odd, so their parts of this parity are
    equal. That of the Dirac measure is :math:`\frac12(\delta_{\theta_0} \pm \delta_{-\theta_0})`,
    of total variation 1, and to take a part (half of a measure plus or minus its reflection) never
    increases the total variation.

    Parameters
    ----------
    alpha : int, default=1
        Power of the rectifier, at least 0.
    """
    return Prediction(
        sympy.Integer(1),
        "exact",
        f"one neuron of output weight 1, alpha = {ReLUPower(alpha).alpha}, every d >= 2",
        "derived in lazyactive.theory.function_spaces.neuron_f1_norm",
        "F1 norm of a neuron",
    )


def neuron_f2_norm_partial(d: int, max_degree: int, alpha: int = 1) -> int:
    r"""Squared F2 norm of one neuron up to `max_degree`; it diverges, so the norm is infinite.

    A neuron has :math:`\|f_k\|^2 = \lambda_k^2 N(d, k)`, so every degree with
    :math:`\lambda_k \ne 0` contributes N(d, k). Over the degrees of one parity,
    :math:`N(d, k) = \binom{k+d-1}{d-1} - \binom{k+d-3}{d-1}` telescopes.

    Parameters
    ----------
    d, max_degree, alpha : int
        Ambient dimension (>= 2), largest degree (>= 0), power of the rectifier (>= 0).
    """
    d, max_degree = check_integer("d", d, 2), check_integer("max_degree", max_degree, 0)
    alpha = ReLUPower(alpha).alpha
    last_odd = max_degree - (max_degree - alpha + 1) % 2
    last_even = min(max_degree, alpha) - (min(max_degree, alpha) - alpha) % 2
    return sum(math.comb(k + d - 1, d - 1) for k in (last_odd, last_even) if k >= 0)


def neuron_f2_norm_growth(d: int) -> Prediction:
    """Growth of `neuron_f2_norm_partial` with the largest degree, the symbol `K`; any alpha.

    It is half the dimension of all harmonics up to degree K: one parity class counts.
    """
    d = check_integer("d", d, 2)
    return Prediction(
        _K ** (d - 1) / sympy.factorial(d - 1),
        "asymptotic",
        f"d = {d}, K to infinity",
        "derived in lazyactive.theory.function_spaces.neuron_f2_norm_partial",
        "squared F2 norm of a neuron up to degree K",
    )


def mean_abs_legendre(k: int, d: int) -> float:
    r"""Mean :math:`\int |P_k(\langle x, e\rangle)|\,d\tau(x)`, from the roots of the polynomial.

    The differential equation :math:`((1-t^2)^{(d-1)/2} P_k')' = -k(k+d-2)(1-t^2)^{(d-3)/2} P_k`
    integrates :math:`P_k` between its roots :math:`t_i`, and :math:`P_k' = \frac{k(k+d-2)}{d-1}
    P_{k-1,d+2}`:

    .. math:: \int |P_k|\,d\tau = \frac{2 c_d}{d-1} \sum_i (1-t_i^2)^{(d-1)/2} |P_{k-1,d+2}(t_i)| .

    Each term is stationary at its root, so that an error of the root enters only squared.

    Parameters
    ----------
    k, d : int
        Degree (>= 0) and ambient dimension (>= 2).

    Returns
    -------
    float
        To a relative error of 1e-12, unless the terms, of size N(d, k)**(-1/2), underflow.

    References
    ----------
    [atkinson2012spherical], sections 2.6 and 2.7, for the equation and the derivative.
    """
    k, d = check_integer("k", k, 0), check_integer("d", d, 2)
    if k == 0:
        return 1.0
    if d == 2:  # P_k(cos phi) = cos(k phi)
        return 2 / math.pi
    roots = legendre_roots(k, d)
    derivatives = np.abs(legendre_values(roots, d + 2, k - 1)[k - 1])
    total = np.sum(np.exp((d - 1) / 2 * np.log1p(-(roots**2))) * derivatives)
    weight_constant = mpmath.gammaprod([d / 2], [0.5, (d - 1) / 2])
    return float(2 * weight_constant / (d - 1)) * float(total)


def zonal_f2_norm(k: int, d: int, alpha: int = 1) -> float:
    r"""F2 norm of :math:`P_k(\langle x, \theta_0\rangle)`: :math:`1/(|\lambda_k| \sqrt{N(d, k)})`.

    Parameters
    ----------
    k, d, alpha : int
        Degree (>= 0), ambient dimension (>= 2), power of the rectifier (>= 0).

    Returns
    -------
    float
        Infinite where :math:`\lambda_k = 0`.
    """
    k = check_integer("k", k, 0)
    log_eigenvalue = ReLUPower(alpha).log_eigenvalues(d, k)[-1]
    return float(np.exp(-(log_eigenvalue + log_harmonic_dimensions(d, k)[-1]) / 2))


def zonal_f1_norm(k: int, d: int, alpha: int = 1) -> float:
    r"""F1 norm of :math:`P_k(\langle x, \theta_0\rangle)`.

    If k - alpha is odd, every gamma that represents :math:`P_k` has the density
    :math:`P_k/\lambda_k` as its part of this parity, and the other part is best left out:

    .. math:: \|P_k\|_{F1} = \frac{1}{|\lambda_k|} \int |P_k|\,d\tau .

    Otherwise, for :math:`k \le \alpha`, the degrees above alpha of gamma are free, and duality
    gives the largest :math:`E_\tau[q P_k]/\lambda_k` over the polynomials
    q(t) of degree alpha and of its parity with :math:`|q| \le 1` on [-1, 1]. For k = 0 it is
    :math:`1/\lambda_0` (q = 1). For :math:`k = \alpha \ge 1` only the leading coefficient of
    q counts, and that of Chebyshev's :math:`T_\alpha`, :math:`2^{\alpha-1}`, is the largest; as
    :math:`\lambda_\alpha = \frac12 E_\tau[t^\alpha P_\alpha]`, the norm is :math:`2^\alpha` in
    every dimension. In between it is the nuclear norm of a symmetric tensor without a closed form.

    Parameters
    ----------
    k, d, alpha : int
        Degree (>= 0), ambient dimension (>= 2), power of the rectifier (>= 0).

    Returns
    -------
    float
        Infinite where :math:`\lambda_k = 0`.

    Raises
    ------
    NotImplementedError
        If 0 < k < alpha and k - alpha is even.
    """
    f2_norm = zonal_f2_norm(k, d, alpha)
    if math.isinf(f2_norm):
        return math.inf
    if k == 0 or (k - alpha) % 2 == 1:
        f1_over_f2 = math.exp(log_harmonic_dimensions(d, k)[-1] / 2) * mean_abs_legendre(k, d)
        return f1_over_f2 * f2_norm
    if k == alpha:
        return 2.0**alpha
    raise NotImplementedError(
        f"k must be 0, alpha or of the other parity than alpha for a closed form, "
        f"got k = {k}, alpha = {alpha}."
    )


def ridge_path(
    penalty: ArrayLike, d: int, alpha: int = 1
) -> tuple[np.ndarray | float, np.ndarray | float]:
    r"""Best approximations of one neuron in F2: their norm, and their distance from the neuron.

    The minimiser of :math:`\|f - g\|^2 + \lambda\|g\|_{F2}^2` over g shrinks each degree of the
    neuron f by :math:`s_k = \mu_k/(\mu_k+\lambda)`, where :math:`\mu_k = \lambda_k^2`:

    .. math:: \delta^2 = \sum_k N(d,k)\, s_k^2, \qquad D^2 = \sum_k N(d,k)\, \mu_k (1-s_k)^2 .

    Since it is the best of all functions with its norm, D is the distance from f to the ball of F2
    of radius delta. The terms of :math:`D^2` are positive, so a short distance suffers no
    cancellation, unlike in the equivalent :math:`\kappa(1) - \sum_k N \mu_k s_k(2-s_k)`.

    Parameters
    ----------
    penalty : array_like
        Values of the multiplier lambda, positive.
    d, alpha : int
        Ambient dimension (>= 2), power of the rectifier (>= 0).

    Returns
    -------
    delta, distance : numpy.float64 or ndarray of the shape of `penalty`
        F2 norm delta and distance D in :math:`L_2(\tau)`, to a relative error of 1e-10.

    Raises
    ------
    ValueError
        If an argument is out of range, or more than four million degrees are needed.
    """
    penalty = np.asarray(penalty, dtype=np.float64)
    if not np.all((penalty > 0) & np.isfinite(penalty)):
        raise ValueError(f"penalty must be positive and finite, got {penalty}.")
    d, alpha = check_integer("d", d, 2), ReLUPower(alpha).alpha
    path = np.exp([_log_path(math.log(value), d, alpha) for value in penalty.flat])
    path = path.reshape(*penalty.shape, 2)
    return path[..., 0][()], path[..., 1][()]


def neuron_to_f2_ball(delta: ArrayLike, d: int, alpha: int = 1) -> np.ndarray | float:
    r"""Distance in :math:`L_2(\tau)` from one neuron to the ball of F2 of radius `delta`, exactly.

    The penalty at which `ridge_path` has the norm `delta` is found by a bracketed search.

    Parameters
    ----------
    delta : array_like
        Radii, at least 0.
    d, alpha : int
        Ambient dimension (>= 2), power of the rectifier (>= 0).

    Returns
    -------
    float or ndarray of the shape of `delta`

    Raises
    ------
    ValueError
        If an argument is out of range, or more than four million degrees are needed.
    """
    delta = np.asarray(delta, dtype=np.float64)
    if not np.all((delta >= 0) & np.isfinite(delta)):
        raise ValueError(f"delta must be >= 0 and finite, got {delta}.")
    d, alpha = check_integer("d", d, 2), ReLUPower(alpha).alpha
    distances = [_distance(float(radius), d, alpha) for radius in delta.flat]
    return np.array(distances).reshape(delta.shape)[()]


def neuron_to_f2_ball_asymptotic(d: int, alpha: int = 1) -> Prediction:
    r"""Leading term of `neuron_to_f2_ball` at large radius, in the symbol `delta`.

    Write :math:`p = d + 2\alpha` and :math:`a = (d-1)/p`. On one parity class
    :math:`\mu_k \sim C k^{-p}` and :math:`N \sim 2k^{d-2}/(d-2)!`, so the sums of `ridge_path`
    become Beta integrals in :math:`u = \lambda k^p/C`, with :math:`s = 1/(1+u)`:

    .. math:: \delta^2 \sim \frac{(C/\lambda)^a}{p\,(d-2)!}\, B(a, 2-a), \qquad
              D^2 \sim \frac{C\,(C/\lambda)^{a-1}}{p\,(d-2)!}\, B(1+a, 1-a),

    where :math:`B(a, 2-a) = (1-a)\pi/\sin(\pi a)` and :math:`B(1+a, 1-a) = a\pi/\sin(\pi a)`.
    Eliminating lambda leaves :math:`D \sim \text{const}\cdot\delta^{-(2\alpha+1)/(d-1)}`.

    Parameters
    ----------
    d, alpha : int
        Ambient dimension (>= 2), power of the rectifier (>= 0).

    References
    ----------
    [bach2017breaking], appendix D, for the decay of the coefficients.
    """
    d, alpha = check_integer("d", d, 2), ReLUPower(alpha).alpha
    p = d + 2 * alpha
    a = (d - 1) / p
    # Logarithms, because the factorials leave float64 from d = 170 on.
    log_scale = math.log(math.pi / (p * math.sin(math.pi * a))) - gammaln(d - 1)
    log_constant = _log_constant(d, alpha) + p * math.log(2)
    log_squared_distance = log_constant + log_scale + math.log(a)
    # The power (a - 1) / a of C / lambda, expressed by the radius.
    log_squared_distance -= (a - 1) / a * (log_scale + math.log(1 - a))
    exponent = sympy.Rational(2 * alpha + 1, d - 1)
    return Prediction(
        sympy.Float(math.exp(log_squared_distance / 2)) * _delta**-exponent,
        "asymptotic",
        f"alpha = {alpha}, d = {d}, delta to infinity",
        "derived in lazyactive.theory.function_spaces.neuron_to_f2_ball_asymptotic",
        "distance from a neuron to a ball of F2",
    )


def _log_constant(d: int, alpha: int) -> float:
    """Logarithm of the constant in mu_k ~ constant (2/k)^(d + 2 alpha), k - alpha odd."""
    root = gammaln(d / 2) + gammaln(alpha + 1) - (alpha + 1) * math.log(2) - math.log(math.pi)
    return float(2 * root)


def _distance(delta: float, d: int, alpha: int) -> float:
    trace = float(ReLUPower(alpha).kernel(1.0, d))
    if delta == 0:
        return math.sqrt(trace)
    # delta^2 = sum N s^2 <= sum N s <= trace / penalty bounds the penalty from above.
    high = math.log(trace) - 2 * math.log(delta)

    def excess(log_penalty: float) -> float:
        return _log_path(log_penalty, d, alpha)[0] - math.log(delta)

    try:
        low = high - 1
        while excess(low) < 0:
            low -= 2
        log_penalty = brentq(excess, low, high, xtol=1e-13)
    except ValueError as error:
        raise ValueError(
            f"delta must be smaller for d = {d}, alpha = {alpha} (too many degrees), got {delta}."
        ) from error
    return math.exp(_log_path(log_penalty, d, alpha)[1])


def _log_path(log_penalty: float, d: int, alpha: int) -> tuple[float, float]:
    """Logarithms of the norm and of the distance; N overflows and mu underflows in float64."""
    log_dimension, log_mu, weights = _degrees(log_penalty, d, alpha)
    log_shrinkage = -np.logaddexp(0, log_penalty - log_mu)
    log_rest = -np.logaddexp(0, log_mu - log_penalty)
    return (
        float(logsumexp(log_dimension + 2 * log_shrinkage, b=weights)) / 2,
        float(logsumexp(log_dimension + log_mu + 2 * log_rest, b=weights)) / 2,
    )


def _degrees(log_penalty: float, d: int, alpha: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Log N, log mu and weights such that weighted sums over them are sums over all degrees.

    The degrees are kept one by one up to K, four times the degree at which mu equals the
    penalty. Beyond, the terms g are smooth functions of q = k + d/2 - 1 in steps of 2, with an
    expansion in 1/q^2. Euler and Maclaurin's formula at the midpoint M = q(K) + 1 replaces them by

    .. math:: \tfrac12 \int_M^\infty g\,dq + \tfrac1{24} \left[g(K+2) - g(K)\right],

    up to a relative error of order M^{-4}, and Gauss and Legendre's rule in x = M/q does the
    integral: g(M/x)/x^2 is analytic around [0, 1].
    """
    relu, power = ReLUPower(alpha), d + 2 * alpha
    log_constant = _log_constant(d, alpha)
    log_learned = math.log(2) + (log_constant - log_penalty) / power
    cutoff = max(math.log(_MIN_DEGREE), math.log(2 * d), math.log(4) + log_learned)
    if cutoff > math.log(_MAX_DEGREE):
        raise ValueError(
            f"penalty must be larger for d = {d}, alpha = {alpha} (too many degrees), "
            f"got exp({log_penalty:.6g})."
        )
    last = alpha + 1 + 2 * math.ceil(math.exp(cutoff) / 2)
    nodes, node_weights = np.polynomial.legendre.leggauss(_N_TAIL_NODES)
    x, half = (1 + nodes) / 2, d / 2 - 1
    midpoint = last + 1 + half
    k = np.concatenate([np.arange(alpha + 1, last + 3, 2), midpoint / x - half])
    weights = np.concatenate([np.ones(k.size - x.size), node_weights / 4 * midpoint / x**2])
    weights[-x.size - 2 : -x.size] = 1 - 1 / 24, 1 / 24
    # Of the degrees up to alpha none has a vanishing eigenvalue.
    return (
        np.concatenate([log_harmonic_dimensions(d, alpha), log_dimension(k, d)]),
        np.concatenate([relu.log_eigenvalues(d, alpha), relu.log_tail_eigenvalues(k, d)]),
        np.concatenate([np.ones(alpha + 1), weights]),
    )
