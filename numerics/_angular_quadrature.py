r"""Zonal integrals against Legendre polynomials, by panels in the angle.

With t = cos(angle) the uniform law of t is :math:`\sin^{d-2}` of the angle up to a constant. Panels
of Gauss-Legendre nodes shrink geometrically towards t = -1, 0 and 1, so that a kink, a jump or an
algebraic singularity of the integrand there costs no accuracy; long panels are cut until the
oscillations of the largest degree are resolved.

The work is done in numpy's long double where the degree is moderate. Eigenvalues of smooth kernels
fall below the rounding errors of a float64 sum, and a profile that is written with NumPy's
functions answers in the precision of its argument.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from ._profiles import evaluate

__all__ = ["AngularRule", "Quadrature", "angular_rule", "zonal_coefficients"]

# Two rules that share neither their order nor their grading: (nodes of a panel, ratio of panels).
_FINE, _COARSE = (32, 0.25), (24, 0.4)
_NODES_PER_WAVE = 5.0
# The nodes nearest to t = +-1 keep 1 - t > 2**-52, where float64 still tells them from 1.
_SMALLEST_PANEL_ENDS, _SMALLEST_PANEL_EQUATOR = 1.2e-5, 1e-10
_LONG_DOUBLE_DEGREES = 1000
_MAX_NODES = 2**14
_TINY = np.finfo(np.float64).tiny
_SMALLEST_NORM = 1e-290


class Quadrature(NamedTuple):
    """Integrals of degree 0, 1, ... and bounds on their errors."""

    values: NDArray
    errors: NDArray


class AngularRule(NamedTuple):
    """Nodes t > 0 of a rule symmetric in t; weights of both signs of t together sum to 1."""

    cosines: NDArray
    complements: NDArray  # 1 - t, to full relative accuracy
    weights: NDArray


def angular_rule(
    d: int,
    max_degree: int,
    kind: tuple[int, float] = _FINE,
    density: int = 1,
    dtype: type = np.longdouble,
) -> AngularRule:
    """Build a rule for the uniform law of t that resolves degree `max_degree`.

    Parameters
    ----------
    d : int
        Ambient dimension.
    max_degree : int
        Degree whose waves get at least five nodes each, times `density`.
    kind : (int, float)
        Nodes of a panel, and the ratio of a panel's distance to that of its neighbour.
    density : int
        How many times finer than needed for `max_degree`.
    dtype : numpy float type
    """
    order, ratio = kind
    longest = min(0.3, 2 * np.pi * order / (_NODES_PER_WAVE * max(max_degree, 1))) / density
    ratio **= 1 / density
    angle, width = _panels(_SMALLEST_PANEL_ENDS, order, ratio, longest, dtype)
    latitude, height = _panels(_SMALLEST_PANEL_EQUATOR, order, ratio, longest, dtype)
    # Each half of the quarter circle is measured from its own end: no digits are lost there.
    cosines = np.concatenate([np.cos(angle), np.sin(latitude)])
    angles = np.concatenate([angle, 2 * np.arctan(dtype(1)) - latitude])
    complements = 2 * np.sin(angles / 2) ** 2
    log_sines = np.concatenate([np.log(np.sin(angle)), np.log1p(-(np.sin(latitude) ** 2)) / 2])
    log_weights = (d - 2) * log_sines
    weights = np.concatenate([width, height]) * np.exp(log_weights - log_weights.max())
    return AngularRule(cosines, complements, weights / (2 * weights.sum()))


def zonal_coefficients(profile: Callable, d: int, max_degree: int) -> Quadrature:
    r"""Compute :math:`E_\tau[\kappa(t) P_{k,d}(t)]` for k = 0 ... `max_degree`, with error bounds.

    A fine and a coarse rule are compared, both denser until they agree to rounding or have
    `_MAX_NODES` nodes. Where they agree, the bound is their difference plus rounding. Where not,
    the integrand has a singularity at an unknown place, whose trace in degree k is as large as
    the polynomial: the largest difference relative to :math:`\|P_k\| = N(d,k)^{-1/2}` then holds
    for all degrees.
    """
    extended = max_degree <= _LONG_DOUBLE_DEGREES
    dtype = np.longdouble if extended else np.float64
    norms = _legendre_norms(d, max_degree)
    density, difference = 1, np.zeros(max_degree + 1)
    while True:
        rule = angular_rule(d, max_degree, _FINE, density, dtype)
        values, rounding = _integrals(profile, d, norms, rule)
        coarse, _ = _integrals(
            profile, d, norms, angular_rule(d, max_degree, _COARSE, density, dtype)
        )
        previous, difference = difference, np.abs(values - coarse)
        open_degrees = difference > rounding
        if not open_degrees.any():
            break
        if 2 * len(rule.weights) > _MAX_NODES:
            worst = np.maximum(difference, previous)
            relative = worst[open_degrees] / np.maximum(norms[open_degrees], _TINY)
            difference = np.maximum(worst, relative.max() * norms)
            break
        density *= 2
    result = values.astype(np.float64)
    errors = difference + rounding + 8 * np.finfo(np.float64).eps * np.abs(values)
    return Quadrature(result, errors.astype(np.float64))


def _integrals(
    profile: Callable, d: int, norms: NDArray, rule: AngularRule
) -> tuple[NDArray, NDArray]:
    """Return the integrals of one rule and bounds on their rounding errors."""
    t, complements, weights = rule
    upper, noise_upper = _values_and_noise(profile, t)
    lower, noise_lower = _values_and_noise(profile, -t)
    by_parity = weights * (upper + lower), weights * (upper - lower)
    integrals = np.zeros(len(norms), dtype=t.dtype)
    size = np.sqrt(np.sum(weights * (upper**2 + lower**2)))
    # Beyond, |integral| <= size * norm is too small for float64, and so are the polynomials.
    n_resolved = int(np.sum(norms > _SMALLEST_NORM))
    # A constant has degree 0 only: taken out, it can't leak through the rounding of the weights.
    mean = by_parity[0].sum()
    by_parity[0][:] -= 2 * weights * mean
    # Near t = 1 the difference of neighbours keeps the digits that the polynomials lose.
    polynomial, step = np.ones_like(t), np.zeros_like(t)
    work = np.empty_like(t)
    for k in range(n_resolved):
        # NumPy's pairwise sum, where its dot product of long doubles would lose two digits.
        integrals[k] = np.multiply(by_parity[k % 2], polynomial, out=work).sum()
        following = max(k + d - 2, 1)
        step *= t.dtype.type(k) / following
        np.multiply(complements, polynomial, out=work)
        work *= t.dtype.type(max(2 * k + d - 2, 1)) / following
        step -= work
        polynomial += step
    integrals[0] = mean
    recurrence = np.finfo(t.dtype).eps * (4 + np.sqrt(np.arange(len(norms)))) * size * norms
    # E|noise P_k| is at most ||noise|| ||P_k||, and at most E|noise|.
    noise = np.minimum(
        np.sqrt(np.sum(weights * (noise_upper**2 + noise_lower**2))) * norms,
        np.sum(weights * (noise_upper + noise_lower)),
    )
    errors = noise + recurrence + _TINY
    errors[n_resolved:] = np.maximum(errors, size * norms)[n_resolved:]
    return integrals, errors


def _values_and_noise(profile: Callable, t: NDArray) -> tuple[NDArray, NDArray]:
    """Return the profile at `t` and how far its evaluation is from a smooth function there.

    Second differences over about a rounding unit of float64 see whatever the profile rounds,
    inside or outside, and steep places where the rounding of `t` itself counts.
    """
    move, limit = 1.3 * np.finfo(np.float64).eps, np.abs(t).max()
    values = evaluate(profile, t)
    left = evaluate(profile, np.clip(t - move, -limit, limit))
    right = evaluate(profile, np.clip(t + move, -limit, limit))
    # Numbers inside the profile, such as np.pi, are float64 whatever the type of its answer.
    own = 4 * np.finfo(np.float64).eps * np.abs(values)
    return values.astype(t.dtype), np.abs(left - 2 * values + right) + own


def _legendre_norms(d: int, max_degree: int) -> NDArray:
    r"""Return :math:`\|P_{k,d}\| = N(d, k)^{-1/2}`, zero where it underflows."""
    k = np.arange(1, max_degree + 1)
    log_dimensions = np.log(2 * k + d - 2) + gammaln(k + d - 2) - gammaln(k + 1) - gammaln(d - 1)
    return np.concatenate([[1.0], np.exp(-log_dimensions / 2)])


def _panels(
    smallest: float, order: int, ratio: float, longest: float, dtype: type
) -> tuple[NDArray, NDArray]:
    """Nodes and weights on [0, pi/4], in panels that shrink geometrically towards 0."""
    end = np.pi / 4
    n_graded = int(np.ceil(np.log(smallest / end) / np.log(ratio)))
    graded = np.concatenate([[0.0], end * ratio ** np.arange(n_graded, -1.0, -1.0)])
    pieces = [
        np.linspace(a, b, int(np.ceil((b - a) / longest)), endpoint=False)
        for a, b in pairwise(graded)
    ]
    edges: NDArray = np.concatenate([*pieces, [end]]).astype(dtype)
    edges[-1] = np.arctan(dtype(1))
    nodes, weights = _gauss_legendre(order)
    half = np.diff(edges)[:, None] / 2
    centres = edges[:-1, None] + half
    return (centres + half * nodes.astype(dtype)).ravel(), (half * weights.astype(dtype)).ravel()


@lru_cache
def _gauss_legendre(order: int) -> tuple[NDArray, NDArray]:
    """Gauss-Legendre rule on [-1, 1], correct to the last digit of long double."""
    nodes, weights = [], []
    with mpmath.workdps(30):
        for start in np.polynomial.legendre.leggauss(order)[0]:
            x = mpmath.mpf(float(start))
            for _ in range(2):
                before, value = mpmath.mpf(1), x
                for k in range(1, order):
                    before, value = value, ((2 * k + 1) * x * value - k * before) / (k + 1)
                slope = order * (before - x * value) / (1 - x * x)
                weights_at = 2 / ((1 - x * x) * slope**2)
                x -= value / slope
            nodes.append(mpmath.nstr(x, 25))
            weights.append(mpmath.nstr(weights_at, 25))
    # NumPy reads text to the full precision of the type.
    return np.array(nodes, dtype=np.longdouble), np.array(weights, dtype=np.longdouble)
