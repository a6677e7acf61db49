r"""Norms of neurons and harmonics in F1 (moving features) and F2 (frozen features).

Functions on the sphere of R^d, of the rectifier :math:`\sigma(t) = \max(t, 0)`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select
from ._enclosures import Case, equality, within

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

NORM_PRECISION, SAMPLED_PRECISION, F1_PRECISION = 1e-3, 0.2, 0.02
SIGNIFICANT = 3.0
# A coefficient counts if it is that many times its error bound.
RESOLVED = 1e3
SAMPLED_CUT = 2
LP_TOLERANCE = 1e-6
GROWTH_PRECISION = 0.1


class Norms(Claim):
    r"""F1 and F2 norms from their definitions, by quadrature, sampling and linear programs.

    By duality the F1 norm of a zonal f is the largest :math:`E_\tau[f g]` over functions g with
    :math:`|E_\tau[g(x) \sigma(\langle x, \theta\rangle)]| \le 1` for every theta. Polynomials g of
    bounded degree give a lower bound, which a linear program finds, and any measure that
    represents f gives an upper one.
    """

    name = "f1-f2-norms"
    statement = (
        "For the harmonics P_k the norms of F1 and F2 differ by a constant factor, while one "
        "neuron has F1 norm 1 and an infinite F2 norm: up to degree K it grows as K^((d-1)/2)."
    )
    source = "bach2017breaking, section 2; derived in lazyactive.theory.function_spaces"
    formula = (
        r"\|P_k\|_{F1} = \dfrac{E\,|P_k|}{|\lambda_k|}"
        "\n"
        r"\|P_k\|_{F2} = \dfrac{1}{|\lambda_k|\,\sqrt{N(d,k)}}"
        "\n"
        r"\|\sigma_\theta\|_{F1} = 1, \quad "
        r"\|\sigma_\theta\|_{F2,\,k \leq K}^2 \sim \dfrac{K^{d-1}}{(d-1)!}"
    )
    formula_text = (
        "The F1 norm of P k is the mean of its absolute value over that of lambda k, the F2 norm "
        "is 1 over lambda k in absolute value times the root of N(d, k). A neuron has F1 norm 1, "
        "and up to degree K a squared F2 norm that grows like K to the power d minus 1, over d "
        "minus 1 factorial."
    )
    reported = ("f1_lower", "f1_upper", "f2")

    def __init__(self) -> None:
        self.presets = {
            "quick": Preset(
                _norm_grid((3, 5), (2, 4, 8), (2, 8, 16, 32)), 2, {"degree": 160, "samples": 30_000}
            ),
            "paper": Preset(
                _norm_grid((3, 5, 8), (2, 4, 8, 12), (2, 8, 16, 32, 64)),
                2,
                {"degree": 240, "samples": 60_000},
            ),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """F1 norm, and F2 norm; of a neuron, the F2 norm of its degrees up to k."""
        from ...theory import function_spaces

        k, d = int(condition["k"]), int(condition["d"])
        if condition["function"] == "neuron":
            f1 = float(function_spaces.neuron_f1_norm()())
            f2 = math.sqrt(function_spaces.neuron_f2_norm_partial(d, k))
        else:
            f1 = function_spaces.zonal_f1_norm(k, d)
            f2 = function_spaces.zonal_f2_norm(k, d)
        return {"f1_lower": f1, "f1_upper": f1, "f2": f2}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        r"""Bounds of the F1 norm; the F2 norm from the arc-cosine kernel's eigenvalues.

        :math:`\|f\|_{F2}^2 = \sum_j N_j \hat f_j^2 / \mu_j`, where
        :math:`\hat f_j = E_\tau[f P_j]`; for a neuron and low degrees also
        with the estimate of :math:`\|f_j\|^2` from random points in the place of
        :math:`N_j \hat f_j^2`.
        """
        import numpy as np

        from ...numerics import harmonics, kernels, spectra
        from ...numerics.sphere import uniform

        d, k = int(condition["d"]), int(condition["k"])
        neuron = condition["function"] == "neuron"
        top = k if neuron else int(settings["degree"])

        def relu(t: "NDArray") -> "NDArray":
            return np.maximum(t, 0)

        def legendre(t: "NDArray") -> "NDArray":
            return harmonics.legendre(t, d, k)[k]

        f = relu if neuron else legendre
        coefficients = spectra.funk_hecke(f, d, top)
        features = spectra.funk_hecke(relu, d, top)
        kernel = spectra.eigenvalues(lambda u: kernels.arc_cosine(u, d, 1), d, top)
        used = np.abs(coefficients.values) > RESOLVED * coefficients.errors
        allowed = np.abs(features.values) > RESOLVED * features.errors
        N = np.array([float(harmonics.dimension(d, j)) for j in range(top + 1)])
        terms = (N * coefficients.values**2)[used] / kernel.values[used]
        relative = 2 * coefficients.errors[used] / np.abs(coefficients.values[used])
        relative += kernel.errors[used] / kernel.values[used]
        f2 = math.sqrt(terms.sum())
        objective = np.where(used, coefficients.values, 0) / np.where(used, features.values, 1)
        measured = {
            "f1_lower": largest_pairing(objective, allowed, d),
            "f2": f2,
            "f2_error": float(terms @ relative) / (2 * f2),
        }
        if not neuron:
            size = spectra.funk_hecke(lambda t: np.abs(legendre(t)), d, 0)
            upper = float((size.values + size.errors)[0] / abs(features.values[k]))
            return {**measured, "f1_upper": upper}
        # The Dirac measure at the neuron's own direction represents it.
        measured["f1_upper"] = 1.0
        if k <= SAMPLED_CUT:
            X = uniform(int(settings["samples"]), d, rng)
            sampled = harmonics.project(X, relu(X[:, 0]), k)
            square = np.sum(sampled.values[used] / kernel.values[used])
            # The errors of the degrees are dependent, but never more than add up.
            error = np.sum(sampled.standard_errors[used] / kernel.values[used])
            measured |= {"sampled_square": float(square), "sampled_square_error": float(error)}
        return measured

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Norms of harmonics and neurons in every dimension, and the growth of the neurons'."""
        checks = []
        for d in _dimensions(results):
            harmonics = select(results, d=d, function="harmonic")
            neurons = select(results, d=d, function="neuron")
            for name, own in (("harmonics", harmonics), ("neuron", neurons)):
                checks.append(
                    equality(
                        f"d = {d}: F1 norm, {name}",
                        "predicted F1 norm is between the bounds, all over the prediction",
                        {_label(result): self._f1(result) for result in own},
                    )
                )
                checks.append(
                    equality(
                        f"d = {d}: F2 norm, {name}",
                        "measured over predicted F2 norm is 1 within the quadrature's error bound",
                        {_label(result): self._f2(result) for result in own},
                    )
                )
            checks.append(
                equality(
                    f"d = {d}: F2 norm, sampled neuron",
                    "the square of measured over predicted F2 norm is 1 within "
                    f"{SIGNIFICANT:g} standard errors",
                    {
                        _label(result): self._sampled(result)
                        for result in neurons
                        if "sampled_square" in result.values
                    },
                )
            )
            checks.append(_growth(d, neurons))
        return Verdict(tuple(checks))

    def _f1(self, result: Result) -> Case:
        exact = self.predict(result.condition)["f1_lower"]
        low = (1 - LP_TOLERANCE) * result.values["f1_lower"] / exact
        high = (1 + LP_TOLERANCE) * result.values["f1_upper"] / exact
        return statistics.Interval((low + high) / 2, low, high), 1.0, F1_PRECISION

    def _f2(self, result: Result) -> Case:
        exact = self.predict(result.condition)["f2"]
        interval = within(result.values["f2"] / exact, result.values["f2_error"] / exact)
        return interval, 1.0, NORM_PRECISION

    def _sampled(self, result: Result) -> Case:
        exact = self.predict(result.condition)["f2"] ** 2
        half = SIGNIFICANT * result.values["sampled_square_error"] / exact
        return within(result.values["sampled_square"] / exact, half), 1.0, SAMPLED_PRECISION

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """F2 over F1: flat for harmonics, a power for neurons."""
        from .. import figures

        dimensions = _dimensions(results)
        panels = figures.panels(figure, len(dimensions))
        for axes, d in zip(panels, dimensions, strict=True):
            for function, color, marker, label in (
                ("neuron", figures.VERMILION, "o", "one neuron, degrees up to $k$"),
                ("harmonic", figures.BLUE, "s", "harmonic $P_k$"),
            ):
                own = select(results, d=d, function=function)
                own = [result for result in own if result.repetition == 0]
                k = [int(result.condition["k"]) for result in own]
                ratios = []
                for result in own:
                    f2, low, high = (result.values[name] for name in ("f2", "f1_upper", "f1_lower"))
                    ratios.append(statistics.Interval(2 * f2 / (low + high), f2 / low, f2 / high))
                figures.points(axes, k, ratios, label=label, color=color, marker=marker)
                dense = range(2, max(k) + 1, 2)
                line = []
                for j in dense:
                    exact = self.predict({"function": function, "d": d, "k": j})
                    line.append(exact["f2"] / exact["f1_lower"])
                axes.plot(dense, line, color=color, linewidth=0.9)
            ticks = sorted({int(result.condition["k"]) for result in results})
            figures.log_axes(axes, ticks, "degree $k$")
            axes.set_title(f"$d = {d}$")
        panels[0].set_ylabel("F2 norm over F1 norm")
        figures.legend_below(figure)


