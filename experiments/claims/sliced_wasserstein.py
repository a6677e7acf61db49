r"""Distances of Gaussians that differ in one direction: maximal and averaged over directions.

With :math:`\nu = N(0, I)` in R^d, let :math:`\mu` have the variance 0.1 along one direction e. The
largest distance of projections does not depend on d; the average falls like 1/d, and the published
estimate of it is mostly noise from d = 100 on. Here it is caught between two means that need no
correction. Estimates by sorting are too large, :math:`E\,W_1(P_n, Q_n) \ge W_1(P, Q)`, and a
witness f of slope at most 1 gives :math:`E f(x) - E f(y) \le W_1(P, Q)`; f(z) = |z| attains it.
The samples are *coupled*: each point of one is a point of the other, squeezed along e. What noise
there is along a direction comes from the few points whose order changes.

The directions are those of random bases, each of them uniform: the squares of their cosines with e
add up to 1, which the average depends on most.

A maximum over a sample is too large too, and the direction or neuron that attains it is tried out
on another sample, where it is no better than the best: between the two lies the truth. (A maximum
that the search missed would be smaller; the interval of the first mean would then have to be wide
enough to hold the truth nevertheless.)
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Interval, Outcome
from ._enclosures import Case, equality

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

LARGE, SMALL = 1.0, 0.1
QUICK, PAPER = (3, 10, 30, 100, 300), (3, 10, 30, 100, 300, 1000)
# Directions for sorting; the witness takes as many, and at least one basis.
N_DIRECTIONS = 240
# Half-width of what encloses the average, relative to it. Coupled samples are by the factor
# sqrt(1 + 9 d^(3/2) / n) too far apart: the points that cross a level are as many as the density
# there times the mean shift, 0.55 |u| for the cosine u, and squares add up.
ENCLOSED = {3: 0.05, 10: 0.05, 30: 0.1, 100: 0.2, 300: 0.7, 1000: 0.8}
MAXIMUM, TIGHT, SQUARE = 0.05, 0.03, 0.2
FOUND = 0.95
# Where independent samples are so many times farther apart than the laws, the laws add about the
# square of the inverse, 1%, to it.
FLOOR_RATIO, FLOOR_TOLERANCE = 10, 0.05
RATIO_TOLERANCE = 0.1
CLAIM_LEVEL, N_INTERVALS = 0.99, 9


class SlicedWasserstein(Claim):
    """Enclosures of sliced Wasserstein distances and F1 distances; F2 without bias."""

    name = "sliced-wasserstein"
    statement = (
        "Between Gaussians of which one is thin in one direction the max-sliced Wasserstein and "
        "the F1 distance do not depend on the dimension, while the average-sliced and the F2 "
        "distance fall like 1/d; estimates of the average from independent samples are noise."
    )
    source = "domingoenrich2021separation, experiments; derived in lazyactive.theory.separation"
    formula = (
        r"\max = \sqrt{2/\pi}\,(s_l - s_s), \quad d_{F1} = \dfrac{s_l - s_s}{\sqrt{2\pi}}"
        "\n"
        r"\mathrm{average} \sim \sqrt{2/\pi}\,\dfrac{s_l\,c}{2d}, \quad "
        r"d_{F2} \sim \dfrac{\sqrt{3}\,c}{2\sqrt{2\pi}\,d}"
        "\n"
        r"c = 1 - s_s^2/s_l^2, \quad s_l = 1"
    )
    formula_text = (
        "With the standard deviations s l = 1 and s s, and c = 1 minus the ratio of the variances: "
        "the max-sliced distance is the root of 2 over pi times s l minus s s, and the F1 distance "
        "is s l minus s s over the root of 2 pi. The average tends to the root of 2 over pi times "
        "c over 2 d, and the F2 distance to the root of 3 times c, over 2 d times the root of 2 pi."
    )
    reported = ("max_sliced", "average", "plug_in", "f1", "f2")

    def __init__(self) -> None:
        # The widest enclosure of a maximum is that of the largest d: about 0.8 d / n to both sides.
        self.presets = {
            preset: Preset(
                tuple({"d": d, "n": n} for d in dimensions),
                repetitions,
                {"n_means": 20_000, "n_searched": n_searched, "n_features": 2048},
            )
            for preset, dimensions, n, n_searched, repetitions in (
                ("quick", QUICK, 20_000, 20_000, 16),
                ("paper", PAPER, 100_000, 50_000, 14),
            )
        }

    def cost(self, condition: Condition) -> float:
        """Almost everything is in products of points and directions."""
        return float(condition["n"]) * (30 + float(condition["d"]))

    def predict(self, condition: Condition) -> dict[str, float]:
        """Exact distances of the laws, and of two independent samples of one of them."""
        from ...theory import separation

        d, n = int(condition["d"]), int(condition["n"])
        largest, average = separation.sliced_wasserstein(d, LARGE, SMALL)
        f1, f2 = separation.gaussian_ipm(d, LARGE, SMALL)
        return {
            "max_sliced": largest,
            "average": average,
            "floor": separation.sliced_wasserstein_plug_in(n, LARGE),
            "f1": f1,
            "f2": f2,
        }

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Coupled samples for the average, F1 and F2; independent ones for the rest."""
        d, n, n_means = int(condition["d"]), int(condition["n"]), int(settings["n_means"])
        X = gaussian(n, d, rng)
        measured = averages(X, n_means, rng)
        measured |= metrics(X[:n_means], int(settings["n_features"]), rng)
        Y = squeezed(gaussian(n, d, rng))
        return measured | independent(gaussian(n, d, rng), Y, int(settings["n_searched"]), rng)

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Enclosures, equalities, and what independent samples read."""
        level, dimensions = _level(results), _dimensions(results)
        own = {d: select(results, d=d) for d in dimensions}
        exact = {d: self.predict(own[d][0].condition) for d in dimensions}

        def cases(case: Callable[[int], Case]) -> dict[str, Case]:
            return {f"d = {d}": case(d) for d in dimensions}

        def mean(d: int, quantity: str, unit: float) -> Interval:
            return _mean(own[d], quantity, unit, level)

        def enclosed(d: int, lower: str, upper: str, quantity: str, precision: float) -> Case:
            unit = exact[d][quantity]
            return _hull(mean(d, lower, unit), mean(d, upper, unit)), 1.0, precision

        family = f"Student's intervals, {CLAIM_LEVEL:.0%} for the claim"
        over = f"over the exact value; {family}"
        return Verdict(
            (
                equality(
                    "average: enclosure",
                    "1 lies between the lower end of the witness and the upper end of coupled "
                    f"samples {over}",
                    cases(lambda d: enclosed(d, "average", "coupled", "average", ENCLOSED[d])),
                ),
                equality(
                    "average: the witness |z| attains it",
                    f"mean of the witness {over}",
                    cases(lambda d: (mean(d, "average", exact[d]["average"]), 1.0, TIGHT)),
                ),
                self._floor(exact, mean, family),
                equality(
                    "maximum: enclosure",
                    "1 lies between the lower end of the direction on another sample and the upper "
                    f"end of its own sample {over}",
                    cases(
                        lambda d: enclosed(d, "max_held_out", "max_sliced", "max_sliced", MAXIMUM)
                    ),
                ),
                self._direction(dimensions, mean, family),
                equality(
                    "F1: enclosure",
                    "1 lies between the lower end of the neuron on another sample and the upper "
                    f"end of its own sample {over}",
                    cases(lambda d: enclosed(d, "f1_held_out", "f1", "f1", MAXIMUM)),
                ),
                equality(
                    "F2",
                    f"mean of the unbiased square {over}",
                    cases(lambda d: (mean(d, "f2_square", exact[d]["f2"] ** 2), 1.0, SQUARE)),
                ),
                self._ratio(dimensions[-1], mean, family),
            )
        )

    def _floor(
        self,
        exact: Mapping[int, Mapping[str, float]],
        mean: Callable[[int, str, float], Interval],
        family: str,
    ) -> Check:
        """Independent samples where their noise drowns the distance."""
        drowned = [d for d, own in exact.items() if own["floor"] >= FLOOR_RATIO * own["average"]]
        return _tolerated(
            "average: independent samples read their noise",
            f"where the noise is at least {FLOOR_RATIO} times the distance (here d = "
            f"{', '.join(map(str, drowned))}), the estimate is the noise",
            [mean(d, "plug_in", exact[d]["floor"]) for d in drowned],
            FLOOR_TOLERANCE,
            family,
        )

    def _direction(
        self,
        dimensions: Sequence[int],
        mean: Callable[[int, str, float], Interval],
        family: str,
    ) -> Check:
        """The direction that the search of the maximum ends at."""
        worst = min((mean(d, "cosine", 1.0) for d in dimensions), key=lambda i: i.low)
        return Check(
            "maximum: the thin direction is found",
            f"the cosine of the direction found with e is at least {FOUND:g}, worst of the "
            f"dimensions; {family}",
            worst.value,
            worst,
            FOUND,
            statistics.above(worst, FOUND),
            level="interval",
        )

    def _ratio(self, d: int, mean: Callable[[int, str, float], Interval], family: str) -> Check:
        """The gain of the maximum over the average."""
        limit = 2 * d / (1 + math.sqrt(SMALL / LARGE))
        maximum = _hull(mean(d, "max_held_out", 1.0), mean(d, "max_sliced", 1.0))
        average = mean(d, "average", 1.0)
        ratio = Interval(math.nan, -math.inf, math.inf)
        if average.low > 0:
            ratio = Interval(
                maximum.value / average.value / limit,
                maximum.low / average.high / limit,
                maximum.high / average.low / limit,
            )
        return _tolerated(
            f"maximum over average at d = {d}",
            "measured ratio over its limit 2d / (1 + s) in high dimension, s^2 = "
            f"{SMALL / LARGE:g}",
            [ratio],
            RATIO_TOLERANCE,
            family,
        )

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Sliced distances, and those of rectifiers, against the dimension."""
        from .. import figures

        sliced, rectifiers = figures.panels(figure, 2)
        level = _level(results)
        exact = {d: self.predict(select(results, d=d)[0].condition) for d in _dimensions(results)}

        def line(axes: "Axes", quantity: str, label: str | None = None, **look: Any) -> None:
            axes.plot(list(exact), [own[quantity] for own in exact.values()], label=label, **look)

        def points(axes: "Axes", quantity: str, label: str, color: str, marker: str) -> None:
            intervals = [_mean(select(results, d=d), quantity, 1.0, level) for d in exact]
            figures.points(axes, list(exact), intervals, label=label, color=color, marker=marker)

        line(sliced, "max_sliced", color=figures.VERMILION)
        line(sliced, "average", color=figures.BLUE)
        line(sliced, "floor", "noise of independent samples", color=figures.GREY, linestyle=":")
        points(sliced, "max_sliced", "maximum", figures.VERMILION, "o")
        points(sliced, "plug_in", "average: independent samples", figures.ORANGE, "D")
        points(sliced, "coupled", "average: coupled samples", figures.GREEN, "v")
        points(sliced, "average", "average: witness", figures.BLUE, "s")
        sliced.set_title("sliced Wasserstein distances")
        sliced.set_ylabel("distance")
        line(rectifiers, "f1", color=figures.VERMILION)
        line(rectifiers, "f2", color=figures.BLUE)
        points(rectifiers, "f1", "$F_1$", figures.VERMILION, "o")
        points(rectifiers, "f2", "$F_2$", figures.BLUE, "s")
        rectifiers.set_title("rectifiers of $(x, 1)$")
        rectifiers.legend()
        for axes in (sliced, rectifiers):
            figures.log_axes(axes, list(exact), "dimension $d$")
        sliced.plot([], [], color=figures.GREY, label="exact")
        figures.legend_below(figure)


