"""Wild bootstrap against its definition; the size of the tests, and their power."""

import numpy as np
import pytest
from scipy.stats import binom

from lazyactive.numerics import sphere
from lazyactive.numerics.discrepancies import goodness_of_fit as module
from lazyactive.numerics.discrepancies import stein
from lazyactive.numerics.discrepancies.goodness_of_fit import goodness_of_fit
from lazyactive.numerics.discrepancies.stein import ksd, signed_means, stein_gram
from lazyactive.numerics.teachers import PlantedEnergy

TESTS = {
    "rbf": {"kernel": "rbf"},
    "arc-cosine(1)": {"kernel": "arc-cosine(1)"},
    "vector": {"discrepancy": "f1-sd", "ball": "vector", "n_starts": 4},
    "coordinate": {"discrepancy": "f1-sd", "ball": "coordinate", "n_starts": 2},
}


def planted(w, d, n, rng):
    X = PlantedEnergy(np.eye(1, d), [w]).sample(n, rng)
    return X, -w * (X[:, :1] > 0) * np.eye(1, d)


def test_signed_means_are_those_of_the_kernel(monkeypatch):
    monkeypatch.setattr(stein, "BLOCK", 100)
    rng = np.random.default_rng(0)
    X, score = sphere.uniform(250, 3, rng), rng.standard_normal((250, 3))
    signs = rng.choice([-1.0, 1.0], (5, 250))
    u = stein_gram(X, score)
    np.fill_diagonal(u, 0)
    want = np.einsum("bi,ij,bj->b", signs, u, signs) / (250 * 249)
    np.testing.assert_allclose(signed_means(X, score, signs), want, rtol=1e-10)
    assert signed_means(X, score, np.ones((1, 250)))[0] == pytest.approx(ksd(X, score).value)


def test_multipliers_have_the_right_moments():
    """A million draws: 5 standard errors, false-alarm rate 2e-6."""
    rng = np.random.default_rng(0)
    e = module._skew_multipliers(1000, 1000, rng)
    for power, moment in ((1, 0), (2, 1), (3, 1)):
        assert abs(np.mean(e**power) - moment) < 5 * np.std(e**power) / 1000
    assert set(np.unique(module._signs(10, 10, rng))) == {-1.0, 1.0}


@pytest.mark.parametrize("options", TESTS.values(), ids=TESTS)
def test_batches_of_signs_give_a_bootstrap_too(options, monkeypatch):
    """The statistic is that of the first batch alone, whose first row is the sample."""
    X, score = planted(-3.0, 4, 100, np.random.default_rng(1))
    monkeypatch.setattr(module, "MAX_MULTIPLIERS", 700)
    small = goodness_of_fit(X, score, n_bootstrap=30, rng=0, **options)
    assert small.p_value * 31 == pytest.approx(round(small.p_value * 31))
    assert 1 / 31 <= small.p_value <= 1


@pytest.mark.parametrize("options", TESTS.values(), ids=TESTS)
def test_a_wrong_density_is_seen(options):
    X, score = planted(-8.0, 4, 300, np.random.default_rng(2))
    assert goodness_of_fit(X, 0 * score, n_bootstrap=99, rng=0, **options).p_value == 0.01
    assert goodness_of_fit(X, score, n_bootstrap=99, rng=0, **options).p_value > 0.01


@pytest.mark.parametrize("options", TESTS.values(), ids=TESTS)
def test_the_seed_decides(options):
    X, score = planted(-3.0, 4, 100, np.random.default_rng(3))
    first, again = (goodness_of_fit(X, score, n_bootstrap=19, rng=5, **options) for _ in range(2))
    assert first == again


@pytest.mark.slow
@pytest.mark.parametrize("options", TESTS.values(), ids=TESTS)
def test_size(options):
    """Of 400 nulls 5% are refused: within the binomial 99% interval, false-alarm rate 1% each.

    The largest of 20 exchangeable numbers is the sample's in 5%, like the largest three of 60.
    """
    rng = np.random.default_rng(4)
    refused = 0
    for _ in range(400):
        X, score = planted(-4.0, 4, 300, rng)
        refused += goodness_of_fit(X, score, n_bootstrap=19, rng=rng, **options).p_value <= 0.05
    low, high = binom.interval(0.99, 400, 0.05)
    assert low <= refused <= high


@pytest.mark.slow
def test_skewness_is_not_lost_in_high_dimension():
    """With random signs 12% of these nulls would be refused: above 9% of 200 with rate 1%."""
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(200):
        X = sphere.uniform(500, 15, rng)
        refused += goodness_of_fit(X, 0 * X, "f1-sd", n_bootstrap=39, rng=rng).p_value <= 0.05
    assert refused <= binom.ppf(0.99, 200, 0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discrepancy": "ks"}, "discrepancy must be one of .*, but it is 'ks'"),
        ({"kernel": "laplace"}, "kernel must have a finite derivative at u = 1"),
        ({"n_bootstrap": 0}, "n_bootstrap must be an integer >= 1, but it is 0"),
        ({"X": np.eye(1, 3), "score": np.ones((1, 3))}, "X must have at least 2 rows"),
        ({"score": np.ones((2, 3))}, "score must have the shape of X"),
        ({"ball": "both"}, "ball must be one of"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        goodness_of_fit(**({"X": np.eye(3), "score": np.ones((3, 3))} | change))


def test_signs_of_another_length_are_refused():
    with pytest.raises(ValueError, match="signs must have one column for each point, 3"):
        signed_means(np.eye(3), np.ones((3, 3)), np.ones((2, 4)))
