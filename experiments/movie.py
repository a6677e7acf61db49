"""A film as pictures: two spheres side by side, the truth and the model, and two curves."""

import contextlib
import io
import math
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import figures, movie_files
from .film import Film
from .movie_scene import ATTRACTS, POINT, REPELS, Disc, Scene, draw_colorbar, label_powers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 10.0, 3.75  # inches
DPI, STILL_DPI = 120, 300
# The two square discs, in inches and in parts of the figure.
DISC, BOTTOM, LEFTS = 3.3, 0.085, (0.0, 0.325)
# The strip of stills: width of a page in inches, spheres in a row, and room below them.
PAGE, COLUMNS, FOOT = 7.2, 5, 0.56
CURVE = "#333333"


def shoot(
    film: Film,
    fps: float,
    n_stills: int,
    encoder: str | None,
    with_gif: bool,
    progress: Callable[[int], Any] = lambda n_pictures: None,
) -> dict[str, bytes]:
    """Draw a film.

    Parameters
    ----------
    film : Film
        Checked, see `film.check_film`.
    fps : float
        Frames per second.
    n_stills : int
        Moments to show as stills, at most as many as there are frames; 0 for none.
    encoder : str or None
        Path of ffmpeg; None makes no MP4.
    with_gif : bool
        Whether to make a GIF.
    progress : callable
        Called with 1 after each frame, each still and the strip of stills.

    Returns
    -------
    dict
        Names of files and their contents.

    Raises
    ------
    RuntimeError
        If ffmpeg fails.
    """
    scene = Scene(film)
    files = _moving(scene, fps, encoder, with_gif, progress)
    chosen = moments(film, n_stills)
    if chosen:
        canvas = Canvas(scene, STILL_DPI)
        for i, index in enumerate(chosen, 1):
            files[f"still-{i:02}.png"] = movie_files.png(canvas.image(index), STILL_DPI)
            progress(1)
        files |= _strip_files(scene, chosen)
        progress(1)
    return files


