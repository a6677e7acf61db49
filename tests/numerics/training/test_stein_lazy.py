import numpy as np
import pytest

from lazyactive.numerics import features, sphere
from lazyactive.numerics.discrepancies.stein import ksd, ksd_gradient
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import stein_lazy
from lazyactive.numerics.training.lazy import FrozenFeatures
from lazyactive.numerics.training.stein import KernelDiscrepancy
from lazyactive.numerics.training.validation import folds
from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.kernels import RBF, Stein

KSD = KernelDiscrepancy()


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = PlantedEnergy(np.eye(1, 3), np.array([5.0])).sample(90, rng)
    return X, sphere.uniform(30, 3, rng)


def scores(X, frozen, coordinates):
    weights = frozen.output_weights(coordinates)
    return -features.grad_x(X, frozen.neurons, weights, frozen.alpha)


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_gradient_matrix_is_the_gradient_of_the_energy(problem, alpha):
    X, neurons = problem
    frozen = FrozenFeatures.of(neurons, alpha)
    a = np.random.default_rng(1).standard_normal(len(frozen.spectrum))
    got = -stein_lazy.gradient_matrix(X, frozen) @ a
    np.testing.assert_allclose(got, sphere.tangent(X, scores(X, frozen, a)), atol=2e-5)


@pytest.mark.parametrize("kernel", ["rbf", "arc-cosine(2)"])
def test_moments_are_those_of_the_discrepancy(problem, kernel, monkeypatch):
    monkeypatch.setattr(stein_lazy, "CHUNK", 13)
    X, neurons = problem
    frozen = FrozenFeatures.of(neurons, 1)
    a = np.random.default_rng(1).standard_normal(len(frozen.spectrum))
    parts = np.array_split(np.random.default_rng(2).permutation(len(X)), 3)
    sums = stein_lazy.moments(X, parts, frozen, KernelDiscrepancy(kernel, 0.8))

    def rise(indices, statistic):
        points = X[indices]
        here, zero = (
            ksd(points, score, kernel, 0.8, statistic).value
            for score in (scores(points, frozen, a), np.zeros(points.shape))
        )
        return here - zero

    def quadratic(Q, L):
        return a @ Q @ a + 2 * L @ a

    training = quadratic(*sums.training(np.array([0, 2])))
    assert training == pytest.approx(rise(np.concatenate([parts[0], parts[2]]), "v"), rel=1e-4)
    assert quadratic(*sums.validation(1)) == pytest.approx(rise(parts[1], "u"), rel=1e-4)


@pytest.mark.parametrize("penalty", [1e-2, 1e-5])
def test_fit_is_the_dense_solution(problem, penalty):
    X, neurons = problem
    frozen = FrozenFeatures.of(neurons, 1)
    p = len(frozen.spectrum)
    jacobian = np.array([scores(X, frozen, e) for e in np.eye(p)])
    jacobian = np.array([sphere.tangent(X, part) for part in jacobian])
    zero = ksd_gradient(X, np.zeros(X.shape), statistic="v")[1]
    fields = np.array([ksd_gradient(X, part, statistic="v")[1] - zero for part in jacobian])
    hessian = jacobian.reshape(p, -1) @ fields.reshape(p, -1).T
    linear = jacobian.reshape(p, -1) @ zero.ravel()
    want = np.linalg.solve(hessian + 2 * penalty * np.eye(p), -linear)
    result = stein_lazy.fit(X, neurons, 1, np.random.default_rng(0), KSD, penalty)
    assert result.converged
    assert result.residual <= 1e-8
    assert result.penalty == penalty
    points = sphere.uniform(50, 3, rng=5)
    np.testing.assert_allclose(
        features.energy(points, neurons, result.weights),
        features.energy(points, neurons, frozen.output_weights(want)),
        rtol=1e-6,
        atol=1e-6,
    )


def test_gap_bounds_what_is_left_to_gain(problem, monkeypatch):
    X, neurons = problem
    penalty = 1e-3

    def loss(weights):
        score = -features.grad_x(X, neurons, weights)
        return ksd(X, score, statistic="v").value + penalty * np.mean(weights**2)

    best = stein_lazy.fit(X, neurons, 1, np.random.default_rng(0), KSD, penalty)
    # A wrong linear system, not refined: the certificate must tell.
    original = stein_lazy.solve
    monkeypatch.setattr(stein_lazy, "solve", lambda *problem: 0.9 * original(*problem))
    monkeypatch.setattr(stein_lazy, "MAX_REFINEMENTS", 0)
    early = stein_lazy.fit(X, neurons, 1, np.random.default_rng(0), KSD, penalty)
    assert not early.converged
    left = loss(early.weights) - loss(best.weights)
    assert 1e-6 < left <= early.optimality_gap


def test_penalty_is_the_best_on_held_out_data(problem):
    X, neurons = problem
    chosen = stein_lazy.fit(X, neurons, 1, np.random.default_rng(7), KSD).penalty

    def held_out(penalty):
        total = 0.0
        for training, validation in folds(len(X), np.random.default_rng(7)):
            scaled = penalty * len(X) / len(training)
            weights = stein_lazy.fit(X[training], neurons, 1, None, KSD, scaled).weights
            total += (
                len(validation)
                * ksd(X[validation], -features.grad_x(X[validation], neurons, weights)).value
            )
        return total

    here = held_out(chosen)
    assert here <= held_out(2 * chosen)
    assert here <= held_out(chosen / 2)


@pytest.mark.parametrize("degree", [1, 2])
def test_on_uniform_points_it_is_the_filter_of_weak_energies(degree):
    # The degree of the energy is that of the data, times mu rho / (mu rho + lambda).
    d, n, width = 3, 1500, 400
    activation = float(ReLUPower(1).coefficient(degree, d))
    signal = activation**2 * np.exp(Stein(RBF()).log_eigenvalues(d, degree)[degree])
    penalty = signal / 2
    ratios = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, neurons = sphere.uniform(n, d, rng), sphere.uniform(width, d, rng)
        weights = stein_lazy.fit(X, neurons, 1, rng, KSD, penalty).weights

        def moment(points, masses):
            if degree == 1:
                return masses @ points
            return np.einsum("i,ij,ik->jk", masses, points, points) - masses.sum() * np.eye(d) / d

        data = -moment(X, np.full(n, 1 / n))
        model = activation * moment(neurons, weights / width)
        ratios.append(np.sum(data * model) / np.sum(data**2))
    error = np.std(ratios, ddof=1) / np.sqrt(len(ratios))
    assert error < 0.05
    # Student's t with five degrees of freedom: false alarm 3e-3 each, seeds fixed. Finite n and
    # width bend the filter by about a percent.
    assert abs(np.mean(ratios) - signal / (signal + penalty)) <= 5 * error + 0.01
