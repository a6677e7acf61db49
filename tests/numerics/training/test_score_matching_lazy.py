import numpy as np
import pytest

from lazyactive.numerics import sphere
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import score_matching_lazy, stein_lazy
from lazyactive.numerics.training.lazy import FrozenFeatures
from lazyactive.numerics.training.score_matching import ScoreMatching
from lazyactive.numerics.training.validation import folds

KINDS = ["implicit", "denoising"]


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = PlantedEnergy(np.eye(1, 3), np.array([5.0])).sample(90, rng)
    return X, sphere.uniform(30, 3, rng)


def loss_of(kind, X, alpha=1):
    if kind == "implicit":
        return ScoreMatching.of_implicit(X, alpha, 0.5)
    return ScoreMatching.of_denoising(X, alpha, 0.1, np.random.default_rng(1), 0.5)


def pointwise(loss, frozen, coordinates):
    return loss.pointwise(frozen.neurons, frozen.output_weights(coordinates))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_moments_are_those_of_the_loss(problem, kind, alpha, monkeypatch):
    monkeypatch.setattr(score_matching_lazy, "CHUNK", 13)
    X, neurons = problem
    loss, frozen = loss_of(kind, X, alpha), FrozenFeatures.of(neurons, alpha)
    a = np.random.default_rng(1).standard_normal(len(frozen.spectrum))
    parts = np.array_split(np.random.default_rng(2).permutation(len(X)), 3)
    sums = score_matching_lazy.moments(loss, parts, frozen)
    values = pointwise(loss, frozen, a)

    def value(quadratic, linear):
        return a @ quadratic @ a + 2 * linear @ a

    training = value(*sums.training(np.array([0, 2])))
    assert training == pytest.approx(values[np.concatenate([parts[0], parts[2]])].mean(), rel=1e-4)
    assert value(*sums.validation(1)) == pytest.approx(values[parts[1]].mean(), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("penalty", [1e-2, 1e-5])
def test_fit_is_the_dense_solution(problem, kind, penalty):
    # The quadratic is read off the loss itself: values at the unit vectors and their sums.
    X, neurons = problem
    loss, frozen = loss_of(kind, X), FrozenFeatures.of(neurons, 1)
    basis = np.eye(len(frozen.spectrum))
    scores = np.array([loss.scores(neurons, frozen.output_weights(e)).ravel() for e in basis])
    linear = np.array([loss.linear(neurons, frozen.output_weights(e)).mean() for e in basis])
    hessian = scores @ scores.T / len(loss.X) + 2 * penalty * basis
    want = frozen.output_weights(np.linalg.solve(hessian, -linear))
    result = score_matching_lazy.fit(loss, neurons, np.random.default_rng(0), penalty)
    assert result.converged
    assert result.residual <= 1e-8
    assert result.penalty == penalty
    points = sphere.uniform(50, 3, rng=5)
    activations = np.maximum(points @ neurons.T, 0)
    np.testing.assert_allclose(
        activations @ result.weights, activations @ want, rtol=1e-6, atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_gap_bounds_what_is_left_to_gain(problem, kind, monkeypatch):
    X, neurons = problem
    loss, penalty = loss_of(kind, X), 1e-3

    def penalized(weights):
        return loss.evaluate(neurons, weights)[0] + penalty * np.mean(weights**2)

    best = score_matching_lazy.fit(loss, neurons, np.random.default_rng(0), penalty)
    # A wrong linear system, not refined: the certificate must tell.
    original = stein_lazy.solve
    monkeypatch.setattr(stein_lazy, "solve", lambda *problem: 0.9 * original(*problem))
    monkeypatch.setattr(stein_lazy, "MAX_REFINEMENTS", 0)
    early = score_matching_lazy.fit(loss, neurons, np.random.default_rng(0), penalty)
    assert not early.converged
    left = penalized(early.weights) - penalized(best.weights)
    assert 1e-6 < left <= early.optimality_gap


@pytest.mark.parametrize("kind", KINDS)
def test_penalty_is_the_best_on_held_out_data(problem, kind):
    X, neurons = problem
    loss = loss_of(kind, X)
    chosen = score_matching_lazy.fit(loss, neurons, np.random.default_rng(7)).penalty
    frozen = FrozenFeatures.of(neurons, 1)
    splits = list(folds(len(X), np.random.default_rng(7)))

    def held_out(penalty):
        total = 0.0
        for training, validation in splits:
            sums = score_matching_lazy.moments(loss, [training], frozen)
            scaled = penalty * len(X) / len(training)
            a = stein_lazy.solve(*sums.training(np.array([0])), np.array([scaled]))[0]
            total += pointwise(loss, frozen, a)[validation].sum()
        return total

    here = held_out(chosen)
    assert here <= held_out(2 * chosen)
    assert here <= held_out(chosen / 2)


def test_points_in_single_precision_are_refused_a_certificate_they_cannot_have(problem):
    X, neurons = problem
    loss = loss_of("implicit", X).coarse()
    result = score_matching_lazy.fit(loss, neurons, np.random.default_rng(0), 1e-3)
    assert not result.converged
    assert 1e-8 < result.residual < 1e-4
