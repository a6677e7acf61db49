r"""F1 Stein discrepancy by gradient ascent on a wide network, as published, for comparison.

Each coordinate of the field is a network :math:`h_i = \frac1m \sum_j c_{ij}\,
\sigma(\langle\theta_{ij},\cdot\rangle)` of its own, with unit neurons and
:math:`\frac1m\sum_j |c_{ij}| \le 1`. In the words of `f1_stein` the mean of the Stein operator is
:math:`\frac1m \sum_j c_{ij}\, v_i(\theta_{ij})`, linear in the output weights. Projected gradient
steps in mean-field time move weights and neurons together [domingoenrich2021ebm]_, section 6. No
network can do better than its best neuron: `f1_stein_discrepancy` searches that alone.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._checks import check_count, check_positive
from .f1_stein import F1Problem
from .stein import Score

__all__ = ["f1_stein_ascent"]

# The half-width of a rectifier that is not smoothed.
SHARP = 1e-30


def f1_stein_ascent(
    X: ArrayLike,
    score: Score,
    n_neurons: int = 500,
    n_steps: int = 100,
    weight_rate: float = 100.0,
    feature_rate: float = 0.1,
    alpha: int = 1,
    surface_term: bool = False,
    rng: np.random.Generator | int | None = None,
) -> float:
    r"""Climb to a large mean of the Stein operator over networks in the unit ball of F1.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Points of the sphere.
    score : array_like of shape (n, d), or callable
        As in `f1_stein_discrepancy`.
    n_neurons : int
        Of the network of each coordinate.
    n_steps : int
    weight_rate, feature_rate : float
        Steps of the output weights and of the neurons in mean-field time.
    alpha : {1, 2, 3}
        Power of the activation.
    surface_term : bool
        For alpha = 1, whether the slope in the neurons takes the jumps of the derivative of the
        activation into account, by a ramp. Automatic differentiation, as published, misses them.
    rng : numpy.random.Generator or int, optional
        Draws the neurons; the output weights begin at zero.

    Returns
    -------
    float
        The largest discrepancy on the way, each coordinate of the field with variation 1.

    Raises
    ------
    ValueError
        As `f1_stein_discrepancy`, and if a number or a rate is not positive.
    """
    check_count(n_neurons, "n_neurons")
    check_count(n_steps, "n_steps")
    check_positive(weight_rate, "weight_rate")
    check_positive(feature_rate, "feature_rate")
    rng = np.random.default_rng(rng)
    problem = (F1Problem if surface_term else _Sharp).of(X, score, "coordinate", alpha, 1)
    d, m = problem.d, n_neurons
    masses = problem.tiled(np.ones((1, problem.n)))
    sample, coordinates = np.zeros(d * m, int), np.repeat(np.arange(d), m)
    directions = np.eye(d)[coordinates]
    neurons, weights, largest = sphere.uniform(d * m, d, rng), np.zeros((d, m)), 0.0
    for step in range(n_steps + 1):
        v = problem.fields(masses, sample, neurons)[0][np.arange(d * m), coordinates]
        means = np.mean(weights * v.reshape(d, m), axis=1)
        largest = max(largest, float(np.linalg.norm(means)))
        if step == n_steps:
            break
        slopes = sphere.tangent(neurons, problem.slopes(masses, sample, neurons, directions))
        neurons = sphere.normalize(neurons + feature_rate * weights.reshape(-1, 1) * slopes)
        weights = _project(weights + weight_rate * v.reshape(d, m))
    return largest


class _Sharp(F1Problem):
    """The slope almost everywhere: the ramp is so steep that no point is on it."""

    @property
    def width(self) -> np.floating:
        return self.X.dtype.type(SHARP)


def _project(weights: NDArray) -> NDArray:
    """Return the nearest rows with a mean absolute value of at most 1."""
    m = weights.shape[1]
    sizes = -np.sort(-np.abs(weights), axis=1)
    excess = (np.cumsum(sizes, axis=1) - m) / np.arange(1, m + 1)
    threshold = np.maximum(excess.max(axis=1, keepdims=True), 0)
    return np.sign(weights) * np.maximum(np.abs(weights) - threshold, 0)
