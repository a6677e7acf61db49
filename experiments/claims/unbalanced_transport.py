r"""Birth and death of neurons shorten the way to a given divergence.

The gradient flow of the likelihood over measures, from uniform neurons of equal mass, with
transport alone and with birth and death beside it, which creates mass where it is wanted. Where the
masses of the start barely reach, transport alone does not arrive at all. Where they are plenty, the
flow of a weak energy would be faster by the factor :math:`(1 + \Lambda)/\Lambda`, with
:math:`\Lambda = d - 1` the eigenvalue of degree 1 (`theory.descent_ascent.rates`). The energy here
is not weak: that factor tells how much to expect, and is no bound.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ._dual import divergence

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

DIMENSIONS = (3, 15)
WEIGHT = -10.0
SCARCE, PLENTY = 12.0, 40.0
TARGETS = {3: 0.03, 15: 0.1}
N_NEURONS, STEP_SIZE, LONGEST = 64, 0.2, 60.0
# Times without birth and death over times with it, where mass is scarce.
FACTOR = 2.0


class UnbalancedTransportHelps(Claim):
    """Flow time to a given KL divergence, with and without birth and death."""

    name = "unbalanced-transport-helps"
    statement = (
        "With birth and death of neurons the likelihood's flow reaches a given divergence sooner "
        "than by transport alone, and does so where transport has too little mass to arrive."
    )
    source = "domingoenrich2021dual; derived in lazyactive.theory.descent_ascent"
    formula = (
        r"\dfrac{T_{\mathrm{transport}}}{T_{\mathrm{with\ births}}} > 1, \quad "
        r"\mathrm{weak\ energy:}\ \ \dfrac{1 + \Lambda}{\Lambda},\ \ \Lambda = d - 1"
    )
    formula_text = (
        "The time by transport alone is longer than with births. For a weak energy their ratio "
        "is 1 plus Lambda, over Lambda, with Lambda = d minus 1."
    )
    shared_keys = ("mass_rate",)
    reported = ("time",)

    def __init__(self) -> None:
        grid: tuple[Condition, ...] = tuple(
            {"d": d, "mass": mass, "mass_rate": rate}
            for d in DIMENSIONS
            for mass in (SCARCE, PLENTY)
            for rate in (0, 1)
        )
        self.presets = {
            "quick": Preset(grid, 20, {"data": 5000, "reference": 20_000}),
            "paper": Preset(grid, 24, {"data": 20_000, "reference": 80_000}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """With plenty of mass, how much faster births would make a weak energy."""
        return {"speedup": linear_speedup(int(condition["d"]))}

    def cost(self, condition: Condition) -> float:
        """Coordinates, and the longer way without births."""
        return float(condition["d"]) * (2 - float(condition["mass_rate"]))

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """The time at which the target is reached, or the longest, with ``reached`` 0."""
        import numpy as np

        from ...numerics import sphere
        from ...numerics.teachers import PlantedEnergy
        from ...numerics.training import transport
        from ...numerics.training.likelihood import Likelihood

        d = int(condition["d"])
        teacher = PlantedEnergy(np.eye(1, d), np.array([WEIGHT]))
        X = teacher.sample(int(settings["data"]), rng).astype(np.float32)
        reference = sphere.orthogonal_uniform(int(settings["reference"]), d, rng, np.float32)
        loss, points = Likelihood.of(X, reference, 1), teacher.sample(5000, rng)
        network = transport.init(N_NEURONS, d, rng, float(condition["mass"]))
        before = divergence(teacher, network, points).value
        for n_steps in range(1, round(LONGEST / STEP_SIZE) + 1):
            network, _ = transport.step(
                network, loss, STEP_SIZE, mass_rate=float(condition["mass_rate"])
            )
            kl = divergence(teacher, network, points).value
            if kl <= TARGETS[d]:
                part = math.log(before / TARGETS[d]) / math.log(before / kl)
                time = (n_steps - 1 + part) * STEP_SIZE
                return {"time": time, "reached": 1.0, "kl": kl}
            before = kl
        return {"time": LONGEST, "reached": 0.0, "kl": kl}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Scarce mass: a factor. Plenty of mass: sooner."""
        checks = []
        for d in DIMENSIONS:
            checks.append(faster(d, SCARCE, FACTOR, results))
            checks.append(faster(d, PLENTY, 1.0, results))
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Times against the mass of the start, a panel for each dimension."""
        from matplotlib.ticker import NullLocator

        from .. import figures

        masses = (SCARCE, PLENTY)
        panels = figures.panels(figure, len(DIMENSIONS))
        for axes, d in zip(panels, DIMENSIONS, strict=True):
            for rate, label, color, marker in (
                (0, "transport alone", figures.VERMILION, "s"),
                (1, "with birth and death", figures.BLUE, "o"),
            ):
                own = [select(results, d=d, mass=mass, mass_rate=rate) for mass in masses]
                figures.points(
                    axes,
                    masses,
                    [statistics.mean(values(runs, "time")) for runs in own],
                    label=label,
                    color=color,
                    marker=marker,
                )
            axes.axhline(LONGEST, color=figures.GREY, linestyle=":", label="end of the runs")
            figures.log_axes(axes, masses, "mass of the start (the teacher has 10)")
            axes.set_xlim(8, 60)
            axes.set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
            axes.yaxis.set_minor_locator(NullLocator())
            axes.set_title(f"$d = {d}$, to KL = {TARGETS[d]:g}")
        panels[0].set_ylabel("flow time")
        figures.legend_below(figure)


def linear_speedup(d: int) -> float:
    """How much faster degree 1 of a weak energy is learned with birth and death."""
    from ...theory.descent_ascent import rates

    return rates(1, d)[0] / rates(1, d, mass_rate=0.0)[0]


def faster(d: int, mass: float, factor: float, results: Sequence[Result]) -> Check:
    """Times of transport alone over times with birth and death, on the same data.

    Runs that have not arrived count with the time they were given, which makes the ratio smaller;
    those with birth and death must all arrive.
    """
    alone, both = (select(results, d=d, mass=mass, mass_rate=rate) for rate in (0, 1))
    found = statistics.log_ratio(values(alone, "time"), values(both, "time"))
    outcome = statistics.above(found, math.log(factor))
    if not all(values(both, "reached")):
        outcome = "fails"
    return Check(
        f"d = {d}, mass {mass:g}: faster",
        f"mean log of the time without birth and death over the time with it is at least "
        f"log {factor:.3g}, and all runs with it arrive",
        found.value,
        found,
        math.log(factor),
        outcome,
    )


register(UnbalancedTransportHelps())
