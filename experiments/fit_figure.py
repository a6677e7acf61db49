"""What two fits look like: densities on the sphere of R^3, or learning curves and projections."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import figures
from . import sphere_view as sphere
from .fitting import Fit, Projections
from .movie_scene import ATTRACTS, REPELS, colormap, label_powers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"active": figures.VERMILION, "lazy": figures.BLUE}
MARKERS = {"active": "o", "lazy": "s"}
# Pixels of a hemisphere, and points and neurons that still can be told apart.
PIXELS, MOST_POINTS, MOST_DOTS, MOST_ARROWS = 420, 600, 60, 32
# In radii: the longest arrow, and the square that shows the sphere with it.
LONGEST, EXTENT = 0.22, 1.23
# Colours span at most so many powers of ten, and at least so many.
MOST_DECADES, LEAST_DECADES = 4.0, 0.3
LEAST_BINS, MOST_BINS = 8, 30


def draw_sphere(fits: Mapping[str, Fit], points: NDArray, figure: "Figure") -> None:
    """Draw each regime's density on both hemispheres, with held-out points and neurons.

    The first view is on the densest place, with the third axis upward; the second is from behind.

    Parameters
    ----------
    fits : mapping of str to Fit
        By regime, in dimension 3.
    points : ndarray of shape (n, 3)
        Held out; at most `MOST_POINTS` are shown.
    figure : Figure
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    nodes, _ = sphere.sphere_rule(64)
    logs = {regime: one.model.score_samples(nodes) for regime, one in fits.items()}
    top = max(float(values.max()) for values in logs.values())
    low = max(min(float(v.min()) for v in logs.values()), top - MOST_DECADES * math.log(10))
    low = min(low, top - LEAST_DECADES * math.log(10))
    norm, colors = LogNorm(math.exp(low), math.exp(top)), colormap()
    toward = nodes[np.argmax(next(iter(logs.values())))]
    figure.set_size_inches(5.6, 2.6 * len(fits) + 1.1)
    grid = figure.subplots(len(fits), 2, squeeze=False)
    for row, (regime, one) in zip(grid, fits.items(), strict=True):
        for axes, direction in zip(row, (toward, -toward), strict=True):
            _hemisphere(axes, one, points[:MOST_POINTS], _view(direction), norm, colors)
        row[0].text(
            -1.27, 0, regime, rotation=90, ha="right", va="center", fontsize=9.5
        )  # fmt: skip
    for axes, direction in zip(grid[0], (toward, -toward), strict=True):
        x, y, z = (f"{value:.2f}".replace("-", "−") for value in direction)
        axes.set_title(f"seen from ({x}, {y}, {z})")
    bar = figure.colorbar(
        ScalarMappable(norm, colors), ax=grid, orientation="horizontal", shrink=0.6, aspect=34,
        pad=0.02, extend="both",
    )  # fmt: skip
    label_powers(bar.ax.xaxis, math.exp(low), math.exp(top))
    bar.set_label("density (uniform: 1)")
    bar.outline.set_linewidth(0.6)
    _explain(figure)


def draw_curves(
    curve: Sequence[Mapping[str, Any]], cosines: Projections | None, figure: "Figure"
) -> None:
    """Draw held-out log-density against the size of the training data, and projections.

    Parameters
    ----------
    curve : sequence of mappings
        With ``n``, ``regime``, ``value`` and ``se``.
    cosines : Projections, optional
        Without them there is no second panel.
    figure : Figure
    """
    figure.set_size_inches(7.2 if cosines else 4.0, 3.3)
    panels = figure.subplots(1, 2 if cosines else 1, squeeze=False)[0]
    _learning_curve(panels[0], curve)
    if cosines:
        _projections(panels[1], cosines)


