import math

import numpy as np
import pytest
import sympy
from scipy.integrate import quad

from lazyactive.theory.ridge_approximation import (
    kink_approximation,
    kink_exponent,
    lifted_f1_norm,
)


@pytest.mark.parametrize(
    ("space", "d", "alpha", "exponent"),
    [
        ("F1", 3, 1, "2"),
        ("F1", 5, 1, "2/3"),
        ("F1", 7, 1, "2/5"),
        ("F1", 9, 1, "2/7"),
        ("F1", 5, 3, "2/7"),
        ("F2", 5, 1, "1/2"),
        ("F2", 7, 1, "1/3"),
        ("F2", 9, 1, "1/4"),
        ("F2", 4, 3, "2/7"),
    ],
)
def test_exponents(space, d, alpha, exponent):
    assert kink_exponent(space, d, alpha) == sympy.Rational(exponent)


def test_symbolic_dimension():
    d, alpha = sympy.symbols("d alpha", positive=True)
    f1, f2 = (kink_exponent(space, d, alpha) for space in ("F1", "F2"))
    assert sympy.simplify(f1 / f2 - 1 - 1 / (d + 2 * alpha - 4)) == 0
    assert sympy.limit(f1 * d, d, sympy.oo) == sympy.limit(f2 * d, d, sympy.oo) == 2


@pytest.mark.parametrize("d", [5, 7, 8])
def test_a_ring_of_neurons_has_the_singularity_of_the_derivation(d):
    # E max(z - 1 + h, 0) for one coordinate z of a uniform point of S^{d-2} is the mean activation
    # at the distance h from a parallel that the ring touches, up to scale: the power is
    # alpha + (d-2)/2, and alpha + d/2 - 1 = d/2 of it.
    def activation(h):
        return quad(lambda z: (z - 1 + h) * (1 - z * z) ** ((d - 4) / 2), 1 - h, 1)[0]

    slope = math.log(activation(1e-3) / activation(1e-4)) / math.log(10)
    assert slope == pytest.approx(d / 2, abs=2e-3)


@pytest.mark.parametrize(("space", "q"), [("F1", 1), ("F2", 2)])
@pytest.mark.parametrize("d", [6, 8])
def test_the_norm_of_a_smoothed_derivative(space, q, d):
    # In even dimension the derivative of order alpha + d/2 - 2 is an ordinary one: of a Gaussian
    # of width h, by finite differences. Its norm in L_q is h to the power -1 / exponent.
    order = 1 + d // 2 - 2
    log_norms = []
    for h in (0.01, 0.02):
        x, step = np.linspace(-0.3, 0.3, 60_001, retstep=True)
        y = np.exp(-((x / h) ** 2) / 2) / h
        for _ in range(order):
            y = np.gradient(y, step)
        log_norms.append(math.log(np.sum(np.abs(y) ** q) * step) / q)
    slope = (log_norms[1] - log_norms[0]) / math.log(2)
    assert -1 / slope == pytest.approx(float(kink_exponent(space, d)), rel=1e-3)


def test_prediction_is_the_power():
    prediction = kink_approximation("F1", 5)
    assert prediction.kind == "asymptotic"
    assert prediction(beta=8.0) == pytest.approx(1 / 4)


@pytest.mark.parametrize("a", [0.2, 0.5, 0.9])
def test_two_neurons_with_a_constant_are_the_function(a):
    norm = float(lifted_f1_norm()(a=a))
    # A neuron is a unit vector of R^{d+1}, here of the plane of e and the constant.
    t = np.linspace(-1, 1, 101)
    value = sum(
        norm / 2 * np.maximum((sign * t - a) / math.sqrt(1 + a**2) / math.sqrt(2), 0)
        for sign in (1, -1)
    )
    np.testing.assert_allclose(value, np.maximum(np.abs(t) - a, 0), atol=1e-15)


def test_the_norm_of_the_issue():
    assert float(lifted_f1_norm()(a=0.5)) == pytest.approx(math.sqrt(10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("F3", 5), "space must be F1 or F2, got 'F3'"),
        (("F1", 2), "d must be an integer >= 3, got 2"),
        (("F1", 5, 2), "alpha must be odd for an even target, got 2"),
        (("F2", 5, 0), "alpha must be an integer >= 1, got 0"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        kink_exponent(*arguments)
