import mpmath
import numpy as np
import pytest

from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.kernels import RBF, ArcCosine, Laplace
from lazyactive.theory.sphere import harmonic_dimension, legendre_values, mean
from lazyactive.theory.stein_discrepancies import (
    density_coefficients,
    energy_coefficients,
    f1_stein,
    kernel_stein,
    neuron_means,
)

# Worked out independently for the energy P_5: the vector ball of F1, the coordinate ball with the
# axis along a coordinate, and F2; alpha = 1.
TABLE = """
6  0.0110237190020360  0.0114410384531  0.00105641935943180
8  0.00621850815499469 0.00638949863678 0.000352852913400161
10 0.00391954453405726 0.00400438093509 0.000147933675340667
12 0.00266032434438275 0.00270786310224 7.18420936097085e-5"""
ENERGY = np.array([0.7, -1.0, 0.4, 0.0, -0.3, 0.2])


def rule(theta):
    """Points and probabilities on the sphere of R^3, exact on both sides of <theta, x> = 0."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    t = np.concatenate([(nodes - 1) / 2, (nodes + 1) / 2])
    phi = 2 * np.pi * np.arange(40) / 40
    frame = np.linalg.svd(theta[None])[2][1:]
    circle = np.cos(phi)[:, None] * frame[0] + np.sin(phi)[:, None] * frame[1]
    X = t[:, None, None] * theta + np.sqrt(1 - t**2)[:, None, None] * circle
    return X.reshape(-1, 3), np.repeat(np.concatenate([weights, weights]) / 4, 40) / 40


def gradient(X, e, coefficients):
    """Tangent gradient of the energy, by polynomials' own derivatives: d = 3."""
    t = X @ e
    slope = np.polynomial.legendre.legval(t, np.polynomial.legendre.legder(coefficients))
    return slope[:, None] * (e - t[:, None] * X)


@pytest.mark.parametrize("row", TABLE.split("\n")[1:])
def test_table(row):
    d, vector, coordinate, f2 = int(row.split()[0]), *map(float, row.split()[1:])
    a = [0, 0, 0, 0, 0, 1]
    assert f1_stein(a, d) == pytest.approx(vector, rel=1e-12)
    assert f1_stein(a, d, ball="coordinate") == pytest.approx(coordinate, rel=2e-9)
    assert np.sqrt(kernel_stein(a, d, ArcCosine(1))) == pytest.approx(f2, rel=1e-12)


@pytest.mark.parametrize("alpha", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_means_against_quadrature(alpha, seed):
    theta, e = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0][:2]
    e = np.cos(0.6) * theta + np.sin(0.6) * e
    X, probability = rule(theta)
    features = np.maximum(X @ theta, 0) ** alpha
    # The Stein operator of the model has mean - E <grad g, h> under tau.
    expected = -(probability * features) @ gradient(X, e, ENERGY)
    radial, tangential = neuron_means(ENERGY, 3, theta @ e, alpha)
    v = radial * theta + tangential * (e - (theta @ e) * theta)
    np.testing.assert_allclose(v, expected, atol=1e-13)


@pytest.mark.parametrize("base", [RBF(), RBF(0.5)], ids=lambda kernel: kernel.name)
def test_kernel_discrepancy_against_quadrature(base):
    e = np.array([0.0, 0.6, 0.8])
    X, probability = rule(np.array([1.0, 0.0, 0.0]))
    weighted = probability[:, None] * gradient(X, e, ENERGY)
    kappa = np.exp((X @ X.T - 1) / float(base.scale) ** 2)
    expected = np.sum(weighted * (kappa @ weighted))
    assert kernel_stein(ENERGY, 3, base) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("alpha", [1, 2, 3])
