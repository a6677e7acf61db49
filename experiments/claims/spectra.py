r"""How the spectra of kernels on the sphere decay in the degree, for shallow and deep networks."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ._enclosures import equality, within

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# Degrees up to this many times d are computed; the fit takes the last factor of 4 of those whose
# quadrature is resolved.
DEGREES_PER_DIMENSION = 80
RESOLVED, SPAN = 1e-3, 4.0
# Below this degree the eigenvalues of the smaller class are of no interest: they do not vanish yet.
FIRST_VANISHING, VANISHING_SIZE = 5, 0.01
N_POINTS = 12
# Nothing here is random: two repetitions that agree show it.
REPETITIONS = 2
SLOPE_PRECISION, CONSTANT_PRECISION = 0.05, 0.1
OCTAVES = (3, 6, 12)
# The rest of Okabe and Ito's palette.
MORE_COLORS = "#CC79A7", "#56B4E9", "#000000"


class Decay(Claim):
    r"""Eigenvalues by quadrature against :math:`\mu_k \sim C k^{-p}`, each parity class apart.

    Parameters
    ----------
    name, statement, source : str
    kernels : mapping from a kernel's name to the parity classes that decay as a power
        The eigenvalues of the other class vanish from some degree on. For an analytic kernel,
        of no power at all, the classes are ``("octaves",)``.
    dimensions : mapping from a preset to the values of d
    compensated : bool
        Draw :math:`\mu_k q^d` instead of the eigenvalues, for kernels that all decay as k^-d.
    formula, formula_text : str
    """

    reported = ("slope", "constant")

    def __init__(
        self,
        name: str,
        statement: str,
        source: str,
        kernels: Mapping[str, tuple[str, ...]],
        dimensions: Mapping[str, tuple[int, ...]],
        compensated: bool = False,
        formula: str = "",
        formula_text: str = "",
    ) -> None:
        self.name = name
        self.statement = statement
        self.source = source
        self.kernels = kernels
        self.compensated = compensated
        self.formula = formula
        self.formula_text = formula_text
        self.presets = {
            preset: Preset(
                tuple(
                    {"kernel": kernel, "d": d, "class": parity}
                    for kernel, parities in kernels.items()
                    for d in ds
                    for parity in parities
                ),
                REPETITIONS,
            )
            for preset, ds in dimensions.items()
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """Slope and constant of the asymptote; of an analytic kernel, the exact last octave."""
        from ...theory import kernels

        kernel, d = kernels.get(str(condition["kernel"])), int(condition["d"])
        if condition["class"] == "octaves":
            *_, below, above = OCTAVES
            logs = kernels.log_eigenvalues(kernel, d, above)
            slope = (logs[above] - logs[below]) / math.log(above / below)
            return {"slope": float(slope), "constant": math.exp(logs[above])}
        odd = condition["class"] == "odd"
        return {
            "slope": -float(kernel.decay_exponent(d)),
            "constant": float(kernel.decay_constants(d)[odd]),
        }

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        r"""Integrate the profile, and fit the expansion of its eigenvalues at large degree.

        With :math:`q = k + d/2 - 1` the eigenvalues of an algebraic singularity of the profile at
        t = 1 or -1 are ratios of Gamma functions, symmetric in q, so that

        .. math:: \log\mu_k = \log C - p \log q + a_1 q^{-2} + a_2 q^{-4} + \dots

        The error of p and C is the quadrature's error bounds carried through the linear fit,
        each with its worst sign, plus the change that the term in :math:`a_2` made.
        """
        import numpy as np

        from ...numerics import spectra

        d = int(condition["d"])
        if condition["class"] == "octaves":
            return self._octaves(condition)
        result = spectra.eigenvalues(_profile(condition), d, DEGREES_PER_DIMENSION * d)
        degrees = np.arange(len(result.values))
        mine = degrees % 2 == (condition["class"] == "odd")
        resolved = mine & (result.errors < RESOLVED * result.values)
        last = int(degrees[resolved].max())
        # From the first degree on that is not resolved, the others are not either.
        fitted = resolved & (degrees >= last / SPAN)
        q = degrees[fitted] + d / 2 - 1
        relative = result.errors[fitted] / result.values[fitted]
        (slope, constant), errors = _fit(q, np.log(result.values[fitted]), relative)
        other = degrees[~mine & (degrees >= FIRST_VANISHING) & (degrees <= last + 1)]
        size = np.abs(result.values[other])
        shown = np.flatnonzero(resolved & (degrees > 0))
        return {
            "slope": slope,
            "slope_error": errors[0],
            "constant": math.exp(constant),
            "log_constant_error": errors[1],
            "first_degree": float(degrees[fitted].min()),
            "last_degree": float(last),
            "other_class": float(np.max(size / result.errors[other])),
            "other_class_size": float(
                np.max((size + result.errors[other]) / np.abs(result.values[other - 1]))
            ),
            **_points(shown, result.values[shown]),
        }

    def _octaves(self, condition: Condition) -> dict[str, float]:
        """Local slopes over two octaves, with the quadrature's bounds on their errors."""
        import numpy as np

        from ...numerics import spectra

        d = int(condition["d"])
        result = spectra.eigenvalues(_profile(condition), d, OCTAVES[-1])
        ends = list(OCTAVES)
        mu, relative = result.values[ends], result.errors[ends] / result.values[ends]
        octave = np.diff(np.log(OCTAVES))
        slopes = np.diff(np.log(mu)) / octave
        errors = -np.log1p(-np.minimum(relative[1:] + relative[:-1], 0.5)) / octave
        shown = np.arange(1, OCTAVES[-1] + 1)
        return {
            "slope": float(slopes[-1]),
            "slope_error": float(errors[-1]),
            "slope_before": float(slopes[0]),
            "slope_before_error": float(errors[0]),
            "constant": float(mu[-1]),
            **_points(shown, result.values[shown]),
        }

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Slope, constant and vanishing class of every kernel, at its worst d and class."""
        checks: list[Check] = []
        for kernel, parities in self.kernels.items():
            own = select(results, kernel=kernel)
            if parities == ("octaves",):
                checks += self._analytic_checks(kernel, own)
                continue
            checks.append(self._equality(kernel, own, "slope"))
            checks.append(self._equality(kernel, own, "constant"))
            if len(parities) == 1:
                checks.append(_vanishing(kernel, own))
        return Verdict(tuple(checks))

    def _equality(self, kernel: str, own: Sequence[Result], quantity: str) -> Check:
        cases = {}
        for result in own:
            predicted, measured = self.predict(result.condition), result.values
            label = "d = {d}, {class} degrees".format_map(dict(result.condition))
            label += f", repetition {result.repetition}"
            if quantity == "slope":
                deviation = measured["slope"] - predicted["slope"]
                cases[label] = within(deviation, measured["slope_error"]), 0.0, SLOPE_PRECISION
            else:
                deviation = math.log(measured["constant"] / predicted["constant"])
                interval = within(deviation, measured["log_constant_error"])
                cases[label] = interval, 0.0, CONSTANT_PRECISION
        text = {
            "slope": "the slope of log mu in log k, less the predicted one, is 0",
            "constant": "log of measured over predicted constant is 0",
        }
        return equality(f"{kernel}: {quantity}", f"{text[quantity]} within its error bound", cases)

    def _analytic_checks(self, kernel: str, own: Sequence[Result]) -> list[Check]:
        octave = "degrees {1} to {2}".format(*OCTAVES)
        cases = {
            f"d = {result.condition['d']}, repetition {result.repetition}": (
                within(result.values["slope"], result.values["slope_error"]),
                self.predict(result.condition)["slope"],
                SLOPE_PRECISION,
            )
            for result in own
        }
        changes = [
            within(
                result.values["slope"] - result.values["slope_before"],
                result.values["slope_error"] + result.values["slope_before_error"],
            )
            for result in own
        ]
        least = max(changes, key=lambda change: change.high)
        return [
            equality(
                f"{kernel}: slope",
                f"the slope over {octave} is the exact one within its error bound",
                cases,
            ),
            Check(
                f"{kernel}: no power",
                "the slope of log mu in log k is steeper by more than 1 over an octave than over "
                "the octave before, in every d",
                least.value,
                least,
                -1.0,
                statistics.below(least, -1.0),
                level="interval",
            ),
        ]

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """A panel for each d: measured eigenvalues over the asymptotes."""
        from .. import figures

        dimensions = sorted({int(result.condition["d"]) for result in results})
        panels = figures.panels(figure, len(dimensions))
        for axes, d in zip(panels, dimensions, strict=True):
            for result in select(results, d=d):
                if result.repetition == 0:
                    self._draw_class(axes, result)
            axes.set_title(f"$d = {d}$")
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("degree $k$")
        panels[0].plot([], [], "o", color=figures.GREY, fillstyle="none", label="odd degrees")
        panels[0].plot([], [], color=figures.GREY, label="asymptote")
        panels[0].set_ylabel(r"$\mu_k\,(k+d/2-1)^d$" if self.compensated else r"$\mu_k$")
        figures.legend_below(figure)

    def _draw_class(self, axes: "Axes", result: Result) -> None:
        import numpy as np

        from .. import figures

        kernel, d = str(result.condition["kernel"]), int(result.condition["d"])
        index = list(self.kernels).index(kernel)
        palette = figures.BLUE, figures.VERMILION, figures.GREEN, figures.ORANGE, *MORE_COLORS
        first = result.condition["class"] == self.kernels[kernel][0]
        points = range(sum(name.startswith("degree_") for name in result.values))
        k = np.array([result.values[f"degree_{i}"] for i in points])
        mu = np.array([result.values[f"eigenvalue_{i}"] for i in points])
        q = k + d / 2 - 1
        height = q**d if self.compensated else np.ones_like(q)
        axes.plot(
            k,
            mu * height,
            "os^Dvp*"[index],
            color=palette[index],
            label=kernel if first else None,
            fillstyle="none" if result.condition["class"] == "odd" else "full",
            markersize=3.5,
        )
        if result.condition["class"] != "octaves":
            prediction = self.predict(result.condition)
            line = prediction["constant"] * q ** prediction["slope"]
            axes.plot(k, line * height, color=palette[index], linewidth=0.8)


def _profile(condition: Condition) -> Callable[["NDArray"], "NDArray"]:
    """The kernel of a condition as a function of the cosine, from ``numerics``."""
    from ...numerics import kernels

    family, _, rest = str(condition["kernel"]).partition("(")
    parameter, d = rest.rstrip(")"), int(condition["d"])
    members: dict[str, Callable] = {
        "arc-cosine": lambda u: kernels.arc_cosine(u, d, int(parameter)),
        "ntk": kernels.neural_tangent,
        "deep-ntk": lambda u: kernels.neural_tangent(u, int(parameter)),
        "rbf": lambda u: kernels.rbf(u, float(parameter)),
        "laplace": lambda u: kernels.laplace(u, float(parameter)),
    }
    return members[family]


def _fit(
    q: "NDArray", log_values: "NDArray", errors: "NDArray"
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Slope in log q and constant at q = 1, and bounds on their errors."""
    import numpy as np

    estimates = []
    for corrections in (1, 2):
        # Scaled by the smallest q, the columns are of one size.
        powers = [(q / q[0]) ** (-2.0 * i) for i in range(1, corrections + 1)]
        columns = np.stack([np.log(q), np.ones_like(q), *powers], axis=1)
        inverse = np.linalg.pinv(columns)
        estimates.append((inverse @ log_values)[:2])
    bounds = np.abs(inverse[:2]) @ errors + np.abs(estimates[1] - estimates[0])
    slope, constant = estimates[1]
    return (float(slope), float(constant)), (float(bounds[0]), float(bounds[1]))


