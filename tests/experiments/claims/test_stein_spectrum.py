import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import stein_spectrum
from lazyactive.experiments.figures import style
from lazyactive.numerics import sphere

DEGREE = {"d": 3, "energy": "P_2", "strength": 2.0, "kernel": "rbf"}
BLIND = {"d": 3, "energy": "P_4", "strength": 2.0, "kernel": "arc-cosine(1)"}
STRONG = {"d": 15, "energy": "neuron", "strength": -8.0, "kernel": "rbf"}
NAMES = {
    "degree": "d = 3, rbf: degrees",
    "blind": "d = 3, arc-cosine(1): degrees",
    "neuron": "d = 15, rbf: neuron",
    "limit": "d = 5: weak neurons",
}


@pytest.fixture
def claim():
    return stein_spectrum.SteinSpectrum()


def simulate(claim, *, spoiled=None, shift=0.0, noise=0.05, weak=1.0, repetitions=None):
    """Discrepancies as predicted with normal errors; what is spoiled, is so in one cell."""
    rng = np.random.default_rng(0)
    results, grid = [], claim.presets["quick"]
    for condition in grid.conditions:
        predicted = claim.predict(condition)
        mean, sd = predicted["ksd"], 0.05
        if condition == spoiled:
            mean, sd = mean + shift * predicted["unit"], noise
        if weak != 1 and condition["d"] == 5 and abs(condition["strength"]) == 1:
            mean, sd = weak * predicted["weak"], 0.02
        for repetition in range(repetitions or grid.repetitions):
            ksd = mean + sd * predicted["unit"] * rng.standard_normal()
            results.append(Result(condition, repetition, {"ksd": ksd}))
    return results


def outcomes(claim, results):
    return {check.name: check.outcome for check in claim.verdict(results).checks}


def test_predicted_discrepancies_hold(claim):
    judged = outcomes(claim, simulate(claim))
    assert set(judged.values()) == {"holds"}
    # Three dimensions with three kernels, the neurons of each, and their weak limits.
    assert len(judged) == 15


@pytest.mark.parametrize(
    ("condition", "name"),
    [(DEGREE, "degree"), (BLIND, "blind"), (STRONG, "neuron")],
)
@pytest.mark.parametrize("shift", [-0.15, 0.15])
def test_a_wrong_discrepancy_is_seen(claim, condition, name, shift):
    # The half-width of an interval is 0.06.
    judged = outcomes(claim, simulate(claim, spoiled=condition, shift=shift))
    assert judged.pop(NAMES[name]) == "fails"
    assert set(judged.values()) == {"holds"}


@pytest.mark.parametrize(
    ("condition", "name"),
    [(DEGREE, "degree"), (BLIND, "blind"), (STRONG, "neuron")],
)
def test_a_noisy_discrepancy_decides_nothing(claim, condition, name):
    judged = outcomes(claim, simulate(claim, spoiled=condition, shift=0.15, noise=0.3))
    assert judged.pop(NAMES[name]) == "undecided"
    assert set(judged.values()) == {"holds"}


@pytest.mark.parametrize(("weak", "answer"), [(1.0, "holds"), (1.11, "undecided"), (1.3, "fails")])
def test_limit(claim, weak, answer):
    assert outcomes(claim, simulate(claim, weak=weak))[NAMES["limit"]] == answer


def test_one_repetition_decides_nothing(claim):
    judged = outcomes(claim, simulate(claim, repetitions=1))
    assert set(judged.values()) == {"undecided"}


def test_predictions(claim):
    # Worked out independently: rho_2 of the kernel exp(u - 1).
    assert claim.predict(DEGREE)["ksd"] == pytest.approx(4 * 0.496093595357409, rel=1e-12)
    blind = claim.predict(BLIND)
    assert blind["ksd"] == 0
    assert blind["unit"] > 0
    # At weak energies a repelling and an attracting neuron differ to first order.
    one, other = (claim.predict({**STRONG, "d": 5, "strength": w}) for w in (-1.0, 1.0))
    assert one["weak"] == pytest.approx(other["weak"], rel=1e-12)
    assert one["ksd"] / one["weak"] == pytest.approx(1.2976, abs=1e-4)
    assert other["ksd"] / other["weak"] == pytest.approx(0.7472, abs=1e-4)


@pytest.mark.parametrize(("d", "degree"), [(2, 3), (3, 1), (5, 4), (15, 3)])
def test_gradient_of_a_harmonic(d, degree):
    X, axis = sphere.uniform(400_000, d, 1), np.eye(d)[0]
    gradient = stein_spectrum.harmonic_gradient(X, axis, degree)
    assert np.max(np.abs(np.sum(gradient * X, axis=1))) < 1e-8
    # Of a harmonic of norm 1 the mean square is its eigenvalue; peaks make it noisy.
    squares = np.sum(gradient**2, axis=1)
    error = np.std(squares) / len(squares) ** 0.5
    assert abs(np.mean(squares) - degree * (degree + d - 2)) < 5 * error
    assert error < 0.1 * degree * (degree + d - 2)


@pytest.mark.parametrize("condition", [DEGREE, {**STRONG, "d": 3}], ids=["degree", "neuron"])
def test_a_cell_is_measured(condition):
    claim = registry.get("ksd-weak-spectrum")
    cells = [
        claim.measure(condition, np.random.default_rng(seed), stein_spectrum.SETTINGS)["ksd"]
        for seed in (3, 3, *range(10))
    ]
    assert cells[0] == cells[1]
    error = np.std(cells[2:]) / 3
    # Student's t with 9 degrees of freedom is above 5 in one case of 1400.
    assert abs(np.mean(cells[2:]) - claim.predict(condition)["ksd"]) < 5 * error
    assert error < 0.05 * claim.predict(condition)["ksd"]


def test_figure(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
        assert len(figure.axes) == 4
        # Blindness is drawn: the arc-cosine kernel of order 1 has no fourth degree.
        curves = [np.array(line.get_ydata(), dtype=float) for line in figure.axes[0].lines]
        assert sum(len(curve) == 5 and bool(np.isnan(curve[3])) for curve in curves) == 1
