import numpy as np
import pytest

from lazyactive.numerics import features, sphere
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import linearized, particles
from lazyactive.numerics.training.likelihood import Likelihood

D, N, REFERENCE = 3, 100, 200


def points(alpha=1, w=6.0):
    rng = np.random.default_rng(0)
    teacher = PlantedEnergy(np.eye(1, D), np.array([w]), alpha)
    return np.vstack([teacher.sample(N, rng), sphere.uniform(REFERENCE, D, rng)])


def test_start_is_zero_to_the_last_bit():
    start = linearized.antisymmetric(33, D, np.random.default_rng(0))
    assert start.neurons.shape == (66, D)
    assert not features.energy(points(), start.neurons, start.weights).any()
    np.testing.assert_allclose(np.linalg.norm(start.neurons, axis=1), 1)


@pytest.mark.parametrize("alpha", [1, 2])
def test_tangent_kernel_is_the_gram_matrix_of_the_derivatives(alpha):
    rng = np.random.default_rng(1)
    X, neurons, weights = sphere.uniform(5, D, rng), sphere.uniform(4, D, rng), rng.normal(size=4)
    rows = []
    for x in X:
        slopes, values = features.energy_gradient(x[None], neurons, weights, alpha)
        rows.append(np.concatenate([slopes.ravel(), values]))
    jacobian = np.array(rows)
    kernel = linearized.tangent_kernel(X, neurons, weights, alpha)
    np.testing.assert_allclose(kernel, 4 * jacobian @ jacobian.T, rtol=1e-10)


@pytest.mark.parametrize("alpha", [1, 2])
def test_wide_kernel_is_the_mean_of_finite_ones(alpha):
    """Mean over 20000 particles; the largest of 10 deviations is beyond 5 errors at 6e-6."""
    rng, m = np.random.default_rng(2), 20_000
    X, variance = sphere.uniform(4, D, rng), 0.5
    neurons, weights = sphere.uniform(m, D, rng), rng.normal(0, variance**0.5, m)
    parts = np.array(
        [
            linearized.tangent_kernel(X, neurons[i : i + 100], weights[i : i + 100], alpha)
            for i in range(0, m, 100)
        ]
    )
    error = parts.std(axis=0) / np.sqrt(len(parts))
    wide = linearized.wide_tangent_kernel(X, alpha, variance)
    assert (np.abs(parts.mean(axis=0) - wide) <= 5 * error).all()


def test_kernel_flow_is_the_flow_of_the_linearized_parameters():
    X, h = points(), 0.5
    start = linearized.antisymmetric(8, D, np.random.default_rng(3))
    kernel = linearized.tangent_kernel(X, start.neurons, start.weights)
    jacobian = np.array(
        [
            np.concatenate([g.ravel() for g in features.energy_gradient(x[None], *start[:2])])
            for x in X
        ]
    )
    state, u = linearized.init(len(X)), np.zeros(jacobian.shape[1])
    for _ in range(30):
        density = np.exp(-(jacobian @ u)[N:])
        rho = np.concatenate([np.full(N, 1 / N), -density / density.sum()])
        u = u - h * len(start.weights) * jacobian.T @ rho
        state = linearized.step(state, kernel, N, h)
    np.testing.assert_allclose(state.energy, jacobian @ u, atol=1e-11)
    movement = np.sqrt(u @ u / len(start.weights))
    assert np.sqrt(linearized.squared_movement(state)) == pytest.approx(movement, rel=1e-10)
    assert state.time == 15.0


@pytest.mark.parametrize("alpha", [1, 2])
def test_scaled_networks_converge_to_the_linearized_model(alpha):
    X, h = points(alpha), 0.5
    start = linearized.antisymmetric(20, D, np.random.default_rng(4))
    kernel = linearized.tangent_kernel(X, start.neurons, start.weights, alpha)
    likelihood = Likelihood.of(X[:N], X[N:], alpha)
    errors = []
    for scale in (1.0, 1e5):
        state, limit = start, linearized.init(len(X))
        for _ in range(40):
            state, _ = particles.step(state, likelihood, h, scale=scale)
            limit = linearized.step(limit, kernel, N, h)
        size = np.sqrt(linearized.squared_movement(limit))
        errors.append(abs(scale * linearized.movement(state, start) / size - 1))
        energy = scale * features.energy(X, state.neurons, state.weights, alpha)
    np.testing.assert_allclose(energy, limit.energy, atol=1e-3)
    assert errors[1] < 1e-3
    # The network at s = 1 is a different one.
    assert errors[0] > 3e-3


def test_bad_input_is_refused():
    X, start = points(), linearized.antisymmetric(2, D, np.random.default_rng(0))
    with pytest.raises(ValueError, match="alpha must be at least 1"):
        linearized.tangent_kernel(X, start.neurons, start.weights, 0)
    with pytest.raises(ValueError, match="must lie on the unit sphere"):
        linearized.wide_tangent_kernel(2 * X)
    with pytest.raises(ValueError, match="neurons must have shape"):
        linearized.tangent_kernel(X, start.neurons[:, :2], start.weights)
    with pytest.raises(ValueError, match="weights must be"):
        linearized.tangent_kernel(X, start.neurons, start.weights[:1])
    with pytest.raises(ValueError, match="n_pairs must be"):
        linearized.antisymmetric(0, D, np.random.default_rng(0))
