r"""Sliced Wasserstein distances of order 1 between two samples in R^d.

On a line, :math:`W_1 = \int |F - G|` for the two distribution functions. The average-sliced
distance is its mean over the directions of projections, the max-sliced one its maximum: fixed
against learned features once more [domingoenrich2021separation]_.

From samples the distance is read too large: :math:`E\,W_1(P_n, Q_n) \ge W_1(P, Q)`, as the distance
is convex in the pair of laws. A witness reads it too small: :math:`E f(x) - E f(y) \le W_1(P, Q)`
for a function f of slope at most 1, and the difference of the means over samples is unbiased. Both
hold whether the two samples are independent or coupled, and coupling takes noise from both.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._checks import check_columns, check_count, check_pair, check_sphere
from ..ascent import climb
from ..sampling.diagnostics import Estimate

__all__ = ["MaxSliced", "max_sliced_wasserstein", "sliced_lower_bound", "sliced_wasserstein"]

N_STEPS = 40
# Numbers that are projected at a time: 32 MB in float64.
BLOCK = 2**22


class MaxSliced(NamedTuple):
    """The distance, and the unit direction, (d,), that attains it: a bound from inside."""

    value: float
    direction: NDArray


def sliced_wasserstein(
    X: ArrayLike,
    Y: ArrayLike,
    n_projections: int = 100,
    directions: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
) -> Estimate:
    """Average W1 over directions of projection.

    It is a plug-in: the noise of two samples of n points adds about n^(-1/2) to it.

    Parameters
    ----------
    X, Y : array_like of shape (n, d) and (m, d)
        Where both are float32, so are their projections.
    n_projections : int
        Uniform directions.
    directions : array_like of shape (n_projections, d), optional
        Unit vectors to take instead.
    rng : numpy.random.Generator or int, optional
        Draws the directions.

    Returns
    -------
    Estimate
        The standard error is that of the mean over directions, with these samples.

    Raises
    ------
    ValueError
        If the dimensions differ or a direction is not a unit vector.
    """
    X, Y = check_pair(X, Y)
    chosen = _directions(X.shape[1], n_projections, directions, rng)
    x, y, widths = _quantiles(len(X), len(Y))
    distances = []
    for own, other in _projections(X, Y, chosen):
        own.sort(axis=1)
        other.sort(axis=1)
        distances.append(np.abs(own[:, x] - other[:, y]) @ widths)
    return _mean(np.concatenate(distances))


def sliced_lower_bound(
    X: ArrayLike,
    Y: ArrayLike,
    n_projections: int = 100,
    directions: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    witness: Callable[[NDArray], NDArray] = np.abs,
) -> Estimate:
    r"""Average over directions of the difference of means of a witness of the projections.

    By Kantorovich and Rubinstein the expectation of
    :math:`\frac1n\sum_i f(\langle\theta, x_i\rangle) - \frac1m\sum_i f(\langle\theta, y_i\rangle)`
    is at most :math:`W_1` of the projections. The default attains it between a law without mean
    and a copy that is scaled down.

    Parameters
    ----------
    X, Y, n_projections, directions, rng
        As for `sliced_wasserstein`.
    witness : callable
        Function of an array, elementwise, that changes by at most as much as its argument does.

    Returns
    -------
    Estimate
        The standard error is that of the mean over directions, with these samples.

    Raises
    ------
    ValueError
        If the dimensions differ or a direction is not a unit vector.
    """
    X, Y = check_pair(X, Y)
    chosen = _directions(X.shape[1], n_projections, directions, rng)
    bounds = [
        witness(own).mean(axis=1, dtype=np.float64) - witness(other).mean(axis=1, dtype=np.float64)
        for own, other in _projections(X, Y, chosen)
    ]
    return _mean(np.concatenate(bounds))


def max_sliced_wasserstein(
    X: ArrayLike,
    Y: ArrayLike,
    n_starts: int = 8,
    rng: np.random.Generator | int | None = None,
) -> MaxSliced:
    r"""Search the direction of projection with the largest W1.

    Between neighbours :math:`z_j < z_{j+1}` among the projections of all points the distribution
    functions are constant, so that :math:`W_1 = \sum_j |F_j - G_j| (z_{j+1} - z_j)`: linear in the
    direction as long as the order stays.

    Parameters
    ----------
    X, Y : array_like of shape (n, d) and (m, d)
    n_starts : int
        Half of them uniform directions, half the principal axes of what the covariances of the two
        samples differ by.
    rng : numpy.random.Generator or int, optional
        Draws the uniform ones.

    Returns
    -------
    MaxSliced

    Raises
    ------
    ValueError
        If the dimensions differ.
    """
    X, Y = check_pair(X, Y)
    n_starts = check_count(n_starts, "n_starts", 2)
    d = X.shape[1]
    points = np.concatenate([X, Y])
    masses = np.concatenate([np.full(len(X), 1 / len(X)), np.full(len(Y), -1 / len(Y))])
    covariances = [np.cov(Z, rowvar=False, dtype=Z.dtype) for Z in (X, Y)]
    eigenvalues, axes = np.linalg.eigh(covariances[0] - covariances[1])
    leading = axes.T[np.argsort(-np.abs(eigenvalues))][: n_starts // 2]
    uniform = sphere.uniform(n_starts - len(leading), d, rng)
    directions, values = climb(
        lambda candidates: _distances_and_slopes(points, masses, candidates),
        np.concatenate([leading, uniform]),
        np.ones(n_starts),
        N_STEPS,
    )
    best = int(np.argmax(values))
    return MaxSliced(float(values[best]), directions[best])


def _distances_and_slopes(
    points: NDArray, masses: NDArray, directions: NDArray
) -> tuple[NDArray, NDArray]:
    """W1 of the projected positive and negative masses, and its derivative in each direction."""
    projections = directions.astype(points.dtype, copy=False) @ points.T
    order = np.argsort(projections, axis=1)
    # F - G on the intervals between neighbours, and outside.
    height = np.zeros((len(directions), len(points) + 1))
    np.cumsum(masses[order][:, :-1], axis=1, out=height[:, 1:-1])
    np.abs(height, out=height)
    weights = np.empty(projections.shape)
    np.put_along_axis(weights, order, height[:, :-1] - height[:, 1:], axis=1)
    slopes = weights.astype(points.dtype, copy=False) @ points
    return np.sum(weights * projections, axis=1), slopes.astype(np.float64, copy=False)


def _quantiles(n: int, m: int) -> tuple[NDArray, NDArray, NDArray]:
    r"""Return ranks in samples of n and of m points, and the widths of levels between them.

    :math:`W_1 = \int_0^1 |F^{-1} - G^{-1}|`, and the quantile functions are constant between the
    levels i/n and j/m. In units of 1/(nm) these are integers.
    """
    ends = np.union1d(m * np.arange(1, n + 1), n * np.arange(1, m + 1))
    widths = np.diff(ends, prepend=0) / (n * m)
    return (ends - 1) // m, (ends - 1) // n, widths


def _projections(X: NDArray, Y: NDArray, directions: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Projections of both samples, (n_block, n) and (n_block, m), by blocks of directions."""
    rows = max(1, BLOCK // (len(X) + len(Y)))
    for start in range(0, len(directions), rows):
        block = directions[start : start + rows]
        yield block.astype(X.dtype) @ X.T, block.astype(Y.dtype) @ Y.T


def _directions(
    d: int,
    n_projections: int,
    directions: ArrayLike | None,
    rng: np.random.Generator | int | None,
) -> NDArray:
    if directions is None:
        return sphere.uniform(check_count(n_projections, "n_projections", 2), d, rng)
    chosen = check_sphere(directions, "directions", min_samples=2)
    check_columns(chosen, d, "directions")
    return chosen


def _mean(values: NDArray) -> Estimate:
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))))
