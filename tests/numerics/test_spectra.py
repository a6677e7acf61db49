from functools import lru_cache

import mpmath as mp
import numpy as np
import pytest

from lazyactive.numerics import kernels, spectra, sphere
from lazyactive.numerics.harmonics import legendre

MAX_DEGREE = 100
SMOOTH_SCALES = (0.3, 0.5, 1.0, 2.0)
EXTENDED = np.finfo(np.longdouble).eps < 1e-18


# Exact eigenvalues with mpmath: none of the package's formulas is used here.


def funk_hecke(alpha, d, k):
    half = mp.mpf(1) / 2
    scale = mp.gamma(d * half) * mp.gamma(alpha + 1) * half ** (alpha + 1)
    return scale * mp.rgamma(1 + (alpha - k) * half) * mp.rgamma((d + alpha + k) * half)


def times_t(coefficients, d):
    """Eigenvalues of t kappa(t), by t P_k = ((k+d-2) P_{k+1} + k P_{k-1}) / (2k+d-2)."""
    out = [coefficients[1]]
    for k in range(1, len(coefficients) - 1):
        out.append(
            ((k + d - 2) * coefficients[k + 1] + k * coefficients[k - 1]) / mp.mpf(2 * k + d - 2)
        )
    return out


def exact_arc_cosine(alpha):
    return lambda d: [funk_hecke(alpha, d, k) ** 2 for k in range(MAX_DEGREE + 1)]


def exact_leaky(a, b):
    a, b = mp.mpf(a), mp.mpf(b)
    return lambda d: [
        ((a + (-1) ** k * b) * funk_hecke(1, d, k)) ** 2 for k in range(MAX_DEGREE + 1)
    ]


def exact_tangent(d):
    step = [2 * funk_hecke(0, d, k) ** 2 for k in range(MAX_DEGREE + 2)]
    return [m + 2 * d * funk_hecke(1, d, k) ** 2 for k, m in enumerate(times_t(step, d))]


@lru_cache
def exact_rbf(scale, d, n=MAX_DEGREE + 1):
    z, nu = 1 / mp.mpf(scale) ** 2, mp.mpf(d) / 2 - 1
    front = mp.exp(-z) * (2 / z) ** nu * mp.gamma(nu + 1)
    return [front * mp.besseli(k + nu, z) for k in range(n)]


def exact_stein_rbf(d):
    """(d-1)^2 t + (d-1) z - (1-t^2) ((2d-1) z + t z^2), times the RBF with z = 1."""
    powers = [exact_rbf(1.0, d, MAX_DEGREE + 4)]
    for _ in range(3):
        powers.append(times_t(powers[-1], d))
    p0, p1, p2, p3 = (p[: MAX_DEGREE + 1] for p in powers)
    return [
        (d - 1) ** 2 * b + (d - 1) * a - (2 * d - 1) * (a - c) - (b - e)
        for a, b, c, e in zip(p0, p1, p2, p3, strict=True)
    ]


def power_at_one(d, nu, k):
    """Eigenvalue of (1 - t)^nu."""
    front = mp.gamma(mp.mpf(d) / 2) * mp.mpf(2) ** (nu + d - 2) / mp.sqrt(mp.pi)
    return front * mp.gamma(nu + mp.mpf(d - 1) / 2) * mp.rf(-nu, k) * mp.rgamma(nu + k + d - 1)


def exact_laplace(rate):
    """Series of exp(-c sqrt(2 (1 - t))) in powers of sqrt(1 - t), odd and even apart."""

    def at_degree(d, k):
        c2, c = mp.mpf(rate) ** 2, -mp.mpf(rate) * mp.sqrt(2)
        half = mp.mpf(1) / 2
        odd = c * power_at_one(d, half, k) * mp.hyp1f2(d * half, 3 * half - k, k + d - half, c2)
        even = c ** (2 * k) / mp.factorial(2 * k) * power_at_one(d, mp.mpf(k), k)
        return odd + even * mp.hyp1f2(k + (d - 1) * half, k + half, 2 * k + d - 1, c2)

    return lambda d: [at_degree(d, k) for k in range(MAX_DEGREE + 1)]


