import numpy as np
import pytest
from scipy.optimize import minimize

from lazyactive.numerics import features, sphere
from lazyactive.numerics.discrepancies.f1_stein import f1_stein_discrepancy, stein_means
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import stein_f1
from lazyactive.numerics.training.lazy import FrozenFeatures
from lazyactive.numerics.training.sparse import Atoms
from lazyactive.numerics.training.stein import SteinLoss

D = 3


@pytest.fixture(scope="module")
def X():
    return PlantedEnergy(np.eye(1, D), np.array([5.0])).sample(200, rng=0)


def scores_of(X, seed=1):
    return sphere.tangent(X, np.random.default_rng(seed).standard_normal(X.shape))


def some_witnesses(X, alpha=1, n=12):
    return stein_f1.Witnesses.of(X, alpha, sphere.uniform(n, D, 3), np.arange(n) % D)


@pytest.mark.parametrize("alpha", [1, 2])
def test_witnesses_mean_what_the_discrepancy_means(X, alpha):
    scores, witnesses = scores_of(X), some_witnesses(X, alpha)
    want = stein_means(X, scores, witnesses.neurons, alpha)[np.arange(12), witnesses.coordinates]
    np.testing.assert_allclose(witnesses.means(scores), want, rtol=1e-12, atol=1e-14)
    largest = np.max(np.abs(want).reshape(-1, D), axis=0)
    assert witnesses(X, scores)[0] == pytest.approx(largest @ largest, rel=1e-12)
    pointwise = witnesses.pointwise(X, scores)
    assert pointwise.mean() == pytest.approx(largest @ largest, rel=1e-10)
    # Each point enters by its own term: half of the points have the terms of the whole.
    rescaled = (
        2
        * np.sum(
            stein_f1.Witnesses.of(X[:100], alpha, witnesses.neurons, witnesses.coordinates).means(
                scores[:100]
            )
            * largest_signed(want)
        )
        - largest @ largest
    )
    assert pointwise[:100].mean() == pytest.approx(rescaled, rel=1e-10)


def largest_signed(v):
    """v where it is the largest of its coordinate, else zero."""
    best = np.zeros(len(v))
    for i in range(D):
        group = np.arange(i, len(v), D)
        k = group[np.argmax(np.abs(v[group]))]
        best[k] = v[k]
    return best


@pytest.mark.parametrize("alpha", [1, 2])
def test_search_finds_what_many_starts_find(X, alpha):
    scores = scores_of(X)
    want = f1_stein_discrepancy(X, scores, alpha=alpha, n_starts=64, rng=0).value ** 2
    value, found = stein_f1.Witnesses.search(X, scores, alpha, np.random.default_rng(1))
    assert found(X, scores)[0] == pytest.approx(value, rel=1e-10)
    assert 0.9 * want <= value <= 1.001 * want
    again, _ = stein_f1.Witnesses.search(X, scores, alpha, np.random.default_rng(2), found)
    assert again >= value * (1 - 1e-12)


def test_field_is_the_derivative_in_the_scores(X):
    witnesses, scores, direction, step = some_witnesses(X), scores_of(X), scores_of(X, 2), 1e-6
    _, field = witnesses(X, scores)
    rise = witnesses(X, scores + step * direction)[0] - witnesses(X, scores - step * direction)[0]
    assert np.sum(field * direction) == pytest.approx(rise / (2 * step), rel=1e-6)


