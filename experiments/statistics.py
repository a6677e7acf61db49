r"""Intervals that decide: the mean of repetitions, and the slope of a learning curve.

Two-sided confidence intervals, at level 95% unless another is given. Both are computed without
random numbers, so a verdict is a function of the measurements. Where repetitions are too few, or
a logarithm does not exist, the interval is the whole line: nothing is known, nothing is decided.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

Outcome = Literal["holds", "fails", "undecided"]


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the length of the interval."""
        return (self.high - self.low) / 2


def mean(values: Sequence[float], level: float = 0.95) -> Interval:
    r"""Mean of independent repetitions with Student's interval.

    .. math:: \bar y \pm t_{R-1} \, s / \sqrt R

    Parameters
    ----------
    values : sequence of float, shape (R,)
    level : float in (0, 1)

    Returns
    -------
    Interval
        The whole line when R = 1.
    """
    y, variance = _mean_and_variance(values)
    return _student(y, variance, len(values) - 1, level)


def slope(
    abscissae: Sequence[float], samples: Sequence[Sequence[float]], level: float = 0.95
) -> Interval:
    r"""Slope of log mean against log abscissa, with its confidence interval.

    The slope is that of the least-squares line through
    :math:`(\log n_i, \log \bar y_i)`, a fixed linear combination
    :math:`b = \sum_i c_i \log \bar y_i` with
    :math:`c_i = (x_i - \bar x) / \sum_j (x_j - \bar x)^2`, so it means the same when the true curve
    is bent: the slope of the line closest to it. The repetitions at different n are independent;
    by the delta method :math:`\operatorname{Var} \log \bar y_i \approx s_i^2 / (R_i \bar y_i^2)`,
    and the degrees of freedom of :math:`\sum_i c_i^2 \operatorname{Var} \log \bar y_i` are
    Satterthwaite's. Weighting by the estimated variances would gain little and cost the coverage
    at few repetitions.

    Parameters
    ----------
    abscissae : sequence of float, shape (N,)
        Positive, at least two different.
    samples : sequence of N sequences of float
        The repetitions at each abscissa.
    level : float in (0, 1)

    Returns
    -------
    Interval
        The whole line when some mean is not positive or has a single repetition.

    Raises
    ------
    ValueError
        If there are fewer than two different abscissae.
    """
    if len(set(abscissae)) < 2:
        raise ValueError(f"abscissae must hold two different values; got {list(abscissae)}")
    moments = [_mean_and_variance(sample) for sample in samples]
    if any(y <= 0 for y, _ in moments):
        return Interval(math.nan, -math.inf, math.inf)
    x = [math.log(n) for n in abscissae]
    centre = math.fsum(x) / len(x)
    spread = math.fsum((xi - centre) ** 2 for xi in x)
    coefficients = [(xi - centre) / spread for xi in x]
    value = math.fsum(c * math.log(y) for c, (y, _) in zip(coefficients, moments, strict=True))
    parts = [c**2 * var / y**2 for c, (y, var) in zip(coefficients, moments, strict=True)]
    variance = math.fsum(parts)
    if variance == 0:
        return Interval(value, value, value)
    if not math.isfinite(variance):
        return Interval(value, -math.inf, math.inf)
    squares = math.fsum(
        part**2 / (len(sample) - 1) for part, sample in zip(parts, samples, strict=True)
    )
    return _student(value, variance, variance**2 / squares, level)


def log_ratio(
    numerators: Sequence[float], denominators: Sequence[float], level: float = 0.95
) -> Interval:
    """Mean of log(a / b) over pairs that were measured on the same random numbers."""
    if min(*numerators, *denominators) <= 0:
        return Interval(math.nan, -math.inf, math.inf)
    logs = [math.log(a / b) for a, b in zip(numerators, denominators, strict=True)]
    return mean(logs, level)


def log_ratio_of_means(
    numerators: Sequence[float], denominators: Sequence[float], level: float = 0.95
) -> Interval:
    """Logarithm of the ratio of two means of independent runs, by the delta method."""
    parts = [mean(sample, level) for sample in (numerators, denominators)]
    if min(part.low for part in parts) <= 0:
        return Interval(math.nan, -math.inf, math.inf)
    value = math.log(parts[0].value / parts[1].value)
    half = math.hypot(*(part.half_width / part.value for part in parts))
    return Interval(value, value - half, value + half)


