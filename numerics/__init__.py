"""Compiled measurements: what does happen.

``ShallowEBM`` and the submodules are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .estimators import ShallowEBM

__all__ = ["ShallowEBM"]

_SUBMODULES = (
    "discrepancies",
    "features",
    "harmonics",
    "kernels",
    "sampling",
    "spectra",
    "sphere",
    "teachers",
    "training",
)


def __getattr__(name: str) -> object:
    if name == "ShallowEBM":
        from .estimators import ShallowEBM

        return ShallowEBM
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
