r"""What a kernel Stein discrepancy sees of an energy: degree by degree, and of one neuron.

For weak energies f of the data and g of the model it is
:math:`\mathrm{KSD}^2 = \sum_l \rho_l \|f_l - g_l\|^2`. Two cases are exact at any strength. With
uniform data and a model of one degree, :math:`g = a \sqrt{N(d,l)}\,P_l`, it is
:math:`a^2\rho_l`: that tests the eigenvalues. With data of a planted density p and the uniform
model :math:`\|p_l\|^2` takes the place of :math:`\|f_l\|^2`: that shows how the formula for weak
energies departs as they grow, at first by opposite amounts for w and -w.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Interval, Outcome
from ._enclosures import equality

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

KERNELS = ("rbf", "arc-cosine(1)", "arc-cosine(2)")
AMPLITUDE, NEURON, WEAK = 2.0, "neuron", 1.0
# Samples in one cell, so many that standard errors are a few percent: for each degree of the model,
# and for each absolute weight of the neuron. Higher degrees are but peaks, which few points see.
DEGREES = {3: {1: 8, 2: 16, 3: 16, 4: 128}, 5: {1: 8, 2: 16, 3: 64}, 15: {1: 8, 2: 16, 3: 480}}
STRENGTHS = {
    3: {1.0: 40, 3.0: 8, 8.0: 4},
    5: {1.0: 48, 3.0: 8, 8.0: 4},
    15: {1.0: 320, 3.0: 16, 8.0: 4},
}
SETTINGS = {"n_model": 250, "n_data": 500}
REPETITIONS = 16
# Degrees of the planted density that matter.
MAX_DEGREE = 40
CLAIM_LEVEL, PRECISION, TOLERANCE = 0.99, 0.15, 0.1


class SteinSpectrum(Claim):
    """Squared discrepancies of single degrees, and of planted neurons, from the uniform measure."""

    name = "ksd-weak-spectrum"
    statement = (
        "The squared kernel Stein discrepancy of weak energies is the sum over degrees of the "
        "Stein kernel's eigenvalue times the squared distance: exactly so from the uniform "
        "measure, and for one neuron as its weight tends to zero."
    )
    source = "domingoenrich2021ebm, section 4; derived in lazyactive.theory.kernels.Stein"
    formula = (
        r"p = 1,\ g = a\,\sqrt{N(d,l)}\,P_l: \quad \mathrm{KSD}^2 = a^2 \rho_l"
        "\n"
        r"p \propto e^{-f},\ g = 0: \quad \mathrm{KSD}^2 = \sum_{l \geq 1} \rho_l\,\|p_l\|^2"
        r" \sim \sum_{l \geq 1} \rho_l\,\|f_l\|^2 \quad (w \to 0)"
    )
    formula_text = (
        "Of uniform data and a model of one degree l and amplitude a the squared kernel "
        "discrepancy is a squared times the eigenvalue rho l. Of data of density p and the "
        "uniform model it is the sum over degrees l from 1 of rho l times the squared norm of "
        "p l; for weak energies, of f l."
    )
    shared_keys = ("kernel",)
    reported = ("ksd",)

    def __init__(self) -> None:
        models: tuple[Condition, ...] = tuple(
            {"d": d, "energy": f"P_{degree}", "strength": AMPLITUDE, "kernel": kernel}
            for d, degrees in DEGREES.items()
            for degree in degrees
            for kernel in KERNELS
        )
        neurons: tuple[Condition, ...] = tuple(
            {"d": d, "energy": NEURON, "strength": sign * w, "kernel": KERNELS[0]}
            for d, strengths in STRENGTHS.items()
            for w in strengths
            for sign in (-1, 1)
        )
        self.presets = {
            "quick": Preset(models + neurons, REPETITIONS, SETTINGS),
            "paper": Preset(models + neurons, 4 * REPETITIONS, SETTINGS),
        }

    def cost(self, condition: Condition) -> float:
        """The number of samples."""
        return float(_samples(condition))

    def predict(self, condition: Condition) -> dict[str, float]:
        """The discrepancy, exactly; of a neuron also to lowest order in its weight."""
        from ...theory import kernels
        from ...theory.stein_discrepancies import (
            density_coefficients,
            energy_coefficients,
            kernel_stein,
        )

        d, strength = int(condition["d"]), float(condition["strength"])
        base = kernels.get(str(condition["kernel"]))
        if condition["energy"] == NEURON:
            exact = kernel_stein(density_coefficients(strength, d, MAX_DEGREE), d, base)
            weak = kernel_stein(energy_coefficients(strength, d, MAX_DEGREE), d, base)
            return {"ksd": exact, "unit": exact, "weak": weak}
        degree = _degree(condition)
        squares = strength**2 * kernels.eigenvalues(kernels.Stein(base), d, degree + 1)
        # What is not seen at all is told in units of its neighbours.
        unit = squares[degree] or math.sqrt(squares[degree - 1] * squares[degree + 1])
        return {"ksd": float(squares[degree]), "unit": float(unit)}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Mean of the U-statistic over several samples."""
        import numpy as np

        from ...numerics import sphere
        from ...numerics.discrepancies.stein import ksd
        from ...numerics.teachers import PlantedEnergy

        d, strength = int(condition["d"]), float(condition["strength"])
        axis, n_samples = np.eye(d)[:1], _samples(condition)
        if condition["energy"] == NEURON:
            teacher = PlantedEnergy(axis, np.array([strength]))
            X = teacher.sample(n_samples * int(settings["n_data"]), rng)
            score = np.zeros_like(X)
        else:
            X = sphere.uniform(n_samples * int(settings["n_model"]), d, rng)
            score = -strength * harmonic_gradient(X, axis[0], _degree(condition))
        found = [
            ksd(sample, own, str(condition["kernel"])).value
            for sample, own in zip(np.split(X, n_samples), np.split(score, n_samples), strict=True)
        ]
        return {"ksd": float(np.mean(found))}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Degrees and neurons against exact values, weak neurons against the limit."""
        conditions, level = _conditions(results), _level(results)
        checks = []
        for group in dict.fromkeys((c["d"], c["kernel"], _kind(c)) for c in conditions):
            d, kernel, kind = group
            cases = {}
            for condition in conditions:
                if (condition["d"], condition["kernel"], _kind(condition)) == group:
                    exact, case = self.predict(condition), str(condition["energy"])
                    if kind == NEURON:
                        case = f"w = {condition['strength']:g}"
                    interval = _mean(select(results, **condition), exact["unit"], level)
                    cases[case] = (interval, exact["ksd"] / exact["unit"], PRECISION)
            checks.append(
                equality(
                    f"d = {d}, {kernel}: {kind}",
                    "measured over exact KSD^2 is 1 (0 in units of the neighbours, where it is 0) "
                    f"within Student's interval ({CLAIM_LEVEL:.0%} for the claim)",
                    cases,
                )
            )
        checks.extend(self._limit(results, d, level) for d in _dimensions(results))
        return Verdict(tuple(checks))

    def _limit(self, results: Sequence[Result], d: int, level: float) -> Check:
        """Whether both signs of a weak weight together follow the formula."""
        means = []
        for w in (-WEAK, WEAK):
            own = select(results, d=d, energy=NEURON, strength=w)
            unit = self.predict(own[0].condition)["weak"]
            means.append([v / unit for v in values(own, "ksd")])
        both = statistics.mean([(a + b) / 2 for a, b in zip(*means, strict=True)], level)
        outcome: Outcome = "undecided"
        if abs(both.value - 1) + both.half_width <= TOLERANCE:
            outcome = "holds"
        elif abs(both.value - 1) - both.half_width > TOLERANCE:
            outcome = "fails"
        return Check(
            f"d = {d}: weak neurons",
            f"the mean of KSD^2 over its weak limit at w = -{WEAK:g} and {WEAK:g} is 1 to "
            f"{TOLERANCE:.0%}, with the whole interval ({CLAIM_LEVEL:.0%} for the claim)",
            both.value,
            both,
            1.0,
            outcome,
            level="interval",
        )

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Eigenvalues by degree for each dimension; neurons over their weak limit."""
        from .. import figures

        figure.set_size_inches(7.2, 5.8)
        panels = figure.subplots(2, 2).ravel()
        for axes, d in zip(panels, DEGREES, strict=False):
            self._draw_spectrum(axes, d, results)
        self._draw_neurons(panels[-1], results)
        figures.legend_below(figure)

    def _draw_spectrum(self, axes: "Axes", d: int, results: Sequence[Result]) -> None:
        import numpy as np

        from ...theory import kernels
        from .. import figures

        looks = zip(
            KERNELS, (figures.BLUE, figures.VERMILION, figures.GREEN), ("o", "s", "^"), strict=True
        )
        top, level = max(DEGREES[d]) + 1, _level(results)
        for kernel, color, marker in looks:
            rho = kernels.eigenvalues(kernels.Stein(kernels.get(kernel)), d, top)
            axes.plot(range(1, top + 1), np.where(rho > 0, rho, np.nan)[1:], color=color)
            seen = [degree for degree in DEGREES[d] if rho[degree] > 0]
            intervals = [
                _mean(select(results, d=d, energy=f"P_{k}", kernel=kernel), AMPLITUDE**2, level)
                for k in seen
            ]
            figures.points(axes, seen, intervals, label=kernel, color=color, marker=marker)
            # Zeros have their place below the axis of logarithms.
            for degree in DEGREES[d]:
                if rho[degree] == 0:
                    axes.plot(
                        degree,
                        0.0,
                        marker,
                        color=color,
                        fillstyle="none",
                        clip_on=False,
                        transform=axes.get_xaxis_transform(),
                    )
        axes.plot([], [], color=figures.GREY, label="prediction")
        axes.plot([], [], "s", color=figures.GREY, fillstyle="none", label="zero")
        axes.set_yscale("log")
        axes.set_xticks(range(1, top + 1))
        axes.set_title(f"data uniform, $d = {d}$")
        axes.set_xlabel(r"degree $\ell$ of the energy")
        axes.set_ylabel(r"$\mathrm{KSD}^2 / \|g\|^2$")

    def _draw_neurons(self, axes: "Axes", results: Sequence[Result]) -> None:
        from .. import figures

        looks = zip(
            STRENGTHS, (figures.ORANGE, figures.GREY, "black"), ("v", "D", "P"), strict=True
        )
        for d, color, marker in looks:
            strengths = sorted(sign * w for w in STRENGTHS[d] for sign in (-1, 1))
            dense = [strengths[0] + i * (strengths[-1] - strengths[0]) / 32 for i in range(33)]
            curve = []
            for w in dense:
                condition: Condition = {
                    "d": d,
                    "energy": NEURON,
                    "strength": w,
                    "kernel": KERNELS[0],
                }
                predicted = self.predict(condition)
                curve.append(predicted["ksd"] / predicted["weak"] if w else 1.0)
            axes.plot(dense, curve, color=color)
            intervals = []
            for w in strengths:
                own = select(results, d=d, energy=NEURON, strength=w)
                unit = self.predict(own[0].condition)["weak"]
                intervals.append(_mean(own, unit, _level(results)))
            figures.points(
                axes, strengths, intervals, label=f"$d = {d}$", color=color, marker=marker
            )
        axes.axhline(1, color=figures.GREY, linewidth=0.7, linestyle=":")
        axes.set_title(f"data of one neuron, {KERNELS[0]}")
        axes.set_xlabel("weight $w$")
        axes.set_ylabel(r"$\mathrm{KSD}^2$ over its weak limit")
        axes.legend()


