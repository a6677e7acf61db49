"""Formulas as MathML, which browsers draw themselves: no script, and nothing from the network.

LaTeX is translated by docutils when the pages are built; a formula that it can't read is a warning,
and warnings are errors.
"""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.writers.html5 import HTML5Translator

# A function whose argument follows without a parenthesis.
FUNCTION = re.compile(r"(\\(?:log|sin|cos)\b)(?!\s*(?:[\^_(\[{]|\\left))")


def translated(latex: str, node: nodes.Element, *, block: bool) -> str:
    """MathML of a formula, or its LaTeX if there is no telling what it means."""
    # What LaTeX decides and docutils does not: how high dots are, and the space of log p.
    latex = FUNCTION.sub(r"\1\\,", latex.replace(r"\dots", r"\ldots"))
    try:
        # The tilde of the keyboard is so low that it strikes out its letter.
        return latex2mathml.tex2mathml(latex, as_block=block).replace(">~</mo>", ">\u02dc</mo>")
    except Exception as error:  # Of several classes, by version; each is about the formula.
        getLogger(__name__).warning("no MathML: %s in %r", error, latex, location=node)
        return f"<code>{nodes.unescape(latex)}</code>"


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula of a line."""
    self.body.append(translated(node.astext(), node, block=False))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula; several lines joined by ``&`` are aligned."""
    latex = node.astext().strip()
    if r"\\" in latex and r"\begin" not in latex:
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    self.body.append(translated(latex, node, block=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
