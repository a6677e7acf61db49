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
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ..sampling.reweighting import MIN_ESS, LogPartition, PartitionFunctionError
from ..streams import StreamedRows, blocks
from .frozen_features import FrozenFeatures
from .validation import enough_reference, folds

__all__ = [
    "FrozenFeatures",
    "LazyFit",
    "ReferenceTooSmallError",
    "Solution",
    "fit",
    "solve",
    "tilt",
]

BLOCK = 4096
CACHE = 2**17
# Reference points whose covariance preconditions Newton's method: no fewer, and so many for each
# direction.
N_CURVATURE, CURVATURE_RATIO = 4096, 32
PATH_START = 16.0
PATH_LENGTH = 24
PATIENCE = 2
TOLERANCE = 1e-7
# Newton steps between two looks at the reference, and how often.
BOUT, N_BOUTS = 10, 10
# Validation points beyond which another fold would not move the flat optimum.
ENOUGH = 2000


class ReferenceTooSmallError(PartitionFunctionError):
    """Raised when the reference can't carry the fitted energy, whose log Z then means nothing.

    The floor is the number of degrees of freedom of the fit.
    """

    def __init__(self, estimate: LogPartition, min_ess: float):
        super().__init__(estimate, min_ess)
        self.args = (
            f"The reference is too small for this fit: its weights are worth {estimate.ess:.0f} "
            f"points, fewer than the fit's {min_ess:.0f} degrees of freedom; use a larger penalty "
            "or n_reference.",
        )


class LazyFit(NamedTuple):
    """Output weights c, (m,), the penalty, Newton steps, and the certificate."""

    weights: NDArray
    penalty: float
    n_iter: int
    converged: bool
    optimality_gap: float


class Tilt(NamedTuple):
    """Log Z on a reference, the normalized weights of its points (M,), their mean features (p,)."""

    log_partition: float
    density: NDArray
    mean: NDArray


class Solution(NamedTuple):
    """Coordinates (p,), log Z on the reference and its effective size, steps, gap, and the tilt."""

    coordinates: NDArray
    log_partition: float
    ess: float
    n_iter: int
    optimality_gap: float
    tilted: Tilt


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
    tilted: Tilt | None = None,
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
    tilted : Tilt, optional
        The reference tilted at the start, if it is known.

    Returns
    -------
    Solution
    """
    if precondition is None:
        diagonal = spectrum + penalty
        precondition = functools.partial(np.multiply, 1 / diagonal)
    a = np.zeros(len(moments)) if start is None else start
    log_z, density, mean = tilted = tilted or tilt(reference, a, log_weights)
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
            log_z, density, mean = tilted = tilt(reference, candidate, log_weights)
            value = moments @ candidate + log_z + penalty / 2 * candidate @ candidate
            if value <= objective + 1e-4 * length * slope + slack:
                break
            length /= 2
        a, objective = candidate, value
    return Solution(a, log_z, 1 / float(density @ density), n_iter, gap, tilted)


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

    Raises
    ------
    ReferenceTooSmallError
        If the weights of the reference are worth fewer points than the fit has degrees of freedom.
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
    n_iter, tilted = 0, None
    for _ in range(N_BOUTS):
        solution = solve(
            mean,
            at_reference,
            spectrum,
            penalty,
            start,
            max_iter=BOUT,
            precondition=precondition,
            tilted=tilted,
        )
        n_iter += solution.n_iter
        _require_enough_reference(solution, at_reference, penalty)
        if solution.optimality_gap <= TOLERANCE:
            break
        start, tilted = solution.coordinates, solution.tilted
    return LazyFit(
        features.output_weights(solution.coordinates),
        penalty,
        n_iter,
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
    # Tilted weights fit the noise of their own reference points: others say what log Z is.
    half = min(enough_reference(n), len(at_reference) // 2)
    fresh, at_reference = at_reference[half : 2 * half], at_reference[:half]
    splits = [
        ((n * mean - size * held_out) / (n - size), held_out, n - size, size)
        for size, held_out in zip(sizes, held_out_means, strict=True)
    ]
    starts: Sequence[Solution | None] = [None] * len(splits)
    losses: list[float] = []
    best = None
    for k in range(PATH_LENGTH):
        # The folds and neighbours on the path differ little in their curvature.
        precondition = None
        if starts[0] is not None:
            penalty = PATH_START / splits[0][2] / 2**k
            precondition = _curvature(at_reference, starts[0].coordinates, penalty)
        solutions = []
        for start, (moments, _, n_training, _) in zip(starts, splits, strict=True):
            # Every fold has the same penalty times its number of training points.
            penalty = PATH_START / n_training / 2**k
            solution = solve(
                moments,
                at_reference,
                spectrum,
                penalty,
                start.coordinates if start else None,
                tol=1e-4,
                precondition=precondition,
                tilted=start.tilted if start else None,
            )
            solutions.append(solution)
        starts = solutions
        losses.append(_validation_loss(splits, [one.coordinates for one in solutions], fresh))
        if k == int(np.argmin(losses)):
            best = solutions[0].coordinates
        if k - int(np.argmin(losses)) >= PATIENCE:
            break
    return PATH_START / n / 2 ** int(np.argmin(losses)), best


def _validation_loss(
    splits: list[tuple[NDArray, NDArray, int, int]], solutions: list[NDArray], fresh: NDArray
) -> float:
    """Return the loss of all held-out points; infinite where fresh points can't tell log Z."""
    loss = 0.0
    # One pass over the fresh points for all folds.
    energies = fresh @ np.stack(solutions, axis=1).astype(fresh.dtype)
    for (_, held_out, _, n_held_out), a, energy in zip(splits, solutions, energies.T, strict=True):
        log_z, density = _normalize(-energy)
        if 1 / float(density @ density) < MIN_ESS:
            return np.inf
        loss += n_held_out * (held_out @ a + log_z)
    return loss


