"""The oscillator against its differential equation, its noise against Lyapunov's, rates by hand."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from lazyactive.theory import descent_ascent
from lazyactive.theory.activations import ReLUPower

RATES = [(0.1, 2.0), (0.5, 2.0), (9.0, 2.0)]  # slow, critical, oscillating


@pytest.mark.parametrize(("K", "D"), RATES)
def test_mean_error_solves_its_equation(K, D):
    times = np.linspace(0, 3, 7)
    solution = solve_ivp(
        lambda _, z: [K * z[1], -D * (z[0] + z[1])],
        (0, 3),
        [1.0, -1.0],
        t_eval=times,
        rtol=1e-11,
        atol=1e-13,
    )
    np.testing.assert_allclose(descent_ascent.mean_error(times, K, D), solution.y[0], atol=1e-9)


@pytest.mark.parametrize(("K", "D"), RATES)
def test_noise_variance_solves_the_lyapunov_equation(K, D):
    """Walkers start with the variance that they keep; the integral by the midpoint rule."""
    drift, time, n = np.array([[0, K], [-D, -D]]), 1.3, 4000
    steps = (np.arange(n) + 0.5) * time / n
    columns = np.array([expm(drift * s)[:, 1] for s in steps])
    covariance = 2 * D * columns.T @ columns * time / n
    start = expm(drift * time)[:, 1]
    expected = covariance[0, 0] + start[0] ** 2
    assert descent_ascent.noise_variance(time, K, D) == pytest.approx(expected, rel=1e-5)
    assert descent_ascent.noise_variance(200.0, K, D) == pytest.approx(K / D)


def test_rates_against_quadrature():
    """On the circle, for degree 2, by the trapezoidal rule: a jump costs it 1/n."""
    n = 2000
    angles = (np.arange(n) + 0.5) * 2 * np.pi / n
    gaps = angles[:, None] - angles
    sigma, slope = np.maximum(np.cos(gaps), 0), np.where(np.cos(gaps) > 0, -np.sin(gaps), 0)
    q = np.cos(2 * angles)
    # Neurons are rows: psi = -E sigma q, and f moves by -w E [sigma psi + sigma' psi'].
    psi, derivative = -sigma @ q / n, -slope @ q / n
    K, D = descent_ascent.rates(2, 2, 1, 1.5, 0.0, 1.0, 3.0)
    np.testing.assert_allclose(-1.5 * sigma.T @ psi / n, K * q, atol=1e-5)
    assert D == 12
    K, _ = descent_ascent.rates(2, 2, 1, 1.5, 1.0, 0.0)
    np.testing.assert_allclose(-1.5 * slope.T @ derivative / n, K * q, atol=5e-4)


def test_expected_kl_limits():
    amplitudes, d = [0.3, 0.1], 3
    options = {"mass": 2.0, "feature_rate": 1.0, "mass_rate": 1.0}
    start = descent_ascent.expected_kl(0.0, amplitudes, d, 100, 50, **options)
    assert start == pytest.approx((0.09 + 0.01) / 2)
    late = descent_ascent.expected_kl(1e4, amplitudes, d, 100, 50, **options)
    noise = 0.0
    for k, n_harmonics in ((1, 3), (2, 5)):
        K, D = descent_ascent.rates(k, d, **options)
        noise += n_harmonics * (K / D / 100 + 1 / 50)
    assert late == pytest.approx(noise / 2)


def test_rates_take_the_coefficient():
    K, _ = descent_ascent.rates(1, 15, 2, 1.0, 0.0, 1.0)
    assert pytest.approx(float(ReLUPower(2).coefficient(1, 15)) ** 2) == K


def test_refusals():
    with pytest.raises(ValueError, match="degree"):
        descent_ascent.rates(0, 3)
    with pytest.raises(ValueError, match="n_walkers"):
        descent_ascent.expected_kl(1.0, [1.0], 3, 0, 10)