def _points(degrees: "NDArray", eigenvalues: "NDArray") -> dict[str, float]:
    """At most N_POINTS eigenvalues at about equal distances in log k, for the figure."""
    import numpy as np

    wanted = np.geomspace(degrees[0], degrees[-1], N_POINTS)
    nearest = np.unique(np.abs(np.subtract.outer(wanted, degrees)).argmin(axis=1))
    points: dict[str, float] = {}
    for i, index in enumerate(nearest):
        points[f"degree_{i}"] = float(degrees[index])
        points[f"eigenvalue_{i}"] = float(eigenvalues[index])
    return points


def _vanishing(kernel: str, own: Sequence[Result]) -> Check:
    """Eigenvalues of the other class: zero, and known to be small beside their neighbours."""
    deviation = max(values(own, "other_class"))
    size = max(values(own, "other_class_size"))
    outcome: statistics.Outcome = "holds" if size <= VANISHING_SIZE else "undecided"
    return Check(
        f"{kernel}: vanishing class",
        "the largest eigenvalue of the other parity, in units of its error bound, is at most 1, "
        f"from degree {FIRST_VANISHING} on and in every d, and the bounds are small beside the "
        f"neighbours (at most {VANISHING_SIZE:g} of them: {size:.1g})",
        deviation,
        None,
        1.0,
        outcome if deviation <= 1 else "fails",
    )


