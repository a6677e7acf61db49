import numpy as np
import pytest
from scipy.stats import chi2

from lazyactive.numerics import sphere
from lazyactive.numerics.training.infinite_width import InfiniteWidth
from lazyactive.numerics.training.lazy import tilt
from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.gibbs import kl_to_uniform
from lazyactive.theory.learning_curves import early_stopping, sandwich_terms


@pytest.fixture(scope="module")
def model():
    return InfiniteWidth(-4.0, 3, degrees=(1, 2, 4), rng=0)


@pytest.mark.parametrize(
    ("d", "alpha", "degrees"), [(2, 1, (1, 2, 4)), (3, 2, (2, 3)), (8, 0, (1,))]
)
def test_features_and_spectrum(d, alpha, degrees):
    model = InfiniteWidth(2.0, d, alpha, degrees, 1000, 0)
    X = sphere.uniform(5, d, rng=1)
    # The features of one degree are those of its part of the kernel.
    mu = np.repeat(
        ReLUPower(alpha).coefficients(d, max(degrees))[list(degrees)] ** 2,
        [np.count_nonzero(model.spectrum == value) for value in dict.fromkeys(model.spectrum)],
    )
    np.testing.assert_allclose(model.spectrum, mu, rtol=1e-9)
    # Addition theorem: at one point the squares add up to the sum of N mu.
    squares = np.sum(model.features(X) ** 2, axis=1)
    np.testing.assert_allclose(squares, model.spectrum.sum(), rtol=1e-12)


@pytest.mark.parametrize("w", [-4.0, 6.0])
def test_mean_features_are_exact(w):
    model = InfiniteWidth(w, 5, degrees=(1, 2), n_reference=1000, rng=0)
    n = 40_000
    X = model.teacher.sample(n, 3)
    features = model.features(X)
    deviation = features.mean(axis=0) - model.mean
    statistic = n * deviation @ np.linalg.solve(np.cov(features.T), deviation)
    # Two tests at this level: false alarm 2e-4.
    assert statistic < chi2.ppf(1 - 1e-4, len(deviation))
    # A wrong factor of the mean would be seen.
    assert n * model.mean @ np.linalg.solve(np.cov(features.T), model.mean) > 1000
    few = model.features(model.teacher.sample(500, 4)).mean(axis=0)
    np.testing.assert_allclose(model.sample_moments(500, 4), few, rtol=1e-9, atol=1e-15)


def circle():
    """Equidistant points."""
    angles = 2 * np.pi * np.arange(4096) / 4096
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def on_the_circle(model, moments, penalty):
    """The same problem with the integral over equidistant points, by plain Newton steps."""
    features = model.features(circle())
    a = np.zeros(len(moments))
    for _ in range(30):
        density = np.exp(-features @ a)
        density /= density.sum()
        mean = density @ features
        covariance = (features.T * density) @ features - np.outer(mean, mean)
        gradient = moments - mean + penalty * a
        a -= np.linalg.solve(covariance + penalty * np.eye(len(a)), gradient)
    energy = model.teacher.energy(circle())
    nu = np.exp(-energy) / np.exp(-energy).sum()
    h = features @ a - energy
    return a, np.log(nu @ np.exp(-h)) + nu @ h


@pytest.mark.parametrize("w", [-4.0, 6.0])
def test_fit_on_the_circle(w):
    model = InfiniteWidth(w, 2, degrees=(1, 2, 4, 6, 8), n_reference=2**16, rng=1)
    moments = model.sample_moments(500, 2)
    penalty = 1 / (500 * w**2)
    solution = model.fit(moments, penalty, tol=1e-10)
    coordinates, divergence = on_the_circle(model, moments, penalty)
    error = np.linalg.norm(solution.coordinates - coordinates) / np.linalg.norm(coordinates)
    assert error < 0.01
    estimate = model.kl(solution.coordinates)
    # 4.5 standard errors: false alarm 1e-5.
    assert abs(estimate.value - divergence) < 4.5 * estimate.se + 0.02 * divergence
    assert estimate.se < 0.03 * divergence