def required_size(
    sizes: Sequence[float],
    rejections: Sequence[int],
    trials: Sequence[int],
    power: float = 0.8,
    level: float = 0.05,
    confidence: float = 0.95,
) -> Interval:
    r"""Logarithm of the sample size at which a test has a given power.

    The power is modelled as :math:`\ell + (1-\ell)\,\Phi(z + b(\log n - x))`, with the level
    :math:`\ell` of the test, and z such that x is the logarithm that is asked for. Maximum
    likelihood gives x and b, and the Fisher information the standard error of x.

    Parameters
    ----------
    sizes : sequence of float, shape (N,)
        Sample sizes n.
    rejections, trials : sequence of int, shape (N,)
        Of how many data sets how many were rejected.
    power, level : float
        Of right and of false rejections.
    confidence : float in (0, 1)

    Returns
    -------
    Interval
        The whole line where the rejections don't determine x: all or none, or no transition.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.stats import norm

    x, k, total = np.log(sizes), np.asarray(rejections, float), np.asarray(trials, float)
    z = float(norm.ppf((power - level) / (1 - level)))
    nothing = Interval(math.nan, -math.inf, math.inf)
    rates = k / total
    if rates.min() >= power or rates.max() <= power:
        return nothing

    def model(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The power, and its derivative in the argument of the normal law."""
        argument = z + math.exp(parameters[1]) * (x - parameters[0])
        p = level + (1 - level) * norm.cdf(argument)
        return np.clip(p, 1e-12, 1 - 1e-12), (1 - level) * norm.pdf(argument)

    def loss(parameters: np.ndarray) -> float:
        p, _ = model(parameters)
        return -float(k @ np.log(p) + (total - k) @ np.log1p(-p))

    start = np.array([float(np.interp(power, np.maximum.accumulate(rates), x)), 1.0])
    fit = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    p, density = model(fit.x)
    b = math.exp(fit.x[1])
    slopes = np.stack([-b * density, b * (x - fit.x[0]) * density])
    information = (slopes * (total / (p * (1 - p)))) @ slopes.T
    if not fit.success or np.linalg.cond(information) > 1e10:
        return nothing
    half = float(norm.ppf((1 + confidence) / 2)) * math.sqrt(np.linalg.inv(information)[0, 0])
    return Interval(float(fit.x[0]), float(fit.x[0]) - half, float(fit.x[0]) + half)


def below(interval: Interval, bound: float) -> Outcome:
    """Whether a quantity lies at or below a bound: decided only if its whole interval does."""
    if interval.high <= bound:
        return "holds"
    return "fails" if interval.low > bound else "undecided"


def above(interval: Interval, bound: float) -> Outcome:
    """Whether a quantity lies at or above a bound: decided only if its whole interval does."""
    return below(Interval(-interval.value, -interval.high, -interval.low), -bound)


def equal(interval: Interval, expected: float, tolerance: float) -> Outcome:
    """Whether a quantity is the expected one up to a tolerance: decided as for a bound."""
    low, high = expected - tolerance, expected + tolerance
    if low <= interval.low and interval.high <= high:
        return "holds"
    return "fails" if interval.high < low or high < interval.low else "undecided"


def _mean_and_variance(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the estimated variance of the mean (infinite for a single value)."""
    size = len(values)
    if size == 0:
        raise ValueError("values must hold at least one number; got none")
    y = math.fsum(values) / size
    if size == 1:
        return y, math.inf
    return y, math.fsum((value - y) ** 2 for value in values) / (size - 1) / size


def _student(value: float, variance: float, freedom: float, level: float) -> Interval:
    if not math.isfinite(variance):
        return Interval(value, -math.inf, math.inf)
    from scipy.stats import t

    half = float(t.ppf((1 + level) / 2, freedom)) * math.sqrt(variance)
    return Interval(value, value - half, value + half)
