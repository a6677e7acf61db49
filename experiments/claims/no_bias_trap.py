r"""Without a constant coordinate a ridge function is cursed in both spaces, with one in neither.

The target is :math:`\max(|\langle x, e\rangle| - a, 0)`, alpha = 1: as an energy it is two neurons
with biases, and bias is what neurons on the sphere of R^d lack unless a constant is appended to the
data.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Interval, Outcome
from ._enclosures import equality
from .maximum_likelihood import active_slope

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

APPROXIMATION = "approximation"
# Learning with moving features on (x, 1), with moving features on x, with frozen ones on x.
METHODS = ("lifted", "active", "lazy")
SPACES = ("F1", "F2")
# The largest radius in each dimension; beyond, the linear programs are too badly conditioned.
RADII = {5: 512, 7: 4096, 9: 16384}
# The radius falls by this factor, so many times; the exponent is that of the last step.
STEP, STEPS = 4, 2
KINKS = (0.3, 0.7)
# Half of the range that the asymptote is judged on has an exponent that differs by some percent.
TOLERANCE, DRIFT = 0.05, 0.10
NORM_PRECISION = 1e-3
# The learned energy is strength * target. In R^8 two points in five are beyond the kinks under tau,
# one in nine under the data, and the divergence of the data from tau is 0.34.
DIMENSION, KINK, STRENGTH = 8, 0.3, 20.0
ORACLE_FACTOR = 2.0
# What moving the features may gain without a constant coordinate, as a ratio of divergences.
GAIN = 1.5


class NoBiasTrap(Claim):
    """Distances to balls of F1 and F2 without noise; then learning from samples."""

    name = "no-bias-trap"
    statement = (
        "Without a constant coordinate a ridge function with a kink is as cursed in F1 as in F2, "
        "its distance to a ball of radius beta falling as beta^(-1/(d/2-1)) and "
        "beta^(-1/(d/2-1/2)); with one it is two neurons, which are learned at the parametric rate."
    )
    source = "derived in lazyactive.theory.ridge_approximation; bach2017breaking, section 4"
    formula = (
        r"D_{F1}(\beta) \propto \beta^{-1/(d/2 - 1)}, \quad "
        r"D_{F2}(\beta) \propto \beta^{-1/(d/2 - 1/2)}"
        "\n"
        r"\mathrm{with\ a\ constant:}\ \ E\,\mathrm{KL} \approx \dfrac{2\,(d+1)}{2 n}"
    )
    formula_text = (
        "The distance to a ball of radius beta falls like beta to the power minus 1 over d half "
        "minus 1 in F1, and minus 1 over d half minus one half in F2. With a constant coordinate "
        "the mean KL is about 2 times d plus 1, over 2 n."
    )
    shared_keys = ("method",)
    reported = ("error",)

    def __init__(self) -> None:
        self.presets = {
            "quick": Preset(
                _grid((300, 1000)),
                6,
                {"n_reference": 2**14, "n_neurons_lazy": 1024, "evaluation_points": 50_000},
            ),
            "paper": Preset(
                _grid((300, 1000, 3000, 10_000)),
                10,
                {"n_reference": 2**16, "n_neurons_lazy": 2048, "evaluation_points": 100_000},
            ),
        }

    def cost(self, condition: Condition) -> float:
        """By experience; fits cost about as much as they have samples, above a floor."""
        relative = {APPROXIMATION: 0.5, "lifted": 1.0, "active": 2.0, "lazy": 0.2}
        size = 1000 if condition["method"] == APPROXIMATION else int(condition["size"])
        return relative[str(condition["method"])] * max(size, 300)

    def predict(self, condition: Condition) -> dict[str, float]:
        """Exponents of the distances; the parametric error of two neurons in R^(d+1)."""
        from ...theory import learning_curves, ridge_approximation

        d = int(condition["d"])
        if condition["method"] == APPROXIMATION:
            return {
                f"{space} exponent": float(ridge_approximation.kink_exponent(space, d))
                for space in SPACES
            }
        if condition["method"] == "lifted":
            oracle = learning_curves.parametric_oracle(2, d + 1, int(condition["size"]))
            return {"error": float(oracle)}
        return {}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Distances of a random ridge function to balls, or the divergence of one fit."""
        if condition["method"] == APPROXIMATION:
            return approximation(int(condition["d"]), int(condition["size"]), rng)
        return learning(
            str(condition["method"]), int(condition["d"]), int(condition["size"]), rng, settings
        )

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Exponents in every dimension and space, the norm with a constant, then learning."""
        checks = []
        cells = {d: select(results, method=APPROXIMATION, d=d) for d in RADII}
        for space in SPACES:
            for own in cells.values():
                predicted = self.predict(own[0].condition)[f"{space} exponent"]
                checks.append(exponent(space, own, predicted))
        checks.append(curse(cells))
        checks.append(norm([result for own in cells.values() for result in own]))
        checks += self._learning_checks(results)
        return Verdict(tuple(checks))

    def _learning_checks(self, results: Sequence[Result]) -> list[Check]:
        curves = {}
        for method in METHODS:
            own = select(results, method=method)
            sizes = sorted({int(result.condition["size"]) for result in own})
            curves[method] = {n: values(select(own, size=n), "error") for n in sizes}
        last = max(curves["lifted"])
        oracle = self.predict({"method": "lifted", "d": DIMENSION, "size": last})["error"]
        slope = active_slope(curves["lifted"])
        return [
            replace(slope, name="with a constant: slope"),
            near_oracle(curves["lifted"][last], oracle, last),
            slower(curves["active"]),
            trapped(curves, last),
        ]

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Distance against radius, and divergence against sample size."""
        figure.set_size_inches(7.2, 4.0)
        left, right = figure.subplots(1, 2)
        self._draw_distances(left, results)
        self._draw_learning(right, results)
        # The panels have nothing in common, so one legend needs the entries of both.
        figure.legend(loc="outside lower center", ncols=3)

    def _draw_distances(self, axes: "Axes", results: Sequence[Result]) -> None:
        from matplotlib.ticker import NullFormatter

        from ...theory import ridge_approximation
        from .. import figures

        colors = {"F1": figures.VERMILION, "F2": figures.BLUE}
        for marker, (d, largest) in zip("os^", RADII.items(), strict=True):
            own, balls = select(results, method=APPROXIMATION, d=d), radii(largest)
            for space, color in colors.items():
                # Over the random kinks; their scatter is no error.
                y = [
                    statistics.mean([_middle(result, space, radius) for result in own]).value
                    for radius in balls
                ]
                power = self.predict(own[0].condition)[f"{space} exponent"]
                slope = [y[-1] * (balls[-1] / radius) ** power for radius in balls]
                axes.plot(balls, y, marker, color=color)
                axes.plot(balls, slope, color=color, linewidth=0.9)
            axes.plot([], [], marker, color=figures.GREY, label=f"$d = {d}$")
        for space, color in colors.items():
            label = f"{space}, no constant; predicted slope"
            axes.plot([], [], color=color, label=label)
        ends = [float(ridge_approximation.lifted_f1_norm()(a=a)) for a in KINKS]
        label = "F1, with a constant: 0 from here on"
        axes.axvspan(*ends, color=figures.ORANGE, alpha=0.5, linewidth=0, label=label)
        figures.log_axes(axes, (3, 30, 300, 3000, 30_000), r"radius $\beta$ of the ball")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("distance in the supremum norm")
        axes.set_title("without noise")

    def _draw_learning(self, axes: "Axes", results: Sequence[Result]) -> None:
        from .. import figures

        own = select(results, d=DIMENSION)
        sizes = sorted({int(result.condition["size"]) for result in own})
        oracle = [
            self.predict({"method": "lifted", "d": DIMENSION, "size": n})["error"] for n in sizes
        ]
        axes.plot(sizes, oracle, color=figures.ORANGE, label="parametric, $2(d+1)/(2n)$")
        for method, color, marker, label, shift in (
            ("lazy", figures.BLUE, "s", "lazy, no constant", 1.0),
            ("active", figures.VERMILION, "D", "active, no constant", 1.03),
            ("lifted", figures.ORANGE, "o", "active, with a constant", 0.97),
        ):
            intervals = [
                statistics.mean(values(select(own, method=method, size=n), "error")) for n in sizes
            ]
            figures.points(
                axes, sizes, intervals, label=label, color=color, marker=marker, shift=shift
            )
        figures.log_axes(axes, sizes, "sample size $n$")
        axes.set_ylabel(r"$\mathrm{KL}(\nu \,\|\, \hat\nu)$")
        axes.set_title(f"learning from $n$ samples, $d = {DIMENSION}$")


