import pickle

import numpy as np
import pytest
from scipy.optimize import minimize

from lazyactive.numerics import features, sphere
from lazyactive.numerics.discrepancies.kl import kl_divergence
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import frozen_features, lazy


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    teacher = PlantedEnergy(sphere.uniform(1, 3, rng), np.array([5.0]))
    X, reference = teacher.sample(400, rng), sphere.orthogonal_uniform(6000, 3, rng)
    frozen = lazy.FrozenFeatures.of(sphere.uniform(40, 3, rng), 1)
    return frozen, frozen.evaluate(X).mean(axis=0), frozen.evaluate(reference)


def objective(a, moments, reference, penalty):
    return moments @ a + np.log(np.mean(np.exp(-reference @ a))) + penalty / 2 * a @ a


@pytest.mark.parametrize("penalty", [1e-2, 1e-4])
def test_solution_is_that_of_a_general_optimizer(problem, penalty):
    frozen, moments, reference = problem
    got = lazy.solve(moments, reference, frozen.spectrum, penalty, tol=1e-12)
    # Preconditioned coordinates: BFGS alone would stall on the spread of the spectrum.
    scale = 1 / np.sqrt(frozen.spectrum + penalty)
    want = minimize(
        lambda z: objective(scale * z, moments, reference, penalty),
        np.zeros(len(moments)),
        method="BFGS",
        options={"gtol": 1e-7},
    )
    value = objective(got.coordinates, moments, reference, penalty)
    assert value == pytest.approx(want.fun, abs=1e-10)
    np.testing.assert_allclose(got.coordinates, scale * want.x, atol=2e-4)
    assert got.optimality_gap <= 1e-12


def test_gap_bounds_what_is_left_to_gain(problem):
    frozen, moments, reference = problem
    penalty = 1e-3
    best = lazy.solve(moments, reference, frozen.spectrum, penalty, tol=1e-13)
    lowest = objective(best.coordinates, moments, reference, penalty)
    for max_iter in (0, 1, 2):
        early = lazy.solve(moments, reference, frozen.spectrum, penalty, max_iter=max_iter)
        left = objective(early.coordinates, moments, reference, penalty) - lowest
        assert 0 <= left <= early.optimality_gap


def test_spectrum_is_the_second_moment_of_the_features(problem):
    frozen, _, _ = problem
    phi = frozen.evaluate(sphere.uniform(200_000, 3, rng=9))
    for i, j in [(0, 0), (1, 1), (3, 3), (0, 1), (2, 5)]:
        products = phi[:, i] * phi[:, j]
        exact = frozen.spectrum[i] if i == j else 0.0
        # Five comparisons at 4.5 standard errors: false alarm 4e-5.
        assert abs(products.mean() - exact) <= 4.5 * products.std() / np.sqrt(len(phi))


def test_weights_give_the_rotated_energy(problem):
    frozen, _, _ = problem
    a = np.random.default_rng(1).standard_normal(len(frozen.spectrum))
    X = sphere.uniform(50, 3, rng=2)
    np.testing.assert_allclose(
        features.energy(X, frozen.neurons, frozen.output_weights(a)),
        frozen.evaluate(X) @ a,
        atol=1e-5,
    )


def test_truncation_keeps_whole_degrees():
    # 1 + 15 + 119 harmonics of degrees 0, 1, 2; degree 3 is absent and degree 4 has 2940.
    frozen = lazy.FrozenFeatures.of(sphere.uniform(1500, 15, rng=0), 1)
    assert len(frozen.spectrum) == 135


@pytest.mark.parametrize("m", [1100, 1500])
def test_leading_space_is_that_of_the_full_decomposition(m, monkeypatch):
    neurons = sphere.uniform(m, 15, rng=1)
    fast = lazy.FrozenFeatures.of(neurons, 1)
    monkeypatch.setattr(frozen_features, "_before_a_sure_gap", lambda *_: None)
    full = lazy.FrozenFeatures.of(neurons, 1)
    np.testing.assert_allclose(fast.spectrum, full.spectrum, rtol=1e-6)
    # Cosines of the angles between the two spaces.
    cosines = np.linalg.svd(fast.basis.T @ full.basis, compute_uv=False)
    assert cosines.min() > 1 - 1e-6


def test_no_gap_is_sure_where_degrees_run_into_each_other():
    gram = frozen_features._gram(sphere.uniform(700, 8, rng=0), 1)
    np.testing.assert_allclose(gram, gram.T, rtol=1e-12)
    assert frozen_features._before_a_sure_gap(gram, 44, 600) is None


