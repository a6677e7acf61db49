"""House style: figures that go into a paper as they are.

Nothing here touches matplotlib's global state: a figure is drawn and saved inside ``style()``, and
never belongs to pyplot.
"""

import io
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..numerics._files import write_whole
from .statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by readers with any common colour vision, and in grey print.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
GREY = "#555555"

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.5,
    "figure.constrained_layout.use": True,
    "font.family": "serif",
    "font.serif": ["DejaVu Serif"],
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "mathtext.fontset": "dejavuserif",
    # Type 42 keeps text in the PDF as text; some journals refuse Type 3.
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def style() -> AbstractContextManager[None]:
    """Context in which figures are made, drawn and saved."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def panels(figure: "Figure", columns: int, *, height: float = 2.9) -> list["Axes"]:
    """A row of panels on a shared vertical axis, with room for one legend below them."""
    figure.set_size_inches(max(4.0, 3.3 * columns), height + (0.6 if columns > 1 else 0.8))
    return list(figure.subplots(1, columns, sharey=True, squeeze=False)[0])


def log_axes(axes: "Axes", x: Sequence[float], xlabel: str) -> None:
    """Logarithmic axes with a labelled tick at every abscissa of the grid."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(list(x))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    axes.set_xlabel(xlabel)


def points(
    axes: "Axes",
    x: Sequence[float],
    intervals: Sequence[Interval],
    *,
    label: str,
    color: str,
    marker: str,
    shift: float = 1.0,
    joined: bool = False,
) -> None:
    """Measured means with their intervals; an unbounded interval is drawn without a bar.

    The factor ``shift`` moves points sideways, so that bars at one abscissa don't hide each other.
    Thin lines join the points on request.
    """
    y = [interval.value for interval in intervals]
    bars = [
        [_bar(i.value - i.low) for i in intervals],
        [_bar(i.high - i.value) for i in intervals],
    ]
    axes.errorbar(
        [shift * value for value in x],
        y,
        bars,
        marker=marker,
        linestyle="-" if joined else "none",
        linewidth=0.8,
        color=color,
        label=label,
        capsize=2,
        elinewidth=1,
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=3,
    )


def legend_below(figure: "Figure") -> None:
    """One legend under all panels, with the entries of the first of them."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 2 if len(figure.axes) == 1 else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def save(figure: "Figure", folder: Path) -> None:
    """Write ``figure.png`` (200 dpi) and ``figure.pdf``, each whole or not at all."""
    for suffix in ("png", "pdf"):
        buffer = io.BytesIO()
        # Without its date, the same results give the same file.
        metadata = {"CreationDate": None} if suffix == "pdf" else None
        figure.savefig(buffer, format=suffix, metadata=metadata)
        write_whole(folder / f"figure.{suffix}", buffer.getvalue())


def _power(value: float) -> str:
    """Write 300 as it is, and 30000 as 3·10⁴."""
    if value < 1e4:
        return f"{value:g}"
    exponent = math.floor(math.log10(value))
    factor = value / 10**exponent
    return rf"$10^{exponent}$" if factor == 1 else rf"${factor:g}{{\cdot}}10^{exponent}$"


def _bar(length: float) -> float:
    return length if math.isfinite(length) else 0.0
