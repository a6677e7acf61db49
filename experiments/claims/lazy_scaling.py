r"""A network that is scaled up stops moving, and becomes its linearization.

The model is :math:`f = s\,h(w)` with :math:`h(w_0) = 0`, neurons that come in pairs of opposite
output weights, and the flow that of the likelihood divided by :math:`s^2`, of both layers, for the
same flow time at every s. What is left in the limit is the flow of a fixed kernel: it is run beside
the networks, without parameters, and gives the constant. For weak energies and infinite width the
constant is predicted.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Outcome

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SCALES = (1, 2, 4, 16, 64, 256, 1024, 4096)
LARGE, SMALL = (256, 1024, 4096), (1, 2, 4)
STRONG, WEAK = 10.0, 0.5
# Points of tau for each data point, on which log Z is computed.
REFERENCE = 2
# Flow times and steps, which are those of the kernel's flow too: at the same step the steps of a
# network have its steps for a limit.
TIME, STEP = 100.0, 0.5
WEAK_TIME, WEAK_STEP = 10.0, 0.2
TOLERANCE, SLOPE_TOLERANCE, WEAK_TOLERANCE = 0.02, 0.01, 0.1
# A slope that is visibly not -1.
ACTIVE_SLOPE = -0.95
LEVEL = 0.99


class LazyScaling(Claim):
    """Movement of parameters against the scale of the model."""

    name = "lazy-scaling"
    statement = (
        "Trained on the loss over s^2, the parameters of s times a network move by 1/s times what "
        "its linearization moves in the same flow time; where s is small they do not."
    )
    source = "chizat2019lazy, section 2; derived in lazyactive.theory.lazy_scaling"
    formula = (
        r"\|w(T) - w_0\| \sim \dfrac{\|u(T)\|}{s}"
        "\n"
        r"E\,\|u(T)\|^2 = \sum_{k \geq 1} \dfrac{(1 - e^{-\xi_k T})^2}{\xi_k}"
        r"\,[\|g_k\|^2 + N(d,k)\,\epsilon]"
    )
    formula_text = (
        "The parameters move by about the movement u of the linearized model over s. At weak "
        "energies the mean square of u is the sum over degrees k of the square of 1 minus e to the "
        "minus xi k T, over xi k, times the squared norm of g k plus N(d, k) epsilon."
    )
    reported = ("linearized",)

    def __init__(self) -> None:
        weak = _grid(((3, 1), (5, 2)), WEAK, 200)
        self.presets = {
            "quick": Preset(
                _grid(((3, 1), (5, 1), (5, 2)), STRONG, 400) + weak,
                8,
                {"pairs": 128, "data_sets": 100},
            ),
            "paper": Preset(
                _grid([(d, alpha) for d in (3, 5, 15) for alpha in (1, 2)], STRONG, 1000) + weak,
                16,
                {"pairs": 512, "data_sets": 200},
            ),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """Root of the mean square, at weak energy."""
        if float(condition["w"]) != WEAK:
            return {}
        from ...theory import lazy_scaling

        n = int(condition["n"])
        square = lazy_scaling.weak_squared_movement(
            WEAK,
            int(condition["d"]),
            WEAK_TIME,
            noise=1 / n + 1 / (REFERENCE * n),
            alpha=int(condition["alpha"]),
        )
        return {"linearized": math.sqrt(square)}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Movement of networks at every s and of their limit; for weak energies the limit alone."""
        from ...numerics.training import linearized, particles
        from ...numerics.training.likelihood import Likelihood

        alpha = int(condition["alpha"])
        if float(condition["w"]) == WEAK:
            squares = []
            for i in range(int(settings["data_sets"])):
                # Repelling and attracting in turn: what is odd in w is of a higher order, and not
                # predicted.
                points, n = _points(condition, rng, -1.0 if i % 2 else 1.0)
                kernel = linearized.wide_tangent_kernel(points, alpha)
                squares.append(_limit(kernel, n, WEAK_TIME, WEAK_STEP))
            return {"linearized": math.sqrt(math.fsum(squares) / len(squares))}

        points, n = _points(condition, rng)
        start = linearized.antisymmetric(int(settings["pairs"]), points.shape[1], rng)
        kernel = linearized.tangent_kernel(points, start.neurons, start.weights, alpha)
        found = {"linearized": math.sqrt(_limit(kernel, n, TIME, STEP))}
        likelihood = Likelihood.of(points[:n], points[n:], alpha)
        for scale in SCALES:
            state = start
            for _ in range(round(TIME / STEP)):
                state, _ = particles.step(state, likelihood, STEP, scale=float(scale))
            found[f"movement_{scale}"] = linearized.movement(state, start)
        return found

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Four checks for every network, and one for every constant that is predicted."""
        checks = []
        for label, own in _groups(results, STRONG):
            checks += [falls(label, own), constant(label, own), limit(label, own)]
            checks.append(active(label, own))
        for label, own in _groups(results, WEAK):
            checks.append(predicted(label, own, self.predict(own[0].condition)["linearized"]))
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """S times the movement, over the movement of the linearized model, against s."""
        from .. import figures

        (axes,) = figures.panels(figure, 1)
        looks = zip(
            (figures.BLUE, figures.VERMILION, figures.GREEN, figures.ORANGE, figures.GREY, "k"),
            "osD^vP",
            strict=True,
        )
        axes.axhline(1, color=figures.GREY, linewidth=0.8, label="linearized model")
        for (_, own), (color, marker) in zip(_groups(results, STRONG), looks, strict=False):
            intervals = [statistics.mean([scaled(r, s) for r in own]) for s in SCALES]
            condition = own[0].condition
            label = rf"$d = {condition['d']}$, $\alpha = {condition['alpha']}$"
            figures.points(axes, SCALES, intervals, label=label, color=color, marker=marker)
            heights = [interval.value for interval in intervals]
            axes.plot(SCALES, heights, color=color, linewidth=0.8)
        figures.log_axes(axes, SCALES, "scale $s$")
        axes.set_yscale("linear")
        axes.set_ylabel(r"$s\,\|w(T) - w_0\|$ over its limit")
        figures.legend_below(figure)


def scaled(result: Result, scale: int) -> float:
    """S times the movement at s, over the movement of the linearized model on the same data."""
    return scale * result.values[f"movement_{scale}"] / result.values["linearized"]


def slope(result: Result, scales: Sequence[int]) -> float:
    """Slope of the logarithm of the movement, by least squares."""
    movements = [[result.values[f"movement_{scale}"]] * 2 for scale in scales]
    return statistics.slope(scales, movements).value


def falls(label: str, runs: Sequence[Result]) -> Check:
    """The slope at large s."""
    from ...theory.lazy_scaling import MOVEMENT

    ends = MOVEMENT(s=[LARGE[0], LARGE[-1]], u=1.0)
    expected = math.log(ends[1] / ends[0]) / math.log(LARGE[-1] / LARGE[0])
    interval = statistics.mean([slope(run, LARGE) for run in runs], LEVEL)
    return Check(
        f"{label}: slope",
        f"the slope of the movement in s >= {LARGE[0]}, over {len(runs)} runs, is "
        f"{expected:g} within {SLOPE_TOLERANCE:g}, with the whole of Student's {LEVEL:.0%} "
        "interval",
        interval.value,
        interval,
        expected,
        statistics.equal(interval, expected, SLOPE_TOLERANCE),
        level=f"{LEVEL:.0%} interval",
    )


def constant(label: str, runs: Sequence[Result]) -> Check:
    """The product of s and the movement, at the first and at the last of large s."""
    ratios = [scaled(run, LARGE[0]) / scaled(run, LARGE[-1]) for run in runs]
    interval = statistics.mean(ratios, LEVEL)
    return Check(
        f"{label}: constant",
        f"s times the movement at s = {LARGE[0]} is that at s = {LARGE[-1]} within "
        f"{TOLERANCE:.0%}, with the whole of Student's {LEVEL:.0%} interval",
        interval.value,
        interval,
        1.0,
        statistics.equal(interval, 1.0, TOLERANCE),
        level=f"{LEVEL:.0%} interval",
    )


def limit(label: str, runs: Sequence[Result]) -> Check:
    """The product at the largest s, against the linearized model."""
    interval = statistics.mean([scaled(run, LARGE[-1]) for run in runs], LEVEL)
    return Check(
        f"{label}: limit",
        f"s times the movement at s = {LARGE[-1]} is the movement of the linearized model, by the "
        f"flow of its kernel, within {TOLERANCE:.0%}, with the whole of Student's {LEVEL:.0%} "
        "interval",
        interval.value,
        interval,
        1.0,
        statistics.equal(interval, 1.0, TOLERANCE),
        level=f"{LEVEL:.0%} interval",
    )


def active(label: str, runs: Sequence[Result]) -> Check:
    """The slope at small s."""
    interval = statistics.mean([slope(run, SMALL) for run in runs], LEVEL)
    return Check(
        f"{label}: small s",
        f"the slope of the movement in s <= {SMALL[-1]} is above {ACTIVE_SLOPE:g}, with the whole "
        f"of Student's {LEVEL:.0%} interval",
        interval.value,
        interval,
        ACTIVE_SLOPE,
        statistics.above(interval, ACTIVE_SLOPE),
        level=f"{LEVEL:.0%} interval",
    )


def predicted(label: str, runs: Sequence[Result], expected: float) -> Check:
    """The mean square at weak energy and infinite width, against theory."""
    squares = [(value / expected) ** 2 for value in values(runs, "linearized")]
    interval = statistics.mean(squares, LEVEL)
    outcome: Outcome = "holds"
    if abs(interval.value - 1) > max(interval.half_width, WEAK_TOLERANCE):
        outcome = "fails"
    elif interval.half_width > WEAK_TOLERANCE:
        outcome = "undecided"
    return Check(
        f"{label}: weak energy",
        f"at w = {WEAK:g} and {-WEAK:g} the mean square of the movement of the linearized model, "
        f"at infinite width, is the predicted one within its {LEVEL:.0%} interval or "
        f"{WEAK_TOLERANCE:.0%}; shown as their ratio",
        interval.value,
        interval,
        1.0,
        outcome,
        level=f"{LEVEL:.0%} interval",
    )


def _grid(kinds: Sequence[tuple[int, int]], w: float, n: int) -> tuple[Condition, ...]:
    return tuple({"d": d, "alpha": alpha, "w": w, "n": n} for d, alpha in kinds)


def _groups(results: Sequence[Result], w: float) -> list[tuple[str, list[Result]]]:
    """Results of each dimension and activation, with a label."""
    kinds = sorted(
        {(int(r.condition["d"]), int(r.condition["alpha"])) for r in select(results, w=w)}
    )
    return [
        (f"d = {d}, alpha = {alpha}", select(results, d=d, alpha=alpha, w=w)) for d, alpha in kinds
    ]


def _points(
    condition: Condition, rng: "np.random.Generator", sign: float = 1.0
) -> tuple["NDArray", int]:
    """Data of one neuron, of weight w times the sign, then points of tau; and how many are data."""
    import numpy as np

    from ...numerics import sphere
    from ...numerics.teachers import PlantedEnergy

    d, n = int(condition["d"]), int(condition["n"])
    weight = sign * float(condition["w"])
    teacher = PlantedEnergy(np.eye(1, d), np.array([weight]), int(condition["alpha"]))
    return np.vstack([teacher.sample(n, rng), sphere.uniform(REFERENCE * n, d, rng)]), n


def _limit(kernel: "NDArray", n_data: int, time: float, step_size: float) -> float:
    """Squared movement of the linearized model."""
    from ...numerics.training import linearized

    state = linearized.init(len(kernel))
    for _ in range(round(time / step_size)):
        state = linearized.step(state, kernel, n_data, step_size)
    return linearized.squared_movement(state)


register(LazyScaling())
