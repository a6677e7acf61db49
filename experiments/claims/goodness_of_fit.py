r"""Power of goodness-of-fit tests by Stein discrepancies, on neurons open and hidden.

The data have the density of one planted neuron, :math:`\propto \exp(-w\max(\langle\theta, x\rangle,
0))` in R^15. In one case the density under test is uniform: the neuron is *open*, and shifts the
mean of the data. In the other it has the linear energy with the mean of the data: the neuron is
*hidden*, and no test of the mean can find it.

A kernel weighs all directions alike: where the first moments agree, what is left has to be seen
through the noise of all harmonics of higher degree. The F1 discrepancy looks along one direction.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Outcome

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIMENSION = 15
LEVEL = 0.05
NONE, HIDDEN, OPEN = "none", "hidden", "open"
STRENGTHS = {HIDDEN: 10.0, OPEN: 2.0}
# Without a difference the data are samples of the linear energy that hides the neuron.
SIZES = {NONE: (400,), HIDDEN: (200, 400, 800), OPEN: (100, 200, 400)}
TESTS: dict[str, dict[str, Any]] = {
    "F1": {"discrepancy": "f1-sd"},
    "KSD rbf": {"kernel": "rbf"},
    "KSD arc-cosine": {"kernel": "arc-cosine(1)"},
}
KERNELS = ("KSD rbf", "KSD arc-cosine")


class GoodnessOfFitPower(Claim):
    """Rejections among data sets, by all tests on the same data."""

    name = "goodness-of-fit-power"
    statement = (
        "At the same size, the F1 Stein test finds a neuron that is hidden behind the mean of the "
        "data from fewer samples than kernel Stein tests, though not one that shifts the mean."
    )
    source = "domingoenrich2021ebm, section 4; derived in lazyactive.theory.gibbs"
    formula = (
        r"\mathrm{hidden}\ (E_\nu x = E_\mu x): \quad "
        r"\mathrm{power}_{F1} > \mathrm{power}_{\mathrm{kernel}}"
        "\n"
        r"\mathrm{open}\ (E_\nu x \ne E_\mu x): \quad "
        r"\mathrm{power}_{F1} < \mathrm{power}_{\mathrm{kernel}}"
    )
    formula_text = (
        "Where the density under test has the mean of the data, the F1 test has more power than "
        "kernel tests; where it has another mean, less."
    )
    reported = tuple(TESTS)

    def __init__(self) -> None:
        grid: tuple[Condition, ...] = tuple(
            {"neuron": case, "n": n} for case, sizes in SIZES.items() for n in sizes
        )
        self.presets = {
            "quick": Preset(grid, 8, {NONE: 12, HIDDEN: 6, OPEN: 6}),
            "paper": Preset(grid, 20, {NONE: 20, HIDDEN: 10, OPEN: 10}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """The size of a test is its level."""
        return dict.fromkeys(TESTS, LEVEL) if condition["neuron"] == NONE else {}

    def cost(self, condition: Condition) -> float:
        """The tests cost about as much as they have points, and there are more without a neuron."""
        return float(condition["n"]) * (1 + (condition["neuron"] == NONE))

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """The part of the data sets that each test rejects."""
        import numpy as np

        from ...numerics.discrepancies.goodness_of_fit import goodness_of_fit
        from ...numerics.sphere import tangent
        from ...numerics.teachers import PlantedEnergy
        from ...theory.gibbs import matched_linear_weight

        case, n = str(condition["neuron"]), int(condition["n"])
        direction = np.eye(1, DIMENSION)
        slope = 0.0 if case == OPEN else matched_linear_weight(STRENGTHS[HIDDEN], DIMENSION)
        # A linear energy is that of two antipodal rectifiers.
        data = PlantedEnergy(np.vstack([direction, -direction]), 2 * slope * np.array([1.0, -1.0]))
        if case != NONE:
            data = PlantedEnergy(direction, np.array([STRENGTHS[case]]))
        n_sets = int(settings[case])
        rejections = dict.fromkeys(TESTS, 0)
        for _ in range(n_sets):
            X = data.sample(n, rng)
            score = -slope * tangent(X, np.broadcast_to(direction, X.shape))
            for test, options in TESTS.items():
                rejections[test] += goodness_of_fit(X, score, **options, rng=rng).p_value <= LEVEL
        return {"data_sets": n_sets} | {test: count / n_sets for test, count in rejections.items()}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Sizes by the binomial law; powers by pairs on the same data."""
        null = select(results, neuron=NONE)
        checks = [size(test, null) for test in TESTS]
        for case, pairs in (
            (HIDDEN, [("F1", kernel) for kernel in KERNELS]),
            (OPEN, [(kernel, "F1") for kernel in KERNELS]),
        ):
            for better, worse in pairs:
                checks.append(more_power(better, worse, case, select(results, neuron=case)))
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """A panel for each alternative: rejections against n."""
        from .. import figures

        panels = figures.panels(figure, 2)
        for axes, case, title in (
            (panels[0], HIDDEN, "hidden neuron: the means agree"),
            (panels[1], OPEN, "open neuron: the model is uniform"),
        ):
            self._draw_panel(axes, select(results, neuron=case))
            axes.set_title(f"{title}, $w = {STRENGTHS[case]:g}$")
        panels[0].set_ylabel(f"rejections at level {LEVEL:g}")
        figures.legend_below(figure)

    def _draw_panel(self, axes: "Axes", results: Sequence[Result]) -> None:
        from .. import figures

        sizes = sorted({int(result.condition["n"]) for result in results})
        axes.axhline(LEVEL, color=figures.GREY, linestyle=":", label="level")
        for test, color, marker, shift in (
            ("F1", figures.VERMILION, "o", 1.0),
            ("KSD rbf", figures.BLUE, "s", 1.02),
            ("KSD arc-cosine", figures.GREEN, "^", 0.98),
        ):
            intervals = [statistics.mean(values(select(results, n=n), test)) for n in sizes]
            axes.plot(sizes, [interval.value for interval in intervals], color=color, linewidth=0.9)
            figures.points(
                axes, sizes, intervals, label=test, color=color, marker=marker, shift=shift
            )
        figures.log_axes(axes, sizes, "sample size $n$")
        axes.set_yscale("linear")


