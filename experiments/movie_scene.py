"""One film as a scene: how the sphere is seen, in which colours, and a disc that shows it."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import figures
from . import sphere_view as sphere
from .film import Film, Frame

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import ListedColormap

    from .sphere_view import Array

# Length of the longest arrow, in radii, and the square of space that shows sphere and arrows.
LONGEST, EXTENT = 0.34, 1.37
# Inches of the axes that widths of lines are meant for.
FULL_SIDE = 3.3
# An arrow that looks shorter than this is a dot.
SHORTEST = 0.03
# A trail turns by at most so many radians from one of its points to the next.
TURN = 0.1
# Colours span at most so many powers of ten, down from the largest true density.
DECADES = 4.0
REPELS, ATTRACTS, POINT = figures.VERMILION, figures.BLUE, "#1a1a1a"


class Scene:
    """What all pictures of a film share: the view, the scales of colour and of arrows.

    Parameters
    ----------
    film : Film
        Checked, see `film.check_film`.
    """

    def __init__(self, film: Film) -> None:
        from matplotlib.colors import LogNorm

        self.film = film
        self.view = sphere.best_view(film.directions)
        self.data = sphere.project(film.data, self.view)
        self.teacher = sphere.project(film.directions, self.view)
        self.largest_weight = _largest(np.concatenate([frame.weights for frame in film.frames]))
        self._paths, self._ends = _paths(film.frames, self.view)
        nodes, _ = sphere.sphere_rule()
        log_density = sphere.log_density(nodes, film.directions, film.teacher_weights, film.alpha)
        top = float(log_density.max())
        low = max(float(log_density.min()), top - DECADES * math.log(10))
        # A flat truth still needs two ends of its scale.
        self.log_range = min(low, top - 1e-3), top
        self.norm = LogNorm(*np.exp(self.log_range))
        self.colors = colormap()
        self._pixels: dict[int, tuple[NDArray[np.bool_], Array]] = {}

    def true_picture(self, size: int) -> NDArray[np.uint8]:
        """The true density in colours, (size, size, 4)."""
        film = self.film
        return self._picture(size, film.directions, film.teacher_weights)

    def picture(self, size: int, frame: Frame) -> NDArray[np.uint8]:
        """The model's density in colours, (size, size, 4)."""
        return self._picture(size, frame.neurons, frame.weights)

    def trails(self, index: int) -> "Array":
        """The ways of all neurons up to a frame, (k, m, 3) in the coordinates of the view.

        Empty if the number of neurons changes along the film.
        """
        if not self._ends:
            return np.empty((0, len(self.film.frames[index].neurons), 3))
        return self._paths[: self._ends[index]]

    def _picture(self, size: int, neurons: "Array", weights: "Array") -> NDArray[np.uint8]:
        if size not in self._pixels:
            self._pixels[size] = sphere.disc_points(size, self.view)
        inside, points = self._pixels[size]
        log_density = sphere.log_density(points, neurons, weights, self.film.alpha)
        low, high = self.log_range
        # What LogNorm and the map give, without their detour by masked arrays.
        colors = self.colors(np.arange(self.colors.N), bytes=True)
        level = (log_density - low) / (high - low) * self.colors.N
        picture = np.full((size, size, 4), 255, np.uint8)
        picture[inside] = colors[np.clip(level, 0, self.colors.N - 1).astype(int)]
        return picture


