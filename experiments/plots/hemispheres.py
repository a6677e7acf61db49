"""The half of the sphere of R^3 that is seen from a direction."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere_view as sphere
from ..movie_scene import colormap
from . import _density
from ._axes import given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

    from ...numerics import ShallowEBM

# Pixels of a disc.
PIXELS = 420
# In radii: the longest arrow, and the square that shows the sphere with it.
LONGEST, EXTENT = 0.22, 1.23


def plot_hemisphere(
    model: "ShallowEBM",
    X: ArrayLike | None = None,
    axes: "Axes | None" = None,
    *,
    toward: ArrayLike | None = None,
    norm: "Normalize | None" = None,
) -> "Axes":
    r"""Draw the density of a model on the sphere of R^3, as a distant viewer sees it.

    The density is with respect to the uniform law, which has 1 everywhere; colours are logarithmic.
    The third axis is upward. Up to 32 neurons are arrows with lengths in proportion to their masses
    :math:`|c_j| \|\theta_j\|^\alpha`; of more neurons the 60 strongest are dots. Circles
    attract, diamonds repel.

    Parameters
    ----------
    model : ShallowEBM
        Fitted, of dimension 3.
    X : array_like of shape (n, 3), optional
        Points to draw as dots, where they are in front.
    axes : Axes, optional
        By default new ones, in a new figure with a bar of colours and a legend.
    toward : array_like of shape (3,), optional
        From where to look, of any length but zero; by default from above the densest place.
    norm : matplotlib.colors.Normalize, optional
        Scale of colours, for pictures that are to be compared; by default ``density_norm(model)``.

    Returns
    -------
    Axes
        The density is ``axes.images[0]``, for a bar of colours:
        ``figure.colorbar(axes.images[0], ax=axes)``. All else has labels for ``axes.legend()``.

    Raises
    ------
    ValueError
        If `model` is not fitted or not of dimension 3, `X` is not on its sphere, or `toward` is no
        direction.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Circle

    _density.check_model(model)
    points = None if X is None else _density.check_points(X, model)
    if toward is None:
        toward = _density.densest(model)
    view = sphere.upright_view(_density.check_direction(toward, 3, "toward"))
    norm = norm or _density.density_norm(model)
    inside, places = sphere.disc_points(PIXELS, view)
    density = np.ma.masked_all((PIXELS, PIXELS))
    # Rows of places are normalized but for rounding.
    places = places / np.linalg.norm(places, axis=1, keepdims=True)
    density[inside] = np.exp(model.score_samples(places))
    reach = (-sphere.MARGIN, sphere.MARGIN)
    with given_or_new(axes, (3.9, 4.4), columns=2) as drawn:
        drawn.axis("off")
        image = drawn.imshow(
            density, cmap=colormap(), norm=norm, extent=(*reach, *reach), origin="lower",
            interpolation="bilinear", interpolation_stage="rgba", zorder=2,
        )  # fmt: skip
        drawn.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), aspect="equal")
        image.set_clip_path(Circle((0, 0), 1.0, transform=drawn.transData))
        drawn.add_collection(
            LineCollection(sphere.net(view), linewidths=0.4, colors="black", alpha=0.15, zorder=3)
        )
        drawn.add_patch(Circle((0, 0), 1.0, fill=False, linewidth=0.8, color="#444444", zorder=4))
        if points is not None:
            seen = sphere.project(points, view)
            front = seen[seen[:, 2] >= 0]
            _density.draw_points(drawn, front[:, 0], front[:, 1], len(points))
        _neurons(drawn, _density.strongest(model), view)
        if axes is None:
            _density.draw_bar(drawn.figure, image, drawn)
    return drawn


def _neurons(axes: "Axes", neurons: _density.Neurons, view: NDArray) -> None:
    """Neurons in front, the nearest on top: arrows as long as their masses if they are few."""
    from matplotlib.collections import PolyCollection

    seen = sphere.project(neurons.directions, view)
    order = np.argsort(seen[:, 2], kind="stable")
    order = order[seen[order, 2] >= 0]
    seen, masses, attract = seen[order], neurons.masses[order], neurons.attract[order]
    for kind, (marker, color, label) in _density.KINDS.items():
        chosen = attract == kind
        if not chosen.any():
            continue
        axes.scatter(
            seen[chosen, 0], seen[chosen, 1], s=22 if neurons.few else 9, color=color,
            marker=marker, linewidths=0.4, edgecolors="white", zorder=5.8, label=label,
        )  # fmt: skip
    if neurons.few and len(order):
        colors = [_density.KINDS[bool(kind)][1] for kind in attract]
        outlines = sphere.arrows(seen, LONGEST * masses)
        axes.add_collection(
            PolyCollection(
                list(outlines), facecolors=colors, edgecolors="white", linewidths=0.4, zorder=6
            )
        )
