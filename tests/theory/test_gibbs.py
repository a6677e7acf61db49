import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import hyp0f1

from lazyactive.theory import sphere
from lazyactive.theory.gibbs import (
    PlantedGibbs,
    kl,
    kl_to_uniform,
    log_partition,
    matched_linear_weight,
    mean_feature,
    partition_function,
    var_feature,
)


def planar(d, degrees):
    directions = np.zeros((2, d))
    directions[0, 0] = 1
    directions[1, :2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return directions


def random_directions(rng, n, d):
    directions = rng.standard_normal((n, d))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


@pytest.mark.parametrize("d", [2, 3, 4, 15, 100, 1000])
@pytest.mark.parametrize("w", [-50, -10, 0.5, 10, 50])
def test_log_partition_against_closed_form(d, w):
    # 80 digits, because the two series cancel to 2 |w| / log(10) of them.
    exact = mpmath.mpf(sympy.N(partition_function(w, d), 80, maxn=400))
    assert log_partition(w, d) == pytest.approx(float(mpmath.log(exact)), rel=1e-12)


@pytest.mark.parametrize("d", [3, 15])
@pytest.mark.parametrize("w", [-5, 2, 10])
def test_moments_are_derivatives_of_the_closed_form(d, w):
    weight = sympy.Symbol("w")
    log_z = sympy.log(partition_function(weight, d))
    first, second = (float(sympy.diff(log_z, weight, i).subs(weight, w).evalf(30)) for i in (1, 2))
    assert mean_feature(w, d) == pytest.approx(-first, rel=1e-12)
    assert var_feature(w, d) == pytest.approx(second, rel=1e-11)


@pytest.mark.parametrize("alpha", [0, 1, 2, 3])
@pytest.mark.parametrize("d", [2, 3, 15])
@pytest.mark.parametrize("w", [-10, 0, 3])
def test_one_neuron_against_mpmath(alpha, d, w):
    def feature(t):
        return t**alpha if t > 0 else mpmath.mpf(0)

    z, first, second = (
        sphere.mean(
            lambda t, p=p: (
                feature(t) ** p * mpmath.exp(-w * feature(t)) if p else mpmath.exp(-w * feature(t))
            ),
            d,
        )
        for p in (0, 1, 2)
    )
    assert log_partition(w, d, alpha) == pytest.approx(float(mpmath.log(z)), abs=1e-13)
    assert mean_feature(w, d, alpha) == pytest.approx(float(first / z), rel=1e-12)
    variance = float(second / z - (first / z) ** 2)
    assert var_feature(w, d, alpha) == pytest.approx(variance, rel=1e-11)


@pytest.mark.parametrize(
    ("d", "w", "log_z", "mean", "variance", "divergence"),
    [
        (15, 2, -0.170785934956100, 0.0688060190443734, 0.0140948703414960, 0.0331738968673537),
        (15, 10, -0.457540774942493, 0.0175082682469910, 0.00240983056600648, 0.282458092472583),
        (15, -5, 0.914948200988979, 0.282493704671583, 0.0464085256714715, 0.497520322368937),
        (3, 2, -0.333843045109136, 0.103676033501275, 0.0456843387046735, 0.126490978106586),
    ],
)
def test_one_neuron_table(d, w, log_z, mean, variance, divergence):
    values = [log_partition(w, d), mean_feature(w, d), var_feature(w, d), kl_to_uniform(w, d)]
    np.testing.assert_allclose(values, [log_z, mean, variance, divergence], rtol=1e-12)


@pytest.mark.parametrize(
    ("w", "v", "expected"),
    [(2, 0, 0.0331738968673537), (2, 1, 0.00763755902403560), (10, 2, 0.146688694010464)],
)
def test_kl_table(w, v, expected):
    assert kl(w, v, 15) == pytest.approx(expected, rel=1e-12)


@given(w=st.floats(-20, 20), v=st.floats(-20, 20), d=st.integers(2, 50), alpha=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_kl_is_a_divergence(w, v, d, alpha):
    value = kl(w, v, d, alpha)
    assert value >= -1e-13
    # Bregman: log Z is convex in w, with second derivative at most 1/4 for features in [0, 1].
    assert value <= (w - v) ** 2 / 8 + 1e-13


@pytest.mark.parametrize(
    ("weights", "log_z", "mean", "variance", "divergence"),
    [
        ((-5, -5), 0.783136114623472, -1.1053453753466, 0.760873189481, 0.32220926072312),
        ((-2.5, -2.5), 0.318783886225736, -0.38353603539365, 0.145674550246, 0.064752149167912),
        ((10, 10), -0.56738087726031, 0.2918852364108, 0.299729164953, 0.2754956408495),
        ((-5, 5), 0.0829524969350721, -0.16881879701386, 0.180175982718, 0.085866300078786),
    ],
)
def test_two_neuron_table(weights, log_z, mean, variance, divergence):
    gibbs = PlantedGibbs(planar(15, 60), weights)
    values = [gibbs.log_partition(), gibbs.mean_energy(), gibbs.var_energy(), gibbs.kl_to_uniform()]
    # The table was printed to 12 decimals.
    np.testing.assert_allclose(values, [log_z, mean, variance, divergence], rtol=0, atol=1e-12)


@pytest.mark.parametrize("alpha", [0, 1, 2])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_two_neurons_against_adaptive_quadrature(alpha, d):
    # Longitude and radius of the projection, integrated by QUADPACK without any of our panels.
    weights, angle = (-4.0, 6.0), np.radians(100)

    def integral(function, lower, upper):
        value, error = quad(function, lower, upper, epsabs=1e-13, epsrel=1e-13)
        assert error < 1e-11
        return value

    def energy(phi):
        cosines = [math.cos(phi), math.cos(phi - angle)]
        return sum(w * c**alpha for w, c in zip(weights, cosines, strict=True) if c > 0) / 2

    def radial(phi):
        if d == 2:
            return math.exp(-energy(phi))
        f = energy(phi)
        return (d - 2) * integral(
            lambda psi: (
                math.sin(psi) * math.cos(psi) ** (d - 3) * math.exp(-f * math.sin(psi) ** alpha)
            ),
            0,
            half,
        )

    half = math.pi / 2
    cuts = [-half, angle - half, half, angle + half, 3 * half]
    z = sum(integral(radial, *ends) for ends in pairwise(cuts)) / (2 * math.pi)
    gibbs = PlantedGibbs(planar(d, 100), weights, alpha)
    assert gibbs.log_partition() == pytest.approx(math.log(z), abs=1e-10)


@pytest.mark.parametrize("alpha", [0, 1, 2])
@pytest.mark.parametrize(("n_neurons", "d"), [(2, 2), (2, 15), (3, 3), (3, 4), (3, 15), (5, 3)])
def test_moments_against_monte_carlo(alpha, n_neurons, d):
    # Three z-scores in each of 18 cases: 5 standard errors raise a false alarm once in 30000.
    rng = np.random.default_rng([alpha, n_neurons, d])
    directions, weights = random_directions(rng, n_neurons, d), 8 * rng.standard_normal(n_neurons)
    gibbs = PlantedGibbs(directions, weights, alpha)
    x = random_directions(rng, 100_000, d)
    t = x @ directions.T
    features = (t > 0) * np.maximum(t, 0) ** alpha
    energy = features @ weights / n_neurons
    density = np.exp(-energy - gibbs.log_partition())
    for sample in (
        density - 1,
        density * (energy - gibbs.mean_energy()),
        density * ((energy - gibbs.mean_energy()) ** 2 - gibbs.var_energy()),
    ):
        assert abs(np.mean(sample)) < 5 * np.std(sample) / np.sqrt(len(x))
    assert gibbs.mean_energy() == pytest.approx(weights @ gibbs.mean_features() / n_neurons)


@pytest.mark.parametrize("alpha", [0, 1, 2])
@pytest.mark.parametrize("height", [1.0, 1e-2, 1e-4])
def test_silent_third_neuron_changes_nothing(alpha, height):
    # The grids of two and of three dimensions share only the radius; a third direction close to
    # the plane of the others makes the cells of the sphere thin.
    directions = np.zeros((3, 6))
    directions[:2] = planar(6, 50)
    directions[2, :3] = 0.5, 0.5, height
    directions[2] /= np.linalg.norm(directions[2])
    two = PlantedGibbs(directions[:2], [-6, 4], alpha)
    three = PlantedGibbs(directions, [-9, 6, 0], alpha)
    assert three.log_partition() == pytest.approx(two.log_partition(), abs=1e-12)
    assert three.var_energy() == pytest.approx(two.var_energy(), abs=1e-11)


@pytest.mark.parametrize("height", [1.0, 1e-2, 1e-4])
def test_order_of_neurons_does_not_matter(height):
    directions = np.array([[1, 0, 0], [0.6, 0.8, 0], [0.5, 0.5, height]])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weights = np.array([-10.0, 10.0, -7.0])
    values = [
        PlantedGibbs(directions[order], weights[order]).log_partition()
        for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0])
    ]
    assert np.ptp(values) < 1e-12


