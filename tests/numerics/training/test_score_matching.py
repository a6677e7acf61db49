import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize

from lazyactive.numerics import features, sphere
from lazyactive.numerics._score_matching_kernels import kernels
from lazyactive.numerics.discrepancies.kl import kl_divergence
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import score_matching, sparse
from lazyactive.numerics.training.score_matching import (
    ScoreMatching,
    bump_width,
    move,
    move_by,
    noise_level,
)
from lazyactive.numerics.training.stein import SHARP

N, D, WIDTH = 300, 3, 5
LOSSES = ["implicit", "denoising"]


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = sphere.normalize(sphere.uniform(N, D, rng) + np.array([0.5, 0, 0]))
    return X, 2 * rng.standard_normal((WIDTH, D)), 3 * rng.standard_normal(WIDTH)


def loss_of(kind, X, alpha, half_width=0.4):
    if kind == "implicit":
        return ScoreMatching.of_implicit(X, alpha, half_width)
    return ScoreMatching.of_denoising(X, alpha, 0.2, np.random.default_rng(1), half_width)


def smoothed(t, alpha, h, order):
    """A derivative of the activation, convolved with the bump by quadrature."""
    derivative = {0: 1, 1: alpha, 2: alpha * (alpha - 1)}[order]
    power = alpha - order

    def integrand(u):
        return 15 / 16 * (1 - u**2) ** 2 * derivative * max(t - h * u, 0) ** power * (t - h * u > 0)

    return quad(integrand, -1, 1, points=[np.clip(t / h, -1, 1)], epsabs=1e-12)[0]


def profile(t, alpha, h, d=D):
    cosines = np.atleast_2d(t)
    slopes, laplacians = np.empty_like(cosines), np.empty_like(cosines)
    kernels(alpha).profile(cosines, d, h, slopes, laplacians)
    return slopes[0], laplacians[0]


@pytest.mark.parametrize("alpha", [1, 2])
def test_activation_is_convolved_with_the_bump(alpha):
    t, h = np.array([-0.5, -0.2, -0.05, 0.0, 0.1, 0.25, 0.6]), 0.3
    slopes, laplacians = profile(t, alpha, h)
    want = [smoothed(s, alpha, h, 1) for s in t]
    np.testing.assert_allclose(slopes, want, atol=1e-9)
    second = (laplacians + (D - 1) * t * slopes) / (1 - t**2)
    if alpha == 2:
        np.testing.assert_allclose(second, [smoothed(s, 2, h, 2) for s in t], atol=1e-9)
    else:
        inside = np.abs(t) < h
        np.testing.assert_allclose(second, inside * 15 / 16 / h * (1 - (t / h) ** 2) ** 2)


@pytest.mark.parametrize("alpha", [2, 3])
def test_laplacian_is_the_divergence_of_the_gradient(problem, alpha):
    # Along two orthonormal geodesics through each point.
    X, neurons, weights = problem
    got = -ScoreMatching.of_implicit(X, alpha, SHARP).linear(neurons, weights)
    first = sphere.normalize(sphere.tangent(X, np.tile(np.eye(3)[2], (N, 1))))
    step, want = 1e-4, np.zeros(N)
    for direction in (first, np.cross(X, first)):
        f = [
            np.maximum(sphere.exponential(X, s * direction) @ neurons.T, 0) ** alpha @ weights
            for s in (-step, 0.0, step)
        ]
        want += (f[0] - 2 * f[1] + f[2]) / (WIDTH * step**2)
    # For alpha = 2 the second derivative jumps within a step of a kink: about one point in 1000.
    wrong = np.abs(got - want) > 1e-5 * np.abs(want).max()
    assert wrong.sum() <= (2 if alpha == 2 else 0)


