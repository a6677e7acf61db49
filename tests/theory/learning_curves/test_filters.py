import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from lazyactive.theory.kernels import (
    ALL_KERNELS,
    NTK,
    RBF,
    ArcCosine,
    Laplace,
    LeakyReLU,
    Stein,
    eigenvalues,
    log_eigenvalues,
)
from lazyactive.theory.learning_curves import (
    Flow,
    Ridge,
    SteinRidge,
    best_strength,
    early_stopping,
    optimal_penalty,
    weak,
    weak_filtered,
    weak_filtered_planted,
    weak_planted,
)
from lazyactive.theory.sphere import legendre_values

N = np.geomspace(1e2, 1e5, 25)
ESTIMATORS = [
    *(kind(kernel) for kind in (Ridge, Flow) for kernel in (NTK(), RBF(), Laplace())),
    Flow(ArcCosine(1)),
    Ridge(LeakyReLU()),
    SteinRidge(ArcCosine(1)),
    SteinRidge(NTK(), RBF(0.3)),
    SteinRidge(RBF(), ArcCosine(1)),
    SteinRidge(ArcCosine(1), ArcCosine(1)),
]


def losses(estimator, d, n=N):
    """Per cent by which the best strength falls short of the best filter."""
    return 100 * (weak_filtered(estimator, 2, d, n) / weak(2, d, n) - 1)


@pytest.mark.parametrize("alpha", [0, 1, 2, 3])
@pytest.mark.parametrize("d", [3, 15])
@pytest.mark.parametrize("penalty", [None, 1e-3, 1e-1, 1e4])
def test_ridge_in_the_kernel_of_the_activation_is_the_lazy_fit(alpha, d, penalty):
    estimator, n = Ridge(ArcCosine(alpha)), [30, 1000]
    value = weak_filtered(estimator, 1.5, d, n, alpha, penalty)
    np.testing.assert_allclose(value, weak(1.5, d, n, alpha, penalty), rtol=1e-6)


@pytest.mark.parametrize("gram", [[[1, 0.3], [0.3, 1]], [[1, -1], [-1, 1]], [[1, 1], [1, 1]]])
@pytest.mark.parametrize("penalty", [None, 1e-3])
def test_ridge_to_several_neurons(gram, penalty):
    arguments = gram, [2.0, -3.0], 5, [100, 3000], 1, penalty
    value = weak_filtered_planted(Ridge(ArcCosine(1)), *arguments)
    np.testing.assert_allclose(value, weak_planted(*arguments), rtol=1e-6)


def test_best_penalty():
    # The minimum is flat: an error of 1e-6 in the curve is one of 1e-3 in the penalty.
    n = np.array([30, 1000])
    found = best_strength(Ridge(ArcCosine(1)), 1.7, 5, n)
    np.testing.assert_allclose(found, optimal_penalty(1.7, n), rtol=2e-3)
    # Features of another law are another unit of the penalty.
    gaussian = best_strength(Ridge(ArcCosine(1, "gaussian")), 1.7, 5, n)
    np.testing.assert_allclose(gaussian, 5 * found, rtol=2e-3)


def parts(estimator, d, max_degree, strength):
    """s_k by the formulas as they stand."""
    xi = eigenvalues(estimator.kernel, d, max_degree)
    if isinstance(estimator, Flow):
        return -np.expm1(-xi * strength)
    if isinstance(estimator, SteinRidge):
        xi = xi * eigenvalues(Stein(estimator.base), d, max_degree)
    return xi / (xi + strength)


def brute_force(
    estimator, gram, weights, d, n, strength, alpha=1, max_degree=2000, discrepancy=None
):
    k = np.arange(1.0, max_degree + 1)
    dimensions = (2 * k + d - 2) * np.exp(gammaln(k + d - 2) - gammaln(k + 1) - gammaln(d - 1.0))
    mu = eigenvalues(ArcCosine(alpha), d, max_degree)[1:]
    mean = np.array(weights) / len(weights)
    quadratic = legendre_values(gram, d, max_degree)[1:] @ mean @ mean
    s = parts(estimator, d, max_degree, strength)[1:]
    rho = 0.5 if discrepancy is None else eigenvalues(discrepancy, d, max_degree)[1:]
    return np.sum(rho * ((1 - s) ** 2 * mu * dimensions * quadratic + s**2 * dimensions / n))


