"""One claim, one file; importing this package registers them all."""

from . import maximum_likelihood

__all__ = ["maximum_likelihood"]