@lru_cache
def angular_nodes():
    """Gauss-Legendre nodes on six panels of [0, pi], in mpmath."""
    n, nodes = 50, []
    for guess in np.polynomial.legendre.leggauss(n)[0]:
        x = mp.mpf(float(guess))
        for _ in range(3):
            p0, p1 = mp.mpf(1), x
            for k in range(1, n):
                p0, p1 = p1, ((2 * k + 1) * x * p1 - k * p0) / (k + 1)
            slope = n * (p0 - x * p1) / (1 - x * x)
            weight, x = 2 / ((1 - x * x) * slope**2), x - p1 / slope
        nodes.append((x, weight))
    width = mp.pi / 12
    return [((2 * panel + 1 + x) * width, w * width) for panel in range(6) for x, w in nodes]


def exact_deep_tangent(depth):
    """Quadrature in the angle, where the deep tangent kernel is analytic."""

    def value(u):
        covariance = tangent = u
        for _ in range(depth - 1):
            rest = mp.acos(-covariance) / mp.pi
            covariance = mp.sqrt(1 - covariance**2) / mp.pi + rest * covariance
            tangent = tangent * rest + covariance
        return tangent

    def all_degrees(d):
        totals = [mp.mpf(0)] * (MAX_DEGREE + 1)
        mass = mp.mpf(0)
        for angle, weight in angular_nodes():
            t = mp.cos(angle)
            weight *= mp.sin(angle) ** (d - 2)
            mass += weight
            weight *= value(t)
            before, p = mp.mpf(0), mp.mpf(1)
            for k in range(MAX_DEGREE + 1):
                totals[k] += weight * p
                factor = max(k + d - 2, 1)
                before, p = p, (max(2 * k + d - 2, 1) * t * p - k * before) / factor
        return [total / mass for total in totals]

    return all_degrees


CASES = {
    **{
        f"arc-cosine({a})": (lambda u, d, a=a: kernels.arc_cosine(u, d, a), exact_arc_cosine(a))
        for a in range(4)
    },
    "leaky": (lambda u, d: kernels.leaky_relu(u, d, 1.0, -0.1), exact_leaky(1.0, -0.1)),
    "ntk": (lambda u, d: kernels.neural_tangent(u), exact_tangent),
    "deep-ntk(3)": (lambda u, d: kernels.neural_tangent(u, 3), exact_deep_tangent(3)),
    "deep-ntk(5)": (lambda u, d: kernels.neural_tangent(u, 5), exact_deep_tangent(5)),
    **{
        f"rbf({s})": (lambda u, d, s=s: kernels.rbf(u, s), lambda d, s=s: exact_rbf(s, d))
        for s in SMOOTH_SCALES
    },
    "laplace(1)": (lambda u, d: kernels.laplace(u, 1.0), exact_laplace(1.0)),
    "laplace(3)": (lambda u, d: kernels.laplace(u, 3.0), exact_laplace(3.0)),
    "stein-rbf": (lambda u, d: kernels.stein_rbf(u, d, 1.0), exact_stein_rbf),
}
DIMENSIONS = (2, 3, 4, 5, 7, 10, 15, 25, 50, 100)


def distances(values, exact):
    with mp.workdps(40):
        return np.array(
            [float(abs(mp.mpf(float(v)) - e)) for v, e in zip(values, exact, strict=True)]
        )


def exact_values(name, d):
    # The series of Laplace cancel; forty digits leave more than enough.
    with mp.workdps(40):
        return CASES[name][1](d)


def legendre_norms(d):
    return np.array([float(1 / mp.sqrt(dimension(d, k))) for k in range(MAX_DEGREE + 1)])


def dimension(d, k):
    return (
        1
        if k == 0
        else mp.binomial(k + d - 1, d - 1) - (mp.binomial(k + d - 3, d - 1) if k > 1 else 0)
    )


