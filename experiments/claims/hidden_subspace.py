r"""Energies of a k-dimensional projection: rates that depend on k, against rates that depend on d.

The energy sees :math:`z = \sqrt d\,(x_1, \dots, x_k)`, nearly Gaussian under tau, so that the same
function of z is as strong in every dimension d. It is the distance to a *dust*, a power of
Cantor's middle-thirds set C on [-1, 1]: a Lipschitz function, in closed form, that is rough on
every scale.

* ``constant``: :math:`f = A\,\mathrm{dist}(z, s\,C^k)`. Neurons have a bias: they see the data with
  a constant coordinate appended, ``(x, 1)/sqrt(2)``, and the base measure is the image of tau.
* ``homogeneous``: :math:`f = A\,|z|\,\mathrm{dist}(z/|z|, R \times s\,C^{k-1})`, of degree one like
  a neuron without bias, and even, since the dust is symmetric: on the sphere the rectifiers don't
  see odd functions beyond degree one. At k = 1 all such f are sums of two neurons:
  :math:`f = A\,(\max(z, 0) + \max(-z, 0)/4)`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...numerics.subspace import SubspaceEnergy

METHODS = ("active", "lazy")
# For every k the strength A, for which KL(nu || tau) is 0.2 to 0.8, and the scale s of the dust, in
# which the largest gap is wide enough for a few hundred samples to learn something.
TARGETS = {
    "homogeneous": {1: (4.0, 1.5), 2: (6.0, 1.5), 3: (4.0, 1.5)},
    "constant": {1: (6.0, 2.5), 2: (5.0, 2.5), 3: (3.0, 4.0)},
}
# Gaps shorter than 3^-20 are below the digits that matter.
LEVELS = 20


class HiddenSubspaceRates(Claim):
    """Both regimes on the same data, for every kind of target and every k."""

    name = "hidden-subspace-rates"
    statement = (
        "When the energy depends on a k-dimensional projection of the data, the error of moving "
        "features falls at least as fast as a rate that depends on k and not on d, and that of "
        "frozen features is larger and falls more slowly."
    )
    source = "domingoenrich2021ebm, section 4; bach2017breaking, section 4"
    formula = (
        r"\mathrm{bias:} \quad \mathrm{KL}_{F1} \lesssim n^{-2/(k+5)}, \quad "
        r"\mathrm{KL}_{F2} \lesssim n^{-2/(d+5)}"
        "\n"
        r"\mathrm{no\ bias:} \quad \mathrm{KL}_{F1} \lesssim n^{-2/(k+4)}"
        r"\ \ (k = 1:\ n^{-1/2}), \quad \mathrm{KL}_{F2} \lesssim n^{-2/(d+4)}"
    )
    formula_text = (
        "Where neurons have a bias, KL in F1 is at most of order n to the power minus 2 over k "
        "plus 5, and in F2 minus 2 over d plus 5. Where they have none, 4 takes the place of 5, "
        "and at k = 1 the exponent in F1 is minus one half."
    )
    shared_keys = ("method",)
    reported = ("kl", "n_neurons")

    def __init__(self) -> None:
        targets = [(kind, k, 10) for kind in TARGETS for k in TARGETS[kind]]
        self.presets = {
            "quick": Preset(
                _grid([*targets, ("constant", 1, 20)], (400, 4000)),
                3,
                {
                    "n_reference": 2**13,
                    "max_atoms": 8,
                    "width": 1024,
                    "evaluation_points": 20_000,
                },
            ),
            "paper": Preset(
                _grid([*targets, ("constant", 1, 20), ("constant", 2, 20)], (500, 2000, 8000)),
                3,
                {
                    "n_reference": 2**15,
                    "max_atoms": 16,
                    "width": 2048,
                    "evaluation_points": 50_000,
                },
            ),
        }

    def cost(self, condition: Condition) -> float:
        """Atoms are dear, and more of them are found the larger k and n."""
        dear = float(condition["k"]) if condition["method"] == "active" else 1.0
        return dear * math.sqrt(float(condition["n"]) * float(condition["d"]))

    def predict(self, condition: Condition) -> dict[str, float]:
        """The exponent r of the bound n^-r: in F1 for the active regime, in F2 for the lazy one."""
        from ...theory import rates

        constant = condition["kind"] == "constant"
        space, dimension = "F1", {"k": int(condition["k"])}
        if condition["method"] == "lazy":
            space, dimension = "F2", {"d": int(condition["d"])}
        rate = rates.derive(
            space, alpha=1, **dimension, constant_coordinate=constant, form="squared", metric="kl"
        )
        return {"exponent": float(rate.exponent)}

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Fit n exact samples; evaluate on fresh ones."""
        from ...numerics import features, sphere
        from ...numerics.discrepancies.kl import kl_divergence
        from ...numerics.training import lazy, sparse

        kind, d = str(condition["kind"]), int(condition["d"])
        energy = teacher(kind, int(condition["k"]), d)
        X = energy.sample(int(condition["n"]), rng)
        evaluation = energy.sample(int(settings["evaluation_points"]), rng)
        reference = sphere.orthogonal_uniform(int(settings["n_reference"]), d, rng)
        truth = energy.energy(evaluation)
        if kind == "constant":
            X, evaluation, reference = map(sphere.append_constant, (X, evaluation, reference))
        if condition["method"] == "active":
            atoms = sparse.fit(X, reference, 1, rng, max_atoms=int(settings["max_atoms"])).atoms
            neurons, weights = atoms.network()
            size = len(atoms.signs)
        else:
            neurons = sphere.uniform(int(settings["width"]), X.shape[1], rng)
            weights = lazy.fit(X, reference, neurons, 1, rng).weights
            size = len(neurons)
        estimate = kl_divergence(truth, features.energy(evaluation, neurons, weights))
        return {"kl": estimate.value, "kl_se": estimate.se, "n_neurons": size}

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """The same three checks for every target.

        The lazy slope itself is not held against the bound in F1: the bound is one from above, and
        the lazy curve of a single neuron is steeper than -1/2 for a while, before it bends to its
        asymptote (see `lazy-learning-curve`).
        """
        return Verdict(
            tuple(
                replace(check, name=f"{kind}, k = {k}, d = {d}: {check.name}")
                for kind, k, d in _targets(results)
                for check in self._checks(select(results, kind=kind, k=k, d=d))
            )
        )

    def _checks(self, results: Sequence[Result]) -> list[Check]:
        active, lazy = (_curve(results, method) for method in METHODS)
        bound = -self.predict(select(results, method="active")[0].condition)["exponent"]
        steep = statistics.slope(list(active), list(active.values()))
        last = max(active)
        worse = statistics.log_ratio(lazy[last], active[last])
        ratios = [[b / a for a, b in zip(active[n], lazy[n], strict=True)] for n in active]
        diverging = statistics.slope(list(active), ratios)
        return [
            Check(
                "active slope",
                "the slope of log mean KL in log n is at most that of the bound in F1",
                steep.value,
                steep,
                bound,
                statistics.below(steep, bound),
            ),
            Check(
                "lazy worse than active",
                f"the mean of log(KL lazy / KL active) over pairs on the same data, n = {last}, "
                "is positive",
                worse.value,
                worse,
                0.0,
                statistics.above(worse, 0.0),
            ),
            Check(
                "and falls more slowly",
                "the slope of log mean (KL lazy / KL active) in log n, on the same data, "
                "is positive",
                diverging.value,
                diverging,
                0.0,
                statistics.above(diverging, 0.0),
            ),
        ]

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """A panel for each kind of target, a colour for each k."""
        from .. import figures

        panels = figures.panels(figure, len(TARGETS))
        titles = {"homogeneous": "homogeneous targets", "constant": "with a constant coordinate"}
        sizes = sorted({int(result.condition["n"]) for result in results})
        dimensions = sorted({int(result.condition["d"]) for result in results})
        for axes, kind in zip(panels, TARGETS, strict=True):
            self._draw_panel(axes, dimensions, select(results, kind=kind))
            figures.log_axes(axes, sizes, "sample size $n$")
            axes.set_title(titles[kind])
        panels[0].set_ylabel(r"$\mathrm{KL}(\nu \,\|\, \hat\nu)$")
        figures.legend_below(figure)

    def _draw_panel(
        self, axes: "Axes", dimensions: Sequence[int], results: Sequence[Result]
    ) -> None:
        from .. import figures

        colors = {1: figures.GREEN, 2: figures.BLUE, 3: figures.VERMILION}
        guides = {"active": "--", "lazy": ":"}
        for kind, k, d in _targets(results):
            own = select(results, kind=kind, k=k, d=d)
            higher = d > dimensions[0]
            for method, marker in (
                ("active", "^" if higher else "o"),
                ("lazy", "v" if higher else "s"),
            ):
                curve = _curve(own, method)
                intervals = [statistics.mean(sample) for sample in curve.values()]
                figures.points(
                    axes,
                    list(curve),
                    intervals,
                    label="_",
                    color=colors[k],
                    marker=marker,
                    shift=1.06 ** (k - 2) * (1.03 if higher else 1.0),
                )
                if not higher:
                    exponent = self.predict(select(own, method=method)[0].condition)["exponent"]
                    guide = [intervals[0].value * (n / min(curve)) ** -exponent for n in curve]
                    axes.plot(list(curve), guide, guides[method], color=colors[k])
        for k, color in colors.items():
            axes.plot([], [], color=color, linewidth=4, label=f"$k = {k}$")
        for d, markers in zip(dimensions, (("o", "s"), ("^", "v")), strict=False):
            for method, marker in zip(METHODS, markers, strict=True):
                axes.plot([], [], marker, color=figures.GREY, label=f"{method}, $d = {d}$")
        axes.plot([], [], guides["active"], color=figures.GREY, label="bound in F1, its slope")
        axes.plot([], [], guides["lazy"], color=figures.GREY, label="bound in F2, its slope")