def largest_pairing(objective: "NDArray", allowed: "NDArray", d: int) -> float:
    r"""Largest :math:`\sum_j h_j o_j` over :math:`h = \sum_j h_j P_j` with :math:`|h| \le 1`.

    With :math:`h_j = \lambda_j g_j` and :math:`o_j = \hat f_j/\lambda_j` this is the largest
    :math:`E_\tau[f g]` over polynomials g of the given degrees such that
    :math:`|E_\tau[g(x) \sigma(\langle x, \theta\rangle)]| = |h| \le 1`. The linear program has
    the constraint at some points; its solution is divided by the maximum over many more.

    Parameters
    ----------
    objective : ndarray of shape (K + 1,)
    allowed : ndarray of bool, shape (K + 1,)
        Degrees on which lambda does not vanish.
    d : int
    """
    import numpy as np
    from scipy.optimize import linprog

    from ...numerics import harmonics

    degrees = np.flatnonzero(allowed)
    # Columns of norm 1 in L2(tau).
    scale = np.sqrt([float(harmonics.dimension(d, int(j))) for j in degrees])

    def basis(n: int) -> "NDArray":
        nodes = np.cos(np.linspace(0, np.pi, n))
        return harmonics.legendre(nodes, d, len(objective) - 1)[degrees].T * scale

    coarse = basis(24 * len(objective))
    solution = linprog(
        -objective[degrees] * scale,
        A_ub=np.concatenate([coarse, -coarse]),
        b_ub=np.ones(2 * len(coarse)),
        bounds=(None, None),
    )
    return float(-solution.fun / np.abs(basis(240 * len(objective)) @ solution.x).max())


