"""What the commands share: folders for results, figures, and words about slow steps."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
