import numpy as np
import pytest

from lazyactive.experiments import claim as registry
from lazyactive.experiments.claim import Result
from lazyactive.experiments.claims import modes as module
from lazyactive.experiments.figures import style
from lazyactive.experiments.film import check_film

LEVELS = {(1, 0): 0.005, (1, 1): 0.02, (2, 0): 0.02, (2, 1): 0.1}


@pytest.fixture
def claim():
    return registry.get("monomodal-and-bimodal-3d")


def simulate(claim, *, levels=None, noise=0.2):
    rng, grid = np.random.default_rng(0), claim.presets["quick"]
    return [
        Result(
            condition,
            repetition,
            {
                "kl": (LEVELS | (levels or {}))[condition["modes"], condition["restart"]]
                * np.exp(noise * rng.standard_normal()),
                "share_error": 0.01,
            },
            1.0,
        )
        for condition in grid.conditions
        for repetition in range(grid.repetitions)
    ]


def outcomes(claim, **options):
    return {c.name: c.outcome for c in claim.verdict(simulate(claim, **options)).checks}


def test_holds_as_measured(claim):
    judged = outcomes(claim)
    assert len(judged) == 4
    assert set(judged.values()) == {"holds"}


def test_restarts_that_cost_nothing_fail(claim):
    judged = outcomes(claim, levels={(1, 1): 0.005})
    assert judged["1 mode: restarts are worse"] == "fails"


def test_a_mode_that_is_missed_fails(claim):
    assert outcomes(claim, levels={(2, 0): 0.3})["2 modes: learned"] == "fails"


def test_noise_is_undecided(claim):
    judged = outcomes(claim, levels={(2, 1): 0.042}, noise=0.6)
    assert judged["2 modes: restarts are worse"] == "undecided"


def test_measure(claim, monkeypatch):
    """After a short time the divergence is no longer that of the start."""
    monkeypatch.setattr(module, "LOOKS", (0.02, 1.0))
    condition, settings = {"modes": 1, "restart": 0}, {"data": 200, "walkers": 200}
    found = claim.measure(condition, np.random.default_rng(0), settings)
    assert found["kl_last"] < 0.5 * found["kl"]
    assert abs(found["share_error"]) < 0.1


def test_film(claim, monkeypatch):
    monkeypatch.setattr(module, "TIME", 0.1)
    added = []
    film = check_film(claim.film(4, np.random.default_rng(0), added.append))
    assert len(film.frames) == sum(added) == 4
    assert film.frames[0].time == 0
    assert film.frames[-1].time == pytest.approx(0.1)


def test_draw(claim):
    from matplotlib.figure import Figure

    with style():
        figure = Figure()
        claim.draw(simulate(claim), figure)
    assert figure.axes[0].get_ylabel() == "KL divergence"
