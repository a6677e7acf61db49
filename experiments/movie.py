"""Pictures of a film: two spheres side by side, the truth and the model, and two curves."""

import math
from itertools import pairwise
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import figures
from . import sphere_view as sphere
from .film import Film, Frame

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from .sphere_view import Array

WIDTH, HEIGHT = 10.0, 3.75  # inches
DPI, STILL_DPI = 120, 300
# The two square discs, in inches and in parts of the figure.
DISC, BOTTOM, LEFTS = 3.3, 0.085, (0.0, 0.325)
# Length of the longest arrow, in radii, and the square of space that shows sphere and arrows.
LONGEST, EXTENT = 0.34, 1.37
# A trail turns by at most so many radians from one of its points to the next.
TURN = 0.1
# An arrow that looks shorter than this is a dot.
SHORTEST = 0.03
# Colours span at most so many powers of ten, down from the largest true density.
DECADES = 4.0
REPELS, ATTRACTS, CURVE = figures.VERMILION, figures.BLUE, "#333333"
POINT = "#1a1a1a"
_NET = {"colors": "#000000", "linewidths": 0.4, "alpha": 0.13}
_LIMB = {"color": "#444444", "linewidth": 0.8}


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
        self.largest_weight = max(_largest(frame.weights) for frame in film.frames)
        self._paths, self._ends = _paths(film.frames, self.view)
        nodes, _ = sphere.sphere_rule()
        log_density = sphere.log_density(
            nodes, film.directions, film.teacher_weights, film.alpha
        )
        top = float(log_density.max())
        low = max(float(log_density.min()), top - DECADES * math.log(10))
        # A flat truth still needs two ends of its scale.
        self.norm = LogNorm(math.exp(min(low, top - 1e-3)), math.exp(top))
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
        low, high = math.log(self.norm.vmin), math.log(self.norm.vmax)
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
    scene : Scene
    size : int
        Pixels of the density's picture.
    scale : float
        Factor of all widths.
    """

    def __init__(self, axes: "Axes", scene: Scene, size: int, scale: float = 1.0) -> None:
        from matplotlib.collections import LineCollection, PolyCollection
        from matplotlib.patches import Circle

        axes.set_xlim(-EXTENT, EXTENT)
        axes.set_ylim(-EXTENT, EXTENT)
        axes.set_aspect("equal")
        axes.axis("off")
        self.axes, self.scene, self.size, self.scale = axes, scene, size, scale
        edge = {"edgecolors": "white", "linewidths": 0.4 * scale, "joinstyle": "miter"}
        self.behind = axes.add_collection(PolyCollection([], zorder=1, alpha=0.45, **edge))
        margin = 1.03
        self.image: AxesImage = axes.imshow(
            np.zeros((1, 1, 4), np.uint8),
            extent=(-margin, margin, -margin, margin),
            origin="lower",
            interpolation="bilinear",
            zorder=2,
        )
        axes.set_xlim(-EXTENT, EXTENT)
        axes.set_ylim(-EXTENT, EXTENT)
        rim = Circle((0, 0), 1.0, fill=False, zorder=4, **_LIMB)
        axes.add_patch(rim)
        self.image.set_clip_path(Circle((0, 0), 1.0, transform=axes.transData))
        net = axes.add_collection(LineCollection(sphere.graticule(), zorder=3, **_NET))
        (self.points,) = axes.plot([], [], ".", color=POINT, markeredgewidth=0, zorder=5)
        self.front = axes.add_collection(PolyCollection([], zorder=6, **edge))
        self.trails = [
            axes.plot([], [], color=color, linewidth=0.7 * scale, alpha=0.7, zorder=5.2)[0]
            for color in (ATTRACTS, REPELS)
        ]
        self.feet = axes.scatter([], [], s=6 * scale**2, linewidths=0.3 * scale, zorder=5.8)
        self.feet.set_edgecolor("white")
        self.artists: list[Artist] = [
            self.behind, self.image, net, rim, self.points, *self.trails, self.feet, self.front,
        ]  # fmt: skip

    def show(
        self,
        picture: NDArray[np.uint8],
        points: "Array",
        neurons: "Array",
        weights: "Array",
        largest: float,
    ) -> None:
        """Show a density, points (n, 3) and neurons (m, 3) in the coordinates of the view."""
        self.image.set_data(picture)
        front = points[points[:, 2] >= 0]
        self.points.set_data(front[:, 0], front[:, 1])
        order = np.argsort(neurons[:, 2])
        neurons, weights = neurons[order], weights[order]
        lengths = LONGEST * np.abs(weights) / largest
        outlines = sphere.arrows(neurons, lengths)
        colors = np.where(weights < 0, ATTRACTS, REPELS)
        facing = neurons[:, 2] >= 0
        self.feet.set_offsets(neurons[facing, :2])
        self.feet.set_facecolor(colors[facing])
        long = lengths * np.linalg.norm(neurons[:, :2], axis=1) >= SHORTEST
        for group, chosen in ((self.behind, long & ~facing), (self.front, long & facing)):
            group.set_verts(outlines[chosen])
            group.set_facecolor(colors[chosen])

    def trail(self, paths: "Array", weights: "Array") -> None:
        """Draw the ways of neurons to where they are: (k, m, 3) in the coordinates of the view."""
        hidden = paths[..., 2] < 0
        seen = np.where(hidden[..., None], np.nan, paths)[..., :2]
        gap = np.full((1, *seen.shape[1:]), np.nan)
        for line, chosen in zip(self.trails, (weights < 0, weights >= 0), strict=True):
            ways = np.concatenate([seen, gap])[:, chosen].swapaxes(0, 1).reshape(-1, 2)
            line.set_data(ways[:, 0], ways[:, 1])

    def outline_teacher(self) -> None:
        """Draw the teacher's arrows hollow: where the model's are to go."""
        from matplotlib.collections import PolyCollection

        scene = self.scene
        weights = scene.film.teacher_weights
        outlines = sphere.arrows(scene.teacher, LONGEST * np.abs(weights) / _largest(weights))
        for chosen, zorder in ((scene.teacher[:, 2] < 0, 0.9), (scene.teacher[:, 2] >= 0, 5.5)):
            hollow = PolyCollection(
                outlines[chosen], facecolors=(1, 1, 1, 0.6), edgecolors=POINT,
                linewidths=0.6 * self.scale, zorder=zorder,
            )  # fmt: skip
            self.axes.add_collection(hollow)
            self.artists.append(hollow)
        self.artists.sort(key=lambda artist: artist.get_zorder())


class Canvas:
    """The figure of one moment, with its standing parts drawn once.

    Parameters
    ----------
    scene : Scene
    dpi : int
        Pixels per inch: the picture is ``WIDTH * dpi`` by ``HEIGHT * dpi``.
    """

    def __init__(self, scene: Scene, dpi: int = DPI) -> None:
        with figures.style():
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure

            self.scene = scene
            self.figure = Figure(figsize=(WIDTH, HEIGHT), dpi=dpi, layout="none")
            self._agg = FigureCanvasAgg(self.figure)
            shape = DISC / WIDTH, DISC / HEIGHT
            left, right = (self.figure.add_axes((x, BOTTOM, *shape)) for x in LEFTS)
            size = round(DISC * dpi / EXTENT)
            self._size = size
            truth, self._model = Disc(left, scene, size), Disc(right, scene, size)
            film = scene.film
            truth.points.set(markersize=_marker(len(film.data)), alpha=0.75)
            truth.show(
                scene.true_picture(size),
                scene.data,
                scene.teacher,
                film.teacher_weights,
                _largest(film.teacher_weights),
            )
            self._model.points.set(markersize=_marker(len(film.frames[0].walkers)), alpha=0.6)
            self._model.outline_teacher()
            self._label()
            self._curves()
            moving = [*self._model.artists, self._time, *self._dots, *self._pasts]
            for artist in moving:
                artist.set_animated(True)
            self._agg.draw()
            self._moving = moving
            self._background = self._agg.copy_from_bbox(self.figure.bbox)

    def image(self, index: int) -> NDArray[np.uint8]:
        """The picture of a frame, shape (height, width, 3)."""
        scene, frame = self.scene, self.scene.film.frames[index]
        self._model.show(
            scene.picture(self._size, frame),
            sphere.project(frame.walkers, scene.view),
            sphere.project(frame.neurons, scene.view),
            frame.weights,
            scene.largest_weight,
        )
        self._model.trail(scene.trails(index), frame.weights)
        self._time.set_text(f"t = {frame.time:.{self._decimals}f}")
        for name, dot, past in zip(("kl", "variation"), self._dots, self._pasts, strict=True):
            frames = scene.film.frames[: index + 1]
            past.set_data([f.time for f in frames], [getattr(f, name) for f in frames])
            dot.set_data([frame.time], [getattr(frame, name)])
        with figures.style():
            self._agg.restore_region(self._background)
            for artist in self._moving:
                artist.axes.draw_artist(artist) if artist.axes else self.figure.draw_artist(artist)
        return np.array(self._agg.buffer_rgba())[..., :3]

    def _label(self) -> None:
        """Titles, the bar of colours, and a legend."""
        figure, scene = self.figure, self.scene
        times = [frame.time for frame in scene.film.frames]
        step = min(np.diff(times), default=1.0)
        self._decimals = int(np.clip(math.ceil(-math.log10(step)), 0, 3))
        figure.text(0.012, 0.965, scene.film.title, va="center", fontsize=10.5)
        corners = [(x + 0.012, 0.895) for x in LEFTS]
        figure.text(*corners[0], f"true density,\n{len(scene.data)} data", va="top")
        figure.text(*corners[1], "model", va="top")
        self._time = figure.text(corners[1][0], 0.895 - 0.045, "", va="top")
        draw_colorbar(figure.add_axes((0.045, 0.115, 0.24, 0.02)), scene, "horizontal")
        draw_legend(figure, (LEFTS[1] + 0.5 * DISC / WIDTH, 0.0))

    def _curves(self) -> None:
        """KL and F1 norm against time."""
        frames = self.scene.film.frames
        times = [frame.time for frame in frames]
        weights = self.scene.film.teacher_weights
        self._dots, self._pasts = [], []
        upper = self.figure.add_axes((0.725, 0.575, 0.255, 0.33))
        lower = self.figure.add_axes((0.725, 0.13, 0.255, 0.33), sharex=upper)
        for axes, name in ((upper, "kl"), (lower, "variation")):
            values = [getattr(frame, name) for frame in frames]
            axes.plot(times, values, color=CURVE, linewidth=0.6, alpha=0.45)
            self._pasts += axes.plot([], [], color=CURVE, linewidth=1.3)
            self._dots += axes.plot([], [], "o", color=figures.ORANGE, markeredgecolor=CURVE, clip_on=False)
        upper.set_yscale("log")
        upper.set_title("KL of the truth from the model (nats)", loc="left")
        upper.tick_params(labelbottom=False)
        lower.axhline(float(np.abs(weights).mean()), color=CURVE, linewidth=0.8, linestyle=":")
        lower.set_title("F1 norm (dotted: the teacher's)", loc="left")
        lower.set_ylim(bottom=0)
        lower.set_xlabel("time $t$ of the gradient flow")
        lower.set_xlim(times[0], max(times[-1], times[0] + 1e-9))


def draw_colorbar(axes: "Axes", scene: Scene, orientation: str) -> None:
    """Draw the scale of all densities of the film."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar

    scale = ScalarMappable(scene.norm, scene.colors)
    bar = Colorbar(axes, scale, orientation=orientation, extend="both")
    bar.set_label("density (uniform: 1)")
    bar.outline.set_linewidth(0.6)