@pytest.mark.parametrize("kind", LOSSES)
def test_value_is_that_of_numpy(problem, kind):
    X, neurons, weights = problem
    loss = loss_of(kind, X, 1)
    lengths = np.linalg.norm(neurons, axis=1)
    units, masses = neurons / lengths[:, None], weights * lengths / WIDTH

    def gradient(half_width):
        slopes = profile((loss.X @ units.T).ravel(), 1, half_width)[0].reshape(-1, WIDTH)
        return sphere.tangent(loss.X, (slopes * masses) @ units)

    if kind == "implicit":
        assert loss.quadratic_width == pytest.approx(0.4 / np.sqrt(2))
        curved = profile((loss.X @ units.T).ravel(), 1, 0.4)[1].reshape(-1, WIDTH)
        linear = -curved @ masses
    else:
        # The variance of a bump is a seventh of its squared half-width.
        assert loss.quadratic_width**2 / 7 == pytest.approx((0.4**2 / 7 + 0.2**2) / 2)
        linear = np.sum(gradient(0.4) * loss.targets, axis=1)
    want = np.sum(gradient(loss.quadratic_width) ** 2, axis=1) / 2 + linear
    assert loss.evaluate(neurons, weights)[0] == pytest.approx(want.mean(), rel=1e-12)
    np.testing.assert_allclose(
        loss.pointwise(neurons, weights), want.reshape(N, -1).mean(axis=1), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_gradient_is_that_of_finite_differences(problem, kind, alpha):
    X, neurons, weights = problem
    loss = loss_of(kind, X, alpha)
    _, field = loss.evaluate(neurons, weights)
    got = np.concatenate([part.ravel() for part in loss.gradient(neurons, weights, field)])
    flat = np.concatenate([neurons.ravel(), weights])

    def value(flat):
        return loss.evaluate(flat[: WIDTH * D].reshape(WIDTH, D), flat[WIDTH * D :])[0]

    step = 1e-6
    want = [(value(flat + e) - value(flat - e)) / (2 * step) for e in step * np.eye(len(flat))]
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7 * np.abs(got).max())


@pytest.mark.parametrize("kind", LOSSES)
def test_psi_and_curvature_are_derivatives_along_a_new_neuron(problem, kind):
    X, neurons, weights = problem
    loss = loss_of(kind, X, 1)
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


@pytest.mark.parametrize("kind", LOSSES)
def test_single_precision_agrees(problem, kind):
    X, neurons, weights = problem
    double = loss_of(kind, X, 1)
    single = double.coarse()
    assert single.X.dtype == np.float32
    assert single.coarse() is single
    (value, field), (want, exact) = (part.evaluate(neurons, weights) for part in (single, double))
    assert value == pytest.approx(want, rel=1e-5)
    for got, reference in zip(
        single.gradient(neurons, weights, field),
        double.gradient(neurons, weights, exact),
        strict=True,
    ):
        np.testing.assert_allclose(got, reference, atol=1e-4 * np.abs(reference).max())


@pytest.mark.parametrize("kind", LOSSES)
def test_excess_is_the_fisher_divergence(kind):
    # E J(f) - E J(f*) = E |grad(f - f*)|^2 / 2, without a kink.
    rng = np.random.default_rng(3)
    truth, other = (
        PlantedEnergy(directions, np.array([weight]), 3)
        for directions, weight in ((np.eye(1, 3), 4.0), (np.array([[0.6, 0.8, 0.0]]), 5.0))
    )
    X = truth.sample(40_000, rng)
    noise = 0.01
    loss = (
        ScoreMatching.of_implicit(X, 3)
        if kind == "implicit"
        else ScoreMatching.of_denoising(X, 3, noise, rng)
    )
    excess = [loss.pointwise(f.directions, f.weights) for f in (other, truth)]
    gradients = [
        3 * f.weights * np.maximum(X @ f.directions.T, 0) ** 2 * f.directions
        for f in (other, truth)
    ]
    gap = sphere.tangent(X, gradients[0] - gradients[1])
    difference = excess[0] - excess[1] - np.sum(gap**2, axis=1) / 2
    standard_error = difference.std() / np.sqrt(len(X))
    assert np.mean(np.sum(gap**2, axis=1)) / 2 > 50 * standard_error
    # False alarm 7e-6 each, seeds fixed. Noise of 0.01 moves the mean by about 1e-4 of itself.
    assert abs(difference.mean()) <= 4.5 * standard_error


def test_implicit_and_denoising_agree_as_noise_vanishes():
    rng = np.random.default_rng(5)
    X = PlantedEnergy(np.eye(1, 3), np.array([4.0]), 3).sample(2000, rng)
    neurons, weights = 1.5 * sphere.uniform(4, 3, rng), 3 * rng.standard_normal(4)
    want = ScoreMatching.of_implicit(X, 3).pointwise(neurons, weights)
    loss = ScoreMatching.of_denoising(X, 3, 1e-3, rng, n_pairs=64)
    excess = loss.pointwise(neurons, weights) - want
    error = excess.std() / np.sqrt(len(X))
    assert error < 0.02 * np.abs(want).mean()
    # The same data: what is left is the noise of the moves. False alarm 7e-6, seed fixed.
    assert abs(excess.mean()) <= 4.5 * error