register(
    Decay(
        "spectrum-decay",
        "Eigenvalues on the sphere of R^d decay as k^-(d+2n) for the arc-cosine kernel of order n "
        "and as k^-d for the neural tangent and Laplace kernels, with known constants; those of "
        "the Gaussian kernel decay faster than any power.",
        "bietti2021deep, theorem 1; bach2017breaking, appendix D",
        {
            "arc-cosine(0)": ("odd",),
            "arc-cosine(1)": ("even",),
            "arc-cosine(2)": ("odd",),
            "arc-cosine(3)": ("even",),
            "ntk": ("even",),
            "laplace(1)": ("even", "odd"),
            "rbf(1)": ("octaves",),
        },
        {"quick": (2, 3, 5), "paper": (2, 3, 4, 5)},
        formula=(
            r"\mathrm{arc\ cosine}:\ \ \mu_k \sim C\,k^{-(d + 2 n)}"
            "\n"
            r"\mathrm{NTK,\ Laplace}:\ \ \mu_k \sim C\,k^{-d}"
        ),
        formula_text=(
            "The eigenvalues mu k tend to C times k to the power minus d minus 2 n for arc-cosine "
            "kernels of order n, and k to the power minus d for the tangent and Laplace kernels."
        ),
    )
)
register(
    Decay(
        "deep-equals-shallow",
        "The eigenvalues of the ReLU tangent kernel decay as k^-d whatever its depth: depth "
        "changes the constants, and the odd degrees that two layers lack.",
        "bietti2021deep, section 3.3",
        {
            "deep-ntk(2)": ("even",),
            "deep-ntk(3)": ("even", "odd"),
            "deep-ntk(4)": ("even", "odd"),
            "deep-ntk(6)": ("even", "odd"),
        },
        {"quick": (3, 5), "paper": (2, 3, 4, 5, 7)},
        compensated=True,
        formula=r"\mu_k \sim C_L\,k^{-d} \ \ \mathrm{for\ every\ depth}\ L",
        formula_text=(
            "The eigenvalues mu k tend to a constant of the depth L, times k to the power minus d."
        ),
    )
)
