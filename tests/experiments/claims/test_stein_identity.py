import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import stein_identity
from lazyactive.experiments.claims.stein_identity import FIELDS, FLAT, KERNELS, UNIFORM
from lazyactive.experiments.figures import style
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.theory.stein_discrepancies import density_coefficients, neuron_means

CELL = {"d": 5, "weights": "10"}
# Other tests compile the loops for d = 3 too.
MEASURED = {"d": 3, "weights": "-10"}
NEURONS, KERNEL = "d = 5, w = 10: neurons", "d = 5, w = 10: kernels"


@pytest.fixture
def claim():
    return stein_identity.SteinIdentity()


def simulate(claim, *, shifts=None, noise=0.04, spoiled_noise=0.04, flat=2.0, repetitions=None):
    """Means with normal errors in units of the uniform model's, which are -0.3 for some fields."""
    rng = np.random.default_rng(0)
    results, grid = [], claim.presets["quick"]
    for condition in grid.conditions:
        spoiled = condition == CELL
        for repetition in range(repetitions or grid.repetitions):
            measured = {}
            for i, field in enumerate((*FIELDS, *KERNELS)):
                unit = (0.3, -0.3)[i % 2]
                sd = spoiled_noise if spoiled else noise
                shift = (shifts or {}).get(field, 0.0) if spoiled else 0.0
                error = sd * rng.standard_normal()
                measured[field] = unit * (shift + error)
                measured[f"{field}, {UNIFORM}"] = unit * (1 + 0.02 * rng.standard_normal())
                if field in FIELDS:
                    amount = flat if spoiled else 2.0
                    measured[f"{field}, {FLAT}"] = unit * (amount + error)
            results.append(Result(condition, repetition, measured))
    return results


def outcomes(claim, results):
    return {check.name: check.outcome for check in claim.verdict(results).checks}


WRONG = f"{FLAT}: the teacher's first neuron"


def test_an_identity_holds(claim):
    judged = outcomes(claim, simulate(claim))
    assert set(judged.values()) == {"holds"}
    # Neurons and kernels for three dimensions and four teachers, and three controls.
    assert len(judged) == 27


@pytest.mark.parametrize(
    ("spoiled", "check", "answer"),
    [
        # The half-width of an interval is 0.05.
        ({"shifts": {FIELDS[3]: 0.1}}, NEURONS, "fails"),
        ({"shifts": {FIELDS[3]: -0.1}}, NEURONS, "fails"),
        ({"shifts": {KERNELS[1]: 0.1}}, KERNEL, "fails"),
        # An operator that is no worse without its curvature term.
        ({"flat": 0.0}, WRONG, "fails"),
    ],
)
def test_a_wrong_operator_is_seen(claim, spoiled, check, answer):
    judged = outcomes(claim, simulate(claim, **spoiled))
    assert judged.pop(check) == answer
    assert set(judged.values()) == {"holds"}


def test_noise_decides_nothing(claim):
    judged = outcomes(claim, simulate(claim, spoiled_noise=0.2, flat=0.0))
    undecided = {name for name, outcome in judged.items() if outcome == "undecided"}
    assert undecided == {NEURONS, KERNEL, WRONG}
    assert "fails" not in judged.values()
    judged = outcomes(claim, simulate(claim, repetitions=1))
    assert set(judged.values()) == {"undecided"}


def test_a_cell_is_measured():
    claim = registry.get("stein-identity")
    settings = {"n": 4000, "n_pairs": 500}
    cells = [
        claim.measure(MEASURED, np.random.default_rng(seed), settings)
        for seed in (3, 3, *range(12))
    ]
    assert cells[0] == cells[1]
    assert set(claim.predict(MEASURED)) <= set(cells[0])
    means = {name: np.mean([cell[name] for cell in cells[2:]]) for name in cells[0]}
    errors = {name: np.std([cell[name] for cell in cells[2:]]) / 11**0.5 for name in cells[0]}
    # Student's t with 11 degrees of freedom is above 5 in 4 of 10,000 cases; there are 12 here.
    assert all(abs(means[name]) < 5 * errors[name] for name in (*FIELDS, *KERNELS))
    # The uniform model has exactly the means of the planted density, the axis being the teacher.
    density = density_coefficients(-10.0, 3, 40)
    for i, angle in enumerate((0, 45, 90)):
        s = np.cos(np.radians(angle))
        radial, tangential = neuron_means(density, 3, s)
        expected = radial * s + tangential * (1 - s**2)
        name = f"{FIELDS[i]}, {UNIFORM}"
        assert abs(means[name] - expected) < 5 * errors[name]
    # Without its curvature term the operator misses (d - 1) E[sigma(t) t], t the first coordinate.
    missed = means[f"{FIELDS[0]}, {FLAT}"] - means[FIELDS[0]]
    t = np.maximum(PlantedEnergy(np.eye(3)[:1], [-10.0]).sample(100_000, 0)[:, 0], 0)
    # Of 12 samples of 4000 points it has a standard error of 0.1%.
    assert missed == pytest.approx(2 * np.mean(t**2), rel=0.01)


def test_figure(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
        assert [axes.get_title() for axes in figure.axes] == ["$d = 3$", "$d = 5$", "$d = 15$"]
        assert len(figure.axes[0].get_yticklabels()) == 4