def test_targets_are_the_score_of_the_density_of_the_moved():
    # In R^3 by quadrature over x about the point y, and differences of the density in y.
    noise = 0.6
    frame = np.linalg.qr(np.column_stack([[0.48, 0.6, 0.64], np.eye(3)[:, :2]]))[0].T
    y = frame[0]
    cosine, cosine_weights = np.polynomial.legendre.leggauss(200)
    angle = 2 * np.pi * np.arange(200) / 200
    sine = np.sqrt(1 - cosine**2)[:, None]
    parts = (cosine[:, None], sine * np.cos(angle), sine * np.sin(angle))
    X = np.stack(np.broadcast_arrays(*parts), axis=-1).reshape(-1, 3) @ frame
    mass = np.repeat(cosine_weights, 200) * np.exp(-4 * np.maximum(X[:, 0], 0) ** 3)

    def kernel(point):
        r = sphere.distance(X, np.broadcast_to(point, X.shape))
        return np.exp(-(r**2) / (2 * noise**2)) * r / np.sin(r)

    def log_density(point):
        return np.log(mass @ kernel(point))

    moved, targets = move_by(X, sphere.logarithm(X, np.broadcast_to(y, X.shape)), noise)
    np.testing.assert_allclose(moved, np.broadcast_to(y, X.shape), atol=1e-10)
    posterior = mass * kernel(y)
    got = posterior @ targets / posterior.sum()
    step = 1e-4
    for tangent in frame[1:]:
        ahead, behind = (np.cos(s) * y + np.sin(s) * tangent for s in (step, -step))
        want = (log_density(ahead) - log_density(behind)) / (2 * step)
        assert got @ tangent == pytest.approx(want, rel=1e-4, abs=1e-4)


def test_moves_are_antithetic_geodesics_with_their_targets():
    rng = np.random.default_rng(6)
    X = sphere.uniform(20_000, 5, rng)
    noise = 0.3
    moved, targets = move(X, noise, rng)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=2), 1, rtol=1e-12)
    there, back = (sphere.logarithm(X, moved[:, side]) for side in (0, 1))
    np.testing.assert_allclose(there, -back, atol=1e-9)
    # Four coordinates in 20 000 tangents: the variance is known to 0.5%, 4.5 times that.
    assert np.sum(there**2) / (4 * len(X)) == pytest.approx(noise**2, rel=0.023)
    for side in (0, 1):
        Y = moved[:, side]
        back_to_x = sphere.logarithm(Y, X)
        r = np.linalg.norm(back_to_x, axis=1, keepdims=True)
        pull = r / noise**2 - 3 * (1 / r - 1 / np.tan(r))
        np.testing.assert_allclose(targets[:, side], pull * back_to_x / r, atol=1e-8)


def test_tiny_and_huge_moves_have_finite_targets():
    rng = np.random.default_rng(7)
    X = sphere.uniform(500, 3, rng)
    for noise in (1e-9, 1.1):
        moved, targets = move(X, noise, rng)
        assert np.isfinite(targets).all()
        assert (sphere.distance(X, moved[:, 0]) < np.pi).all()


def test_bump_biases_a_mass_to_second_order_only():
    # One neuron in R^3: the mass at the minimum of the population loss, by quadrature.
    w = 6.0
    edges = np.array([-1.0, -0.2, -0.1, 0.0, 0.1, 0.2, 1.0])
    nodes, node_weights = np.polynomial.legendre.leggauss(60)
    half = np.diff(edges)[:, None] / 2
    t = (edges[:-1, None] + half * (nodes + 1)).ravel()
    density = (half * node_weights).ravel() * np.exp(-w * np.maximum(t, 0))

    def relative_bias(h, quadratic_width):
        _, curved = profile(t, 1, h)
        steep, _ = profile(t, 1, quadratic_width)
        return (density @ curved) / (density @ (steep**2 * (1 - t**2))) / w - 1

    bias = np.array([relative_bias(h, h / np.sqrt(2)) for h in (0.1, 0.2)])
    one_bump = np.array([relative_bias(h, h) for h in (0.1, 0.2)])
    assert (one_bump > 0.03).all()
    assert (np.abs(bias) < 0.2 * one_bump).all()


