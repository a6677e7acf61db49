"""What the commands share: folders for results, figures, and words about slow steps."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

FOLDER = click.Path(path_type=Path)


def require_writable(folder: Path) -> None:
    """Create a folder, or raise OSError if no file can be written to it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def bad_folder(out: Path, error: Exception) -> click.BadParameter:
    """What to tell whoever chose that folder."""
    return click.BadParameter(
        f"the output folder must be one that can be written; got {str(out)!r} ({error}).",
        param_hint="--out",
    )


def announce_compilation() -> None:
    """Say why nothing seems to happen, unless everything is compiled."""
    if not _compiled():
        click.echo("The first run compiles the numerics with Numba: about a minute.", err=True)


def _compiled() -> bool:
    """Whether Numba has left compiled functions beside the sources."""
    return any((Path(__file__).parents[1] / "numerics").rglob("*.nbi"))


def draw(content: Callable[["Figure"], None], folder: Path) -> None:
    """Draw and save a figure in the house style."""
    from . import figures

    with figures.style():
        from matplotlib.figure import Figure

        figure = Figure()
        content(figure)
        figures.save(figure, folder)


def points(file: Path, normalize: bool = False) -> "NDArray":
    """Points of the sphere from a user's file; what is wrong with it is bad usage."""
    from .data_files import read_points

    try:
        return read_points(file, normalize)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="FILE") from error
    except MemoryError as error:
        raise bad_file(file, "does not fit into the memory") from error


def bad_file(file: Path, problem: str) -> click.BadParameter:
    """What to tell whoever gave that file."""
    return click.BadParameter(f"{str(file)!r} {problem}.", param_hint="FILE")


@contextmanager
def interruptible() -> Iterator[None]:
    """Leave with the exit code of an interruption; files are written whole or not at all."""
    from .cli import INTERRUPTED

    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted. No file was left half written.", err=True)
        sys.exit(INTERRUPTED)
