r"""Descent-ascent does best when neurons and walkers move on similar time scales.

Near a weak energy each harmonic is a damped oscillator (`theory.descent_ascent`): slow neurons have
not arrived when the time is up, fast ones oscillate and follow the noise of the walkers. Walkers,
data and time are given; the ratio of the two rates, K/D of degree 1, is varied. For a weak neuron
the mean divergence is predicted without a free parameter; a strong one, where no prediction is
known, is to have the same optimum.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Outcome
from ._dual import divergence, neuron_rate

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

D = 3
RATIOS = (1 / 64, 1 / 16, 1 / 4, 1.0, 4.0, 16.0, 64.0)
MATCHED = (1 / 4, 1.0)
# At the largest ratio the fluctuations of the energy are no longer small.
PREDICTED = RATIOS[:-1]
# The weak energy is small beside the mass of the neurons: masses and neurons then move little.
WEAK, STRONG = -0.5, -10.0
MASSES = {WEAK: 10.0, STRONG: 20.0}
TIME, STEP_SIZE, N_DATA, N_WALKERS = 4.0, 0.01, 5000, 1000
MAX_DEGREE = 40
# What the prediction may be off, to second order in the energy and to first in the step.
TOLERANCE = 0.2
LARGEST_HALF_WIDTH = 0.6
# So much worse are the ends of the grid than the better one of the matched ratios.
FACTOR = 2.0


class DualTimeScales(Claim):
    """KL divergence after a given time against the ratio of the rates of neurons and walkers."""

    name = "dual-time-scales"
    statement = (
        "Descent-ascent of neurons and walkers does best when both move on similar time scales: "
        "with slower neurons it has not arrived, with faster ones it follows the walkers' noise."
    )
    source = "domingoenrich2021dual; derived in lazyactive.theory.descent_ascent"
    formula = (
        r"\dot f_k = K\,(f^*_k + q_k), \quad \dot q_k = -D\,(q_k + f_k)"
        "\n"
        r"\mathrm{critical\ at}\ K = \dfrac{D}{4}"
    )
    formula_text = (
        "Near a weak energy each degree is a damped oscillator: f grows at the rate K times f star "
        "plus q, and q falls at the rate D times q plus f. It is critically damped at K = D over 4."
    )
    reported = ("kl",)

    def __init__(self) -> None:
        grid: tuple[Condition, ...] = tuple(
            {"w": w, "ratio": ratio} for w in (WEAK, STRONG) for ratio in RATIOS
        )
        self.presets = {
            "quick": Preset(grid, 24, {"neurons": 192, "walkers": N_WALKERS}),
            "paper": Preset(grid, 128, {"neurons": 768, "walkers": N_WALKERS}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """The mean divergence of a weak neuron."""
        if condition["w"] != WEAK:
            return {}
        return {"kl": predicted_kl(float(condition["ratio"]), N_WALKERS)}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Train for the given time; the divergence over fresh samples."""
        import numpy as np

        from ...numerics import sphere
        from ...numerics.teachers import PlantedEnergy
        from ...numerics.training import dual
        from ...numerics.training.transport import Network

        w = float(condition["w"])
        teacher = PlantedEnergy(np.eye(1, D), np.array([w]))
        X = teacher.sample(N_DATA, rng)
        # Each place has a neuron of either sign, so that the energy starts at zero; cross-polytopes
        # make degree 1 exact.
        half = sphere.orthogonal_uniform(int(settings["neurons"]) // 2, D, rng)
        m = 2 * len(half)
        network = Network(
            np.concatenate([half, half]),
            np.full(m, MASSES[w]),
            np.repeat([1.0, -1.0], m // 2),
            1,
        )
        state, data = dual.init(network, int(settings["walkers"]), rng), dual.Data.of(X)
        rate = neuron_rate(float(condition["ratio"]), D, MASSES[w])
        for _ in range(round(TIME / STEP_SIZE)):
            state, _ = dual.step(state, data, rng, STEP_SIZE, rate, rate)
        found = divergence(teacher, state.network, teacher.sample(100_000, rng))
        return {"kl": found.value, "kl_se": found.se}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Weak: every ratio as predicted. Both: the ends are worse than the matched ratios."""
        # One family of intervals, at 99% together.
        level = 1 - 0.01 / len(PREDICTED)
        checks = []
        for ratio in PREDICTED:
            own = select(results, w=WEAK, ratio=ratio)
            checks.append(as_predicted(own, self.predict(own[0].condition)["kl"], level))
        for w in (WEAK, STRONG):
            for end in (RATIOS[0], RATIOS[-1]):
                checks.append(worse_at(end, w, results))
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Divergence against the ratio, a panel for each strength."""
        from .. import figures

        panels = figures.panels(figure, 2)
        for axes, w in zip(panels, (WEAK, STRONG), strict=True):
            self._draw_panel(axes, w, select(results, w=w))
        panels[0].set_ylabel(f"KL divergence after time {TIME:g}")
        figures.legend_below(figure)

    def _draw_panel(self, axes: "Axes", w: float, results: Sequence[Result]) -> None:
        import numpy as np

        from .. import figures

        intervals = [statistics.mean(values(select(results, ratio=r), "kl")) for r in RATIOS]
        figures.points(axes, RATIOS, intervals, label="measured", color=figures.BLUE, marker="o")
        if w == WEAK:
            fine = np.geomspace(RATIOS[0] / 2, 2 * RATIOS[-1], 200)
            curve = [predicted_kl(ratio, N_WALKERS) for ratio in fine]
            axes.plot(
                fine, curve, color=figures.BLUE, zorder=1, label="predicted, no free parameter"
            )
        axes.axvline(1 / 4, color=figures.GREY, linestyle=":", label="critical damping")
        figures.log_axes(axes, RATIOS, "rate of neurons / rate of walkers")
        axes.set_xticklabels(["1/64", "1/16", "1/4", "1", "4", "16", "64"])
        axes.set_title(f"one neuron, $w = {w:g}$")


def predicted_kl(ratio: float, n_walkers: int) -> float:
    """The mean divergence of the weak neuron."""
    import numpy as np

    from ...theory.activations import ReLUPower
    from ...theory.descent_ascent import expected_kl
    from ...theory.sphere import harmonic_dimension

    coefficients = ReLUPower(1).coefficients(D, MAX_DEGREE)
    amplitudes = [
        abs(WEAK * coefficients[k]) * np.sqrt(harmonic_dimension(D, k))
        for k in range(1, MAX_DEGREE + 1)
    ]
    rate, mass = neuron_rate(ratio, D, MASSES[WEAK]), MASSES[WEAK]
    return expected_kl(TIME, amplitudes, D, n_walkers, N_DATA, 1, mass, rate, rate)


def as_predicted(runs: Sequence[Result], predicted: float, level: float) -> Check:
    """The mean divergence of the weak neuron over its prediction."""
    found = statistics.mean([kl / predicted for kl in values(runs, "kl")], level)
    outcome: Outcome = "holds"
    if found.high < 1 - TOLERANCE or found.low > 1 + TOLERANCE:
        outcome = "fails"
    elif not found.half_width <= LARGEST_HALF_WIDTH:
        outcome = "undecided"
    return Check(
        f"w = {WEAK:g}, ratio {runs[0].condition['ratio']:g}: as predicted",
        f"the mean KL over its prediction is within {TOLERANCE:.0%} of 1, by an interval of "
        f"half-width at most {LARGEST_HALF_WIDTH:.0%}",
        found.value,
        found,
        1.0,
        outcome,
        level="simultaneous 99% interval",
    )


def worse_at(end: float, w: float, results: Sequence[Result]) -> Check:
    """Logarithm of the divergence at an end over that at the better matched ratio."""
    matched = min(
        (values(select(results, w=w, ratio=ratio), "kl") for ratio in MATCHED),
        key=lambda kls: statistics.mean(kls).value,
    )
    far = values(select(results, w=w, ratio=end), "kl")
    found = statistics.log_ratio_of_means(far, matched)
    return Check(
        f"w = {w:g}: ratio {end:g} is worse",
        f"log of the mean KL over that at the better of the ratios "
        f"{MATCHED[0]:g} and {MATCHED[1]:g} is at least log {FACTOR:g}",
        found.value,
        found,
        math.log(FACTOR),
        statistics.above(found, math.log(FACTOR)),
    )


register(DualTimeScales())
