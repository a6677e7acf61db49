"""Exact samples of planted energies against quadrature.

Statistical tests use fixed seeds. At 4 standard errors one comparison raises a false alarm with
probability 6e-5 under a new seed; the about 120 comparisons below, with probability under 1%.
"""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from lazyactive.numerics import sphere
from lazyactive.numerics.teachers import PlantedEnergy, _RadialLaw

N = 40_000


def z_score(values, exact):
    return abs(np.mean(values) - exact) / (np.std(values, ddof=1) / np.sqrt(len(values)))


def sigma(t, alpha):
    return np.where(t > 0, 1.0, 0.0) if alpha == 0 else np.maximum(t, 0.0) ** alpha


def one_neuron_mean(g, w, d, alpha):
    """E g(t) under (1-t^2)^{(d-3)/2} e^{-w sigma(t)}, by quadrature over t = cos(angle)."""

    def weighted(h):
        def integrand(phi):
            t = np.cos(phi)
            return h(t) * np.sin(phi) ** (d - 2) * np.exp(-w * sigma(t, alpha))

        # The mass of a large d sits within a few 1/sqrt(d) of the equator.
        points = np.unique(np.clip(np.pi / 2 + np.linspace(-9, 9, 19) / np.sqrt(d), 0, np.pi))
        return sum(
            integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-10)[0]
            for a, b in itertools.pairwise(points)
        )

    return weighted(g) / weighted(lambda t: 1.0)


def one_neuron(w, d, alpha=1):
    return PlantedEnergy(np.eye(d)[:1], [w], alpha)


@pytest.mark.parametrize("d", [2, 3, 15, 100])
@pytest.mark.parametrize("w", [-10.0, -2.0, 0.0, 2.0, 10.0])
def test_one_neuron_moments(d, w):
    t = one_neuron(w, d).sample(N, rng=[d, int(w) + 10])[:, 0]
    assert z_score(t, one_neuron_mean(lambda s: s, w, d, 1)) < 4
    assert z_score(t**2, one_neuron_mean(lambda s: s**2, w, d, 1)) < 4
    assert z_score(sigma(t, 1), one_neuron_mean(lambda s: sigma(s, 1), w, d, 1)) < 4


@pytest.mark.parametrize("alpha", [0, 2, 3])
@pytest.mark.parametrize("w", [-8.0, 8.0])
def test_one_neuron_moments_for_other_activations(alpha, w):
    t = one_neuron(w, 5, alpha).sample(N, rng=[alpha, int(w) + 8])[:, 0]
    assert z_score(t, one_neuron_mean(lambda s: s, w, 5, alpha)) < 4
    assert z_score(t**2, one_neuron_mean(lambda s: s**2, w, 5, alpha)) < 4


@pytest.mark.parametrize(("d", "w"), [(2, -5.0), (3, 6.0), (15, -10.0), (15, 10.0)])
def test_marginal_has_the_exact_distribution(d, w):
    phi = np.linspace(0, np.pi, 20_001)
    density = np.sin(phi) ** (d - 2) * np.exp(-w * sigma(np.cos(phi), 1))
    cdf = integrate.cumulative_simpson(density, x=phi, initial=0)
    angle = np.arccos(one_neuron(w, d).sample(N, rng=7)[:, 0])
    # False-alarm rate 1e-4 for each of the four.
    assert stats.kstest(angle, lambda p: np.interp(p, phi, cdf / cdf[-1])).pvalue > 1e-4


def two_neuron_moments(weights, angle, d):
    """log Z, E f and E f^2 on the unit disc of density (1-r^2)^{(d-4)/2} r, polar and Gauss.

    The angles' cells break where a cosine changes sign, and rho = sin(s) removes the endpoint.
    """
    nodes, gauss = np.polynomial.legendre.leggauss(60)
    breaks = np.unique(
        np.mod([0.0, np.pi / 2, -np.pi / 2, angle + np.pi / 2, angle - np.pi / 2], 2 * np.pi)
    )
    breaks = np.append(breaks, 2 * np.pi)
    half = np.diff(breaks)[:, None] / 2
    phi = (breaks[:-1, None] + half * (nodes + 1)).ravel()
    phi_weight = (half * gauss).ravel()
    s = np.pi / 4 * (nodes + 1)
    s_weight = np.pi / 4 * gauss * np.sin(s) * np.cos(s) ** (d - 3)
    F = (weights[0] * sigma(np.cos(phi), 1) + weights[1] * sigma(np.cos(phi - angle), 1)) / 2
    f = np.sin(s)[:, None] * F
    mass = s_weight[:, None] * phi_weight * np.exp(-f)
    z = mass.sum() / (s_weight.sum() * 2 * np.pi)
    return np.log(z), (mass * f).sum() / mass.sum(), (mass * f * f).sum() / mass.sum()