def size(test: str, null: Sequence[Result]) -> Check:
    """The number of rejections without a difference, under the binomial law of the level."""
    from scipy.stats import binom

    counts = [(result.values["data_sets"], result.values[test]) for result in null]
    total = round(sum(n for n, _ in counts))
    rejected = round(sum(n * part for n, part in counts))
    low, high = (float(x) for x in binom.interval(0.99, total, LEVEL))
    outcome: Outcome = "holds" if low <= rejected <= high else "fails"
    return Check(
        f"{test}: size",
        f"among {total} data sets of the density under test, the part that is rejected lies in the "
        f"binomial 99% interval of the level, [{low / total:.3g}, {high / total:.3g}]",
        rejected / total,
        None,
        LEVEL,
        outcome,
    )


def more_power(better: str, worse: str, case: str, results: Sequence[Result]) -> Check:
    """The difference of two power curves, averaged over the sample sizes."""
    sizes = sorted({int(result.condition["n"]) for result in results})
    differences = [
        [result.values[better] - result.values[worse] for result in select(results, n=n)]
        for n in sizes
    ]
    interval = statistics.mean(
        [sum(column) / len(sizes) for column in zip(*differences, strict=True)]
    )
    return Check(
        f"{case} neuron: {better} above {worse}",
        f"the power of {better} less that of {worse}, averaged over n = "
        f"{', '.join(map(str, sizes))}, is positive",
        interval.value,
        interval,
        0.0,
        statistics.above(interval, 0.0),
    )


register(GoodnessOfFitPower())
