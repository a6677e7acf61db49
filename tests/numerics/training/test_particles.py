import numpy as np
import pytest

from lazyactive.numerics import features, sphere
from lazyactive.numerics.discrepancies.kl import kl_divergence
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import particles
from lazyactive.numerics.training.likelihood import Likelihood


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    teacher = PlantedEnergy(np.eye(1, 3), np.array([5.0]))
    return Likelihood.of(teacher.sample(500, rng), sphere.uniform(2000, 3, rng), 1)


def start(m=20):
    rng = np.random.default_rng(1)
    return particles.State(rng.standard_normal((m, 3)), rng.standard_normal(m), 0.0)


def test_step_is_gradient_descent_in_mean_field_time(problem):
    state, h, rate, penalty = start(), 0.1, 0.3, 0.2
    moved, info = particles.step(state, problem, h, rate, penalty)
    loss, rho = problem.evaluate(state.neurons, state.weights)
    grad_neurons, grad_weights = problem.gradient(state.neurons, state.weights, rho)
    np.testing.assert_allclose(
        moved.neurons, state.neurons - h * rate * (20 * grad_neurons + penalty * state.neurons)
    )
    np.testing.assert_allclose(
        moved.weights, state.weights - h * (20 * grad_weights + penalty * state.weights)
    )
    assert moved.time == h
    assert info.loss == pytest.approx(loss, rel=1e-12)


def test_lazy_regime_is_a_rate_of_zero(problem):
    moved, _ = particles.step(start(), problem, feature_rate=0.0)
    assert np.array_equal(moved.neurons, start().neurons)
    assert not np.array_equal(moved.weights, start().weights)


def test_flow_does_not_depend_on_the_width(problem):
    # Every particle twice is the same measure, hence the same energy at all times.
    state = start()
    double = particles.State(np.tile(state.neurons, (2, 1)), np.tile(state.weights, 2), 0.0)
    for _ in range(5):
        state, _ = particles.step(state, problem, 0.2)
        double, _ = particles.step(double, problem, 0.2)
    np.testing.assert_allclose(double.neurons[:20], state.neurons, rtol=1e-9)
    np.testing.assert_allclose(double.weights[20:], state.weights, rtol=1e-9)


def test_scaled_model_descends_the_scaled_loss(problem):
    """Against finite differences of L(s f) / s^2."""
    state, h, s, step = start(4), 0.1, 3.0, 1e-6
    moved, info = particles.step(state, problem, h, scale=s)

    def loss(neurons, weights):
        return problem.evaluate(neurons, s * weights)[0] / s**2

    assert info.loss == pytest.approx(s**2 * loss(state.neurons, state.weights))
    for j in range(4):
        bump = step * np.eye(4)[j]
        ends = [loss(state.neurons, state.weights + sign * bump) for sign in (1, -1)]
        change = (moved.weights - state.weights)[j]
        assert change == pytest.approx(-h * 4 * (ends[0] - ends[1]) / (2 * step), rel=1e-5)
        bump = np.zeros((4, 3))
        bump[j, 0] = step
        ends = [loss(state.neurons + sign * bump, state.weights) for sign in (1, -1)]
        change = (moved.neurons - state.neurons)[j, 0]
        assert change == pytest.approx(-h * 4 * (ends[0] - ends[1]) / (2 * step), rel=1e-3)


def test_loss_falls_along_the_flow(problem):
    state = particles.init(30, 3, np.random.default_rng(2))
    losses = []
    for _ in range(100):
        state, info = particles.step(state, problem, 0.5)
        losses.append(info.loss)
    assert (np.diff(losses) <= 1e-12).all()
    assert losses[-1] < losses[0] - 0.1


def test_penalty_keeps_the_norm_down():
    rng = np.random.default_rng(3)
    teacher = PlantedEnergy(np.eye(1, 3), np.array([5.0]))
    X, reference = teacher.sample(500, rng), sphere.uniform(4000, 3, rng)
    norms = []
    for penalty in (0.01, 0.05):
        fitted = particles.fit(X, reference, 1, 20, np.random.default_rng(4), penalty, 200.0)
        norms.append(np.mean(np.abs(fitted.weights) * np.linalg.norm(fitted.neurons, axis=1)))
    assert norms[1] < norms[0]


def test_batches_cover_all_points():
    X, reference = sphere.uniform(20_000, 3, rng=0), sphere.uniform(40_000, 3, rng=1)
    batches = particles._batches(X, reference, 1)
    assert sum(b.n_data for b in batches[:2]) == 20_000
    assert all(b.n_reference == 16384 for b in batches)


@pytest.mark.slow
def test_kl_of_the_overparametrized_network():
    values = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        teacher = PlantedEnergy.random(1, 15, np.array([10.0]), rng)
        X, fresh = teacher.sample(1000, rng), teacher.sample(20_000, rng)
        reference = sphere.orthogonal_uniform(2**16, 15, rng)
        fitted = particles.fit(X, reference, 1, 500, rng)
        assert fitted.converged
        model = features.energy(fresh, fitted.neurons, fitted.weights)
        values.append(kl_divergence(teacher.energy(fresh), model).value)
    # Mean 0.015, standard deviation 0.004 over data sets.
    assert np.mean(values) <= 0.025
