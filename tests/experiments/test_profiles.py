"""Every registered kernel: the integral of the measured profile against the exact eigenvalue."""

import numpy as np
import pytest

from lazyactive.experiments.profiles import measured_profile
from lazyactive.numerics import spectra
from lazyactive.theory import kernels
from lazyactive.theory.kernels import ALL_KERNELS, eigenvalues

DIMENSIONS = (2, 3, 4, 5, 7, 10, 15, 25, 50, 100)


@pytest.mark.parametrize("name", ALL_KERNELS)
def test_quadrature_is_within_its_error(name):
    kernel = ALL_KERNELS[name]
    inside = []
    for d in DIMENSIONS:
        values, errors = spectra.eigenvalues(measured_profile(kernel, d), d, 100)
        exact = eigenvalues(kernel, d, 100)
        # The exact values are rounded too, to about 1e-14.
        inside.append(np.abs(values - exact) <= errors + 2e-14 * exact)
        # An error bound that is never wrong because it is huge would be of no use.
        assert errors.max() <= 1e-14 * float(kernel.trace(d))
    assert np.mean(inside) >= 0.99


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is float64 here")
def test_smooth_kernels_to_1e_8(scale):
    for d in DIMENSIONS:
        values, _ = spectra.eigenvalues(measured_profile(kernels.RBF(scale), d), d, 100)
        exact = eigenvalues(kernels.RBF(scale), d, 100)
        large = exact > 1e-12
        np.testing.assert_allclose(values[large], exact[large], rtol=1e-8)


def test_a_kernel_that_can_not_be_measured_is_refused():
    with pytest.raises(ValueError, match="kernel must be one that numerics can measure"):
        measured_profile(kernels.get("stein(arc-cosine(1))"), 3)
