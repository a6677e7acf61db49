r"""Maximum likelihood with frozen features: a convex problem, solved to a certified optimum.

The energy is :math:`f = \frac1m \sum_j c_j \sigma(\langle\theta_j, \cdot\rangle)` with neurons
that are drawn once and stay; the F2 norm is :math:`\|f\|^2 = \frac1m \sum_j c_j^2`. In
coordinates :math:`a = c/\sqrt m` with features :math:`\varphi_j = \sigma(\langle\theta_j,
\cdot\rangle)/\sqrt m` the problem is

.. math:: \min_a\; \langle a, E_{\nu_n}\varphi\rangle + \log E_\tau e^{-\langle a, \varphi\rangle}
   + \frac\lambda2 |a|^2 .

It is strongly convex with modulus lambda, so that the gap is at most ``|gradient|^2/(2 lambda)``.
The Gram matrix of the features under tau is the arc-cosine kernel of the neurons, whose spectrum
falls by orders of magnitude from one harmonic degree to the next. The features are rotated to its
eigenvectors, and directions far below the smallest penalty in reach are left out: what remains is
about as large as the effective dimension.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ..features import feature_matrix
from ..kernels import arc_cosine
from .validation import MIN_ESS, enough_reference, folds

__all__ = ["FrozenFeatures", "LazyFit", "Solution", "fit", "solve", "tilt"]

BLOCK = 4096
CACHE = 2**17
# Directions whose eigenvalue is below this part of the leading one are noise of no use.
NEGLIGIBLE = 1e-8
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


class FrozenFeatures(NamedTuple):
    """Neurons (m, d), leading eigenvectors of their Gram matrix (m, p), and eigenvalues (p,)."""

    neurons: NDArray
    alpha: int
    basis: NDArray
    spectrum: NDArray

    @classmethod
    def of(cls, neurons: NDArray, alpha: int) -> Self:
        """Rotate the features of these unit neurons and keep the leading directions.

        Room is left for 600 directions or, if that is more, for the harmonics of degrees 0 to 2.
        If more are of use, the cut is made at the largest gap of the spectrum, so that no degree
        is torn apart.
        """
        m, d = neurons.shape
        gram = arc_cosine(neurons @ neurons.T, d, alpha) / m
        room = min(m, max(600, d * (d + 3) // 2))
        spectrum, basis = eigh(gram, subset_by_index=(m - room, m - 1))
        spectrum, basis = spectrum[::-1], basis[:, ::-1]
        p = int(np.count_nonzero(spectrum > NEGLIGIBLE * spectrum[0]))
        if p == room < m:
            p = 1 + int(np.argmax(spectrum[:-1] / spectrum[1:]))
        return cls(neurons, alpha, np.ascontiguousarray(basis[:, :p]), spectrum[:p])

    def evaluate(self, X: NDArray) -> NDArray:
        """Return the rotated features at points (n, d): shape (n, p)."""
        out = np.empty((len(X), self.basis.shape[1]))
        # float32 rounds each feature at 1e-7 of itself; all sums over points are float64.
        basis = (self.basis / np.sqrt(len(self.neurons))).astype(np.float32)
        neurons = self.neurons.astype(np.float32)
        for start in range(0, len(X), BLOCK):
            block = X[start : start + BLOCK].astype(np.float32)
            out[start : start + BLOCK] = feature_matrix(block, neurons, self.alpha) @ basis
        return out

    def output_weights(self, coordinates: NDArray) -> NDArray:
        """Return the weights c, (m,), of rotated coordinates, (p,)."""
        return np.sqrt(len(self.neurons)) * (self.basis @ coordinates)


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
        Features at a sample of tau, or of another measure.
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
            # The slack is rounding: near the optimum the gain is below the digits of the value.
            if value <= objective + 1e-4 * length * slope + 1e-13:
                break
            length /= 2
        a, objective = candidate, value
    return Solution(a, log_z, 1 / float(density @ density), n_iter, gap)


def fit(
    X: NDArray,
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
    at_data, at_reference = features.evaluate(X), features.evaluate(reference)
    spectrum = features.spectrum
    if penalty is None:
        penalty = _choose_penalty(at_data, at_reference, spectrum, rng)
    solution = solve(at_data.mean(0), at_reference, spectrum, penalty)
    return LazyFit(
        features.output_weights(solution.coordinates),
        penalty,
        solution.n_iter,
        solution.optimality_gap <= TOLERANCE,
        solution.optimality_gap,
    )


def _choose_penalty(
    at_data: NDArray, at_reference: NDArray, spectrum: NDArray, rng: np.random.Generator
) -> float:
    """Return the penalty with the least validation loss, pooled over the folds."""
    n = len(at_data)
    at_reference = at_reference[: enough_reference(n)]
    splits = [
        (at_data[training].mean(0), at_data[held_out].mean(0), len(training), len(held_out))
        for training, held_out in folds(n, rng, ENOUGH)
    ]
    starts: list[NDArray | None] = [None] * len(splits)
    losses: list[float] = []
    for k in range(PATH_LENGTH):
        loss = 0.0
        for i, (moments, held_out, n_training, n_held_out) in enumerate(splits):
            # Every fold has the same penalty times its number of training points.
            penalty = PATH_START / n_training / 2**k
            solution = solve(moments, at_reference, spectrum, penalty, starts[i], tol=1e-4)
            if solution.ess < MIN_ESS:
                loss = np.inf
                break
            starts[i] = solution.coordinates
            loss += n_held_out * (held_out @ solution.coordinates + solution.log_partition)
        losses.append(loss)
        if k - int(np.argmin(losses)) >= PATIENCE:
            break
    return PATH_START / n / 2 ** int(np.argmin(losses))


def tilt(
    reference: NDArray, a: NDArray, log_weights: NDArray | float = 0.0
) -> tuple[float, NDArray, NDArray]:
    """Return log Z, the normalized weights of the reference points, and their mean features."""
    log_density = log_weights - reference @ a
    highest = log_density.max()
    density = np.exp(log_density - highest)
    total = density.sum()
    density /= total
    return float(np.log(total / len(reference)) + highest), density, density @ reference


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
    residual = -gradient
    direction = preconditioned = precondition(residual)
    product = initial = residual @ preconditioned
    # The second factor finds the block in the cache.
    rows = max(1, min(BLOCK, CACHE // len(gradient)))
    for _ in range(len(gradient)):
        curved = np.zeros_like(gradient)
        # One pass over the reference for both factors of the covariance.
        for start in range(0, len(reference), rows):
            block = reference[start : start + rows]
            curved += (density[start : start + rows] * (block @ direction)) @ block
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