def teacher(kind: str, k: int, d: int) -> "SubspaceEnergy":
    """The energy of that kind in the first k coordinates of R^d."""
    import numpy as np

    from ...numerics.subspace import SubspaceEnergy

    strength, scale = TARGETS[kind][k]

    def constant(u: "np.ndarray") -> "np.ndarray":
        return strength * scale * dust_distance(math.sqrt(d) * u / scale)

    def homogeneous(u: "np.ndarray") -> "np.ndarray":
        length = np.linalg.norm(u, axis=1)
        if k == 1:
            roughness = np.where(u[:, 0] > 0, 1.0, 0.25)
        else:
            roughness = scale * dust_distance(u[:, 1:] / length[:, None] / scale)
        return strength * math.sqrt(d) * length * roughness

    return SubspaceEnergy({"constant": constant, "homogeneous": homogeneous}[kind], k, d, 0.0)


def dust_distance(v: "np.ndarray") -> "np.ndarray":
    """Distance of each row of `v`, (n, k), to the k-th power of Cantor's set on [-1, 1]: (n,)."""
    import numpy as np

    # Distances to a product add in squares. C is symmetric, has the gap (-1/3, 1/3), and what is
    # right of the gap is C again, a third as large.
    s, scale = np.abs(v), 1.0
    distance = np.zeros_like(s)
    for _ in range(LEVELS):
        distance = np.maximum(distance, scale * (1 / 3 - s))
        s, scale = np.abs(3 * s - 2), scale / 3
    outside = np.maximum(np.abs(v) - 1, 0)
    return np.linalg.norm(np.maximum(distance, outside), axis=1)


def _grid(targets: Sequence[tuple[str, int, int]], sizes: Sequence[int]) -> tuple[Condition, ...]:
    return tuple(
        {"kind": kind, "k": k, "d": d, "n": n, "method": method}
        for kind, k, d in targets
        for n in sizes
        for method in METHODS
    )


def _targets(results: Sequence[Result]) -> list[tuple[str, int, int]]:
    """Kinds, k and d, in the order of the grid."""
    return list(
        dict.fromkeys(
            (str(c["kind"]), int(c["k"]), int(c["d"]))
            for c in (result.condition for result in results)
        )
    )


def _curve(results: Sequence[Result], method: str) -> dict[int, list[float]]:
    chosen = select(results, method=method)
    sizes = sorted({int(result.condition["n"]) for result in chosen})
    return {n: values(select(chosen, n=n), "kl") for n in sizes}


register(HiddenSubspaceRates())