def _explain(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    entries = (
        ("#1a1a1a", "held-out points"),
        (ATTRACTS, "neurons that attract"),
        (REPELS, "neurons that repel"),
    )
    handles = [
        Line2D([], [], linestyle="", marker="o", color=color, label=label)
        for color, label in entries
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handletextpad=0.2)


def _hemisphere(
    axes: "Axes", one: Fit, points: NDArray, view: NDArray, norm: Any, colors: Any
) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Circle

    axes.axis("off")
    axes.set_aspect("equal")
    axes.set_xlim(-EXTENT, EXTENT)
    axes.set_ylim(-EXTENT, EXTENT)
    inside, places = sphere.disc_points(PIXELS, view)
    picture = np.ones((PIXELS, PIXELS, 4))
    # Rows of places are normalized but for rounding.
    places = places / np.linalg.norm(places, axis=1, keepdims=True)
    picture[inside] = colors(norm(np.exp(one.model.score_samples(places))))
    reach = (-sphere.MARGIN, sphere.MARGIN)
    image = axes.imshow(
        picture, extent=(*reach, *reach), origin="lower", interpolation="bilinear", zorder=2
    )
    image.set_clip_path(Circle((0, 0), 1.0, transform=axes.transData))
    axes.add_collection(
        LineCollection(_net(view), linewidths=0.4, colors="black", alpha=0.15, zorder=3)
    )
    axes.add_patch(Circle((0, 0), 1.0, fill=False, linewidth=0.8, color="#444444", zorder=4))
    seen = sphere.project(points, view)
    front = seen[seen[:, 2] >= 0]
    size = float(np.clip(35 / math.sqrt(len(points)), 1.2, 3.0))
    for color, factor in (("white", 1.5), ("#1a1a1a", 1.0)):
        axes.plot(
            front[:, 0], front[:, 1], "o", color=color, markersize=factor * size,
            markeredgewidth=0, alpha=0.7, zorder=5,
        )  # fmt: skip
    _neurons(axes, one, view)


def _neurons(axes: "Axes", one: Fit, view: NDArray) -> None:
    """Neurons in front: arrows as long as their mass if they are few, dots on the strongest."""
    from matplotlib.collections import PolyCollection

    model = one.model
    lengths = np.linalg.norm(model.neurons_, axis=1)
    masses = np.abs(model.weights_) * lengths**model.alpha
    strongest = np.argsort(-masses)[:MOST_DOTS]
    strongest = strongest[(masses[strongest] > 0) & (lengths[strongest] > 0)]
    if not len(strongest):
        return
    seen = sphere.project(model.neurons_[strongest] / lengths[strongest, None], view)
    front = seen[:, 2] >= 0
    seen, chosen = seen[front], strongest[front]
    order = np.argsort(seen[:, 2])
    seen, chosen = seen[order], chosen[order]
    colors = list(np.where(model.weights_[chosen] < 0, ATTRACTS, REPELS))
    few = np.count_nonzero(masses) <= MOST_ARROWS
    axes.scatter(
        seen[:, 0], seen[:, 1], s=22 if few else 9, c=colors, marker="o" if few else "D",
        linewidths=0.4, edgecolors="white", zorder=5.8,
    )  # fmt: skip
    if few:
        outlines = sphere.arrows(seen, LONGEST * masses[chosen] / masses.max())
        axes.add_collection(
            PolyCollection(
                list(outlines), facecolors=colors, edgecolors="white", linewidths=0.4, zorder=6
            )
        )


def _view(toward: NDArray) -> NDArray:
    """The rotation that looks from a direction, with the third axis upward where it can be."""
    for axis in np.eye(3)[[2, 0]]:
        up = axis - (axis @ toward) * toward
        if np.linalg.norm(up) > 1e-3:
            break
    up = up / np.linalg.norm(up)
    return np.stack([np.cross(up, toward), up, toward])


def _net(view: NDArray, every: int = 30) -> list[NDArray]:
    """Meridians and parallels about the third axis, as far as they are in front."""
    around, between = np.linspace(-np.pi, np.pi, 361), np.linspace(-np.pi / 2, np.pi / 2, 181)
    lines = [
        (np.full_like(between, longitude), between)
        for longitude in np.radians(np.arange(0, 360, every))
    ]
    lines += [
        (around, np.full_like(around, latitude))
        for latitude in np.radians(np.arange(-90 + every, 90, every))
    ]
    pieces = []
    for longitude, latitude in lines:
        radius = np.cos(latitude)
        line = np.stack(
            [radius * np.cos(longitude), radius * np.sin(longitude), np.sin(latitude)], axis=1
        )
        seen = sphere.project(line, view)
        front = seen[:, 2] >= 0
        for piece in np.split(seen, np.flatnonzero(np.diff(front)) + 1):
            if len(piece) > 1 and piece[0, 2] >= 0:
                pieces.append(piece[:, :2])
    return pieces


def _learning_curve(axes: "Axes", curve: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    sizes = sorted({int(point["n"]) for point in curve})
    for regime, shift in (("active", 0.98), ("lazy", 1.02)):
        own = [point for point in curve if point["regime"] == regime]
        if not own:
            continue
        axes.errorbar(
            [shift * point["n"] for point in own],
            [point["value"] for point in own],
            [1.96 * point["se"] for point in own],
            fmt=f"{MARKERS[regime]}-",
            color=COLORS[regime],
            label=regime,
            capsize=2,
            elinewidth=1,
            linewidth=0.8,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
    axes.axhline(0, color=figures.GREY, linewidth=0.8, linestyle=":", label="uniform density")
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
    axes.set_xlabel("training points n")
    axes.set_ylabel("held-out log-density (nats, 95%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.0)


def _projections(axes: "Axes", cosines: Projections) -> None:
    """Histograms over the range of the data, and of the models' bulk."""
    everything = [cosines.held_out, *cosines.models.values()]
    low = min(float(np.quantile(values, 0.001)) for values in everything)
    high = max(float(np.quantile(values, 0.999)) for values in everything)
    n_bins = int(np.clip(math.sqrt(len(cosines.held_out)), LEAST_BINS, MOST_BINS))
    edges = np.linspace(low, high, n_bins + 1).tolist()
    axes.hist(cosines.held_out, edges, density=True, color="#bbbbbb", label="held-out points")
    for regime, values in cosines.models.items():
        axes.hist(
            values, edges, density=True, histtype="step", color=COLORS[regime], linewidth=1.3,
            label=f"{regime} model",
        )  # fmt: skip
    axes.set_xlabel(rf"$\langle\theta_1, x\rangle$, the strongest {cosines.owner} neuron")
    axes.set_ylabel("density of points")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.0)
