import math

import numpy as np
import pytest
from scipy.special import gammaln

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims.spectra import _fit
from lazyactive.experiments.figures import style
from lazyactive.theory import kernels

NAMES = ("spectrum-decay", "deep-equals-shallow")


def simulate(claim, preset="quick", *, kernel=None, slope=0.0, constant=1.0, error=1e-3, **spoiled):
    """Results as theory has them; what is spoiled, is so for one kernel (or for all)."""
    results = []
    for condition in claim.presets[preset].conditions:
        predicted = claim.predict(condition)
        values = {
            "slope": predicted["slope"],
            "slope_error": 1e-3,
            "constant": predicted["constant"],
            "log_constant_error": 1e-3,
            "other_class": 0.1,
            "other_class_size": 1e-6,
            "slope_before": predicted["slope"] / 2,
            "slope_before_error": 1e-3,
            "degree_0": 4.0,
            "eigenvalue_0": 0.1,
            "degree_1": 64.0,
            "eigenvalue_1": 0.001,
        }
        if kernel in (None, condition["kernel"]):
            values["slope"] += slope
            values["constant"] *= constant
            values |= {"slope_error": error, "log_constant_error": error, **spoiled}
        results += [Result(condition, repetition, values) for repetition in range(2)]
    return results


def outcomes(claim, results):
    return {check.name: check.outcome for check in claim.verdict(results).checks}


@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_results_as_predicted_hold(published, name, preset):
    claim = published(name)
    assert set(outcomes(claim, simulate(claim, preset)).values()) == {"holds"}


@pytest.mark.parametrize("name", NAMES)
def test_the_grid_has_the_classes_that_theory_lets_decay(name):
    claim = registry.get(name)
    for condition in claim.presets["paper"].conditions:
        kernel = kernels.get(condition["kernel"])
        constants = kernel.decay_constants(condition["d"])
        decaying = tuple(c for c, x in zip(("even", "odd"), constants, strict=True) if x != 0)
        assert claim.kernels[condition["kernel"]] == (decaying or ("octaves",))


# Each row spoils one thing for one kernel; the check that must see it, and its answer.
@pytest.mark.parametrize(
    ("spoiled", "check", "answer"),
    [
        ({"kernel": "arc-cosine(1)", "slope": 0.002}, "arc-cosine(1): slope", "fails"),
        ({"kernel": "arc-cosine(1)", "slope": -0.002}, "arc-cosine(1): slope", "fails"),
        ({"kernel": "laplace(1)", "constant": 1.002}, "laplace(1): constant", "fails"),
        ({"kernel": "ntk", "constant": 0.5, "error": 0.2}, "ntk: constant", "fails"),
        ({"kernel": "ntk", "slope": 0.1, "error": 0.2}, "ntk: slope", "undecided"),
        ({"kernel": "ntk", "error": 0.2}, "ntk: constant", "undecided"),
        ({"kernel": "ntk", "other_class": 1.5}, "ntk: vanishing class", "fails"),
        ({"kernel": "ntk", "other_class_size": 0.1}, "ntk: vanishing class", "undecided"),
        ({"kernel": "rbf(1)", "slope": 0.1}, "rbf(1): slope", "fails"),
        ({"kernel": "rbf(1)", "slope_before": -40.0}, "rbf(1): no power", "fails"),
        ({"kernel": "rbf(1)", "slope_before_error": 99.0}, "rbf(1): no power", "undecided"),
    ],
)
def test_what_is_wrong_is_seen(published, spoiled, check, answer):
    claim = published("spectrum-decay")
    judged = outcomes(claim, simulate(claim, **spoiled))
    assert judged.pop(check) == answer
    # Nothing is blamed on another kernel.
    others = {k: v for k, v in judged.items() if not k.startswith(spoiled["kernel"])}
    assert set(others.values()) == {"holds"}


def test_a_depth_that_decays_faster_fails(published):
    claim = published("deep-equals-shallow")
    judged = outcomes(claim, simulate(claim, kernel="deep-ntk(6)", slope=-0.5))
    assert judged["deep-ntk(6): slope"] == "fails"
    assert judged["deep-ntk(2): slope"] == "holds"


