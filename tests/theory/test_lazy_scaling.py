"""Tangent eigenvalues and movements against quadrature, mpmath and the kernels of the package."""

import mpmath
import numpy as np
import pytest

from lazyactive.theory import lazy_scaling, sphere
from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.kernels import NTK


@pytest.mark.parametrize("d", [2, 3, 5, 15])
def test_eigenvalues_are_those_of_the_tangent_kernel(d):
    found = lazy_scaling.tangent_eigenvalues(d, 40, variance=1 / d)
    expected = np.exp(NTK().log_eigenvalues(d, 40)) / (2 * d)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("d", "alpha", "variance"), [(3, 2, 1.0), (5, 2, 0.3), (4, 3, 2.0)])
def test_eigenvalues_by_quadrature(d, alpha, variance):
    nodes, weights = np.polynomial.legendre.leggauss(400)
    phi, weights = np.pi / 2 * (nodes + 1), weights * np.pi / 2
    u, density = np.cos(phi), weights * np.sin(phi) ** (d - 2)
    kernel = ReLUPower(alpha).kernel(u, d)
    kernel = kernel + variance * alpha**2 * u * ReLUPower(alpha - 1).kernel(u, d)
    expected = sphere.legendre_values(u, d, 9) @ (density * kernel) / density.sum()
    found = lazy_scaling.tangent_eigenvalues(d, 9, alpha, variance)
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize(("d", "alpha", "time", "noise"), [(3, 1, 10.0, 2e-3), (5, 2, 100.0, 0.0)])
def test_movement_is_the_sum_of_its_degrees(d, alpha, time, noise):
    """With the tail of the trace left out, in mpmath; d = 3 has 1e-4 of its noise beyond."""
    w, total = 0.7, mpmath.mpf(0)
    xi = lazy_scaling.tangent_eigenvalues(d, 300, alpha)
    mu = ReLUPower(alpha).coefficients(d, 300) ** 2
    for k in range(1, 301):
        if xi[k] > 0:
            count = sphere.harmonic_dimension(d, k)
            learned = (1 - mpmath.exp(-mpmath.mpf(xi[k]) * time)) ** 2 / mpmath.mpf(xi[k])
            total += learned * count * (w**2 * mu[k] + noise)
    found = lazy_scaling.weak_squared_movement(w, d, time, noise, alpha)
    # The kernel of d = 3 is xi_k ~ k^-3 times 2k functions: 1/300 of its noise is beyond.
    assert found == pytest.approx(float(total), rel=5e-3 if noise else 1e-10)
    assert found >= float(total) * (1 - 1e-12)


def test_short_flows():
    """At first every degree moves by T times its force: the square is T^2 of trace times noise."""
    d, time, noise = 3, 1e-5, 0.01
    trace = 1 / 6 + 1 / 2  # kappa_1(1) + kappa_0(1)
    free = trace - lazy_scaling.tangent_eigenvalues(d, 0)[0]
    found = lazy_scaling.weak_squared_movement(0.0, d, time, noise)
    assert found == pytest.approx(time**2 * noise * free, rel=1e-5)


def test_movement_falls_as_one_over_the_scale():
    assert lazy_scaling.MOVEMENT.kind == "asymptotic"
    np.testing.assert_allclose(lazy_scaling.MOVEMENT(s=[1.0, 4.0], u=2.0), [2.0, 0.5])


@pytest.mark.parametrize(
    "options",
    [{"d": 1}, {"alpha": 0}, {"time": 0.0}, {"noise": -1.0}, {"noise": np.inf}, {"variance": 0.0}],
)
def test_bad_input_is_refused(options):
    with pytest.raises(ValueError, match=r"must be"):
        lazy_scaling.weak_squared_movement(**({"w": 1.0, "d": 3, "time": 1.0} | options))
