r"""Walkers that restart at the data before every step train the network by score matching.

A Langevin step of size h from the data changes the mean of a feature by -h times its gradient of
the score-matching loss, up to order h^2. So the gradient of descent-ascent with restarts, divided
by h, has an error of order h, in the mean over the data. (On given data there is a further part
from those within reach of a kink, with mean zero.) Its square is estimated without bias, as the
inner product of two errors from independent data and noise, which would otherwise hide it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Interval

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
DIMENSIONS, ALPHAS = (3, 15), (2, 3)
STEPS = (0.0025, 0.005, 0.01, 0.02, 0.04)
# The slope is fitted to the smaller steps: terms of higher order bend the curve.
FITTED = STEPS[:4]
N_NEURONS, MASS, TEACHER_WEIGHT = 16, 4.0, -6.0
KEY = "square_error"
# Half-width of a bump that does not smooth.
SHARP = 1e-9
SLOPE_TOLERANCE, LARGEST_ERROR = 0.1, 0.05


class RestartIsScoreMatching(Claim):
    """Relative error of the gradient against the step."""

    name = "restart-is-score-matching"
    statement = (
        "With walkers restarted at the data before every step, the gradient of dual training "
        "divided by the step is that of score matching, up to an error linear in the step."
    )
    source = "domingoenrich2021dual; derived in lazyactive.numerics.training.dual"
    shared_keys = ("step",)
    reported = (KEY,)

    def __init__(self) -> None:
        grid: tuple[Condition, ...] = tuple(
            {"d": d, "alpha": alpha, "step": step}
            for d in DIMENSIONS
            for alpha in ALPHAS
            for step in STEPS
        )
        self.presets = {
            "quick": Preset(grid, 8, {"pairs": 150_000}),
            "paper": Preset(grid, 40, {"pairs": 1_000_000}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """Of the error only the order is predicted."""
        return {}

    def cost(self, condition: Condition) -> float:
        """Coordinates of the walkers."""
        return float(condition["d"])

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """The mean square over neurons of the error in psi, relative."""
        import numpy as np

        from ...numerics.teachers import PlantedEnergy
        from ...numerics.training import dual, transport
        from ...numerics.training.score_matching import ScoreMatching

        d, alpha = int(condition["d"]), int(condition["alpha"])
        h = float(condition["step"])
        teacher = PlantedEnergy(np.eye(1, d), np.array([TEACHER_WEIGHT]), alpha)
        network, n_pairs = transport.init(N_NEURONS, d, rng, MASS, alpha), int(settings["pairs"])
        errors, sizes = [], []
        for own in rng.spawn(2):
            X = teacher.sample(n_pairs, own)
            loss = ScoreMatching.of_implicit(X, alpha, SHARP)
            _, slope = loss.evaluate(network.neurons, network.weights)
            exact, _ = loss.psi(network.neurons, slope)
            state = dual.init(network, 2 * n_pairs, own)
            _, info = dual.step(state, X, own, h, 0.0, 0.0, restart_every=1, antithetic=True)
            errors.append(info.psi / h - exact)
            sizes.append(np.sum(exact**2))
        return {
            "square_error": float(np.sum(errors[0] * errors[1]) / np.mean(sizes)),
            "square_noise": float(np.sum((errors[0] - errors[1]) ** 2) / np.mean(sizes) / 2),
        }

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """The slope, and that the error is small at the smallest step."""
        checks = []
        for d in DIMENSIONS:
            for alpha in ALPHAS:
                own = select(results, d=d, alpha=alpha)
                checks += [falls_linearly(d, alpha, own), agrees(d, alpha, own)]
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Root mean square errors against the step, a panel for each power."""
        import numpy as np

        from .. import figures

        panels = figures.panels(figure, len(ALPHAS))
        for axes, alpha in zip(panels, ALPHAS, strict=True):
            for d, color, marker in zip(
                DIMENSIONS, (figures.BLUE, figures.VERMILION), ("o", "s"), strict=True
            ):
                intervals = [
                    root(statistics.mean(values(select(results, d=d, alpha=alpha, step=h), KEY)))
                    for h in STEPS
                ]
                figures.points(
                    axes, STEPS, intervals, label=f"$d = {d}$", color=color, marker=marker
                )
                line = intervals[2].value * np.array(STEPS) / STEPS[2]
                axes.plot(STEPS, line, color=color, linewidth=0.8, label="slope 1")
            figures.log_axes(axes, STEPS, "step $h$")
            axes.set_title(rf"$\alpha = {alpha}$")
        panels[0].set_ylabel("relative error of the gradient")
        figures.legend_below(figure)


def root(square: Interval) -> Interval:
    """Square root of an interval; what lies below zero is cut off."""
    return Interval(*(max(end, 0.0) ** 0.5 for end in square))


def falls_linearly(d: int, alpha: int, runs: Sequence[Result]) -> Check:
    """Half of the slope of the mean square error."""
    samples = [values(select(runs, step=h), KEY) for h in FITTED]
    square = statistics.slope(FITTED, samples, 0.99)
    found = Interval(*(end / 2 for end in square))
    return Check(
        f"d = {d}, alpha = {alpha}: linear in the step",
        f"the slope of the root mean square error against the step, for h from {FITTED[0]:g} "
        f"to {FITTED[-1]:g}, is within {SLOPE_TOLERANCE:g} of 1 by its whole 99% interval",
        found.value,
        found,
        1.0,
        statistics.equal(found, 1.0, SLOPE_TOLERANCE),
        level="99% interval",
    )


def agrees(d: int, alpha: int, runs: Sequence[Result]) -> Check:
    """The error at the smallest step."""
    found = root(statistics.mean(values(select(runs, step=STEPS[0]), KEY), 0.99))
    return Check(
        f"d = {d}, alpha = {alpha}: agrees at small steps",
        f"at h = {STEPS[0]:g} the root mean square error is at most {LARGEST_ERROR:.0%}",
        found.value,
        found,
        LARGEST_ERROR,
        statistics.below(found, LARGEST_ERROR),
        level="99% interval",
    )


register(RestartIsScoreMatching())
