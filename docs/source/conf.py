"""Configuration of the documentation, which `make docs` builds."""

import sys
from doctest import ELLIPSIS, IGNORE_EXCEPTION_DETAIL
from importlib.metadata import version as installed_version
from pathlib import Path

from lazyactive.experiments import figures

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE / "extending")]

project = "lazyactive"
copyright = "the authors of lazyactive"
version = release = installed_version("lazyactive")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
    "sphinxcontrib.bibtex",
    "citations",
    "complete",
    "mathml",
]
templates_path = ["_templates"]
default_role = "code"
highlight_language = "python"
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
# Types stand in the docstrings, with shapes and units.
autodoc_typehints = "none"
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
numpydoc_use_plots = False

bibtex_bibfiles = ["../../references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

# A block of a docstring runs by itself, with the imports that it shows.
doctest_test_doctest_blocks = "default"
doctest_default_flags = ELLIPSIS | IGNORE_EXCEPTION_DETAIL

plot_include_source = True
plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 160)]
plot_apply_rcparams = True
plot_rcparams = figures._STYLE

html_theme = "pydata_sphinx_theme"
html_title = "lazyactive"
html_static_path = ["_static"]
html_css_files = ["lazyactive.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
