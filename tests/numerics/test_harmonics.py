import itertools

import mpmath
import numba
import numpy as np
import pytest
from scipy.special import eval_chebyt, eval_gegenbauer, roots_gegenbauer, sph_harm_y

from lazyactive.numerics import harmonics, sphere
from lazyactive.theory.activations import ReLUPower

DIMENSIONS = (2, 3, 5, 15, 100, 1000, 10_000)
POINTS = np.array([0.0, 1e-3, 0.5, -0.3, 0.99, -0.9999, 1 - 1e-8, -1 + 1e-12, 1.0, -1.0])


def exact_legendre(k, d, t):
    """P_{k,d}(t) as a hypergeometric polynomial, at 30 digits."""
    half = mpmath.mpf(d - 1) / 2
    return mpmath.hyp2f1(-k, k + d - 2, half, (1 - t) / 2, maxprec=10**5, zeroprec=3000)


def legendre_and_amplitude(k, d, t):
    """P_k and the amplitude sqrt(P_k^2 + (1-t^2) P_k'^2 / (k(k+d-2))) of its oscillation."""
    value = exact_legendre(k, d, t)
    slope = mpmath.mpf(k * (k + d - 2)) / (d - 1) * exact_legendre(k - 1, d + 2, t)
    return value, mpmath.sqrt(value**2 + (1 - t * t) * slope**2 / (k * (k + d - 2)))


def assert_close_to_exact(points, d, degrees):
    table = harmonics.legendre(points, d, max(degrees))
    with mpmath.workdps(30):
        for k, (i, t) in itertools.product(degrees, enumerate(points)):
            want, amplitude = legendre_and_amplitude(k, d, mpmath.mpf(float(t)))
            error = float(abs(table[k, i] - want) / max(amplitude, mpmath.mpf("1e-290")))
            # The plain recurrence is off by 2e4 rounding units at d = 2, k = 1000, t = -1 + 1e-12.
            assert error <= np.finfo(float).eps * (k + 2 * np.sqrt(d)), (k, t)


def quadrature(d, degree):
    """Nodes (n, d) and weights that integrate degree 2 `degree` exactly against tau."""
    if d == 2:
        angle = 2 * np.pi * (np.arange(2 * degree + 1) + 0.1) / (2 * degree + 1)
        nodes = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return nodes, np.full(len(nodes), 1 / len(nodes))
    lower, lower_weights = quadrature(d - 1, degree)
    t, weights = roots_gegenbauer(degree + 1, (d - 2) / 2)
    nodes = np.concatenate(
        [np.sqrt(1 - s * s) * np.c_[lower, np.full(len(lower), s / np.sqrt(1 - s * s))] for s in t]
    )
    return nodes, np.outer(weights / weights.sum(), lower_weights).ravel()


# ---- Legendre polynomials


@pytest.mark.parametrize("d", DIMENSIONS)
def test_legendre_is_the_hypergeometric_polynomial(d):
    assert_close_to_exact(POINTS, d, (1, 2, 3, 10, 101, 1000))


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 3, 1000])
def test_legendre_at_degree_ten_thousand(d):
    assert_close_to_exact(np.array([-0.3, 0.9999]), d, (10_000,))


@pytest.mark.parametrize("d", [2, 3, 5, 15, 100])
def test_legendre_is_that_of_scipy(d):
    t = np.random.default_rng(0).uniform(-1, 1, 1000)
    got = harmonics.legendre(t, d, 20)
    for k in range(21):
        if d == 2:
            want = eval_chebyt(k, t)
        else:
            want = eval_gegenbauer(k, d / 2 - 1, t) / eval_gegenbauer(k, d / 2 - 1, 1.0)
        np.testing.assert_allclose(got[k], want, rtol=0, atol=1e-13)


def test_legendre_in_two_dimensions_is_the_cosine_of_a_multiple():
    angle = np.linspace(0, np.pi, 101)
    k = np.arange(51)[:, None]
    # Rounding the cosine moves the k-th polynomial by up to k^2 units.
    np.testing.assert_allclose(
        harmonics.legendre(np.cos(angle), 2, 50), np.cos(k * angle), rtol=0, atol=3e-13
    )


