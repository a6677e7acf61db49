import numpy as np
import pytest
from scipy.optimize import minimize

from lazyactive.numerics import features, kernels, sphere
from lazyactive.numerics.discrepancies.kl import kl_divergence
from lazyactive.numerics.discrepancies.stein import KERNELS, ksd, ksd_gradient
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import particles, stein, stein_lazy
from lazyactive.numerics.training.stein import SHARP, KernelDiscrepancy, SteinLoss

N, D, WIDTH = 300, 3, 5
KSD = KernelDiscrepancy()


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = sphere.normalize(sphere.uniform(N, D, rng) + np.array([0.5, 0, 0]))
    return X, 2 * rng.standard_normal((WIDTH, D)), 3 * rng.standard_normal(WIDTH)


def numpy_scores(X, neurons, weights, alpha, h):
    lengths = np.linalg.norm(neurons, axis=1)
    t = X @ (neurons.T / lengths)
    slope = (
        np.clip((t + h) / (2 * h), 0, 1) if alpha == 1 else alpha * np.maximum(t, 0) ** (alpha - 1)
    )
    coefficients = slope * weights * lengths ** (alpha - 1) / len(weights)
    return -sphere.tangent(X, coefficients @ neurons)


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_scores_are_those_of_numpy(problem, alpha):
    X, neurons, weights = problem
    got = SteinLoss.of(X, KSD, alpha, 0.2).scores(neurons, weights)
    np.testing.assert_allclose(got, numpy_scores(X, neurons, weights, alpha, 0.2), atol=1e-12)


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_without_a_ramp_the_score_is_that_of_the_energy(problem, alpha):
    X, neurons, weights = problem
    got = SteinLoss.of(X, KSD, alpha, SHARP).scores(neurons, weights)
    want = -sphere.tangent(X, features.grad_x(X, neurons, weights, alpha))
    np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_gradient_is_that_of_finite_differences(problem, alpha):
    X, neurons, weights = problem
    loss = SteinLoss.of(X, KSD, alpha, 0.4)
    _, field = loss.evaluate(neurons, weights)
    got = np.concatenate([part.ravel() for part in loss.gradient(neurons, weights, field)])
    flat = np.concatenate([neurons.ravel(), weights])

    def value(flat):
        return loss.evaluate(flat[: WIDTH * D].reshape(WIDTH, D), flat[WIDTH * D :])[0]

    # The derivative of the ramp has kinks: a point within a step of one costs O(step).
    step = 1e-6
    want = [(value(flat + e) - value(flat - e)) / (2 * step) for e in step * np.eye(len(flat))]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(got).max())


def test_psi_and_curvature_are_derivatives_along_a_new_neuron(problem):
    X, neurons, weights = problem
    loss = SteinLoss.of(X, KSD, 1)
    _, field = loss.evaluate(neurons, weights)
    theta = sphere.uniform(1, D, rng=4)
    values, slopes = loss.psi(theta, field)

    def perturbed(mass):
        grown = np.append(weights * (WIDTH + 1) / WIDTH, mass * (WIDTH + 1))
        return loss.evaluate(np.vstack([neurons, theta]), grown)[0]

    # The loss is a parabola in the mass.
    below, here, above = (perturbed(mass) for mass in (-0.5, 0.0, 0.5))
    assert values[0] == pytest.approx(above - below, rel=1e-9)
    assert loss.curvature(theta[0], field) == pytest.approx(
        4 * (above - 2 * here + below), rel=1e-7
    )
    assert slopes[0] @ theta[0] == pytest.approx(values[0], rel=1e-9)


def test_ramp_sees_the_jumps_that_the_derivative_misses():
    # Turn a neuron by 0.6 past the data: the loss of the true rectifier changes by an amount that
    # the gradient of the smoothed one integrates to, and that of the true one does not.
    rng = np.random.default_rng(0)
    X = PlantedEnergy(np.eye(1, D), np.array([5.0])).sample(3000, rng)
    weights = np.array([5.0])

    def neuron(angle):
        return np.array([[np.cos(angle), np.sin(angle), 0.0]])

    def along(loss, angle):
        _, field = loss.evaluate(neuron(angle), weights)
        slope, _ = loss.gradient(neuron(angle), weights, field)
        return slope[0] @ [-np.sin(angle), np.cos(angle), 0.0]

    sharp, smooth = SteinLoss.of(X, KSD, 1, SHARP), SteinLoss.of(X, KSD, 1)
    rise = sharp.evaluate(neuron(0.9), weights)[0] - sharp.evaluate(neuron(0.3), weights)[0]
    angles = np.linspace(0.3, 0.9, 61)
    integral = np.trapezoid([along(smooth, angle) for angle in angles], angles)
    missed = np.trapezoid([along(sharp, angle) for angle in angles], angles)
    assert integral == pytest.approx(rise, rel=0.03)
    assert abs(missed - rise) > 0.2 * rise


def test_blocks_are_averaged(problem):
    X, neurons, weights = problem
    scores = SteinLoss.of(X, KSD, 1).scores(neurons, weights)
    value, field = KernelDiscrepancy(block=100)(X, scores)
    parts = [
        ksd_gradient(X[i : i + 100], scores[i : i + 100], statistic="v") for i in (0, 100, 200)
    ]
    assert value == pytest.approx(np.mean([part[0] for part in parts]))
    np.testing.assert_allclose(field, np.vstack([part[1] for part in parts]) / 3)