def _growth(d: int, neurons: Sequence[Result]) -> Check:
    r"""The slope of the squared F2 norm in K + d/2, between the last two cuts K.

    The exact square is :math:`\binom{K+d-1}{d-1} + d` (the d of degree 1). The product in the
    binomial has d - 1 factors centred at K + d/2, which puts it below the power by a relative
    amount of about :math:`\frac{(d-1)(d/2-1)^2}{2(K+d/2)^2}`, or less; the interval allows for
    twice that, and for the d.
    """
    first = [result for result in neurons if result.repetition == 0]
    below, above = sorted(first, key=lambda result: result.condition["k"])[-2:]
    q = [float(result.condition["k"]) + d / 2 for result in (below, above)]
    octave = math.log(q[1] / q[0])
    slope = 2 * math.log(above.values["f2"] / below.values["f2"]) / octave
    error = (d - 1) * (d / 2 - 1) ** 2 / q[0] ** 2 + d / below.values["f2"] ** 2
    error += 2 * sum(result.values["f2_error"] / result.values["f2"] for result in (below, above))
    return equality(
        f"d = {d}: growth of the neuron's F2 norm",
        "the slope of the squared F2 norm in K + d/2 is d - 1 within the asymptote's own deviation",
        {"last two cuts": (within(slope, error / octave), d - 1.0, GROWTH_PRECISION)},
    )


def _norm_grid(
    dimensions: Sequence[int], degrees: Sequence[int], cuts: Sequence[int]
) -> tuple[Condition, ...]:
    return tuple(
        {"function": function, "d": d, "k": k}
        for d in dimensions
        for function, ks in (("harmonic", degrees), ("neuron", cuts))
        for k in ks
    )


def _dimensions(results: Sequence[Result]) -> list[int]:
    return sorted({int(result.condition["d"]) for result in results})


def _label(result: Result) -> str:
    return f"k = {result.condition['k']}, repetition {result.repetition}"


register(Norms())