@pytest.mark.parametrize("penalty", [1.0, 1e-2])
def test_least_distance_is_that_of_a_general_optimizer(penalty):
    rng = np.random.default_rng(0)
    rows, offsets, coordinates = (
        rng.standard_normal((12, 4)),
        rng.standard_normal(12),
        np.arange(12) % 3,
    )
    got = stein_f1.least_distance(rows, offsets, coordinates, penalty)

    def objective(a):
        v = (offsets + rows @ a).reshape(-1, 3)
        return penalty * a @ a + np.sum(np.max(v**2, axis=0))

    assert got.value == pytest.approx(objective(got.point), rel=1e-9)
    # The same problem with the maxima as variables.
    want = minimize(
        lambda x: penalty * x[:4] @ x[:4] + x[4:] @ x[4:],
        np.append(np.zeros(4), np.full(3, 5.0)),
        constraints=[
            {
                "type": "ineq",
                "fun": lambda x, s=s: x[4:][coordinates] - s * (offsets + rows @ x[:4]),
            }
            for s in (1, -1)
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert got.value == pytest.approx(want.fun, rel=1e-6)
    np.testing.assert_allclose(got.point, want.x[:4], atol=1e-4)
    # Stationary: the multipliers are the derivatives of the loss in v.
    np.testing.assert_allclose(got.multipliers @ rows + 2 * penalty * got.point, 0, atol=1e-8)


@pytest.mark.parametrize("alpha", [1, 2])
def test_derivatives_in_the_atoms(X, alpha):
    witnesses = some_witnesses(X, alpha)
    loss = SteinLoss.of(X, witnesses, alpha)
    atoms = Atoms(np.array([[1.0, 2.0, 0.5], [-0.3, 0.4, 1.0]]), np.array([1.0, -1.0]))
    rows = stein_f1._derivatives(loss, atoms, witnesses)
    direction, step = np.random.default_rng(4).standard_normal((2, D)), 1e-6
    ends = [
        witnesses.means(loss.scores(*Atoms(atoms.vectors + s * direction, atoms.signs).network()))
        for s in (step, -step)
    ]
    np.testing.assert_allclose(
        rows @ direction.ravel(), (ends[0] - ends[1]) / (2 * step), rtol=1e-4, atol=1e-7
    )


def test_derivatives_in_the_frozen_weights(X):
    frozen_features = FrozenFeatures.of(sphere.uniform(25, D, rng=3), 1)
    frozen = stein_f1._Frozen.of(X, frozen_features)
    witnesses = some_witnesses(X)
    point = np.random.default_rng(5).standard_normal(frozen.gradients.shape[2])
    weights = frozen_features.output_weights(point)
    score = -sphere.tangent(X, features.grad_x(X, frozen_features.neurons, weights))
    linear = witnesses.offsets + frozen.derivatives(witnesses) @ point
    np.testing.assert_allclose(linear, witnesses.means(score), rtol=1e-4, atol=1e-4)


def test_lazy_bounds_enclose_the_optimum(X):
    neurons, penalty = sphere.uniform(25, D, rng=3), 1e-3
    result = stein_f1.fit_lazy(X, neurons, 1, np.random.default_rng(4), penalty)
    assert result.converged

    def loss(weights):
        score = -features.grad_x(X, neurons, weights)
        found = f1_stein_discrepancy(X, score, n_starts=64, rng=5)
        return found.value**2 + penalty * np.mean(weights**2)

    value = loss(result.weights)
    # Two percent, and what a more thorough search finds: of 200 points each makes v jump by 1/200.
    assert result.optimality_gap <= 0.15 * value
    assert loss(0 * result.weights) > 1.5 * value
    rng = np.random.default_rng(6)
    for scale in (0.03, 0.1, 0.3):
        other = result.weights + scale * np.std(result.weights) * rng.standard_normal(25)
        assert loss(other) >= value - result.optimality_gap


def test_lazy_penalty_is_chosen():
    rng = np.random.default_rng(4)
    teacher = PlantedEnergy(np.eye(1, D), np.array([8.0]))
    neurons = sphere.uniform(60, D, rng)
    result = stein_f1.fit_lazy(teacher.sample(1000, rng), neurons, 1, rng)
    assert result.converged
    Z = sphere.uniform(2000, D, rng)
    energy = features.energy(Z, neurons, result.weights)
    assert np.corrcoef(energy, teacher.energy(Z))[0, 1] > 0.9


def test_active_fit_finds_the_neuron_and_its_sign():
    rng = np.random.default_rng(7)
    teacher = PlantedEnergy.random(1, D, np.array([8.0]), rng)
    result = stein_f1.fit(teacher.sample(600, rng), 1, rng, penalty=1e-4, max_atoms=1)
    assert result.atoms.signs.tolist() == [1.0]
    # The error has a standard deviation of about 0.8 in each coordinate.
    assert result.atoms.vectors[0] == pytest.approx(8 * teacher.directions[0], abs=2.5)


def test_descent_ends_where_no_small_move_helps(X):
    rng = np.random.default_rng(9)
    atoms = Atoms(np.array([[-1.0, 2.0, 0.5]]), np.ones(1))
    _, witnesses = stein_f1.Witnesses.search(X, np.zeros(X.shape), 1, rng)
    stage = stein_f1._settle(atoms, witnesses, 1e-3, rng, 0.02)
    assert stage.converged

    def loss(vectors):
        moved = Atoms(vectors, atoms.signs)
        scores = SteinLoss.of(X, witnesses, 1).scores(*moved.network())
        found = f1_stein_discrepancy(X, scores, rng=5)
        return found.value**2 + 1e-3 * moved.masses(1).sum()

    value = loss(stage.atoms.vectors)
    assert value < 0.5 * loss(atoms.vectors)
    for scale in (0.1, 0.5):
        for _ in range(5):
            move = scale * rng.standard_normal((1, D))
            assert loss(stage.atoms.vectors + move) >= 0.93 * value


def test_held_out_data_choose_no_atom_for_noise():
    rng = np.random.default_rng(8)
    result = stein_f1.fit(sphere.uniform(200, D, rng), 1, rng, max_atoms=1)
    assert len(result.atoms.signs) == 0
