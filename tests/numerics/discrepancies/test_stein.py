"""The Stein kernel against its definition, and the discrepancy against the Stein kernel."""

import numba
import numpy as np
import pytest

from lazyactive.numerics import harmonic_pairs, kernels, sphere
from lazyactive.numerics.discrepancies.stein import KERNELS, ksd, ksd_gradient, stein_gram
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.theory import stein_discrepancies
from lazyactive.theory.kernels import ArcCosine


def sample(n, d, seed=0, dtype=np.float64):
    """Points and scores that have nothing to do with one another, nor with a tangent space."""
    rng = np.random.default_rng(seed)
    return sphere.uniform(n, d, rng, dtype), rng.standard_normal((n, d)).astype(dtype)


def planted(w, d, n, rng):
    """Exact samples of the neuron with weight w along the first axis, and their score."""
    X = PlantedEnergy(np.eye(1, d), [w]).sample(n, rng)
    return X, neuron_score(X, w)


def neuron_score(X, w):
    return -w * (X[:, :1] > 0) * np.eye(1, X.shape[1])


def autograd_profile(kernel, d, scale):
    anp = pytest.importorskip("autograd.numpy")
    if kernel == "rbf":
        return lambda u: anp.exp((u - 1) / scale**2)
    order = int(kernel[-2])
    angular = [
        lambda phi: anp.sin(phi) + (np.pi - phi) * anp.cos(phi),
        lambda phi: 3 * anp.sin(phi) * anp.cos(phi) + (np.pi - phi) * (1 + 2 * anp.cos(phi) ** 2),
        lambda phi: (
            15 * anp.sin(phi)
            - 11 * anp.sin(phi) ** 3
            + (np.pi - phi) * (9 * anp.cos(phi) + 6 * anp.cos(phi) ** 3)
        ),
    ][order - 1]
    norm = 2 * np.pi * np.prod([d + 2.0 * i for i in range(order)])
    return lambda u: angular(anp.arccos(u)) / norm


def stein_kernel_by_definition(X, score, profile):
    """Apply the Stein operator in y, then in x, to the field kappa(<x, y>) I."""
    autograd = pytest.importorskip("autograd")
    anp = pytest.importorskip("autograd.numpy")
    n, d = X.shape
    shifted = sphere.tangent(X, score) - (d - 1) * X

    def tangential(x):
        return np.eye(d) - np.outer(x, x)

    u = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            x, y, s, t = X[i], X[j], shifted[i], shifted[j]
            in_y = autograd.grad(lambda y, x: profile(anp.dot(x, y)))

            def field(x, y=y, t=t, in_y=in_y):
                return profile(anp.dot(x, y)) * t + anp.dot(tangential(y), in_y(y, x))

            if i != j:
                divergence = np.trace(tangential(x) @ autograd.jacobian(field)(x))
                u[i, j] = s @ field(x) + divergence
    return u


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("d", [2, 3, 15])
def test_the_kernel_is_that_of_its_definition(kernel, d):
    X, score = sample(7, d)
    profile = autograd_profile(kernel, d, scale=0.7)
    u = np.linspace(-0.99, 0.99, 5)
    base = kernels.rbf(u, 0.7) if kernel == "rbf" else kernels.arc_cosine(u, d, int(kernel[-2]))
    np.testing.assert_allclose(profile(u), base, rtol=1e-12, atol=1e-16)
    want = stein_kernel_by_definition(X, score, profile)
    got = stein_gram(X, score, kernel, 0.7)
    np.fill_diagonal(got, 0)
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8 * np.abs(want).max())


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_diagonal_is_the_limit_of_close_points(kernel):
    d, step = 3, 1e-6
    X, score = sample(5, d)
    close = sphere.exponential(X, step * sphere.tangent(X, np.roll(X, 1, axis=0)))
    # The derivatives of arc-cosine(1) move by the angle between the points.
    both = stein_gram(np.vstack([X, close]), np.vstack([score, score]), kernel, 0.7)
    np.testing.assert_allclose(np.diag(both)[:5], np.diag(both[:5, 5:]), rtol=1e-4)