def harmonic_gradient(X: "NDArray", axis: "NDArray", degree: int) -> "NDArray":
    r"""Tangent gradient of the harmonic :math:`\sqrt{N(d,l)}\,P_l(\langle e, x\rangle)`.

    With :math:`P_l' = \frac{l(l+d-2)}{d-1} P_{l-1}`, the last in dimension d + 2.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    axis : ndarray of shape (d,)
    degree : int
        At least 1.
    """
    import numpy as np

    from ...numerics.harmonics import dimension, legendre

    d, t = X.shape[1], np.clip(X @ axis, -1, 1)
    slope = degree * (degree + d - 2) / (d - 1) * legendre(t, d + 2, degree - 1)[-1]
    return math.sqrt(dimension(d, degree)) * slope[:, None] * (axis - t[:, None] * X)


def _mean(results: Sequence[Result], unit: float, level: float) -> Interval:
    return statistics.mean([v / unit for v in values(results, "ksd")], level)


def _samples(condition: Condition) -> int:
    """Number of samples in one cell."""
    d = int(condition["d"])
    if condition["energy"] == NEURON:
        return STRENGTHS[d][abs(float(condition["strength"]))]
    return DEGREES[d][_degree(condition)]


def _degree(condition: Condition) -> int:
    return int(str(condition["energy"]).removeprefix("P_"))


def _kind(condition: Condition) -> str:
    return NEURON if condition["energy"] == NEURON else "degrees"


def _level(results: Sequence[Result]) -> float:
    """Level of one interval: one for each condition and each limit."""
    return 1 - (1 - CLAIM_LEVEL) / (len(_conditions(results)) + len(_dimensions(results)))


def _dimensions(results: Sequence[Result]) -> list[int]:
    return sorted({int(result.condition["d"]) for result in results})


def _conditions(results: Sequence[Result]) -> list[Condition]:
    """The different conditions, in order."""
    return list({tuple(r.condition.items()): r.condition for r in results}.values())


register(SteinSpectrum())
