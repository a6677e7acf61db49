"""log Z along training against quadrature; the bias of the shortcuts."""

import numpy as np
import pytest

from lazyactive.numerics import features, sphere
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import jarzynski
from lazyactive.theory.gibbs import PlantedGibbs

D = 3


def start(rng, n_islands=16, n_walkers=500):
    """Two orthogonal neurons: their span is integrated by quadrature."""
    neurons, weights = np.eye(2, D), np.array([0.5, -0.5])
    return jarzynski.init(neurons, weights, 1, n_walkers, n_islands, rng)


def exact(state):
    """By quadrature: the activation is homogeneous."""
    norms = np.linalg.norm(state.neurons, axis=1)
    return PlantedGibbs(state.neurons / norms[:, None], state.weights * norms).log_partition()


def train(correction, rng, n_steps=30, step_size=1.0, **options):
    """States along training on data of two attracting neurons."""
    X = PlantedEnergy(np.eye(2, D), np.array([-10.0, -14.0])).sample(1000, rng)
    state, states = start(rng), []
    for _ in range(n_steps):
        state, _ = jarzynski.step(state, X, rng, step_size, correction=correction, **options)
        states.append(state)
    return states


def test_log_partition_is_tracked():
    """Three checkpoints within 4 standard errors of 8 islands: false-alarm rate below 2%."""
    states = train("jarzynski", np.random.default_rng(0))
    for state in states[9::10]:
        estimate = jarzynski.log_partition(state)
        assert estimate.se < 0.1
        assert abs(estimate.value - exact(state)) < 4 * estimate.se
    # The network has learned something by then, so that log Z is no longer that of the start.
    assert abs(exact(states[-1]) - exact(states[0])) > 0.5


def test_weighted_walkers_have_the_law_of_the_model():
    state = train("jarzynski", np.random.default_rng(1))[-1]
    log_weights = (state.log_weights + state.log_factors[:, None]).ravel()
    shares = np.exp(log_weights - log_weights.max())
    shares /= shares.sum()
    fresh = sphere.uniform(200_000, D, rng=2)
    density = np.exp(-features.energy(fresh, state.neurons, state.weights))
    expected = density @ fresh / density.sum()
    found = shares @ state.walkers.X
    # 4000 walkers of an effective size above a thousand know a mean to 0.03.
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_leading_walkers_would_drift():
    """300 steps at the optimum with few walkers: those that lead are off by far, others not.

    By a pilot the drift is 50 standard errors or more; 4 for the others, false-alarm rate 1%.
    """
    rng, d = np.random.default_rng(6), 15
    X = PlantedEnergy(np.eye(1, d), np.array([-8.0])).sample(2000, rng)
    state = jarzynski.init(np.eye(1, d), np.array([-8.0]), 1, 200, 16, rng)
    for _ in range(300):
        state, _ = jarzynski.step(state, X, rng, 0.5)
    size = np.linalg.norm(state.neurons)
    truth = PlantedGibbs(state.neurons / size, state.weights * size).log_partition()
    estimate = jarzynski.log_partition(state)
    assert abs(estimate.value - truth) < 4 * estimate.se
    others = state._replace(
        log_weights=state.log_weights[::-1], log_factors=state.log_factors[::-1]
    )
    estimate = jarzynski.log_partition(others)
    assert estimate.value - truth < -20 * estimate.se


@pytest.mark.parametrize("correction", ["persistent", "contrastive"])
def test_shortcuts_are_biased(correction):
    """Walkers that lag behind: log Z is off by many of the errors that are claimed."""
    options = {"n_steps": 60, "step_size": 0.2, "walker_step_size": 0.05}
    biased = train(correction, np.random.default_rng(3), **options)[-1]
    estimate = jarzynski.log_partition(biased)
    assert abs(estimate.value - exact(biased)) > 5 * estimate.se
    corrected = train("jarzynski", np.random.default_rng(3), **options)[-1]
    estimate = jarzynski.log_partition(corrected)
    assert abs(estimate.value - exact(corrected)) < 4 * estimate.se


def test_a_step_is_the_mean_field_flow():
    rng = np.random.default_rng(4)
    state, X = start(rng), sphere.uniform(50, D, rng)
    moved, info = jarzynski.step(state, X, rng, 0.25, feature_rate=0.0)
    np.testing.assert_array_equal(moved.neurons, state.neurons)
    # The first half of the islands leads.
    leading = len(state.walkers.X) // 2
    shares = np.exp(state.log_weights.ravel()[:leading])
    activations = [features.feature_matrix(S, state.neurons) for S in (X, state.walkers.X)]
    psi = activations[0].mean(axis=0) - shares @ activations[1][:leading] / shares.sum()
    np.testing.assert_allclose(moved.weights, state.weights - 0.25 * psi, rtol=1e-10)
    growth = (activations[1] @ (state.weights - moved.weights)) / 2
    np.testing.assert_allclose(
        moved.log_weights.ravel(), state.log_weights.ravel() + growth, atol=1e-10
    )
    assert 0 < info.acceptance_rate <= 1
    assert info.n_resampled == 0


def test_resampling_keeps_log_partition():
    rng = np.random.default_rng(5)
    state = start(rng)
    uneven = state._replace(log_weights=state.log_weights + 3 * rng.standard_normal((16, 500)))
    before = jarzynski.log_partition(uneven)
    walkers, log_weights, log_factors, n_resampled = jarzynski._resample(
        uneven.walkers, uneven.log_weights, uneven.log_factors, rng
    )
    after = jarzynski.log_partition(
        uneven._replace(walkers=walkers, log_weights=log_weights, log_factors=log_factors)
    )
    assert n_resampled == 16
    assert after == pytest.approx(before, rel=1e-12)
    np.testing.assert_array_equal(log_weights, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: jarzynski.init(np.eye(3), np.ones(3), 0), "alpha must be one of 1, 2, 3"),
        (lambda s: jarzynski.init(np.eye(3), np.ones(3), n_islands=2), "n_islands must be"),
        (lambda s: jarzynski.init(np.eye(3), np.ones(3), n_islands=5), "n_islands must be even"),
        (lambda s: jarzynski.step(s, 2 * np.eye(3), None), "X"),
        (lambda s: jarzynski.step(s, np.eye(3), None, correction="none"), "correction must be"),
        (lambda s: jarzynski.step(s, np.eye(3), None, step_size=0), "step_size must be"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(start(0))