# Below and above the width of a tile, and with a last group of rows that is not full.
@pytest.mark.parametrize("n", [2, 261])
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_discrepancy_is_the_mean_of_the_kernel(kernel, n):
    X, score = sample(n, 3)
    u = stein_gram(X, score, kernel, 0.7)
    v_statistic = ksd(X, score, kernel, 0.7, "v").value
    u_statistic = ksd(X, score, kernel, 0.7).value
    # A cosine of 1 - 1e-16 belongs to an angle of 1e-8, which kappa' of arc-cosine(1) sees.
    assert v_statistic == pytest.approx(u.mean(), rel=1e-7)
    assert u_statistic == pytest.approx((u.sum() - np.trace(u)) / (n * (n - 1)), rel=1e-6)
    for statistic, value in (("u", u_statistic), ("v", v_statistic)):
        assert ksd_gradient(X, score, kernel, 0.7, statistic)[0] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("statistic", ["u", "v"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_gradient_is_that_of_finite_differences(kernel, statistic):
    """Central differences of a quadratic function are exact but for rounding."""
    X, score = sample(300, 3)
    direction = np.random.default_rng(1).standard_normal(X.shape)

    def value(step):
        return ksd(X, score + step * direction, kernel, 0.7, statistic).value

    _, gradient = ksd_gradient(X, score, kernel, 0.7, statistic)
    assert np.sum(gradient * direction) == pytest.approx((value(1.0) - value(-1.0)) / 2, rel=1e-8)
    np.testing.assert_allclose(np.sum(gradient * X, axis=1), 0, atol=1e-14)


def test_a_radial_part_of_the_score_does_not_count():
    X, score = sample(50, 3)
    np.testing.assert_allclose(stein_gram(X, score + 5 * X), stein_gram(X, score), rtol=1e-10)


def test_a_small_scale_is_exact_too():
    """The exponential of large arguments is squared many times."""
    X, score = sample(20, 3)
    X[1] = sphere.normalize(X[0] + 0.01)
    want = stein_kernel_by_definition(X[:3], score[:3], autograd_profile("rbf", 3, 0.05))
    got = stein_gram(X[:3], score[:3], "rbf", 0.05)
    np.fill_diagonal(got, 0)
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-12 * np.abs(want).max())


@pytest.mark.parametrize("w", [-4.0, 4.0])
@pytest.mark.parametrize("kernel", KERNELS)
def test_stein_identity(kernel, w):
    """The squared discrepancy of exact samples is zero, at 4 standard errors of 40 samples.

    False-alarm rate: 40 means of a skew statistic are nearly normal, below 5e-4 for each of eight.
    """
    rng = np.random.default_rng(5)
    values = [ksd(*planted(w, 3, 400, rng), kernel).value for _ in range(40)]
    mean, se = np.mean(values), np.std(values, ddof=1) / np.sqrt(40)
    assert abs(mean) < 4 * se
    # The score of the opposite neuron is seen, so that the zero says something.
    X, score = planted(w, 3, 400, rng)
    assert ksd(X, -score, kernel).value > 20 * se


@pytest.mark.parametrize("kernel", ["rbf", "arc-cosine(1)"])
def test_standard_error_off_the_null(kernel):
    """Over 200 data sets z has spread 1, +- 0.05: false-alarm rate 6e-5 at 4 of these."""
    rng = np.random.default_rng(6)
    estimates = []
    for _ in range(200):
        X, _ = planted(4.0, 3, 300, rng)
        estimates.append(ksd(X, np.zeros_like(X), kernel))
    values, errors = np.transpose(estimates)
    assert abs(np.std((values - values.mean()) / errors) - 1) < 0.2


@pytest.mark.parametrize("kernel", ["rbf", "arc-cosine(1)"])
def test_standard_error_on_the_null(kernel):
    """The standard error is the larger of two estimates, about 20% too large where both are noisy.

    Its mean over 200 data sets is good to 3%, and so is the spread of the values to 6%.
    """
    rng = np.random.default_rng(7)
    values, errors = np.transpose([ksd(*planted(4.0, 3, 300, rng), kernel) for _ in range(200)])
    assert 0.9 < errors.mean() / np.std(values) < 1.5


@pytest.mark.parametrize("kernel", ["rbf", "arc-cosine(1)"])
def test_float32_is_close_to_float64(kernel):
    X, score = sample(600, 3, dtype=np.float32)
    value, error = ksd(X, score, kernel)
    exact, _ = ksd(X.astype(np.float64), score.astype(np.float64), kernel)
    assert value == pytest.approx(exact, abs=1e-3 * error)
    _, gradient = ksd_gradient(X, score, kernel)
    _, want = ksd_gradient(X.astype(np.float64), score.astype(np.float64), kernel)
    np.testing.assert_allclose(gradient, want, atol=1e-4 * np.abs(want).max())


def test_same_bits_with_one_and_two_threads():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two threads")
    X, score = sample(1500, 3)
    threads = numba.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2):
            numba.set_num_threads(n_threads)
            value, gradient = ksd_gradient(X, score)
            results.append((*ksd(X, score), value, gradient, stein_gram(X[:300], score[:300])))
    finally:
        numba.set_num_threads(threads)
    for one, two in zip(*results, strict=True):
        assert np.array_equal(one, two)


