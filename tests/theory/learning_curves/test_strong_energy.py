import functools

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.gibbs import kl_to_uniform
from lazyactive.theory.learning_curves import (
    _population,
    _sectors,
    early_stopping,
    optimal_penalty,
    sandwich,
    sandwich_penalty,
    sandwich_terms,
    strong_energy,
    weak,
)
from lazyactive.theory.sphere import harmonic_dimension

# Mean KL at the best penalty, the best penalty times n w^2, and the bias, from an implementation
# of the same formula with degrees up to 8, computed before this one was written.
OPTIMA = {
    (2, 30): (3.12146364e-2, 1.4493, 2.9420e-2),
    (2, 100): (2.77107452e-2, 1.4513, 2.3517e-2),
    (2, 300): (2.19459760e-2, 1.4456, 1.5969e-2),
    (2, 1000): (1.50140254e-2, 1.3579, 9.8767e-3),
    (10, 30): (2.16979311e-1, 5.0916, 1.7723e-1),
    (10, 100): (1.66840654e-1, 4.7894, 1.2674e-1),
    (10, 300): (1.26737591e-1, 3.5028, 9.2844e-2),
    (10, 1000): (8.23260862e-2, 1.2400, 4.0178e-2),
}


@pytest.mark.parametrize("w", [2, 10])
def test_optima(w):
    n = np.array([30, 100, 300, 1000])
    expected, scaled, bias = np.array([OPTIMA[w, size] for size in n]).T
    # The earlier values stop at degree 8, which leaves out parts of 2e-6 at most.
    np.testing.assert_allclose(sandwich(w, 15, n), expected, rtol=5e-6)
    np.testing.assert_allclose(sandwich_penalty(w, 15, n) * n * w**2, scaled, rtol=0.01)
    given = [sandwich_terms(w, 15, s, p / (s * w**2))[0] for s, p in zip(n, scaled, strict=True)]
    np.testing.assert_allclose(given, bias, rtol=3e-4)


@pytest.mark.parametrize(
    ("n", "expected"), [(100, 0.01777), (300, 0.01186), (1000, 0.006436), (3000, 0.003192)]
)
def test_given_penalty(n, expected):
    # As above; the earlier values stop at degree 6.
    assert sandwich(1, 5, n, penalty=1 / n) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("d", "alpha"), [(2, 1), (3, 1), (3, 2), (15, 1), (15, 0)])
@pytest.mark.parametrize("factor", [0.1, 1, 10])
def test_weak_limit(d, alpha, factor):
    w, n = 0.01, 1e6
    penalty = factor * optimal_penalty(w, n)
    value = sandwich(w, d, n, alpha, penalty)
    assert value == pytest.approx(weak(w, d, n, alpha, penalty), rel=0.01)


@pytest.mark.parametrize("w", [-5, 10])
def test_infinite_penalty_learns_nothing(w):
    assert sandwich(w, 5, 100, penalty=1e9) == pytest.approx(kl_to_uniform(w, 5), rel=1e-6)


def forget():
    """Empty the caches, so that what is patched is used."""
    for name in ("_ridge", "_ladder", "_model", "_neuron", "_flow"):
        getattr(strong_energy, name).cache_clear()


class Circle:
    """The whole problem on S^1, on equidistant angles and in a dense basis, without sectors."""

    def __init__(self, w, alpha, max_degree=64, n_angles=2**13):
        angles = 2 * np.pi * (np.arange(n_angles) + 0.5) / n_angles
        coefficients = ReLUPower(alpha).coefficients(2, max_degree)
        degrees = np.flatnonzero(coefficients)[1:]
        waves = np.outer(degrees, angles - 0.4)
        # The data's axis is at angle 0, where the basis has no symmetry.
        self.features = np.sqrt(2) * np.concatenate([np.cos(waves), np.sin(waves)])
        self.features *= np.abs(np.tile(coefficients[degrees], 2))[:, None]
        self.energy = w * np.where(np.cos(angles) > 0, np.maximum(np.cos(angles), 0) ** alpha, 0)
        self.target = self.density(self.energy)

    def density(self, energy):
        weights = np.exp(-energy)
        return weights / weights.sum()

    def covariance(self, density):
        return np.cov(self.features, aweights=density, ddof=0)

    def gradient(self, b):
        return self.features @ (self.target - self.density(b @ self.features))

    def divergence(self, b):
        excess = b @ self.features - self.energy
        return self.target @ excess + np.log(self.target @ np.exp(-excess))

    def ridge(self, penalty, n):
        b = np.zeros(len(self.features))
        for _ in range(50):
            fisher = self.covariance(self.density(b @ self.features))
            hessian = fisher + penalty * np.eye(len(b))
            step = np.linalg.solve(hessian, self.gradient(b) + penalty * b)
            b -= step
            if np.abs(step).max() < 1e-12 * np.abs(b).max():
                break
        move = np.linalg.inv(hessian)
        noise = self.covariance(self.target)
        return self.divergence(b), np.trace(move @ noise @ move @ fisher) / (2 * n)

    def flow(self, time, n):
        size = len(self.features)

        def velocity(_, state):
            b, response = state[:size], state[size:].reshape(size, size)
            fisher = self.covariance(self.density(b @ self.features))
            return np.concatenate([-self.gradient(b), (np.eye(size) - fisher @ response).ravel()])

        start = np.zeros(size + size**2)
        end = solve_ivp(velocity, (0, time), start, method="DOP853", rtol=1e-9, atol=1e-12).y[:, -1]
        b, response = end[:size], end[size:].reshape(size, size)
        fisher = self.covariance(self.density(b @ self.features))
        noise = self.covariance(self.target)
        return self.divergence(b), np.trace(response @ noise @ response.T @ fisher) / (2 * n)