class Disc:
    """One sphere on axes of its own, whose content can be changed.

    Parameters
    ----------
    axes : Axes
        Square.
    scene : Scene
    side : float
        Of the axes, in inches: lines and points are sized after it.
    dpi : int
        Resolution of the density's picture.
    """

    def __init__(self, axes: "Axes", scene: Scene, side: float, dpi: int) -> None:
        from matplotlib.collections import LineCollection, PolyCollection
        from matplotlib.patches import Circle

        axes.axis("off")
        self.axes, self.scene = axes, scene
        self._size = round(side * dpi / EXTENT)
        # Fine lines stay visible in a small picture.
        self._fine = fine = math.sqrt(side / FULL_SIDE)
        edge: dict[str, Any] = {
            "edgecolors": "white", "linewidths": 0.4 * fine, "joinstyle": "miter",
        }  # fmt: skip
        self._behind = PolyCollection([], zorder=1, alpha=0.45, **edge)
        axes.add_collection(self._behind)
        self._image = axes.imshow(
            np.zeros((1, 1, 4), np.uint8),
            extent=(-sphere.MARGIN, sphere.MARGIN, -sphere.MARGIN, sphere.MARGIN),
            origin="lower",
            interpolation="bilinear",
            zorder=2,
        )
        axes.set_xlim(-EXTENT, EXTENT)
        axes.set_ylim(-EXTENT, EXTENT)
        self._image.set_clip_path(Circle((0, 0), 1.0, transform=axes.transData))
        net = LineCollection(
            sphere.graticule(), linewidths=0.4 * fine, colors="black", alpha=0.13, zorder=3
        )
        axes.add_collection(net)
        rim = Circle((0, 0), 1.0, fill=False, linewidth=0.8 * fine, color="#444444", zorder=4)
        axes.add_patch(rim)
        # A light dot under each, to be seen on a dark ground. A thin light edge would not do: many
        # programs draw the thinnest line of a PDF as wide as a pixel.
        self._halos, self._points = (
            axes.plot([], [], "o", color=color, markeredgewidth=0, zorder=5)[0]
            for color in ("white", POINT)
        )
        self._trails = [
            axes.plot([], [], color=color, linewidth=0.7 * fine, alpha=0.7, zorder=5.2)[0]
            for color in (ATTRACTS, REPELS)
        ]
        self._feet = axes.scatter([], [], s=6 * fine**2, linewidths=0.3 * fine, zorder=5.8)
        self._feet.set_edgecolor("white")
        self._front = PolyCollection([], zorder=6, **edge)
        axes.add_collection(self._front)
        self.artists: list[Artist] = [
            self._behind, self._image, net, rim, self._halos, self._points, *self._trails,
            self._feet, self._front,
        ]  # fmt: skip
        self._has_outlines = False

    def show_truth(self) -> None:
        """Show the true density, the data, and the teacher's neurons."""
        scene = self.scene
        weights = scene.film.teacher_weights
        self._image.set_data(scene.true_picture(self._size))
        self._dot(scene.data, alpha=0.75)
        self._stand(scene.teacher, weights, _largest(weights))

    def show(self, index: int) -> None:
        """Show the model of a frame, its walkers, its neurons and the way that they took."""
        scene = self.scene
        frame = scene.film.frames[index]
        if not self._has_outlines:
            self._outline_teacher()
        self._image.set_data(scene.picture(self._size, frame))
        self._dot(sphere.project(frame.walkers, scene.view), alpha=0.6)
        self._stand(sphere.project(frame.neurons, scene.view), frame.weights, scene.largest_weight)
        self._trail(scene.trails(index), frame.weights)

    def _dot(self, points: "Array", alpha: float) -> None:
        front = points[sphere.visible(points)]
        # Dots of any number fill the same part of the sphere, within reason.
        size = self._fine**1.5 * float(np.clip(35 / math.sqrt(len(points)), 1.0, 3.0))
        for dots, factor in ((self._halos, 1.5), (self._points, 1.0)):
            dots.set_data(front[:, 0], front[:, 1])
            dots.set(markersize=factor * size, alpha=alpha)

    def _stand(self, neurons: "Array", weights: "Array", largest: float) -> None:
        """Stand an arrow on every neuron, the nearest ones on top."""
        order = np.argsort(neurons[:, 2])
        neurons, weights = neurons[order], weights[order]
        lengths = LONGEST * np.abs(weights) / largest
        outlines = sphere.arrows(neurons, lengths)
        colors = np.where(weights < 0, ATTRACTS, REPELS)
        facing = sphere.visible(neurons)
        self._feet.set_offsets(neurons[facing, :2])
        self._feet.set_facecolor(list(colors[facing]))
        long = lengths * np.linalg.norm(neurons[:, :2], axis=1) >= SHORTEST
        for group, chosen in ((self._behind, long & ~facing), (self._front, long & facing)):
            group.set_verts(list(outlines[chosen]))
            group.set_facecolor(list(colors[chosen]))

    def _trail(self, paths: "Array", weights: "Array") -> None:
        """Draw the ways of neurons to where they are: (k, m, 3) in the coordinates of the view."""
        hidden = paths[..., 2] < 0
        seen = np.where(hidden[..., None], np.nan, paths)[..., :2]
        gap = np.full((1, *seen.shape[1:]), np.nan)
        for line, chosen in zip(self._trails, (weights < 0, weights >= 0), strict=True):
            ways = np.concatenate([seen, gap])[:, chosen].swapaxes(0, 1).reshape(-1, 2)
            line.set_data(ways[:, 0], ways[:, 1])

    def _outline_teacher(self) -> None:
        """Draw the teacher's arrows hollow: where the model's are to go."""
        from matplotlib.collections import PolyCollection

        self._has_outlines = True
        scene = self.scene
        weights = scene.film.teacher_weights
        outlines = sphere.arrows(scene.teacher, LONGEST * np.abs(weights) / _largest(weights))
        for chosen, zorder in ((scene.teacher[:, 2] < 0, 0.9), (scene.teacher[:, 2] >= 0, 5.5)):
            hollow = PolyCollection(
                list(outlines[chosen]), facecolors=(1, 1, 1, 0.6), edgecolors=POINT,
                linewidths=0.6 * self._fine, zorder=zorder,
            )  # fmt: skip
            self.axes.add_collection(hollow)
            self.artists.append(hollow)
        self.artists.sort(key=lambda artist: artist.get_zorder())


