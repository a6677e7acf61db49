import numpy as np
import pytest

from lazyactive.numerics import harmonic_pairs, sphere
from lazyactive.numerics.discrepancies.ipm import f1_ipm, f2_ipm, mean_difference
from lazyactive.numerics.features import feature_matrix
from lazyactive.numerics.kernels import arc_cosine
from lazyactive.theory import separation


def plain_square(X, Y, alpha):
    """The U-statistic with stored matrices of the kernel."""
    d = X.shape[1]
    n, m = len(X), len(Y)
    xx, yy, xy = (arc_cosine(A @ B.T, d, alpha) for A, B in ((X, X), (Y, Y), (X, Y)))
    own = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return own - 2 * xy.mean()


# Every pair of a dimension and an activation is compiled on its own: not all of them are needed.
@pytest.mark.parametrize(
    ("n", "m", "d", "alpha"),
    [(300, 411, 3, alpha) for alpha in range(4)] + [(1000, 2, 15, 1), (513, 700, 40, 1)],
)
def test_exact_against_stored_matrices(n, m, d, alpha):
    X, Y = sphere.uniform(n, d, rng=0), sphere.uniform(m, d, rng=1)
    # Equal and opposite points, where the kernel bends.
    Y[0], Y[1] = X[0], -X[1]
    expected = plain_square(X, Y, alpha)
    scale = arc_cosine(1.0, d, alpha)
    # The angle between equal points is the root of a rounding error, and alpha = 0 sees it.
    tolerance = 1e-13 if alpha else 1e-8
    assert f2_ipm(X, Y, alpha).square == pytest.approx(expected, abs=tolerance * scale)
    single = f2_ipm(X.astype(np.float32), Y.astype(np.float32), alpha)
    assert single.square == pytest.approx(expected, abs=(3e-7 if alpha else 3e-4) * scale)


def test_unbiased_with_the_right_standard_error():
    # 300 data sets with a fixed seed. The mean is within 4 standard errors of the truth (false
    # alarms: 6e-5), and standard errors are right within 15% on average: three deviations of the
    # spread of 300 numbers are 12%.
    rng = np.random.default_rng(3)
    k, d, n, m = 2, 4, 150, 300
    _, truth = separation.smooth_ipm(k, d, gamma=0.9)
    found = []
    for _ in range(300):
        X, _ = harmonic_pairs.smooth(k, d, n, 0.9, rng)
        _, Y = harmonic_pairs.smooth(k, d, m, 0.9, rng)
        found.append(f2_ipm(X, Y))
    squares = np.array([result.square for result in found])
    errors = np.array([result.square_standard_error for result in found])
    assert abs(squares.mean() - truth**2) < 4 * squares.std() / np.sqrt(300)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(squares.std(), rel=0.15)


def test_standard_error_where_the_laws_agree():
    rng = np.random.default_rng(4)
    found = [f2_ipm(sphere.uniform(200, 5, rng), sphere.uniform(200, 5, rng)) for _ in range(300)]
    squares = np.array([result.square for result in found])
    errors = np.array([result.square_standard_error for result in found])
    assert abs(squares.mean()) < 4 * squares.std() / np.sqrt(300)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(squares.std(), rel=0.2)
    assert any(result.value < 0 for result in found)


def test_features_agree_with_pairs():
    # Twenty data sets with a fixed seed; 4 standard errors each: false alarms 1e-3.
    rng = np.random.default_rng(5)
    for _ in range(20):
        X, Y = harmonic_pairs.smooth(2, 6, 2000, 0.9, rng)
        exact = f2_ipm(X, Y)
        by_features = f2_ipm(X, Y, method="features", n_features=1000, rng=rng)
        error = np.hypot(exact.square_standard_error, by_features.square_standard_error)
        assert abs(exact.square - by_features.square) < 4 * error


def test_features_standard_error():
    # As above, for features and data together.
    rng = np.random.default_rng(6)
    _, truth = separation.smooth_ipm(2, 4, gamma=0.9)
    found = [
        f2_ipm(
            *harmonic_pairs.smooth(2, 4, 400, 0.9, rng), method="features", n_features=100, rng=rng
        )
        for _ in range(200)
    ]
    squares = np.array([result.square for result in found])
    errors = np.array([result.square_standard_error for result in found])
    assert abs(squares.mean() - truth**2) < 4 * squares.std() / np.sqrt(200)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(squares.std(), rel=0.25)


@pytest.mark.parametrize("method", ["exact", "features"])
def test_pairs_within_a_group_do_not_count(method):
    # Points of a group are copies: only what is left out keeps them from being seen.
    X, Y = sphere.uniform(200, 4, rng=0), sphere.uniform(200, 4, rng=1)
    copies = [np.repeat(S, 3, axis=0) for S in (X, Y)]
    options = {"method": method, "n_features": 50}
    found = f2_ipm(*copies, group_size=3, rng=2, **options)
    if method == "features":
        assert found.square == pytest.approx(f2_ipm(X, Y, rng=2, **options).square, rel=1e-9)
        return
    terms = arc_cosine(X @ X.T, 4, 1) + arc_cosine(Y @ Y.T, 4, 1) - 2 * arc_cosine(X @ Y.T, 4, 1)
    np.fill_diagonal(terms, 0)
    assert found.square == pytest.approx(terms.sum() / (200 * 199), rel=1e-9)
    # The influence of a group is the mean of its terms with all others, in both places.
    influence = (terms + terms.T).sum(axis=1) / (2 * 199)
    error = 2 * influence.std(ddof=1) / np.sqrt(200)
    assert found.square_standard_error == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("method", ["exact", "features"])
