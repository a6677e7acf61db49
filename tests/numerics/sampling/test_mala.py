r"""MALA against exact detailed balance, at step sizes where rejection matters."""

import numpy as np
import pytest
from scipy import stats

from lazyactive.numerics import sphere
from lazyactive.numerics.sampling import mala
from lazyactive.numerics.teachers import PlantedEnergy

# d, weight of each of two attracting neurons, step size: at stationarity 30% or more is refused.
CASES = [(2, -6.0, 0.8), (3, -10.0, 0.3), (15, -40.0, 0.04), (15, 60.0, 0.05), (50, -100.0, 0.008)]


def target(d, w):
    """A planted energy with its Euclidean gradient, written down independently."""
    teacher = PlantedEnergy.random(2, d, w, rng=d)

    def gradient(X):
        active = X @ teacher.directions.T > 0
        return (active * teacher.weights) @ teacher.directions / 2

    return teacher, gradient


def log_transition_density(x, y, gradient, h):
    """Density of the proposal with respect to the sphere's volume, on its own geometry.

    v = log_x(y) from arccos; the exponential map's volume factor is (sin r / r)^{d-2}.
    """
    d = x.shape[1]
    cosine = np.sum(x * y, axis=1)
    r = np.arccos(cosine)
    v = (r / np.sin(r))[:, None] * (y - cosine[:, None] * x)
    g = gradient(x)
    drift = g - np.sum(g * x, axis=1)[:, None] * x
    gauss = -np.sum((v + h * drift) ** 2, axis=1) / (4 * h) - (d - 1) / 2 * np.log(4 * np.pi * h)
    return gauss - (d - 2) * np.log(np.sin(r) / r)


@pytest.mark.parametrize(("d", "w", "h"), CASES)
def test_detailed_balance(d, w, h):
    """p(x) q(x -> y) a(x, y) = p(y) q(y -> x) a(y, x) to 1e-10, on pairs near and far."""
    teacher, gradient = target(d, w)
    rng = np.random.default_rng(0)
    x = np.concatenate([sphere.uniform(500, d, rng), teacher.sample(500, rng)])
    far = sphere.uniform(1000, d, rng)
    near = sphere.normalize(x + 0.3 * far)
    for y in (far, near):
        flow = {}
        for a, b in ((0, 1), (1, 0)):
            start, end = (x, y)[a], (x, y)[b]
            log_a = mala.log_acceptance(start, end, teacher.energy, gradient, h)
            flow[a] = (
                -teacher.energy(start)
                + log_transition_density(start, end, gradient, h)
                + np.minimum(log_a, 0.0)
            )
        np.testing.assert_allclose(flow[0], flow[1], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("d", "w", "h"), CASES)
def test_invariance_where_a_third_is_refused(d, w, h):
    """Exact samples stay exact samples under the kernel.

    At 4 standard errors: false-alarm rate 6e-5 for each of the 15 comparisons.
    """
    teacher, gradient = target(d, w)
    rng = np.random.default_rng(1)
    n = 20_000
    reference = teacher.sample(5 * n, rng)
    state = mala.init(teacher.sample(n, rng), teacher.energy, gradient)
    refused = []
    for _ in range(4):
        state, info = mala.step(state, teacher.energy, gradient, rng, h)
        refused.append(1 - info.accepted.mean())
    assert np.mean(refused) >= 0.3
    assert np.mean(refused) <= 0.95  # else the kernel is too idle for the comparison to see it
    for g in (
        teacher.energy,
        lambda X: teacher.energy(X) ** 2,
        lambda X: X @ teacher.directions[0],
    ):
        a, b = g(state.X), g(reference)
        assert abs(a.mean() - b.mean()) < 4 * np.hypot(
            a.std() / np.sqrt(len(a)), b.std() / np.sqrt(len(b))
        )


