"""Results in a figure of one's own: every function draws on one Axes, and returns it.

Given Axes keep their figure, style and legend: what is drawn has labels, and ``axes.legend()``
shows them. Without Axes there is a new figure of pyplot in house style, with a legend and, for
densities, a bar of colours.
"""

from ._density import density_norm
from .fits import plot_learning_curve, plot_projections
from .hemispheres import plot_hemisphere
from .maps import plot_map
from .spectra import plot_spectrum

__all__ = [
    "density_norm",
    "plot_hemisphere",
    "plot_learning_curve",
    "plot_map",
    "plot_projections",
    "plot_spectrum",
]
