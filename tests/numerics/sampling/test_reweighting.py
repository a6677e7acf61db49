import pickle

import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.sampling.reweighting import (
    LogPartition,
    PartitionFunctionError,
    effective_sample_size,
    log_partition,
    resample,
    weighted_mean,
)


@pytest.mark.parametrize(
    ("weights", "ess"), [([1, 1, 1, 1], 4.0), ([1, 1e-300], 1.0), ([1, 2, 3], 36 / 14), ([5], 1.0)]
)
@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_effective_sample_size(weights, ess, shift):
    assert effective_sample_size(np.log(weights) + shift) == pytest.approx(ess, rel=1e-11)


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_log_partition_by_hand(shift):
    """Weights 1, 2, 3: mean 2, variance 1, so the relative error of the mean is 1/(2 sqrt 3)."""
    value, se, ess = log_partition(np.log([1.0, 2.0, 3.0]) + shift, min_ess=0)
    assert value == pytest.approx(np.log(2) + shift, abs=1e-11)
    assert se == pytest.approx(1 / (2 * np.sqrt(3)), rel=1e-10)
    assert ess == pytest.approx(36 / 14, rel=1e-10)


def test_standard_error_covers_the_truth():
    """Lognormal weights of log-variance 1/4: log Z = 1/8.

    Among 1000 intervals of 2 standard errors, 954 +- 6.6 should cover. The bound allows 4 binomial
    deviations and 0.01 for the skewness of weights: false-alarm rate below 1e-4.
    """
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        value, se, _ = log_partition(rng.normal(0.0, 0.5, size=500))
        hits += abs(value - 0.125) < 2 * se
    assert abs(hits / 1000 - 0.9545) < 4 * 0.0066 + 0.01


def test_standard_error_of_groups_is_that_of_their_means():
    """Weights 1, 3 and 2, 2, then 4, 8: groups of means 2, 2, 6, relative error of the mean 0.4."""
    log_weights = np.log([1.0, 3.0, 2.0, 2.0, 4.0, 8.0])
    value, se, ess = log_partition(log_weights, 0, group_size=2)
    assert value == pytest.approx(np.log(10 / 3), abs=1e-11)
    assert se == pytest.approx(0.4, rel=1e-10)
    assert ess == pytest.approx(400 / 98, rel=1e-10)


def test_standard_error_of_frames_covers_the_truth():
    """A cosine to the power 4, which frames don't integrate: E t^4 = 3 / (d (d + 2)) = 1/5.

    Bounds as above, with groups of 6 points: twice the standard error also covers 95.4% of means
    of 100 groups, up to the skewness. Independent points would have the error of a larger spread.
    """
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(1000):
        t = sphere.orthogonal_uniform(600, 3, rng)[:, 0]
        value, se, _ = log_partition(np.log(t**4 + 1e-12), group_size=6)
        hits += abs(value - np.log(0.2)) < 2 * se
    assert abs(hits / 1000 - 0.9545) < 4 * 0.0066 + 0.01


@pytest.mark.parametrize("group_size", [3, 4])
def test_groups_must_be_full_and_two_at_least(group_size):
    with pytest.raises(ValueError, match=r"group_size must divide log_weights into at least 2"):
        log_partition(np.zeros(4), 0, group_size)


def test_weighted_mean_covers_the_truth():
    """x ~ N(0, 1) with weights e^{x/2} has mean 1/2 under the weights; bound as above."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(1000):
        x = rng.normal(size=500)
        value, se = weighted_mean(x, x / 2)
        hits += abs(value - 0.5) < 2 * se
    assert abs(hits / 1000 - 0.9545) < 4 * 0.0066 + 0.01


def test_too_few_effective_samples_is_an_error_that_carries_the_estimate():
    log_weights = np.array([0.0, 0.0, -50.0])
    with pytest.raises(PartitionFunctionError, match=r"worth 2\.0 samples, fewer than .* 100") as e:
        log_partition(log_weights)
    assert e.value.estimate == log_partition(log_weights, min_ess=0)
    assert isinstance(e.value.estimate, LogPartition)
    assert isinstance(e.value, RuntimeError)


def test_the_error_survives_the_way_home_from_a_worker():
    error = PartitionFunctionError(LogPartition(1.0, 0.5, 3.0), 100.0)
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    assert back.estimate == error.estimate


def test_resampling_rounds_the_expected_counts():
    rng = np.random.default_rng(0)
    log_weights = rng.normal(size=50)
    share = np.exp(log_weights) / np.exp(log_weights).sum()
    counts = np.array(
        [np.bincount(resample(log_weights, 200, rng), minlength=50) for _ in range(2000)]
    )
    assert (counts >= np.floor(200 * share)).all()
    assert (counts <= np.ceil(200 * share)).all()
    # Each count is a Bernoulli number above the floor; 4.5 deviations over 50 entries: 3e-4.
    fraction = 200 * share - np.floor(200 * share)
    deviation = np.sqrt(fraction * (1 - fraction) / 2000)
    assert (np.abs(counts.mean(axis=0) - 200 * share) < 4.5 * deviation).all()


def test_resampling_equal_weights_keeps_everything():
    np.testing.assert_array_equal(resample(np.full(7, 3.0), 7, rng=0), np.arange(7))


@pytest.mark.parametrize(
    ("log_weights", "message"),
    [
        ([0.0], "log_weights must have at least 2 entries, but it has 1"),
        ([], "log_weights must have at least 1 entry, but it has 0"),
        ([0.0, np.nan], r"log_weights must be finite, but log_weights\[1\] is nan"),
        ([[0.0, 1.0]], "log_weights must be a vector"),
    ],
)
def test_bad_weights_are_refused(log_weights, message):
    with pytest.raises(ValueError, match=message):
        log_partition(log_weights)
