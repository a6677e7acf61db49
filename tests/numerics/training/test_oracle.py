import numpy as np
import pytest

from lazyactive.numerics import features, sphere
from lazyactive.numerics.discrepancies.kl import kl_divergence
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import oracle
from lazyactive.numerics.training.likelihood import Likelihood


def problem(d, weights, n, seed, alpha=1, n_reference=2**15):
    rng = np.random.default_rng(seed)
    teacher = PlantedEnergy.random(len(weights), d, np.array(weights), rng, alpha)
    return teacher, teacher.sample(n, rng), sphere.orthogonal_uniform(n_reference, d, rng), rng


def loss(X, reference, teacher, neurons):
    return Likelihood.of(X, reference, teacher.alpha).evaluate(neurons, np.sign(teacher.weights))[0]


@pytest.mark.parametrize(("weights", "alpha"), [([6.0, -5.0], 1), ([-4.0, 3.0], 2)])
def test_the_loss_is_lowest_at_the_fit(weights, alpha):
    n = 2000
    teacher, X, reference, rng = problem(5, weights, n, seed=0, alpha=alpha)
    neurons, signs = oracle.fit(X, reference, teacher)
    np.testing.assert_array_equal(signs, np.sign(weights))
    lengths = np.abs(teacher.weights) ** (1 / alpha)
    truth = lengths[:, None] * teacher.directions
    lowest = loss(X, reference, teacher, neurons)
    # Twice the gain from the truth is chi-squared with J d degrees of freedom, 10: between 1
    # and 60 in all but 2 of 10000 samples. Without a fit, or after one to other data, it is not.
    gain = n * (loss(X, reference, teacher, truth) - lowest)
    assert 0.5 < gain < 30
    for _ in range(20):
        other = neurons + 0.1 * rng.standard_normal(neurons.shape)
        assert lowest < loss(X, reference, teacher, other)


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "alpha"), [([-5.0, -4.0], 1), ([5.0], 2)])
def test_the_mean_divergence_is_parametric(weights, alpha):
    d, n, ratios = 5, 2000, []
    for seed in range(40):
        teacher, X, reference, rng = problem(d, weights, n, seed, alpha, 2**16)
        evaluation = teacher.sample(20_000, rng)
        model = features.energy(evaluation, *oracle.fit(X, reference, teacher), alpha)
        kl = kl_divergence(teacher.energy(evaluation), model).value
        ratios.append(kl * 2 * n / (len(weights) * d))
    # The standard error is 0.07 and 0.1; 0.1 is for the next order and the noise of the reference.
    # Beyond 3.5 standard errors are 5 in 10000; twice the error, or half of it, is outside.
    error = np.sqrt(2 / (40 * len(weights) * d))
    assert np.mean(ratios) == pytest.approx(1, abs=3.5 * error + 0.1)


def test_exact_moments_are_matched():
    # Where the loss is smooth its gradient vanishes: the mean derivative over the data is that
    # over the model.
    teacher, X, reference, _ = problem(5, [-6.0], 3000, seed=1, alpha=2)
    neurons, signs = oracle.fit(X, reference, teacher, tol=1e-9)
    density = np.exp(-features.energy(reference, neurons, signs, 2))

    def derivative(points):
        return np.maximum(points @ neurons.T, 0) * points

    model = np.average(derivative(reference), axis=0, weights=density)
    spread = derivative(X).std(axis=0)
    np.testing.assert_allclose(derivative(X).mean(axis=0), model, atol=1e-4 * spread.max())


def test_what_has_no_parameters_to_fit_is_refused():
    X = sphere.uniform(100, 3, 0)
    with pytest.raises(ValueError, match="alpha >= 1, but it has alpha = 0"):
        oracle.fit(X, X, PlantedEnergy(np.eye(1, 3), np.array([2.0]), alpha=0))
    for directions, weights in ((np.eye(2, 3), [1.0, 0.0]), (np.ones((2, 3)) / 3**0.5, [1.0, 1.0])):
        with pytest.raises(ValueError, match=r"teacher must have linearly independent features"):
            oracle.fit(X, X, PlantedEnergy(directions, np.array(weights)))
