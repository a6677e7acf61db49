r"""The best approximation of one zonal function by balls of F1 and of F2, without noise.

The target is :math:`f(x) = \max(|t| - a, 0)` with :math:`t = \langle x, e\rangle`, the error is
measured in the supremum norm, the activation is the rectifier. Averaging over rotations about e
and over reflections makes no approximation of f worse, so that measures over neurons reduce to
those over :math:`s = \langle\theta, e\rangle \in [0, 1]`, through the mean neuron of :func:`ring`.
Problems in one variable are left, which are solved with bounds from both sides: a measure over
neurons bounds the error from above, and by duality a measure mu over points, of total variation 1,
bounds it from below by :math:`\int f\,d\mu - \beta \max_\theta |\int \sigma\,d\mu|`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, linprog, nnls
from scipy.special import betainc, gammaln

from . import harmonics
from ._checks import check_count, check_positive

__all__ = ["Bounds", "distance_to_f1", "distance_to_f2", "lifted_f1_norm", "ring", "target"]

# Points of the first linear program and of the grid on which its solution is judged; on this one
# the scale is finer by FINER.
COARSE, FINE, FINER = 100, 1000, 8.0
ROUNDS, PRECISION = 12, 0.003
# An exchange adds the neurons at which the dual constraint is violated, or nearly so.
ACTIVE = 0.98
# Features of F2 have degrees up to this number over the scale.
DEGREES = 10.0
LIFTED_NEURONS, LIFTED_STEP = 400, 0.05


class Bounds(NamedTuple):
    """A number between a lower and an upper bound."""

    lower: float
    upper: float


def target(t: ArrayLike, a: float) -> NDArray:
    """Evaluate max(abs(t) - a, 0)."""
    return np.maximum(np.abs(t) - a, 0)


def ring(t: ArrayLike, s: ArrayLike, d: int, b: ArrayLike = 0.0) -> NDArray:
    r"""Average the rectifier :math:`\max(\langle x, \vartheta\rangle + b, 0)` over neurons.

    They are all :math:`\vartheta` of length :math:`\sqrt{1 - b^2}` with :math:`\langle\vartheta,
    e\rangle = \pm s`. With z, one coordinate of a uniform point of :math:`S^{d-2}`, this is

    .. math:: \tfrac12 \sum_\pm E \max(\pm ts + b + B z, 0), \qquad
              B = \sqrt{1-t^2}\,\sqrt{1-s^2-b^2},

    and :math:`E\max(A + Bz, 0) = A\,P(z > -A/B) + B\,E[z;\, z > -A/B]` is in closed form.

    Parameters
    ----------
    t, s, b : array_like
        Cosine of the point, and neuron; they broadcast, and b^2 + s^2 <= 1.
    d : int
        Ambient dimension, at least 3.
    """
    t, s, b = np.asarray(t), np.asarray(s), np.asarray(b)
    squared = 1 - s**2 - b**2
    # What rounding leaves of a zero would, as a root, be far larger.
    B = np.sqrt(1 - t**2) * np.sqrt(np.where(squared > 1e-14, squared, 0))
    return (_expectation(b + t * s, B, d) + _expectation(b - t * s, B, d)) / 2


def distance_to_f1(a: float, d: int, radius: float, scale: float) -> Bounds:
    r"""Bound the distance in the supremum norm from the target to a ball of F1.

    A linear program over measures on a grid of neurons, with the error constrained on a grid of
    points. Both grids get the worst places of the last solution until the bounds are 0.3% apart.

    Parameters
    ----------
    a : float
        Place of the kink, in (0, 1).
    d : int
        Ambient dimension, at least 3.
    radius : float
        Positive.
    scale : float
        About what the distance is: the kinks are resolved to a fraction of it. If it is ten times
        too large the bounds are true to a percent only, for want of points to check them on.

    Returns
    -------
    Bounds
        On a fine grid. Where the linear program gets too badly conditioned, those reached so far.

    Raises
    ------
    ValueError
        If an argument is out of range.
    RuntimeError
        If the first linear program can't be solved.
    """
    a, d = _check_target(a, d)
    radius, scale = check_positive(radius, "radius"), check_positive(scale, "scale")
    touching = np.sqrt(1 - a**2)
    # Where neurons touch the parallel of t: ds = (t / s) dt.
    neuron_scale = scale * a / touching
    T, S = _graded(a, scale, COARSE), _graded(touching, neuron_scale, COARSE)
    many_t = _graded(a, scale / FINER, FINE)
    many_s = _graded(touching, neuron_scale / FINER, FINE)
    bounds = Bounds(0.0, np.inf)
    for _ in range(ROUNDS):
        solution = _smallest_error(ring(T[:, None], S, d), target(T, a), radius)
        if solution is None:
            break
        error, measure, mu = solution
        residual = np.abs(ring(many_t[:, None], S, d) @ measure - target(many_t, a))
        psi = np.abs(mu @ ring(T[:, None], many_s, d))
        lower = mu @ target(T, a) - radius * psi.max()
        bounds = Bounds(max(bounds.lower, float(lower)), min(bounds.upper, float(residual.max())))
        if bounds.upper - bounds.lower < PRECISION * bounds.lower:
            break
        T = np.union1d(T, many_t[_peaks(residual, error)])
        S = np.union1d(S, many_s[_peaks(psi, ACTIVE * psi.max())])
    if not np.isfinite(bounds.upper):
        raise RuntimeError(
            f"the linear program for d = {d} and radius {radius} could not be solved."
        )
    return bounds


def distance_to_f2(a: float, d: int, radius: float, scale: float) -> Bounds:
    r"""Bound the distance in the supremum norm from the target to a ball of F2.

    In the orthonormal features :math:`|\lambda_k| \sqrt N P_k(t)` the F2 norm is Euclidean. The
    shortest vector of coordinates with an error of at most E on a grid of points is a problem of
    least distance, which non-negative least squares solves; E is searched for the given length.

    Parameters
    ----------
    a, d, radius, scale
        As in :func:`distance_to_f1`; here the scale also decides up to which degree there are
        features.

    Returns
    -------
    Bounds
        The upper one on a fine grid.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    a, d = _check_target(a, d)
    radius, scale = check_positive(radius, "radius"), check_positive(scale, "scale")
    T, many_t = _graded(a, scale, COARSE), _graded(a, scale / FINER, FINE)
    k = np.arange(0, int(DEGREES / scale), 2)
    N = np.array([float(harmonics.dimension(d, degree)) for degree in k.tolist()])
    lengths = np.abs(_rectifier(d, k)) * np.sqrt(N)

    def features(t: NDArray) -> NDArray:
        return lengths * harmonics.legendre(t, d, k[-1])[::2].T

    at_many, bounds = features(many_t), Bounds(0.0, np.inf)
    for _ in range(ROUNDS):
        f, at_points = target(T, a), features(T)
        error, x, mu = _least_distance(at_points, f, radius)
        residual = np.abs(at_many @ x - target(many_t, a))
        lower = mu @ f - radius * np.linalg.norm(mu @ at_points)
        bounds = Bounds(max(bounds.lower, float(lower)), min(bounds.upper, float(residual.max())))
        if bounds.upper - bounds.lower < PRECISION * bounds.lower:
            break
        T = np.union1d(T, many_t[_peaks(residual, error)])
    return bounds