@pytest.mark.parametrize("w", [-4.0, 6.0])
def test_log_partition_on_the_circle(w):
    controlled, plain = [], []
    for seed in range(8):
        model = InfiniteWidth(w, 2, degrees=(1, 2, 4, 6, 8), n_reference=4000, rng=seed)
        solution = model.fit(model.sample_moments(500, 2), 1 / (500 * w**2))
        exact = np.log(np.mean(np.exp(-model.features(circle()) @ solution.coordinates)))
        # The error of log Z is that of the divergence.
        se = model.kl(solution.coordinates).se
        controlled.append((solution.log_partition - exact) / se)
        value, _, _ = tilt(model._reference, solution.coordinates, model._log_weights)
        plain.append((value - exact) / se)
    # False alarm 1e-5.
    limit = chi2.ppf(1 - 1e-5, len(controlled))
    assert np.sum(np.square(controlled)) < limit
    assert np.sum(np.square(plain)) > 3 * limit


def test_error_of_the_reference_is_of_second_order():
    # The same data, with two references of 4000 points each. Without the control the gradient at
    # the solution would be off by a standard error of the mean of that many points.
    fits, uncontrolled = [], []
    for seed in (1, 2):
        model = InfiniteWidth(5.0, 5, degrees=(1, 2), n_reference=4000, rng=seed)
        fits.append(model.fit(model.mean, 1e-4, tol=1e-12).coordinates)
        shift = model._control
        uncontrolled.append(model.fit(model.mean - shift, 1e-4, tol=1e-12).coordinates)
    controlled = np.linalg.norm(fits[0] - fits[1])
    assert controlled < 0.25 * np.linalg.norm(uncontrolled[0] - uncontrolled[1])


@pytest.mark.parametrize("w", [-3.0, 6.0])
def test_population_fit_and_its_divergence(w):
    # d = 15: degrees from 4 hold little of what is learned at this penalty.
    model = InfiniteWidth(w, 15, degrees=(1, 2), rng=3)
    penalty = 1e-4
    estimate = model.kl(model.fit(model.mean, penalty).coordinates)
    predicted, _ = sandwich_terms(w, 15, 1, penalty)
    # 4.5 standard errors of the evaluation, and as much again for the reference.
    assert abs(estimate.value - predicted) < 9 * estimate.se
    assert estimate.se < 0.02 * predicted
    assert predicted < 0.9 * kl_to_uniform(w, 15)


def test_variance_of_fits():
    w, d, n, penalty = -3.0, 5, 1000, 1e-4
    model = InfiniteWidth(w, d, degrees=(1, 2, 4, 6), n_reference=2**13, rng=4)
    rng = np.random.default_rng(5)
    bias = model.kl(model.fit(model.mean, penalty).coordinates).value
    excess = [
        model.kl(model.fit(model.sample_moments(n, rng), penalty).coordinates).value - bias
        for _ in range(100)
    ]
    _, predicted = sandwich_terms(w, d, n, penalty)
    # Four standard errors, false alarm 1e-4; what is of higher order in 1/n is below 5%.
    tolerance = 4 * np.std(excess, ddof=1) / np.sqrt(len(excess)) + 0.05 * predicted
    assert abs(np.mean(excess) - predicted) < tolerance < 0.3 * predicted


def test_weak_energy_is_shrunk_degree_by_degree():
    model = InfiniteWidth(0.05, 4, degrees=(1, 2, 4), rng=6)
    moments, penalty = model.sample_moments(100_000, 7), 3e-3
    expected = -moments / (model.spectrum + penalty)
    solution = model.fit(moments, penalty, tol=1e-14)
    size = np.linalg.norm(expected)
    assert np.linalg.norm(solution.coordinates - expected) < 0.01 * size
    times = np.array([20.0, 200.0])
    filters = -np.expm1(-np.outer(times, model.spectrum)) / model.spectrum
    flow = model.flow(moments, times)
    assert np.linalg.norm(flow + filters * moments) < 0.01 * np.linalg.norm(flow)


