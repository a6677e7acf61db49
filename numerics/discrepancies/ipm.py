r"""Integral probability metrics of the unit balls of F1 and F2, from two samples.

For neurons :math:`\sigma(\langle\theta, x\rangle) = \max(\langle\theta, x\rangle, 0)^\alpha` let
:math:`v(\theta) = E_X\sigma - E_Y\sigma`. The largest difference of the means of a function in the
unit ball is

.. math:: d_{F1} = \max_\theta |v(\theta)|, \qquad
          d_{F2}^2 = E_{\theta\sim\tau} v(\theta)^2
                   = E\kappa(x, x') + E\kappa(y, y') - 2 E\kappa(x, y),

the second with the arc-cosine kernel :math:`\kappa` of `kernels.arc_cosine`
[domingoenrich2021separation]_. Its U-statistic is unbiased, where the plug-in adds the noise of the
samples; a negative value is then as likely as a positive one if the two laws agree, and its root
keeps the sign.

Neurons are unit vectors, and points may be any of R^d: with a constant coordinate, say. Only the
kernel of all pairs is for points of the sphere.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._arc_cosine_kernels import STRIPS, factor, pair_sums
from .._checks import (
    check_alpha,
    check_columns,
    check_count,
    check_differentiable,
    check_group_size,
    check_pair,
    check_sphere,
)
from .._feature_kernels import kernels
from .._tiles import TILE, tiled_vector, tiles
from ..ascent import climb
from ..kernels import arc_cosine

__all__ = ["F1IPM", "F2IPM", "f1_ipm", "f2_ipm", "mean_difference"]

METHODS = ("exact", "features")
# Blocks of points whose means of a feature are compared, so that no point meets itself.
N_BLOCKS = 32
N_STEPS = 30


class F1IPM(NamedTuple):
    """The distance, and the neuron, (d,), that attains it: a bound from inside, as a search is."""

    value: float
    witness: NDArray


class F2IPM(NamedTuple):
    """The distance with the sign of its square, and its standard error; the square, and its own."""

    value: float
    standard_error: float
    square: float
    square_standard_error: float


def f1_ipm(
    X: ArrayLike,
    Y: ArrayLike,
    alpha: int = 1,
    n_starts: int = 32,
    n_screened: int = 1024,
    rng: np.random.Generator | int | None = None,
) -> F1IPM:
    r"""Search the neuron whose mean differs most between two samples.

    A neuron that stands out does so in a small part of the sphere, where the samples differ: half
    of the neurons that are screened are the directions of points of the samples themselves.

    Parameters
    ----------
    X, Y : array_like of shape (n, d) and (m, d)
        At least two points each.
    alpha : {1, 2, 3}
        Power of the activation.
    n_starts : int
        Neurons that are climbed from.
    n_screened : int
        Neurons that are looked at to choose the starts, at least twice as many.
    rng : numpy.random.Generator or int, optional
        For the neurons that are screened.

    Returns
    -------
    F1IPM

    Raises
    ------
    ValueError
        If the dimensions of the points differ, or an option is out of range.
    """
    X, Y = _pair(X, Y)
    check_differentiable(alpha)
    check_count(n_starts, "n_starts")
    check_count(n_screened, "n_screened", 2 * n_starts)
    rng = np.random.default_rng(rng)
    d = X.shape[1]
    points = tiles(np.concatenate([X, Y]))
    masses = np.concatenate([np.full(len(X), 1 / len(X)), np.full(len(Y), -1 / len(Y))])
    mass = tiled_vector(masses.astype(X.dtype))
    compiled = kernels(alpha).energy_gradient

    def difference(neurons: NDArray) -> tuple[NDArray, NDArray]:
        """V at each neuron, and its gradient."""
        m = len(neurons)
        slopes, values = np.empty(neurons.shape), np.empty(m)
        ones = np.ones(m, X.dtype)
        compiled(points, neurons.astype(X.dtype), ones, mass, slopes, values)
        return m * values, m * slopes

    quarter = n_screened // 4
    chosen = [S[rng.integers(len(S), size=quarter)].astype(np.float64) for S in (X, Y)]
    screened = np.concatenate(
        [*map(sphere.normalize, chosen), sphere.uniform(n_screened - 2 * quarter, d, rng)]
    )
    values = _means(X, screened, alpha) - _means(Y, screened, alpha)
    best = np.argsort(-np.abs(values))[:n_starts]
    neurons, values = climb(difference, screened[best], np.sign(values[best]), N_STEPS)
    winner = int(np.argmax(np.abs(values)))
    return F1IPM(float(abs(values[winner])), neurons[winner])


def f2_ipm(
    X: ArrayLike,
    Y: ArrayLike,
    alpha: int = 1,
    method: str = "exact",
    n_features: int = 4096,
    group_size: int = 1,
    rng: np.random.Generator | int | None = None,
) -> F2IPM:
    r"""Estimate the F2 distance of two laws.

    Parameters
    ----------
    X, Y : array_like of shape (n, d) and (m, d)
        At least two points each, of the sphere for "exact". In float32 the arithmetic on pairs is
        float32 too, and about three times faster.
    alpha : {0, 1, 2, 3}
        Power of the activation.
    method : {"exact", "features"}
        The kernel of all pairs, or random features, whose number then enters the standard error.
    n_features : int
        For "features".
    group_size : int, default=1
        Above 1 so many consecutive points of X, and the same rows of Y, were drawn together, and
        only pairs from different groups count.
    rng : numpy.random.Generator or int, optional
        For "features".

    Returns
    -------
    F2IPM
        The standard error of the value is that of the square over twice the value; a value within
        the noise of zero has the root of the square's standard error for it. For the kernel of
        points in groups it is up to sqrt(2) times too large where all is noise.

    Raises
    ------
    ValueError
        If points for "exact" are off the sphere, dimensions differ, or an option is out of range.
    """
    X, Y = _pair(X, Y)
    check_alpha(alpha)
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, but it is {method!r}.")
    if check_group_size(group_size, len(X), 2) > 1 and len(X) != len(Y):
        raise ValueError(
            f"Y must have as many rows as X, {len(X)}, for groups of both, but has {len(Y)}."
        )
    if method == "exact":
        X, Y = check_sphere(X), check_sphere(Y, "Y")
        square, variance = (
            _by_pairs(X, Y, alpha) if group_size == 1 else _by_groups(X, Y, alpha, group_size)
        )
    else:
        n_features = check_count(n_features, "n_features", 2)
        smallest = 2 * N_BLOCKS * group_size
        if min(len(X), len(Y)) < smallest:
            raise ValueError(
                f'X and Y must have at least {smallest} points for method="features" with '
                f"group_size={group_size}, but they have {len(X)} and {len(Y)}."
            )
        neurons = sphere.uniform(n_features, X.shape[1], np.random.default_rng(rng), X.dtype)
        square, variance = _by_features(X, Y, neurons, alpha, group_size)
    error = float(np.sqrt(variance))
    value = float(np.sign(square) * np.sqrt(abs(square)))
    scale = 2 * float(np.sqrt(max(abs(square), error)))
    return F2IPM(value, error / scale if scale > 0 else 0.0, square, error)


def mean_difference(X: ArrayLike, Y: ArrayLike, neurons: ArrayLike, alpha: int = 1) -> NDArray:
    r"""Return :math:`v(\theta) = E_X\sigma - E_Y\sigma`, (m,), at unit neurons (m, d)."""
    X, Y = _pair(X, Y)
    neurons = check_sphere(neurons, "neurons")
    check_columns(neurons, X.shape[1], "neurons")
    check_alpha(alpha)
    return _means(X, neurons, alpha) - _means(Y, neurons, alpha)


def _pair(X: ArrayLike, Y: ArrayLike) -> tuple[NDArray, NDArray]:
    X, Y = check_pair(X, Y)
    dtype = np.result_type(X, Y)
    return X.astype(dtype, copy=False), Y.astype(dtype, copy=False)


def _by_pairs(X: NDArray, Y: NDArray, alpha: int) -> tuple[float, float]:
    r"""Return the U-statistic and its variance.

    The influence of a point x on it is :math:`2(a - b)`, with its mean kernel a to the other points
    of X, and b to those of Y. The variance of these over n is that of the linear part plus twice
    that of the rest, as each mean is noisy itself; the noise is known from the squares of the
    kernel, and half of it is taken off.
    """
    n, m = len(X), len(Y)
    own_x, _, squares_xx = _sums(X, X, alpha, same=True)
    own_y, _, squares_yy = _sums(Y, Y, alpha, same=True)
    cross_x, cross_y, squares_xy = _sums(X, Y, alpha, same=False)
    at_one = float(arc_cosine(1.0, X.shape[1], alpha))
    a, c = (own_x - at_one) / (n - 1), (own_y - at_one) / (m - 1)
    b, e = cross_x / m, cross_y / n
    square = float(a.mean() + c.mean() - b.mean() - e.mean())
    spread = 4 * (np.var(a - b, ddof=1) / n + np.var(c - e, ddof=1) / m)
    noise_xx = (squares_xx - n * at_one**2) / (n * (n - 1)) - np.mean(a**2)
    noise_yy = (squares_yy - m * at_one**2) / (m * (m - 1)) - np.mean(c**2)
    noise_xy = squares_xy / (n * m)
    noise = noise_xx / n**2 + noise_yy / m**2
    noise += (2 * noise_xy - np.mean(b**2) - np.mean(e**2)) / (n * m)
    return square, float(max(spread - 2 * noise, spread / 2))


def _by_groups(X: NDArray, Y: NDArray, alpha: int, group_size: int) -> tuple[float, float]:
    """Return the U-statistic of groups, and 4 / G times the variance of their projections."""
    n, d = X.shape
    own_x, own_y = (_sums(S, S, alpha, same=True)[0] for S in (X, Y))
    cross_x, cross_y, _ = _sums(X, Y, alpha, same=False)
    n_groups = n // group_size
    totals = (own_x + own_y - cross_x - cross_y).reshape(n_groups, group_size).sum(axis=1)
    for times, A, B in ((1, X, X), (1, Y, Y), (-2, X, Y)):
        first, second = (S.reshape(n_groups, group_size, d) for S in (A, B))
        within = arc_cosine(first @ second.transpose(0, 2, 1), d, alpha)
        totals -= times * within.sum(axis=(1, 2))
    projections = totals / (group_size**2 * (n_groups - 1))
    return float(projections.mean()), float(4 * np.var(projections, ddof=1) / n_groups)


def _sums(X: NDArray, Y: NDArray, alpha: int, same: bool) -> tuple[NDArray, NDArray, float]:
    """Return the sums of the kernel for each point of X and of Y, and that of its square."""
    (n, d), m = X.shape, len(Y)
    points, others = tiles(X), tiles(Y)
    rows = np.zeros((len(points), TILE))
    columns, squares = np.zeros((STRIPS, len(others), TILE)), np.zeros(STRIPS)
    pair_sums(alpha, X.itemsize)(points, others, n, m, same, rows, columns, squares)
    scale = factor(d, alpha)
    of_rows, of_columns = rows.ravel()[:n], columns.sum(axis=0).ravel()[:m]
    if same:
        of_rows = of_rows + of_columns
    return scale * of_rows, scale * of_columns, float(scale**2 * squares.sum())


def _by_features(
    X: NDArray, Y: NDArray, neurons: NDArray, alpha: int, group_size: int
) -> tuple[float, float]:
    """Return the mean over neurons of the unbiased square of v, and its variance.

    The difference of the means over one block of X and one of Y is unbiased for v, and two blocks,
    which split no group, are independent: the products of different blocks are a U-statistic of
    N_BLOCKS items. To its variance that of a mean over neurons is added.
    """
    m = len(neurons)
    blocks = zip(_blocks(X, group_size), _blocks(Y, group_size), strict=True)
    differences = np.array(
        [_means(x, neurons, alpha) - _means(y, neurons, alpha) for x, y in blocks]
    )
    total = differences.sum(axis=0)
    n_pairs = N_BLOCKS * (N_BLOCKS - 1)
    by_neuron = (total**2 - np.sum(differences**2, axis=0)) / n_pairs
    gram = differences @ differences.T / m
    np.fill_diagonal(gram, 0)
    projections = gram.sum(axis=1) / (N_BLOCKS - 1)
    square = float(by_neuron.mean())
    spread = 4 * np.var(projections, ddof=1) / N_BLOCKS
    noise = (np.sum(gram**2) / n_pairs - np.mean(projections**2)) / N_BLOCKS**2
    data = max(spread - 2 * noise, spread / 2)
    return square, float(data + np.var(by_neuron, ddof=1) / m)


def _blocks(points: NDArray, group_size: int) -> list[NDArray]:
    ends = np.linspace(0, len(points) // group_size, N_BLOCKS + 1).astype(int) * group_size
    return [points[first:last] for first, last in pairwise(ends)]


def _means(points: NDArray, neurons: NDArray, alpha: int) -> NDArray:
    """Return the mean activation of each neuron over the points, (m,), in float64.

    It is the energy with points and neurons in each other's place.
    """
    m = len(neurons)
    out = np.empty((-(-m // TILE), TILE))
    ones = np.ones(len(points), points.dtype)
    kernels(alpha).energy(tiles(neurons.astype(points.dtype, copy=False)), points, ones, out)
    return out.ravel()[:m]