@pytest.mark.parametrize("d", [3, 5, 15])
def test_f2_is_the_kernel_of_the_activation(alpha, d):
    # The mean square of v over uniform neurons.
    def square(s):
        radial, tangential = neuron_means(ENERGY, d, float(s), alpha)
        return float(radial) ** 2 + float(tangential) ** 2 * (1 - float(s) ** 2)

    expected = float(mean(square, d))
    assert kernel_stein(ENERGY, d, ArcCosine(alpha)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize("e", [[1, 0, 0], [0.6, -0.8, 0], [0.48, 0.6, 0.64]])
def test_balls_against_a_grid_of_neurons(alpha, e):
    e = np.array(e, dtype=float)
    angles, turns = np.meshgrid(np.linspace(0, np.pi, 401), np.linspace(0, 2 * np.pi, 401))
    theta = np.stack(
        [np.cos(angles), np.sin(angles) * np.cos(turns), np.sin(angles) * np.sin(turns)], -1
    ).reshape(-1, 3)
    s = np.clip(theta @ e, -1, 1)
    radial, tangential = neuron_means(ENERGY, 3, s, alpha)
    v = radial[:, None] * theta + tangential[:, None] * (e - s[:, None] * theta)
    vector, coordinate = np.max(np.sum(v**2, axis=1)), np.sum(np.max(v**2, axis=0))
    # A maximum between the points of the grid is higher by the square of their distance.
    assert f1_stein(ENERGY, 3, alpha) ** 2 == pytest.approx(vector, rel=3e-4)
    assert f1_stein(ENERGY, 3, alpha, "coordinate", e) ** 2 == pytest.approx(coordinate, rel=3e-4)
    assert f1_stein(ENERGY, 3, alpha) >= np.sqrt(vector) * (1 - 1e-12)


@pytest.mark.parametrize("alpha", [0, 1, 2])
@pytest.mark.parametrize("d", [2, 3, 15])
def test_coefficients_against_mpmath(alpha, d):
    w, degree = -2.5, 4
    activation, polynomials = ReLUPower(alpha), legendre_values
    dimension = harmonic_dimension(d, degree)

    def legendre(t):
        return mpmath.mpf(float(polynomials(float(t), d, degree)[degree]))

    def sigma(t):
        return mpmath.mpf(float(activation(float(t))))

    energy = w * dimension * mean(lambda t: sigma(t) * legendre(t), d)
    partition = mean(lambda t: mpmath.exp(-w * sigma(t)), d)
    density = dimension * mean(lambda t: mpmath.exp(-w * sigma(t)) * legendre(t), d) / partition
    found = energy_coefficients(w, d, degree, alpha)[degree]
    assert found == pytest.approx(float(energy), rel=1e-10, abs=1e-12)
    found = density_coefficients(w, d, degree, alpha)
    assert found[0] == pytest.approx(1, abs=1e-14)
    assert found[degree] == pytest.approx(float(density), rel=1e-8)


@pytest.mark.parametrize("base", [RBF(), ArcCosine(1), ArcCosine(2)], ids=lambda k: k.name)
def test_weak_limit(base):
    # To first order the density is minus the energy; both signs together are right to second.
    d, w = 5, 0.02
    weak = kernel_stein(energy_coefficients(w, d, 40), d, base)
    both = [kernel_stein(density_coefficients(sign * w, d, 40), d, base) for sign in (1, -1)]
    assert np.mean(both) == pytest.approx(weak, rel=w**2)
    assert np.abs(np.array(both) / weak - 1) == pytest.approx(0.3 * w, rel=0.2)


def test_its_own_activation_sees_two_degrees_of_a_neuron():
    a = energy_coefficients(1, 5, 30)
    assert np.count_nonzero(np.abs(a) > 1e-8) > 10
    for ball in ("vector", "coordinate"):
        assert f1_stein(a, 5, ball=ball) == pytest.approx(f1_stein(a[:3], 5, ball=ball), rel=1e-12)
    assert f1_stein(a, 5, alpha=2) != pytest.approx(f1_stein(a[:3], 5, alpha=2), rel=1e-3)
    # On the axis v is -E[sigma(t) (1 - t^2)] e.
    on_axis = float(mean(lambda t: max(t, 0) * (1 - t**2), 5))
    radial, _ = neuron_means(a, 5, 1.0)
    assert -radial == pytest.approx(on_axis, rel=1e-12)


def test_constants_are_not_seen():
    assert kernel_stein([3.0], 5) == 0
    assert f1_stein([3.0], 5) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: f1_stein([1, 2], 5, ball="F1"), "ball must be one of vector, coordinate, got"),
        (lambda: f1_stein([1, 2], 5, alpha=0), "alpha must be an integer >= 1, got 0"),
        (lambda: f1_stein([1, 2], 1), "d must be an integer >= 2, got 1"),
        (lambda: f1_stein([1, np.nan], 5), "coefficients must be a nonempty list of finite"),
        (lambda: f1_stein([1, 2], 3, axis=[1, 1, 0]), "axis must be a unit vector of R"),
        (lambda: kernel_stein([1, 2], 3, Laplace()), "base must be a kernel with a finite"),
        (lambda: density_coefficients(np.inf, 3, 4), "w must be a finite number, got inf"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
