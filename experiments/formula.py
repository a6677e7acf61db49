"""Formulas as pictures that a page holds in its own text: one path, in the colour of the text."""

from typing import TYPE_CHECKING

from . import figures

if TYPE_CHECKING:
    from matplotlib.path import Path

# Units of the drawing to the height of the text.
EM = 100
# Room around the strokes, against rounding.
MARGIN = 4


def svg(formula: str) -> str:
    r"""Draw a formula.

    Parameters
    ----------
    formula : str
        LaTeX of matplotlib's mathtext, one line, without dollar signs.

    Returns
    -------
    str
        An ``<svg>`` element, as high and wide in em as the formula is beside text. It refers to
        nothing outside of itself, and the same formula gives the same characters. Readers who hear
        the page are told nothing: the words belong to what holds it.

    Raises
    ------
    ValueError
        If mathtext cannot read the formula.
    """
    path = _outline(formula)
    box = path.get_extents()
    left, top = round(box.x0) - MARGIN, round(-box.y1) - MARGIN
    width, height = round(box.width) + 2 * MARGIN, round(box.height) + 2 * MARGIN
    return (
        f'<svg aria-hidden="true" viewBox="{left} {top} {width} {height}" '
        f'width="{width / EM:g}em" height="{height / EM:g}em">'
        f'<path fill="currentColor" d="{_commands(path)}"/></svg>'
    )


def _outline(formula: str) -> "Path":
    """The outlines of all letters and rules, the vertical axis upwards."""
    with figures.style():
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import TextPath

        return TextPath((0, 0), f"${formula}$", size=EM, prop=FontProperties(family="serif"))


def _commands(path: "Path") -> str:
    """A path in SVG's language, the vertical axis downwards, in whole units."""
    from matplotlib.path import Path

    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    words = []
    for points, code in path.iter_segments(simplify=False):
        if code == Path.CLOSEPOLY:
            words.append("Z")
            continue
        pairs = zip(points[0::2], points[1::2], strict=True)
        words.append(letters[code] + " ".join(f"{round(x)} {round(-y)}" for x, y in pairs))
    return "".join(words)