def test_groups_see_what_independent_points_cannot(method):
    # 40 data sets with a fixed seed, within 4 standard errors (false alarms 1e-4), where the
    # noise of as many independent points is five times the truth.
    k, d = 6, 12
    _, truth = separation.ipm(k, d)
    rng = np.random.default_rng(9)
    found = [
        f2_ipm(
            *harmonic_pairs.positive_parts(k, d, 2048, rng, group_size=32),
            method=method,
            n_features=1000,
            group_size=32,
            rng=rng,
        )
        for _ in range(40)
    ]
    squares = np.array([result.square for result in found])
    errors = np.array([result.square_standard_error for result in found])
    assert abs(squares.mean() - truth**2) < 4 * squares.std() / np.sqrt(40)
    assert squares.std() < truth**2
    # At most sqrt(2) too large; 40 numbers tell their spread to about 11%.
    assert 0.75 < np.sqrt(np.mean(errors**2)) / squares.std() < 1.75


def test_points_off_the_sphere():
    X, Y = (np.random.default_rng(s).standard_normal((500, 3)) * s for s in (1, 2))
    neurons = sphere.uniform(2000, 3, rng=0)
    difference = feature_matrix(X, neurons, 1).mean(0) - feature_matrix(Y, neurons, 1).mean(0)
    found = f1_ipm(X, Y, rng=0)
    assert found.value >= np.abs(difference).max() * (1 - 1e-9)
    assert np.linalg.norm(found.witness) == pytest.approx(1, abs=1e-12)
    by_features = f2_ipm(X, Y, method="features", n_features=2000, rng=0)
    # The plug-in adds the noise of the two samples, E|v|^2 / n: a few percent here.
    assert by_features.square == pytest.approx(np.mean(difference**2), rel=0.1)


@pytest.mark.parametrize("alpha", [0, 1])
def test_mean_difference(alpha):
    X, Y, neurons = sphere.uniform(50, 3, rng=0), sphere.uniform(70, 3, rng=1), np.eye(3)
    expected = feature_matrix(X, neurons, alpha).mean(0) - feature_matrix(Y, neurons, alpha).mean(0)
    np.testing.assert_allclose(mean_difference(X, Y, neurons, alpha), expected, atol=1e-15)


@pytest.mark.parametrize("alpha", [1, 2])
def test_f1_witness_attains_the_value(alpha):
    X, Y = harmonic_pairs.positive_parts(2, 5, 5000, rng=7)
    found = f1_ipm(X, Y, alpha, rng=0)
    means = [float(feature_matrix(S, found.witness[None], alpha).mean()) for S in (X, Y)]
    assert found.value == pytest.approx(abs(means[0] - means[1]), rel=1e-9)
    assert np.linalg.norm(found.witness) == pytest.approx(1, abs=1e-12)
    # No neuron of a fine scan is better by more than the search may miss.
    scan = sphere.uniform(20_000, 5, rng=8)
    differences = feature_matrix(X, scan, alpha).mean(0) - feature_matrix(Y, scan, alpha).mean(0)
    assert found.value >= np.abs(differences).max() * (1 - 1e-6)


@pytest.mark.slow
def test_f1_needle():
    # The neuron that stands out is one of a small part of the sphere: k = 6, d = 16.
    exact, _ = separation.ipm(6, 16)
    found = []
    for seed in range(5):
        X, Y = harmonic_pairs.positive_parts(6, 16, 200_000, rng=seed)
        result = f1_ipm(X, Y, rng=seed)
        found.append(result.value)
        assert abs(result.witness[-1]) > 0.99
    # The sampling error of the mean of a neuron: 0.17 sqrt(2 / n), and a little from the search.
    np.testing.assert_allclose(found, exact, atol=4 * 0.17 * np.sqrt(2 / 200_000))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: f2_ipm(X, X[:, :2]), "Y must"),
        (lambda X: f2_ipm(X, sphere.uniform(5, 3)), "Y must have as many columns"),
        (lambda X: f2_ipm(X, 2 * X), "Y"),
        (lambda X: f2_ipm(X, X, method="random"), "method must be one of"),
        (lambda X: f2_ipm(X, X, method="features"), "at least 64 points"),
        (lambda X: f2_ipm(X, X, group_size=3), "group_size must divide"),
        (lambda X: f2_ipm(X, X, group_size=10), "at least 2 groups"),
        (lambda X: f2_ipm(X, X[:8], group_size=2), "Y must have as many rows"),
        (lambda X: mean_difference(X, X, np.eye(3)), "neurons must have as many columns as X, 4"),
        (lambda X: f1_ipm(X, X, alpha=0), "alpha must be one of 1, 2, 3"),
        (lambda X: f1_ipm(X, X, n_starts=32, n_screened=32), "n_screened"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(sphere.uniform(10, 4, rng=0))
