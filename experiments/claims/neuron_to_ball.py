r"""How far one neuron is from networks with frozen features, of a bounded norm.

Functions on the sphere of R^d, of the rectifier :math:`\sigma(t) = \max(t, 0)`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ._enclosures import equality, within

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# Beyond these radii the width of the quick preset biases the squared distance by more than 10%.
RADII = {3: (0.7, 1.0, 2.0, 3.0, 4.0), 5: (0.7, 1.0, 2.0, 4.0, 6.0), 15: (0.7, 1.0, 2.0, 4.0, 6.0)}
WIDER_RADII = {d: (*radii, 2 * radii[-1] - radii[-2]) for d, radii in RADII.items()}
DISTANCE_PRECISION, SLOPE_PRECISION = 0.05, 0.05
# Local slopes are taken over the radii from here on; in this dimension the asymptote is far.
FIRST_RADIUS, HIGH_DIMENSION = 2.0, 15


class NeuronToBall(Claim):
    r"""Distance in :math:`L^2(\tau)` from a neuron to balls of F2, by networks of finite width."""

    name = "neuron-to-f2-ball"
    statement = (
        "The distance from one neuron to the ball of radius delta of frozen features is the ridge "
        "path's, which falls as delta^(-3/(d-1)) in the end, but much faster at the radii that "
        "can be reached in high dimension."
    )
    source = "bach2017breaking, section 2 and appendix D"
    formula = (
        r"\delta^2 = \sum_k\,N(d,k)\,s_k^2, \quad D^2 = \sum_k\,N(d,k)\,\mu_k\,(1 - s_k)^2"
        "\n"
        r"s_k = \dfrac{\mu_k}{\mu_k + \lambda}, \quad D \propto \delta^{-3/(d-1)}"
        r"\ \ (\delta \to \infty)"
    )
    formula_text = (
        "On the ridge path, with s k = mu k over mu k plus lambda, the squared radius delta is the "
        "sum of N(d, k) s k squared, and the squared distance D the sum of N(d, k) mu k times 1 "
        "minus s k, squared. As delta grows D falls like delta to the power minus 3 over d minus 1."
    )
    reported = ("squared_distance",)

    def __init__(self) -> None:
        self.presets = {
            "quick": Preset(_radius_grid(RADII), 10, {"width": 1000, "targets": 200}),
            "paper": Preset(_radius_grid(WIDER_RADII), 12, {"width": 3000, "targets": 500}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """The exact squared distance, and that of the asymptote."""
        from ...theory import function_spaces

        d, delta = int(condition["d"]), float(condition["delta"])
        asymptote = function_spaces.neuron_to_f2_ball_asymptotic(d)(delta=delta)
        return {
            "squared_distance": float(function_spaces.neuron_to_f2_ball(delta, d)) ** 2,
            "asymptote": float(asymptote) ** 2,
        }

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        r"""Squared distance to the ball of m frozen features, extrapolated to infinite width.

        Networks :math:`\frac1m \sum_j c_j \sigma(\langle\theta_j, x\rangle)` with
        :math:`\frac1m \sum_j c_j^2 \le \delta^2` are tried on many neurons at once, for the same
        random features at widths m, m/2 and m/4. The excess over infinite width is
        :math:`a_1/m + a_2/m^2 + \dots`, so :math:`2 D_m^2 - D_{m/2}^2` has lost its first term;
        from the three widths its first two are taken out.
        """
        from ...numerics.sphere import uniform

        d, delta = int(condition["d"]), float(condition["delta"])
        width = int(settings["width"])
        features = uniform(width, d, rng)
        targets = uniform(int(settings["targets"]), d, rng)
        whole, half, quarter = (
            squared_distance(features[: width // factor], targets, delta) for factor in (1, 2, 4)
        )
        return {
            "squared_distance": 2 * whole - half,
            "twice_extrapolated": (8 * whole - 6 * half + quarter) / 3,
            "finite_width": whole,
        }

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Distance at every radius, and the local slope, in every dimension."""
        checks = []
        dimensions = _dimensions(results)
        cells = {tuple(result.condition.items()) for result in results}
        # Together all intervals, one for each cell and each slope, have the level of 95%.
        level = 1 - 0.05 / (len(cells) + len(dimensions))
        for d in dimensions:
            own = select(results, d=d)
            radii = sorted({float(result.condition["delta"]) for result in own})
            checks.append(self._distances(d, radii, own, level))
            slope = self._slope([r for r in radii if r >= FIRST_RADIUS], own, level)
            predicted = self._predicted_slope(d, radii)
            checks.append(
                equality(
                    f"d = {d}: local slope",
                    f"the slope of log D in log delta, {FIRST_RADIUS:g} <= delta <= "
                    f"{radii[-1]:g}, is that of the ridge path",
                    {f"d = {d}": (slope, predicted, SLOPE_PRECISION)},
                )
            )
            if d == HIGH_DIMENSION:
                limit = -3 / (d - 1)
                checks.append(
                    Check(
                        f"d = {d}: before the asymptote",
                        "the slope of log D lies below twice that of the asymptote, -3/(d-1)",
                        slope.value,
                        slope,
                        2 * limit,
                        statistics.below(slope, 2 * limit),
                    )
                )
        return Verdict(tuple(checks))

    def _distances(
        self, d: int, radii: Sequence[float], own: Sequence[Result], level: float
    ) -> Check:
        cases = {}
        for delta in radii:
            cell = select(own, delta=delta)
            exact = self.predict(cell[0].condition)["squared_distance"]
            mean = statistics.mean(values(cell, "squared_distance"), level)
            again = statistics.mean(values(cell, "twice_extrapolated"), level)
            half = mean.half_width + abs(again.value - mean.value)
            interval = _root(within(mean.value / exact, half / exact))
            cases[f"delta = {delta:g}"] = (interval, 1.0, DISTANCE_PRECISION)
        return equality(
            f"d = {d}: distance",
            "measured over exact distance is 1 within Student's interval (95% for the "
            "whole claim) plus the change by a second extrapolation",
            cases,
        )

    def _slope(
        self, radii: Sequence[float], own: Sequence[Result], level: float
    ) -> statistics.Interval:
        """Student's interval, and the change by a second extrapolation on either side."""
        once, twice = (
            statistics.slope(radii, [values(select(own, delta=r), name) for r in radii], level)
            for name in ("squared_distance", "twice_extrapolated")
        )
        change = abs(twice.value - once.value)
        # Of the logarithm of D, not of its square.
        return statistics.Interval(
            once.value / 2, (once.low - change) / 2, (once.high + change) / 2
        )

    def _predicted_slope(self, d: int, radii: Sequence[float]) -> float:
        exact = {r: [self.predict({"d": d, "delta": r})["squared_distance"]] * 2 for r in radii}
        fitted = [radius for radius in radii if radius >= FIRST_RADIUS]
        return statistics.slope(fitted, [exact[r] for r in fitted]).value / 2

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Measured distances over the exact curve and its asymptote."""
        import numpy as np

        from .. import figures

        axes = figures.panels(figure, 1)[0]
        figure.set_size_inches(5.2, 3.6)
        colors = figures.BLUE, figures.VERMILION, figures.GREEN
        for color, marker, d in zip(colors, "os^", _dimensions(results), strict=False):
            own = select(results, d=d)
            radii = sorted({float(result.condition["delta"]) for result in own})
            dense = np.geomspace(radii[0], radii[-1], 40)
            curves = [self.predict({"d": d, "delta": float(radius)}) for radius in dense]
            axes.plot(dense, [c["squared_distance"] ** 0.5 for c in curves], color=color)
            axes.plot(dense, [c["asymptote"] ** 0.5 for c in curves], ":", color=color)
            measured = [
                _root(statistics.mean(values(select(own, delta=r), "squared_distance")))
                for r in radii
            ]
            figures.points(axes, radii, measured, label=f"$d = {d}$", color=color, marker=marker)
        axes.plot([], [], color=figures.GREY, label="exact")
        axes.plot([], [], ":", color=figures.GREY, label="asymptote")
        ticks = sorted({float(result.condition["delta"]) for result in results})
        figures.log_axes(axes, ticks, r"radius $\delta$ of the ball of F2")
        axes.set_ylabel(r"distance from a neuron in $L^2(\tau)$")
        figure.legend(loc="outside lower center", ncols=5, columnspacing=1.2)


def squared_distance(features: "NDArray", targets: "NDArray", delta: float) -> float:
    r"""Mean squared distance of neurons to networks of F2 norm `delta` with the given features.

    With the Gram matrices of the arc-cosine kernel, :math:`G/m = U \operatorname{diag}(s) U^\top`
    of the features and :math:`b/\sqrt m = U z` between features and target, the ridge solution has
    the F2 norm :math:`\sum_i z_i^2/(s_i+\lambda)^2` squared and leaves
    :math:`\kappa(1) - \sum_i z_i^2 (s_i + 2\lambda)/(s_i+\lambda)^2`.

    Parameters
    ----------
    features, targets : ndarray of shape (m, d), (T, d)
    delta : float
    """
    import numpy as np

    from ...numerics.kernels import arc_cosine

    m, d = features.shape
    s, U = np.linalg.eigh(arc_cosine(features @ features.T, d, 1) / m)
    s = np.maximum(s, 0)[:, None]
    squares = (U.T @ arc_cosine(features @ targets.T, d, 1)) ** 2 / m
    # Bisection in log lambda, for all targets at once; the bracket is [1e-26, 20].
    low, high = np.full(len(targets), -60.0), np.full(len(targets), 3.0)
    for _ in range(60):
        middle = (low + high) / 2
        long = np.sum(squares / (s + np.exp(middle)) ** 2, axis=0) > delta**2
        low, high = np.where(long, middle, low), np.where(long, high, middle)
    penalty = np.exp(high)
    explained = np.sum(squares * (s + 2 * penalty) / (s + penalty) ** 2, axis=0)
    return float(arc_cosine(1.0, d, 1) - np.mean(explained))


def _radius_grid(radii: Mapping[int, Sequence[float]]) -> tuple[Condition, ...]:
    return tuple({"d": d, "delta": delta} for d, deltas in radii.items() for delta in deltas)


def _root(interval: statistics.Interval) -> statistics.Interval:
    """The interval of a distance, from that of its square."""
    return statistics.Interval(*(math.sqrt(max(end, 0.0)) for end in interval))


def _dimensions(results: Sequence[Result]) -> list[int]:
    return sorted({int(result.condition["d"]) for result in results})


register(NeuronToBall())
