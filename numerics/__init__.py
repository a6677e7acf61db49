"""Compiled measurements: what does happen.

``ShallowEBM``, its files and the submodules are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .estimators import ShallowEBM
    from .model_files import load_model, save_model

__all__ = ["ShallowEBM", "load_model", "save_model"]

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
    if name in ("load_model", "save_model"):
        return getattr(importlib.import_module(".model_files", __name__), name)
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
