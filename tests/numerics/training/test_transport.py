"""Unbalanced transport: the flow of a loss that is linear in the measure, and the cap."""

import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import transport
from lazyactive.numerics.training.likelihood import Likelihood

D = 3


def test_init():
    network = transport.init(6, D, 0, mass=2.5)
    np.testing.assert_allclose(np.linalg.norm(network.neurons, axis=1), 1)
    assert network.variation == 2.5
    np.testing.assert_array_equal(network.weights, [2.5, -2.5] * 3)


def test_flow_of_a_linear_loss():
    """For psi = <a, theta> the angle u to a has u' = r c sin u, and the mass (log w)' = -r c cos u.

    Explicit steps of size h are wrong by a term of order h.
    """
    a = np.array([0.0, 0.0, 1.0])
    start = transport.init(8, D, 1)
    time, feature_rate, mass_rate = 0.7, 1.5, 0.8
    errors = []
    for n_steps in (100, 200):
        network = start
        for _ in range(n_steps):
            psi, slopes = network.neurons @ a, np.tile(a, (8, 1))
            network = transport.move(network, psi, slopes, time / n_steps, feature_rate, mass_rate)
        u = np.arccos(start.neurons @ a)
        # tan(u/2) grows by exp(c r t); the logarithm of the mass by an integral of cos u.
        growth = np.exp(start.signs * feature_rate * time)
        angle = 2 * np.arctan(np.tan(u / 2) * growth)
        drift = np.log(np.sin(angle) / np.sin(u))
        masses = np.exp(-mass_rate / feature_rate * drift)
        errors.append(
            max(
                np.abs(np.arccos(network.neurons @ a) - angle).max(),
                np.abs(network.masses - masses).max(),
            )
        )
    assert errors[0] < 0.02
    assert 1.8 < errors[0] / errors[1] < 2.2


def test_frozen_neurons_stay():
    network = transport.init(4, D, 2)
    moved = transport.move(network, np.ones(4), np.ones((4, D)), 0.1, feature_rate=0)
    np.testing.assert_allclose(moved.neurons, network.neurons, rtol=1e-15)
    np.testing.assert_allclose(moved.masses, np.exp(-0.1 * network.signs))


def test_cap_keeps_the_ratios():
    network = transport.init(4, D, 3)
    free = transport.move(network, -network.signs, np.zeros((4, D)), 0.5)
    capped = transport.move(network, -network.signs, np.zeros((4, D)), 0.5, max_variation=1.2)
    assert free.variation == pytest.approx(np.exp(0.5))
    assert capped.variation == pytest.approx(1.2)
    np.testing.assert_allclose(capped.masses / free.masses, 1.2 / np.exp(0.5))


@pytest.mark.parametrize("rates", [(1.0, 0.0), (0.0, 1.0)])
def test_step_descends_at_the_rate_of_the_flow(rates):
    """psi has the right sign and size: -dL/dt is the mean of r w |grad psi|^2 and of r w psi^2."""
    X = PlantedEnergy(np.eye(1, D), np.array([-4.0])).sample(500, 0)
    loss = Likelihood.of(X, sphere.uniform(2000, D, 1), 2)
    network, h = transport.init(8, D, 4, alpha=2), 1e-6
    moved, info = transport.step(network, loss, h, *rates)
    _, rho = loss.evaluate(network.neurons, network.weights)
    psi, slopes = loss.psi(network.neurons, rho)
    squares = np.sum(sphere.tangent(network.neurons, slopes) ** 2, axis=1)
    expected = np.mean(network.masses * (rates[0] * squares + rates[1] * psi**2))
    after, _ = loss.evaluate(moved.neurons, moved.weights)
    assert (info.loss - after) / h == pytest.approx(expected, rel=1e-3)


def test_refusals():
    with pytest.raises(ValueError, match="alpha must be one of 1, 2, 3"):
        transport.init(4, D, 0, alpha=0)
    with pytest.raises(ValueError, match="mass"):
        transport.init(4, D, 0, mass=0.0)
    network = transport.init(4, D, 0)
    with pytest.raises(ValueError, match="feature_rate"):
        transport.move(network, np.ones(4), np.ones((4, D)), 0.1, feature_rate=-1)
    with pytest.raises(ValueError, match="max_variation"):
        transport.move(network, np.ones(4), np.ones((4, D)), 0.1, max_variation=0)
