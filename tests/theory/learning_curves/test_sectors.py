import mpmath
import numpy as np
import pytest

from lazyactive.theory.learning_curves._sectors import axis_rule, multiplicity, sector
from lazyactive.theory.sphere import harmonic_dimension, legendre_values


@pytest.mark.parametrize(
    ("d", "max_degree"), [(2, 3), (2, 60), (3, 60), (5, 200), (15, 12), (300, 8)]
)
def test_orthonormal(d, max_degree):
    t, probability = axis_rule(d, 5.0, max_degree)
    for ell in sorted({0, 1, 2, max_degree // 2, max_degree}):
        values = sector(t, d, ell, max_degree)
        gram = (values * probability) @ values.T
        np.testing.assert_allclose(gram, np.eye(len(values)), atol=1e-12 * max_degree)


@pytest.mark.parametrize("d", [2, 3, 15])
def test_zonal_sector_is_legendre(d):
    t = np.linspace(-1, 1, 9)
    dimensions = [harmonic_dimension(d, k) for k in range(11)]
    expected = np.sqrt(dimensions)[:, None] * legendre_values(t, d, 10)
    np.testing.assert_allclose(sector(t, d, 0, 10), expected, atol=1e-11)


@pytest.mark.parametrize("d", [2, 3, 4, 15])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_dimensions_add_up(d, k):
    assert sum(multiplicity(d, ell) for ell in range(k + 1)) == harmonic_dimension(d, k)


@pytest.mark.parametrize("d", [2, 3, 15])
@pytest.mark.parametrize("k", [1, 2, 6])
def test_addition_theorem(d, k):
    # The sum of squares over a basis of degree k is N(d, k) at every point. The harmonics of
    # S^{d-2} of degree l have sum of squares N(d - 1, l).
    t = np.array([-0.9, -0.3, 0.2, 0.7])
    total = sum(multiplicity(d, ell) * sector(t, d, ell, k)[k - ell] ** 2 for ell in range(k + 1))
    np.testing.assert_allclose(total, harmonic_dimension(d, k), rtol=1e-12)


@pytest.mark.parametrize("d", [2, 3, 15])
def test_rule_integrates_across_the_kink(d):
    t, probability = axis_rule(d, 10.0, 20)
    with mpmath.workdps(30):
        half = mpmath.mpf(d) / 2
        constant = mpmath.gammaprod([half], [mpmath.mpf(1) / 2, half - mpmath.mpf(1) / 2])
        # The half sphere with the energy, and the other without.
        expected = (
            constant
            * mpmath.quad(
                lambda phi: mpmath.exp(-10 * mpmath.cos(phi)) * mpmath.sin(phi) ** (d - 2),
                [0, mpmath.pi / 2],
            )
            + mpmath.mpf(1) / 2
        )
    value = probability @ np.exp(-10 * np.maximum(t, 0))
    assert value == pytest.approx(float(expected), rel=1e-13)
