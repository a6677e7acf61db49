r"""Permutation tests of whether two samples have the same law.

If they have, all ways to divide the pooled points into two samples are equally likely. The p-value
is the part of random divisions whose distance is at least the observed one, which makes the size of
the test exact whatever the distance is, as long as it does not know which division is the observed
one: neurons that are screened, and directions, are the same for all. The distances are those of
:mod:`.ipm` and :mod:`.wasserstein`; the tests are put together here.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._arc_cosine_kernels import factor, profile
from .._checks import check_alpha, check_count, check_differentiable, check_pair, check_sphere
from .._tiles import TILE, tiles
from .._two_sample_kernels import direction_slopes, neuron_slopes, sliced_distances
from ..ascent import climb
from ..features import feature_matrix

__all__ = ["METRICS", "TwoSample", "two_sample_test"]

METRICS = ("f1", "f2", "sliced-wasserstein", "max-sliced-wasserstein")
# Points that meet all others, or all neurons, at once.
BLOCK = 1024
# Numbers that are held at once: one for every point and labelling.
MAX_MASSES = 2**23
N_STEPS = 15


class TwoSample(NamedTuple):
    """The distance of the two samples (for "f2" its unbiased square), and the p-value."""

    statistic: float
    p_value: float


def two_sample_test(
    X: ArrayLike,
    Y: ArrayLike,
    metric: str,
    alpha: int = 1,
    n_starts: int = 4,
    n_screened: int = 512,
    n_projections: int = 100,
    n_permutations: int = 199,
    rng: np.random.Generator | int | None = None,
) -> TwoSample:
    r"""Test the hypothesis that two samples of independent points come from the same law.

    Parameters
    ----------
    X, Y : array_like of shape (n, d) and (m, d)
        At least two points each; of the sphere for "f2".
    metric : {"f1", "f2", "sliced-wasserstein", "max-sliced-wasserstein"}
        The largest difference of the means of a neuron; the kernel distance of random neurons; the
        mean and the maximum of :math:`W_1` between projections.
    alpha : int
        Power of the activation: 1, 2, 3 for "f1", and also 0 for "f2".
    n_starts : int
        Neurons or directions that are climbed from in every division, for "f1" and
        "max-sliced-wasserstein".
    n_screened : int
        Neurons that are looked at to choose these, half of them directions of pooled points, the
        others uniform; for "f1".
    n_projections : int
        Uniform directions, for "sliced-wasserstein".
    n_permutations : int
        Number B of divisions.
    rng : numpy.random.Generator or int, optional
        For the divisions, neurons and directions.

    Returns
    -------
    TwoSample
        The p-value is (1 + the number of divisions whose distance is at least the observed one) /
        (1 + B).

    Raises
    ------
    ValueError
        If the dimensions of the points differ, those for "f2" are off the sphere, or an option is
        out of range.
    """
    X, Y = check_pair(X, Y)
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS}, but it is {metric!r}.")
    (check_differentiable if metric == "f1" else check_alpha)(alpha)
    check_count(n_starts, "n_starts")
    check_count(n_screened, "n_screened", n_starts)
    check_count(n_projections, "n_projections")
    check_count(n_permutations, "n_permutations")
    rng = np.random.default_rng(rng)
    pooled = np.concatenate([X, Y])
    if metric == "f1":
        distances = _f1(pooled, alpha, n_starts, n_screened, rng)
    elif metric == "f2":
        distances = _f2(check_sphere(pooled, "X and Y"), alpha)
    elif metric == "sliced-wasserstein":
        distances = _sliced(pooled, sphere.uniform(n_projections, pooled.shape[1], rng))
    else:
        distances = _max_sliced(pooled, n_starts, rng)
    n, m = len(X), len(Y)
    own = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    values: list[NDArray] = []
    batch = max(1, MAX_MASSES // (n + m))
    for first in range(0, n_permutations + 1, batch):
        masses = np.tile(own, (min(batch, n_permutations + 1 - first), 1))
        # The observed division comes first, and is treated as all the others are.
        random = masses[1:] if first == 0 else masses
        rng.permuted(random, axis=1, out=random)
        values.append(distances(masses))
    observed, *others = found = np.concatenate(values)
    # Divisions with the same distance as the observed one are to count, whatever their rounding.
    at_least = np.asarray(others) >= observed - 1e-12 * np.abs(found).max()
    return TwoSample(float(observed), float((1 + at_least.sum()) / (1 + n_permutations)))


# Each of the following returns the distances, (B,), for masses of the pooled points, (B, N).
Distances = Callable[[NDArray], NDArray]


def _f1(
    pooled: NDArray, alpha: int, n_starts: int, n_screened: int, rng: np.random.Generator
) -> Distances:
    n, d = pooled.shape
    chosen = pooled[rng.integers(n, size=n_screened // 2)].astype(np.float64)
    uniform = sphere.uniform(n_screened - len(chosen), d, rng)
    screened = np.concatenate([sphere.normalize(chosen), uniform])
    points, compiled = tiles(pooled), neuron_slopes(alpha)

    def distances(masses: NDArray) -> NDArray:
        B = len(masses)
        means = sum(
            masses[:, first : first + BLOCK]
            @ feature_matrix(pooled[first : first + BLOCK], screened, alpha)
            for first in range(0, n, BLOCK)
        )
        best = np.argsort(-np.abs(means), axis=1)[:, :n_starts]
        signs = np.sign(np.take_along_axis(means, best, axis=1)).ravel()
        labelling = np.repeat(np.arange(B), n_starts)
        tiled = np.zeros((B, len(points) * TILE), pooled.dtype)
        tiled[:, :n] = masses
        tiled = tiled.reshape(B, -1, TILE)

        def difference(neurons: NDArray) -> tuple[NDArray, NDArray]:
            slopes = np.empty(neurons.shape)
            compiled(points, tiled, labelling, neurons.astype(pooled.dtype), slopes)
            # By Euler's theorem on homogeneous functions.
            return np.sum(neurons * slopes, axis=1) / alpha, slopes

        _, values = climb(difference, screened[best.ravel()], signs, N_STEPS)
        return np.abs(values).reshape(B, n_starts).max(axis=1)

    return distances


def _f2(pooled: NDArray, alpha: int) -> Distances:
    """U-statistics; the kernel is computed once for each batch."""
    n, d = pooled.shape
    compiled = profile(alpha, pooled.itemsize)

    def distances(masses: NDArray) -> NDArray:
        first_sample = (masses > 0).astype(pooled.dtype)
        # Sums of the kernel over pairs within the first sample, across, and over all pairs.
        inside, touching, total = np.zeros(len(masses)), np.zeros(len(masses)), 0.0
        for first in range(0, n, BLOCK):
            i = slice(first, first + BLOCK)
            for second in range(0, first + 1, BLOCK):
                j = slice(second, second + BLOCK)
                block = pooled[i] @ pooled[j].T
                compiled(block)
                if first == second:
                    np.fill_diagonal(block, 0)
                times = 1 if first == second else 2
                sums = first_sample[:, i] @ block
                inside += times * np.einsum("bj,bj->b", sums, first_sample[:, j], dtype=float)
                touching += sums.sum(axis=1, dtype=float)
                if first != second:
                    touching += first_sample[:, j] @ block.sum(axis=0)
                total += times * block.sum(dtype=float)
        size = int(first_sample[0].sum())
        other = n - size
        across = touching - inside
        outside = total - 2 * touching + inside
        square = inside / (size * (size - 1)) + outside / (other * (other - 1))
        return factor(d, alpha) * (square - 2 * across / (size * other))

    return distances


def _sliced(pooled: NDArray, directions: NDArray) -> Distances:
    projections = directions @ pooled.T
    order = np.argsort(projections, axis=1)
    gaps = np.diff(np.take_along_axis(projections, order, axis=1), axis=1).astype(float)

    def distances(masses: NDArray) -> NDArray:
        out = np.empty((len(order), len(masses)))
        sliced_distances(order, gaps, masses, out)
        return out.mean(axis=0)

    return distances


def _max_sliced(pooled: NDArray, n_starts: int, rng: np.random.Generator) -> Distances:
    """Climb from the principal axes of the differences of covariances, and from uniform ones."""
    d = pooled.shape[1]
    centred = (pooled - pooled.mean(axis=0)).astype(np.float64)
    n_axes = min(d, (n_starts + 1) // 2)
    uniform = sphere.uniform(n_starts - n_axes, d, rng)

    def distances(masses: NDArray) -> NDArray:
        B = len(masses)
        labelling = np.repeat(np.arange(B), n_starts)
        starts = np.empty((B, n_starts, d))
        starts[:, n_axes:] = uniform
        for b, mass in enumerate(masses):
            eigenvalues, axes = np.linalg.eigh((centred.T * mass) @ centred)
            starts[b, :n_axes] = axes.T[np.argsort(-np.abs(eigenvalues))[:n_axes]]

        def distance(directions: NDArray) -> tuple[NDArray, NDArray]:
            slopes = np.empty(directions.shape)
            direction_slopes(centred, masses, labelling, directions, slopes)
            return np.sum(directions * slopes, axis=1), slopes

        _, values = climb(distance, starts.reshape(-1, d), np.ones(B * n_starts), N_STEPS)
        return values.reshape(B, n_starts).max(axis=1)

    return distances
