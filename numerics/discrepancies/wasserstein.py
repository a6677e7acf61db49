r"""Sliced Wasserstein distances of order 1 between two samples in R^d.

On a line, :math:`W_1 = \int |F - G|` for the two distribution functions. The average-sliced
distance is its mean over the directions of projections, the max-sliced one its maximum: fixed
against learned features once more [domingoenrich2021separation]_.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import wasserstein_distance

from .. import sphere
from .._checks import check_count, check_samples, check_sphere
from ..ascent import climb
from ..sampling.diagnostics import Estimate

__all__ = ["MaxSliced", "max_sliced_wasserstein", "sliced_wasserstein"]

N_STEPS = 40


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
    X, Y = _pair(X, Y)
    if directions is None:
        n_projections = check_count(n_projections, "n_projections", 2)
        chosen = sphere.uniform(n_projections, X.shape[1], rng)
    else:
        chosen = check_sphere(directions, "directions", min_samples=2)
        if chosen.shape[1] != X.shape[1]:
            raise ValueError(
                f"directions must have as many columns as X, {X.shape[1]}, "
                f"but have shape {chosen.shape}."
            )
    distances = [wasserstein_distance(X @ theta, Y @ theta) for theta in chosen]
    return Estimate(
        float(np.mean(distances)), float(np.std(distances, ddof=1) / np.sqrt(len(distances)))
    )


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
    X, Y = _pair(X, Y)
    n_starts = check_count(n_starts, "n_starts", 2)
    d = X.shape[1]
    points = np.concatenate([X, Y])
    masses = np.concatenate([np.full(len(X), 1 / len(X)), np.full(len(Y), -1 / len(Y))])

    def distances(directions: NDArray) -> tuple[NDArray, NDArray]:
        values, slopes = np.empty(len(directions)), np.empty(directions.shape)
        for j, theta in enumerate(directions):
            values[j], slopes[j] = _distance_and_slope(points, masses, theta)
        return values, slopes

    eigenvalues, axes = np.linalg.eigh(np.atleast_2d(np.cov(X.T) - np.cov(Y.T)))
    leading = axes.T[np.argsort(-np.abs(eigenvalues))][: n_starts // 2]
    uniform = sphere.uniform(n_starts - len(leading), d, rng)
    starts = np.concatenate([leading, uniform])
    directions, values = climb(distances, starts, np.ones(n_starts), N_STEPS)
    best = int(np.argmax(values))
    return MaxSliced(float(values[best]), directions[best])


def _distance_and_slope(points: NDArray, masses: NDArray, theta: NDArray) -> tuple[float, NDArray]:
    """W1 of the projected positive and negative masses, and its derivative in the direction."""
    order = np.argsort(points @ theta)
    # F - G on the intervals between neighbours, and outside.
    height = np.abs(np.concatenate([[0.0], np.cumsum(masses[order])[:-1], [0.0]]))
    slope = (height[:-1] - height[1:]) @ points[order]
    return float(slope @ theta), slope


def _pair(X: ArrayLike, Y: ArrayLike) -> tuple[NDArray, NDArray]:
    X, Y = check_samples(X, min_samples=2), check_samples(Y, "Y", min_samples=2)
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"Y must have as many columns as X, {X.shape[1]}, but has shape {Y.shape}."
        )
    return X, Y
