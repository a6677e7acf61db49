r"""Kernel Stein discrepancy on the sphere: how far a sample is from a density without its log Z.

For a density p with respect to tau and a field h of R^d on the sphere, tangent or not,

.. math:: (A h)(x) = \langle \tilde s(x), h(x)\rangle + \operatorname{div}_S h(x), \qquad
          \tilde s = \nabla_S \log p - (d-1)\,x,

has mean zero under p; :math:`\operatorname{div}_S h = \operatorname{Tr}(P_x \nabla h)` with
:math:`P_x = I - x x^T`. The squared kernel Stein discrepancy of a law nu is
:math:`E_{x,y\sim\nu}\,u(x,y)` [domingoenrich2021ebm]_, section 4, where A acts in both arguments of
a zonal kernel :math:`\kappa(\langle x,y\rangle) I`; with :math:`u = \langle x,y\rangle`

.. math:: u(x,y) &= \langle\tilde s(x),\tilde s(y)\rangle\,\kappa
          + \kappa'\langle\tilde s(x), x - u y\rangle + \kappa'\langle\tilde s(y), y - u x\rangle \\
          &\quad + \kappa''(u^3-u) + \kappa'(d-2+u^2) .

It needs the score alone, and is quadratic in it.

Most of the noise of its estimates comes from the divergence, of size d whatever p is. Where the
score of the data's own density q is known too, :math:`E_q[A_q h] = 0` and

.. math:: E_q[A_p h] = E_q[(A_p - A_q)\,h] = E_q\langle g, h\rangle , \qquad
          g = \nabla_S \log p - \nabla_S \log q ,

so that :math:`\kappa\,\langle g(x), g(y)\rangle` has the same mean as u(x, y) without a divergence.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._checks import check_group_size, check_positive, check_samples, check_sphere
from .._stein_kernels import ORDERS, kernels
from .._tiles import TILE, tiles, untiled

__all__ = ["KSD", "ksd", "ksd_gradient", "signed_means", "stein_gram"]

KERNELS = tuple(ORDERS)
STATISTICS = ("u", "v")
# Side of the squares of pairs of which a matrix is stored.
BLOCK = 1024
Score = ArrayLike | Callable[[NDArray], ArrayLike]


class KSD(NamedTuple):
    """The squared discrepancy, and its standard error over samples."""

    value: float
    standard_error: float


def ksd(
    X: ArrayLike,
    score: Score,
    kernel: str = "rbf",
    scale: float = 1.0,
    statistic: str = "u",
    data_score: Score | None = None,
    group_size: int = 1,
) -> KSD:
    r"""Estimate the squared kernel Stein discrepancy of a sample from a density.

    Parameters
    ----------
    X : array_like of shape (n, d)
        At least two points of the sphere, independent unless `group_size` says otherwise.
    score : array_like of shape (n, d), or callable
        Gradient of the log-density at the points, or a function that returns it; only its tangent
        part counts. For an energy f it is minus its gradient.
    kernel : {"rbf", "arc-cosine(1)", "arc-cosine(2)", "arc-cosine(3)"}
        Base kernel, as in `lazyactive.numerics.kernels`.
    scale : float
        The positive s of the RBF kernel :math:`e^{-(1-u)/s^2}`; the others have none.
    statistic : {"u", "v"}
        "u" leaves out the pairs of a point with itself or its group, and is unbiased; "v" is never
        negative.
    data_score : array_like of shape (n, d), or callable, optional
        Like `score`, of the density that the points were drawn from. The divergence and its noise
        then drop out. For points of another law both scores may be multiplied by the ratio of the
        density to that law's, as a mean of :math:`\langle g, h\rangle` is all that counts.
    group_size : int, default=1
        Above 1 so many consecutive points were drawn together, independently of all others. It
        divides n into at least two groups.

    Returns
    -------
    KSD
        The standard error is that of the U-statistic: of its projection on single points (or
        groups), plus what is left where that vanishes, as for samples of the density itself. There
        it tends to be some 20% too large, as the larger of two noisy estimates.

    Raises
    ------
    ValueError
        If the points are off the sphere or fewer than two, a shape is wrong, or an option is not
        one of the above.
    """
    problem = _Problem.of(X, score, kernel, scale, statistic, data_score)
    n = len(problem.X)
    size = check_group_size(group_size, n, min_groups=2)
    n_groups = n // size
    rows, _ = problem.interact(by_row=True)
    value = float(rows.sum()) / n**2
    rows = rows - (problem.diagonal() if size == 1 else problem.group_sums(size, 0))
    if statistic == "u":
        value = float(rows.sum()) / (n * (n - size))
    # A group counts as one point, and the mean kernel of two groups as their kernel.
    means = rows.reshape(n_groups, size).sum(axis=1) / (size * (n - size))
    neighbours = problem.group_sums(size, 1).reshape(n_groups, size).sum(axis=1) / size**2
    # The variance of means over G - 1 groups has a part from these groups: with zeta_1 and zeta_2
    # the variances of the projection and of the kernel it is zeta_1 + zeta_2 / G, and that of the
    # statistic is 4 zeta_1 / G + 2 zeta_2 / G^2.
    degenerate = 2 * float(np.mean(neighbours**2)) / n_groups**2
    variance = 4 * float(np.var(means, ddof=1)) / n_groups - degenerate
    return KSD(value, float(np.sqrt(max(variance, degenerate))))


def ksd_gradient(
    X: ArrayLike,
    score: Score,
    kernel: str = "rbf",
    scale: float = 1.0,
    statistic: str = "u",
) -> tuple[float, NDArray]:
    r"""Return the squared discrepancy and its derivative in the score at every point.

    Parameters
    ----------
    X, score, kernel, scale, statistic
        As in `ksd`.

    Returns
    -------
    value : float
    gradient : ndarray of shape (n, d)
        Tangent: :math:`\frac{2}{N}\sum_y [\kappa\,\tilde s(y) + \kappa'(x - u y)]`, projected, with
        N the number of pairs.
    """
    problem = _Problem.of(X, score, kernel, scale, statistic)
    rows, field = problem.interact(by_row=False)
    n = len(problem.X)
    total, size = float(rows.sum()), n * n
    if statistic == "u":
        # A point and itself: x - u y vanishes, and of the shifted score the tangent part counts.
        total -= float(problem.diagonal().sum())
        size = n * (n - 1)
        field = field - problem.at_one[0] * problem.shifted
    return total / size, 2 / size * sphere.tangent(problem.X, field)


def stein_gram(X: ArrayLike, score: Score, kernel: str = "rbf", scale: float = 1.0) -> NDArray:
    """Return the Stein kernel of all pairs, (n, n): for a few thousand points at most."""
    problem = _Problem.of(X, score, kernel, scale, "v")
    X, S = problem.X, problem.shifted
    out = np.empty((len(X), len(X)))
    problem.compiled.gram(X, S, X, S, problem.parameter, out)
    return out


def signed_means(
    X: ArrayLike, score: Score, signs: ArrayLike, kernel: str = "rbf", scale: float = 1.0
) -> NDArray:
    r"""Return :math:`\frac{1}{n(n-1)}\sum_{i \ne j} e_i e_j u(x_i, x_j)` for rows e of `signs`.

    With random signs these are the values of a wild bootstrap, and ones give the U-statistic.

    Parameters
    ----------
    X, score, kernel, scale
        As in `ksd`.
    signs : array_like of shape (B, n)
        Any weights of the points.

    Returns
    -------
    ndarray of shape (B,)
    """
    problem = _Problem.of(X, score, kernel, scale, "u")
    points, shifted, n = problem.X, problem.shifted, len(problem.X)
    E = check_samples(signs, "signs").astype(np.float64, copy=False)
    if E.shape[1] != n:
        raise ValueError(f"signs must have one column for each point, {n}, but has {E.shape[1]}.")
    total = -(E**2) @ problem.diagonal()
    for first in range(0, n, BLOCK):
        i = slice(first, first + BLOCK)
        for second in range(0, first + 1, BLOCK):
            j = slice(second, second + BLOCK)
            block = np.empty((len(points[i]), len(points[j])))
            problem.compiled.gram(
                points[i], shifted[i], points[j], shifted[j], problem.parameter, block
            )
            part = np.sum((E[:, i] @ block) * E[:, j], axis=1)
            total += part if i == j else 2 * part
    return total / (n * (n - 1))


def tangent_score(X: NDArray, score: Score, name: str = "score") -> NDArray:
    """Check scores at points X, (n, d), and return their tangent part, in the type of X."""
    values = check_samples(score(X) if callable(score) else score, name)
    if values.shape != X.shape:
        raise ValueError(
            f"{name} must have the shape of X, {X.shape}, but it has shape {values.shape}."
        )
    return sphere.tangent(X, values.astype(X.dtype, copy=False))


class _Problem(NamedTuple):
    """Points, shifted scores, compiled loops and the parameter of the profile.

    Without the divergence the differences of scores take the place of the shifted scores.
    """

    X: NDArray
    shifted: NDArray
    compiled: SimpleNamespace
    parameter: np.floating
    at_one: tuple[float, float]
    divergence: bool

    @classmethod
    def of(
        cls,
        X: ArrayLike,
        score: Score,
        kernel: str,
        scale: float,
        statistic: str,
        data_score: Score | None = None,
    ) -> "_Problem":
        X = np.ascontiguousarray(check_sphere(X, min_samples=2))
        if kernel == "laplace" or kernel == "arc-cosine(0)":
            raise ValueError(
                f"kernel must have a finite derivative at u = 1, but that of {kernel!r} is "
                f"infinite, and so would be the discrepancy; take one of {KERNELS}."
            )
        if kernel not in KERNELS:
            raise ValueError(f"kernel must be one of {KERNELS}, but it is {kernel!r}.")
        if statistic not in STATISTICS:
            raise ValueError(f"statistic must be one of {STATISTICS}, but it is {statistic!r}.")
        scale = check_positive(scale, "scale")
        d, shifted = X.shape[1], tangent_score(X, score)
        if data_score is None:
            shifted = shifted - (d - 1) * X
        else:
            shifted = shifted - tangent_score(X, data_score, "data_score")
        compiled = kernels(kernel, 2 / scale**2)
        if kernel == "rbf":
            parameter, at_one = scale**-2.0, (1.0, scale**-2.0)
        else:
            order = ORDERS[kernel]
            moment = np.prod([d + 2.0 * i for i in range(order)])
            parameter = 1 / (2 * np.pi * moment)
            # J_n(1) = pi (2n - 1)!!, and the derivative is n^2 J_(n-1).
            value = np.pi * np.prod(np.arange(1.0, 2 * order, 2))
            at_one = parameter * value, parameter * order**2 * value / (2 * order - 1)
        return cls(
            X,
            np.ascontiguousarray(shifted),
            compiled,
            X.dtype.type(parameter),
            at_one,
            data_score is None,
        )

    def interact(self, by_row: bool) -> tuple[NDArray, NDArray]:
        """Sum over all points: the kernel, and the field that is its half derivative.

        Without `by_row` the sums of single rows are not right, only their total is.
        """
        (n, d), X, S = self.X.shape, tiles(self.X), tiles(self.shifted)
        scores, points, crossed = np.zeros((3, *X.shape))
        slopes, rest = np.zeros((2, len(X), TILE))
        by_row = by_row and self.divergence
        self.compiled.interactions(
            X, S, n, self.parameter, by_row, scores, points, crossed, slopes, rest
        )
        scores, points, crossed = (untiled(a, n) for a in (scores, points, crossed))
        if not self.divergence:
            return np.sum(self.shifted * scores, axis=1), scores
        slopes, rest = slopes.ravel()[:n], rest.ravel()[:n]
        field = scores - points + slopes[:, None] * self.X
        own = np.sum(self.shifted * points, axis=1)
        other = np.sum(self.X * crossed, axis=1) if by_row else own
        rows = np.sum(self.shifted * scores, axis=1) - 2 * (d - 1) * slopes - own - other + rest
        return rows, field

    def diagonal(self) -> NDArray:
        """The Stein kernel of each point with itself."""
        value, slope = self.at_one
        squares = value * np.sum(self.shifted.astype(np.float64) ** 2, axis=1)
        return squares + slope * (self.X.shape[1] - 1) if self.divergence else squares

    def group_sums(self, size: int, back: int) -> NDArray:
        """Sum the kernel of each point over its group, or over the one `back` places before it."""
        out = np.empty(len(self.X))
        self.compiled.group_sums(
            self.X, self.shifted, size, back, self.parameter, self.divergence, out
        )
        return out
