"""Moving pictures as files: an animated GIF by Pillow, an MP4 by ffmpeg."""

import contextlib
import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import KDTree

Picture = NDArray[np.uint8]

# Entries of a GIF's palette. One is left free: it marks pixels that don't change.
N_COLORS = 255
# As many of them are colours of the density.
SCALE_COLORS = 112
# Distance in RGB within which a colour of the scale stands for another.
NEAR = 12.0
# How long the last frame stands before the film starts again.
HOLD = 2.0  # seconds


def shared_palette(pictures: Sequence[Picture], scale: Picture) -> Image.Image:
    """One palette for all frames, so that standing parts don't flicker.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (height, width, 3)
        Some frames of the film.
    scale : ndarray of shape (k, 3)
        Colours of the density, fewer than `N_COLORS`. They are in the palette as they are, since a
        smooth picture shows a missing one as an edge.

    Returns
    -------
    Image
        Of mode P.
    """
    # One number to a colour: np.unique over rows is slow.
    packed = np.concatenate([p.reshape(-1, 3) @ np.array([1, 256, 65536]) for p in pictures])
    pixels = np.unique(packed)[:, None] // np.array([1, 256, 65536]) % 256
    distance, _ = KDTree(scale).query(pixels)
    entries = [scale]
    rest = pixels[distance > NEAR].astype(np.uint8)
    if len(rest):
        # Coverage of the range of colours, not their frequency: arrows are few pixels.
        found = Image.fromarray(rest[None]).quantize(
            N_COLORS - len(scale), method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
        entries.append(np.reshape(found.getpalette() or (), (-1, 3))[: N_COLORS - len(scale)])
    palette = Image.new("P", (1, 1))
    colors = np.concatenate(entries).astype(np.uint8)
    palette.putpalette(colors.tobytes())
    return palette


def indexed(picture: Picture, palette: Image.Image) -> Image.Image:
    """A frame in the colours of the palette."""
    return Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)


def gif(frames: Sequence[Image.Image], fps: float) -> bytes:
    """Frames of one palette as an animated GIF that repeats for ever."""
    # GIF counts in hundredths of a second, and players slow down what is faster than 50 a second.
    duration = max(20, 10 * round(100 / fps))
    durations = [duration] * (len(frames) - 1) + [duration + round(1000 * HOLD)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0,
        optimize=True,
    )  # fmt: skip
    return buffer.getvalue()


def png(picture: Picture, dpi: int) -> bytes:
    """One picture."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", dpi=(dpi, dpi))
    return buffer.getvalue()


def ffmpeg() -> str | None:
    """Path of the program, if there is one."""
    return shutil.which("ffmpeg")


class MP4:
    """H.264 by ffmpeg, which runs beside this process; to be used in a ``with`` block.

    Parameters
    ----------
    program : str
        Path of ffmpeg.
    size : tuple of int
        Width and height in pixels, both even.
    fps : float
    """

    def __init__(self, program: str, size: tuple[int, int], fps: float) -> None:
        # An MP4 needs a file that can be sought, so it can't come through a pipe.
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "movie.mp4"
        self._log = self._path.with_name("errors")
        width, height = size
        command = [
            program, "-loglevel", "error", "-nostdin",
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps}",
            "-i", "pipe:0",
            "-vf", f"tpad=stop_mode=clone:stop_duration={HOLD}",
            "-c:v", "libx264", "-preset", "veryfast", "-crf", "18",
            "-pix_fmt", "yuv420p", "-movflags", "+faststart",
            str(self._path),
        ]  # fmt: skip
        with open(self._log, "wb") as log:
            # An interrupt is for this process, which then ends ffmpeg.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        assert self._process.stdin is not None
        self._stdin = self._process.stdin

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            # What was not sent yet is for nobody.
            self._stdin.close()
        self._folder.cleanup()

    def add(self, picture: Picture) -> None:
        """Append a frame.

        Raises
        ------
        RuntimeError
            If ffmpeg has given up; the message is its own.
        """
        try:
            self._stdin.write(picture.tobytes())
        except BrokenPipeError as error:
            raise self._failure() from error

    def content(self) -> bytes:
        """End the film.

        Returns
        -------
        bytes
            Of the whole file.

        Raises
        ------
        RuntimeError
            If ffmpeg fails; the message is its own.
        """
        try:
            self._stdin.close()
        except BrokenPipeError as error:
            raise self._failure() from error
        if self._process.wait() != 0:
            raise self._failure()
        return self._path.read_bytes()

    def _failure(self) -> RuntimeError:
        code = self._process.wait()
        said = self._log.read_text(errors="replace").strip()
        return RuntimeError(f"ffmpeg ended with code {code}: {said}")