def gaussian(n: int, d: int, rng: "np.random.Generator") -> "NDArray":
    """Standard normal points, (n, d), in single precision: a sample of 10^5 in R^1000 is 400 MB."""
    import numpy as np

    return math.sqrt(LARGE) * rng.standard_normal((n, d), dtype=np.float32)


def squeezed(X: "NDArray") -> "NDArray":
    """Points of the thin Gaussian: copies, closer to each other along the last axis."""
    Y = X.copy()
    Y[:, -1] *= math.sqrt(SMALL / LARGE)
    return Y


def averages(X: "NDArray", n_means: int, rng: "np.random.Generator") -> dict[str, float]:
    """The average from below by a witness, and from above by sorting coupled samples."""
    import numpy as np

    from ...numerics import sphere
    from ...numerics.discrepancies.wasserstein import sliced_lower_bound, sliced_wasserstein

    d, Y = X.shape[1], squeezed(X)
    bases = [sphere.orthogonal_uniform(d, d, rng) for _ in range(math.ceil(N_DIRECTIONS / d))]
    directions = np.concatenate(bases)
    witness = sliced_lower_bound(X[:n_means], Y[:n_means], directions=directions)
    coupled = sliced_wasserstein(X, Y, directions=directions[:N_DIRECTIONS])
    return {"average": witness.value, "coupled": coupled.value}