def draw_colorbar(axes: "Axes", scene: Scene) -> None:
    """Draw the scale of all densities of the film, from left to right."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar

    scale = ScalarMappable(scene.norm, scene.colors)
    bar = Colorbar(axes, scale, orientation="horizontal", extend="both")
    label_powers(bar.ax.xaxis, *np.exp(scene.log_range))
    bar.set_label("density (uniform: 1)")
    bar.outline.set_linewidth(0.6)


def label_powers(axis: "Axis", low: float, high: float) -> None:
    """Label a logarithmic axis with round numbers, close ones where few powers of ten fit."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    subs = (1.0,) if high > 300 * low else (1.0, 2.0, 5.0)

    def words(value: float, _: float) -> str:
        if 1e-3 <= value < 1e4:
            return f"{value:g}"
        mantissa, exponent = f"{value:.0e}".split("e")
        factor = "" if mantissa == "1" else rf"{mantissa}{{\cdot}}"
        return rf"${factor}10^{{{int(exponent)}}}$"

    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(words))
    axis.set_minor_formatter(NullFormatter())


def colormap() -> "ListedColormap":
    r"""Night to day: equal steps of density are equal steps of lightness.

    Attracting neurons are found where the density is large, so that their blue stands on a light
    ground, and walkers are dark points on it; repelling neurons stand on a dark one. The colours
    are a line of linear lightness in Oklab, from indigo by way of teal to cream.
    """
    from matplotlib.colors import ListedColormap

    s = np.linspace(0, 1, 256)
    lightness = 0.25 + 0.72 * s
    chroma = 0.03 + 0.066 * np.sin(np.pi * s)
    hue = np.radians(285 - 180 * s**1.15)
    # From Oklab to the cube roots of cone responses, and on to linear sRGB.
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    cones = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_rgb @ cones**3, 0, 1).T
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return ListedColormap(rgb, "night-to-day")


def _paths(frames: Sequence[Frame], view: "Array") -> tuple["Array", list[int]]:
    """Neurons of all frames, with points between them, and the number of these up to each frame."""
    from ..numerics.sphere import exponential, logarithm

    places = [sphere.project(frame.neurons, view) for frame in frames]
    if len({len(place) for place in places}) > 1:
        return np.empty((0, 0, 3)), []
    paths, ends = [places[0]], [1]
    for before, after in pairwise(places):
        way = logarithm(before, after)
        n_parts = math.ceil(np.linalg.norm(way, axis=1).max() / TURN)
        paths += [exponential(before, i / n_parts * way) for i in range(1, n_parts)]
        paths.append(after)
        ends.append(len(paths))
    return np.array(paths), ends


def _largest(weights: "Array") -> float:
    """The largest absolute weight, or 1 where all are zero."""
    return float(np.abs(weights).max()) or 1.0
