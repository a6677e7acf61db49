import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.sampling import mala
from lazyactive.numerics.sampling.chains import accept, run


def energy(X):
    return 3 * X[:, 0]


def gradient(X):
    return np.repeat([[3.0, 0.0, 0.0, 0.0]], len(X), axis=0)


def step(state, rng):
    return mala.step(state, energy, gradient, rng)


def test_draws_are_every_thin_th_state():
    start = mala.init(sphere.uniform(5, 4, 0), energy, gradient)
    every = run(step, start, n_steps=7, rng=1)
    third = run(step, start, n_steps=7, rng=1, thin=3)
    assert every.X.shape == (5, 7, 4)
    np.testing.assert_array_equal(third.X, every.X[:, 2::3])
    np.testing.assert_array_equal(third.state.X, every.X[:, -1])
    moved = (np.diff(every.X, axis=1, prepend=start.X[:, None]) != 0).any(axis=2)
    assert every.acceptance_rate == pytest.approx(moved.mean())


def test_acceptance_probability_is_the_capped_ratio():
    log_ratio = np.repeat(np.log([0.2, 0.7, 1.0, 3.0]), 20_000)
    rate = accept(log_ratio, np.random.default_rng(0)).reshape(4, -1).mean(axis=1)
    p = np.array([0.2, 0.7])
    # False-alarm rate 6e-5 for each of the two.
    assert (np.abs(rate[:2] - p) < 4 * np.sqrt(p * (1 - p) / 20_000)).all()
    np.testing.assert_array_equal(rate[2:], 1.0)
    assert not accept(np.array([-np.inf]), np.random.default_rng(0))[0]


def test_bad_lengths_are_refused():
    start = mala.init(sphere.uniform(5, 4, 0), energy, gradient)
    with pytest.raises(ValueError, match="n_steps must be an integer >= 1, but it is 0"):
        run(step, start, n_steps=0)
    with pytest.raises(ValueError, match=r"thin must be an integer >= 1, but it is 1\.5"):
        run(step, start, n_steps=3, thin=1.5)