def metrics(X: "NDArray", n_features: int, rng: "np.random.Generator") -> dict[str, float]:
    """F1 and F2 distances of (x, 1) and (y, 1), for coupled samples."""
    import numpy as np

    from ...numerics.discrepancies.ipm import f1_ipm, f2_ipm

    def lifted(points: "NDArray") -> "NDArray":
        return np.concatenate([points, np.ones((len(points), 1), points.dtype)], axis=1)

    def mean(points: "NDArray", neuron: "NDArray") -> float:
        projections = lifted(points) @ neuron.astype(points.dtype)
        return float(np.mean(np.maximum(projections, 0), dtype=np.float64))

    A, B = lifted(X), lifted(squeezed(X))
    f1 = f1_ipm(A, B, n_starts=4, n_screened=256, rng=rng)
    f2 = f2_ipm(A, B, method="features", n_features=n_features, rng=rng)
    fresh = gaussian(len(X), X.shape[1], rng)
    held_out = mean(fresh, f1.witness) - mean(squeezed(fresh), f1.witness)
    return {"f1": f1.value, "f1_held_out": abs(held_out), "f2": f2.value, "f2_square": f2.square}


def independent(
    X: "NDArray", Y: "NDArray", n_searched: int, rng: "np.random.Generator"
) -> dict[str, float]:
    """The average as published, and the maximum on this sample and on another one."""
    import numpy as np

    from ...numerics.discrepancies.wasserstein import max_sliced_wasserstein, sliced_wasserstein

    plug_in = sliced_wasserstein(X, Y, N_DIRECTIONS, rng=rng)
    X, Y = X[:n_searched], Y[:n_searched]
    found = max_sliced_wasserstein(X, Y, n_starts=2, rng=rng)

    def mean_absolute(points: "NDArray") -> float:
        projections = points @ found.direction.astype(points.dtype)
        return float(np.mean(np.abs(projections), dtype=np.float64))

    fresh = gaussian(len(X), X.shape[1], rng)
    return {
        "plug_in": plug_in.value,
        "max_sliced": found.value,
        "max_held_out": mean_absolute(fresh) - mean_absolute(squeezed(fresh)),
        "cosine": abs(float(found.direction[-1])),
    }


