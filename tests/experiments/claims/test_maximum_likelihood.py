import math
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.figures import style

NAMES = ("mle-one-neuron", "mle-two-neurons", "mle-four-neurons")


def simulate(claim, preset, *, active=1.2, lazy=1.0, rate=-1.0, gap=1e-9, repetitions=None):
    """Results as theory has them, except for the given factors, rate and gap.

    The noise is that of a regular model: chi-squared with J d degrees of freedom, and 8% for lazy.
    """
    rng = np.random.default_rng(0)
    results = []
    grid = claim.presets[preset]
    freedom = 15 * len(claim.signs)
    for condition in grid.conditions:
        mean = claim.predict(condition)["kl"]
        for repetition in range(repetitions or grid.repetitions):
            if condition["method"] == "lazy":
                kl = lazy * mean * rng.normal(1, 0.08)
            else:
                kl = active * mean * rng.chisquare(freedom) / freedom
                kl *= (condition["n"] / 3000) ** (rate + 1)
            values = {"kl": kl, "cross_entropy": kl - 0.3, "optimality_gap": gap}
            results.append(Result(condition, repetition, values))
    return results


def outcomes(claim, results):
    return {
        check.name.removeprefix(f"w = {claim.strengths[-1]:g}: "): check.outcome
        for check in claim.verdict(results).checks
        if check.name.startswith(f"w = {claim.strengths[-1]:g}: ")
    }


@pytest.fixture
def one_neuron():
    return registry.get("mle-one-neuron")


@pytest.mark.parametrize("name", NAMES)
def test_results_as_predicted_hold(name):
    claim = registry.get(name)
    verdict = claim.verdict(simulate(claim, "paper"))
    assert verdict.outcome == "holds", [c for c in verdict.checks if c.outcome != "holds"]


# Each row spoils one thing by more than the noise; the check that must see it, and its answer.
@pytest.mark.parametrize(
    ("spoiled", "check", "answer"),
    [
        ({"rate": -0.5}, "active slope", "fails"),
        ({"rate": -0.8}, "active slope", "fails"),
        ({"rate": -1.2}, "active slope", "holds"),
        ({"active": 4.0}, "active near the oracle", "fails"),
        ({"lazy": 1e-3}, "lazy worse than active", "fails"),
        ({"lazy": 10.0}, "lazy worse than active", "holds"),
        ({"active": 300.0}, "F1 bound, sparse", "fails"),
        ({"active": 300.0}, "F1 bound, particles", "fails"),
        ({"gap": 1e-5}, "lazy optimality gap", "fails"),
    ],
)
def test_what_is_wrong_is_seen(one_neuron, spoiled, check, answer):
    assert outcomes(one_neuron, simulate(one_neuron, "paper", **spoiled))[check] == answer


def test_a_lazy_model_faster_than_the_parametric_rate_fails(one_neuron):
    results = []
    for result in simulate(one_neuron, "paper"):
        kl = result.values["kl"]
        if result.condition["method"] == "lazy":
            kl /= result.condition["n"]
        results.append(replace(result, values={**result.values, "kl": kl}))
    assert outcomes(one_neuron, results)["lazy slope"] == "fails"


@pytest.mark.parametrize(
    ("factor", "answer"), [(1.0, "holds"), (0.85, "holds"), (1.5, "fails"), (0.6, "fails")]
)
def test_the_weak_curve_is_judged_for_one_weak_neuron(one_neuron, factor, answer):
    checks = one_neuron.verdict(simulate(one_neuron, "paper", lazy=factor)).checks
    judged = {check.name: check.outcome for check in checks if "lazy curve" in check.name}
    assert set(judged) == {f"w = 2: lazy curve at n = {n}" for n in (1000, 3000, 10000, 30000)}
    assert set(judged.values()) == {answer}
    two = registry.get("mle-two-neurons")
    assert not [c for c in two.verdict(simulate(two, "quick")).checks if "lazy curve" in c.name]


def test_one_repetition_decides_nothing_that_is_noisy(one_neuron):
    checks = one_neuron.verdict(simulate(one_neuron, "paper", repetitions=1)).checks
    assert {c.outcome for c in checks if c.interval is not None} == {"undecided"}