@pytest.mark.parametrize("d", DIMENSIONS)
def test_legendre_at_the_ends_and_the_parity_are_exact(d):
    t = np.random.default_rng(1).uniform(-1, 1, 77)
    signs = (-1.0) ** np.arange(301)
    table = harmonics.legendre(t, d, 300)
    np.testing.assert_array_equal(harmonics.legendre(-t, d, 300), signs[:, None] * table)
    np.testing.assert_array_equal(harmonics.legendre(1.0, d, 300), 1.0)
    np.testing.assert_array_equal(harmonics.legendre(-1.0, d, 300), signs)
    assert not harmonics.legendre(0.0, d, 300)[1::2].any()
    np.testing.assert_array_equal(table[0], 1.0)
    np.testing.assert_array_equal(table[1], t)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (257,), (3, 4, 50)])
@pytest.mark.parametrize("max_degree", [0, 1, 2, 7])
def test_legendre_keeps_the_shape(shape, max_degree):
    t = np.random.default_rng(2).uniform(-1, 1, shape)
    got = harmonics.legendre(t, 5, max_degree)
    assert got.shape == (max_degree + 1, *shape)
    assert got.dtype == np.float64
    flat = harmonics.legendre(np.ravel(t), 5, max_degree)
    np.testing.assert_array_equal(got.reshape(max_degree + 1, -1), flat)


def test_legendre_of_a_strided_single_precision_array_is_computed_in_double():
    t = np.linspace(-1, 1, 12, dtype=np.float32)[::2]
    got = harmonics.legendre(t, 3, 4)
    np.testing.assert_array_equal(got, harmonics.legendre(t.astype(np.float64), 3, 4))


@pytest.mark.parametrize(
    ("t", "d", "max_degree", "message"),
    [
        (1 + 1e-15, 3, 2, r"t must lie in \[-1, 1\]"),
        ([0.0, -1.5], 3, 2, r"t must lie in \[-1, 1\], but it contains .*-1.5"),
        (np.nan, 3, 2, "t must be finite"),
        ("half", 3, 2, "t must be a rectangular array of real numbers"),
        (0.5, 1, 2, "d must be an integer >= 2"),
        (0.5, 3, -1, "max_degree must be an integer >= 0"),
    ],
)
def test_legendre_refuses_bad_input(t, d, max_degree, message):
    with pytest.raises(ValueError, match=message):
        harmonics.legendre(t, d, max_degree)


def test_same_bits_with_one_thread_and_with_two():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two threads")
    t = np.random.default_rng(3).uniform(-1, 1, 10_000)
    X = sphere.uniform(700, 4, rng=3)
    f = X[:, 0] ** 3 - X[:, 1]
    before = numba.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2):
            numba.set_num_threads(n_threads)
            norms, components = harmonics.project(X, f, 9), harmonics.project_at(X, X, f, 3)
            results.append((harmonics.legendre(t, 4, 30), *norms, *components))
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


# ---- Dimensions