def draw_legend(figure: "Figure", centre: tuple[float, float]) -> None:
    """Say what arrows and dots are, in two columns above a point of the figure."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dot = {"linestyle": "none", "marker": "."}
    handles = [
        Patch(facecolor=ATTRACTS, label="neuron that attracts"),
        Patch(facecolor=REPELS, label="neuron that repels"),
        Patch(facecolor="none", edgecolor=POINT, linewidth=0.7, label="the teacher's neurons"),
        Line2D([], [], color=POINT, markersize=4, label="walkers", **dot),
    ]
    figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=centre, ncols=2, handlelength=1.2,
        handleheight=0.5, columnspacing=1.5, borderaxespad=0.3,
    )  # fmt: skip


def _marker(n: int) -> float:
    """Size of one of n dots, in points: they fill the same part of the sphere, within reason."""
    return float(np.clip(60 / math.sqrt(n), 1.6, 5.0))


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
    """Neurons of all frames with points between them, and how many of these each frame ends."""
    places = [sphere.project(frame.neurons, view) for frame in frames]
    if len({len(place) for place in places}) > 1:
        return np.empty((0, 0, 3)), []
    paths, ends = [places[0]], [1]
    for before, after in pairwise(places):
        turn = float(np.linalg.norm(after - before, axis=1).max())
        n_parts = math.ceil(turn / TURN) or 1
        for i in range(1, n_parts):
            between = before + i / n_parts * (after - before)
            paths.append(between / np.linalg.norm(between, axis=1, keepdims=True))
        paths.append(after)
        ends.append(len(paths))
    return np.array(paths), ends


def _largest(weights: "Array") -> float:
    """The largest absolute weight, or 1 where all are zero."""
    return float(np.abs(weights).max()) or 1.0