@pytest.mark.parametrize(("w", "alpha"), [(3.0, 1), (-4.0, 1), (-4.0, 2)])
def test_ridge_on_the_circle(w, alpha):
    penalty, n = 1e-2, 500
    bias, variance = Circle(w, alpha).ridge(penalty, n)
    value = sandwich_terms(w, 2, n, penalty, alpha)
    # Degrees beyond 64, and the trapezoidal rule at the kink.
    np.testing.assert_allclose(value, (bias, variance), rtol=2e-5)


@pytest.mark.parametrize(("w", "alpha"), [(3.0, 1), (-4.0, 2)])
def test_flow_on_the_circle(w, alpha):
    time, n = 60.0, 500
    bias, variance = Circle(w, alpha, max_degree=12, n_angles=2**11).flow(time, n)
    value = early_stopping(w, 2, [np.inf, n], time, alpha)
    assert value[0] == pytest.approx(bias, rel=2e-3)
    assert value[1] - value[0] == pytest.approx(variance, rel=1e-4)


def test_a_sampled_data_set_on_the_sphere():
    # The variance in d = 3 with the harmonics of degrees 1 and 2 written out, from the moments of
    # simulated points: no sectors, no quadrature. A large penalty leaves the rest unlearned, so
    # that the fit stays near zero and F is the covariance at the uniform measure, to a percent.
    d, w, penalty = 3, -3.0, 10.0
    rng = np.random.default_rng(8)
    x = rng.standard_normal((400_000, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x0, x1, x2 = x.T
    quadratic = [x0 * x1, x0 * x2, x1 * x2, (x0**2 - x1**2) / 2, (3 * x2**2 - 1) / np.sqrt(12)]
    harmonics = np.concatenate([np.sqrt(3) * x.T, np.sqrt(15) * np.array(quadratic)])
    density = np.exp(-w * np.maximum(x2, 0))
    noise = np.diag(np.cov(harmonics, aweights=density / density.sum()))
    mu = ReLUPower(1).coefficients(d, 2)[1:] ** 2
    response = np.repeat(mu / (mu + penalty), [3, 5])
    expected = np.sum(response**2 * noise) / 2
    assert sandwich_terms(w, d, 1, penalty)[1] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("w", "floor"), [(2, 0.00869), (10, 0.10860), (-5, 0.03703)])
def test_floors_of_the_published_schedule(w, floor):
    steps = 0.5 / (1 + 0.005 * np.arange(1001))
    time = 15 * steps.sum()
    assert steps.sum() == pytest.approx(179.5, abs=0.1)
    assert early_stopping(w, 15, np.inf, time) == pytest.approx(floor, abs=2e-5)


@pytest.mark.parametrize("time", [30.0, 3000.0])
def test_weak_flow_is_a_filter(time):
    d, w, n = 5, 0.01, 1e4
    mu = ReLUPower(1).coefficients(d, 400)[1:] ** 2
    dimensions = np.array([float(harmonic_dimension(d, k)) for k in range(1, 401)])
    shrinkage = -np.expm1(-mu * time)
    learned = w**2 * dimensions * mu * shrinkage * (2 - shrinkage)
    expected = kl_to_uniform(w, d) - np.sum(learned - shrinkage**2 * dimensions / n) / 2
    assert early_stopping(w, d, n, time) == pytest.approx(expected, rel=0.01)


def test_no_time_learns_nothing_and_much_time_overfits():
    value = early_stopping(10, 15, [1000, np.inf], 1e-6)
    np.testing.assert_allclose(value, kl_to_uniform(10, 15), rtol=1e-6)
    noisy, floor = early_stopping(10, 15, [1000, np.inf], 1e6)
    assert floor < 0.05 < sandwich(10, 15, 1000) < noisy


@pytest.mark.parametrize(("d", "w", "n"), [(3, 10, 300), (5, -5, 3000), (15, 2, 30), (3, -10, 3)])
def test_optimum_against_a_scan(d, w, n):
    scan = [sandwich(w, d, n, penalty=p / (n * w**2)) for p in np.geomspace(1e-2, 1e4, 80)]
    best = sandwich(w, d, n)
    assert min(scan) * (1 - 1e-3) < best <= min(scan) * (1 + 1e-4)
    assert sandwich(w, d, n, penalty=sandwich_penalty(w, d, n)) == pytest.approx(best, rel=1e-12)


# Every dimension and every weight with little and with much data.
GRID = [
    (d, w, (1e5, 300)[(i + j) % 2])
    for i, d in enumerate((2, 3, 5, 15))
    for j, w in enumerate((-5, 2, 10))
]


@functools.cache
def at_the_best_penalty(d, w, n):
    penalty = sandwich_penalty(w, d, n)
    return penalty, sandwich(w, d, n, penalty=penalty)


@pytest.mark.parametrize(("d", "w", "n"), GRID)
def test_converged_in_the_degrees(monkeypatch, d, w, n):
    penalty, value = at_the_best_penalty(d, w, n)
    forget()
    monkeypatch.setattr(_population, "_BIAS_ERROR", 1e-6)
    monkeypatch.setattr(_population, "_VARIANCE_ERROR", 1e-6)
    assert sandwich(w, d, n, penalty=penalty) == pytest.approx(value, rel=3e-5)


@pytest.mark.parametrize(("d", "w", "n"), GRID)
def test_converged_in_the_nodes(monkeypatch, d, w, n):
    penalty, value = at_the_best_penalty(d, w, n)

    def finer(d, strength, max_degree):
        return _sectors.axis_rule(d, 2 * strength + 10, 2 * max_degree)

    forget()
    monkeypatch.setattr(_population, "axis_rule", finer)
    assert sandwich(w, d, n, penalty=penalty) == pytest.approx(value, rel=1e-9)


def test_converged_in_the_steps(monkeypatch):
    forget()
    value = early_stopping(-5, 5, 100, 1000.0)
    monkeypatch.setattr(strong_energy, "_FLOW_STEPS", 96)
    forget()
    assert early_stopping(-5, 5, 100, 1000.0) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(("w", "penalty"), [(-100.0, 1e-5), (-500.0, 1e-5)])
def test_strong_ridge_on_the_circle(w, penalty):
    # The density has vanished at the kink, where equidistant angles would need to be dense.
    bias, variance = Circle(w, 1, max_degree=160, n_angles=2**12).ridge(penalty, 500)
    value = sandwich_terms(w, 2, 500, penalty)
    np.testing.assert_allclose(value, (bias, variance), rtol=2e-5)


def test_shapes_and_no_signal():
    assert sandwich(2, 5, [[100], [1000]]).shape == (2, 1)
    assert isinstance(sandwich(2, 5, 100), float)
    assert sandwich(0, 5, [10, 100]).tolist() == [0, 0]
    assert sandwich_penalty(0, 5, 10) == np.inf
    bias, variance = sandwich_terms(0, 5, 10, 0.1)
    assert bias == 0
    assert variance == pytest.approx(weak(0, 5, 10, penalty=0.1), rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sandwich(1, 3, 0), "n must be positive and finite, got 0"),
        (lambda: sandwich(1, 1, 10), "d must be an integer >= 2, got 1"),
        (lambda: sandwich(np.inf, 3, 10), "w must be a finite number, got inf"),
        (lambda: sandwich(1, 3, 10, penalty=-1), "penalty must be a positive finite number"),
        (lambda: sandwich(1, 3, 10, 1.5), "alpha must be an integer >= 0, got 1.5"),
        (lambda: sandwich(1, 2, 10, 0, 1e-6), "harmonic degrees to be learned"),
        (lambda: early_stopping(1, 3, -1, 10), "n must be positive, got -1"),
        (lambda: early_stopping(1, 3, 10, 0), "time must be a positive finite number"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class Integrals:
    """Integrals over the angle to the axis with mpmath, under nu and under a fit of it."""

    ENDS = (0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.3, 1.54, 1.565, mpmath.pi / 2, 2.2, mpmath.pi)

    def __init__(self, w, d, degrees, mu, coefficients):
        self.w, self.d, self.degrees = w, d, degrees
        dimensions = [harmonic_dimension(d, int(k)) for k in degrees]
        self.scales = [mpmath.sqrt(float(m) * n) for m, n in zip(mu, dimensions, strict=True)]
        self.coefficients = [mpmath.mpf(float(b)) for b in coefficients]
        self.at = functools.cache(self._at)
        self.partition = self.integral(lambda energy, *_: mpmath.exp(-energy))
        self.fitted_partition = self.integral(lambda _, f, __: mpmath.exp(-f))

    def _at(self, angle):
        t, legendre = mpmath.cos(angle), [mpmath.mpf(1), mpmath.cos(angle)]
        for k in range(2, int(self.degrees[-1]) + 1):
            above = (2 * k + self.d - 4) * t * legendre[-1] - (k - 1) * legendre[-2]
            legendre.append(above / (k + self.d - 3))
        features = [s * legendre[k] for s, k in zip(self.scales, self.degrees, strict=True)]
        f = mpmath.fdot(self.coefficients, features)
        return mpmath.sin(angle) ** (self.d - 2), self.w * max(t, 0), f, features

    def integral(self, function):
        def weighed(angle):
            weight, *rest = self.at(angle)
            return weight * function(*rest)

        return mpmath.quad(weighed, self.ENDS, maxdegree=5)

    def divergence(self):
        excess = self.integral(lambda energy, f, _: mpmath.exp(-energy) * (f - energy))
        return excess / self.partition + mpmath.log(self.fitted_partition / self.partition)

    def moments(self, j):
        """Of feature j, under nu and under the fit."""
        true = self.integral(lambda energy, _, features: mpmath.exp(-energy) * features[j])
        fitted = self.integral(lambda _, f, features: mpmath.exp(-f) * features[j])
        return true / self.partition, fitted / self.fitted_partition


@pytest.mark.parametrize("d", [2, 3, 15])
@pytest.mark.parametrize("w", [-100.0, -500.0])
def test_fit_of_a_strong_energy_against_mpmath(w, d):
    penalty = 1e-4
    model = _population.Model(_population.Neuron(w, d, 1), penalty)
    b = model.fit(penalty)
    with mpmath.workdps(20):
        integrals = Integrals(w, d, model.degrees, model.mu, b)
        assert model.divergence(b @ model.features) == pytest.approx(
            float(integrals.divergence()), rel=1e-9
        )
        for j in {0, 1, len(b) - 1}:
            true, fitted = integrals.moments(j)
            # The loss is stationary.
            assert float(fitted - true) == pytest.approx(penalty * b[j], rel=1e-6, abs=1e-14)


@pytest.mark.parametrize("d", [2, 3, 15])
@pytest.mark.parametrize("w", [-500.0, -100.0, 1000.0])
def test_variance_of_a_strong_energy_against_mpmath(w, d):
    # At a large penalty the fit is uniform, and the features of degree k vary under nu by
    # N (1 - (E P_k)^2) in all.
    penalty, n_degrees = 1e7, 13
    mu = ReLUPower(1).coefficients(d, n_degrees - 1) ** 2
    with mpmath.workdps(20):
        integrals = Integrals(w, d, [*range(n_degrees)], np.ones(n_degrees), np.zeros(n_degrees))
        expected = sum(
            mu[k] ** 2 * (harmonic_dimension(d, k) - integrals.moments(k)[0] ** 2)
            for k in range(1, n_degrees)
        ) / (2 * penalty**2)
    # Degrees beyond are learned too little to matter.
    assert sandwich_terms(w, d, 1, penalty)[1] == pytest.approx(float(expected), rel=3e-5)


@pytest.mark.parametrize("w", [-1000, 1000])
@pytest.mark.parametrize("d", [2, 15, 300])
def test_nothing_overflows(w, d):
    # exp(1000) is beyond float64.
    with np.errstate(all="raise", under="ignore"):
        bias, variance = sandwich_terms(w, d, 1e4, 1e9)
        assert bias == pytest.approx(kl_to_uniform(w, d), rel=1e-6)
        assert 0 < variance < 1e-12
        value = sandwich(w, d, 1e4)
    assert 0 < value < bias


@pytest.mark.parametrize(("w", "d", "penalty"), [(100, 3, 1e-8), (-500, 3, 1e-7), (10, 5, 1e-9)])
def test_sectors_between(monkeypatch, w, d, penalty):
    # Against all sectors, one by one.
    value = sandwich_terms(w, d, 1, penalty)[1]
    forget()
    monkeypatch.setattr(_sectors, "_ONE_BY_ONE", 10**6)
    monkeypatch.setattr(_sectors, "_SECTORS_ERROR", 0.0)
    assert value == pytest.approx(sandwich_terms(w, d, 1, penalty)[1], rel=3e-6)
    forget()


def test_sizes_share_their_fits():
    # What made a curve of a strong neuron take minutes: a search of its own for every n.
    forget()
    sandwich(-150.0, 2, [100, 300, 1000, 3000, 10_000, 30_000, 100_000])
    assert strong_energy._ridge.cache_info().misses < 35


def test_values_do_not_depend_on_what_was_asked_before():
    fresh = sandwich(-30, 3, 1000)
    forget()
    sandwich(-30, 3, 1e5)
    assert sandwich(-30, 3, [10, 1000])[1] == fresh