@pytest.mark.parametrize(
    "d",
    [d if d in (2, 3, 15, 100) else pytest.param(d, marks=pytest.mark.slow) for d in DIMENSIONS],
)
def test_errors_cover_and_are_not_wide(d):
    norms = legendre_norms(d)
    n_cases = n_covered = 0
    for name, (profile, _) in CASES.items():
        values, errors = spectra.eigenvalues(lambda u, p=profile: p(u, d), d, MAX_DEGREE)
        distance = distances(values, exact_values(name, d))
        covered = distance <= errors
        n_cases, n_covered = n_cases + len(covered), n_covered + covered.sum()
        print(f"{name}, d = {d}: worst error / estimate {np.max(distance / errors):.2g}")
        # Rounding a kernel of this size once costs eps * size * ||P_k||; 150 times is too wide.
        size = np.sqrt(np.mean(profile(np.cos(np.linspace(0, np.pi, 999)), d) ** 2))
        assert (errors <= 150 * np.finfo(float).eps * size * norms + 1e-307).all(), name
    assert n_covered >= 0.99 * n_cases


def test_tabulated_deep_tangent_kernel():
    values, errors = spectra.eigenvalues(lambda u: kernels.neural_tangent(u, 3), 3, 3)
    want = np.array([0.930251931642307, 0.370783187529592, 0.0186440772131828])
    np.testing.assert_allclose(values[[0, 1, 3]], want, rtol=3e-15)
    assert (errors[[0, 1, 3]] < 1e-14).all()


@pytest.mark.skipif(not EXTENDED, reason="long double is double on this platform")
@pytest.mark.parametrize("d", [2, 3, 10, 100])
def test_smooth_kernels_below_the_rounding_of_float64(d):
    # Parameters whose squares are float64 numbers: the profile is the exact one.
    for z in (0.25, 1.0, 4.0, 11.0):
        with mp.workdps(40):
            exact = exact_rbf(1 / mp.sqrt(mp.mpf(z)), d)
        values, errors = spectra.eigenvalues(lambda u, z=z: np.exp((u - 1) * z), d, MAX_DEGREE)
        distance = distances(values, exact)
        exact = np.array([float(e) for e in exact])
        large = exact > 1e-12
        relative = distance[large] / exact[large]
        print(d, z, relative.max(), (errors / exact)[large].max())
        assert relative.max() <= 1e-8
        assert (distance <= errors).mean() >= 0.99


def test_activation_with_a_jump_in_any_dimension():
    for d in (2, 3, 1000):
        values, errors = spectra.funk_hecke(lambda t: t > 0, d, MAX_DEGREE)
        with mp.workdps(30):
            exact = [funk_hecke(0, d, k) for k in range(MAX_DEGREE + 1)]
        assert (distances(values, exact) <= errors).mean() >= 0.99
        assert errors.max() < 1e-14


@pytest.mark.parametrize("d", [2, 3, 10])
def test_algebraic_singularities_at_the_ends(d):
    for nu in (0.3, 0.5, 1.7):
        with mp.workdps(30):
            exact = [power_at_one(d, mp.mpf(nu), k) for k in range(MAX_DEGREE + 1)]
        for sign in (1, -1):
            values, errors = spectra.funk_hecke(
                lambda t, s=sign, nu=nu: (1 - s * t) ** nu, d, MAX_DEGREE
            )
            signed = [e * sign**k for k, e in enumerate(exact)]
            assert (distances(values, signed) <= errors).mean() >= 0.99
            assert errors.max() < 1e-7


def test_logarithm_infinite_at_the_end():
    d = 3
    # The derivative in nu, at nu = 0, of the eigenvalues of (1 - t)^nu.
    exact = [mp.log(2) - 1, *(-mp.mpf(1) / (k * (k + 1)) for k in range(1, MAX_DEGREE + 1))]
    values, errors = spectra.funk_hecke(lambda t: np.log(1 - t), d, MAX_DEGREE)
    assert (distances(values, exact) <= errors).mean() >= 0.99
    assert errors.max() < 1e-9


