r"""log Z along a training run, tracked by walkers with log-weights and by two shortcuts.

Two neurons learn the density of two attracting teachers, at the pace of the mean-field flow, far
faster than walkers can follow. The network has two neurons, so that its log Z is known by
quadrature at every checkpoint. Walkers that carry weights, on islands that the network does not
follow, estimate Z without bias whatever the pace; persistent and contrastive divergence, which take
walkers for samples of the model, are off by many times the error that they show.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select
from ..statistics import Outcome

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIMENSIONS = (3, 15)
JARZYNSKI, PERSISTENT, CONTRASTIVE = "jarzynski", "persistent", "contrastive"
TEACHER_WEIGHTS = (-10.0, -14.0)
# Steps of the flow at which log Z is compared. Persistent walkers drive the weights up without end
# in three dimensions: later ones would only show that.
CHECKPOINTS = (2, 4, 6, 8, 10, 20, 40, 80, 160)
STEP_SIZE, N_DATA = 0.5, 2000
# Standard errors within which a tracked value is to lie, and beyond which a shortcut is.
WITHIN, BEYOND = 3.0, 5.0
# A weight so large is no longer integrated.
LARGEST_WEIGHT = 100.0


class JarzynskiUnbiased(Claim):
    """Errors of log Z in units of the standard errors that come with it."""

    name = "jarzynski-unbiased"
    statement = (
        "Walkers with Jarzynski's log-weights track log Z of an energy in training without bias, "
        "while persistent and contrastive divergence are off by many standard errors."
    )
    source = "carbone2023jarzynski; derived in lazyactive.theory.gibbs"
    formula = r"E\,e^{A_t} = Z_t, \quad A_{t+1} = A_t + f_t(x_t) - f_{t+1}(x_t)"
    formula_text = (
        "The exponential of a walker's log-weight has the mean Z at every time t. As the energy "
        "changes, the log-weight grows by the old energy at the walker less the new one."
    )
    shared_keys = ("correction",)
    reported = ("log_partition_10", "se_10")

    def __init__(self) -> None:
        grid: tuple[Condition, ...] = tuple(
            {"d": d, "correction": correction}
            for d in DIMENSIONS
            for correction in (JARZYNSKI, PERSISTENT, CONTRASTIVE)
        )
        self.presets = {
            "quick": Preset(grid, 4, {"walkers": 250, "islands": 64}),
            "paper": Preset(grid, 8, {"walkers": 2000, "islands": 64}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """What is predicted depends on the network that training arrives at: see `error`."""
        return {}

    def cost(self, condition: Condition) -> float:
        """Steps, of all coordinates."""
        return float(condition["d"])

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Estimates with their errors, and the two neurons up to a rotation."""
        import numpy as np

        from ...numerics import sphere
        from ...numerics.teachers import PlantedEnergy
        from ...numerics.training import jarzynski

        d = int(condition["d"])
        X = PlantedEnergy(np.eye(2, d), np.array(TEACHER_WEIGHTS)).sample(N_DATA, rng)
        state = jarzynski.init(
            sphere.uniform(2, d, rng),
            np.full(2, -1.0),
            n_walkers=int(settings["walkers"]),
            n_islands=int(settings["islands"]),
            rng=rng,
        )
        found: dict[str, float] = {}
        for n_steps in range(1, CHECKPOINTS[-1] + 1):
            state, _ = jarzynski.step(
                state, X, rng, STEP_SIZE, correction=str(condition["correction"])
            )
            sizes = np.linalg.norm(state.neurons, axis=1)
            strengths = sizes * state.weights
            if n_steps not in CHECKPOINTS:
                continue
            estimate = jarzynski.log_partition(state)
            cosine = float(state.neurons[0] @ state.neurons[1] / np.prod(sizes))
            for quantity, value in (
                ("log_partition", estimate.value),
                ("se", estimate.se),
                ("first", strengths[0]),
                ("second", strengths[1]),
                ("cosine", cosine),
            ):
                found[f"{quantity}_{n_steps}"] = float(value)
        return found

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Every checkpoint of every run; of the shortcuts, the last that can be integrated."""
        checks = []
        for d in sorted({int(r.condition["d"]) for r in results}):
            checks.append(tracked(d, select(results, d=d, correction=JARZYNSKI)))
            checks.append(unbiased(d, select(results, d=d, correction=JARZYNSKI)))
            for shortcut in (PERSISTENT, CONTRASTIVE):
                checks.append(biased(d, shortcut, select(results, d=d, correction=shortcut)))
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Errors of log Z against the steps of training, a panel for each dimension."""
        from .. import figures

        dimensions = sorted({int(r.condition["d"]) for r in results})
        panels = figures.panels(figure, len(dimensions))
        for axes, d in zip(panels, dimensions, strict=True):
            self._draw_panel(axes, select(results, d=d))
            axes.set_title(f"$d = {d}$")
        panels[0].set_ylabel(r"error of $\log Z$")
        figures.legend_below(figure)

    def _draw_panel(self, axes: "Axes", results: Sequence[Result]) -> None:
        from .. import figures

        for correction, label, color, marker in (
            (JARZYNSKI, "with log-weights", figures.BLUE, "o"),
            (PERSISTENT, "persistent divergence", figures.VERMILION, "s"),
            (CONTRASTIVE, "contrastive divergence", figures.ORANGE, "^"),
        ):
            own = select(results, correction=correction)
            steps = [k for k in CHECKPOINTS if all(integrable(r, k) for r in own)]
            intervals = [statistics.mean([error(r, k) for r in own]) for k in steps]
            figures.points(axes, steps, intervals, label=label, color=color, marker=marker)
            values = [interval.value for interval in intervals]
            axes.plot(steps, values, color=color, linewidth=0.8)
        figures.log_axes(axes, CHECKPOINTS, "steps of training")
        # Errors of both signs, from a hundredth to ten.
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_xticks([2, 4, 10, 20, 40, 80, 160])
        axes.axhline(0, color=figures.GREY, linewidth=0.7)