@pytest.mark.parametrize(
    ("weights", "log_z", "mean"),
    [
        ((-5, -5), 0.783136114623472, -1.1053453753466),
        ((-2.5, -2.5), 0.318783886225736, -0.38353603539365),
        ((10, 10), -0.56738087726031, 0.2918852364108),
        ((-5, 5), 0.0829524969350721, -0.16881879701386),
    ],
)
def test_the_quadrature_of_two_neurons(weights, log_z, mean):
    """Values at d = 15 and 60 degrees, made once by adaptive quadrature in another program."""
    got = two_neuron_moments(weights, np.pi / 3, 15)
    np.testing.assert_allclose(got[:2], [log_z, mean], atol=1e-11)


@pytest.mark.parametrize("d", [3, 15, 100])
@pytest.mark.parametrize("weights", [(-5, -5), (10, 10), (-5, 5), (-10, 2)])
def test_two_neuron_moments(d, weights):
    directions = np.zeros((2, d))
    directions[:, :2] = [[1.0, 0.0], [0.5, np.sqrt(0.75)]]
    teacher = PlantedEnergy(directions, weights)
    f = teacher.energy(teacher.sample(N, rng=[d, weights[0] + 10, weights[1] + 10]))
    _, mean, square = two_neuron_moments(weights, np.pi / 3, d)
    assert z_score(f, mean) < 4
    assert z_score(f**2, square) < 4


@pytest.mark.parametrize(
    ("n_neurons", "d", "weights", "alpha"),
    [
        (2, 2, [-4.0, 2.0], 1),  # the directions span everything
        (5, 3, [-4.0, 2.0, -6.0, 1.0, 5.0], 1),
        (3, 4, [-6.0, -6.0, 3.0], 1),  # one dimension is left
        (4, 15, [7.5, 7.5, -7.5, -7.5], 1),
        (4, 6, [3.0, -3.0, 3.0, -3.0], 0),
        (13, 6, -3.0, 1),  # more attracting neurons than the subset bound takes
        (3, 6, [-9.0, 4.0, -3.0], 2),
    ],
)
def test_many_neurons_against_reweighted_uniform_samples(n_neurons, d, weights, alpha):
    rng = np.random.default_rng(11)
    teacher = PlantedEnergy.random(n_neurons, d, weights, rng, alpha)
    U = sphere.uniform(200_000, d, rng)
    w = np.exp(-teacher.energy(U))
    w /= w.mean()
    X = teacher.sample(N, rng)
    probe = sphere.uniform(1, d, rng)[0]
    for g in (teacher.energy, lambda X: X @ teacher.directions[0], lambda X: (X @ probe) ** 2):
        reference = np.mean(w * g(U))
        reference_se = np.std(w * (g(U) - reference)) / np.sqrt(len(U))
        se = np.hypot(np.std(g(X)) / np.sqrt(N), reference_se)
        assert abs(np.mean(g(X)) - reference) < 4 * se


@pytest.mark.parametrize("d", [3, 15])
def test_the_rest_is_uniform_on_the_orthogonal_sphere(d):
    teacher = PlantedEnergy(np.eye(d)[1:2], [-6.0])
    X = teacher.sample(N, rng=d)
    rest = np.delete(X, 1, axis=1) / np.sqrt(1 - X[:, 1:2] ** 2)
    assert z_score(rest[:, 0], 0.0) < 4
    assert z_score(rest[:, -1] ** 2, 1 / (d - 1)) < 4
    assert z_score(rest[:, 0] ** 4, 3 / ((d - 1) * (d + 1))) < 4
    assert z_score(rest[:, 0] * X[:, 1], 0.0) < 4