@pytest.mark.parametrize("d", [2, 3, 10])
def test_jump_at_an_unknown_place_shows_in_the_errors(d):
    a = 0.3
    values, errors = spectra.funk_hecke(lambda t: t > a, d, MAX_DEGREE)
    # Integrate by parts: c_d (1-a^2)^((d-1)/2) P_{k-1,d+2}(a) / (d-1).
    front = mp.gamma(mp.mpf(d) / 2) / (mp.sqrt(mp.pi) * mp.gamma(mp.mpf(d - 1) / 2))
    front *= (1 - mp.mpf(a) ** 2) ** (mp.mpf(d - 1) / 2) / (d - 1)
    exact, before, p = [], mp.mpf(0), mp.mpf(1)
    for k in range(MAX_DEGREE):
        exact.append(front * p)
        before, p = p, ((2 * k + d) * mp.mpf(a) * p - k * before) / (k + d)
    distance = distances(values[1:], exact)
    assert (distance <= errors[1:]).mean() >= 0.99
    assert 1e-8 < errors[1] < 1e-2
    assert (errors[1:] <= 1e3 * distance.max()).all()


def test_degree_and_dimension_ten_thousand():
    for d, max_degree in ((2, 10_000), (10, 5000), (10_000, 10_000)):
        values, errors = spectra.eigenvalues(
            lambda u, d=d: kernels.arc_cosine(u, d, 1), d, max_degree
        )
        for k in (0, 1, 2, 3, 4, 10, 51, 301, 2507, 4168, max_degree):
            with mp.workdps(30):
                exact = funk_hecke(1, d, k) ** 2
            assert abs(mp.mpf(values[k]) - exact) <= errors[k], (d, k)
        assert errors[0] <= 1e-13 * values[0]


def test_profile_is_called_inside_the_interval_only():
    seen = []

    def profile(t):
        seen.append(np.max(np.abs(t)))
        return np.asarray(t, dtype=np.float64) ** 2

    spectra.eigenvalues(profile, 3, 5)
    assert max(seen) < 1


def test_scalar_profiles():
    def scalar(t):
        return max(t, 0.0) if t > -2 else 1.0

    want = spectra.funk_hecke(lambda t: np.maximum(t, 0), 4, 6)
    np.testing.assert_allclose(spectra.funk_hecke(scalar, 4, 6).values, want.values, atol=1e-15)
    constant = spectra.funk_hecke(lambda t: 2.0, 4, 3)
    np.testing.assert_allclose(constant.values, [2, 0, 0, 0], atol=1e-15)


def test_first_negative_degree_is_named_once():
    def profile(t):
        return np.polynomial.legendre.legval(t, [0, 1, 0, -0.4, 0, -0.4])

    with pytest.warns(spectra.NotPositiveDefiniteWarning) as caught:
        values, _ = spectra.eigenvalues(profile, 3, 40)
    assert len(caught) == 1
    # The eigenvalue is the coefficient over N(3, k) = 2 k + 1.
    assert "eigenvalue of degree 3 is -0.0571429, with an error" in str(caught[0].message)
    np.testing.assert_allclose(values[[1, 3, 5]], [1 / 3, -0.4 / 7, -0.4 / 11], rtol=1e-14)


@pytest.mark.filterwarnings("error::lazyactive.numerics.spectra.NotPositiveDefiniteWarning")
def test_no_warning_without_a_negative_degree():
    spectra.eigenvalues(kernels.rbf, 3, 100)
    spectra.funk_hecke(lambda t: -t, 3, 10)


def test_bad_profiles_are_refused():
    with pytest.raises(ValueError, match=r"profile must be finite inside .* t = .* nan"):
        spectra.eigenvalues(lambda t: np.sqrt(t), 3, 5)
    with pytest.raises(ValueError, match=r"profile must return real numbers"):
        spectra.eigenvalues(lambda t: np.exp(1j * t), 3, 5)
    with pytest.raises(ValueError, match="profile must be a function of the cosine, but it is 3"):
        spectra.eigenvalues(3, 3, 5)
    with pytest.raises(ZeroDivisionError):
        spectra.eigenvalues(lambda t: 1 / 0, 3, 5)
    with pytest.raises(ValueError, match="d must be an integer >= 2"):
        spectra.eigenvalues(kernels.rbf, 1, 5)
    with pytest.raises(ValueError, match="max_degree must be an integer >= 0"):
        spectra.funk_hecke(kernels.rbf, 3, -1)