def test_noise_of_an_average_of_bumps():
    # (5/7) p(0) / h with p(0) = 1/2 on the sphere of R^3; the slope in the Laplacian adds 2/3.
    h, n = 0.02, 200_000
    X = sphere.uniform(n, 3, rng=8)
    values = ScoreMatching.of_implicit(X, 1, h).linear(np.eye(1, 3), np.ones(1))
    # About 2% of the points are in the bump: the variance is known to 1.5%, three times that.
    assert values.var() == pytest.approx(5 / 7 * 0.5 / h + 2 / 3, rel=0.045)


def test_rules_fall_as_stated():
    assert bump_width(3000, 15) == pytest.approx(3 / 15**0.5 * 0.005**0.2)
    assert noise_level(3000, 15) == pytest.approx(0.25 / 15**0.5 * 0.005**0.25)
    assert bump_width(3, 15) == 1.0


def test_rule_balances_bias_and_noise():
    # A tenth of the bump of the rule is much noisier, and ten times it much more biased.
    w, n, factors = -6.0, 2000, (0.1, 1.0, 10.0)
    divergences = np.zeros(len(factors))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        teacher = PlantedEnergy(np.eye(1, 3), np.array([w]))
        X, fresh = teacher.sample(n, rng), teacher.sample(4000, rng)

        def objective(v, loss):
            value, field = loss.evaluate(v[None], np.array([-1.0]))
            return value, loss.gradient(v[None], np.array([-1.0]), field)[0][0]

        for i, factor in enumerate(factors):
            loss = ScoreMatching.of_implicit(X, 1, factor * bump_width(n, 3))
            v = minimize(objective, np.array([5.5, 0.5, 0.5]), (loss,), jac=True).x
            model = -np.maximum(fresh @ v, 0)
            divergences[i] += kl_divergence(teacher.energy(fresh), model).value
    assert divergences[1] < divergences[0] / 2
    assert divergences[1] < divergences[2] / 2


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize(("w", "sign"), [(8.0, 1.0), (-8.0, -1.0)])
def test_planted_neuron_is_found(kind, w, sign):
    rng = np.random.default_rng(0)
    teacher = PlantedEnergy.random(1, 3, np.array([w]), rng)
    X = teacher.sample(600, rng)
    result = score_matching.fit(X, trained(kind, X, rng), rng, max_atoms=2)
    assert result.converged
    assert result.atoms.signs.tolist() == [sign]
    # The error has a standard deviation of about 0.8 in each coordinate.
    assert result.atoms.vectors[0] == pytest.approx(8 * teacher.directions[0], abs=2.5)


def trained(kind, X, rng, alpha=1):
    n, d = X.shape
    if kind == "implicit":
        return score_matching.implicit(n, d, alpha)
    return score_matching.denoising(n, d, alpha, noise_level(n, d), rng)


@pytest.mark.parametrize("kind", LOSSES)
def test_no_atom_is_fitted_to_noise(kind):
    # One standard error is no more: one data set in ten gets an atom.
    rng = np.random.default_rng(2)
    X = sphere.uniform(300, 3, rng)
    result = score_matching.fit(X, trained(kind, X, rng), rng, max_atoms=2)
    assert len(result.atoms.signs) == 0


@pytest.mark.slow
def test_planted_neuron_is_recovered_nearly_as_well_as_by_likelihood():
    divergences = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        teacher = PlantedEnergy.random(1, 5, np.array([5.0]), rng)
        X, fresh = teacher.sample(5000, rng), teacher.sample(20_000, rng)
        reference = sphere.orthogonal_uniform(2**15, 5, rng)
        fits = [
            score_matching.fit(X, trained(kind, X, rng), rng, max_atoms=2) for kind in LOSSES
        ] + [sparse.fit(X, reference, 1, rng, max_atoms=2)]
        models = [features.energy(fresh, *result.atoms.network()) for result in fits]
        energy = teacher.energy(fresh)
        divergences.append([kl_divergence(energy, model).value for model in models])
    implicit, denoising, likelihood = np.mean(divergences, axis=0)
    print(
        f"KL over that of the likelihood: {implicit / likelihood:.2f} implicit, "
        f"{denoising / likelihood:.2f} by denoising"
    )
    # Each divergence is known to a factor of two from two data sets of five parameters each.
    assert implicit < 5 * likelihood
    assert denoising < 5 * likelihood
