r"""Two densities that differ by one harmonic, told apart by metrics of F1 and F2.

The densities are the normalized positive and negative part of :math:`P_6(\langle x, e\rangle)`. The
F1 distance is the largest difference of the means of a neuron, the F2 distance its root mean square
over uniform neurons, and their ratio is :math:`\sqrt{N(d, 6)}` exactly.

At d = 16 the square of the F2 distance is 2e-8, below the noise of independent points: a plug-in
estimate reads the noise. The points here are drawn in groups that share what is orthogonal to e,
which leaves each its law and cancels most of the noise, and only pairs of different groups count,
which is unbiased.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Interval
from ._enclosures import equality

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEGREE = 6
GROUPS, INDEPENDENT = "groups", "independent"
PUBLISHED = (6, 8, 10, 12, 14, 16)
# Points in a group, by a pilot: the integral over t is to be as exact as the mean over groups.
GROUP_SIZES = dict.fromkeys(PUBLISHED, 128) | {20: 512, 24: 512}
CLAIM_LEVEL = 0.99
# Largest half-widths that still say something, relative.
PRECISION = {"f1": 0.02, "f2 square": 0.2, "ratio": 0.2, "plug-in": 0.2}


class IPMSeparation(Claim):
    """Both distances in groups, without bias; from independent points, as the plug-in."""

    name = "ipm-separation"
    statement = (
        "Two densities that differ by one harmonic of degree 6 are sqrt(N(d, 6)) times as far "
        "apart for a metric of F1 as for one of F2."
    )
    source = "domingoenrich2021separation, section 6; derived in lazyactive.theory.separation"
    formula = (
        r"d_{F1} = \dfrac{2\,|\lambda_6|}{E\,|P_6|}, \quad \dfrac{d_{F1}}{d_{F2}} = \sqrt{N(d,6)}"
    )
    formula_text = (
        "The F1 distance is twice the absolute value of lambda 6 over the mean of that of P 6; it "
        "is the root of N(d, 6) times the F2 distance."
    )
    reported = ("f1", "f2_square")

    def __init__(self) -> None:
        self.presets = {
            "quick": Preset(_grid(64, 3_000), 8, {"neurons": 512, "data_sets": 130}),
            "paper": Preset(_grid(128, 30_000), 10, {"neurons": 1024, "data_sets": 80}),
        }

    def cost(self, condition: Condition) -> float:
        """All pairs of points, or all of points and neurons: about the same."""
        return float(condition["d"])

    def predict(self, condition: Condition) -> dict[str, float]:
        """Both distances; for independent points, with the noise that the plug-in adds."""
        from ...theory import separation

        d = int(condition["d"])
        f1, f2 = separation.ipm(DEGREE, d)
        if condition["points"] == INDEPENDENT:
            f2 = separation.ipm_plug_in(DEGREE, d, int(condition["n"]))
        return {"f1": f1, "f2_square": f2**2}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """The distance of F1 and the square of that of F2."""
        d, n = int(condition["d"]), int(condition["n"])
        if condition["points"] == INDEPENDENT:
            found = [
                _plug_in(d, n, int(settings["neurons"]), rng)
                for _ in range(int(settings["data_sets"]))
            ]
            return {key: sum(own[key] for own in found) / len(found) for key in found[0]}
        return _by_groups(d, n, rng)

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Each quantity over its prediction is 1, in every dimension."""
        checks = []
        for name, points, quantity, what in (
            ("f1", GROUPS, "f1", "F1 distance"),
            ("f2 square", GROUPS, "f2_square", "squared F2 distance"),
            ("ratio", GROUPS, "ratio", "squared ratio of the F2 to the F1 distance"),
            ("plug-in", INDEPENDENT, "f2_square", "plug-in of the squared F2 distance"),
        ):
            cases = {
                f"d = {d}": (self.relative(results, quantity, points, d), 1.0, PRECISION[name])
                for d in _dimensions(results, points)
            }
            statement = (
                f"{what}: measured over predicted is 1 within Student's interval "
                f"({CLAIM_LEVEL:.0%} for the claim)"
            )
            checks.append(equality(name, statement, cases))
        return Verdict(tuple(checks))

    def relative(self, results: Sequence[Result], quantity: str, points: str, d: int) -> Interval:
        """Mean of a quantity, or of the squared ratio, over its prediction."""
        own = select(results, d=d, points=points)
        exact = self.predict(own[0].condition)
        if quantity == "ratio":
            found = [r.values["f2_square"] / r.values["f1"] ** 2 for r in own]
            unit = exact["f2_square"] / exact["f1"] ** 2
        else:
            found, unit = values(own, quantity), exact[quantity]
        n_intervals = 3 * len(_dimensions(results, GROUPS)) + len(_dimensions(results, INDEPENDENT))
        level = 1 - (1 - CLAIM_LEVEL) / n_intervals
        return statistics.mean([value / unit for value in found], level)

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """The distances, and their ratio, against d."""
        from .. import figures

        figure.set_size_inches(7.2, 3.7)
        left, right = figure.subplots(1, 2)
        self._draw_distances(left, results)
        self._draw_ratios(right, results)
        for axes in (left, right):
            figures.log_axes(axes, (6, 8, 12, 16, 24), "dimension $d$")
        figures.legend_below(figure)

    def _draw_distances(self, axes: "Axes", results: Sequence[Result]) -> None:
        from .. import figures

        exact = self._exact()
        axes.plot(list(exact), [f1 for f1, _ in exact.values()], color=figures.GREY)
        axes.plot(list(exact), [f2 for _, f2 in exact.values()], color=figures.GREY)
        floor = self._plug_in(results)
        axes.plot(list(floor), list(floor.values()), color=figures.ORANGE, linestyle=":")
        for quantity, points, label, color, marker in (
            ("f1", GROUPS, "F1", figures.VERMILION, "o"),
            ("f2_square", GROUPS, "F2", figures.BLUE, "s"),
            ("f2_square", INDEPENDENT, "F2, plug-in", figures.ORANGE, "^"),
        ):
            grid, intervals = _dimensions(results, points), []
            for d in grid:
                unit = self.predict(select(results, d=d, points=points)[0].condition)[quantity]
                ends = [unit * end for end in self.relative(results, quantity, points, d)]
                if quantity == "f2_square":
                    ends = [math.sqrt(max(end, 0.0)) for end in ends]
                intervals.append(Interval(*ends))
            figures.points(axes, grid, intervals, label=label, color=color, marker=marker)
        axes.plot([], [], color=figures.GREY, label="exact")
        axes.plot([], [], color=figures.ORANGE, linestyle=":", label="plug-in, predicted")
        axes.set_ylabel("distance")

    def _draw_ratios(self, axes: "Axes", results: Sequence[Result]) -> None:
        from .. import figures

        exact = self._exact()
        ratio = {d: f1 / f2 for d, (f1, f2) in exact.items()}
        axes.plot(list(ratio), list(ratio.values()), color=figures.GREY)
        grid, intervals = _dimensions(results, GROUPS), []
        for d in grid:
            value, low, high = self.relative(results, "ratio", GROUPS, d)
            # The root of the inverse turns the interval round.
            ends = [ratio[d] / math.sqrt(max(end, 1e-300)) for end in (value, high, low)]
            intervals.append(Interval(*ends))
        figures.points(axes, grid, intervals, label="ratio", color=figures.BLUE, marker="s")
        floor = self._plug_in(results)
        axes.plot(
            list(floor),
            [exact[d][0] / value for d, value in floor.items()],
            color=figures.ORANGE,
            linestyle=":",
        )
        axes.set_ylabel(r"F1 over F2, $\sqrt{N(d, 6)}$")

    def _exact(self) -> dict[int, tuple[float, float]]:
        """Both distances in every dimension of the figure."""
        from ...theory import separation

        grid = range(min(GROUP_SIZES), max(GROUP_SIZES) + 1)
        return {d: separation.ipm(DEGREE, d) for d in grid}

    def _plug_in(self, results: Sequence[Result]) -> dict[int, float]:
        """What the plug-in of the F2 distance is expected to read."""
        grid = _dimensions(results, INDEPENDENT)
        conditions = {d: select(results, d=d, points=INDEPENDENT)[0].condition for d in grid}
        return {d: math.sqrt(self.predict(own)["f2_square"]) for d, own in conditions.items()}


