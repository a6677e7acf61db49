import numpy as np
import pytest

from lazyactive.numerics import features, sphere
from lazyactive.numerics.kernels import arc_cosine
from lazyactive.theory.activations import ReLUPower

ALPHAS = (0, 1, 2, 3)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("d", [2, 3, 15])
def test_kernel_is_the_mean_product_of_features(d, alpha):
    angles = np.array([0.0, 0.4, 1.3, np.pi / 2, 2.5])
    neurons = np.zeros((5, d))
    neurons[:, 0], neurons[:, 1] = np.cos(angles), np.sin(angles)
    phi = features.feature_matrix(sphere.uniform(400_000, d, rng=0), neurons, alpha)
    products = phi * phi[:, :1]
    standard_error = products.std(axis=0) / np.sqrt(len(phi))
    # Sixty comparisons at 4.5 standard errors: false alarm 4e-4.
    error = arc_cosine(np.cos(angles), d, alpha) - products.mean(axis=0)
    assert (np.abs(error) <= 4.5 * standard_error).all()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_kernel_is_that_of_theory(alpha):
    u = np.linspace(-1, 1, 41)
    want = np.array([float(value) for value in np.ravel(ReLUPower(alpha).kernel(u, 15))])
    np.testing.assert_allclose(arc_cosine(u, 15, alpha), want, rtol=1e-10, atol=1e-15)


def test_rounding_beyond_one_is_cut():
    assert np.isfinite(arc_cosine(np.array([1 + 1e-12, -1 - 1e-12]), 3, 1)).all()