def test_a_score_may_be_a_function():
    X, _ = planted(4.0, 3, 100, np.random.default_rng(8))
    assert ksd(X, lambda points: neuron_score(points, 4.0)) == ksd(X, neuron_score(X, 4.0))


@pytest.mark.parametrize("kernel", KERNELS)
def test_without_divergence_only_scores_meet(kernel):
    X, score = sample(261, 3)
    data_score = np.random.default_rng(2).standard_normal(X.shape)
    g, u = sphere.tangent(X, score - data_score), X @ X.T
    base = kernels.rbf(u, 0.7) if kernel == "rbf" else kernels.arc_cosine(u, 3, int(kernel[-2]))
    pairs = base * (g @ g.T)
    found = {
        statistic: ksd(X, score, kernel, 0.7, statistic, data_score).value for statistic in "uv"
    }
    assert found["v"] == pytest.approx(pairs.mean(), rel=1e-10)
    u_statistic = (pairs.sum() - np.trace(pairs)) / (261 * 260)
    assert found["u"] == pytest.approx(u_statistic, rel=1e-10)


@pytest.mark.parametrize("kernel", ["rbf", "arc-cosine(1)"])
def test_the_score_of_the_data_takes_noise_and_no_mean(kernel):
    """Differences over 100 data sets vanish at 4 standard errors: false-alarm rate 1e-4 each."""
    rng = np.random.default_rng(9)
    found = []
    for _ in range(100):
        X, own = planted(4.0, 3, 300, rng)
        model = neuron_score(X, 2.0)
        plain, better = ksd(X, model, kernel), ksd(X, model, kernel, data_score=own)
        found.append((plain.value, better.value, better.standard_error))
        # As functions they are the same.
        assert better == ksd(X, model, kernel, data_score=lambda points: neuron_score(points, 4.0))
    plain, better, errors = np.transpose(found)
    difference = better - plain
    assert abs(difference.mean()) < 4 * difference.std(ddof=1) / 10
    assert better.std() < 0.7 * plain.std()
    assert better.mean() > 20 * better.std() / 10
    # The spread of 100 values is good to 7%.
    assert errors.mean() == pytest.approx(better.std(), rel=0.25)


