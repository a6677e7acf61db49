"""Ordinary training, run beside the flow of the package: the dictionary to rounding."""

import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import particles
from lazyactive.numerics.training.likelihood import Likelihood
from lazyactive.theory.flow_time import PARAMETRIZATIONS, Implementation, gaussian_features

M, D, RATES, DECAY = 6, 3, np.array([0.02, 0.05, 0.01]), 0.3


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    X = PlantedEnergy(np.eye(1, D), np.array([4.0])).sample(200, rng)
    return X, sphere.uniform(300, D, rng)


def ordinary(points, a, w, exponent, alpha, layers):
    """Gradient steps on the loss and DECAY / 2 times the squares, as anyone would write them."""
    X, reference = points
    for rate in RATES:
        densities = np.exp(-(np.maximum(reference @ w.T, 0) ** alpha) @ a / M**exponent)
        densities /= densities.sum()
        grad_a, grad_w = np.zeros_like(a), np.zeros_like(w)
        for sample, mass in ((X, np.full(len(X), 1 / len(X))), (reference, -densities)):
            t = np.maximum(sample @ w.T, 0)
            grad_a += mass @ t**alpha / M**exponent
            slopes = alpha * t ** (alpha - 1) * (t > 0) if alpha else np.zeros_like(t)
            grad_w += (mass[:, None] * slopes * a).T @ sample / M**exponent
        if layers == "both":
            w = w - rate * (grad_w + DECAY * w)
        a = a - rate * (grad_a + DECAY * a)
    return a, w


@pytest.mark.parametrize("parametrization", list(PARAMETRIZATIONS))
@pytest.mark.parametrize(("layers", "alpha"), [("output", 1), ("both", 1), ("both", 2)])
def test_two_flows(points, parametrization, layers, alpha):
    rng = np.random.default_rng(1)
    a, w = rng.standard_normal(M), sphere.uniform(M, D, rng)
    implementation = Implementation(M, parametrization, layers, alpha)
    scale = implementation.particle_scale
    rate = float(layers == "both")
    state = particles.State(scale**rate * w, scale * a, 0.0)
    likelihood = Likelihood.of(*points, alpha)
    for rate_of_step in RATES:
        step_size = implementation.flow_time([rate_of_step])
        penalty = implementation.penalty(DECAY)
        state, _ = particles.step(state, likelihood, step_size, rate, penalty)
    trained_a, trained_w = ordinary(points, a, w, PARAMETRIZATIONS[parametrization], alpha, layers)
    assert np.abs(trained_a - a).max() > 1e-3
    np.testing.assert_allclose(state.weights, scale * trained_a, rtol=1e-10)
    np.testing.assert_allclose(state.neurons, scale**rate * trained_w, rtol=1e-10)
    assert state.time == pytest.approx(implementation.flow_time(RATES))


@pytest.mark.parametrize(("alpha", "length"), [(1, 3.0), (2, 0.5)])
def test_frozen_features_of_one_length(points, alpha, length):
    """Longer features are unit ones for longer, with weights that are divided by their power."""
    rng = np.random.default_rng(2)
    a, w = np.zeros(M), length * sphere.uniform(M, D, rng)
    implementation = Implementation(M, "ntk", alpha=alpha, features=length ** (2 * alpha))
    state = particles.State(w / length, a, 0.0)
    likelihood = Likelihood.of(*points, alpha)
    for rate in RATES:
        step_size, penalty = implementation.flow_time([rate]), implementation.penalty(DECAY)
        state, _ = particles.step(state, likelihood, step_size, 0.0, penalty)
    trained, _ = ordinary(points, a, w, 0.5, alpha, "output")
    expected = implementation.particle_scale * trained * length**alpha
    np.testing.assert_allclose(state.weights, expected, rtol=1e-10)


def test_gaussian_features_are_unit_ones_on_average():
    """One step of flow from zero, at a point, in the mean over networks; false alarms 6e-5."""
    rng = np.random.default_rng(3)
    X, alpha, rate = PlantedEnergy(np.eye(1, D), np.array([4.0])).sample(50, rng), 1, 0.1
    reference, x = sphere.uniform(50, D, rng), sphere.uniform(1, D, rng)
    width = 40_000
    neurons = rng.standard_normal((width, D))
    forces = np.maximum(X @ neurons.T, 0).mean(0) - np.maximum(reference @ neurons.T, 0).mean(0)
    terms = -rate * forces * np.maximum(x @ neurons.T, 0)[0]
    implementation = Implementation(width, "ntk", features=gaussian_features(D))
    unit = neurons / np.linalg.norm(neurons, axis=1, keepdims=True)
    likelihood = Likelihood.of(X, reference, alpha)
    start = particles.State(unit, np.zeros(width), 0.0)
    state, _ = particles.step(start, likelihood, implementation.flow_time([rate]), 0.0)
    expected = state.weights * np.maximum(x @ unit.T, 0)[0]
    difference = terms - expected
    assert abs(difference.mean()) <= 4 * difference.std() / np.sqrt(width)
    assert abs(expected.mean()) > 8 * difference.std() / np.sqrt(width)
