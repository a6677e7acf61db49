"""The whole sphere of R^3 as a map."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .. import sphere_view as sphere
from ..movie_scene import colormap
from . import _density
from ._axes import check_axes, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

    from ...numerics import ShallowEBM

# Areas in square points: of the strongest neuron, among few and among many, and of the weakest.
LARGEST, LARGEST_OF_MANY, SMALLEST = 90.0, 18.0, 8.0


def plot_map(
    model: "ShallowEBM",
    X: ArrayLike | None = None,
    axes: "Axes | None" = None,
    *,
    norm: "Normalize | None" = None,
    n_parallels: int = 180,
) -> "Axes":
    r"""Draw the density of a model on the sphere of R^3 as a map of longitude and latitude.

    The density is with respect to the uniform law, which has 1 everywhere; colours are logarithmic.
    The third axis is the north pole, and the first one is at longitude and latitude zero, as in
    `read_points`. The neurons with the largest masses :math:`|c_j| \|\theta_j\|^\alpha` are
    drawn, at most 60, with areas in proportion to them: circles attract, diamonds repel.

    Parameters
    ----------
    model : ShallowEBM
        Fitted, of dimension 3.
    X : array_like of shape (n, 3), optional
        Points to draw as dots.
    axes : Axes, optional
        Rectangular, in degrees, or a map of matplotlib (``projection="mollweide"``, ``"hammer"``
        or ``"aitoff"``), in radians. By default a Mollweide map, which shows equal areas as equal,
        in a new figure with a bar of colours and a legend.
    norm : matplotlib.colors.Normalize, optional
        Scale of colours, for maps that are to be compared; by default ``density_norm(model)``.
    n_parallels : int
        Pixels from pole to pole; twice as many around.

    Returns
    -------
    Axes
        The density is ``axes.collections[0]``, for a bar of colours:
        ``figure.colorbar(axes.collections[0], ax=axes)``. All else has labels for
        ``axes.legend()``.

    Raises
    ------
    ValueError
        If `model` is not fitted or not of dimension 3, `X` is not on its sphere, or `axes` can't
        hold a map.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyactive.experiments import plots
    >>> from lazyactive.numerics import ShallowEBM
    >>> from lazyactive.numerics.teachers import PlantedEnergy
    >>> X = PlantedEnergy(np.eye(1, 3), np.array([-4.0])).sample(300, rng=0)
    >>> model = ShallowEBM(n_neurons=2, n_reference=4000, random_state=0).fit(X)
    >>> axes = plots.plot_map(model, X)
    >>> axes.name
    'mollweide'
    """
    from ...numerics._checks import check_count

    _density.check_model(model)
    points = None if X is None else _density.check_points(X, model)
    n = check_count(n_parallels, "n_parallels", 2)
    unit = None if axes is None else _unit(axes)
    norm = norm or _density.density_norm(model)
    longitudes = np.pi * (np.arange(2 * n + 1) / n - 1)
    latitudes = np.pi * (np.arange(n + 1) / n - 0.5)
    middles = np.meshgrid(_between(longitudes), _between(latitudes))
    density = np.exp(model.score_samples(sphere.globe(*middles).reshape(-1, 3)))
    with given_or_new(axes, (5.6, 3.7), projection="mollweide") as drawn:
        unit = unit or 1.0
        mesh = drawn.pcolormesh(
            unit * longitudes, unit * latitudes, density.reshape(n, 2 * n), norm=norm,
            cmap=colormap(), rasterized=True, zorder=0.5,
        )  # fmt: skip
        _decorate(drawn)
        if points is not None:
            x, y = sphere.longitude_latitude(points)
            _density.draw_points(drawn, unit * x, unit * y, len(points))
        _neurons(drawn, _density.strongest(model), unit)
        if axes is None:
            _density.draw_bar(drawn.figure, mesh, drawn)
    return drawn


def _unit(axes: "Axes") -> float:
    """In which unit Axes measure angles, in parts of a radian."""
    from matplotlib.projections.geo import AitoffAxes, HammerAxes, MollweideAxes

    check_axes(axes)
    if isinstance(axes, (AitoffAxes, HammerAxes, MollweideAxes)):
        return 1.0
    if axes.name == "rectilinear":
        return 180 / np.pi
    raise ValueError(
        'axes must be rectangular Axes, or have projection="mollweide", "hammer" or "aitoff", '
        f"but it is {axes.name}."
    )


def _decorate(axes: "Axes") -> None:
    from matplotlib.projections.geo import GeoAxes

    # Lines of the net lie on the density, and below everything else.
    axes.set_axisbelow("line")
    axes.grid(True, color="black", alpha=0.15, linewidth=0.4)
    if isinstance(axes, GeoAxes):
        axes.set_longitude_grid(60)
        axes.set_latitude_grid(30)
        # They would stand on the density.
        axes.xaxis.set_ticklabels([])
        return
    axes.set(
        xlim=(-180, 180), ylim=(-90, 90), aspect="equal", xlabel="longitude", ylabel="latitude"
    )
    axes.set_xticks(range(-180, 181, 60))
    axes.set_yticks(range(-90, 91, 30))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:.0f}°")


def _neurons(axes: "Axes", neurons: _density.Neurons, unit: float) -> None:
    x, y = sphere.longitude_latitude(neurons.directions)
    largest = LARGEST if neurons.few else LARGEST_OF_MANY
    areas = np.maximum(largest * neurons.masses, SMALLEST)
    for attract, (marker, color, label) in _density.KINDS.items():
        chosen = neurons.attract == attract
        if chosen.any():
            axes.scatter(
                unit * x[chosen], unit * y[chosen], s=areas[chosen], marker=marker, color=color,
                linewidths=0.6, edgecolors="white", zorder=6, label=label,
            )  # fmt: skip


def _between(edges: np.ndarray) -> np.ndarray:
    return (edges[1:] + edges[:-1]) / 2