@pytest.mark.parametrize("alpha", [0, 1, 2])
@pytest.mark.parametrize("n", [60, 10_000, 10_003])
def test_features_of_frames_are_those_of_their_points(n, alpha):
    frozen = lazy.FrozenFeatures.of(sphere.uniform(40, 5, rng=0), alpha)
    X = sphere.orthogonal_uniform(n, 5, rng=1)
    want = features.feature_matrix(X, frozen.neurons, alpha) @ frozen.basis / np.sqrt(40)
    for dtype in (np.float32, np.float64):
        got = frozen.evaluate(X, dtype)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_float32_features_give_the_solution_of_float64(problem):
    frozen, moments, reference = problem
    best = lazy.solve(moments, reference, frozen.spectrum, 1e-3, tol=1e-12)
    single = reference.astype(np.float32)
    precondition = lazy._curvature(single, np.zeros(len(moments)), 1e-3)
    got = lazy.solve(moments, single, frozen.spectrum, 1e-3, tol=1e-9, precondition=precondition)
    assert got.optimality_gap <= 1e-9
    left = objective(got.coordinates, moments, reference, 1e-3)
    left -= objective(best.coordinates, moments, reference, 1e-3)
    # The certificate, and rounding of features of size 0.1 at 1e-7.
    assert 0 <= left <= 1e-9 + 1e-8


@pytest.fixture(scope="module")
def starved():
    """More directions than a small reference can carry, and exact samples of a planted energy."""
    rng = np.random.default_rng(0)
    teacher = PlantedEnergy(np.eye(2, 10), np.array([8.0, 8.0]))
    reference, neurons = sphere.uniform(1000, 10, rng), sphere.uniform(300, 10, rng)
    return teacher.sample(300, rng), teacher.sample(5000, rng), reference, neurons


def test_penalty_does_not_fit_the_noise_of_a_small_reference(starved):
    X, held_out, reference, neurons = starved
    result = lazy.fit(X, reference, neurons, 1, np.random.default_rng(1))
    assert result.converged
    energy = features.energy(sphere.uniform(2**17, 10, rng=2), neurons, result.weights)
    log_z = np.log(np.mean(np.exp(-energy)))
    score = -features.energy(held_out, neurons, result.weights).mean() - log_z
    # The uniform density has 0. Were log Z taken from the points that are fitted, it would be -0.3.
    assert score > 0.1


@pytest.mark.parametrize("penalty", [1e-7, 1e-9])
def test_reference_that_is_too_small_is_named(starved, penalty):
    X, _, reference, neurons = starved
    with pytest.raises(lazy.ReferenceTooSmallError, match="larger penalty or n_reference") as info:
        lazy.fit(X, reference, neurons, 1, np.random.default_rng(1), penalty)
    again = pickle.loads(pickle.dumps(info.value))
    assert str(again) == str(info.value)
    assert again.estimate.ess < again.min_ess <= 300


def fitted_kl(width, n, w, seed):
    rng = np.random.default_rng(seed)
    teacher = PlantedEnergy(sphere.uniform(1, 15, rng), np.array([w]))
    X, fresh = teacher.sample(n, rng), teacher.sample(20_000, rng)
    neurons = sphere.uniform(width, 15, np.random.default_rng(seed + 1000))
    result = lazy.fit(X, sphere.orthogonal_uniform(2**15, 15, rng), neurons, 1, rng)
    assert result.converged
    assert result.optimality_gap <= 1e-6
    model = features.energy(fresh, neurons, result.weights)
    return kl_divergence(teacher.energy(fresh), model).value


@pytest.mark.slow
@pytest.mark.parametrize("w", [2.0, 10.0])
def test_doubling_the_width_changes_little(w):
    # The same three data sets at both widths: the mean relative change is known to about 3%.
    narrow = [fitted_kl(2048, 1000, w, seed) for seed in range(3)]
    wide = [fitted_kl(4096, 1000, w, seed) for seed in range(3)]
    assert np.mean(wide) / np.mean(narrow) == pytest.approx(1, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("w", "sharp", "tolerance"), [(10.0, 0.0823, 0.15), (2.0, 0.0150, 0.15)])
def test_mean_kl_is_the_sharp_value(w, sharp, tolerance):
    # Eight repetitions: standard error 2% (w = 10) and 5% (w = 2) of the mean.
    kl = [fitted_kl(2048, 1000, w, seed) for seed in range(20, 28)]
    assert np.mean(kl) == pytest.approx(sharp, rel=tolerance)
