r"""Citations in docstrings, ``[bach2017breaking]_`` or ``[bach2017breaking, section 2]``, as links.

Each becomes a ``:cite:p:`` of sphinxcontrib-bibtex, so that the list of references is made of
``references.bib`` alone. A key that is not in it is a warning, and warnings are errors.
"""

import re
from typing import Any

from sphinx.application import Sphinx

# Author, year and first word of the title, as the test of the bibliography knows them.
CITATION = re.compile(r"\[([a-z]+(?:19|20)\d{2}[a-z]+|dlmf)((?:,|;)[^\]]*)?\]_?")


def linked(text: str) -> str:
    """The text with its citations as roles; what follows a key stays behind the link."""
    return CITATION.sub(lambda match: rf":cite:p:`{match[1]}`{match[2] or ''}", text)


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring in place."""
    # A citation may be broken over two lines.
    lines[:] = linked("\n".join(lines)).split("\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Come before numpydoc, which takes what is in brackets for citations of its own."""
    app.connect("autodoc-process-docstring", process, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
