r"""How far networks of m particles are from their mean-field limit: 1/m, with the constant.

*Drawn* networks have particles that are drawn independently, from the atoms of a planted energy or
at random as at the start of training, where the limit is zero. The mean squared error of their
energy and the mean divergence of their density are predicted. *Trained* networks have run the flow
of the likelihood for a fixed time on the same data, from independent starts: their variance is
predicted to fall as 1/m too, without the constant.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ..statistics import Outcome

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ...numerics.training.likelihood import Likelihood

PLANTED, RANDOM, TRAINED = "planted", "random", "trained"
ENERGY, KL = "energy", "kl"
# Three atoms in three of the coordinates; the weights are for d = 3, see `teacher`.
DIRECTIONS = ((1.0, 0.0, 0.0), (0.6, 0.8, 0.0), (0.0, -0.6, 0.8))
WEIGHTS = (3.0, -2.0, 1.0)
WIDTHS = (16, 32, 64, 128, 256, 512, 1024)
# Training is not linear in the start, and divergence not quadratic in the energy: what they add
# falls as 1/m more, and is small from here on.
WIDE = 64
# Constants are read off at the widths from here on.
WIDEST = 128
# Flow of the trained networks, on data of the planted energy.
N_DATA, N_REFERENCE, TIME, STEP = 200, 400, 10.0, 1.0
N_POINTS = 1024
SLOPE_WIDTH, TRAINED_WIDTH, TOLERANCE = 0.03, 0.1, 0.05
# Chance that one of all checks that can fail does so by accident, at most.
FALSE_ALARM = 0.05


class MeanFieldFluctuations(Claim):
    """Errors of finite networks against their width."""

    name = "mean-field-fluctuations"
    statement = (
        "Networks of m independent particles miss their mean-field limit by 1/m in squared energy "
        "and in KL, with the predicted constants; so does training, among its starts."
    )
    source = "rotskoff2018neural; derived in lazyactive.theory.mean_field"
    formula = (
        r"E\,\|f_m - f\|^2 = \dfrac{1}{m}\,[E\,c^2 \|\sigma_\theta\|^2 - \|f\|^2]"
        "\n"
        r"E\,\mathrm{KL}(\nu_f \| \nu_{f_m}) \sim \dfrac{1}{2m}"
        r"\,[E\,\mathrm{Var}_{\nu_f}(c\,\sigma_\theta) - \mathrm{Var}_{\nu_f} f]"
    )
    formula_text = (
        "The mean squared error of the energy is 1 over m times the mean of c squared times the "
        "squared norm of sigma theta, less the squared norm of f. The mean KL tends to 1 over 2 m "
        "times the mean variance of c sigma theta, less the variance of f."
    )
    # Networks of all widths are trained on the same data.
    shared_keys = ("m",)
    reported = (ENERGY,)

    def __init__(self) -> None:
        drawn: tuple[Condition, ...] = tuple(
            {"d": d, "networks": kind, "m": m}
            for d in (3, 15)
            for kind in (PLANTED, RANDOM)
            for m in WIDTHS
        )
        trained: tuple[Condition, ...] = tuple(
            {"d": d, "networks": TRAINED, "m": m} for d in (3, 15) for m in WIDTHS if m >= WIDE
        )
        self.presets = {
            "quick": Preset(drawn + trained, 16, {PLANTED: 1000, RANDOM: 200, TRAINED: 96}),
            "paper": Preset(drawn + trained, 32, {PLANTED: 4000, RANDOM: 1000, TRAINED: 384}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """The constants over m."""
        m, kind = int(condition["m"]), str(condition["networks"])
        if kind == TRAINED:
            return {}
        energy, kl = constants(int(condition["d"]), kind)
        return {ENERGY: energy / m, KL: kl / (2 * m)}

    def cost(self, condition: Condition) -> float:
        """The width, of networks that are more than counts of atoms."""
        weight = {PLANTED: 0.1, RANDOM: 1.0, TRAINED: 3.0}[str(condition["networks"])]
        return weight * float(condition["m"]) * float(condition["d"])

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Means over the networks of a cell; of trained ones, the variance of the energy."""
        d, m, kind = int(condition["d"]), int(condition["m"]), str(condition["networks"])
        measured = {PLANTED: _planted, RANDOM: _random, TRAINED: _trained}[kind]
        n_networks = int(settings[kind])
        if kind == TRAINED and d > 3:
            # More directions to vary in: a third of the networks have a variance as well known.
            n_networks //= 3
        return measured(d, m, n_networks, rng)

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Slopes of all, and the constants of those that are drawn."""
        groups = [
            (d, kind, quantity)
            for d in sorted({int(r.condition["d"]) for r in results})
            for kind in (PLANTED, RANDOM)
            for quantity in (ENERGY, KL)
        ]
        trained = sorted({int(r.condition["d"]) for r in select(results, networks=TRAINED)})
        level = 1 - FALSE_ALARM / (2 * len(groups) + len(trained))
        checks = []
        for d, kind, quantity in groups:
            own = select(results, d=d, networks=kind)
            label = f"d = {d}, {kind}: {quantity}"
            # The mean squared error is 1/m at any width.
            first = 0 if quantity == ENERGY else WIDE
            checks.append(falls(label, own, quantity, level, first, SLOPE_WIDTH))
            checks.append(self._constant(label, own, quantity, level))
        for d in trained:
            own = select(results, d=d, networks=TRAINED)
            label = f"d = {d}, {TRAINED}: {ENERGY}"
            checks.append(falls(label, own, ENERGY, level, WIDE, TRAINED_WIDTH))
        return Verdict(tuple(checks))

    def _constant(
        self, label: str, results: Sequence[Result], quantity: str, level: float
    ) -> Check:
        """The mean ratio to the prediction over the widest networks of every repetition."""
        widths = [m for m in _widths(results) if m >= WIDEST]
        ratios = [
            [
                result.values[quantity] / self.predict(result.condition)[quantity]
                for result in select(results, m=m)
            ]
            for m in widths
        ]
        means = [math.fsum(row) / len(row) for row in zip(*ratios, strict=True)]
        interval = statistics.mean(means, level)
        return Check(
            f"{label}, constant",
            f"over m >= {widths[0]} the mean ratio to the prediction is 1 within {TOLERANCE:.0%}, "
            f"with the whole of Student's {level:.1%} interval",
            interval.value,
            interval,
            1.0,
            statistics.equal(interval, 1.0, TOLERANCE),
            level=f"{level:.1%} interval",
        )

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Errors against the width, times the width: a panel for each dimension."""
        from .. import figures

        dimensions = sorted({int(r.condition["d"]) for r in results})
        panels = figures.panels(figure, len(dimensions))
        looks = (
            (PLANTED, ENERGY, figures.BLUE, "o", 1.0),
            (PLANTED, KL, figures.VERMILION, "s", 0.93),
            (RANDOM, ENERGY, figures.GREEN, "^", 1.07),
            (RANDOM, KL, figures.ORANGE, "D", 1.0),
            (TRAINED, ENERGY, figures.GREY, "v", 1.0),
        )
        for axes, d in zip(panels, dimensions, strict=True):
            for kind, quantity, color, marker, shift in looks:
                own = select(results, d=d, networks=kind)
                widths = _widths(own)
                intervals = [
                    statistics.mean([m * value for value in values(select(own, m=m), quantity)])
                    for m in widths
                ]
                name = "squared error" if quantity == ENERGY else "KL"
                label = f"{kind}, {name if kind != TRAINED else 'variance'}"
                look: dict[str, Any] = {"label": label, "color": color, "marker": marker}
                figures.points(axes, widths, intervals, shift=shift, **look)
                if kind != TRAINED:
                    level = self.predict({"d": d, "networks": kind, "m": 1})[quantity]
                    # Two of the levels may be close to each other.
                    dashes = "-" if kind == PLANTED else "--"
                    axes.plot(WIDTHS, [level] * len(WIDTHS), dashes, color=color, linewidth=0.9)
            figures.log_axes(axes, WIDTHS, "width $m$")
            axes.set_title(f"$d = {d}$")
        panels[0].set_ylabel("$m$ times the error")
        figures.legend_below(figure)


