"""Descent-ascent against NumPy; restarts against score matching; walkers against quadrature."""

import numba
import numpy as np
import pytest

from lazyactive.numerics import features, sphere
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import dual, transport

D = 3
TEACHER = PlantedEnergy(np.eye(2, D), np.array([-6.0, -9.0]))


def plain_langevin(walkers, network, noise, step_size):
    gradient = features.grad_x(walkers, network.neurons, network.weights, network.alpha)
    velocity = np.sqrt(2 * step_size) * noise - step_size * gradient
    return sphere.exponential(walkers, sphere.tangent(walkers, velocity))


@pytest.mark.parametrize(("alpha", "dtype", "tol"), [(1, np.float64, 1e-13), (2, np.float32, 1e-5)])
def test_step_against_numpy(alpha, dtype, tol, monkeypatch):
    """600 walkers fill two tiles and a part; 6 neurons a block of four and a part."""
    X = TEACHER.sample(400, 0).astype(dtype)
    state = dual.init(transport.init(6, D, 1, alpha=alpha), 600, 2, dtype)
    noise = sphere.uniform(300, D, 3).astype(dtype)
    monkeypatch.setattr(dual, "_noise", lambda shape, dtype, rng: noise)
    rng = np.random.default_rng(0)
    new, info = dual.step(state, X, rng, 0.02, 0.7, 1.3, 2.0, None, True, 0.9)

    both = np.concatenate([noise, -noise])
    walkers = plain_langevin(state.walkers, state.network, both, 0.04)
    np.testing.assert_allclose(new.walkers, walkers, atol=tol)
    t = {name: points @ state.network.neurons.T for name, points in (("X", X), ("Y", walkers))}
    psi = np.mean(np.maximum(t["X"], 0) ** alpha, 0) - np.mean(np.maximum(t["Y"], 0) ** alpha, 0)
    np.testing.assert_allclose(info.psi, psi, atol=tol)
    rise = {name: (c > 0) * alpha * np.maximum(c, 0) ** (alpha - 1) for name, c in t.items()}
    slopes = rise["X"].T @ X / len(X) - rise["Y"].T @ walkers / len(walkers)
    np.testing.assert_allclose(info.slopes, slopes, atol=tol)
    expected = transport.move(state.network, psi, slopes, 0.02, 0.7, 1.3, 0.9)
    np.testing.assert_allclose(new.network.neurons, expected.neurons, atol=tol)
    np.testing.assert_allclose(new.network.masses, expected.masses, atol=tol)
    assert new.network.variation <= 0.9 + tol
    assert new.n_steps == 1


def test_walkers_reach_the_model():
    """Frozen network, 200 steps: means within 4 s.e. of reweighted uniform points, plus O(h)."""
    network = transport.init(4, D, 5, mass=4.0)
    state, rng = dual.init(network, 20_000, 6), np.random.default_rng(7)
    for _ in range(200):
        state, _ = dual.step(state, np.eye(D), rng, 0.01, 0, 0)
    fresh = sphere.uniform(400_000, D, 8)
    density = np.exp(-features.energy(fresh, network.neurons, network.weights))
    expected = density @ fresh / density.sum()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(state.walkers.mean(0), expected, atol=4 * 0.6 / np.sqrt(20_000))


def test_restart_takes_every_datum_equally_often():
    X = TEACHER.sample(50, 0)
    state, rng = dual.init(transport.init(4, D, 1), 200, 2), np.random.default_rng(3)
    restarted = dual._restart(X, 200, rng, antithetic=True)
    np.testing.assert_array_equal(restarted[:100], restarted[100:])
    np.testing.assert_array_equal(np.sort(restarted[:, 0]), np.sort(np.repeat(X[:, 0], 4)))
    # Every second step: the first and the third start at the data, the second does not.
    near = []
    for _ in range(3):
        state, _ = dual.step(state, X, rng, 1e-8, 0, 0, restart_every=2)
        near.append(np.min(sphere.distance(state.walkers[0], X)))
        state = state._replace(walkers=sphere.uniform(200, D, rng))
    assert near[0] < 1e-3 > near[2]
    assert near[1] > 1e-3


def test_restart_at_every_step_is_score_matching():
    """psi/h against the gradient of the score-matching loss, written out, for alpha = 3.

    With exact means over the noise the error is of order h; 4e5 walkers have a noise of 0.2%.
    """
    X, network = TEACHER.sample(200, 0), transport.init(5, D, 1, mass=3.0, alpha=3)
    state, rng, h = dual.init(network, 400_000, 2), np.random.default_rng(3), 1e-3
    _, info = dual.step(state, X, rng, h, restart_every=1, antithetic=True)
    t = X @ network.neurons.T
    gradient = sphere.tangent(X, features.grad_x(X, network.neurons, network.weights, 3))
    inner = np.mean(3 * np.maximum(t, 0) ** 2 * (gradient @ network.neurons.T), axis=0)
    positive = np.maximum(t, 0)
    laplacian = np.mean(6 * positive * (1 - t**2) - (D - 1) * 3 * positive**3, axis=0)
    expected = inner - laplacian
    np.testing.assert_allclose(info.psi / h, expected, atol=0.02 * np.abs(expected).max())


def test_threads_do_not_change_the_bits():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("Numba has one thread here")
    X = TEACHER.sample(1000, 0)
    start = dual.init(transport.init(8, D, 1), 1000, 2)
    threads, states = numba.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            numba.set_num_threads(n_threads)
            rng, state = np.random.default_rng(4), start
            for _ in range(3):
                state, _ = dual.step(state, X, rng)
            states.append(state)
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(states[0].walkers, states[1].walkers)
    np.testing.assert_array_equal(states[0].network.neurons, states[1].network.neurons)


def test_refusals():
    network, rng = transport.init(4, D, 0), np.random.default_rng(0)
    with pytest.raises(ValueError, match="n_walkers must be even"):
        dual.init(network, 3, 0)
    state = dual.init(network, 4, 0)
    with pytest.raises(ValueError, match="restart_every"):
        dual.step(state, np.eye(D), rng, restart_every=0)
    with pytest.raises(ValueError, match="unit sphere"):
        dual.step(state, 2 * np.eye(D), rng)
    with pytest.raises(ValueError, match="as many columns"):
        dual.step(state, np.eye(4), rng)


def test_data_arranged_once_give_the_same_steps():
    X = sphere.uniform(300, 3, 0)
    start = dual.init(transport.init(8, 3, 1), 100, 2)
    ours, theirs = (
        dual.step(start, data, np.random.default_rng(3), restart_every=1)[0]
        for data in (X, dual.Data.of(X))
    )
    np.testing.assert_array_equal(ours.walkers, theirs.walkers)
    np.testing.assert_array_equal(ours.network.neurons, theirs.network.neurons)
