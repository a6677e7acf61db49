import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.training.likelihood import (
    Likelihood,
    optimality_gap,
    steepest_neurons,
    total_variation,
)

N, M, D, WIDTH = 300, 1000, 3, 5


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = sphere.normalize(sphere.uniform(N, D, rng) + np.array([0.5, 0, 0]))
    reference = sphere.uniform(M, D, rng)
    neurons = rng.standard_normal((WIDTH, D))
    weights = 3 * rng.standard_normal(WIDTH)
    return X, reference, neurons, weights


def loss_of(numpy, X, reference, neurons, weights, alpha):
    def f(points):
        phi = numpy.maximum(numpy.dot(points, neurons.T), 0.0) ** alpha
        return numpy.dot(phi, weights) / WIDTH

    return numpy.mean(f(X)) + numpy.log(numpy.mean(numpy.exp(-f(reference))))


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_loss_and_gradient_are_those_of_autograd(problem, alpha):
    autograd = pytest.importorskip("autograd")
    anp = pytest.importorskip("autograd.numpy")
    X, reference, neurons, weights = problem
    likelihood = Likelihood.of(X, reference, alpha)
    loss, rho = likelihood.evaluate(neurons, weights)
    assert loss == pytest.approx(loss_of(np, X, reference, neurons, weights, alpha), rel=1e-12)
    want = autograd.grad(
        lambda *network: loss_of(anp, X, reference, *network, alpha), argnum=(0, 1)
    )(neurons, weights)
    for got, exact in zip(likelihood.gradient(neurons, weights, rho), want, strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-12)


def test_losses_of_the_points_have_the_loss_as_mean(problem):
    X, reference, neurons, weights = problem
    likelihood = Likelihood.of(X, reference, 1)
    values = likelihood.pointwise(neurons, weights)
    loss, _ = likelihood.evaluate(neurons, weights)
    assert values.mean() == pytest.approx(loss, rel=1e-12)
    f = np.maximum(X @ neurons.T, 0) @ weights / WIDTH
    np.testing.assert_allclose(values - values[0], f - f[0], atol=1e-12)


def test_psi_is_the_derivative_along_a_new_neuron(problem):
    X, reference, neurons, weights = problem
    likelihood = Likelihood.of(X, reference, 1)
    _, rho = likelihood.evaluate(neurons, weights)
    theta = sphere.uniform(1, D, rng=4)
    values, slopes = likelihood.psi(theta, rho)

    def perturbed(mass):
        # One more neuron changes the 1/m in front: the old weights are scaled to make up for it.
        grown = np.append(weights * (WIDTH + 1) / WIDTH, mass * (WIDTH + 1))
        return likelihood.evaluate(np.vstack([neurons, theta]), grown)[0]

    h = 1e-5
    assert values[0] == pytest.approx((perturbed(h) - perturbed(-h)) / (2 * h), rel=1e-7)
    # alpha = 1: homogeneous of degree one, so that Euler's identity holds.
    assert slopes[0] @ theta[0] == pytest.approx(values[0], rel=1e-10)


def test_steepest_neurons_are_the_extremes_on_a_grid(problem):
    X, reference, neurons, weights = problem
    likelihood = Likelihood.of(X, reference, 1)
    _, rho = likelihood.evaluate(neurons, weights)
    grid, _ = likelihood.psi(sphere.uniform(20_000, D, rng=1), rho)
    found, values = steepest_neurons(likelihood, rho, np.random.default_rng(2))
    assert abs(values[0]) >= abs(values[1])
    assert values.max() >= grid.max() - 1e-5
    assert values.min() <= grid.min() + 1e-5
    np.testing.assert_allclose(likelihood.psi(found, rho)[0], values, rtol=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 0.05])
def test_no_network_in_the_ball_beats_the_certificate(problem, penalty):
    X, reference, neurons, weights = problem
    likelihood = Likelihood.of(X, reference, 1)
    loss, rho = likelihood.evaluate(neurons, weights)
    psi, _ = likelihood.psi(neurons, rho)
    _, extremes = steepest_neurons(likelihood, rho, np.random.default_rng(3))
    gap = optimality_gap(neurons, weights, psi, extremes[0], penalty, 1)
    beta = total_variation(neurons, weights, 1)
    rng = np.random.default_rng(5)
    best = np.inf
    for _ in range(300):
        other, c = sphere.uniform(2, D, rng), rng.standard_normal(2)
        c *= beta * rng.random() / np.abs(c).mean()
        value = likelihood.evaluate(other, c)[0] + penalty * np.abs(c).mean()
        best = min(best, value)
    assert best < loss + penalty * beta
    assert loss + penalty * beta - best <= gap


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_one_pass_gives_value_and_gradient(alpha):
    rng = np.random.default_rng(3)
    # More points than one tile for each chunk, and energies that move the smallest of them often.
    X, reference = sphere.uniform(300, 5, rng), sphere.uniform(9000, 5, rng)
    neurons, weights = rng.standard_normal((7, 5)), 20 * rng.standard_normal(7)
    loss = Likelihood.of(X, reference, alpha)
    value, rho = loss.evaluate(neurons, weights)
    expected = (value, *loss.gradient(neurons, weights, rho), rho.ess)
    for ours, theirs in zip(loss.value_and_gradient(neurons, weights), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def test_the_type_of_the_data_is_that_of_the_loops():
    rng = np.random.default_rng(4)
    X, reference = sphere.uniform(300, 3, rng), sphere.uniform(900, 3, rng, np.float32)
    network = rng.standard_normal((5, 3)), rng.standard_normal(5)
    mixed = Likelihood.of(X, reference, 1)
    double = Likelihood.of(X, reference.astype(np.float64), 1)
    assert mixed.evaluate(*network)[0] == double.evaluate(*network)[0]
    assert mixed.value_and_gradient(*network).loss == double.value_and_gradient(*network).loss
