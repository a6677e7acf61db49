"""Results in a figure of one's own: every function draws on one Axes, and returns it."""

from ._density import density_norm
from .maps import plot_map

__all__ = ["density_norm", "plot_map"]
