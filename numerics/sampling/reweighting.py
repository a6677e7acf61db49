r"""Weighted samples: log Z, effective sample size, means, and resampling.

With weights :math:`w_i` of mean Z, such as :math:`w_i = e^{-f(x_i)}` for :math:`x_i \sim \tau`,
log Z is estimated by the logarithm of the mean weight and expectations by self-normalized means.
Both are exact in the limit for every f, and both degrade as :math:`e^{osc f}`; the effective sample
size :math:`(\sum w)^2/\sum w^2` [chopin2020smc]_ says how far.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, softmax

from .. import sphere
from .._checks import check_count, check_vector
from .chains import Function, Sample, evaluate
from .diagnostics import Estimate

__all__ = [
    "MIN_ESS",
    "LogPartition",
    "PartitionFunctionError",
    "effective_sample_size",
    "log_partition",
    "resample",
    "sample",
    "weighted_mean",
]

MIN_ESS = 100.0
"""Below this effective sample size log Z has a standard error of about 0.1 or more."""


class LogPartition(NamedTuple):
    """An estimate of log Z, its standard error, and the effective sample size behind it."""

    value: float
    se: float
    ess: float


class PartitionFunctionError(RuntimeError):
    """Raised when log Z rests on too few effective samples to be trusted.

    Attributes
    ----------
    estimate : LogPartition
        What was estimated all the same.
    """

    def __init__(self, estimate: LogPartition, min_ess: float):
        super().__init__(
            f"log Z can't be estimated: the weights are worth {estimate.ess:.1f} samples, "
            f"fewer than the floor of {min_ess:g} (estimate {estimate.value:.4g}, "
            f"standard error {estimate.se:.2g}); use more samples or annealed importance sampling."
        )
        self.estimate = estimate
        self.min_ess = min_ess

    def __reduce__(self) -> tuple:
        # The default would pass the message to __init__, and no worker could send the error home.
        return type(self), (self.estimate, self.min_ess)


def effective_sample_size(log_weights: ArrayLike) -> float:
    r"""Return :math:`(\sum_i w_i)^2 / \sum_i w_i^2`, between 1 and n."""
    return float(1.0 / np.sum(_shares(log_weights) ** 2))


def log_partition(
    log_weights: ArrayLike, min_ess: float = MIN_ESS, group_size: int = 1
) -> LogPartition:
    r"""Estimate log Z as the logarithm of the mean weight.

    The standard error is that of the delta method, the weights' relative standard deviation over
    :math:`\sqrt n`. Z is estimated without bias, log Z with a bias of about ``-se**2 / 2``.

    Parameters
    ----------
    log_weights : array_like, shape (n,)
        Logarithms of weights of mean Z, in at least 2 independent groups.
    min_ess : float
        The least effective sample size that is accepted; 0 accepts all.
    group_size : int
        Number of neighbouring weights in a group, which may depend on each other as the points of
        `sphere.orthogonal_uniform` do in groups of 2d. The standard error is that of the groups'
        means; the effective sample size is that of all weights, as if they were independent.

    Returns
    -------
    LogPartition

    Raises
    ------
    PartitionFunctionError
        If the effective sample size is below `min_ess`; it carries the estimate.
    ValueError
        If there are fewer than two groups, a group is not full, or a weight is not finite.
    """
    shares = _shares(log_weights)
    n, group_size = len(shares), check_count(group_size, "group_size")
    if n < 2:
        raise ValueError(f"log_weights must have at least 2 entries, but it has {n}.")
    n_groups = n // group_size
    if n_groups < 2 or n_groups * group_size < n:
        raise ValueError(
            f"group_size must divide log_weights into at least 2 groups, but it is {group_size} "
            f"for {n} weights."
        )
    grouped = shares.reshape(n_groups, group_size).sum(axis=1)
    spread = np.sum((grouped - 1 / n_groups) ** 2)
    estimate = LogPartition(
        value=float(logsumexp(np.asarray(log_weights, dtype=np.float64)) - np.log(n)),
        se=float(np.sqrt(n_groups / (n_groups - 1) * spread)),
        ess=float(1.0 / np.sum(shares**2)),
    )
    if estimate.ess < min_ess:
        raise PartitionFunctionError(estimate, min_ess)
    return estimate


def weighted_mean(values: ArrayLike, log_weights: ArrayLike) -> Estimate:
    r"""Estimate an expectation by :math:`\sum w_i g_i / \sum w_i`, with the delta method's error.

    Parameters
    ----------
    values, log_weights : array_like, shape (n,)
        The function at independent points, and the points' log-weights.

    Returns
    -------
    Estimate
    """
    shares = _shares(log_weights)
    values = check_vector(values, len(shares), "values").astype(np.float64, copy=False)
    mean = float(shares @ values)
    return Estimate(mean, float(np.sqrt(np.sum((shares * (values - mean)) ** 2))))


def resample(
    log_weights: ArrayLike, n: int, rng: np.random.Generator | int | None = None
) -> NDArray[np.intp]:
    r"""Draw `n` indices with expected counts :math:`n w_i / \sum w`, by systematic resampling.

    One uniform number places a comb of n equally spaced teeth on the cumulative weights, so each
    count is its expectation rounded up or down [chopin2020smc]_, chapter 9. Indices come in
    increasing order.
    """
    shares = _shares(log_weights)
    n = check_count(n, "n")
    teeth = (np.arange(n) + np.random.default_rng(rng).random()) / n
    cumulative = np.cumsum(shares)
    return np.searchsorted(cumulative / cumulative[-1], teeth, side="right")


def sample(
    n: int,
    d: int,
    energy: Function,
    gradient: Function | None = None,
    rng: np.random.Generator | int | None = None,
) -> Sample:
    """Return `n` points of tau with log-weights ``-f``; the gradient is never called."""
    X = sphere.uniform(n, d, rng)
    return Sample(X, -evaluate(energy, X, (n,), "energy"), 1.0)


def _shares(log_weights: ArrayLike) -> NDArray[np.float64]:
    vector = check_vector(log_weights, name="log_weights").astype(np.float64, copy=False)
    if len(vector) == 0:
        raise ValueError("log_weights must have at least 1 entry, but it has 0.")
    return softmax(vector)
