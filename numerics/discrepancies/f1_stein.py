r"""F1 Stein discrepancy: the best single neuron that tells a sample from a density.

With the Stein operator A of :mod:`~lazyactive.numerics.discrepancies.stein`, shifted scores
:math:`\tilde s = \nabla_S \log p - (d-1)x` and :math:`t = \langle\theta, x\rangle`,

.. math:: v(\theta) = E\left[\tilde s(x)\,\sigma(t) + \sigma'(t)\,(\theta - t\,x)\right]
          = E\left[\sigma(t)\, r(x)\right] + E[\sigma'(t)]\,\theta, \qquad
          r(x) = \nabla_S \log p - (d-1+\alpha)\, x,

holds the means of A applied to the fields :math:`\sigma(t)\,e_i`; the second form follows from
:math:`t\,\sigma'(t) = \alpha\,\sigma(t)`. Under p it vanishes for all :math:`\theta`. A linear
functional over measures of total variation at most 1 is largest at one atom. Where the vector
measure as a whole has variation 1 the discrepancy is :math:`\max_\theta |v(\theta)|`; where each
coordinate has, as in [domingoenrich2021ebm]_, it is
:math:`(\sum_i \max_\theta v_i(\theta)^2)^{1/2}`.

For alpha = 1 the v of a sample jumps where the hyperplane of :math:`\theta` crosses a point, and a
derivative that holds almost everywhere misses :math:`E[\delta(t)\,x]\langle a,\theta\rangle`. The
search therefore climbs with :math:`\sigma'` a ramp, while the values it compares in the end are
exact.

Where the score of the data's own density q is known too, as in
:mod:`~lazyactive.numerics.discrepancies.stein` only

.. math:: v(\theta) = E\left[\sigma(t)\, r(x)\right], \qquad
          r(x) = \nabla_S \log p - \nabla_S \log q

is left: the same means, without the noise of a divergence. It does not jump, and needs no ramp.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._checks import check_columns, check_count, check_differentiable, check_sphere
from .._f1_stein_kernels import kernels, padded
from .._tiles import TILE, tiles
from .stein import Score, tangent_score

__all__ = ["F1SD", "f1_stein_discrepancy", "stein_means"]

BALLS = ("coordinate", "vector")
# Uniform neurons that are looked at for one that is climbed from.
SCREENED = 8
N_STEPS = 30
# Steps grow on success and shrink on failure; a start rests when its steps are this short.
RADIUS, SHORTEST = 0.2, 1e-3
# Neurons tried at once around the best, at radii of the first and last multiple of the width.
N_TRIALS, POLISH = 16, (1.0, 0.05, 16)


class F1SD(NamedTuple):
    """The discrepancy, and the neuron, (d,), or one for each coordinate, (d, d), that attains it.

    The search is not exhaustive, so the value is a bound from inside.
    """

    value: float
    witness: NDArray


def f1_stein_discrepancy(
    X: ArrayLike,
    score: Score,
    ball: str = "coordinate",
    alpha: int = 1,
    n_starts: int = 32,
    rng: np.random.Generator | int | None = None,
    data_score: Score | None = None,
) -> F1SD:
    r"""Search the largest mean of the Stein operator over a unit ball of F1.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Points of the sphere.
    score : array_like of shape (n, d), or callable
        Gradient of the log-density at the points, or a function that returns it; only its tangent
        part counts.
    ball : {"coordinate", "vector"}
        Total variation 1 for each coordinate of the field, or for the field as a whole.
    alpha : {1, 2, 3}
        Power of the activation.
    n_starts : int
        Neurons that climb together, for each coordinate or in all.
    rng : numpy.random.Generator or int, optional
        For the starts.
    data_score : array_like of shape (n, d), or callable, optional
        As in `ksd`: the score of the density that the points were drawn from.

    Returns
    -------
    F1SD

    Raises
    ------
    ValueError
        If the points are off the sphere, a shape is wrong, or an option is not one of the above.
    """
    problem = F1Problem.of(X, score, ball, alpha, n_starts, data_score)
    masses = np.ones((1, problem.n), problem.X.dtype)
    values, witnesses = problem.maximize(masses, np.random.default_rng(rng))
    return F1SD(float(values[0]), witnesses[0])


def stein_means(
    X: ArrayLike,
    score: Score,
    neurons: ArrayLike,
    alpha: int = 1,
    data_score: Score | None = None,
) -> NDArray:
    r"""Return :math:`v(\theta)`, (m, d), at unit neurons (m, d)."""
    problem = F1Problem.of(X, score, "vector", alpha, 1, data_score)
    neurons = check_sphere(neurons, "neurons")
    check_columns(neurons, problem.d, "neurons")
    masses = problem.tiled(np.ones((1, problem.n), problem.X.dtype))
    exact, _ = problem.fields(masses, np.zeros(len(neurons), int), neurons)
    return exact


class F1Problem(NamedTuple):
    """Tiled points and their vectors r, and the options of the search."""

    X: NDArray
    R: NDArray
    n: int
    alpha: int
    ball: str
    n_starts: int
    divergence: bool

    @classmethod
    def of(
        cls,
        X: ArrayLike,
        score: Score,
        ball: str,
        alpha: int,
        n_starts: int,
        data_score: Score | None = None,
    ) -> Self:
        """Check the arguments of `f1_stein_discrepancy`."""
        X = check_sphere(X, min_samples=2)
        if ball not in BALLS:
            raise ValueError(f"ball must be one of {BALLS}, but it is {ball!r}.")
        check_differentiable(alpha)
        check_count(n_starts, "n_starts")
        (n, d), R = X.shape, tangent_score(X, score)
        if data_score is None:
            R = R - (d - 1 + alpha) * X
        else:
            R = R - tangent_score(X, data_score, "data_score")
        return cls(tiles(X), tiles(R), n, alpha, ball, n_starts, data_score is None)

    @property
    def d(self) -> int:
        """The ambient dimension."""
        return self.X.shape[1]

    @property
    def width(self) -> np.floating:
        """Half the width of the ramp: that of a density estimate of t, of spread 1/sqrt(d)."""
        return self.X.dtype.type(self.d**-0.5 * self.n**-0.2)

    def tiled(self, masses: NDArray) -> NDArray:
        """Rearrange weights of the points, (B, n), into tiles (B, n_tiles, TILE)."""
        out = np.zeros((len(masses), len(self.X) * TILE), self.X.dtype)
        out[:, : self.n] = masses
        return out.reshape(len(masses), -1, TILE)

    def fields(self, masses: NDArray, sample: NDArray, neurons: NDArray) -> tuple[NDArray, NDArray]:
        """Return v at each neuron, exactly and with the ramp: neuron j weighs by row sample[j]."""
        rows = padded(neurons)
        moment, step, ramp = np.zeros(rows.T.shape), np.zeros(len(rows)), np.zeros(len(rows))
        kernels(self.alpha).fields(
            self.X, self.R, masses, padded(sample).astype(int), rows, self.width, moment, step, ramp
        )
        m = len(neurons)
        moment, step, ramp = moment[:, :m].T, step[:m, None], ramp[:m, None]
        if not self.divergence:
            return moment / self.n, moment / self.n
        return (moment + step * neurons) / self.n, (moment + ramp * neurons) / self.n

    def slopes(
        self, masses: NDArray, sample: NDArray, neurons: NDArray, directions: NDArray
    ) -> NDArray:
        """Differentiate ``<direction, v>``, with the ramp, in each neuron."""
        rows = padded(neurons)
        out = np.zeros(rows.T.shape)
        kernels(self.alpha).slopes(
            self.X,
            self.R,
            masses,
            padded(sample).astype(int),
            rows,
            padded(directions),
            self.width,
            self.divergence,
            out,
        )
        return out[:, : len(neurons)].T / self.n

    def maximize(self, masses: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        """Search the discrepancy of every weighting of the points, (B, n), all at once.

        Returns values (B,) and witnesses, (B, d) or (B, d, d).
        """
        B, d = len(masses), self.d
        masses = self.tiled(masses)
        sample, coordinate, neurons = self.starts(masses, rng)
        neurons, values = self.climb(masses, sample, coordinate, neurons)
        n_maxima = len(values) // (B * self.n_starts)
        values = values.reshape(B, n_maxima, self.n_starts)
        neurons = neurons.reshape(B, n_maxima, self.n_starts, d)
        winner = np.argmax(values, axis=2)[:, :, None]
        largest = np.take_along_axis(values, winner, axis=2)[:, :, 0]
        witness = np.take_along_axis(neurons, winner[..., None], axis=2)[:, :, 0]
        if self.alpha == 1 and self.divergence:
            sample, coordinate = np.repeat(np.arange(B), n_maxima), np.tile(np.arange(n_maxima), B)
            flat = self._polish(masses, sample, coordinate, witness.reshape(-1, d), largest, rng)
            witness, largest = flat[0].reshape(witness.shape), flat[1].reshape(largest.shape)
        if self.ball == "vector":
            return largest[:, 0], witness[:, 0]
        return np.sqrt(np.sum(largest**2, axis=1)), witness

    def starts(self, masses: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
        """Screen uniform neurons for those to climb from, `n_starts` for each maximum.

        Returns the weighting, the coordinate and the neuron of each, in this order of maxima.
        """
        B, d = len(masses), self.d
        screened = sphere.uniform(SCREENED * self.n_starts, d, rng)
        sample = np.repeat(np.arange(B), len(screened))
        _, v = self.fields(masses, sample, np.tile(screened, (B, 1)))
        v = v.reshape(B, len(screened), d)
        # The sizes of v whose maxima are searched: (B, number of maxima, screened).
        if self.ball == "vector":
            size = np.linalg.norm(v, axis=2)[:, None, :]
        else:
            size = np.abs(v).transpose(0, 2, 1)
        n_maxima = size.shape[1]
        best = np.argsort(-size, axis=2)[:, :, : self.n_starts]
        sample = np.repeat(np.arange(B), n_maxima * self.n_starts)
        coordinate = np.tile(np.repeat(np.arange(n_maxima), self.n_starts), B)
        return sample, coordinate, screened[best.ravel()]

    def climb(
        self, masses: NDArray, sample: NDArray, coordinate: NDArray, neurons: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Climb from each neuron, and return the best exact value on its way."""
        exact, smooth = self.fields(masses, sample, neurons)
        best, best_values = neurons.copy(), self._size(exact, coordinate)[0]
        values, directions = self._size(smooth, coordinate)
        slopes = self.slopes(masses, sample, neurons, directions)
        radii = np.full(len(neurons), RADIUS)
        neurons = neurons.copy()
        for _ in range(N_STEPS):
            active = np.flatnonzero(radii > SHORTEST)
            if not len(active):
                break
            uphill = sphere.tangent(neurons[active], slopes[active])
            length = np.linalg.norm(uphill, axis=1)
            step = uphill * (radii[active] / np.where(length > 0, length, 1.0))[:, None]
            candidates = sphere.exponential(neurons[active], step)
            exact, smooth = self.fields(masses, sample[active], candidates)
            exact_values, _ = self._size(exact, coordinate[active])
            higher = exact_values > best_values[active]
            best[active[higher]] = candidates[higher]
            best_values[active[higher]] = exact_values[higher]
            new_values, directions = self._size(smooth, coordinate[active])
            better = new_values > values[active]
            moved = active[better]
            neurons[moved], values[moved] = candidates[better], new_values[better]
            slopes[moved] = self.slopes(masses, sample[moved], neurons[moved], directions[better])
            radii[active] *= np.where(better, 1.5, 0.4)
        return best, best_values

    def _polish(
        self,
        masses: NDArray,
        sample: NDArray,
        coordinate: NDArray,
        neurons: NDArray,
        values: NDArray,
        rng: np.random.Generator,
    ) -> tuple[NDArray, NDArray]:
        """Try random neurons close by: jumps can be found, but not climbed."""
        values = values.ravel()
        many, rows = np.repeat(np.arange(len(neurons)), N_TRIALS), np.arange(len(neurons))
        for radius in self.width * np.geomspace(*POLISH):
            moves = rng.standard_normal((N_TRIALS, self.d)) * (radius / self.d**0.5)
            trials = sphere.normalize(neurons[:, None, :] + moves).reshape(-1, self.d)
            exact, _ = self.fields(masses, sample[many], trials)
            sizes = self._size(exact, coordinate[many])[0].reshape(-1, N_TRIALS)
            best = np.argmax(sizes, axis=1)
            higher = sizes[rows, best] > values
            chosen = trials.reshape(-1, N_TRIALS, self.d)[rows, best]
            neurons = np.where(higher[:, None], chosen, neurons)
            values = np.where(higher, sizes[rows, best], values)
        return neurons, values

    def _size(self, v: NDArray, coordinate: NDArray) -> tuple[NDArray, NDArray]:
        """Return the size of v in the sense of the ball, and its derivative in v."""
        if self.ball == "vector":
            norm = np.linalg.norm(v, axis=1)
            return norm, v / np.where(norm > 0, norm, 1.0)[:, None]
        directions = np.zeros_like(v)
        rows = np.arange(len(v))
        directions[rows, coordinate] = np.sign(v[rows, coordinate])
        return np.abs(v[rows, coordinate]), directions
