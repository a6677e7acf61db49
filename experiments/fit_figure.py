"""What two fits look like: densities on the sphere of R^3, or learning curves and projections."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from . import plots
from .fitting import Fit, Projections
from .movie_scene import POINT, colormap
from .plots import _density
from .plots.fits import draw_histograms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Points that still can be told apart.
MOST_POINTS = 600


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

    models = {regime: one.model for regime, one in fits.items()}
    norm = plots.density_norm(*models.values())
    toward = _density.densest(next(iter(models.values())))
    figure.set_size_inches(5.6, 2.6 * len(fits) + 1.1)
    grid = figure.subplots(len(fits), 2, squeeze=False)
    for row, (regime, model) in zip(grid, models.items(), strict=True):
        for axes, direction in zip(row, (toward, -toward), strict=True):
            plots.plot_hemisphere(model, points[:MOST_POINTS], axes, toward=direction, norm=norm)
        row[0].text(
            -1.27, 0, regime, rotation=90, ha="right", va="center", fontsize=9.5
        )  # fmt: skip
    for axes, direction in zip(grid[0], (toward, -toward), strict=True):
        x, y, z = (f"{value:.2f}".replace("-", "−") for value in direction)
        axes.set_title(f"seen from ({x}, {y}, {z})")
    _density.draw_bar(figure, ScalarMappable(norm, colormap()), grid)
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
    plots.plot_learning_curve(curve, panels[0])
    if cosines:
        draw_histograms(panels[1], cosines, "held-out points")
    for axes in panels:
        _legend_above(axes)


def _legend_above(axes: "Axes") -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.0)


def _explain(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    kinds = [("o", POINT, "held-out points"), *_density.KINDS.values()]
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=color, label=label)
        for marker, color, label in kinds
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handletextpad=0.2)