def test_predictions_of_the_two_regimes(one_neuron):
    # d / (2n), and 4 |w| / sqrt(n).
    active = one_neuron.predict({"w": 10.0, "n": 1000, "method": "sparse"})
    assert active == pytest.approx({"kl": 0.0075, "kl_bound": 40 / math.sqrt(1000)})
    # Published value of the weak-energy curve at the optimal penalty: d = 15, w = 2, n = 300.
    lazy = one_neuron.predict({"w": 2.0, "n": 300, "method": "lazy"})
    assert lazy == pytest.approx({"kl": 0.02518076703667}, rel=1e-10)
    four = registry.get("mle-four-neurons")
    assert four.predict({"w": 7.5, "n": 3000, "method": "particles"})["kl"] == pytest.approx(0.01)
    # Four random neurons of weight 7.5 / 4 have on average the spectrum of one of 7.5 / 2.
    planted = four.predict({"w": 7.5, "n": 3000, "method": "lazy"})
    single = one_neuron.predict({"w": 3.75, "n": 3000, "method": "lazy"})
    assert planted == pytest.approx(single)


@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_the_figure_has_a_panel_for_each_teacher(name, preset):
    claim = registry.get(name)
    results = simulate(claim, preset)
    with style():
        from matplotlib.figure import Figure

        figure = Figure()
        claim.draw(results, figure)
    assert len(figure.axes) == len(claim.strengths)
    for axes in figure.axes:
        labels = axes.get_legend_handles_labels()[1]
        assert len(labels) == 6
        lines = {line.get_label(): line for line in axes.lines}
        n, kl = lines["parametric oracle $Jd/(2n)$"].get_data()
        assert kl[0] * n[0] == pytest.approx(len(claim.signs) * 7.5, rel=0.01)
        n, kl = lines["slope of the $n^{-1/2}$ bound"].get_data()
        assert math.log(kl[-1] / kl[0]) / math.log(n[-1] / n[0]) == pytest.approx(-0.5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lazy", "particles", "sparse"])
def test_a_small_cell_is_measured(one_neuron, method):
    condition = {"w": 10.0, "n": 300, "method": method}
    settings = {"evaluation_points": 20_000}
    first, second = (
        one_neuron.measure(condition, np.random.default_rng(3), settings) for _ in range(2)
    )
    assert first == second
    # The energy of the teacher has divergence 0.28 from uniform: a fit that learned something is
    # nearer, and none at n = 300 beats the oracle d / (2n) = 0.025 by a factor of 5.
    assert 0.005 < first["kl"] < 0.28
    assert first["kl_se"] < 0.1 * first["kl"]
    # Cross-entropy is entropy of the teacher plus KL: log p = -w E relu - log Z, from the exact
    # moments of the Gibbs measure, -0.2825 at w = 10 and d = 15.
    assert first["cross_entropy"] - first["kl"] == pytest.approx(-0.282458, abs=0.02)


@pytest.mark.parametrize("method", ["lazy", "particles", "sparse"])
def test_measure_of_the_uniform_model_is_the_exact_divergence(one_neuron, monkeypatch, method):
    fits = []

    class Uniform:
        """An estimator that has learned nothing: f = 0 and log Z = 0."""

        weights_ = np.zeros(3)
        log_partition_, log_partition_se_, optimality_gap_, penalty_ = 0.0, 0.0, 0.0, 1.0
        n_iter_, converged_ = 7, True

        def __init__(self, **arguments):
            self.arguments = arguments

        def fit(self, X):
            fits.append((self.arguments, X))
            return self

        def energy(self, X):
            return np.zeros(len(X))

    module = types.ModuleType("lazyactive.numerics.estimators")
    module.ShallowEBM = Uniform
    monkeypatch.setitem(sys.modules, "lazyactive.numerics.estimators", module)
    settings = {"evaluation_points": 20_000, "n_reference": 4096, "n_neurons_lazy": 7}
    rngs = [np.random.default_rng(5), np.random.default_rng(5)]
    # A weak energy, since at w = 10 the weights e^f of the estimator have heavy tails.
    condition = {"w": 2.0, "n": 50, "method": method}
    measured = one_neuron.measure(condition, rngs[0], settings)
    # KL(nu || tau) at w = 2, d = 15 in closed form; |z| > 4.5 has probability 7e-6, and an error
    # of 10% is outside.
    exact = 0.0331738968673537
    assert abs(measured["kl"] - exact) < 4.5 * measured["kl_se"] < 0.1 * exact
    assert measured["cross_entropy"] == 0.0
    assert measured["n_neurons"] == 0
    assert measured["n_iter"] == 7
    # All methods see the same sample, and are asked for by their own names.
    one_neuron.measure({**condition, "method": "lazy"}, rngs[1], settings)
    (arguments, X), (_, X_lazy) = fits
    assert X.shape == (50, 15)
    np.testing.assert_array_equal(X, X_lazy)
    assert arguments.pop("random_state") >= 0
    sizes = {"n_reference": 4096, "n_neurons": 7 if method == "lazy" else None}
    if method == "lazy":
        assert arguments == {"regime": "lazy", **sizes}
    else:
        assert arguments == {"regime": "active", "solver": method, **sizes}