def test_dimension():
    # Known values, then the dimension of homogeneous polynomials modulo |x|^2 times lower ones.
    assert [harmonics.dimension(*pair) for pair in [(3, 10), (5, 7), (15, 3)]] == [21, 204, 665]
    assert [harmonics.dimension(10, k) for k in range(3)] == [1, 10, 54]
    for d in (2, 3, 8):
        for k in range(6):
            exponents = itertools.combinations_with_replacement(range(d), k)
            total = sum(harmonics.dimension(d, k - 2 * i) for i in range(k // 2 + 1))
            assert total == sum(1 for _ in exponents)
    assert isinstance(harmonics.dimension(1000, 500), int)


@pytest.mark.parametrize(("d", "degree"), [(1, 2), (3, -1), (3, 1.5)])
def test_dimension_refuses_bad_input(d, degree):
    with pytest.raises(ValueError, match="must be an integer"):
        harmonics.dimension(d, degree)


# ---- Projections


def all_pairs(X, f, degree):
    """Matrix h_ij = N f_i f_j P_k(<x_i, x_j>)."""
    d = X.shape[1]
    cosines = np.clip(X @ X.T, -1, 1)
    P = harmonics.legendre(cosines, d, degree)[degree]
    return harmonics.dimension(d, degree) * np.outer(f, f) * P


@pytest.mark.parametrize("n", [4, 9])
def test_norms_and_their_errors_are_those_of_enumerated_indices(n):
    X = sphere.uniform(n, 3, rng=4)
    # A large mean makes the first variance component positive in some degrees, not in others.
    f = np.exp(X[:, 0]) + X[:, 1]
    got = harmonics.project(X, f, 4)
    for k in range(5):
        h = all_pairs(X, f, k)
        pairs = list(itertools.permutations(range(n), 2))
        triples = list(itertools.permutations(range(n), 3))
        quadruples = list(itertools.permutations(range(n), 4))
        squared_mean = np.mean([h[i, j] * h[p, q] for i, j, p, q in quadruples])
        zeta_1 = np.mean([h[i, j] * h[i, p] for i, j, p in triples]) - squared_mean
        zeta_2 = np.mean([h[i, j] ** 2 for i, j in pairs]) - squared_mean
        variance = 2 / (n * (n - 1)) * (2 * (n - 2) * max(zeta_1, 0) + max(zeta_2, 0))
        np.testing.assert_allclose(
            got.values[k], np.mean([h[i, j] for i, j in pairs]), rtol=1e-11, atol=1e-13
        )
        np.testing.assert_allclose(got.standard_errors[k], np.sqrt(variance), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [255, 256, 257, 600])
def test_norms_leave_out_the_diagonal_of_every_tile(n):
    X = sphere.uniform(n, 6, rng=5)
    f = np.random.default_rng(5).standard_normal(n) + X[:, 0]
    got = harmonics.project(X, f, 5)
    for k in range(6):
        h = all_pairs(X, f, k)
        np.fill_diagonal(h, 0.0)
        want = h.sum() / (n * (n - 1))
        np.testing.assert_allclose(got.values[k], want, rtol=1e-9, atol=1e-9 * np.abs(h).mean())


@pytest.fixture(scope="module")
def repeated_norms():
    d, n, max_degree, n_repeats = 5, 1500, 5, 500
    lam = ReLUPower(1).coefficients(d, max_degree)
    truth = np.array([harmonics.dimension(d, k) for k in range(max_degree + 1)]) * lam**2
    runs = []
    for repeat in range(n_repeats):
        X = sphere.uniform(n, d, rng=[6, repeat])
        runs.append(harmonics.project(X, np.maximum(X[:, 2], 0), max_degree))
    values, errors = (np.array(column) for column in zip(*runs, strict=True))
    return truth, values, errors


def test_norms_are_unbiased(repeated_norms):
    truth, values, _ = repeated_norms
    z = (values.mean(axis=0) - truth) / (values.std(axis=0, ddof=1) / np.sqrt(len(values)))
    # Six comparisons at 4.5 standard errors: false alarm 4e-5.
    assert (np.abs(z) <= 4.5).all()


def test_standard_errors_of_norms_have_the_right_size(repeated_norms):
    truth, values, errors = repeated_norms
    spread = values.std(axis=0, ddof=1)
    ratio = np.sqrt((errors**2).mean(axis=0)) / spread
    # The spread of 500 nearly normal values is known to 3.2%: false alarm 4e-5 at 4.1 deviations.
    assert (np.abs(ratio[:3] - 1) <= 0.13).all()
    # Where the component is absent or weak, cutting the first variance component at zero adds to
    # the error. The first component alone would give 0.44 to 0.67, the jackknife 1.4 at 3 and 5.
    assert ((ratio[3:] >= 0.87) & (ratio[3:] <= 1.32)).all()
    assert truth[3] == truth[5] == 0


def test_intervals_of_norms_cover(repeated_norms):
    truth, values, errors = repeated_norms
    covered = (np.abs(values - truth) <= 1.96 * errors).mean(axis=0)
    # A share of 95% in 500 has a standard deviation of 1%: false alarm 2e-5 at 4.5 of them.
    assert ((covered[:2] >= 0.906) & (covered[:2] <= 0.994)).all()
    # Degrees that are absent: the error is on the large side.
    assert (covered[[3, 5]] >= 0.95).all()


def test_norms_of_a_constant_have_no_error_in_degree_zero():
    got = harmonics.project(sphere.uniform(300, 7, rng=7), np.full(300, 3.0), 0)
    np.testing.assert_allclose(got.values, [9.0], rtol=1e-13)
    np.testing.assert_allclose(got.standard_errors, [0.0], atol=1e-6)


def test_norms_do_not_see_rounding_of_the_points():
    X = sphere.uniform(200, 3, rng=8)
    f = np.maximum(X[:, 0], 0)
    stretched = harmonics.project(X * (1 + 5e-7), f, 400)
    np.testing.assert_allclose(stretched, harmonics.project(X, f, 400), rtol=1e-8, atol=1e-9)


def test_component_at_points():
    d, n = 4, 20_000
    pole = np.array([0.6, 0.0, -0.8, 0.0])
    lam = ReLUPower(1).coefficients(d, 4)
    points = np.concatenate([sphere.uniform(20, d, rng=9), pole[None]])
    X = sphere.uniform(n, d, rng=10)
    f = np.maximum(X @ pole, 0)
    P = harmonics.legendre(np.clip(points @ pole, -1, 1), d, 4)
    for degree in range(5):
        want = harmonics.dimension(d, degree) * lam[degree] * P[degree]
        values, errors = harmonics.project_at(points, X, f, degree)
        # 105 comparisons, correlated within a degree, at 4.5 standard errors: false alarm 7e-4.
        assert (np.abs(values - want) <= 4.5 * errors).all()
        terms = (
            harmonics.dimension(d, degree)
            * f
            * harmonics.legendre(np.clip(points @ X.T, -1, 1), d, degree)[degree]
        )
        np.testing.assert_allclose(values, terms.mean(axis=1), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(errors, terms.std(axis=1, ddof=1) / np.sqrt(n), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: harmonics.project(2 * X, X[:, 0], 3), "X must lie on the unit sphere"),
        (lambda X: harmonics.project(X, X[:-1, 0], 3), r"values must be a vector of shape \(9,\)"),
        (lambda X: harmonics.project(X[:3], X[:3, 0], 3), "X must have at least 4 rows"),
        (lambda X: harmonics.project(X, X[:, 0] / 0, 3), "values must be finite"),
        (lambda X: harmonics.project(X, X[:, 0], -1), "max_degree must be an integer >= 0"),
        (lambda X: harmonics.project_at(X[:, :2], X, X[:, 0], 1), "points must lie on the unit"),
        (
            lambda X: harmonics.project_at(np.eye(4), X, X[:, 0], 1),
            "points must have 3 columns as X has",
        ),
        (lambda X: harmonics.project_at(X, X, X[:, 0], -1), "degree must be an integer >= 0"),
        (lambda X: harmonics.basis(X, -1), "degree must be an integer >= 0"),
        (lambda X: harmonics.basis(2 * X, 1), "X must lie on the unit sphere"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_projections_and_bases_refuse_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(sphere.uniform(9, 3, rng=0))


def test_projection_refuses_more_harmonics_than_a_float_can_count():
    with pytest.raises(ValueError, match="within float64, but it is 500 in dimension 10000"):
        harmonics.project_at(
            sphere.uniform(1, 10_000, 0), sphere.uniform(2, 10_000, 1), [1, 1], 500
        )


# ---- Bases


@pytest.mark.parametrize(
    ("d", "max_degree"),
    [(2, 12), (3, 12), (4, 8), (5, 6), (6, 5), (7, 4), (8, 4), (20, 2), (60, 2)],
)
def test_basis_obeys_the_addition_theorem(d, max_degree):
    X = sphere.uniform(12, d, rng=11)
    # Poles and equators, where the radius of the leading coordinates vanishes.
    X = np.concatenate([X, np.eye(d)[:3], -np.eye(d)[-2:]])
    P = harmonics.legendre(np.clip(X @ X.T, -1, 1), d, max_degree)
    for degree in range(max_degree + 1):
        Y = harmonics.basis(X, degree)
        n_harmonics = harmonics.dimension(d, degree)
        assert Y.shape == (len(X), n_harmonics)
        np.testing.assert_allclose(
            Y @ Y.T, n_harmonics * P[degree], rtol=0, atol=1e-13 * n_harmonics
        )


@pytest.mark.parametrize(("d", "max_degree"), [(2, 6), (3, 6), (4, 4), (5, 3), (6, 2)])
def test_basis_is_orthonormal_within_and_across_degrees(d, max_degree):
    nodes, weights = quadrature(d, max_degree)
    Y = np.concatenate([harmonics.basis(nodes, k) for k in range(max_degree + 1)], axis=1)
    gram = (Y * weights[:, None]).T @ Y
    np.testing.assert_allclose(gram, np.eye(Y.shape[1]), rtol=0, atol=1e-12)


def test_basis_in_two_dimensions_is_that_of_fourier():
    angle = np.linspace(-3, 3, 50)
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_array_equal(harmonics.basis(X, 0), 1.0)
    for k in range(1, 20):
        want = np.sqrt(2) * np.stack([np.cos(k * angle), np.sin(k * angle)], axis=1)
        np.testing.assert_allclose(harmonics.basis(X, k), want, rtol=0, atol=1e-13)


def assert_same_space(Y, other, atol):
    """The columns span the same space, and an orthogonal matrix takes one set to the other."""
    Q, *_ = np.linalg.lstsq(Y, other, rcond=None)
    np.testing.assert_allclose(Y @ Q, other, rtol=0, atol=atol)
    np.testing.assert_allclose(Q @ Q.T, np.eye(Y.shape[1]), rtol=0, atol=atol)


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 15])
def test_basis_in_three_dimensions_is_that_of_scipy(degree):
    X = sphere.uniform(3 * degree + 20, 3, rng=12)
    polar, azimuth = np.arccos(X[:, 2]), np.arctan2(X[:, 1], X[:, 0])
    columns = [sph_harm_y(degree, 0, polar, azimuth).real]
    for order in range(1, degree + 1):
        Y = np.sqrt(2) * sph_harm_y(degree, order, polar, azimuth)
        columns += [Y.real, Y.imag]
    # SciPy's are orthonormal for the surface measure, 4 pi tau.
    want = np.sqrt(4 * np.pi) * np.stack(columns, axis=1)
    assert_same_space(harmonics.basis(X, degree), want, atol=1e-11)


@pytest.mark.parametrize(("d", "max_degree"), [(3, 6), (4, 5), (5, 4), (8, 3), (12, 2), (20, 2)])
def test_basis_is_that_of_spherical_harmonics_basis(d, max_degree):
    peer = pytest.importorskip("spherical_harmonics")
    X = sphere.uniform(2 * harmonics.dimension(d, max_degree) + 10, d, rng=13)
    for degree in range(max_degree + 1):
        want = np.asarray(peer.SphericalHarmonics(d, [degree])(X))
        assert_same_space(harmonics.basis(X, degree), want, atol=1e-10)
        few = X[:20]
        P = harmonics.legendre(np.clip(few @ few.T, -1, 1), d, degree)[degree]
        n_harmonics = harmonics.dimension(d, degree)
        np.testing.assert_allclose(
            want[:20] @ want[:20].T, n_harmonics * P, rtol=0, atol=1e-11 * n_harmonics
        )


def test_basis_refuses_more_entries_than_memory_holds():
    with pytest.raises(ValueError, match="degree must leave at most 200000000 entries, but it is"):
        harmonics.basis(sphere.uniform(10, 100, rng=0), 9)