def radii(largest: int) -> list[int]:
    """The radii in one dimension, in increasing order."""
    return [largest // STEP**i for i in range(STEPS, -1, -1)]


def approximation(d: int, largest: int, rng: "np.random.Generator") -> dict[str, float]:
    """Bounds of the distances of one random ridge function, and of its norm with a constant."""
    from ...numerics import zonal_approximation

    a = float(rng.uniform(*KINKS))
    measured = {"kink": a}
    for space, distance in (
        ("F1", zonal_approximation.distance_to_f1),
        ("F2", zonal_approximation.distance_to_f2),
    ):
        scale = 0.1
        for radius in radii(largest):
            bounds = distance(a, d, radius, scale)
            measured[f"{space} at {radius}, lower"] = float(bounds.lower)
            measured[f"{space} at {radius}, upper"] = float(bounds.upper)
            scale = float(bounds.upper)
    lifted = zonal_approximation.lifted_f1_norm(a, d)
    measured |= {"lifted norm, lower": lifted.lower, "lifted norm, upper": lifted.upper}
    return {**measured, "error": measured[f"F1 at {largest}, upper"]}


def learning(
    method: str, d: int, n: int, rng: "np.random.Generator", settings: Mapping[str, Any]
) -> dict[str, float]:
    """Divergence of a fit to n exact samples; the number of neurons is chosen on held-out data."""
    import numpy as np

    from ...numerics import features, sphere
    from ...numerics.discrepancies.kl import kl_divergence
    from ...numerics.subspace import SubspaceEnergy
    from ...numerics.training import lazy, sparse
    from ...numerics.zonal_approximation import target

    teacher = SubspaceEnergy(lambda u: STRENGTH * target(u[:, 0], KINK), k=1, d=d, minimum=0.0)
    X = teacher.sample(n, rng)
    evaluation = teacher.sample(int(settings["evaluation_points"]), rng)
    size = max(int(settings["n_reference"]), 8 * n)
    reference = sphere.orthogonal_uniform(size, d, rng)

    def lift(points: "NDArray") -> "NDArray":
        return sphere.append_constant(points) if method == "lifted" else points

    if method == "lazy":
        neurons = sphere.uniform(int(settings["n_neurons_lazy"]), d, rng)
        weights = lazy.fit(X, reference, neurons, 1, rng).weights
    else:
        neurons, weights = sparse.fit(lift(X), lift(reference), 1, rng).atoms.network()
    energy = features.energy(lift(evaluation), neurons, weights)
    divergence = kl_divergence(teacher.energy(evaluation), energy)
    return {
        "error": divergence.value,
        "error_se": divergence.se,
        "n_neurons": int(np.count_nonzero(weights)),
    }


def local_exponents(result: Result, space: str) -> list[Interval]:
    """Minus the slope of the distance between successive radii, as the bounds enclose it."""
    balls, enclosed = radii(int(result.condition["size"])), []
    for small, large in pairwise(balls):
        before, after = (
            [result.values[f"{space} at {radius}, {end}"] for end in ("lower", "upper")]
            for radius in (small, large)
        )
        middle = math.log(_middle(result, space, small) / _middle(result, space, large))
        ends = math.log(before[0] / after[1]), math.log(before[1] / after[0])
        enclosed.append(Interval(*(value / math.log(STEP) for value in (middle, *ends))))
    return enclosed


def exponent(space: str, results: Sequence[Result], predicted: float) -> Check:
    """The local exponent at the largest radii, over random kinks, against the asymptotic one."""
    d, largest = (int(results[0].condition[key]) for key in ("d", "size"))
    local = [local_exponents(result, space) for result in results]
    interval = statistics.mean([steps[-1].value for steps in local])
    gap = max(steps[-1].half_width for steps in local)
    interval = Interval(interval.value, interval.low - gap, interval.high + gap)
    drift = abs(statistics.mean([steps[-1].value - steps[-2].value for steps in local]).value)
    low, high = (1 - TOLERANCE) * predicted, (1 + TOLERANCE) * predicted
    outcome: Outcome = "undecided"
    if interval.high < low or interval.low > high:
        outcome = "fails"
    elif low <= interval.low and interval.high <= high and drift <= DRIFT * predicted:
        outcome = "holds"
    return Check(
        f"{space}, d = {d}: exponent",
        f"minus the slope of the log distance from beta = {largest // STEP} to {largest} is the "
        f"predicted one within {TOLERANCE:.0%}, with the whole interval (95%, and the bounds' "
        f"gaps); since the step before it has changed by at most {DRIFT:.0%}",
        interval.value,
        interval,
        predicted,
        outcome,
        level="interval",
    )


def curse(cells: Mapping[int, Sequence[Result]]) -> Check:
    """F1's exponent falls with the dimension about as F2's does."""
    low, high = min(cells), max(cells)
    falls = {
        space: [
            math.log(
                local_exponents(first, space)[-1].value / local_exponents(last, space)[-1].value
            )
            for first, last in zip(cells[low], cells[high], strict=True)
        ]
        for space in SPACES
    }
    excess = [f1 - f2 for f1, f2 in zip(falls["F1"], falls["F2"], strict=True)]
    interval = statistics.mean(excess)
    return Check(
        "as cursed in F1 as in F2",
        f"from d = {low} to d = {high} the exponent of F1 falls by no smaller factor than that of "
        "F2: the mean of the difference of the logarithms is at least 0",
        interval.value,
        interval,
        0.0,
        statistics.above(interval, 0.0),
    )


def norm(results: Sequence[Result]) -> Check:
    """With a constant coordinate the F1 norm is finite: that of two neurons."""
    from ...theory import ridge_approximation

    predicted = ridge_approximation.lifted_f1_norm()
    cases = {}
    for result in results:
        a = result.values["kink"]
        exact = float(predicted(a=a))
        # Rounding of the two neurons themselves.
        low = (1 - 1e-9) * result.values["lifted norm, lower"] / exact
        high = (1 + 1e-9) * result.values["lifted norm, upper"] / exact
        label = f"d = {result.condition['d']}, a = {a:.3f}"
        cases[label] = (Interval((low + high) / 2, low, high), 1.0, NORM_PRECISION)
    return equality(
        "with a constant: F1 norm",
        "two neurons represent the function without error, and the predicted norm is between the "
        "bounds, all over the prediction",
        cases,
    )


def near_oracle(sample: Sequence[float], oracle: float, n: int) -> Check:
    """With a constant coordinate the two neurons are found."""
    interval = statistics.mean(sample)
    bound = ORACLE_FACTOR * oracle
    return Check(
        "with a constant: near the oracle",
        f"the mean KL at n = {n} is at most {ORACLE_FACTOR:g} times 2 (d+1) / (2 n)",
        interval.value,
        interval,
        bound,
        statistics.below(interval, bound),
    )


def slower(curve: Mapping[int, Sequence[float]]) -> Check:
    """Without a constant coordinate moving features miss the parametric rate."""
    slope = statistics.slope(list(curve), list(curve.values()))
    return Check(
        "without: slope",
        "the slope of log mean KL of moving features in log n lies above -1/2",
        slope.value,
        slope,
        -0.5,
        statistics.above(slope, -0.5),
    )


def trapped(curves: Mapping[str, Mapping[int, Sequence[float]]], n: int) -> Check:
    """Without a constant coordinate moving features are not worth much."""
    interval = statistics.log_ratio(curves["lazy"][n], curves["active"][n])
    bound = math.log(GAIN)
    return Check(
        "without: moving features gain little",
        f"the mean of log(KL lazy / KL active) over pairs on the same data, n = {n}, is at most "
        f"log {GAIN:g}",
        interval.value,
        interval,
        bound,
        statistics.below(interval, bound),
    )


def _grid(sizes: Sequence[int]) -> tuple[Condition, ...]:
    cells = [(APPROXIMATION, d, largest) for d, largest in RADII.items()]
    cells += [(method, DIMENSION, n) for n in sizes for method in METHODS]
    return tuple({"method": method, "d": d, "size": size} for method, d, size in cells)


def _middle(result: Result, space: str, radius: int) -> float:
    lower, upper = (result.values[f"{space} at {radius}, {end}"] for end in ("lower", "upper"))
    return math.sqrt(lower * upper)


register(NoBiasTrap())
