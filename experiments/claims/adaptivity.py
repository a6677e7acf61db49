r"""The samples that a given divergence takes, as the dimension grows and one neuron stays hidden.

The data come from :math:`p(x) \propto e^{-w \max(\langle\theta, x\rangle, 0)}`. At a fixed w the
divergence of p from uniform falls like :math:`w^2/d`, and soon no sample is needed. Here
:math:`w = c\sqrt d`, and the energy tends to :math:`c \max(g, 0)` with a standard normal g: from
d = 5 to d = 60 the divergence from uniform goes from 0.30 to 0.28, far above the level of 0.05
that is asked for.

*Lazy.* The samples are where the curve of lazyactive.theory.learning_curves.sandwich, at its best
penalty, passes the level. To learn degree 2, whose :math:`N(d, 2) \approx d^2/2` harmonics are all
alike to frozen features, takes a number of samples in proportion to them: the exact curves give
280 at d = 5 and 40,930 at d = 60, and an exponent of 2.00 to 2.01. Degree 2 suffices: the others
move the curve by at most 0.5%, and in d = 5 by 0.1% once degree 4 is learned too.

*Active.* The parametric oracle d/(2n) passes the level at d/(2 level) = 10 d. It is an asymptote:
with so few samples to a parameter even the parametric fit that begins at the truth needs about 1.6
times as many, in every d. In low dimension, where these are less than a hundred, the rule that
chooses the number of neurons on held-out data sometimes prefers none, and that costs more.

The slow bounds, of order :math:`n^{-1/2}`, know these exponents but not the sizes. In F1
(lazyactive.theory.learning_curves.f1_bound) it takes at most :math:`(4 w/\mathrm{level})^2
\approx 4.3\cdot10^4\, d` samples, 4267 times the oracle, and more than the lazy regime needs below
d = 3700. In F2 the part of degree 2 alone has a norm of :math:`w \sqrt{N(d,2)} \approx
c\,d^{3/2}/\sqrt2`, and the bound, by the trace 1/(2d) of the kernel, is of order :math:`c^2 d^2 /
(4\,\mathrm{level}^2)`, 60 times what the exact curve says.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Interval, Outcome

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

LEVEL = 0.05
# The weight of the neuron over the root of the dimension: w = 10 in d = 15.
STRENGTH = 10 / math.sqrt(15)
# The sizes that are measured, in units of the predicted one.
FACTORS = {"lazy": (0.8, 1.25), "active": (1.4, 2.0)}
QUICK_DIMENSIONS, QUICK_REPETITIONS = (5, 15, 40), 8
PAPER_DIMENSIONS, PAPER_REPETITIONS = (5, 7, 10, 15, 20, 30, 40, 60), 12
# The active solver is to find out how many neurons there are: up to one, up to two.
QUICK_SETTINGS = {"n_neurons": 1, "n_reference": 2**15, "evaluation_points": 20_000}
PAPER_SETTINGS = {"n_neurons": 2, "n_reference": 2**15, "evaluation_points": 50_000}
# Reference points of the lazy model. They act like noise that adds about harmonics / points to the
# divergence, relatively: 1 to 2%, and 3 to 5% to the samples. At most they fill 3 GB, in d = 60.
POINTS_PER_HARMONIC, FEWEST_POINTS, MOST_POINTS, REFERENCE_SEED = 80, 2**15, 100_000, 0

TOLERANCE, PRECISION = 0.1, 0.1
LAZY_SLOPE_TOLERANCE, ACTIVE_SLOPE_TOLERANCE, SLOPE_PRECISION = 0.05, 0.1, 0.15
ORACLE_FACTOR, FIT_FACTOR, GAP = 2.5, 1.25, 0.5


def degrees(d: int) -> tuple[int, ...]:
    """The degrees that matter at the level: what is left out moves the curve by at most 0.5%."""
    return (1, 2, 4) if d == 5 else (1, 2)


def weight(d: int) -> float:
    """The weight of the planted neuron."""
    return STRENGTH * math.sqrt(d)


@lru_cache(maxsize=128)
def predicted(d: int, regime: str) -> float:
    """Samples that bring the predicted curve to the level; ``bound`` is the slow one in F1."""
    from ...theory import learning_curves

    w = weight(d)
    curves = {
        "lazy": lambda n: float(learning_curves.sandwich(w, d, n)),
        "active": lambda n: float(learning_curves.parametric_oracle(1, d, n)),
        "bound": lambda n: float(learning_curves.f1_bound(w, n)),
    }
    return learning_curves.samples_needed(curves[regime], LEVEL)


class Adaptivity(Claim):
    """Samples needed in both regimes, over a range of dimensions."""

    name = "adaptivity-to-dimension"
    statement = (
        "With one hidden neuron of constant difficulty, the samples that bring KL to 0.05 grow "
        "like d^2 when features are frozen, in the number that theory predicts, and like d, "
        "within 2.5 times the parametric number, when they move."
    )
    source = "derived in lazyactive.theory.learning_curves.strong_energy"
    formula = (
        r"n_{\mathrm{lazy}} \propto N(d,2) \approx \dfrac{d^2}{2}"
        "\n"
        r"n_{\mathrm{active}} \leq 2.5 \cdot \dfrac{d}{2\,\varepsilon}, \quad \varepsilon = 0.05"
    )
    formula_text = (
        "The samples that the lazy regime needs are in proportion to N(d, 2), about d squared over "
        "2; those of the active regime are at most 2.5 times d over 2 epsilon, at the level "
        "epsilon = 0.05 of KL."
    )
    reported = ("n", "kl")

    def __init__(self) -> None:
        self.presets = {
            "quick": Preset(_grid(QUICK_DIMENSIONS), QUICK_REPETITIONS, QUICK_SETTINGS),
            "paper": Preset(_grid(PAPER_DIMENSIONS), PAPER_REPETITIONS, PAPER_SETTINGS),
        }

    def cost(self, condition: Condition) -> float:
        """The active fits of a dimension first, then the lazy ones, which share a model."""
        return float(condition["d"]) ** 2 * (1.5 if condition["regime"] == "active" else 1.0)

    def predict(self, condition: Condition) -> dict[str, float]:
        """Sizes of the sample, here and where the predicted curve is at the level."""
        from ...theory import learning_curves

        d, regime = int(condition["d"]), str(condition["regime"])
        n = _size(condition)
        kl = learning_curves.parametric_oracle(1, d, n)
        if regime == "lazy":
            kl = learning_curves.sandwich(weight(d), d, n)
        return {"n": float(n), "kl": float(kl), "samples_needed": predicted(d, regime)}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Mean divergence over fresh data sets: more where they are cheap and scatter."""
        d, n = int(condition["d"]), _size(condition)
        if condition["regime"] == "lazy":
            return {"n": float(n), **_measure_lazy(d, n, rng)}
        return {"n": float(n), **_measure_active(d, n, rng, settings)}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """The numbers of samples, then the exponents."""
        dimensions = sorted({int(result.condition["d"]) for result in results})
        lazy, active, fit = _jackknife(results)
        checks = [
            lazy_number(d, lazy[d], _evaluation_error(select(results, d=d, regime="lazy")))
            for d in dimensions
        ]
        checks += [active_number(d, active[d]) for d in dimensions]
        checks.append(as_the_fit(active, fit))
        for regime, sample, tolerance in (
            ("lazy", lazy, LAZY_SLOPE_TOLERANCE),
            ("active", active, ACTIVE_SLOPE_TOLERANCE),
        ):
            exact = exponents({d: [math.log(predicted(d, regime))] for d in dimensions})[0]
            checks.append(exponent(regime, exponents(sample), exact, tolerance))
        checks.append(gap(exponents(lazy), exponents(active)))
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Samples needed against the dimension."""
        from .. import figures

        axes = figures.panels(figure, 1, height=3.6)[0]
        dimensions = sorted({int(result.condition["d"]) for result in results})
        for regime, color, style, label in (
            ("bound", figures.GREY, ":", r"slow bound in $\mathcal{F}_1$"),
            ("lazy", figures.BLUE, "-", "lazy, exact curve"),
            ("active", figures.VERMILION, "-", "parametric oracle $10\\,d$"),
        ):
            line = [predicted(d, regime) for d in dimensions]
            axes.plot(dimensions, line, style, color=color, label=label)
        lazy, active, fit = _jackknife(results)
        for sample, color, marker, shift, label in (
            (lazy, figures.BLUE, "s", 1.0, "lazy, measured"),
            (active, figures.VERMILION, "o", 0.98, "active, measured"),
            (fit, figures.GREEN, "^", 1.02, "parametric fit, measured"),
        ):
            intervals = [_exponential(statistics.mean(sample[d])) for d in dimensions]
            figures.points(
                axes, dimensions, intervals, label=label, color=color, marker=marker, shift=shift
            )
        figures.log_axes(axes, dimensions, "dimension $d$")
        axes.set_ylabel(f"samples for KL = {LEVEL:g}")
        figures.legend_below(figure)


def pseudovalues(
    sizes: Sequence[float], curves: Sequence[Sequence[float]], level: float = LEVEL
) -> list[float]:
    r"""Jackknife pseudo-values of the log of the size at which the mean curve is at the level.

    With :math:`\hat x` from all R repetitions and :math:`\hat x_{-r}` without one they are
    :math:`R \hat x - (R-1) \hat x_{-r}`, which behave like independent measurements of x.

    Parameters
    ----------
    sizes : sequence of two floats
    curves : sequence of two lists of float, shape (2, R)
        The measured divergences.
    level : float

    Returns
    -------
    list of float, length R
        Not a number where a mean curve does not fall.
    """

    def crossing(kept: Sequence[int]) -> float:
        (x0, y0), (x1, y1) = (
            (math.log(n), math.log(math.fsum(curve[r] for r in kept) / len(kept) / level))
            for n, curve in zip(sizes, curves, strict=True)
        )
        return x0 + y0 * (x1 - x0) / (y0 - y1) if y1 < y0 else math.nan

    repetitions = range(len(curves[0]))
    if len(repetitions) < 2:
        return [crossing(repetitions)]
    whole = crossing(repetitions)
    return [
        len(repetitions) * whole
        - (len(repetitions) - 1) * crossing([r for r in repetitions if r != left_out])
        for left_out in repetitions
    ]


def exponents(samples: Mapping[int, Sequence[float]]) -> list[float]:
    """Slope in log d of every repetition of log n, by least squares over the dimensions."""
    x = {d: math.log(d) for d in samples}
    centre = math.fsum(x.values()) / len(x)
    spread = math.fsum((value - centre) ** 2 for value in x.values())
    columns = zip(*samples.values(), strict=True)
    return [
        math.fsum((xi - centre) / spread * y for xi, y in zip(x.values(), column, strict=True))
        for column in columns
    ]


def lazy_number(d: int, sample: Sequence[float], evaluation_error: float) -> Check:
    """The measured number of samples against the predicted one.

    An error of 5% in KL, which the prediction and the reference points may have, is one of about
    10% in n, as the lazy curve has a slope of about -1/2. All cells of a dimension are evaluated
    on the same points: two standard errors of that are added to the interval.
    """
    interval = statistics.mean(sample)
    half = math.hypot(interval.half_width, 2 * evaluation_error)
    log_ratio = interval.value - math.log(predicted(d, "lazy"))
    ratio = _exponential(Interval(log_ratio, log_ratio - half, log_ratio + half))
    outcome = _agrees(
        Interval(log_ratio, log_ratio - half, log_ratio + half), 0.0, TOLERANCE, PRECISION
    )
    return Check(
        f"lazy, d = {d}",
        f"the 95% interval of the log of measured over predicted samples meets 0 within "
        f"{TOLERANCE:g}, and its half-width is at most {PRECISION:g}; shown as a ratio",
        ratio.value,
        ratio,
        1.0,
        outcome,
    )


def active_number(d: int, sample: Sequence[float]) -> Check:
    """The measured number of samples against that of the parametric oracle, an asymptote."""
    interval = statistics.mean(sample)
    log_oracle = math.log(predicted(d, "active"))
    ratio = _exponential(Interval(*(end - log_oracle for end in interval)))
    return Check(
        f"active, d = {d}",
        f"measured samples are at most {ORACLE_FACTOR:g} times d / (2 level)",
        ratio.value,
        ratio,
        ORACLE_FACTOR,
        statistics.below(ratio, ORACLE_FACTOR),
    )


def as_the_fit(active: Mapping[int, Sequence[float]], fit: Mapping[int, Sequence[float]]) -> Check:
    """What it costs not to know the number of neurons, nor where to begin."""
    logs = [
        math.fsum(active[d][r] - fit[d][r] for d in active) / len(active)
        for r in range(len(next(iter(active.values()))))
    ]
    ratio = _exponential(statistics.mean(logs))
    return Check(
        "active against a parametric fit",
        "the geometric mean over d of active samples over those of the parametric fit that "
        f"begins at the truth, on the same data, is at most {FIT_FACTOR:g}",
        ratio.value,
        ratio,
        FIT_FACTOR,
        statistics.below(ratio, FIT_FACTOR),
    )


def exponent(regime: str, slopes: Sequence[float], expected: float, tolerance: float) -> Check:
    """The slope of log n in log d against the one of the predicted numbers."""
    interval = statistics.mean(slopes)
    return Check(
        f"{regime} exponent",
        f"the 95% interval of the slope of log samples in log d meets that of the prediction "
        f"within {tolerance:g}, and its half-width is at most {SLOPE_PRECISION:g}",
        interval.value,
        interval,
        expected,
        _agrees(interval, expected, tolerance, SLOPE_PRECISION),
    )


def gap(lazy: Sequence[float], active: Sequence[float]) -> Check:
    """The advantage of moving features grows with the dimension, by a power of it."""
    interval = statistics.mean([a - b for a, b in zip(lazy, active, strict=True)])
    return Check(
        "the ratio grows",
        f"the slope of log(lazy / active samples) in log d is at least {GAP:g}",
        interval.value,
        interval,
        GAP,
        statistics.above(interval, GAP),
    )


def _grid(dimensions: Sequence[int]) -> tuple[Condition, ...]:
    return tuple(
        {"d": d, "regime": regime, "factor": factor}
        for d in dimensions
        for regime, factors in FACTORS.items()
        for factor in factors
    )


def _size(condition: Condition) -> int:
    d, regime = int(condition["d"]), str(condition["regime"])
    return round(float(condition["factor"]) * predicted(d, regime))


def _measure_lazy(d: int, n: int, rng: "np.random.Generator") -> dict[str, float]:
    import numpy as np

    from ...numerics import harmonics
    from ...numerics.training.infinite_width import shared
    from ...theory import learning_curves

    points = POINTS_PER_HARMONIC * sum(harmonics.dimension(d, degree) for degree in degrees(d))
    points = min(max(points, FEWEST_POINTS), MOST_POINTS)
    model = shared(weight(d), d, 1, degrees(d), points, REFERENCE_SEED)
    penalty = float(learning_curves.sandwich_penalty(weight(d), d, n))
    fits = [
        model.kl(model.fit(model.sample_moments(n, rng), penalty).coordinates)
        for _ in range(max(1, 800 // d**2))
    ]
    # The points of the evaluation are common to all fits, and so is their error.
    return {
        "kl": float(np.mean([fit.value for fit in fits])),
        "kl_se": float(np.mean([fit.se for fit in fits])),
    }


def _measure_active(
    d: int, n: int, rng: "np.random.Generator", settings: Mapping[str, Any]
) -> dict[str, float]:
    """The estimator, and on the same data the parametric fit that begins at the truth."""
    import numpy as np

    from ...numerics import features, sphere
    from ...numerics.discrepancies.kl import kl_divergence
    from ...numerics.estimators import ShallowEBM
    from ...numerics.teachers import PlantedEnergy
    from ...numerics.training import oracle

    divergences = []
    for _ in range(math.ceil(40 / d)):
        teacher = PlantedEnergy.random(1, d, np.array([weight(d)]), rng)
        X = teacher.sample(n, rng)
        evaluation = teacher.sample(int(settings["evaluation_points"]), rng)
        model = ShallowEBM(
            regime="active",
            n_neurons=settings["n_neurons"],
            n_reference=settings["n_reference"],
            random_state=int(rng.integers(2**31)),
        ).fit(X)
        reference = sphere.uniform(int(settings["n_reference"]), d, rng)
        neurons, signs = oracle.fit(X, reference, teacher)
        divergences.append(
            [
                kl_divergence(teacher.energy(evaluation), energy).value
                for energy in (
                    model.energy(evaluation),
                    features.energy(evaluation, neurons, signs, 1),
                )
            ]
        )
    kl, fit_kl = np.mean(divergences, axis=0)
    return {"kl": float(kl), "fit_kl": float(fit_kl)}


def _jackknife(results: Sequence[Result]) -> tuple[dict[int, list[float]], ...]:
    """Pseudo-values of log n for every d: lazy, active, and of the parametric fit."""
    dimensions = sorted({int(result.condition["d"]) for result in results})
    samples: list[dict[int, list[float]]] = []
    for regime, quantity in (("lazy", "kl"), ("active", "kl"), ("active", "fit_kl")):
        samples.append({})
        for d in dimensions:
            cells = [
                select(results, d=d, regime=regime, factor=factor) for factor in FACTORS[regime]
            ]
            sizes = [values(cell, "n")[0] for cell in cells]
            samples[-1][d] = pseudovalues(sizes, [values(cell, quantity) for cell in cells])
    return tuple(samples)


def _evaluation_error(results: Sequence[Result]) -> float:
    """Error of log n from the points on which all lazy fits of a dimension are evaluated."""
    cells = [select(results, factor=factor) for factor in FACTORS["lazy"]]
    means = [statistics.mean(values(cell, "kl")).value for cell in cells]
    slope = math.log(means[0] / means[1]) / math.log(FACTORS["lazy"][1] / FACTORS["lazy"][0])
    return max(values(results, "kl_se")) / LEVEL / slope if slope > 0 else math.inf


def _agrees(interval: Interval, expected: float, tolerance: float, precision: float) -> Outcome:
    if interval.low > expected + tolerance or interval.high < expected - tolerance:
        return "fails"
    return "holds" if interval.half_width <= precision else "undecided"


def _exponential(interval: Interval) -> Interval:
    return Interval(*(math.exp(min(end, 700.0)) for end in interval))


register(Adaptivity())