@pytest.mark.parametrize("d", [2, 3, 15, 1000])
@pytest.mark.parametrize("bound", [0.0, 5.0, 50.0])
@pytest.mark.parametrize("alpha", [0, 1, 3])
def test_radial_law_is_inverted_to_1e10(d, bound, alpha):
    # The ends of (0, 1) too: an endpoint singularity shows there.
    u = np.concatenate([np.linspace(0, 0.999, 301), 10.0 ** -np.arange(1, 10)])
    u = np.concatenate([u, 1 - 10.0 ** -np.arange(1, 10)])
    nodes, gauss = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(0, np.pi / 2, 3001)
    half = edges[1] / 2
    for rank in {1, 2, 3, d - 1} & set(range(1, d)):

        def density(phi, rank=rank):
            # Powers and exponential in the log, else they under- and overflow at d = 1000.
            with np.errstate(divide="ignore"):
                log = bound * (np.sin(phi) ** alpha - 1)
                log = log + (rank - 1) * np.log(np.sin(phi)) if rank > 1 else log
                log = log + (d - rank - 1) * np.log(np.cos(phi)) if d > rank + 1 else log
            return np.exp(log + 30)

        def integral(a, width):
            return density(a[:, None] + width[:, None] * (nodes + 1)) @ gauss * width

        cumulative = np.append(0, np.cumsum(integral(edges[:-1], np.full(3000, half))))
        phi = _RadialLaw(rank, d, bound, alpha).quantile(u)
        cell = np.clip(np.searchsorted(edges, phi) - 1, 0, 2999)
        cdf = cumulative[cell] + integral(edges[cell], (phi - edges[cell]) / 2)
        np.testing.assert_allclose(cdf / cumulative[-1], u, rtol=0, atol=1e-10)


def test_energy_is_the_stated_formula():
    teacher = PlantedEnergy([[0.6, 0.8, 0.0], [0.0, 0.0, -1.0]], [3.0, -4.0])
    X = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -0.6, 0.8]])
    np.testing.assert_allclose(teacher.energy(X), [0.9, -2.0, 0.0], atol=1e-15)
    step = PlantedEnergy(teacher.directions, teacher.weights, alpha=0)
    np.testing.assert_allclose(step.energy(X), [1.5, -2.0, 0.0], atol=1e-15)


def test_samples_are_reproducible_and_on_the_sphere():
    teacher = PlantedEnergy.random(3, 7, -5.0, rng=0)
    X = teacher.sample(1000, rng=5)
    np.testing.assert_array_equal(X, teacher.sample(1000, rng=5))
    assert not np.array_equal(X, teacher.sample(1000, rng=6))
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, atol=1e-14)
    assert teacher.sample(0, rng=5).shape == (0, 7)


def test_a_teacher_can_not_be_changed():
    directions = np.eye(3)[:1]
    teacher = PlantedEnergy(directions, [2.0])
    directions[0, 0] = 0.0
    assert teacher.directions[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        teacher.weights[0] = 1.0


def test_hopeless_rejection_is_an_error_not_a_loop():
    # Twenty strong, nearly cancelling pairs: almost every proposal is refused.
    theta = sphere.uniform(20, 12, 0)
    teacher = PlantedEnergy(np.vstack([theta, theta]), np.r_[np.full(20, -4e3), np.full(20, 4e3)])
    with pytest.raises(RuntimeError, match=r"0 of 1 samples were accepted among .* proposals"):
        teacher.sample(1, rng=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0, 1.0]], [1.0]), "directions must lie on the unit sphere"),
        (([[1.0, 0.0]], [1.0, 2.0]), r"weights must be a vector of shape \(1,\)"),
        (([[1.0, 0.0]], [np.nan]), "weights must be finite"),
        (([[1.0, 0.0]], [1.0], 5), "alpha must be one of 0, 1, 2, 3, but it is 5"),
    ],
)
def test_bad_teachers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PlantedEnergy(*arguments)


def test_bad_calls_are_refused():
    teacher = one_neuron(2.0, 3)
    with pytest.raises(ValueError, match="X must have d = 3 columns"):
        teacher.energy([[1.0, 0.0]])
    with pytest.raises(ValueError, match="n must be an integer >= 0, but it is -1"):
        teacher.sample(-1)
