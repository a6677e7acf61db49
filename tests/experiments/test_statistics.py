import math

import numpy as np
import pytest
import scipy.stats

from lazyactive.experiments.statistics import (
    Interval,
    above,
    below,
    equal,
    log_ratio,
    mean,
    required_size,
    slope,
)


def test_mean_is_students_interval():
    y = [1.0, 2.5, 0.3, 4.0]
    expected = scipy.stats.ttest_1samp(y, 0).confidence_interval(0.9)
    interval = mean(y, level=0.9)
    assert interval.value == pytest.approx(np.mean(y), rel=1e-15)
    assert interval[1:] == pytest.approx(tuple(expected), rel=1e-12)
    assert interval.half_width == pytest.approx((expected.high - expected.low) / 2, rel=1e-12)


def test_one_repetition_says_nothing():
    assert mean([3.0]) == Interval(3.0, -math.inf, math.inf)
    assert slope([1, 2], [[1.0, 2.0], [3.0]])[1:] == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="at least one number"):
        mean([])


def test_slope_of_a_power_law_without_noise():
    n = [10, 100, 3000]
    assert slope(n, [[5 * k**-0.75] * 3 for k in n]) == pytest.approx((-0.75,) * 3, rel=1e-13)


def test_slope_is_least_squares_on_log_means_and_free_of_units():
    rng = np.random.default_rng(0)
    n = [10, 30, 100, 1000]
    y = rng.gamma(4.0, size=(4, 5))
    interval = slope(n, y.tolist())
    assert interval.value == pytest.approx(np.polyfit(np.log(n), np.log(y.mean(1)), 1)[0])
    rescaled = slope([7 * k for k in n], (1e-3 * y).tolist())
    assert rescaled == pytest.approx(interval, rel=1e-10)


def test_slope_interval_for_two_sizes_is_welchs():
    # Two abscissae a factor e apart: the slope is the difference of two log means.
    rng = np.random.default_rng(1)
    a, b = 1 + 1e-4 * rng.standard_normal(4), 1 + 3e-4 * rng.standard_normal(7)
    # With so little noise the logarithm is linear, so Welch's test on the logarithms must agree.
    welch = scipy.stats.ttest_ind(np.log(b), np.log(a), equal_var=False).confidence_interval()
    interval = slope([1.0, math.e], [a.tolist(), b.tolist()])
    assert interval[1:] == pytest.approx(tuple(welch), rel=1e-3)


def test_slope_interval_covers():
    # Coverage of a 95% interval in 600 trials: standard deviation 0.009, so a correct interval
    # leaves [0.91, 0.99] with probability below 1e-5; one too short by sqrt(2) covers about 0.84.
    rng = np.random.default_rng(2)
    n = np.array([300.0, 1000, 3000, 10000])
    truth = -1.0
    hits = 0
    for _ in range(600):
        # 15 degrees of freedom: the spread of a parametric KL in d = 15.
        y = (n**truth)[:, None] * rng.chisquare(15, size=(4, 5)) / 15
        interval = slope(n.tolist(), y.tolist())
        hits += interval.low <= truth <= interval.high
    assert 0.91 <= hits / 600 <= 0.99


def test_slope_without_logarithm_is_unknown():
    interval = slope([1, 2, 3], [[1.0, 2.0], [-1.0, 0.5], [1.0, 1.0]])
    assert interval[1:] == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="two different values"):
        slope([2, 2], [[1.0], [2.0]])


def test_log_ratio_uses_the_pairs():
    a, b = [2.0, 20.0, 200.0], [1.0, 10.0, 100.0]
    assert log_ratio(a, b) == pytest.approx((math.log(2),) * 3, rel=1e-12)
    assert log_ratio([1.0, 0.0], [1.0, 1.0])[1:] == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("interval", "is_below", "is_above"),
    [
        (Interval(0.5, 0.4, 0.6), "holds", "fails"),
        (Interval(0.95, 0.8, 1.1), "undecided", "undecided"),
        (Interval(1.5, 1.4, 1.6), "fails", "holds"),
        (Interval(0.5, -math.inf, math.inf), "undecided", "undecided"),
    ],
)
def test_a_bound_is_decided_by_the_whole_interval(interval, is_below, is_above):
    assert below(interval, 1.0) == is_below
    assert above(interval, 1.0) == is_above


def test_required_size_covers_the_truth():
    """Of 400 intervals at 95% the binomial 99% interval covers; false-alarm rate 1%."""
    from scipy.stats import binom, norm

    rng = np.random.default_rng(0)
    sizes, truth = np.array([100, 140, 200, 280, 400]), math.log(220)
    argument = norm.ppf(0.75 / 0.95) + 2.5 * (np.log(sizes) - truth)
    power = 0.05 + 0.95 * norm.cdf(argument)
    trials = np.full(5, 48)
    covered = 0
    for _ in range(400):
        interval = required_size(sizes, rng.binomial(trials, power), trials)
        covered += interval.low <= truth <= interval.high
    low, high = binom.interval(0.99, 400, 0.95)
    assert low <= covered <= high


def test_required_size_without_a_transition():
    for rejections in ([0, 0, 1], [9, 10, 10]):
        interval = required_size([10, 20, 40], rejections, [10, 10, 10])
        assert interval.low == -math.inf
        assert interval.high == math.inf


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [((0.99, 1.01), "holds"), ((0.99, 1.03), "undecided"), ((1.03, 1.05), "fails")],
)
def test_equal(interval, outcome):
    assert equal(Interval(sum(interval) / 2, *interval), 1.0, 0.02) == outcome
