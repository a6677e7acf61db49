"""Distances against those of single divisions; the size of the tests, and what they see."""

import numpy as np
import pytest
from scipy.stats import binom

from lazyactive.numerics import harmonic_pairs, sphere
from lazyactive.numerics.discrepancies import two_sample as module
from lazyactive.numerics.discrepancies.ipm import f1_ipm, f2_ipm
from lazyactive.numerics.discrepancies.two_sample import METRICS, two_sample_test
from lazyactive.numerics.discrepancies.wasserstein import (
    max_sliced_wasserstein,
    sliced_wasserstein,
)


def pair(n, m, d, rng):
    X, _ = harmonic_pairs.smooth(2, d, n, 1.0, rng)
    _, Y = harmonic_pairs.smooth(2, d, m, 1.0, rng)
    return X, Y


def masses_of(labels):
    """Shares of the first sample, and minus those of the second, for each row of labels."""
    first = labels / labels.sum(axis=1, keepdims=True)
    return first - ~labels / (~labels).sum(axis=1, keepdims=True)


@pytest.fixture
def division():
    """Pooled points, and 5 random divisions of them into 300 and 211."""
    rng = np.random.default_rng(0)
    pooled = np.concatenate(pair(300, 211, 3, rng))
    labels = rng.permuted(np.tile(np.arange(511) < 300, (5, 1)), axis=1)
    return pooled, labels


@pytest.mark.parametrize("alpha", [0, 1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_f2_is_the_u_statistic_of_each_division(division, alpha, dtype, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 200)
    pooled, labels = division
    found = module._f2(pooled.astype(dtype), alpha)(masses_of(labels))
    expected = [f2_ipm(pooled[row], pooled[~row], alpha).square for row in labels]
    # Of the size of kappa(1), which is 1/6 here for alpha = 1.
    np.testing.assert_allclose(found, expected, atol=1e-14 if dtype == np.float64 else 1e-6)


@pytest.mark.parametrize("alpha", [1, 2])
def test_f1_climbs_in_each_division(division, alpha):
    pooled, labels = division
    search = module._f1(pooled, alpha, 8, 512, np.random.default_rng(1))
    found = search(masses_of(labels))
    for value, row in zip(found, labels, strict=True):
        best = f1_ipm(pooled[row], pooled[~row], alpha, rng=2).value
        assert best * 0.97 < value < best * (1 + 1e-4)


def test_sliced_distances_of_each_division(division):
    pooled, labels = division
    directions = sphere.uniform(10, 3, rng=3)
    found = module._sliced(pooled, directions)(masses_of(labels))
    expected = [
        sliced_wasserstein(pooled[row], pooled[~row], directions=directions).value for row in labels
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_max_sliced_climbs_in_each_division(division):
    pooled, labels = division
    found = module._max_sliced(pooled, 6, np.random.default_rng(4))(masses_of(labels))
    for value, row in zip(found, labels, strict=True):
        best = max_sliced_wasserstein(pooled[row], pooled[~row], 16, rng=5).value
        assert best * 0.97 < value < best * (1 + 1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_the_statistic_is_that_of_the_samples(metric):
    X, Y = pair(200, 150, 3, 6)
    found = two_sample_test(X, Y, metric, n_permutations=9, rng=0)
    value = {
        "f1": lambda: f1_ipm(X, Y, rng=0).value,
        "f2": lambda: f2_ipm(X, Y).square,
        "sliced-wasserstein": lambda: sliced_wasserstein(X, Y, 5000, rng=0).value,
        "max-sliced-wasserstein": lambda: max_sliced_wasserstein(X, Y, rng=0).value,
    }[metric]()
    # A hundred directions know their mean to a few percent.
    assert found.statistic == pytest.approx(value, rel=1e-10 if metric == "f2" else 0.1)
    assert 0.1 <= found.p_value <= 1
    assert (found.p_value * 10) % 1 == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_batches_of_divisions_and_the_seed(metric, monkeypatch):
    X, Y = pair(60, 40, 3, 7)
    whole, again = (two_sample_test(X, Y, metric, n_permutations=19, rng=1) for _ in range(2))
    assert whole == again
    monkeypatch.setattr(module, "MAX_MASSES", 700)
    batches = two_sample_test(X, Y, metric, n_permutations=19, rng=1)
    assert batches.statistic == pytest.approx(whole.statistic)
    assert batches.p_value == whole.p_value


@pytest.mark.parametrize("metric", METRICS)
def test_a_difference_is_seen(metric):
    X, Y = harmonic_pairs.positive_parts(2, 3, 300, rng=8)
    assert two_sample_test(X, Y, metric, n_permutations=99, rng=0).p_value == 0.01


def test_equal_samples_are_no_evidence():
    # Every division of copies of two points has one of a few distances; none may be overlooked.
    X = np.repeat(np.eye(3)[:2], 10, axis=0)
    assert two_sample_test(X, X, "f1", rng=0).p_value == 1
    assert two_sample_test(X, X, "sliced-wasserstein", rng=0).p_value == 1


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_size(metric):
    """Of 400 nulls 5% are refused: within the binomial 99% interval, false-alarm rate 1% each."""
    rng = np.random.default_rng(9)
    refused = 0
    for _ in range(400):
        X, _ = harmonic_pairs.positive_parts(2, 4, 200, rng)
        refused += (
            two_sample_test(
                X[:120], X[120:], metric, n_starts=2, n_permutations=59, rng=rng
            ).p_value
            <= 0.05
        )
    low, high = binom.interval(0.99, 400, 0.05)
    assert low <= refused <= high


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "mmd"}, "metric must be one of"),
        ({"Y": np.ones((5, 2))}, "Y must have as many columns as X, 3"),
        ({"X": 2 * np.eye(3)}, "X and Y must"),
        ({"metric": "f1", "alpha": 0}, "alpha must be one of 1, 2, 3"),
        ({"n_permutations": 0}, "n_permutations must be an integer >= 1"),
        ({"n_screened": 3}, "n_screened must be an integer >= 4"),
        ({"X": np.eye(1, 3)}, "X must have at least 2 rows"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        two_sample_test(**({"X": np.eye(3), "Y": np.eye(3), "metric": "f2"} | change))