def arc_cosine_spectrum(n, d, rng, n_degrees=3):
    sample = spectra.nystrom(
        sphere.uniform(n, d, rng), lambda u: kernels.arc_cosine(u, d, 1), n_degrees
    )
    exact = np.array([float(funk_hecke(1, d, int(k)) ** 2) for k in sample.degrees])
    return sample, (sample.values - exact) / sample.standard_errors


@pytest.mark.parametrize("n", [1000, pytest.param(4000, marks=pytest.mark.slow)])
def test_sample_of_arc_cosine_kernel(n):
    sample, z = arc_cosine_spectrum(n, 10, 0)
    assert sample.degrees.tolist() == [0, 1, 2]
    assert sample.multiplicities.tolist() == sample.exact_multiplicities.tolist() == [1, 10, 54]
    # The law is that of sums of chi-squares: about 1% beyond three for each, 2% for the test.
    assert (np.abs(z) <= 3).all()
    # Without the correction the sample would miss: the test has power.
    bias = sample.eigenvalues[1:11].mean() - sample.values[1]
    assert bias > 3 * sample.standard_errors[1]
    np.testing.assert_allclose(sample.eigenvalues.sum(), 1 / 20, rtol=1e-12)


@pytest.mark.parametrize("rng", [1, 2, 3])
def test_deviation_of_group_means_is_the_predicted_statistic(rng):
    n, d, max_degree = 1000, 10, 8
    X = sphere.uniform(n, d, rng)
    sample = spectra.nystrom(X, lambda u: kernels.arc_cosine(u, d, 1), 3)
    mu = np.array([float(funk_hecke(1, d, k) ** 2) for k in range(max_degree + 1)])
    cosines = (X @ X.T)[np.triu_indices(n, 1)]
    P = legendre(cosines, d, max_degree)
    for k in range(3):
        h = P[k] * sum(
            mu[k] / (mu[k] - mu[j]) * mu[j] * float(dimension(d, j)) * P[j]
            for j in range(max_degree + 1)
            if j != k
        )
        predicted = 2 * h.sum() / n**2
        standard_error = np.sqrt(2 * (n - 1) / n**3 * np.mean(h**2))
        np.testing.assert_allclose(sample.standard_errors[k], standard_error, rtol=0.05)
        # What is left is noise of third order, sqrt(N / n) times smaller.
        residual = sample.values[k] - mu[k] - predicted
        print(rng, k, predicted / standard_error, residual / standard_error)
        assert abs(residual) < 0.4 * standard_error


