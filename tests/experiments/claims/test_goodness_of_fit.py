import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import goodness_of_fit as module
from lazyactive.experiments.figures import style

POWER = {
    module.NONE: dict.fromkeys(module.TESTS, 0.05),
    module.HIDDEN: {"F1": 0.8, "KSD rbf": 0.3, "KSD arc-cosine": 0.4},
    module.OPEN: {"F1": 0.1, "KSD rbf": 0.5, "KSD arc-cosine": 0.5},
}


@pytest.fixture
def claim():
    return registry.get("goodness-of-fit-power")


def simulate(claim, changes=None, preset="quick"):
    """Rejections are binomial, with the same power at every n; `changes` is of (case, test)."""
    rng = np.random.default_rng(0)
    grid = claim.presets[preset]
    results = []
    for condition in grid.conditions:
        case = condition["neuron"]
        n_sets = grid.settings[case]
        for repetition in range(grid.repetitions):
            values = {"data_sets": n_sets}
            for test, power in POWER[case].items():
                power = (changes or {}).get((case, test), power)
                values[test] = rng.binomial(n_sets, power) / n_sets
            results.append(Result(condition, repetition, values, 1.0))
    return results


def outcomes(claim, **options):
    return {check.name: check.outcome for check in claim.verdict(simulate(claim, **options)).checks}


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_holds_as_measured(claim, preset):
    assert set(outcomes(claim, preset=preset).values()) == {"holds"}


def test_a_test_that_rejects_too_often_fails(claim):
    assert outcomes(claim, changes={(module.NONE, "F1"): 0.25})["F1: size"] == "fails"


# 400 data sets are enough to see a test that hardly ever rejects; the 96 of `quick` are not.
def test_a_test_that_rejects_too_rarely_fails(claim):
    changes = {(module.NONE, "KSD rbf"): 0.005}
    assert outcomes(claim, changes=changes, preset="paper")["KSD rbf: size"] == "fails"


def test_powers_the_other_way_round_fail(claim):
    changes = {(module.HIDDEN, "F1"): 0.1, (module.OPEN, "F1"): 0.9}
    found = outcomes(claim, changes=changes)
    for kernel in module.KERNELS:
        assert found[f"hidden neuron: F1 above {kernel}"] == "fails"
        assert found[f"open neuron: {kernel} above F1"] == "fails"


def test_equal_powers_are_undecided(claim):
    # The interval of a zero difference excludes zero with probability 5%; the seed is fixed.
    changes = {(module.HIDDEN, test): 0.5 for test in module.TESTS}
    assert outcomes(claim, changes=changes)["hidden neuron: F1 above KSD rbf"] == "undecided"


def test_measure(claim):
    settings = dict.fromkeys(module.SIZES, 3)
    rng = np.random.default_rng(2)
    hidden = claim.measure({"neuron": module.HIDDEN, "n": 1500}, rng, settings)
    # Power is 1 to three digits here, for all tests but one.
    assert hidden["F1"] == hidden["KSD arc-cosine"] == 1
    null = claim.measure({"neuron": module.NONE, "n": 100}, rng, settings)
    # Rejecting all three at level 5% has probability 1e-4.
    assert all(null[test] < 1 for test in module.TESTS)
    assert null["data_sets"] == 3


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "linear"]