def teacher(d: int) -> "tuple[NDArray, NDArray]":
    """Directions and weights of the planted energy, of a similar divergence in any dimension."""
    import numpy as np

    directions = np.zeros((len(DIRECTIONS), d))
    directions[:, :3] = DIRECTIONS
    return directions, np.array(WEIGHTS) * math.sqrt(d / 3)


@functools.lru_cache
def constants(d: int, kind: str) -> tuple[float, float]:
    """M times the mean squared error, and 2m times the divergence, of networks that are drawn."""
    from ...theory import mean_field

    if kind == RANDOM:
        return mean_field.initial_fluctuations(d)
    directions, weights = teacher(d)
    energy = mean_field.energy_fluctuation(directions, weights)
    return energy, mean_field.kl_fluctuation(directions, weights)


def falls(
    label: str,
    results: Sequence[Result],
    quantity: str,
    level: float,
    first: int,
    largest_width: float,
) -> Check:
    """The slope in m, fitted to every repetition, since its widths share their data."""
    widths = [m for m in _widths(results) if m >= first]
    rows = zip(*(values(select(results, m=m), quantity) for m in widths), strict=True)
    slopes = [statistics.slope(widths, [[value] * 2 for value in row]).value for row in rows]
    interval = statistics.mean(slopes, level)
    outcome: Outcome = "holds"
    if not interval.low <= -1 <= interval.high:
        outcome = "fails"
    elif not interval.half_width <= largest_width:
        outcome = "undecided"
    return Check(
        f"{label}, slope",
        f"over m >= {widths[0]} the slope in m is -1 within Student's {level:.1%} interval, of "
        f"half-width at most {largest_width:g}",
        interval.value,
        interval,
        -1.0,
        outcome,
        level=f"{level:.1%} interval",
    )