@pytest.mark.parametrize("p", [3.0, 7.0, 11.0])
def test_the_fit_covers_the_exponent_of_a_ratio_of_gamma_functions(p):
    q = np.arange(20.0, 80.0, 2.0)
    exact = math.log(3.0) + gammaln(q + (1 - p) / 2) - gammaln(q + (1 + p) / 2)
    (slope, constant), errors = _fit(q, exact, np.zeros_like(q))
    assert abs(slope + p) <= errors[0] < 0.05
    assert abs(constant - math.log(3.0)) <= errors[1] < 0.1
    # Relative errors of the data, of any sign, are covered as well.
    signs = np.random.default_rng(1).choice([-1.0, 1.0], q.size)
    (slope, _), wider = _fit(q, exact + 1e-3 * signs, np.full_like(q, 1e-3))
    assert abs(slope + p) <= wider[0]
    assert wider[0] > errors[0]


# Constants in closed form, written out by hand from the literature's formulas in d = 3.
@pytest.mark.parametrize(
    ("name", "kernel", "parity", "slope", "constant"),
    [
        ("spectrum-decay", "arc-cosine(1)", "even", -5.0, 1 / (2 * math.pi)),
        ("spectrum-decay", "arc-cosine(0)", "odd", -3.0, 1 / (2 * math.pi)),
        ("spectrum-decay", "laplace(1)", "odd", -3.0, 1 / 2),
        ("deep-equals-shallow", "deep-ntk(2)", "even", -3.0, 1 / math.pi),
        ("deep-equals-shallow", "deep-ntk(3)", "even", -3.0, 3.5 / (2 * math.pi)),
        ("deep-equals-shallow", "deep-ntk(3)", "odd", -3.0, 2.5 / (2 * math.pi)),
    ],
)
def test_a_cell_is_measured(name, kernel, parity, slope, constant):
    claim = registry.get(name)
    condition = {"kernel": kernel, "d": 3, "class": parity}
    measured = claim.measure(condition, np.random.default_rng(0), {})
    assert abs(measured["slope"] - slope) <= measured["slope_error"] < 0.01
    deviation = abs(math.log(measured["constant"] / constant))
    assert deviation <= measured["log_constant_error"] < 0.05
    assert claim.predict(condition) == pytest.approx({"slope": slope, "constant": constant})
    vanishes = len(claim.kernels[kernel]) == 1
    assert (measured["other_class"] <= 1) == vanishes
    assert measured["first_degree"] < measured["last_degree"] / 3


def test_octaves_of_the_gaussian_kernel():
    claim = registry.get("spectrum-decay")
    condition = {"kernel": "rbf(1)", "d": 2, "class": "octaves"}
    measured = claim.measure(condition, np.random.default_rng(0), {})
    # d = 2: mu_k = e^-1 I_k(1).
    from scipy.special import ive

    exact = math.log(ive(12, 1) / ive(6, 1)) / math.log(2)
    assert abs(measured["slope"] - exact) <= measured["slope_error"] < 0.01
    before = math.log(ive(6, 1) / ive(3, 1)) / math.log(2)
    assert abs(measured["slope_before"] - before) <= measured["slope_before_error"] < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_has_points_and_asymptotes(name):
    claim = registry.get(name)
    results = simulate(claim)
    with style():
        from matplotlib.figure import Figure

        figure = Figure()
        claim.draw(results, figure)
    dimensions = sorted({result.condition["d"] for result in results})
    assert len(figure.axes) == len(dimensions)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert labels == [*claim.kernels, "odd degrees", "asymptote"]
    # The asymptote of the last power of the first panel, at degree 64.
    last = [r for r in results if r.condition["class"] != "octaves"]
    last = [r for r in last if r.condition["d"] == dimensions[0]][-1]
    predicted = claim.predict(last.condition)
    q = 64 + dimensions[0] / 2 - 1
    height = q ** dimensions[0] if claim.compensated else 1.0
    wanted = predicted["constant"] * q ** predicted["slope"] * height
    ends = [line.get_ydata()[-1] for line in figure.axes[0].lines if len(line.get_ydata())]
    assert min(abs(end / wanted - 1) for end in ends) < 1e-12
