r"""Dual training in R^15: two neurons are found by neurons that move, and missed by frozen ones.

The same descent-ascent, from the same start and on the same data, with neurons that move and with
neurons that only gain and lose mass. Beside them stands the best that frozen features can do: the
lazy optimum at the penalty that held-out data choose.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ._dual import divergence, neuron_rate

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

D, WEIGHTS = 15, (-10.0, -10.0)
ACTIVE, FROZEN, OPTIMUM = "active", "frozen", "lazy optimum"
METHODS = (ACTIVE, FROZEN, OPTIMUM)
N_NEURONS, MASS, STEP_SIZE = 64, 20.0, 0.005
LOOKS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
LARGEST, FACTOR = 0.03, 10.0


class DualHighDimension(Claim):
    """KL divergence along dual training, active and frozen, and the lazy optimum."""

    name = "dual-high-dimension"
    statement = (
        "In R^15 dual training with moving neurons learns an energy of two neurons of weight -10, "
        "better than the lazy optimum, and far better than the same training with frozen neurons."
    )
    source = "domingoenrich2021dual, section 6"
    formula = (
        r"\mathrm{KL}_{\mathrm{active}} < \mathrm{KL}_{\mathrm{lazy\ optimum}}"
        "\n"
        r"\mathrm{KL}_{\mathrm{active}} \leq \dfrac{1}{10}\,\mathrm{KL}_{\mathrm{frozen}}"
    )
    formula_text = (
        "KL with moving neurons is less than at the lazy optimum, and at most a tenth of that with "
        "frozen neurons."
    )
    shared_keys = ("method",)
    reported = ("kl",)

    def __init__(self) -> None:
        grid: tuple[Condition, ...] = tuple({"method": method} for method in METHODS)
        self.presets = {
            "quick": Preset(grid, 5, {"data": 10_000, "walkers": 10_000}),
            "paper": Preset(grid, 10, {"data": 30_000, "walkers": 30_000}),
        }

    def predict(self, condition: Condition) -> dict[str, float]:
        """Nothing: the order of the methods is what is claimed."""
        return {}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Divergences at the times of `LOOKS`, the last again as ``kl``."""
        import numpy as np

        from ...numerics.discrepancies.kl import kl_divergence
        from ...numerics.estimators import ShallowEBM
        from ...numerics.teachers import PlantedEnergy
        from ...numerics.training import dual, transport

        teacher = PlantedEnergy.random(len(WEIGHTS), D, np.array(WEIGHTS), rng)
        X = teacher.sample(int(settings["data"]), rng)
        points = teacher.sample(20_000, rng)
        if condition["method"] == OPTIMUM:
            model = ShallowEBM(regime="lazy", random_state=int(rng.integers(2**31))).fit(X)
            kl = kl_divergence(teacher.energy(points), model.energy(points)).value
            return {"kl": kl} | {f"kl_{look:g}": kl for look in LOOKS}
        network = transport.init(N_NEURONS, D, rng, MASS)
        state = dual.init(network, int(settings["walkers"]), rng, np.float32)
        data, rate = dual.Data.of(X.astype(np.float32)), neuron_rate(1.0, D, MASS)
        feature_rate = rate if condition["method"] == ACTIVE else 0.0
        found = {}
        for look in LOOKS:
            while state.n_steps < round(look / STEP_SIZE):
                state, _ = dual.step(state, data, rng, STEP_SIZE, feature_rate, rate)
            found[f"kl_{look:g}"] = divergence(teacher, state.network, points).value
        return {"kl": found[f"kl_{LOOKS[-1]:g}"], **found}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Small, below the lazy optimum, and far below the frozen network."""
        active = statistics.mean(values(select(results, method=ACTIVE), "kl"))
        learned = Check(
            "active: learned",
            f"the mean KL after time {LOOKS[-1]:g} is at most {LARGEST:g}",
            active.value,
            active,
            LARGEST,
            statistics.below(active, LARGEST),
        )
        return Verdict((learned, worse(OPTIMUM, 1.0, results), worse(FROZEN, FACTOR, results)))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Divergence against time; the lazy optimum has none."""
        from .. import figures

        (axes,) = figures.panels(figure, 1)
        for method, label, color, marker in (
            (ACTIVE, "neurons move", figures.ORANGE, "s"),
            (FROZEN, "neurons frozen", figures.GREEN, "^"),
        ):
            own = select(results, method=method)
            intervals = [statistics.mean(values(own, f"kl_{look:g}")) for look in LOOKS]
            figures.points(axes, LOOKS, intervals, label=label, color=color, marker=marker)
            axes.plot(LOOKS, [i.value for i in intervals], color=color, linewidth=0.8)
        best = statistics.mean(values(select(results, method=OPTIMUM), "kl"))
        axes.axhline(best.value, color=figures.BLUE, label="lazy optimum")
        axes.axhspan(best.low, best.high, color=figures.BLUE, alpha=0.15, linewidth=0)
        figures.log_axes(axes, LOOKS, "time of training")
        axes.set_ylabel("KL divergence")
        figures.legend_below(figure)


def worse(method: str, factor: float, results: Sequence[Result]) -> Check:
    """The divergence of a method over that of moving neurons, on the same data."""
    other, active = (values(select(results, method=name), "kl") for name in (method, ACTIVE))
    found = statistics.log_ratio(other, active)
    return Check(
        f"{method}: worse",
        f"mean log of its KL over that of moving neurons is at least log {factor:g}",
        found.value,
        found,
        math.log(factor),
        statistics.above(found, math.log(factor)),
    )


register(DualHighDimension())