def tilt(reference: NDArray, a: NDArray, log_weights: NDArray | float = 0.0) -> Tilt:
    """Return log Z, the normalized weights of the reference points, and their mean features."""
    log_z, density = _normalize(log_weights - reference @ a.astype(reference.dtype))
    return Tilt(log_z, density, _average(density, reference))


def _normalize(log_density: NDArray) -> tuple[float, NDArray]:
    """Return the logarithm of the mean density of the reference points, and their weights."""
    highest = float(log_density.max())
    density = np.exp(log_density.astype(np.float64) - highest)
    total = density.sum()
    density /= total
    return float(np.log(total / len(density)) + highest), density


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


def _require_enough_reference(solution: Solution, reference: NDArray, penalty: float) -> None:
    r"""Refuse a fit that has as many degrees of freedom as its reference is worth points.

    They are :math:`\mathrm{tr}\, C (C + \lambda)^{-1}`, with C the covariance of the features in
    the model: no more than directions. Their ratio to the points is by how much log Z is too small
    to leading order, as in a fit to as many data.
    """
    p = len(solution.coordinates)
    if solution.ess >= p:
        return
    # Rounding may leave eigenvalues below zero.
    variances = np.maximum(np.linalg.eigvalsh(_covariance(reference, solution.coordinates)), 0)
    freedom = float(np.sum(variances / (variances + penalty)))
    if solution.ess < freedom:
        se = float(np.sqrt(1 / solution.ess - 1 / len(reference)))
        estimate = LogPartition(solution.log_partition, se, solution.ess)
        raise ReferenceTooSmallError(estimate, freedom)


def _curvature(reference: NDArray, a: NDArray, penalty: float) -> Callable[[NDArray], NDArray]:
    """Return the inverse of the second derivative at a, from a part of the reference."""
    second = _covariance(reference, a)
    second[np.diag_indices_from(second)] += penalty
    return functools.partial(cho_solve, cho_factor(second))


def _covariance(reference: NDArray, a: NDArray) -> NDArray:
    """Return the covariance of the features in the model at a, from a part of the reference."""
    rows = reference[: max(N_CURVATURE, CURVATURE_RATIO * len(a))]
    _, density, mean = tilt(rows, a)
    weighted = rows * density.astype(rows.dtype)[:, None]
    return (rows.T @ weighted).astype(np.float64) - np.outer(mean, mean)


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