def integrable(result: Result, n_steps: int) -> bool:
    """Whether the network at a checkpoint is one that quadrature is for."""
    strengths = (result.values[f"{name}_{n_steps}"] for name in ("first", "second"))
    return all(abs(strength) <= LARGEST_WEIGHT for strength in strengths)


def error(result: Result, n_steps: int) -> float:
    """The estimate of log Z at a checkpoint, less its exact value."""
    import numpy as np

    from ...theory.gibbs import PlantedGibbs

    values = {
        name: result.values[f"{name}_{n_steps}"]
        for name in ("log_partition", "first", "second", "cosine")
    }
    cosine = min(max(values["cosine"], -1.0), 1.0)
    directions = np.zeros((2, int(result.condition["d"])))
    directions[:, 0] = 1.0, cosine
    directions[1, 1] = math.sqrt(1 - cosine**2)
    exact = PlantedGibbs(directions, [values["first"], values["second"]]).log_partition()
    return values["log_partition"] - exact


def deviation(result: Result, n_steps: int) -> float:
    """The error in units of the standard error that comes with the estimate."""
    return error(result, n_steps) / result.values[f"se_{n_steps}"]


def tracked(d: int, runs: Sequence[Result]) -> Check:
    """The largest deviation of all checkpoints."""
    largest = max((deviation(run, k) for run in runs for k in CHECKPOINTS), key=abs)
    outcome: Outcome = "undecided"
    if abs(largest) <= WITHIN:
        outcome = "holds"
    elif abs(largest) > BEYOND:
        outcome = "fails"
    return Check(
        f"d = {d}: tracked",
        f"at every checkpoint of {len(runs)} runs log Z is within {WITHIN:g} of its own standard "
        f"errors of the exact value (fails beyond {BEYOND:g})",
        largest,
        None,
        WITHIN,
        outcome,
    )


def unbiased(d: int, runs: Sequence[Result]) -> Check:
    """The mean error over runs at the last checkpoint."""
    last = statistics.mean([error(run, CHECKPOINTS[-1]) for run in runs], 0.99)
    size = math.sqrt(sum(run.values[f"se_{CHECKPOINTS[-1]}"] ** 2 for run in runs) / len(runs))
    outcome: Outcome = "holds"
    if not last.low <= 0 <= last.high:
        outcome = "fails"
    elif not last.half_width <= 6 * size:
        outcome = "undecided"
    return Check(
        f"d = {d}: unbiased",
        f"the mean error of log Z after {CHECKPOINTS[-1]} steps is zero within Student's 99% "
        "interval, of half-width at most 6 standard errors of one run",
        last.value,
        last,
        0.0,
        outcome,
        level="99% interval",
    )


def biased(d: int, shortcut: str, runs: Sequence[Result]) -> Check:
    """The least deviation among runs, at the last checkpoint that all of them can be judged at."""
    steps = [k for k in CHECKPOINTS if all(integrable(run, k) for run in runs)]
    least = min((deviation(run, steps[-1]) for run in runs), key=abs) if steps else math.nan
    outcome: Outcome = "undecided"
    if abs(least) > BEYOND:
        outcome = "holds"
    elif abs(least) <= WITHIN:
        outcome = "fails"
    return Check(
        f"d = {d}: {shortcut} divergence is biased",
        f"after {steps[-1] if steps else 0} steps log Z is off by more than {BEYOND:g} of its own "
        "standard errors in every run",
        least,
        None,
        BEYOND,
        outcome,
    )


register(JarzynskiUnbiased())
