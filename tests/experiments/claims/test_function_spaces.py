import math

import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims.function_spaces import largest_pairing
from lazyactive.experiments.figures import style

SETTINGS = {"degree": 80, "samples": 2000}


@pytest.fixture
def claim():
    return registry.get("f1-f2-norms")


def simulate(claim, preset="quick", *, function=None, d=5, k=None, power=0.0, **factors):
    """Measurements as predicted; what is spoiled, is so in one dimension."""
    results = []
    for condition in claim.presets[preset].conditions:
        predicted = claim.predict(condition)
        values = {
            "f1_lower": 0.99 * predicted["f1_lower"],
            "f1_upper": predicted["f1_upper"],
            "f2": predicted["f2"],
            "f2_error": 1e-9 * predicted["f2"],
        }
        if condition["function"] == "neuron" and condition["k"] == 2:
            values["sampled_square"] = 1.02 * predicted["f2"] ** 2
            values["sampled_square_error"] = 0.03 * predicted["f2"] ** 2
        if (condition["function"], condition["d"]) == (function, d) and k in (None, condition["k"]):
            values["f2"] *= (condition["k"] / 32) ** power
            for name, factor in factors.items():
                if name in values:
                    values[name] *= factor
        results += [Result(condition, repetition, values) for repetition in range(2)]
    return results


def outcomes(claim, results):
    return {check.name: check.outcome for check in claim.verdict(results).checks}


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_results_as_predicted_hold(claim, preset):
    assert set(outcomes(claim, simulate(claim, preset)).values()) == {"holds"}


@pytest.mark.parametrize(
    ("spoiled", "check", "answer"),
    [
        # A cheaper measure than the predicted one exists.
        ({"function": "harmonic", "k": 4, "f1_upper": 0.995}, "F1 norm, harmonics", "fails"),
        # No measure is as cheap as predicted.
        ({"function": "harmonic", "k": 4, "f1_lower": 1.02}, "F1 norm, harmonics", "fails"),
        ({"function": "harmonic", "f1_lower": 0.9}, "F1 norm, harmonics", "undecided"),
        ({"function": "neuron", "f1_lower": 1.02}, "F1 norm, neuron", "fails"),
        ({"function": "neuron", "f1_lower": 0.5}, "F1 norm, neuron", "undecided"),
        ({"function": "harmonic", "k": 8, "f2": 1.001}, "F2 norm, harmonics", "fails"),
        ({"function": "harmonic", "f2_error": 1e7}, "F2 norm, harmonics", "undecided"),
        ({"function": "neuron", "k": 16, "f2": 0.999}, "F2 norm, neuron", "fails"),
        ({"function": "neuron", "power": 0.2}, "growth of the neuron's F2 norm", "fails"),
        ({"function": "neuron", "power": -0.2}, "growth of the neuron's F2 norm", "fails"),
        ({"function": "neuron", "f2_error": 1e8}, "growth of the neuron's F2 norm", "undecided"),
        ({"function": "neuron", "sampled_square": 1.2}, "F2 norm, sampled neuron", "fails"),
        (
            {"function": "neuron", "sampled_square_error": 4.0},
            "F2 norm, sampled neuron",
            "undecided",
        ),
    ],
)
def test_what_is_wrong_is_seen(claim, spoiled, check, answer):
    judged = outcomes(claim, simulate(claim, **spoiled))
    assert judged[f"d = 5: {check}"] == answer
    assert {v for k, v in judged.items() if not k.startswith("d = 5:")} == {"holds"}


def test_predictions(claim):
    harmonic = claim.predict({"function": "harmonic", "d": 3, "k": 2})
    assert harmonic["f1_lower"] == harmonic["f1_upper"] == pytest.approx(6.15840287135601)
    assert harmonic["f2"] == pytest.approx(7.15541752799933)
    # d = 3, degrees 0, 1, 2: 1 + 3 + 5 = 9.
    neuron = claim.predict({"function": "neuron", "d": 3, "k": 2})
    assert neuron == pytest.approx({"f1_lower": 1.0, "f1_upper": 1.0, "f2": 3.0})


@pytest.mark.parametrize(("d", "k"), [(3, 2), (5, 4)])
def test_a_harmonic_is_measured(claim, d, k):
    condition = {"function": "harmonic", "d": d, "k": k}
    measured = claim.measure(condition, np.random.default_rng(0), SETTINGS)
    predicted = claim.predict(condition)
    assert 0.97 < measured["f1_lower"] / predicted["f1_lower"] <= 1 + 1e-9
    assert 1 <= measured["f1_upper"] / predicted["f1_upper"] + 1e-9 < 1 + 1e-4
    assert abs(measured["f2"] - predicted["f2"]) <= measured["f2_error"] < 1e-6


def test_a_neuron_is_measured(claim):
    condition = {"function": "neuron", "d": 3, "k": 2}
    measured = claim.measure(condition, np.random.default_rng(0), SETTINGS)
    assert 0.98 < measured["f1_lower"] <= 1 + 1e-6
    # Rounding of the root of 9.
    assert measured["f2"] == pytest.approx(3.0, abs=measured["f2_error"] + 1e-14)
    assert measured["f2_error"] < 1e-9
    # The errors of the degrees are added, so |z| > 4 is rarer than 6e-5.
    assert abs(measured["sampled_square"] - 9) < 4 * measured["sampled_square_error"] < 9


def test_largest_pairing_on_the_circle():
    # E[f g] of f = cos(2 phi): with h = c cos(2 phi) alone the largest mean of h f is 1/2; over
    # all even h bounded by 1 it is the mean of |cos(2 phi)|, 2 / pi.
    objective = np.zeros(41)
    objective[2] = 0.5
    alone = np.arange(41) == 2
    assert largest_pairing(objective, alone, 2) == pytest.approx(0.5, rel=1e-6)
    even = np.arange(41) % 2 == 0
    assert 0.98 * 2 / math.pi < largest_pairing(objective, even, 2) < 2 / math.pi
    # Linear in the objective.
    assert largest_pairing(3 * objective, alone, 2) == pytest.approx(1.5, rel=1e-6)


def test_the_figure_has_a_panel_for_each_dimension(claim):
    results = simulate(claim)
    with style():
        from matplotlib.figure import Figure

        figure = Figure()
        claim.draw(results, figure)
    assert len(figure.axes) == 2
    for axes, d in zip(figure.axes, (3, 5), strict=True):
        assert len(axes.get_legend_handles_labels()[1]) == 2
        exact = claim.predict({"function": "neuron", "d": d, "k": 32})["f2"]
        tops = [line.get_ydata()[-1] for line in axes.lines]
        assert min(abs(top / exact - 1) for top in tops) < 1e-12