def moments(film: Film, n: int) -> list[int]:
    """Choose n frames that tell the story: between them the KL falls by equal factors.

    The first and the last are among them. Where the KL does not fall, the largest gaps are halved.
    """
    last = len(film.frames) - 1
    n = min(n, last + 1)
    if n < 2:
        return [last][:n]
    kl = np.array([frame.kl for frame in film.frames])
    lowest = np.log(np.minimum.accumulate(np.maximum(kl, np.finfo(float).tiny)))
    levels = np.linspace(lowest[0], lowest[-1], n)[1:-1]
    chosen = {0, last, *(int(np.argmax(lowest <= level)) for level in levels)}
    while len(chosen) < n:
        ordered = sorted(chosen)
        gap, start = max((b - a, a) for a, b in pairwise(ordered))
        chosen.add(start + gap // 2)
    return sorted(chosen)


def versions() -> dict[str, str]:
    """Versions of what the bits of a picture depend on."""
    return {name: version(name) for name in ("matplotlib", "pillow")}


def time_in_words(film: Film, index: int) -> str:
    """Time of a frame with as many decimals as tell most neighbours apart, at most three."""
    times = [frame.time for frame in film.frames]
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    decimals = int(np.clip(math.ceil(-math.log10(step)), 0, 3))
    return f"{times[index]:.{decimals}f}"


class Canvas:
    """The figure of one moment, with its standing parts drawn once.

    Parameters
    ----------
    scene : Scene
    dpi : int
        Pixels per inch: the picture is ``WIDTH * dpi`` by ``HEIGHT * dpi``.
    """

    def __init__(self, scene: Scene, dpi: int) -> None:
        with figures.style():
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure

            self.scene = scene
            self.figure = Figure(figsize=(WIDTH, HEIGHT), dpi=dpi)
            # Everything has its place already.
            self.figure.set_layout_engine("none")
            self._agg = FigureCanvasAgg(self.figure)
            shape = DISC / WIDTH, DISC / HEIGHT
            truth, self._model = (
                Disc(self.figure.add_axes((x, BOTTOM, *shape)), scene, DISC, dpi) for x in LEFTS
            )
            truth.show_truth()
            self._model.show(0)
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
        self._model.show(index)
        self._time.set_text(f"t = {time_in_words(scene.film, index)}")
        for name, dot, past in zip(("kl", "variation"), self._dots, self._pasts, strict=True):
            frames = scene.film.frames[: index + 1]
            past.set_data([f.time for f in frames], [getattr(f, name) for f in frames])
            dot.set_data([frame.time], [getattr(frame, name)])
        with figures.style():
            self._agg.restore_region(self._background)
            for artist in self._moving:
                self.figure.draw_artist(artist)
        return np.array(self._agg.buffer_rgba())[..., :3].copy()

    def _label(self) -> None:
        """Titles, the bar of colours, and a legend."""
        figure, scene = self.figure, self.scene
        figure.text(0.012, 0.965, scene.film.title, va="center", fontsize=10.5)
        corners = [(x + 0.012, 0.895) for x in LEFTS]
        figure.text(*corners[0], f"true density,\n{len(scene.data)} data", va="top")
        figure.text(*corners[1], "model", va="top")
        self._time = figure.text(corners[1][0], 0.895 - 0.045, "", va="top")
        draw_colorbar(figure.add_axes((0.045, 0.115, 0.24, 0.02)), scene)
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
            self._dots += axes.plot(
                [], [], "o", color=figures.ORANGE, markeredgecolor=CURVE, clip_on=False
            )
        upper.set_yscale("log")
        label_powers(upper.yaxis, *upper.get_ylim())
        upper.set_title("KL of the truth from the model (nats)", loc="left")
        upper.tick_params(labelbottom=False)
        lower.axhline(float(np.abs(weights).mean()), color=CURVE, linewidth=0.8, linestyle=":")
        lower.set_title("F1 norm (dotted: the teacher's)", loc="left")
        lower.set_ylim(bottom=0)
        lower.set_xlabel("time $t$ of the gradient flow")
        if len(times) > 1:
            if np.median(times) < times[-1] / 10:
                # Frames that lie ever farther apart.
                lower.set_xscale("symlog", linthresh=max(times[1], times[-1] / 1e4))
            lower.set_xlim(times[0], times[-1])


def draw_legend(figure: "Figure", centre: tuple[float, float]) -> None:
    """Say what arrows and dots are, in two columns above a point of the figure."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=ATTRACTS, label="neuron that attracts"),
        Patch(facecolor=REPELS, label="neuron that repels"),
        Patch(facecolor="none", edgecolor=POINT, linewidth=0.7, label="the teacher's neurons"),
        Line2D([], [], linestyle="none", marker=".", color=POINT, markersize=4, label="walkers"),
    ]
    figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=centre, ncols=2, handlelength=1.2,
        handleheight=0.5, columnspacing=1.5, borderaxespad=0.3,
    )  # fmt: skip


def draw_strip(scene: Scene, chosen: Sequence[int], figure: "Figure", dpi: int) -> None:
    """Draw the truth and the model at some moments, in rows over the width of a page."""
    film = scene.film
    n_rows = -(-(len(chosen) + 1) // COLUMNS)
    side = PAGE / COLUMNS
    height = n_rows * (side + 0.16) + FOOT
    figure.set_size_inches(PAGE, height)
    for place, index in enumerate([None, *chosen]):
        row, column = divmod(place, COLUMNS)
        bottom = height - (row + 1) * (side + 0.16)
        box = (column * side / PAGE, bottom / height, side / PAGE, side / height)
        disc = Disc(figure.add_axes(box), scene, side, dpi)
        if index is None:
            disc.show_truth()
            title = f"truth, {len(scene.data)} data"
        else:
            disc.show(index)
            kl = film.frames[index].kl
            title = f"$t = {time_in_words(film, index)}$,  KL {kl:.2g}"
        x, y = (column + 0.5) * side / PAGE, (bottom + side) / height
        figure.text(x, y, title, ha="center", va="center", fontsize=8)
    bar = figure.add_axes((0.03, 0.43 / height, 0.3, 0.07 / height))
    draw_colorbar(bar, scene)
    draw_legend(figure, (0.69, 0.0))


def _moving(
    scene: Scene, fps: float, encoder: str | None, with_gif: bool, progress: Callable[[int], Any]
) -> dict[str, bytes]:
    """The film as GIF and as MP4, whichever is asked for."""
    canvas = Canvas(scene, DPI)
    n_frames = len(scene.film.frames)
    files, frames = {}, []
    if with_gif:
        some = np.linspace(0, n_frames - 1, min(n_frames, 8)).astype(int)
        levels = np.linspace(0, 1, movie_files.SCALE_COLORS)
        scale = scene.colors(levels, bytes=True)[:, :3]
        palette = movie_files.shared_palette([canvas.image(i) for i in some], scale)
    with contextlib.ExitStack() as stack:
        mp4 = None
        if encoder is not None:
            size = round(WIDTH * DPI), round(HEIGHT * DPI)
            mp4 = stack.enter_context(movie_files.MP4(encoder, size, fps))
        for index in range(n_frames):
            picture = canvas.image(index)
            if with_gif:
                frames.append(movie_files.indexed(picture, palette))
            if mp4 is not None:
                mp4.add(picture)
            progress(1)
        if with_gif:
            files["movie.gif"] = movie_files.gif(frames, fps)
        if mp4 is not None:
            files["movie.mp4"] = mp4.content()
    return files


def _strip_files(scene: Scene, chosen: Sequence[int]) -> dict[str, bytes]:
    files = {}
    with figures.style():
        from matplotlib.figure import Figure

        figure = Figure(dpi=STILL_DPI)
        # Everything has its place already.
        figure.set_layout_engine("none")
        draw_strip(scene, chosen, figure, STILL_DPI)
        for suffix in ("png", "pdf"):
            buffer = io.BytesIO()
            # Without its date, the same film gives the same file.
            metadata = {"CreationDate": None} if suffix == "pdf" else None
            figure.savefig(buffer, format=suffix, dpi=STILL_DPI, metadata=metadata)
            files[f"stills.{suffix}"] = buffer.getvalue()
    return files