@pytest.mark.parametrize("h", [0.1, 0.5])
def test_the_test_s_transition_density_is_normalized(h):
    """In d = 3 the proposal's density integrates to P(|v| < pi), a noncentral chi-square."""
    _, gradient = target(3, -3.0)
    x = sphere.uniform(1, 3, 4)
    nodes, gauss = np.polynomial.legendre.leggauss(120)
    cosine = nodes
    phi = 2 * np.pi * np.arange(240) / 240
    frame = np.linalg.svd(x)[2]  # rows: x, then two tangents
    sine = np.sqrt(1 - cosine**2)
    y = (
        cosine[:, None, None] * frame[0]
        + (sine[:, None] * np.cos(phi))[..., None] * frame[1]
        + (sine[:, None] * np.sin(phi))[..., None] * frame[2]
    ).reshape(-1, 3)
    q = np.exp(log_transition_density(np.repeat(x, len(y), 0), y, gradient, h)).reshape(120, 240)
    drift = h * np.linalg.norm(sphere.tangent(x, gradient(x)))
    inside = stats.ncx2.cdf(np.pi**2 / (2 * h), 2, drift**2 / (2 * h))
    # The density has an inverse-sine singularity at the antipode, of little mass.
    np.testing.assert_allclose((gauss @ q).sum() * 2 * np.pi / 240, inside, atol=2e-3)


def test_steps_beyond_the_antipode_are_refused():
    """On a flat energy nothing else is: the acceptance rate is P(|v| < pi), in closed form."""
    n, h = 20_000, 2.0

    def flat(X):
        return np.zeros(len(X))

    state = mala.init(sphere.uniform(n, 3, 0), flat, np.zeros_like)
    _, info = mala.step(state, flat, np.zeros_like, rng=1, step_size=h)
    exact = 1 - np.exp(-(np.pi**2) / (4 * h))
    # False-alarm rate 6e-5.
    assert abs(info.accepted.mean() - exact) < 4 * np.sqrt(exact * (1 - exact) / n)
    refused = ~info.accepted
    np.testing.assert_array_equal(info.log_acceptance[refused], -np.inf)
    np.testing.assert_allclose(info.log_acceptance[info.accepted], 0.0, atol=1e-10)


def test_step_uses_the_public_ratio():
    teacher, gradient = target(5, -10.0)
    state = mala.init(sphere.uniform(500, 5, 0), teacher.energy, gradient)
    new, info = mala.step(state, teacher.energy, gradient, rng=1, step_size=0.1)
    ratio = mala.log_acceptance(state.X, new.X, teacher.energy, gradient, 0.1)
    assert 50 < np.count_nonzero(info.accepted) < 450
    np.testing.assert_allclose(ratio[info.accepted], info.log_acceptance[info.accepted], atol=1e-9)


def test_radial_part_of_the_gradient_does_not_matter():
    teacher, gradient = target(5, -10.0)
    x, y = sphere.uniform(20, 5, 0), sphere.uniform(20, 5, 1)
    np.testing.assert_allclose(
        mala.log_acceptance(x, y, teacher.energy, gradient, 0.1),
        mala.log_acceptance(x, y, teacher.energy, lambda X: gradient(X) + 7 * X, 0.1),
        atol=1e-10,
    )


def test_inverse_temperature_scales_the_target():
    """A step at b on f is the step at 1 on b f: the same bits of noise, the same move."""
    teacher, gradient = target(5, -10.0)
    X = sphere.uniform(200, 5, 0)
    cold, _ = mala.step(
        mala.init(X, teacher.energy, gradient), teacher.energy, gradient, 1, 0.1, 0.3
    )

    def energy(X):
        return 0.3 * teacher.energy(X)

    def scaled(X):
        return 0.3 * gradient(X)

    plain, _ = mala.step(mala.init(X, energy, scaled), energy, scaled, 1, 0.1)
    np.testing.assert_allclose(cold.X, plain.X, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_size": 0.0}, "step_size must be a positive finite number, but it is 0.0"),
        ({"inverse_temperature": -1.0}, "inverse_temperature must be a nonnegative"),
    ],
)
def test_bad_options_are_refused(options, message):
    teacher, gradient = target(5, -10.0)
    state = mala.init(sphere.uniform(2, 5, 0), teacher.energy, gradient)
    with pytest.raises(ValueError, match=message):
        mala.step(state, teacher.energy, gradient, 0, **options)
