"""How good fits are: against the size of the data, and along one direction."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import figures
from ..statistics import Interval
from . import _density
from ._axes import given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...numerics import ShallowEBM
    from ..fitting import Projections

COLORS = {"active": figures.VERMILION, "lazy": figures.BLUE}
MARKERS = {"active": "o", "lazy": "s"}
LEAST_BINS, MOST_BINS = 8, 30
KEYS = ("n", "regime", "value", "se")


def plot_learning_curve(curve: Sequence[Mapping[str, Any]], axes: "Axes | None" = None) -> "Axes":
    """Draw held-out log-density against the number of training points, with 95% intervals.

    Parameters
    ----------
    curve : sequence of mappings
        Points with the keys ``n``, ``regime`` ("active" or "lazy"), ``value`` and its standard
        error ``se``, as under ``learning_curve`` in the summary.json of ``lazyactive fit``.
    axes : Axes, optional
        By default new ones, in a new figure with a legend.

    Returns
    -------
    Axes
        What is drawn has labels for ``axes.legend()``.

    Raises
    ------
    ValueError
        If there is no point, or one lacks a key or has no such regime.
    """
    from matplotlib.ticker import NullFormatter, NullLocator

    _check_curve(curve)
    sizes = sorted({int(point["n"]) for point in curve})
    with given_or_new(axes, (4.0, 3.3)) as drawn:
        for regime, shift in (("active", 0.98), ("lazy", 1.02)):
            own = sorted((p for p in curve if p["regime"] == regime), key=lambda p: p["n"])
            if not own:
                continue
            half = [1.96 * p["se"] for p in own]
            intervals = [
                Interval(p["value"], p["value"] - h, p["value"] + h)
                for p, h in zip(own, half, strict=True)
            ]
            figures.points(
                drawn, [p["n"] for p in own], intervals, label=regime, color=COLORS[regime],
                marker=MARKERS[regime], shift=shift, joined=True,
            )  # fmt: skip
        drawn.axhline(0, color=figures.GREY, linewidth=0.8, linestyle=":", label="uniform density")
        drawn.set_xscale("log")
        drawn.set_xticks(sizes, [str(n) for n in sizes])
        drawn.xaxis.set_minor_locator(NullLocator())
        drawn.xaxis.set_minor_formatter(NullFormatter())
        drawn.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
        drawn.set_xlabel("training points n")
        drawn.set_ylabel("held-out log-density (nats, 95%)")
    return drawn


def plot_projections(
    model: "ShallowEBM | Mapping[str, ShallowEBM]",
    X: ArrayLike,
    axes: "Axes | None" = None,
    *,
    direction: ArrayLike | None = None,
    n_samples: int = 2000,
    random_state: int | np.random.Generator | None = None,
) -> "Axes":
    r"""Compare points with those of a model along one direction, as histograms.

    Parameters
    ----------
    model : ShallowEBM or mapping of str to ShallowEBM
        Fitted; several ones by their names in the legend.
    X : array_like of shape (n, d)
        Points of the sphere, such as held-out data.
    axes : Axes, optional
        By default new ones, in a new figure with a legend.
    direction : array_like of shape (d,), optional
        Of any length but zero; by default the neuron of the (first) model with the largest mass
        :math:`|c_j| \|\theta_j\|^\alpha`.
    n_samples : int
        Points that are drawn from each model.
    random_state : int or Generator, optional
        Of these points.

    Returns
    -------
    Axes
        What is drawn has labels for ``axes.legend()``.

    Raises
    ------
    ValueError
        If a model is not fitted, the points are not on its sphere, or there is no direction.
    PartitionFunctionError
        If a model is too concentrated to be sampled.
    """
    from ...numerics._checks import check_count
    from ..fitting import Projections, strongest_direction

    models = dict(model) if isinstance(model, Mapping) else {getattr(model, "regime", ""): model}
    if not models:
        raise ValueError("model must be at least one model, but there is none.")
    for one in models.values():
        points = _density.check_points(X, _density.check_fitted(one))
    check_count(n_samples, "n_samples")
    owner, first = next(iter(models.items()))
    if direction is None:
        unit = strongest_direction(first)
        if unit is None:
            raise ValueError(
                "direction must be given, since the model has no neuron with a weight that is "
                "not zero."
            )
    else:
        unit = _density.check_direction(direction, first.n_features_in_, "direction")
        owner = ""
    rng = np.random.default_rng(random_state)
    sampled = {name: one.sample(n_samples, rng) @ unit for name, one in models.items()}
    with given_or_new(axes, (4.0, 3.3)) as drawn:
        draw_histograms(drawn, Projections(owner, unit, points @ unit, sampled), "points")
    return drawn


def draw_histograms(axes: "Axes", cosines: "Projections", label: str) -> None:
    """Histograms over the range of the data, and of the models' bulk."""
    everything = [cosines.held_out, *cosines.models.values()]
    low = min(float(np.quantile(values, 0.001)) for values in everything)
    high = max(float(np.quantile(values, 0.999)) for values in everything)
    n_bins = int(np.clip(math.sqrt(len(cosines.held_out)), LEAST_BINS, MOST_BINS))
    edges = np.linspace(low, high, n_bins + 1).tolist()
    axes.hist(cosines.held_out, edges, density=True, color="#bbbbbb", label=label)
    others = cycle((figures.GREEN, figures.ORANGE, figures.BLUE, figures.VERMILION))
    for name, values in cosines.models.items():
        axes.hist(
            values, edges, density=True, histtype="step", color=COLORS.get(name) or next(others),
            linewidth=1.3, label=f"{name} model",
        )  # fmt: skip
    if cosines.owner:
        axes.set_xlabel(rf"$\langle\theta_1, x\rangle$, the strongest {cosines.owner} neuron")
    else:
        axes.set_xlabel(r"$\langle v, x\rangle$, a given direction v")
    axes.set_ylabel("density of points")


def _check_curve(curve: Sequence[Mapping[str, Any]]) -> None:
    if not len(curve):
        raise ValueError("curve must hold at least one point, but it is empty.")
    for i, point in enumerate(curve):
        missing = [key for key in KEYS if key not in point]
        if missing:
            raise ValueError(
                f"curve must have {KEYS} in every point, but point {i} has no {missing[0]!r}."
            )
        if point["regime"] not in COLORS:
            raise ValueError(
                f"curve must be of the regimes 'active' and 'lazy', but point {i} is of "
                f"{point['regime']!r}."
            )
