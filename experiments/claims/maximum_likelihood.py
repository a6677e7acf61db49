r"""Maximum likelihood on planted neurons: features that move against frozen features.

The data come from :math:`p(x) \propto \exp(-f^*(x))` on the sphere in R^15, with
:math:`f^*(x) = \frac1J \sum_j w_j \max(\langle\theta_j, x\rangle, 0)` and directions
:math:`\theta_j` drawn uniformly for every repetition.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Condition, Preset, Result, Verdict, register, select, values
from ._planted import PlantedTraining

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIMENSION = 15
METHODS = ("lazy", "particles", "sparse")
# The active solver that ShallowEBM takes by default, and that the verdict is about.
ACTIVE = "sparse"
QUICK_SIZES, QUICK_REPETITIONS = (300, 1000, 3000), 4
PAPER_SIZES, PAPER_REPETITIONS = (100, 300, 1000, 3000, 10000, 30000), 10
# The fitted energy is evaluated on fresh exact samples of the teacher.
PAPER_SETTINGS = {"evaluation_points": 100_000}
# Narrower models and fewer reference points change KL by a few percent, and fit a coffee break.
QUICK_SETTINGS = {
    "evaluation_points": 50_000,
    "n_reference": 2**15,
    "n_neurons_lazy": 1024,
    "n_neurons_particles": 150,
}
GAP_TOLERANCE = 1e-6
ORACLE_FACTOR = 2.0
WEAK_STRENGTH, WEAK_SIZE, WEAK_TOLERANCE = 2.0, 1000, 0.2


class MaximumLikelihood(PlantedTraining):
    """Both regimes on the same samples of planted teachers.

    Parameters
    ----------
    name, statement : str
    signs : tuple of {-1, 1}, length J
        The teacher of strength w has the output weights ``w * signs``.
    strengths : tuple of float
    """

    dimension = DIMENSION
    source = "domingoenrich2021ebm, section 6"
    formula = (
        r"E\,\mathrm{KL}_{\mathrm{active}} \approx \dfrac{J d}{2 n}"
        "\n"
        r"E\,\mathrm{KL}_{\mathrm{lazy}} \approx \dfrac{1}{2} \sum_{k \geq 1}"
        r"\,[(1 - s_k)^2 \|f^*_k\|^2 + s_k^2\,\dfrac{N(d,k)}{n}]"
    )
    formula_text = (
        "With moving features the mean KL for J neurons is about J d over 2 n. With frozen ones it "
        "is, at weak energies, half the sum over degrees k of 1 minus s k, squared, times the "
        "squared norm of f star k, plus s k squared times N(d, k) over n."
    )
    shared_keys = ("method",)
    reported = ("kl", "cross_entropy")

    def __init__(
        self, name: str, statement: str, signs: tuple[int, ...], strengths: tuple[float, ...]
    ) -> None:
        self.name = name
        self.statement = statement
        self.signs = signs
        self.strengths = strengths
        self.presets = {
            "quick": Preset(self._grid(QUICK_SIZES), QUICK_REPETITIONS, QUICK_SETTINGS),
            "paper": Preset(self._grid(PAPER_SIZES), PAPER_REPETITIONS, PAPER_SETTINGS),
        }

    def _grid(self, sizes: tuple[int, ...]) -> tuple[Condition, ...]:
        return tuple(
            {"w": w, "n": n, "method": method}
            for w in self.strengths
            for n in sizes
            for method in METHODS
        )

    def cost(self, condition: Condition) -> float:
        """Fits cost about as much as they have samples, above a floor for the reference."""
        return max(float(condition["n"]), 1000.0) * (1 + (condition["method"] == "particles"))

    def predict(self, condition: Condition) -> dict[str, float]:
        """Mean KL: the lazy curve of weak energies, or the parametric oracle J d / (2 n).

        For J > 1 the squared strength of the lazy curve is its mean over the random directions,
        sum_j w_j^2 / J^2. ``kl_bound`` is the rigorous bound for a ball of F1.
        """
        from ...theory import learning_curves

        w, n = float(condition["w"]), int(condition["n"])
        n_neurons = len(self.signs)
        if condition["method"] == "lazy":
            strength = abs(w) / n_neurons**0.5
            return {"kl": float(learning_curves.weak(strength, DIMENSION, n))}
        return {
            "kl": float(learning_curves.parametric_oracle(n_neurons, DIMENSION, n)),
            # The F1 norm of the teacher, (1/J) sum_j |w_j|, is |w|.
            "kl_bound": float(learning_curves.f1_bound(abs(w), n)),
        }

    def options(self, method: str) -> dict[str, Any]:
        """Frozen features, or moving ones by one of the two solvers."""
        return {"regime": "lazy"} if method == "lazy" else {"regime": "active", "solver": method}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """The same rules for every teacher; the weak-energy formula is judged at J = 1 only."""
        return Verdict(
            tuple(check for w in self.strengths for check in self._checks(w, select(results, w=w)))
        )

    def _checks(self, w: float, results: Sequence[Result]) -> list[Check]:
        active, lazy = by_size(results, ACTIVE), by_size(results, "lazy")
        last = max(active)
        oracle = self.predict({"w": w, "n": last, "method": ACTIVE})["kl"]
        checks = [
            active_slope(active),
            near_oracle(active[last], oracle, last),
            lazy_is_worse(lazy[last], active[last], last),
            lazy_slope(lazy),
        ]
        for method in ("particles", "sparse"):
            curve = by_size(results, method)
            bounds = {
                n: self.predict({"w": w, "n": n, "method": method})["kl_bound"] for n in curve
            }
            checks.append(below_bound(curve, bounds, method))
        checks.append(lazy_converged(select(results, method="lazy")))
        if len(self.signs) == 1 and abs(w) <= WEAK_STRENGTH:
            for n in (n for n in lazy if n >= WEAK_SIZE):
                predicted = self.predict({"w": w, "n": n, "method": "lazy"})["kl"]
                checks.append(weak_curve(lazy[n], predicted, n))
        return [replace(check, name=f"w = {w:g}: {check.name}") for check in checks]

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """One panel for each strength: measured KL over the predicted curves."""
        from .. import figures

        panels = figures.panels(figure, len(self.strengths))
        for axes, w in zip(panels, self.strengths, strict=True):
            self._draw_panel(axes, w, select(results, w=w))
        panels[0].set_ylabel(r"$\mathrm{KL}(\nu \,\|\, \hat\nu)$")
        figures.legend_below(figure)

    def _draw_panel(self, axes: "Axes", w: float, results: Sequence[Result]) -> None:
        from .. import figures

        curves = {method: by_size(results, method) for method in METHODS}
        sizes = sorted(curves["lazy"])
        dense = [sizes[0] * (sizes[-1] / sizes[0]) ** (i / 60) for i in range(61)]
        for method, color, label in (
            ("lazy", figures.BLUE, "lazy, weak-energy prediction"),
            (ACTIVE, figures.VERMILION, "parametric oracle $Jd/(2n)$"),
        ):
            line = [self.predict({"w": w, "n": n, "method": method})["kl"] for n in dense]
            axes.plot(dense, line, color=color, label=label)
        # The rigorous bound, 4 |w| / sqrt(n), lies far above the panel: only its slope is drawn.
        start = statistics.mean(curves["particles"][sizes[0]]).value
        guide = [start * math.sqrt(sizes[0] / n) for n in dense]
        axes.plot(dense, guide, ":", color=figures.GREY, label="slope of the $n^{-1/2}$ bound")
        for method, label, color, marker, shift in (
            ("lazy", "lazy", figures.BLUE, "s", 1.0),
            ("particles", "active, particles", figures.GREEN, "^", 1.03),
            ("sparse", "active, sparse", figures.VERMILION, "o", 0.97),
        ):
            intervals = [statistics.mean(curves[method][n]) for n in sizes]
            figures.points(
                axes, sizes, intervals, label=label, color=color, marker=marker, shift=shift
            )
        figures.log_axes(axes, sizes, "sample size $n$")
        listed = ", ".join(f"{w * sign:g}" for sign in self.signs)
        axes.set_title(f"$d = {DIMENSION}$, $w = {listed}$".replace("-", "{-}"))


def by_size(results: Sequence[Result], method: str) -> dict[int, list[float]]:
    """The measured KL of one method, by sample size in increasing order."""
    chosen = select(results, method=method)
    sizes = sorted({int(result.condition["n"]) for result in chosen})
    return {n: values(select(chosen, n=n), "kl") for n in sizes}


def active_slope(curve: Mapping[int, Sequence[float]]) -> Check:
    """A learner that finds the neurons has the parametric rate."""
    sizes = [n for n in curve if n >= 1000]
    if len(sizes) < 3:
        sizes = list(curve)
    slope = statistics.slope(sizes, [curve[n] for n in sizes])
    # The second condition is the power of the check: an interval so wide that it holds the rate
    # -1/2 of the worst case as well says nothing.
    outcome: statistics.Outcome = "undecided"
    if slope.low > -1:
        outcome = "fails"
    elif slope.high < -0.5:
        outcome = "holds"
    return Check(
        "active slope",
        f"the 95% interval of the slope of log mean KL in log n, n >= {sizes[0]}, contains -1 or "
        "lies below it, and excludes -1/2",
        slope.value,
        slope,
        -1.0,
        outcome,
    )


def near_oracle(sample: Sequence[float], oracle: float, n: int) -> Check:
    """The error of the active regime is of the size of the parametric one."""
    interval = statistics.mean(sample)
    bound = ORACLE_FACTOR * oracle
    return Check(
        "active near the oracle",
        f"the mean KL at n = {n} is at most {ORACLE_FACTOR:g} J d / (2 n)",
        interval.value,
        interval,
        bound,
        statistics.below(interval, bound),
    )


def lazy_is_worse(lazy: Sequence[float], active: Sequence[float], n: int) -> Check:
    """Both regimes saw the same samples, so they are compared in pairs."""
    interval = statistics.log_ratio(lazy, active)
    return Check(
        "lazy worse than active",
        f"the mean of log(KL lazy / KL active) over pairs on the same data, n = {n}, is positive",
        interval.value,
        interval,
        0.0,
        statistics.above(interval, 0.0),
    )


def lazy_slope(curve: Mapping[int, Sequence[float]]) -> Check:
    """Frozen features miss the parametric rate."""
    slope = statistics.slope(list(curve), list(curve.values()))
    return Check(
        "lazy slope",
        "the slope of log mean KL in log n, over all n, lies above -1",
        slope.value,
        slope,
        -1.0,
        statistics.above(slope, -1.0),
    )


def below_bound(
    curve: Mapping[int, Sequence[float]], bounds: Mapping[int, float], method: str
) -> Check:
    """The F1 bound at the sample size where least room is left."""
    intervals = {n: statistics.mean(sample) for n, sample in curve.items()}
    tightest = max(intervals, key=lambda n: intervals[n].high / bounds[n])
    return Check(
        f"F1 bound, {method}",
        f"the mean KL is at most 4 |w| / sqrt(n) for every n (closest at n = {tightest})",
        intervals[tightest].value,
        intervals[tightest],
        bounds[tightest],
        statistics.below(intervals[tightest], bounds[tightest]),
    )


def lazy_converged(results: Sequence[Result]) -> Check:
    """The lazy problem is convex, so there is no excuse for an error of optimization."""
    gap = max(values(results, "optimality_gap"))
    return Check(
        "lazy optimality gap",
        "the largest gap over all lazy fits is at most 1e-6",
        gap,
        None,
        GAP_TOLERANCE,
        "holds" if gap <= GAP_TOLERANCE else "fails",
    )


def weak_curve(sample: Sequence[float], predicted: float, n: int) -> Check:
    """The sharp curve is linearized at the uniform measure: its own error has to be allowed for.

    At w = 2, d = 15 that error is 6% at n = 1000 and falls with n; the rest of the tolerance is
    for a penalty that is chosen on held-out data instead of being the optimal one.
    """
    interval = statistics.mean(sample)
    low, high = (1 - WEAK_TOLERANCE) * predicted, (1 + WEAK_TOLERANCE) * predicted
    outcome: statistics.Outcome = "undecided"
    if interval.high < low or interval.low > high:
        outcome = "fails"
    elif interval.half_width <= predicted / 2:
        outcome = "holds"
    return Check(
        f"lazy curve at n = {n}",
        f"the 95% interval of the mean KL meets the weak-energy prediction within "
        f"{WEAK_TOLERANCE:.0%}, and is narrower than the prediction",
        interval.value,
        interval,
        predicted,
        outcome,
    )


register(
    MaximumLikelihood(
        "mle-one-neuron",
        "When the energy is one neuron in R^15, maximum likelihood with moving features reaches "
        "the parametric error d/(2n), and with frozen features the much larger lazy curve.",
        signs=(1,),
        strengths=(2.0, 10.0),
    )
)
register(
    MaximumLikelihood(
        "mle-two-neurons",
        "When the energy is two attracting neurons in R^15, maximum likelihood with moving "
        "features reaches the parametric error 2d/(2n), with frozen features it does not.",
        signs=(1, 1),
        strengths=(-2.5, -5.0),
    )
)
register(
    MaximumLikelihood(
        "mle-four-neurons",
        "When the energy is two repelling and two attracting neurons in R^15, maximum likelihood "
        "with moving features reaches the parametric error 4d/(2n), with frozen features it does "
        "not.",
        signs=(1, 1, -1, -1),
        strengths=(7.5,),
    )
)