@pytest.mark.parametrize("d", [3, 5, 15])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("log_strength", [-3, 2])
def test_against_the_sum_of_2000_degrees(estimator, d, log_strength):
    gram, weights, n = np.array([[1, 0.4], [0.4, 1]]), [2.0, -1.0], 300
    strength = 10.0 ** (-log_strength if isinstance(estimator, Flow) else log_strength)
    value = weak_filtered_planted(estimator, gram, weights, d, n, 1, strength)
    expected = brute_force(estimator, gram, weights, d, n, strength)
    # Beyond degree 2000, what d = 3 has of slow spectra.
    assert value == pytest.approx(expected, rel=5e-6 if d == 3 else 1e-6)


DISCREPANCIES = [
    *(Stein(base) for base in (RBF(), RBF(0.3), ArcCosine(1), ArcCosine(2))),
    RBF(),
    Laplace(),
]


@pytest.mark.parametrize("discrepancy", DISCREPANCIES, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize(("d", "log_strength"), [(2, -3), (5, -6), (15, 1)])
def test_squared_discrepancies_against_the_sum_of_2000_degrees(discrepancy, d, log_strength):
    gram, weights, n = np.array([[1, 0.4], [0.4, 1]]), [2.0, -1.0], 300
    for estimator in (Ridge(ArcCosine(1)), SteinRidge(ArcCosine(1)), Ridge(NTK())):
        arguments = estimator, gram, weights, d, n
        strength = 10.0**log_strength
        value = weak_filtered_planted(*arguments, 1, strength, discrepancy)
        expected = brute_force(*arguments, strength, discrepancy=discrepancy)
        assert value == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize("discrepancy", DISCREPANCIES[1:4], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("d", [3, 15])
def test_one_neuron_has_one_best_penalty_for_all_discrepancies(discrepancy, d):
    n, estimator = np.array([100, 10_000]), Ridge(ArcCosine(1))
    found = best_strength(estimator, 1.7, d, n, discrepancy=discrepancy)
    np.testing.assert_allclose(found, optimal_penalty(1.7, n), rtol=3e-3)
    best = weak_filtered(estimator, 1.7, d, n, discrepancy=discrepancy)
    # An estimator that is trained by a Stein discrepancy has no less of it.
    for other in (SteinRidge(ArcCosine(1), RBF()), Flow(ArcCosine(1)), Ridge(RBF())):
        trained = weak_filtered(other, 1.7, d, n, discrepancy=discrepancy)
        assert np.all(trained > best * (1 - 2e-6))


def test_a_discrepancy_that_sees_the_first_two_degrees_alone():
    blind = Stein(ArcCosine(1))
    value = weak_filtered(Ridge(ArcCosine(1)), 2, 5, 100, strength=1e9, discrepancy=blind)
    rho, mu = eigenvalues(blind, 5, 2), eigenvalues(ArcCosine(1), 5, 2)
    # Nothing is learned of the 5 + 14 harmonics of the target that are seen.
    assert value == pytest.approx(4 * (5 * rho[1] * mu[1] + 14 * rho[2] * mu[2]), rel=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize(("d", "n"), [pytest.param(5, 300, marks=pytest.mark.slow), (15, 1e4)])
def test_optimum_against_a_scan(estimator, d, n):
    # From where nothing is learned to where several degrees are.
    rates = [eigenvalues(kernel, d, 12)[1:] for kernel in estimator.kernels]
    middle = np.log(np.prod(rates, axis=0).max())
    sign = 1 if isinstance(estimator, Flow) else -1
    scan = [
        weak_filtered(estimator, 2, d, n, strength=np.exp(sign * (dose - middle)))
        for dose in np.linspace(-8, 14, 45)
    ]
    best = weak_filtered(estimator, 2, d, n)
    assert best <= min(scan) * (1 + 1e-6)
    # The scan has two points to a factor of e.
    assert best == pytest.approx(min(scan), rel=3e-2)
    strength = best_strength(estimator, 2, d, n)
    assert weak_filtered(estimator, 2, d, n, strength=strength) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("d", [5, 15])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_no_filter_beats_wiener(estimator, d):
    assert np.all(losses(estimator, d) > -1e-4)


@pytest.mark.parametrize(
    ("estimator", "n", "expected"),
    [
        (Ridge(NTK()), 1e5, 2.40),
        (Flow(ArcCosine(1)), 1e5, 3.98),
        (Flow(ArcCosine(1)), 133.352143, 5.40),
        (SteinRidge(ArcCosine(1)), 56234.13, 8.64),
        (SteinRidge(ArcCosine(1), ArcCosine(3)), 1e5, 17.72),
        # This discrepancy does not see even degrees, but the second.
        (SteinRidge(ArcCosine(1), ArcCosine(1)), 1e5, 188.07),
    ],
    ids=str,
)
def test_losses_against_the_sum_of_2000_degrees(estimator, n, expected):
    # The largest losses for d = 5 and n from 1e2 to 1e5.
    d, strength = 5, best_strength(estimator, 2, 5, n)
    least = minimize_scalar(
        lambda u: brute_force(estimator, [[1]], [2], d, n, strength * np.exp(u), max_degree=2000),
        bounds=(-1, 1),
        method="bounded",
    ).fun
    assert 100 * (least / weak(2, d, n) - 1) == pytest.approx(expected, abs=0.01)
    assert losses(estimator, d, n) == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
def test_range_of_losses():
    # Between powers of ten early stopping loses more than 4%, at most 5.4%.
    decades = slice(None, None, 8)
    for d in (5, 15):
        assert np.max(losses(Ridge(NTK()), d)) < 2.41
        assert np.max(losses(Flow(ArcCosine(1)), d)) < 5.42
        assert np.max(losses(Flow(ArcCosine(1)), d)[decades]) < 4
        for base in (RBF(0.1), RBF(50), ArcCosine(3)):
            assert np.max(losses(SteinRidge(ArcCosine(1), base), d)) < 18


def test_odd_degrees_cost_a_gaussian_kernel_a_third():
    # The target has no odd degrees above the first, whose noise RBF learns beside the even ones.
    scales = np.geomspace(0.3, 60, 14)
    best = np.min([losses(Ridge(RBF(float(s))), 5, [1e3, 1e5]) for s in scales], axis=0)
    np.testing.assert_allclose(best, [1.53, 35.44], atol=0.2)


@pytest.mark.parametrize(("d", "alpha"), [(3, 1), (5, 1), (5, 0), (5, 2), (15, 1)])
@pytest.mark.parametrize("time", [3, 300])
def test_flow_is_early_stopping_of_a_weak_energy(d, alpha, time):
    w, n = 0.01, np.array([1e4, 1e6])
    value = weak_filtered(Flow(ArcCosine(alpha)), w, d, n, alpha, time)
    np.testing.assert_allclose(value, early_stopping(w, d, n, time, alpha), rtol=1e-2)


@pytest.mark.parametrize("kind", [Ridge, Flow, SteinRidge])
@pytest.mark.parametrize("n_nodes", [12])
@pytest.mark.parametrize("log_dose", [2, 6])
def test_bias_against_operators_on_a_grid(kind, log_dose, n_nodes):
    # Without harmonics: in the limit of much data the fit leaves of the target f what remains of
    # it after a function of the kernel's integral operator, here a matrix on a grid of S^2 (Gauss
    # in height, equidistant in azimuth). The target's kink is integrated with an error of third
    # order in the distance of the nodes; eigenvalues of an analytic kernel have none.
    alpha, d = 2, 3
    gram, weights = np.array([[1.0, 0.3], [0.3, 1.0]]), np.array([2.0, -3.0])
    z, z_weights = np.polynomial.legendre.leggauss(n_nodes)
    phi = np.arange(2 * n_nodes) * np.pi / n_nodes
    radius = np.sqrt(1 - z**2)
    coordinates = [
        np.outer(radius, np.cos(phi)),
        np.outer(radius, np.sin(phi)),
        np.outer(z, np.ones_like(phi)),
    ]
    x = np.stack(coordinates, axis=-1).reshape(-1, 3)
    root = np.sqrt(np.repeat(z_weights / 2, len(phi)) / len(phi))
    directions = np.array([[1, 0, 0], [0.3, np.sqrt(1 - 0.09), 0]])
    target = root * (np.maximum(x @ directions.T, 0) ** alpha @ weights / 2)
    u = np.clip(x @ x.T, -1, 1)
    operator = root[:, None] * np.exp(u - 1) * root
    if kind is SteinRidge:
        # The profile of Stein(RBF(1)) in dimension 3, all of whose derivatives are itself.
        stein = (4 * u + 2 - (1 - u**2) * (5 + u)) * np.exp(u - 1)
        operator = operator @ (root[:, None] * stein * root)
        operator = (operator + operator.T) / 2
    rates, vectors = np.linalg.eigh(operator)
    x_k = np.exp(log_dose) * np.maximum(rates, 0)
    left = np.exp(-x_k) if kind is Flow else 1 / (1 + x_k)
    residual = vectors @ (left * (vectors.T @ target))
    residual -= root * (root @ residual)
    strength = np.exp(log_dose if kind is Flow else -log_dose)
    bias = weak_filtered_planted(kind(RBF()), gram, weights, d, 1e15, alpha, strength)
    assert bias == pytest.approx(residual @ residual / 2, abs=0.03 * n_nodes**-3)


def test_learning_nothing():
    # Weak penalties of kernels that see none of the target: half its variance is left.
    half_variance = weak(2, 5, 100, penalty=1e14)
    odd = LeakyReLU(1, -1, 3)
    for estimator in (Ridge(NTK()), Ridge(RBF()), SteinRidge(ArcCosine(1))):
        value = weak_filtered(estimator, 2, 5, 100, strength=1e14)
        assert value == pytest.approx(half_variance, rel=1e-6)
    assert weak_filtered(Flow(odd), 2, 5, 1e3, strength=1e-14) == pytest.approx(half_variance)


@pytest.mark.parametrize("n", [10, 1e5, 1e10])
def test_kernel_with_a_single_degree(n):
    # sigma(t) - sigma(-t) = t: one degree, learned by Wiener's filter, and the others are left.
    d, w = 5, 2.0
    signal = w**2 / (4 * d)
    wiener = signal * d / n / (signal + d / n) / 2
    left = weak_filtered(Ridge(LeakyReLU(1, -1, 1)), w, d, 1e30, strength=1e-20)
    value = weak_filtered(Ridge(LeakyReLU(1, -1, 1)), w, d, n)
    assert value == pytest.approx(left + wiener, rel=1e-6)


def test_target_outside_the_kernel():
    # An even target and an odd kernel: nothing is learned.
    gram, weights = [[1, -1], [-1, 1]], [3.0, 3.0]
    value = weak_filtered_planted(Ridge(LeakyReLU(1, -1, 1)), gram, weights, 5, [10, 1000])
    nothing = weak_planted(gram, weights, 5, 10, penalty=1e14)
    np.testing.assert_allclose(value, nothing, rtol=1e-6)


def test_no_signal():
    for estimator in ESTIMATORS:
        assert weak_filtered(estimator, 0, 5, [10, 100]).tolist() == [0, 0]
    assert weak_filtered_planted(Ridge(NTK()), np.ones((2, 2)), [3, -3], 5, 100) == 0
    assert best_strength(Ridge(NTK()), 0, 5, 10) == np.inf
    assert best_strength(Flow(NTK()), 0, 5, 10) == 0
    noise = weak_filtered(Ridge(NTK()), 0, 5, 10, strength=1e-2)
    assert noise == pytest.approx(brute_force(Ridge(NTK()), [[1]], [0], 5, 10, 1e-2), rel=1e-6)


def test_high_dimension_does_not_overflow():
    # Degree 64 has more than 10^300 harmonics of d = 10^8; degree 1 alone is learned at n = d.
    d = 10**8
    for estimator in (Ridge(NTK()), Flow(ArcCosine(1)), Ridge(RBF())):
        value = weak_filtered(estimator, 2, d, d)
        assert value == pytest.approx(weak(2, d, d), rel=1e-6)


@pytest.mark.parametrize("kernel", ALL_KERNELS.values(), ids=lambda kernel: kernel.name)
def test_every_kernel(kernel):
    # The deep kernel takes a second for every 256 degrees.
    d, n = 8, 1000
    for estimator in (Ridge(kernel), Flow(kernel)):
        assert 1 - 1e-6 < weak_filtered(estimator, 2, d, n) / weak(2, d, n) < 3


def test_narrow_stein_spectra_rise_beyond_the_first_table():
    estimator, d, n = SteinRidge(ArcCosine(1), RBF(0.01)), 3, 1e4
    assert np.argmax(log_eigenvalues(Stein(RBF(0.01)), d, 64)) == 64
    value = weak_filtered(estimator, 2, d, n, strength=1e-9)
    assert value == pytest.approx(brute_force(estimator, [[1]], [2], d, n, 1e-9), rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: weak_filtered("ntk", 1, 3, 10), "estimator must be a filter"),
        (lambda: Ridge("ntk"), r"kernel must be a Kernel, such as NTK\(\), got 'ntk'"),
        (lambda: SteinRidge(NTK(), 1), "base must be a Kernel"),
        (
            lambda: weak_filtered(Ridge(NTK()), 1, 3, 10, discrepancy="ksd"),
            r"discrepancy must be a Kernel, such as Stein\(RBF\(\)\), got 'ksd'",
        ),
        (lambda: SteinRidge(NTK(), Laplace()), "base must be a kernel with a finite derivative"),
        (lambda: weak_filtered(Ridge(NTK()), 1, 3, 0), "n must be positive and finite, got 0"),
        (lambda: weak_filtered(Ridge(NTK()), 1, 1, 10), "d must be an integer >= 2, got 1"),
        (
            lambda: weak_filtered(Ridge(NTK()), 1, 3, 10, strength=0),
            "strength must be a positive finite number, got 0",
        ),
        (
            lambda: weak_filtered(Flow(NTK()), 1, 2, 10, strength=1e9),
            "n must be small enough for 65536",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