def test_antipodes_of_three_squared_neurons():
    # For alpha = 2 on the sphere of R^3 the energies of x and -x add up to |x|^2 = 1.
    gibbs = PlantedGibbs(np.eye(3), [3.0, 3.0, 3.0], 2)
    assert PlantedGibbs(np.eye(3), [-3.0, -3.0, -3.0], 2).log_partition() == pytest.approx(
        gibbs.log_partition() + 1, abs=1e-12
    )


def test_dependent_directions_reduce_to_their_span():
    e = np.eye(1, 7)
    # A neuron split in two, and two opposite neurons, which are a multiple of |t|.
    assert PlantedGibbs(np.vstack([e, e]), [2, 6]).log_partition() == pytest.approx(
        log_partition(4, 7), abs=1e-13
    )
    both = PlantedGibbs(np.vstack([e, -e]), [6, 6])
    exact = sphere.mean(lambda t: mpmath.exp(-3 * abs(t)), 7)
    assert both.rank == 1
    assert both.log_partition() == pytest.approx(float(mpmath.log(exact)), abs=1e-13)


def test_kl_between_weights():
    first, second = [-5.0, 5.0], [1.0, -2.0]
    directions = planar(15, 60)
    gibbs = PlantedGibbs(directions, first)
    assert gibbs.kl_to(first) == pytest.approx(0, abs=1e-14)
    assert gibbs.kl_to([0, 0]) == pytest.approx(gibbs.kl_to_uniform(), rel=1e-12)
    # The divergence is the integral of the derivative of log Z along the segment of weights.
    steps, step_weights = np.polynomial.legendre.leggauss(20)
    change = np.subtract(second, first)
    slopes = [
        -change @ PlantedGibbs(directions, first + (1 + s) / 2 * change).mean_features() / 2
        for s in steps
    ]
    expected = change @ gibbs.mean_features() / 2 + step_weights @ slopes / 2
    assert gibbs.kl_to(second) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("w", "d"), [(10.0, 15), (2.0, 3), (-5.0, 2), (-30.0, 15), (0.0, 4)])