COVERAGE = {
    "arc-cosine": (lambda u: kernels.arc_cosine(u, 5, 1), 5, 400, 3),
    "rbf": (lambda u: kernels.rbf(u, 1.0), 5, 400, 3),
    "laplace": (lambda u: kernels.laplace(u, 1.0), 10, 500, 2),
    "laplace on the circle": (lambda u: kernels.laplace(u, 1.0), 2, 300, 3),
    "step": (lambda u: kernels.arc_cosine(u, 3, 0), 3, 400, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COVERAGE)
def test_standard_errors_of_samples(name):
    profile, d, n, n_degrees = COVERAGE[name]
    exact = spectra.eigenvalues(profile, d, 10).values
    samples = [
        spectra.nystrom(sphere.uniform(n, d, rng), profile, n_degrees)
        for rng in np.random.SeedSequence(7).spawn(120)
    ]
    assert all((s.multiplicities == s.exact_multiplicities).all() for s in samples)
    z = np.array([(s.values - exact[s.degrees]) / s.standard_errors for s in samples])
    print(name, z.mean(axis=0), z.std(axis=0))
    # 120 samples: the mean has a standard error of 0.09, the deviation one of about 0.1.
    # False alarm, 14 comparisons of each: 0.5%.
    assert (np.abs(z.mean(axis=0)) <= 0.33).all()
    assert ((z.std(axis=0) > 0.7) & (z.std(axis=0) < 1.4)).all()


def test_groups_too_close_for_the_sample_are_not_resolved():
    # Degrees 0 and 1 differ by a factor 1.3, within the spread of 60 points.
    sample = spectra.nystrom(sphere.uniform(60, 3, 0), lambda u: kernels.rbf(u, 0.5))
    matched = sample.multiplicities == sample.exact_multiplicities
    assert (np.isinf(sample.standard_errors) == ~matched).all()
    assert not matched.any()


def test_kernel_of_rank_one_harmonic_space():
    sample = spectra.nystrom(sphere.uniform(50, 4, 0), lambda u: u)
    assert sample.degrees.tolist() == [1]
    assert sample.multiplicities.tolist() == [4]
    np.testing.assert_allclose(sample.values, 0.25, atol=4 * sample.standard_errors[0] + 1e-12)


def test_random_features_against_the_operator_on_the_circle():
    m, n_points = 12, 1500
    for alpha in (1, 2):
        Theta = sphere.uniform(m, 2, 3)
        angles = 2 * np.pi * np.arange(n_points) / n_points
        features = np.maximum(np.stack([np.cos(angles), np.sin(angles)], 1) @ Theta.T, 0) ** alpha
        operator = features @ features.T / (m * n_points)
        brute = np.linalg.eigvalsh(operator)[::-1][:m]
        got = spectra.random_features(Theta, alpha).eigenvalues
        # The trapezoidal rule's error at a kink is of order n_points**-2.
        np.testing.assert_allclose(got, brute, atol=3 * n_points**-2.0)
        assert got[3] > 100 * 3 * n_points**-2.0


def test_random_features_recover_the_kernel():
    spectrum = spectra.random_features(sphere.uniform(1000, 5, 11), 1, 2)
    exact = [float(funk_hecke(1, 5, k) ** 2) for k in (0, 1)]
    # Two comparisons at four standard errors: false alarm about 1%, the tails being long.
    assert (np.abs(spectrum.values - exact) <= 4 * spectrum.standard_errors).all()


def test_effective_dimension():
    mu, N = np.array([1.0, 0.5, 0.0]), np.array([1, 3, 5])
    np.testing.assert_allclose(
        spectra.effective_dimension(mu, N, [[0.5], [1e-12]]), [[2 / 3 + 1.5], [4.0]], rtol=1e-9
    )
    # Degrees of freedom of kernel ridge, from the matrix itself.
    X = sphere.uniform(40, 3, 0)
    gram = kernels.laplace(X @ X.T) / 40
    want = np.trace(gram @ np.linalg.inv(gram + 0.1 * np.eye(40)))
    sample = spectra.nystrom(X, kernels.laplace)
    np.testing.assert_allclose(spectra.effective_dimension(sample.eigenvalues, 1, 0.1), want)
    with pytest.raises(ValueError, match="penalty must be positive"):
        spectra.effective_dimension(mu, N, 0.0)
    with pytest.raises(ValueError, match="multiplicities"):
        spectra.effective_dimension(mu, N[:2], 1.0)


def test_bad_samples_are_refused():
    with pytest.raises(ValueError, match="unit sphere"):
        spectra.nystrom(np.ones((5, 3)), kernels.rbf)
    with pytest.raises(ValueError, match="n_degrees"):
        spectra.nystrom(sphere.uniform(5, 3, 0), kernels.rbf, 0)
    with pytest.raises(ValueError, match=r"t = 1 it is inf"):
        spectra.nystrom(sphere.uniform(5, 3, 0), lambda u: -np.log(1 - u))
    with pytest.raises(ValueError, match="alpha"):
        spectra.random_features(sphere.uniform(5, 3, 0), 4)
