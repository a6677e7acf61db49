r"""Maximum likelihood with frozen features: a convex problem, solved to a certified optimum.

The energy is :math:`f = \frac1m \sum_j c_j \sigma(\langle\theta_j, \cdot\rangle)` with neurons
that are drawn once and stay; the F2 norm is :math:`\|f\|^2 = \frac1m \sum_j c_j^2`. In
coordinates :math:`a = c/\sqrt m` with features :math:`\varphi_j = \sigma(\langle\theta_j,
\cdot\rangle)/\sqrt m` the problem is

.. math:: \min_a\; \langle a, E_{\nu_n}\varphi\rangle + \log E_\tau e^{-\langle a, \varphi\rangle}
   + \frac\lambda2 |a|^2 .

It is strongly convex with modulus lambda, so that the gap is at most ``|gradient|^2/(2 lambda)``.
The features are rotated to the eigenvectors of their Gram matrix, and directions far below the
smallest penalty in reach are left out: what remains is about as large as the effective dimension.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ..streams import StreamedRows, blocks
from .frozen_features import FrozenFeatures
from .validation import MIN_ESS, enough_reference, folds

__all__ = ["FrozenFeatures", "LazyFit", "Solution", "fit", "solve", "tilt"]

BLOCK = 4096
CACHE = 2**17
# Reference points whose covariance preconditions Newton's method: no fewer, and so many for each
# direction.
N_CURVATURE, CURVATURE_RATIO = 4096, 32
PATH_START = 16.0
PATH_LENGTH = 24
PATIENCE = 2
TOLERANCE = 1e-7
# Validation points beyond which another fold would not move the flat optimum.
ENOUGH = 2000


class LazyFit(NamedTuple):
    """Output weights c, (m,), the penalty, Newton steps, and the certificate."""

    weights: NDArray
    penalty: float
    n_iter: int
    converged: bool
    optimality_gap: float


class Solution(NamedTuple):
    """Coordinates (p,), log Z on the reference and its effective size, steps, optimality gap."""

    coordinates: NDArray
    log_partition: float
    ess: float
    n_iter: int
    optimality_gap: float


def solve(
    moments: NDArray,
    reference: NDArray,
    spectrum: NDArray,
    penalty: float,
    start: NDArray | None = None,
    tol: float = TOLERANCE,
    max_iter: int = 100,
    log_weights: NDArray | float = 0.0,
    precondition: Callable[[NDArray], NDArray] | None = None,
) -> Solution:
    """Minimize the penalized negative log-likelihood by Newton's method.

    Each Newton system is solved by conjugate gradients, preconditioned by the covariance at the
    uniform distribution, which is diagonal in these coordinates, unless there is better.

    Parameters
    ----------
    moments : ndarray of shape (p,)
        Mean features of the data.
    reference : ndarray of shape (M, p)
        Features at a sample of tau, or of another measure. In float32 each is rounded at 1e-7 of
        itself; sums over points are float64.
    spectrum : ndarray of shape (p,)
        Second moments of the features under tau.
    penalty : float
        lambda > 0.
    start : ndarray of shape (p,), optional
        Where to begin; zero by default.
    tol : float
        Certified gap at which to stop.
    max_iter : int
    log_weights : ndarray of shape (M,), optional
        Logarithm of the density of tau with respect to the measure of the reference, up to a
        constant, which is then missing in log Z.
    precondition : callable, optional
        Applies the inverse of an approximate second derivative.

    Returns
    -------
    Solution
    """
    if precondition is None:
        diagonal = spectrum + penalty
        precondition = functools.partial(np.multiply, 1 / diagonal)
    a = np.zeros(len(moments)) if start is None else start
    log_z, density, mean = tilt(reference, a, log_weights)
    objective = moments @ a + log_z + penalty / 2 * a @ a
    # The slack is rounding: near the optimum the gain is below the digits of the value.
    slack = 1e-13 if reference.dtype == np.float64 else 1e-9
    for n_iter in range(max_iter + 1):
        gradient = moments - mean + penalty * a
        gap = float(gradient @ gradient) / (2 * penalty)
        if gap <= tol or n_iter == max_iter:
            break
        step = _newton_step(gradient, reference, density, mean, penalty, precondition, tol)
        slope = gradient @ step
        length = 1.0
        while length > 1e-10:
            candidate = a + length * step
            log_z, density, mean = tilt(reference, candidate, log_weights)
            value = moments @ candidate + log_z + penalty / 2 * candidate @ candidate
            if value <= objective + 1e-4 * length * slope + slack:
                break
            length /= 2
        a, objective = candidate, value
    return Solution(a, log_z, 1 / float(density @ density), n_iter, gap)


def fit(
    X: NDArray | StreamedRows,
    reference: NDArray,
    neurons: NDArray,
    alpha: int,
    rng: np.random.Generator,
    penalty: float | None = None,
) -> LazyFit:
    """Fit output weights of frozen neurons to data.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere.
    reference : ndarray of shape (M, d)
        A sample of tau.
    neurons : ndarray of shape (m, d)
        Unit neurons, which stay.
    alpha : int
    rng : numpy.random.Generator
        Splits the data.
    penalty : float, optional
        lambda; by default the best on held-out data along a path that halves it from 16/n, scaled
        from the number of training points to all (the optimum falls as 1/n); all data are used in
        the end.

    Returns
    -------
    LazyFit
    """
    features = FrozenFeatures.of(neurons, alpha)
    splits = [] if penalty is not None else [held_out for _, held_out in folds(len(X), rng, ENOUGH)]
    mean, held_out_means = _mean_features(features, X, splits)
    at_reference = features.evaluate(reference, np.float32)
    spectrum = features.spectrum
    start, precondition = None, None
    if penalty is None:
        penalty, start = _choose_penalty(
            len(X), mean, [len(part) for part in splits], held_out_means, at_reference, spectrum
        )
    if start is not None:
        precondition = _curvature(at_reference, start, penalty)
    solution = solve(mean, at_reference, spectrum, penalty, start, precondition=precondition)
    return LazyFit(
        features.output_weights(solution.coordinates),
        penalty,
        solution.n_iter,
        solution.optimality_gap <= TOLERANCE,
        solution.optimality_gap,
    )


def _choose_penalty(
    n: int,
    mean: NDArray,
    sizes: list[int],
    held_out_means: NDArray,
    at_reference: NDArray,
    spectrum: NDArray,
) -> tuple[float, NDArray | None]:
    """Return the penalty with the least validation loss, pooled over the folds, and a solution.

    The solution is that of one fold, from which that for all data is not far.
    """
    at_reference = at_reference[: enough_reference(n)]
    splits = [
        ((n * mean - size * held_out) / (n - size), held_out, n - size, size)
        for size, held_out in zip(sizes, held_out_means, strict=True)
    ]
    starts: list[NDArray | None] = [None] * len(splits)
    losses: list[float] = []
    best = None
    for k in range(PATH_LENGTH):
        loss = 0.0
        # The folds and neighbours on the path differ little in their curvature.
        precondition = None
        if starts[0] is not None:
            penalty = PATH_START / splits[0][2] / 2**k
            precondition = _curvature(at_reference, starts[0], penalty)
        for i, (moments, held_out, n_training, n_held_out) in enumerate(splits):
            # Every fold has the same penalty times its number of training points.
            penalty = PATH_START / n_training / 2**k
            solution = solve(
                moments,
                at_reference,
                spectrum,
                penalty,
                starts[i],
                tol=1e-4,
                precondition=precondition,
            )
            if solution.ess < MIN_ESS:
                loss = np.inf
                break
            starts[i] = solution.coordinates
            loss += n_held_out * (held_out @ solution.coordinates + solution.log_partition)
        losses.append(loss)
        if k == int(np.argmin(losses)):
            best = starts[0]
        if k - int(np.argmin(losses)) >= PATIENCE:
            break
    return PATH_START / n / 2 ** int(np.argmin(losses)), best


def tilt(
    reference: NDArray, a: NDArray, log_weights: NDArray | float = 0.0
) -> tuple[float, NDArray, NDArray]:
    """Return log Z, the normalized weights of the reference points, and their mean features."""
    log_density = log_weights - reference @ a.astype(reference.dtype)
    highest = float(log_density.max())
    density = np.exp(log_density.astype(np.float64) - highest)
    total = density.sum()
    density /= total
    return float(np.log(total / len(reference)) + highest), density, _average(density, reference)


def _average(weights: NDArray, features: NDArray) -> NDArray:
    """Return the sum of features under weights; over blocks, in float64."""
    if features.dtype == np.float64:
        return weights @ features
    weights = weights.astype(features.dtype)
    total = np.zeros(features.shape[1])
    for start in range(0, len(features), BLOCK):
        total += weights[start : start + BLOCK] @ features[start : start + BLOCK]
    return total


def _mean_features(
    features: FrozenFeatures, X: NDArray | StreamedRows, parts: list[NDArray]
) -> tuple[NDArray, NDArray]:
    """Return the mean features of all points, (p,), and of disjoint parts of them, (n_parts, p)."""
    label = np.full(len(X), len(parts), np.int8)
    for i, part in enumerate(parts):
        label[part] = i
    sums = np.zeros((len(parts) + 1, len(features.spectrum)))
    start = 0
    for block in blocks(X):
        values = features.evaluate(block, np.float32)
        for i in range(len(sums)):
            chosen = values[label[start : start + len(block)] == i]
            sums[i] += chosen.sum(axis=0, dtype=np.float64)
        start += len(block)
    sizes = np.array([len(part) for part in parts])[:, None]
    return sums.sum(axis=0) / len(X), sums[:-1] / np.maximum(sizes, 1)


def _curvature(reference: NDArray, a: NDArray, penalty: float) -> Callable[[NDArray], NDArray]:
    """Return the inverse of the second derivative at a, from a part of the reference."""
    rows = reference[: max(N_CURVATURE, CURVATURE_RATIO * len(a))]
    _, density, mean = tilt(rows, a)
    weighted = rows * density.astype(rows.dtype)[:, None]
    covariance = (rows.T @ weighted).astype(np.float64) - np.outer(mean, mean)
    covariance[np.diag_indices_from(covariance)] += penalty
    return functools.partial(cho_solve, cho_factor(covariance))


def _newton_step(
    gradient: NDArray,
    reference: NDArray,
    density: NDArray,
    mean: NDArray,
    penalty: float,
    precondition: Callable[[NDArray], NDArray],
    tol: float,
) -> NDArray:
    step = np.zeros_like(gradient)
    weights = density.astype(reference.dtype)
    residual = -gradient
    direction = preconditioned = precondition(residual)
    product = initial = residual @ preconditioned
    # The second factor finds the block in the cache.
    rows = max(1, min(BLOCK, CACHE // len(gradient)))
    for _ in range(len(gradient)):
        curved = np.zeros_like(gradient)
        # One pass over the reference for both factors of the covariance.
        along = direction.astype(reference.dtype)
        for start in range(0, len(reference), rows):
            block = reference[start : start + rows]
            curved += (weights[start : start + rows] * (block @ along)) @ block
        curved += penalty * direction - mean * (mean @ direction)
        length = product / (direction @ curved)
        step = step + length * direction
        residual = residual - length * curved
        preconditioned = precondition(residual)
        previous, product = product, residual @ preconditioned
        if product <= 1e-4 * initial or residual @ residual <= 0.2 * penalty * tol:
            break
        direction = preconditioned + product / previous * direction
    return step
