"""What maps and hemispheres share: the scale of colours, points, neurons, and checks."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere_view as sphere
from ..movie_scene import ATTRACTS, POINT, REPELS, label_powers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure, SubFigure

    from ...numerics import ShallowEBM

# Colours span at most so many powers of ten, and at least so many.
MOST_DECADES, LEAST_DECADES = 4.0, 0.3
# Neurons that still can be told apart, and that can be drawn large.
MOST_NEURONS, FEW = 60, 32


# Markers, colours and labels of neurons by whether they attract.
KINDS = {
    True: ("o", ATTRACTS, "neurons that attract"),
    False: ("D", REPELS, "neurons that repel"),
}


class Neurons(NamedTuple):
    r"""The strongest neurons of a model, the strongest first.

    Attributes
    ----------
    directions : ndarray of shape (k, 3)
        Unit vectors.
    masses : ndarray of shape (k,)
        :math:`|c_j| \|\theta_j\|^\alpha`, as parts of the largest.
    attract : ndarray of shape (k,)
        Whether the weight is negative.
    n_all : int
        Neurons of the model that have a mass at all.
    """

    directions: NDArray
    masses: NDArray
    attract: NDArray[np.bool_]
    n_all: int

    @property
    def few(self) -> bool:
        """Whether there is room to draw them large."""
        return self.n_all <= FEW


def density_norm(*models: "ShallowEBM") -> "LogNorm":
    """A logarithmic scale of colours for the densities of some models on the sphere of R^3.

    It ends at the largest density of all, and spans all values but at most four powers of ten.

    Parameters
    ----------
    *models : ShallowEBM
        Fitted, of dimension 3.

    Returns
    -------
    matplotlib.colors.LogNorm

    Raises
    ------
    ValueError
        If there is no model, or one is not fitted or not of dimension 3.
    """
    from matplotlib.colors import LogNorm

    if not models:
        raise ValueError("models must be at least one model, but there is none.")
    nodes, _ = sphere.sphere_rule(64)
    logs = [check_model(model).score_samples(nodes) for model in models]
    top = max(float(values.max()) for values in logs)
    low = max(min(float(values.min()) for values in logs), top - MOST_DECADES * math.log(10))
    low = min(low, top - LEAST_DECADES * math.log(10))
    return LogNorm(math.exp(low), math.exp(top))


def check_model(model: Any) -> "ShallowEBM":
    """Return a fitted model of dimension 3.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    d = check_fitted(model).n_features_in_
    if d != 3:
        raise ValueError(f"model must be of dimension 3 to be drawn on a sphere, but d is {d}.")
    return model


def check_fitted(model: Any) -> "ShallowEBM":
    """Return a fitted model of any dimension.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    from sklearn.utils.validation import check_is_fitted

    from ...numerics import ShallowEBM

    if not isinstance(model, ShallowEBM):
        raise ValueError(f"model must be a ShallowEBM, but it is {type(model).__name__}.")
    check_is_fitted(model)
    return model


def check_points(X: ArrayLike, model: "ShallowEBM") -> NDArray:
    """Return points of the model's sphere, (n, d); normalized if the model does so itself.

    Raises
    ------
    ValueError
        If they are no points of this sphere.
    """
    from ...numerics._checks import check_sphere

    X = check_sphere(X, normalize=model.normalize)
    d = model.n_features_in_
    if X.shape[1] != d:
        raise ValueError(f"X must have d = {d} columns, as the model, but it has {X.shape[1]}.")
    return X


def check_direction(vector: ArrayLike, d: int, name: str) -> NDArray:
    """Return the unit vector along a vector (d,).

    Raises
    ------
    ValueError
        If it is no vector of this length, or zero.
    """
    from ...numerics._checks import check_sphere, check_vector

    return check_sphere(check_vector(vector, d, name)[None], name, normalize=True)[0]


def strongest(model: "ShallowEBM") -> Neurons:
    """The neurons that are worth drawing."""
    lengths = np.linalg.norm(model.neurons_, axis=1)
    masses = np.abs(model.weights_) * lengths**model.alpha
    chosen = np.argsort(-masses, kind="stable")[:MOST_NEURONS]
    chosen = chosen[(masses[chosen] > 0) & (lengths[chosen] > 0)]
    return Neurons(
        model.neurons_[chosen] / lengths[chosen, None],
        masses[chosen] / masses.max() if len(chosen) else masses[:0],
        model.weights_[chosen] < 0,
        int(np.count_nonzero(masses)),
    )


def densest(model: "ShallowEBM") -> NDArray:
    """Where the density is largest, on a grid: a unit vector."""
    nodes, _ = sphere.sphere_rule(64)
    return nodes[np.argmax(model.score_samples(nodes))]


def draw_points(axes: "Axes", x: NDArray, y: NDArray, n: int) -> None:
    """Dots with light halos, of a size that suits n points on the whole sphere."""
    from matplotlib.lines import Line2D

    size = float(np.clip(35 / math.sqrt(max(n, 1)), 1.2, 3.0))
    for color, factor, name in (("white", 1.5, "_halos"), (POINT, 1.0, "_points")):
        axes.plot(
            x, y, "o", color=color, markersize=factor * size, markeredgewidth=0, alpha=0.7,
            zorder=5, label=name,
        )  # fmt: skip
    # In a legend a dot of the map may be too small to be seen.
    axes.add_line(
        Line2D([], [], linestyle="", marker="o", color=POINT, markersize=4, label="points")
    )


def draw_bar(figure: "Figure | SubFigure", scale: "ScalarMappable", ax: Any) -> None:
    """A bar of colours below one or more Axes."""
    from matplotlib.colors import LogNorm

    bar = figure.colorbar(
        scale, ax=ax, orientation="horizontal", shrink=0.6, aspect=34, pad=0.02, extend="both"
    )
    norm: Normalize = bar.norm
    if isinstance(norm, LogNorm) and norm.vmin is not None and norm.vmax is not None:
        label_powers(bar.ax.xaxis, norm.vmin, norm.vmax)
    bar.set_label("density (uniform: 1)")
    bar.outline.set_linewidth(0.6)
