r"""Walkers that restart at the data before every step train the network by score matching.

A Langevin step of size h from the data changes the mean of a feature by -h times its gradient of
the score-matching loss, up to order h^2. So the gradient of descent-ascent with restarts, divided
by h, has an error of order h, in the mean over the data. (On given data there is a further part,
of mean zero, from those within reach of a kink.)

The noise of the walkers, divided by h, does not fall with h. But with the same noise at every step
it is the same, and drops out of the change of the gradient from h to 2h, which is of order h
exactly if the error is. What is left as h goes to 0 is extrapolated from the two smallest steps.
Squares are estimated without bias, as inner products over independent data and noise.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Interval

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from ...numerics.training.transport import Network

DIMENSIONS, ALPHAS = (3, 15), (2, 3)
# Each the double of the one before. The slope is that of the first three changes: terms of higher
# order bend the curve.
STEPS = (0.0005, 0.001, 0.002, 0.004, 0.008)
N_FITTED = 3
N_NEURONS, MASS, TEACHER_WEIGHT = 48, 4.0, -6.0
SLOPE_TOLERANCE, LARGEST_LIMIT = 0.1, 0.05
# Half-width of a bump that does not smooth.
SHARP = 1e-9
# In place of a product that noise has made negative: its logarithm then spoils the interval.
TINY = 1e-30


class RestartIsScoreMatching(Claim):
    """How the gradient with restarts approaches that of score matching as the step falls."""

    name = "restart-is-score-matching"
    statement = (
        "With walkers restarted at the data before every step, the gradient of dual training "
        "divided by the step is that of score matching, up to an error linear in the step."
    )
    source = "domingoenrich2021dual; derived in lazyactive.numerics.training.dual"
    formula = r"E\,\dfrac{1}{h}\,\nabla_{\mathrm{dual}} = \nabla L_{\mathrm{SM}} + O(h)"
    formula_text = (
        "The mean gradient of dual training over the step h is the gradient of the loss of score "
        "matching, up to an error of order h."
    )
    reported = ("slope", "limit_square")

    def __init__(self) -> None:
        grid: tuple[Condition, ...] = tuple(
            {"d": d, "alpha": alpha} for d in DIMENSIONS for alpha in ALPHAS
        )
        self.presets = {
            "quick": Preset(grid, 12, {"pairs": 300_000}),
            "paper": Preset(grid, 40, {"pairs": 1_000_000}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """The error is of first order, and has the limit zero."""
        return {"slope": 1.0, "limit_square": 0.0}

    def cost(self, condition: Condition) -> float:
        """Coordinates of the walkers."""
        return float(condition["d"])

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Changes of psi / h between steps, their slope, and the square of its error's limit.

        All are relative to psi of score matching, as root mean squares over neurons.
        """
        import numpy as np

        from ...numerics.teachers import PlantedEnergy
        from ...numerics.training import transport

        d, alpha = int(condition["d"]), int(condition["alpha"])
        teacher = PlantedEnergy(np.eye(1, d), np.array([TEACHER_WEIGHT]), alpha)
        network = transport.init(N_NEURONS, d, rng, MASS, alpha)
        halves = [
            errors(network, teacher.sample(int(settings["pairs"]), own), own)
            for own in rng.spawn(2)
        ]
        # Products of independent halves: noise adds nothing to their mean.
        first, second = (np.diff(half, axis=0) for half in halves)
        changes = np.sqrt(np.maximum(np.sum(first * second, axis=1), TINY))
        limits = [2 * half[0] - half[1] for half in halves]
        logs = np.log(changes[:N_FITTED])
        return {
            "slope": float(np.polyfit(np.log(STEPS[:N_FITTED]), logs, 1)[0]),
            "limit_square": float(limits[0] @ limits[1]),
            **{f"change_{h:g}": float(c) for h, c in zip(STEPS, changes, strict=False)},
        }

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """The slope is 1, the limit 0."""
        checks = []
        for d in DIMENSIONS:
            for alpha in ALPHAS:
                own = select(results, d=d, alpha=alpha)
                checks += [falls_linearly(d, alpha, own), agrees(d, alpha, own)]
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Changes against the step, a panel for each power."""
        import numpy as np

        from .. import figures

        steps = STEPS[:-1]
        panels = figures.panels(figure, len(ALPHAS))
        for axes, alpha in zip(panels, ALPHAS, strict=True):
            for d, color, marker in zip(
                DIMENSIONS, (figures.BLUE, figures.VERMILION), ("o", "s"), strict=True
            ):
                own = select(results, d=d, alpha=alpha)
                intervals = [statistics.mean(values(own, f"change_{h:g}")) for h in steps]
                figures.points(
                    axes, steps, intervals, label=f"$d = {d}$", color=color, marker=marker
                )
                line = intervals[0].value * np.array(steps) / steps[0]
                axes.plot(steps, line, color=color, linewidth=0.8, label="slope 1")
            figures.log_axes(axes, steps, "step $h$")
            axes.set_title(rf"$\alpha = {alpha}$")
        panels[0].set_ylabel(r"relative change of the gradient, $h \to 2h$")
        figures.legend_below(figure)


def errors(network: "Network", X: "np.ndarray", rng: "np.random.Generator") -> "np.ndarray":
    """Return psi / h of one step from the data, less that of score matching, relative."""
    import numpy as np

    from ...numerics.training import dual
    from ...numerics.training.score_matching import ScoreMatching

    loss = ScoreMatching.of_implicit(X, network.alpha, SHARP)
    _, slope = loss.evaluate(network.neurons, network.weights)
    exact, _ = loss.psi(network.neurons, slope)
    state, seed = dual.init(network, 2 * len(X), rng), int(rng.integers(2**63))
    found = []
    for h in STEPS:
        noise = np.random.default_rng(seed)
        _, info = dual.step(state, X, noise, h, 0.0, 0.0, restart_every=1, antithetic=True)
        found.append(info.psi / h - exact)
    return np.array(found) / np.linalg.norm(exact)


def falls_linearly(d: int, alpha: int, runs: Sequence[Result]) -> Check:
    """The slope of the changes."""
    found = statistics.mean(values(runs, "slope"), 0.99)
    return Check(
        f"d = {d}, alpha = {alpha}: linear in the step",
        f"the slope of the gradient's change against the step, for h from {STEPS[0]:g} to "
        f"{STEPS[N_FITTED - 1]:g}, is within {SLOPE_TOLERANCE:g} of 1 by its whole 99% interval",
        found.value,
        found,
        1.0,
        statistics.equal(found, 1.0, SLOPE_TOLERANCE),
        level="99% interval",
    )


def agrees(d: int, alpha: int, runs: Sequence[Result]) -> Check:
    """The error that is left as the step goes to zero."""
    square = statistics.mean(values(runs, "limit_square"), 0.99)
    found = Interval(*(math.sqrt(max(end, 0.0)) for end in square))
    return Check(
        f"d = {d}, alpha = {alpha}: agrees",
        f"the error extrapolated to h = 0 is at most {LARGEST_LIMIT:.0%} of the gradient",
        found.value,
        found,
        LARGEST_LIMIT,
        statistics.below(found, LARGEST_LIMIT),
        level="99% interval",
    )


register(RestartIsScoreMatching())