def test_flow(model):
    time = 30.0
    end = model.flow(model.mean, [time / 2, time])[-1]
    estimate = model.kl(end)
    # Degrees from 6 are learned to a part of 2e-4.
    assert estimate.value == pytest.approx(early_stopping(-4, 3, np.inf, time), rel=0.02)


@pytest.mark.slow
def test_long_flow_reaches_the_fit_without_a_penalty(model):
    long = model.flow(model.mean, [1e5])[0]
    direct = model.fit(model.mean, 1e-7).coordinates
    assert model.kl(long).value == pytest.approx(model.kl(direct).value, rel=0.02)


def test_rotated_data_give_the_rotated_fit(model):
    # About the axis of the planted neuron; the references are not rotated.
    X = model.teacher.sample(1000, 8)
    angle = 0.7
    rotation = np.eye(3)
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    fits = [
        model.fit(model.features(data).mean(axis=0), 1e-3).coordinates for data in (X, X @ rotation)
    ]
    at = sphere.uniform(2000, 3, rng=9)
    first, second = model.features(at) @ fits[0], model.features(at @ rotation) @ fits[1]
    unrotated = model.features(at) @ fits[1]
    assert np.std(first - second) < 0.1 * np.std(first - unrotated)


def test_divergence_of_any_energy(model):
    a = model.fit(model.sample_moments(300, 10), 1e-3).coordinates
    own = model.kl(a)
    # 4.5 standard errors, in each of the two: false alarm 1e-5.
    other = model.divergence(lambda X: model.features(X) @ a + 3.0, 2**15, rng=11)
    assert abs(other.value - own.value) < 4.5 * np.hypot(other.se, own.se) < 0.5 * own.value
    uniform = model.divergence(lambda X: np.zeros(len(X)), 2**15, rng=12)
    assert abs(uniform.value - kl_to_uniform(-4, 3)) < 4.5 * uniform.se < 0.1 * uniform.value


def test_seeds(model):
    again = InfiniteWidth(-4.0, 3, degrees=(1, 2, 4), rng=0)
    moments = model.sample_moments(100, 1)
    first, second = (m.fit(moments, 1e-2).coordinates for m in (model, again))
    np.testing.assert_array_equal(first, second)
    assert model.kl(first) == again.kl(first)
    assert first.tolist() != InfiniteWidth(-4.0, 3, rng=1).fit(moments, 1e-2).coordinates.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: InfiniteWidth(np.nan, 3), "weights"),
        (lambda m: InfiniteWidth(1.0, 1), "d must be"),
        (lambda m: InfiniteWidth(1.0, 3, degrees=()), "at least one"),
        (lambda m: InfiniteWidth(1.0, 3, degrees=(1, 1)), "distinct"),
        (lambda m: InfiniteWidth(1.0, 3, degrees=(0, 1)), "degrees must be"),
        (lambda m: InfiniteWidth(1.0, 3, degrees=(1, 3)), "no component of degree 3"),
        (lambda m: InfiniteWidth(1.0, 3, n_reference=10), "n_reference must be"),
        (lambda m: m.fit(m.mean[1:], 0.1), "moments must"),
        (lambda m: m.fit(m.mean, 0.0), "penalty must"),
        (lambda m: m.flow(m.mean, [2.0, 1.0]), "times must be positive and increasing"),
        (lambda m: m.kl(m.mean[1:]), "coordinates must"),
        (lambda m: m.sample_moments(0), "n must"),
        (lambda m: m.divergence(lambda X: np.zeros(len(X)), 10), "n_points must"),
        (lambda m: m.divergence(lambda X: np.zeros(3)), "energy must"),
    ],
)
def test_bad_input(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)