def _hull(lower: Interval, upper: Interval) -> Interval:
    """What lies above the lower end of one interval and below the upper end of another."""
    return Interval((lower.value + upper.value) / 2, lower.low, upper.high)


def _tolerated(
    name: str, statement: str, intervals: Sequence[Interval], tolerance: float, family: str
) -> Check:
    """Whether ratios are 1 up to a tolerance, with their whole intervals."""
    nothing = Interval(math.nan, -math.inf, math.inf)
    worst = max(intervals, key=lambda i: max(i.high - 1, 1 - i.low), default=nothing)
    outcome: Outcome = "undecided"
    if any(i.low > 1 + tolerance or i.high < 1 - tolerance for i in intervals):
        outcome = "fails"
    elif max(worst.high - 1, 1 - worst.low) <= tolerance:
        outcome = "holds"
    return Check(
        name,
        f"{statement}, to {tolerance:.0%}; {family}",
        worst.value,
        worst,
        1.0,
        outcome,
        level="interval",
    )


def _mean(results: Sequence[Result], quantity: str, unit: float, level: float) -> Interval:
    return statistics.mean([value / unit for value in values(results, quantity)], level)


def _level(results: Sequence[Result]) -> float:
    """Level of one interval: so many in each dimension."""
    return 1 - (1 - CLAIM_LEVEL) / (N_INTERVALS * len(_dimensions(results)))


def _dimensions(results: Sequence[Result]) -> list[int]:
    return sorted({int(result.condition["d"]) for result in results})


register(SlicedWasserstein())
