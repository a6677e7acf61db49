r"""Samples that two-sample tests need, with moving and with fixed features, as d grows.

Two pairs of laws: the positive and the negative part of :math:`P_4(\langle x, e\rangle)` on the
sphere, and :math:`N(0, I_d)` against the same with variance 0.1 along one direction. On the first
the F1 and the F2 distance are compared, on the second max-sliced and average-sliced Wasserstein
distances, by permutation tests at the same level. The sample size for 80% power comes from a fit of
the power curve; that of the F2 test is predicted.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select
from ..statistics import Interval, Outcome

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEGREE, LEVEL, POWER = 4, 0.05, 0.8
HARMONIC, THIN = "harmonic", "thin"
SMALL_VARIANCE = 0.1
# Sample sizes of about the wanted power, by a pilot and by theory: what is tested lies around them.
F1 = {4: 360, 6: 330, 8: 340, 12: 430, 16: 500}
F2 = {4: 1150, 6: 2700, 8: 5300, 10: 9300}
MAX_SLICED = {4: 95, 8: 125, 16: 220, 32: 370}
SLICED = {4: 200, 8: 600, 16: 2100, 32: 8000}
AROUND = (0.5, 0.7, 1.0, 1.4, 2.0)
# The test with moving features, and that with fixed ones, for each pair.
TESTS = {HARMONIC: ("f1", "f2"), THIN: ("max-sliced-wasserstein", "sliced-wasserstein")}
TOLERANCE = 0.3
LABELS = {
    "f1": "F1",
    "f2": "F2",
    "max-sliced-wasserstein": "max-sliced W",
    "sliced-wasserstein": "average-sliced W",
}


class DetectionPower(Claim):
    """Rejections by permutation tests, around the sample size where they are 80%."""

    name = "detection-power"
    statement = (
        "As the dimension grows, a two-sample test with moving features needs ever fewer samples "
        "than one with fixed features."
    )
    source = "domingoenrich2021separation, section 6; derived in lazyactive.theory.separation"
    formula = (
        r"n_{F2} \propto \dfrac{\sqrt{E\,\kappa_c(x, x')^2}}{d_{F2}^2}"
        "\n"
        r"d_{F2} = \dfrac{d_{F1}}{\sqrt{N(d,4)}}"
    )
    formula_text = (
        "The samples that the F2 test needs are about in proportion to the root of the mean square "
        "of the centred kernel, over the square of the F2 distance, which is the F1 distance over "
        "the root of N(d, 4)."
    )
    reported = ("rejections",)

    def __init__(self) -> None:
        self.presets = {
            "quick": Preset(
                _grid(
                    {"f1": (4, 8, 16), "f2": (4, 6, 8)},
                    {"max-sliced-wasserstein": (4, 8, 16), "sliced-wasserstein": (4, 8, 16)},
                ),
                4,
                {"data_sets": 8, "permutations": 99},
            ),
            "paper": Preset(
                _grid(
                    {"f1": tuple(F1), "f2": tuple(F2)},
                    {
                        "max-sliced-wasserstein": tuple(MAX_SLICED),
                        "sliced-wasserstein": tuple(SLICED),
                    },
                ),
                8,
                {"data_sets": 12, "permutations": 199},
            ),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """The sample size that the F2 test needs."""
        from ...theory.separation import f2_detection_size

        if condition["test"] != "f2":
            return {}
        return {"required": f2_detection_size(DEGREE, int(condition["d"]), 1, LEVEL, POWER)}

    def cost(self, condition: Condition) -> float:
        """The F2 test takes all pairs, the others all points."""
        n = float(condition["n"])
        return n * n / 1e3 if condition["test"] == "f2" else n

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """The number of data sets that the test rejects."""
        from ...numerics.discrepancies.two_sample import two_sample_test
        from ...numerics.harmonic_pairs import positive_parts

        d, n, test = int(condition["d"]), int(condition["n"]), str(condition["test"])
        rejections = 0
        for _ in range(int(settings["data_sets"])):
            if condition["pair"] == HARMONIC:
                X, Y = positive_parts(DEGREE, d, n, rng)
            else:
                X, Y = rng.standard_normal((2, n, d))
                Y[:, -1] *= math.sqrt(SMALL_VARIANCE)
            result = two_sample_test(
                X,
                Y,
                test,
                n_starts=2 if test.startswith("max") else 4,
                n_permutations=int(settings["permutations"]),
                rng=rng,
            )
            rejections += result.p_value <= LEVEL
        return {"rejections": float(rejections), "data_sets": float(settings["data_sets"])}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """The prediction for F2; fewer samples with moving features, and a slower growth."""
        checks = [self._predicted(results)]
        for pair in TESTS:
            checks.append(fewer(pair, results))
            checks.append(slower(pair, results))
        return Verdict(tuple(checks))

    def _predicted(self, results: Sequence[Result]) -> Check:
        """The measured size for F2 over the predicted one, in the dimension that is worst."""
        logs = {}
        for d in _dimensions(results, "f2"):
            exact = self.predict({"test": "f2", "d": d})["required"]
            logs[d] = shifted(required(results, "f2", d), -math.log(exact))
        bound = math.log1p(TOLERANCE)
        worst = max(logs, key=lambda d: max(abs(logs[d].low), abs(logs[d].high)))
        outcomes: set[Outcome] = {
            statistics.below(side, bound)
            for own in logs.values()
            for side in (own, Interval(-own.value, -own.high, -own.low))
        }
        outcome: Outcome = "undecided"
        if "fails" in outcomes:
            outcome = "fails"
        elif outcomes == {"holds"}:
            outcome = "holds"
        return Check(
            "F2: predicted sample size",
            f"the sample size for {POWER:.0%} power over the predicted one lies within a factor "
            f"{1 + TOLERANCE:g} of 1 with its whole interval (worst of {len(logs)}: d = {worst})",
            math.exp(logs[worst].value),
            Interval(*map(_exp, logs[worst])),
            1.0,
            outcome,
        )

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """A panel for each pair: sample sizes against d."""
        from .. import figures

        figure.set_size_inches(7.2, 3.7)
        panels = figure.subplots(1, 2)
        for axes, pair, title in zip(
            panels,
            TESTS,
            ("parts of a harmonic of degree 4", "Gaussians, one of them thin"),
            strict=True,
        ):
            dimensions: set[int] = set()
            for test, color, marker in zip(
                TESTS[pair], (figures.VERMILION, figures.BLUE), ("o", "s"), strict=True
            ):
                self._draw_test(axes, results, test, color, marker)
                dimensions |= set(_dimensions(results, test))
            figures.log_axes(axes, sorted(dimensions), "dimension $d$")
            axes.set_title(title)
            axes.legend()
        panels[0].set_ylabel(f"sample size for {POWER:.0%} power")

    def _draw_test(
        self, axes: "Axes", results: Sequence[Result], test: str, color: str, marker: str
    ) -> None:
        from .. import figures

        grid = _dimensions(results, test)
        if test == "f2":
            dense = range(min(F1), max(F1) + 1)
            exact = [self.predict({"test": test, "d": d})["required"] for d in dense]
            axes.plot(dense, exact, color=color, label="F2, predicted")
        intervals = [Interval(*map(_exp, required(results, test, d))) for d in grid]
        if test != "f2":
            sizes = [interval.value for interval in intervals]
            axes.plot(grid, sizes, color=color, linewidth=0.7, linestyle=":")
        figures.points(axes, grid, intervals, label=LABELS[test], color=color, marker=marker)


def required(results: Sequence[Result], test: str, d: int) -> Interval:
    """Logarithm of the sample size for 80% power, with its 95% interval."""
    own = select(results, test=test, d=d)
    sizes = sorted({int(r.condition["n"]) for r in own})
    rejections, trials = (
        [round(sum(r.values[key] for r in select(own, n=n))) for n in sizes]
        for key in ("rejections", "data_sets")
    )
    return statistics.required_size(sizes, rejections, trials, POWER, LEVEL)


def fewer(pair: str, results: Sequence[Result]) -> Check:
    """The sample size with moving features over that with fixed ones, where it is largest."""
    moving, fixed = TESTS[pair]
    ratios = {
        d: difference(required(results, moving, d), required(results, fixed, d))
        for d in sorted(set(_dimensions(results, moving)) & set(_dimensions(results, fixed)))
    }
    worst = max(ratios, key=lambda d: ratios[d].high)
    return Check(
        f"{pair}: {LABELS[moving]} needs fewer samples",
        f"the sample size of {LABELS[moving]} over that of {LABELS[fixed]} is below 1 "
        f"(worst of {len(ratios)} dimensions: d = {worst})",
        _exp(ratios[worst].value),
        Interval(*map(_exp, ratios[worst])),
        1.0,
        statistics.below(ratios[worst], 0.0),
    )


def slower(pair: str, results: Sequence[Result]) -> Check:
    """The difference of the exponents with which sample sizes grow."""
    moving, fixed = (growth(results, test) for test in TESTS[pair])
    own = difference(moving, fixed)
    return Check(
        f"{pair}: {LABELS[TESTS[pair][0]]} grows more slowly",
        f"the exponent of d in the sample size, {moving.value:.2f} for {LABELS[TESTS[pair][0]]} "
        f"and {fixed.value:.2f} for {LABELS[TESTS[pair][1]]}, is smaller for the first",
        own.value,
        own,
        0.0,
        statistics.below(own, 0.0),
    )


def growth(results: Sequence[Result], test: str) -> Interval:
    """Slope of the least-squares line of log sample size against log d."""
    grid = _dimensions(results, test)
    x = [math.log(d) for d in grid]
    centre = sum(x) / len(x)
    spread = sum((xi - centre) ** 2 for xi in x)
    weights = [(xi - centre) / spread for xi in x]
    logs = [required(results, test, d) for d in grid]
    value = sum(w * own.value for w, own in zip(weights, logs, strict=True))
    half = math.sqrt(
        sum((w * own.half_width) ** 2 for w, own in zip(weights, logs, strict=True) if w)
    )
    return Interval(value, value - half, value + half)


def difference(one: Interval, other: Interval) -> Interval:
    """The difference of two independent estimates."""
    value, half = one.value - other.value, math.hypot(one.half_width, other.half_width)
    return Interval(value, value - half, value + half)


def shifted(interval: Interval, shift: float) -> Interval:
    """An interval moved as a whole."""
    return Interval(*(end + shift for end in interval))


def _grid(
    harmonic: Mapping[str, Sequence[int]], thin: Mapping[str, Sequence[int]]
) -> tuple[Condition, ...]:
    centres = {
        "f1": F1,
        "f2": F2,
        "max-sliced-wasserstein": MAX_SLICED,
        "sliced-wasserstein": SLICED,
    }
    return tuple(
        {"pair": pair, "test": test, "d": d, "n": round(factor * centres[test][d])}
        for pair, tests in ((HARMONIC, harmonic), (THIN, thin))
        for test, dimensions in tests.items()
        for d in dimensions
        # The largest sizes say least, and with all pairs of points cost most.
        for factor in (AROUND[:-1] if test == "f2" else AROUND)
    )


def _dimensions(results: Sequence[Result], test: str) -> list[int]:
    return sorted({int(r.condition["d"]) for r in results if r.condition["test"] == test})


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


register(DetectionPower())