def _widths(results: Sequence[Result]) -> list[int]:
    return sorted({int(result.condition["m"]) for result in results})


def _planted(d: int, m: int, n_networks: int, rng: "np.random.Generator") -> dict[str, float]:
    """Particles from atoms: energies by the Gram matrix, divergences at exact samples."""
    import numpy as np

    from ...numerics.features import feature_matrix
    from ...numerics.kernels import arc_cosine
    from ...numerics.teachers import PlantedEnergy

    directions, weights = teacher(d)
    gram = arc_cosine(directions @ directions.T, d, 1)
    counts = rng.multinomial(m, np.full(len(weights), 1 / len(weights)), size=n_networks)
    changes = (counts / m - 1 / len(weights)) * weights
    X = PlantedEnergy(directions, weights).sample(4 * N_POINTS, rng)
    kl = _divergence(changes @ feature_matrix(X, directions).T)
    return {
        ENERGY: float(np.mean(np.einsum("ij,jk,ik->i", changes, gram, changes))),
        KL: float(np.mean(kl)),
    }


def _random(d: int, m: int, n_networks: int, rng: "np.random.Generator") -> dict[str, float]:
    """Uniform directions and weights of both signs, seen from fresh points of tau."""
    import numpy as np

    from ...numerics import features, sphere

    squares, kl = [], []
    for _ in range(n_networks):
        X = sphere.uniform(N_POINTS, d, rng)
        f = features.energy(X, sphere.uniform(m, d, rng), rng.choice([-1.0, 1.0], m))
        squares.append(np.mean(f**2))
        kl.append(_divergence(f))
    return {ENERGY: float(np.mean(squares)), KL: float(np.mean(kl))}


def _trained(d: int, m: int, n_networks: int, rng: "np.random.Generator") -> dict[str, float]:
    """Variance of the energy over independent starts, on the same data, mean over tau."""
    import numpy as np

    from ...numerics import features, sphere
    from ...numerics.teachers import PlantedEnergy
    from ...numerics.training.likelihood import Likelihood

    X = PlantedEnergy(*teacher(d)).sample(N_DATA, rng).astype(np.float32)
    likelihood = Likelihood.of(X, sphere.uniform(N_REFERENCE, d, rng, np.float32), 1)
    points = sphere.uniform(N_POINTS, d, rng)
    energies = []
    for _ in range(n_networks):
        neurons, weights = _train(likelihood, d, m, rng)
        energies.append(features.energy(points, neurons, weights))
    return {ENERGY: float(np.mean(np.var(energies, axis=0, ddof=1)))}


def _train(
    likelihood: "Likelihood", d: int, m: int, rng: "np.random.Generator"
) -> "tuple[NDArray, NDArray]":
    """Run the flow from a random start, for the time that all networks have."""
    from ...numerics import sphere
    from ...numerics.training import particles

    state = particles.State(sphere.uniform(m, d, rng), rng.choice([-1.0, 1.0], m), 0.0)
    for _ in range(round(TIME / STEP)):
        state, _ = particles.step(state, likelihood, STEP)
    return state.neurons, state.weights


def _divergence(changes: "NDArray") -> "NDArray":
    """KL from the law of the points (last axis) to those with energies changed by so much."""
    import numpy as np

    centred = changes - changes.mean(axis=-1, keepdims=True)
    return np.log(np.mean(np.exp(-centred), axis=-1))


register(MeanFieldFluctuations())
