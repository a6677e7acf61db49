"""Every registered kernel, and some of other parameters, against independent calculations."""

import functools
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy

from lazyactive.theory import kernels
from lazyactive.theory.kernels import ALL_KERNELS, DeepNTK, eigenvalues, log_eigenvalues
from lazyactive.theory.sphere import legendre, log_harmonic_dimensions, mean

BIBLIOGRAPHY = (Path(__file__).parents[3] / "references.bib").read_text()
MORE = ["arc-cosine(2,gaussian)", "leaky-relu(1,1,2)", "leaky-relu(1,-1,1)", "deep-ntk(2)"]
MORE += ["deep-ntk(5)", "rbf(0.3)", "rbf(4)", "laplace(0.2)", "laplace(8)"]
MORE += ["stein(leaky-relu(1,-0.1,1))"]
KERNELS = [*ALL_KERNELS.values(), *map(kernels.get, MORE)]
CLOSED = [kernel for kernel in KERNELS if not isinstance(kernel, DeepNTK)]
DEGREES = [*range(8), 10, 11, 50, 51, 100, 101, 333, 334, 1000, 1001, 5000, 5001, 9999, 10000]

every_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
closed_kernel = pytest.mark.parametrize("kernel", CLOSED, ids=lambda kernel: kernel.name)


def number(expression):
    return mpmath.mpf(expression.evalf(50, maxn=3000))


# Other parameters of a registered kernel only in an odd and an even dimension.
@pytest.mark.parametrize(
    ("kernel", "d"),
    [
        pytest.param(kernel, d, id=f"{d}-{kernel.name}")
        for kernel in KERNELS
        for d in ((2, 3, 6, 15) if kernel in ALL_KERNELS.values() else (3, 6))
    ],
)
def test_eigenvalues_are_means_against_legendre(kernel, d):
    t = sympy.Symbol("t", real=True)
    with mpmath.workdps(30):
        # All degrees have the nodes of the quadrature in common.
        profile = functools.cache(sympy.lambdify(t, kernel.profile(t, d), "mpmath", cse=True))
        logs = log_eigenvalues(kernel, d, 7)
        for k in range(8):
            polynomial = sympy.lambdify(t, legendre(k, d, t), "mpmath")
            by_quadrature = mean(lambda u, p=polynomial: p(u) * profile(u), d)
            assert float(np.exp(logs[k])) == pytest.approx(
                float(by_quadrature), rel=1e-12, abs=1e-17
            )
            if kernel in CLOSED:
                assert abs(number(kernel.eigenvalue(k, d)) - by_quadrature) < mpmath.mpf(10) ** -18


def check_against_closed_form(kernel, d, degrees):
    with mpmath.workdps(50):
        values = eigenvalues(kernel, d, max(degrees))
        logs = log_eigenvalues(kernel, d, max(degrees))
        assert np.isfinite(values).all()
        for k in degrees:
            exact = kernel.eigenvalue(k, d)
            if exact == 0:
                assert values[k] == 0
                assert logs[k] == -np.inf
                continue
            exact = number(exact)
            if exact > 1e-300:
                assert abs(mpmath.mpf(values[k]) / exact - 1) < 1e-10
            # Where the eigenvalue underflows, its logarithm does not.
            log = mpmath.log(exact)
            assert abs(mpmath.mpf(logs[k]) - log) < 1e-12 * max(1, abs(log))


@closed_kernel
@pytest.mark.parametrize("d", [2, 3, 100])
def test_float_against_closed_form(kernel, d):
    check_against_closed_form(kernel, d, [k for k in DEGREES if k < 340])


@pytest.mark.slow
@closed_kernel
@pytest.mark.parametrize("d", [2, 3, 5, 15, 100, 1000, 10000])
def test_float_against_closed_form_to_degree_10000(kernel, d):
    check_against_closed_form(kernel, d, DEGREES)


