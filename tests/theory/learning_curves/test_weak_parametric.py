import numpy as np
import pytest

from lazyactive.theory.kernels import RBF, ArcCosine, Laplace, Stein
from lazyactive.theory.learning_curves import (
    Ridge,
    parametric_oracle,
    weak_filtered,
    weak_parametric,
)


def derivatives(d, alpha, n_points, rng):
    """Uniform points, and the derivatives of a neuron along its axis and across."""
    X = rng.standard_normal((n_points, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    t = X[:, 0]
    along = np.where(t > 0, np.maximum(t, 0.0) ** alpha, 0.0)
    across = alpha * np.where(t > 0, np.maximum(t, 0.0) ** (alpha - 1), 0.0) * X[:, 1]
    return X, along, across


@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize("d", [3, 5])
def test_against_the_kernel_of_the_harmonics(d, alpha):
    # Without harmonics: with the Stein kernel K and white noise at the points of a sample of tau,
    # the errors of least squares in the two derivatives, and its noise by matrices.
    n_points = 3000
    X, along, across = derivatives(d, alpha, n_points, np.random.default_rng(0))
    u = np.clip(X @ X.T, -1, 1)
    kappa = np.exp(u - 1)
    # The zonal kernel that Stein's operator makes of exp(u - 1).
    K = (d - 1) ** 2 * u * kappa + (d - 1) * kappa - (1 - u**2) * ((2 * d - 1) + u) * kappa
    np.fill_diagonal(K, 0)
    scale = n_points * (n_points - 1)
    for objective in ("likelihood", "ksd"):
        kl = ksd = 0.0
        for count, psi in ((1, along - along.mean()), (d - 1, across)):
            square, seen = psi @ psi / n_points, psi @ K @ psi / scale
            twice = np.mean(((K @ psi) / n_points) ** 2)
            variance = 1 / square if objective == "likelihood" else twice / seen**2
            kl += count * variance * square / 2
            ksd += count * variance * seen
        found = weak_parametric(d, 1, objective, alpha)
        # Means over pairs of 3000 points have errors of 2%.
        assert found.kl == pytest.approx(kl, rel=0.08)
        assert found.ksd == pytest.approx(ksd, rel=0.08)


@pytest.mark.parametrize("alpha", [1, 2, 3])
@pytest.mark.parametrize("d", [2, 3, 15])
def test_each_objective_is_best_in_its_own_error(d, alpha):
    for base in (RBF(), RBF(0.2), ArcCosine(2)):
        likelihood = weak_parametric(d, [100, 1000], alpha=alpha, base=base)
        trained = weak_parametric(d, [100, 1000], "ksd", alpha, base)
        np.testing.assert_allclose(likelihood.kl, parametric_oracle(1, d, [100, 1000]), rtol=1e-12)
        # Gauss and Markov: likelihood is the best linear estimator at white noise, in any norm.
        assert np.all(trained.kl >= likelihood.kl)
        assert np.all(trained.ksd >= likelihood.ksd * (1 - 1e-12))


def test_values():
    # The cost of the discrepancy in d = 15, of an independent sum over degrees.
    cost = weak_parametric(15, 1, "ksd").kl / weak_parametric(15, 1).kl
    assert cost == pytest.approx(1.68, abs=0.005)
    # A linear model, as a wide RBF kernel sees it: degree 1 alone, of rho_1 in each direction.
    wide = RBF(100.0)
    assert weak_parametric(3, 1, "ksd", base=wide).ksd == pytest.approx(
        3 * float(Stein(wide).eigenvalue(1, 3)), rel=1e-3
    )


@pytest.mark.parametrize("d", [3, 15])
def test_one_neuron_costs_less_than_all_harmonics(d):
    # The lazy error approaches the trace of what the kernel of the activation sees.
    lazy = weak_filtered(Ridge(ArcCosine(1)), 2, d, 1e8, discrepancy=Stein(RBF()))
    assert weak_parametric(d, 1e8).ksd < lazy < 10 * weak_parametric(d, 1e8).ksd


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 10, "kl"), "objective must be one of likelihood, ksd, got 'kl'"),
        ((1, 10), "d must be an integer >= 2, got 1"),
        ((3, 0), "n must be positive and finite, got 0"),
        ((3, 10, "ksd", 0), "alpha must be an integer >= 1, got 0"),
        ((3, 10, "ksd", 1, Laplace()), "base must be a kernel with a finite derivative"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        weak_parametric(*arguments)