def lifted_f1_norm(a: float, d: int) -> Bounds:
    r"""Bound the F1 norm of the target when neurons see :math:`(x, 1)/\sqrt2`.

    From above by two neurons, after a check that they represent the target; from below by the
    second difference at the kink: the measure mu over points gives at least
    :math:`\int f\,d\mu / \max_\theta |\int \sigma\,d\mu|`, the maximum on a grid of neurons.

    Parameters
    ----------
    a, d
        As in :func:`distance_to_f1`.

    Raises
    ------
    ValueError
        If an argument is out of range.
    RuntimeError
        If the two neurons are not the target.
    """
    a, d = _check_target(a, d)
    step = LIFTED_STEP * min(a, 1 - a)
    T, mu = a + step * np.array([-1, 0, 1]), np.array([1, -2, 1]) / step
    # The angle of the neuron's part in the plane of e and the constant, and its part beyond.
    place = np.arctan(a) / np.pi
    angle = np.pi * (0.5 - _graded(0.5 + place, LIFTED_STEP / 10, LIFTED_NEURONS))
    rest = _graded(0.0, LIFTED_STEP / 10, LIFTED_NEURONS // 2)
    inside = np.sqrt(1 - rest**2)[:, None]
    s, b = np.ravel(inside * np.cos(angle)), np.ravel(inside * np.sin(angle))
    length = np.sqrt(1 + a**2)
    s, b = np.append(s, 1 / length), np.append(b, -a / length)
    activations = ring(T[:, None], s, d, b) / np.sqrt(2)
    weight = 2 * np.sqrt(2) * length
    everywhere = np.linspace(-1, 1, FINE)
    pair = weight * ring(everywhere, s[-1], d, b[-1]) / np.sqrt(2)
    if np.abs(pair - target(everywhere, a)).max() > 1e-12:
        raise RuntimeError(f"two neurons do not represent the target with a = {a}, d = {d}.")
    return Bounds(float(mu @ target(T, a) / np.abs(mu @ activations).max()), float(weight))


def _check_target(a: float, d: int) -> tuple[float, int]:
    a = check_positive(a, "a")
    if a >= 1:
        raise ValueError(f"a must be below 1, but it is {a}.")
    return a, check_count(d, "d", 3)


def _expectation(A: NDArray, B: NDArray, d: int) -> NDArray:
    """Mean of max(A + B z, 0) for one coordinate z of a uniform point of S^{d-2}, and B >= 0."""
    A, B = np.broadcast_arrays(A, B)
    # Beyond |A| = B the sign of A + B z is that of A.
    ratio = np.clip(A / np.where(B > 0, B, 1), -1, 1)
    ratio = np.where(B > 0, ratio, np.sign(A))
    positive = (1 + np.sign(ratio) * betainc(0.5, (d - 2) / 2, ratio**2)) / 2
    log_constant = gammaln((d - 1) / 2) - gammaln((d - 2) / 2) - np.log(np.pi) / 2
    mean = np.exp(log_constant) * (1 - ratio**2) ** ((d - 2) / 2) / (d - 2)
    return A * positive + B * mean


def _graded(centre: float, smallest: float, n: int) -> NDArray:
    """Return n points of [0, 1], spaced as the distance from the centre beyond `smallest`."""
    first, last = np.arcsinh(np.array([-centre, 1 - centre]) / smallest)
    return np.clip(centre + smallest * np.sinh(np.linspace(first, last, n)), 0, 1)


def _smallest_error(K: NDArray, f: NDArray, radius: float) -> tuple[float, NDArray, NDArray] | None:
    """Minimize max |f - K gamma| over |gamma|_1 <= radius; return it, gamma, and the dual mu."""
    n_points, n_neurons = K.shape
    # In units of the radius, in which the simplex method meets its tolerance.
    rows, column = radius * np.hstack([K, -K]), np.ones((n_points, 1))
    costs = np.append(np.zeros(2 * n_neurons), 1.0)
    total = np.append(np.ones(2 * n_neurons), 0.0)
    A = np.vstack([np.hstack([rows, -column]), np.hstack([-rows, -column]), total])
    # Where rounding stops the one method, the other often gets through.
    for method in ("highs-ds", "highs-ipm"):
        solution = linprog(costs, A_ub=A, b_ub=np.concatenate([f, -f, [1.0]]), method=method)
        if solution.x is not None:
            break
    else:
        return None
    measure = solution.x[:n_neurons] - solution.x[n_neurons:-1]
    measure *= radius / max(1.0, np.abs(measure).sum())
    dual = -solution.ineqlin.marginals
    mu = dual[n_points : 2 * n_points] - dual[:n_points]
    return float(solution.x[-1]), measure, mu / np.abs(mu).sum()


def _least_distance(features: NDArray, f: NDArray, radius: float) -> tuple[float, NDArray, NDArray]:
    """Minimize E = max |f - features x| over |x|_2 <= radius; return it, x, and the dual mu."""

    def shortest(log_error: float) -> tuple[NDArray, NDArray]:
        # |f - features x| <= E, as a system G x >= h.
        G, E = np.vstack([features, -features]), np.exp(log_error)
        h = np.concatenate([f - E, -f - E])
        u, _ = nnls(np.vstack([G.T, h]), np.append(np.zeros(G.shape[1]), 1.0))
        residual = np.append(G.T @ u, h @ u - 1)
        return -residual[:-1] / residual[-1], u[: len(f)] - u[len(f) :]

    def excess(log_error: float) -> float:
        return float(np.linalg.norm(shortest(log_error)[0]) / radius - 1)

    # Longer vectors take longer to find: the bracket opens downwards.
    low = high = np.log(f.max())
    while excess(low) < 0:
        low, high = low - 0.5, low
    log_error = brentq(excess, low, high, xtol=1e-8)
    x, mu = shortest(log_error)
    x *= radius / max(radius, float(np.linalg.norm(x)))
    return float(np.exp(log_error)), x, mu / np.abs(mu).sum()


def _peaks(values: NDArray, least: float) -> NDArray:
    """Indices of the local maxima that are at least so high."""
    padded = np.pad(values, 1, constant_values=-np.inf)
    highest = (values >= padded[:-2]) & (values >= padded[2:])
    return np.flatnonzero(highest & (values >= least))


def _rectifier(d: int, k: NDArray) -> NDArray:
    r"""Funk-Hecke coefficients of the rectifier at the even degrees k = 0, 2, ...

    The spherical Laplacian takes :math:`\max(t, 0)` to :math:`-(d-1)\max(t, 0)` plus a mass on the
    equator, so that :math:`(d - 1 - k(k+d-2))\,\lambda_k` is proportional to :math:`P_k(0)`, and
    :math:`P_{k+2}(0) = -\frac{k+1}{k+d-1} P_k(0)`.
    """
    log_constant = gammaln(d / 2) - gammaln((d - 1) / 2) - np.log(np.pi) / 2
    at_zero = np.cumprod(np.append(1.0, -(k[:-1] + 1) / (k[:-1] + d - 1)))
    return np.exp(log_constant) * at_zero / (d - 1 - k * (k + d - 2))
