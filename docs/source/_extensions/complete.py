"""Every public module has its place in the reference; fields of tuples are said once."""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

PACKAGES = ("lazyactive.theory", "lazyactive.numerics")


def public_modules(package: str) -> list[str]:
    """Names of all modules of a package without a leading underscore, packages left out.

    A module that a function of its package hides by its name has no page, but the function does.
    """
    path = import_module(package).__path__
    found = pkgutil.walk_packages(path, f"{package}.")
    names = [module.name for module in found if not module.ispkg and "._" not in module.name]
    return [name for name in names if not _hidden(name)]


def _hidden(name: str) -> bool:
    package, _, leaf = name.rpartition(".")
    module = import_module(name)
    return getattr(import_module(package), leaf, module) is not module


def check(app: Sphinx) -> None:
    """Warn of a module that no page of the reference names."""
    pages = Path(app.srcdir, "api").glob("*.rst")
    named = {word for page in pages for word in page.read_text(encoding="utf-8").split()}
    for package in PACKAGES:
        for module in public_modules(package):
            if module not in named:
                getLogger(__name__).warning("docs/source/api does not name %s", module)


def skip(app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples and data classes, which the class describes."""
    documented = getattr(obj, "__doc__", None) or ""
    return True if documented.startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect both."""
    app.connect("builder-inited", check)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
