"""Axes that are given, or new ones in a figure of pyplot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@contextmanager
def given_or_new(
    axes: "Axes | None",
    size: tuple[float, float],
    *,
    projection: str | None = None,
    columns: int = 3,
) -> Iterator["Axes"]:
    """Yield the given Axes; or new ones in house style, whose figure gets a legend in the end.

    Parameters
    ----------
    axes : Axes or None
    size : (float, float)
        Inches of a new figure.
    projection : str, optional
        Of new Axes.
    columns : int
        Of the legend.

    Raises
    ------
    ValueError
        If `axes` is something else.
    """
    if axes is not None:
        check_axes(axes)
        yield axes
        return
    with figures.style():
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=size)
        try:
            axes = figure.add_subplot(projection=projection)
            yield axes
            if axes.get_legend_handles_labels()[0]:
                figure.legend(loc="outside lower center", ncols=columns)
            # Ticks are made when they are drawn first, in the style of that moment.
            figure.draw_without_rendering()
        except BaseException:
            plt.close(figure)
            raise


def check_axes(axes: Any) -> None:
    """Refuse what is no Axes, an array of several for instance, with a ValueError."""
    from matplotlib.axes import Axes

    if not isinstance(axes, Axes):
        raise ValueError(f"axes must be one Axes of matplotlib, but it is {type(axes).__name__}.")
