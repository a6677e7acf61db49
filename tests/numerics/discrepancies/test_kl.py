"""KL from exact samples against quadrature, value and standard error."""

import numpy as np
import pytest
from scipy import integrate

from lazyactive.numerics.discrepancies.kl import cross_entropy, kl_divergence
from lazyactive.numerics.teachers import PlantedEnergy


def mass(g, w, d):
    def integrand(t):
        return g(t) * (1 - t * t) ** ((d - 3) / 2) * np.exp(-w * max(t, 0.0))

    return integrate.quad(integrand, -1, 0)[0] + integrate.quad(integrand, 0, 1)[0]


def log_z(w, d):
    return np.log(mass(lambda t: 1.0, w, d) / mass(lambda t: 1.0, 0.0, d))


def mean_relu(w, d):
    return mass(lambda t: max(t, 0.0), w, d) / mass(lambda t: 1.0, w, d)


def exact_kl(w, v, d):
    return (v - w) * mean_relu(w, d) + log_z(v, d) - log_z(w, d)


def relu_samples(w, d, n, rng):
    return np.maximum(PlantedEnergy(np.eye(d)[:1], [w]).sample(n, rng)[:, 0], 0.0)


def test_the_quadrature():
    np.testing.assert_allclose(exact_kl(10.0, 2.0, 15), 0.146688694010464, rtol=1e-10)
    np.testing.assert_allclose(exact_kl(2.0, 0.0, 15), 0.0331738968673537, rtol=1e-10)


@pytest.mark.parametrize("d", [3, 15])
@pytest.mark.parametrize(
    ("w", "v"), [(2.0, 0.0), (2.0, 1.0), (10.0, 2.0), (10.0, 9.5), (-5.0, -3.0)]
)
def test_exact_divergence(d, w, v):
    """At 4 standard errors: false-alarm rate 6e-5 for each of the ten."""
    relu = relu_samples(w, d, 200_000, rng=d)
    value, se = kl_divergence(w * relu, v * relu)
    exact = exact_kl(w, v, d)
    assert abs(value - exact) < 4 * se
    assert se < 0.1 * exact  # else the comparison says nothing


def test_standard_error_covers_the_truth():
    """Among 1000 intervals of 2 standard errors 954 +- 6.6 should cover.

    4 binomial deviations, and 0.01 for the estimator's skewness: false-alarm rate below 1e-4.
    """
    relu = relu_samples(4.0, 10, 1000 * 1000, rng=0).reshape(1000, 1000)
    exact = exact_kl(4.0, 2.0, 10)
    estimates = [kl_divergence(4.0 * row, 2.0 * row) for row in relu]
    hits = sum(abs(value - exact) < 2 * se for value, se in estimates)
    assert abs(hits / 1000 - 0.9545) < 4 * 0.0066 + 0.01


@pytest.mark.parametrize("constant", [1e3, -1e6])
def test_constants_in_the_energies_do_not_matter(constant):
    rng = np.random.default_rng(0)
    f, f_hat = rng.normal(size=(2, 100))
    shifted = kl_divergence(f, f_hat + constant)
    np.testing.assert_allclose(shifted, kl_divergence(f, f_hat), rtol=1e-8)
    np.testing.assert_allclose(kl_divergence(f, f + constant), (0.0, 0.0), atol=1e-9)


def test_wild_energies_do_not_overflow():
    value, se = kl_divergence([0.0, 2000.0], [0.0, 0.0])
    assert value == pytest.approx(1000 - np.log(2))
    assert np.isfinite(se)


def test_cross_entropy_is_entropy_plus_divergence():
    """-E log p_hat = KL - (-E log p) with the exact log Z of both; false-alarm rate 6e-5."""
    w, v, d = 6.0, 3.0, 15
    relu = relu_samples(w, d, 50_000, rng=3)
    value, se = cross_entropy(v * relu, log_z(v, d))
    exact = exact_kl(w, v, d) + w * mean_relu(w, d) + log_z(w, d)
    assert abs(value - exact) < 4 * se
    assert cross_entropy(v * relu, log_z(v, d), 0.3).se == pytest.approx(np.hypot(se, 0.3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0, 1.0], [0.0]), r"model_energy_values must be a vector of shape \(2,\)"),
        (([0.0], [0.0]), "true_energy_values must have at least 2 entries, but it has 1"),
        (([0.0, np.inf], [0.0, 1.0]), "true_energy_values must be finite"),
    ],
)
def test_bad_energies_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        kl_divergence(*arguments)


def test_bad_partition_functions_are_refused():
    with pytest.raises(ValueError, match="log_partition must be finite"):
        cross_entropy([0.0, 1.0], np.nan)
    with pytest.raises(ValueError, match="log_partition_se must be a nonnegative"):
        cross_entropy([0.0, 1.0], 0.0, -1.0)
