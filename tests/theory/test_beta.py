import mpmath
import numpy as np
import pytest

from lazyactive.theory._beta import log_beta, stirling_remainder

ARGUMENTS = [1e-3, 0.5, 1.0, 1.5, 9.9, 10.0, 37.5, 500.0, 5000.5, 1e6]


def test_log_beta_against_mpmath():
    a, b = np.meshgrid(ARGUMENTS, ARGUMENTS)
    values = log_beta(a, b)
    with mpmath.workdps(40):
        for index in np.ndindex(a.shape):
            exact = mpmath.log(mpmath.beta(float(a[index]), float(b[index])))
            # Absolute where the Beta function is near 1, relative elsewhere.
            assert abs(mpmath.mpf(values[index]) - exact) < 2e-15 * max(4, abs(exact))


@pytest.mark.parametrize("x", [10.0, 12.5, 100.0, 1e4])
def test_stirling_remainder(x):
    with mpmath.workdps(40):
        y = mpmath.mpf(x)
        exact = mpmath.loggamma(y) - (y - 0.5) * mpmath.log(y) + y - mpmath.log(2 * mpmath.pi) / 2
    assert float(stirling_remainder(x)) == pytest.approx(float(exact), rel=1e-13)