def _by_groups(d: int, n: int, rng: "np.random.Generator") -> dict[str, float]:
    """The value of the F1 witness on fresh points, and the debiased square of the F2 distance."""
    from ...numerics.discrepancies.ipm import f1_ipm, f2_ipm, mean_difference
    from ...numerics.harmonic_pairs import positive_parts

    # Its value on the points among which it is the best would be too high.
    witness = f1_ipm(*positive_parts(DEGREE, d, n, rng, group_size=GROUP_SIZES[d]), rng=rng).witness
    X, Y = positive_parts(DEGREE, d, n, rng, group_size=GROUP_SIZES[d])
    value = float(mean_difference(X, Y, witness[None])[0])
    return {"f1": abs(value), "f2_square": f2_ipm(X, Y, group_size=GROUP_SIZES[d]).square}


def _plug_in(d: int, n: int, n_neurons: int, rng: "np.random.Generator") -> dict[str, float]:
    """As published: the difference at e, and its mean square over neurons, noise included."""
    import numpy as np

    from ...numerics import sphere
    from ...numerics.discrepancies.ipm import mean_difference
    from ...numerics.harmonic_pairs import positive_parts

    neurons = np.concatenate([np.eye(d)[-1:], sphere.uniform(n_neurons, d, rng)])
    at_axis, *others = np.abs(mean_difference(*positive_parts(DEGREE, d, n, rng), neurons))
    return {"f1": float(at_axis), "f2_square": float(np.mean(np.square(others)))}


def _grid(n_groups: int, n_independent: int) -> tuple[Condition, ...]:
    """Conditions, with the numbers of points."""
    groups: tuple[Condition, ...] = tuple(
        {"d": d, "points": GROUPS, "n": n_groups * (size if d in PUBLISHED else size // 2)}
        for d, size in GROUP_SIZES.items()
    )
    return groups + tuple({"d": d, "points": INDEPENDENT, "n": n_independent} for d in PUBLISHED)


def _dimensions(results: Sequence[Result], points: str) -> list[int]:
    return sorted({int(r.condition["d"]) for r in results if r.condition["points"] == points})


register(IPMSeparation())