def test_validation_is_unbiased_and_knows_its_error(problem):
    X, neurons, weights = problem
    values = SteinLoss.of(X, KSD, 1).pointwise(neurons, weights)
    want = ksd(X, -features.grad_x(X, neurons, weights))
    assert values.mean() == pytest.approx(want.value, rel=1e-10)
    assert values.std() / np.sqrt(N) == pytest.approx(want.standard_error, rel=0.1)


@pytest.mark.parametrize("kernel", KERNELS)
def test_profile_has_its_derivative(kernel):
    u, d = np.linspace(-0.9, 0.9, 19), 4
    discrepancy = KernelDiscrepancy(kernel, 0.7)
    value, slope = discrepancy.profile(u, d)
    above, below = discrepancy.profile(u + 1e-6, d)[0], discrepancy.profile(u - 1e-6, d)[0]
    np.testing.assert_allclose(slope, (above - below) / 2e-6, rtol=1e-7)
    want = kernels.rbf(u, 0.7) if kernel == "rbf" else kernels.arc_cosine(u, d, int(kernel[-2]))
    np.testing.assert_array_equal(value, want)


@pytest.mark.parametrize(("w", "sign"), [(8.0, 1.0), (-8.0, -1.0)])
def test_planted_neuron_is_found(w, sign):
    rng = np.random.default_rng(0)
    teacher = PlantedEnergy.random(1, 3, np.array([w]), rng)
    result = stein.fit(teacher.sample(600, rng), 1, rng, KSD, max_atoms=2)
    assert result.converged
    assert result.atoms.signs.tolist() == [sign]
    # The error has a standard deviation of about 0.8 in each coordinate.
    assert result.atoms.vectors[0] == pytest.approx(8 * teacher.directions[0], abs=2.5)


def test_no_atom_is_fitted_to_noise():
    # One standard error is no more: one data set in ten gets an atom.
    rng = np.random.default_rng(2)
    result = stein.fit(sphere.uniform(300, 3, rng), 1, rng, KSD, max_atoms=2)
    assert len(result.atoms.signs) == 0


def test_quadratic_activation():
    rng = np.random.default_rng(2)
    teacher = PlantedEnergy(np.eye(1, 3), np.array([3.0]), 2)
    X, fresh = teacher.sample(600, rng), teacher.sample(20_000, rng)
    result = stein.fit(X, 2, rng, KSD, penalty=0.01)
    model = features.energy(fresh, *result.atoms.network(), 2)
    uniform = kl_divergence(teacher.energy(fresh), np.zeros(len(fresh))).value
    assert kl_divergence(teacher.energy(fresh), model).value < 0.1 * uniform


@pytest.mark.parametrize("feature_rate", [0.0, 1.0])
def test_particles_descend(problem, feature_rate):
    X, _, _ = problem
    loss = SteinLoss.of(X, KSD, 1)
    state = particles.init(20, D, np.random.default_rng(3), 0.7)
    values = []
    for _ in range(100):
        state, info = particles.step(state, loss, 0.1, feature_rate)
        values.append(info.loss)
    assert (np.diff(values) <= 1e-12).all()
    assert values[-1] < 0.8 * values[0]


def planted_divergences(n, seed, width=2048):
    """Divergence after active and after lazy training on samples of one neuron."""
    rng = np.random.default_rng(seed)
    teacher = PlantedEnergy.random(1, 15, np.array([10.0]), rng)
    X, fresh = teacher.sample(n, rng), teacher.sample(20_000, rng)
    active = features.energy(fresh, *stein.fit(X, 1, rng, KSD, max_atoms=8).atoms.network())
    neurons = sphere.uniform(width, 15, rng)
    result = stein_lazy.fit(X, neurons, 1, rng, KSD)
    assert result.residual <= 1e-8
    lazy = features.energy(fresh, neurons, result.weights)
    energy = teacher.energy(fresh)
    return kl_divergence(energy, active).value, kl_divergence(energy, lazy).value


@pytest.mark.slow
def test_features_that_move_do_better():
    active, lazy = np.array([planted_divergences(1000, seed) for seed in range(1, 6)]).T
    assert np.mean(lazy) > 3 * np.mean(active)
    # 2.4 times that of the best estimator, d/(2n); a third for five data sets.
    assert np.mean(active) * 2 * 1000 / 15 == pytest.approx(2.4, abs=1.2)


@pytest.mark.slow
def test_ramp_leaves_no_bias_to_speak_of():
    # Halving the ramp moves the estimate by much less than its own error.
    weights = np.ones(1)
    rng = np.random.default_rng(5)
    X = PlantedEnergy(np.eye(1, 15), np.array([10.0])).sample(4000, rng)

    def estimate(factor):
        loss = SteinLoss.of(X, KernelDiscrepancy(block=2048), 1, factor * stein.ramp(4000, 15))

        def objective(v):
            value, field = loss.evaluate(v[None], weights)
            return value, loss.gradient(v[None], weights, field)[0][0]

        return minimize(objective, 9 * np.eye(15)[0], jac=True, method="L-BFGS-B").x

    change = np.linalg.norm(estimate(1.0) - estimate(0.5))
    spread = np.linalg.norm(estimate(1.0) - 10 * np.eye(15)[0])
    assert change < 0.5 * spread