@pytest.mark.parametrize("with_data_score", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_groups_against_a_double_loop(kernel, with_data_score):
    n, size = 12, 3
    X, score = sample(n, 3)
    data_score = np.random.default_rng(2).standard_normal(X.shape) if with_data_score else None
    pairs = stein_gram(X, score, kernel, 0.7)
    if with_data_score:
        g, u = sphere.tangent(X, score - data_score), X @ X.T
        base = kernels.rbf(u, 0.7) if kernel == "rbf" else kernels.arc_cosine(u, 3, int(kernel[-2]))
        pairs = base * (g @ g.T)
    total, count = 0.0, 0
    means, close = np.zeros(n // size), np.zeros(n // size)
    for i in range(n):
        for j in range(n):
            if i // size != j // size:
                total, count = total + pairs[i, j], count + 1
                means[i // size] += pairs[i, j] / (size * (n - size))
            if (j // size + 1) % (n // size) == i // size:
                close[i // size] += pairs[i, j] / size**2
    value, error = ksd(X, score, kernel, 0.7, "u", data_score, size)
    assert value == pytest.approx(total / count, rel=1e-9)
    degenerate = 2 * np.mean(close**2) / (n // size) ** 2
    variance = 4 * np.var(means, ddof=1) / (n // size) - degenerate
    assert error == pytest.approx(np.sqrt(max(variance, degenerate)), rel=1e-9)
    whole = ksd(X, score, kernel, 0.7, "v", data_score, size).value
    assert whole == pytest.approx(pairs.mean(), rel=1e-7)


def test_groups_of_one_are_points():
    X, score = sample(300, 3)
    assert ksd(X, score, group_size=1) == ksd(X, score)


@pytest.mark.parametrize("with_data_score", [False, True])
def test_groups_are_unbiased_with_the_right_standard_error(with_data_score):
    """300 data sets of uniform points, groups of which share what is orthogonal to an axis.

    The mean is within 4 standard errors of the truth (false alarms: 6e-5), and standard errors are
    right to 15%: more than three deviations of the spread of 300 numbers.
    """
    rng = np.random.default_rng(10)
    d, a, kernel = 3, 4.0, "arc-cosine(1)"
    truth = stein_discrepancies.kernel_stein([0, a], d, ArcCosine(1))
    found, as_points = [], []
    for _ in range(300):
        X, _ = harmonic_pairs.smooth(2, d, 160, 0.0, rng, group_size=4)
        score = np.broadcast_to(-a * np.eye(1, d), X.shape)
        data_score = np.zeros_like(X) if with_data_score else None
        found.append(ksd(X, score, kernel, data_score=data_score, group_size=4))
        as_points.append(ksd(X, score, kernel, data_score=data_score).value)
    values, errors = np.transpose(found)
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(300)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.15)
    # Pairs inside of groups are not independent.
    bias = as_points - values
    assert abs(bias.mean()) > 10 * bias.std() / np.sqrt(300)


def test_standard_error_of_groups_on_the_null():
    """As for points: some 20% too large."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(200):
        X, _ = harmonic_pairs.smooth(2, 3, 400, 0.0, rng, group_size=4)
        found.append(ksd(X, np.zeros_like(X), "arc-cosine(1)", group_size=4))
    values, errors = np.transpose(found)
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(200)
    assert 0.9 < errors.mean() / values.std() < 1.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones((3, 3))}, "X must lie on the unit sphere"),
        ({"X": np.eye(1, 3), "score": np.ones((1, 3))}, "X must have at least 2 rows"),
        ({"score": np.ones((3, 2))}, r"score must have the shape of X, \(3, 3\)"),
        ({"score": np.full((3, 3), np.nan)}, "score must be finite"),
        ({"score": lambda X: X[:2]}, "score must have the shape of X"),
        ({"kernel": "laplace"}, "kernel must have a finite derivative at u = 1, .* 'laplace'"),
        ({"kernel": "arc-cosine(0)"}, "kernel must have a finite derivative at u = 1"),
        ({"kernel": "cubic"}, "kernel must be one of .*, but it is 'cubic'"),
        ({"scale": 0.0}, "scale must be a positive finite number, but it is 0.0"),
        ({"statistic": "w"}, "statistic must be one of .*, but it is 'w'"),
        ({"data_score": np.ones((3, 2))}, r"data_score must have the shape of X, \(3, 3\)"),
        ({"data_score": np.full((3, 3), np.inf)}, "data_score must be finite"),
        ({"group_size": 2}, "group_size must divide the number of points, 3, .* but it is 2"),
        ({"group_size": 3}, "group_size must divide .* make at least 2 groups, but it is 3"),
        ({"group_size": 0}, "group_size must be an integer >= 1"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ksd(**({"X": np.eye(3), "score": np.ones((3, 3))} | change))