def test_linear_energy_with_the_mean_of_a_neuron(w, d):
    b = matched_linear_weight(w, d)
    # The ratio of modified Bessel functions is the mean of a von Mises-Fisher law, DLMF 10.32.2.
    mean = -b / d * hyp0f1(d / 2 + 1, b**2 / 4) / hyp0f1(d / 2, b**2 / 4)
    weight = sphere.mean(lambda t: mpmath.exp(-w * max(t, 0)), d)
    exact = sphere.mean(lambda t: t * mpmath.exp(-w * max(t, 0)), d) / weight
    assert mean == pytest.approx(float(exact), abs=1e-11)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_partition(1, 1), "d must be an integer >= 2, got 1"),
        (lambda: log_partition(np.nan, 3), "weights must be 1 finite numbers"),
        (lambda: log_partition(1, 3, 0.5), "alpha must be an integer >= 0, got 0.5"),
        (lambda: PlantedGibbs(np.ones((1, 3)), [1]), "directions must be unit vectors"),
        (lambda: PlantedGibbs(np.ones(3), [1]), r"directions must have shape \(J, d\)"),
        (lambda: PlantedGibbs(np.eye(2), [1]), "weights must be 2 finite numbers"),
        (lambda: PlantedGibbs(np.eye(4), np.ones(4)), "span at most 3 dimensions, got 4"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