@every_kernel
@pytest.mark.parametrize("d", [2, 3, 5])
def test_trace_up_to_the_tail(kernel, d):
    max_degree = 200 if isinstance(kernel, DeepNTK) else 4000
    logs = log_eigenvalues(kernel, d, max_degree) + log_harmonic_dimensions(d, max_degree)
    trace = float(kernel.trace(d))
    rest = trace - math.fsum(np.exp(logs))
    excess = kernel.decay_exponent(d) - d + 1
    if excess == sympy.oo:
        tail = 0.0
    else:
        # N(d, k) ~ 2 k^(d-2) / (d-2)!, and half of the degrees have either constant.
        constant = float(sum(kernel.decay_constants(d))) / math.factorial(d - 2)
        tail = constant * max_degree ** -float(excess) / float(excess)
        tail *= (1 + d / max_degree) ** (d - 2)
    assert rest == pytest.approx(tail, rel=4 * d / max_degree, abs=1e-13 * trace)


@every_kernel
@pytest.mark.parametrize("d", [2, 3, 5])
def test_asymptote(kernel, d):
    slow = isinstance(kernel, DeepNTK)
    analytic = kernel.decay_exponent(d) == sympy.oo
    degree = 300 if slow else 60 if analytic else 3000
    values = log_eigenvalues(kernel, d, degree)[-2:]
    nonzero = values > -np.inf
    if not nonzero.any():
        with pytest.raises(ValueError, match="kernel must have infinitely many eigenvalues"):
            kernel.asymptote(d)
        return
    predicted = kernel.asymptote(d)(k=[degree - 1, degree])
    assert (predicted[~nonzero] == 0).all()
    # The next term of the Gaussian kernel is z^2 / (4 k), with z = 11 at scale 0.3.
    tolerance = 1.0 if kernel.name == "rbf(0.3)" else 5e-3 if analytic else 2e-3
    assert np.exp(values[nonzero]) / predicted[nonzero] == pytest.approx(1, abs=tolerance)


@every_kernel
def test_eigenvalues_of_neighbouring_dimensions(kernel):
    # (1-t^2) P_(k,d+2) = (d-1)/(2k+d) (P_(k,d) - P_(k+2,d)), and the constant of the weight grows
    # by d/(d-1): exact whatever the profile, as long as it is the same in both dimensions.
    if kernel.profile().has(sympy.Symbol("d")):
        pytest.skip("the profile depends on d")
    d, k = 4, np.arange(7)
    lower, upper = eigenvalues(kernel, d, 8), eigenvalues(kernel, d + 2, 6)
    expected = d / (2 * k + d) * (lower[:-2] - lower[2:])
    np.testing.assert_allclose(upper, expected, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("name", [*ALL_KERNELS, *MORE])
def test_names_lead_back_to_the_kernel(name):
    assert kernels.get(name).name == name
    assert kernels.get(name).source.split(",")[0] in BIBLIOGRAPHY


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rfb(1)", r"kernel must be one of .*rbf\(1\).*, got 'rfb\(1\)'"),
        ("rbf(0)", "scale must be a positive finite number, got 0"),
        ("rbf(1,2)", "rbf does not take the parameters"),
        ("rbf(x)", "scale must be a positive finite number, got 'x'"),
        ("laplace(-1)", "rate must be a positive finite number"),
        ("arc-cosine(4)", "order must be one of 0, 1, 2, 3, got 4"),
        ("arc-cosine", "arc-cosine does not take the parameters"),
        ("arc-cosine(1,cube)", "features must be one of"),
        ("deep-ntk(1)", "depth must be an integer >= 2, got 1"),
        ("leaky-relu(0,0)", "a and b must be finite and not both 0"),
        ("stein(laplace(1))", "base must be a kernel with a finite derivative"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(ValueError, match=message):
        kernels.get(name)


@pytest.mark.parametrize(("d", "max_degree"), [(1, 3), (2.5, 3), (3, -1), (True, 1)])
def test_bad_sizes(d, max_degree):
    with pytest.raises(ValueError, match="must be an integer >="):
        eigenvalues(kernels.RBF(), d, max_degree)


def test_no_closed_form_is_said():
    with pytest.raises(NotImplementedError, match=r"deep-ntk\(2\) has no closed form: .*NTK\(\)"):
        DeepNTK(2).eigenvalue(0, 3)
