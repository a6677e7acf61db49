"""Pairs of measures that a metric with moving features tells apart much better than a fixed kernel.

For a unit ball of F1 or F2 the integral probability metric is the largest difference of the means
of a function in it, and the Stein discrepancy the largest mean of the Stein operator.
"""

from .detection import f2_detection_size
from .harmonic_pairs import ipm, ipm_plug_in, smooth_ipm, stein
from .thin_gaussians import (
    gaussian_ipm,
    gaussian_tilde_f2,
    sliced_wasserstein,
    sliced_wasserstein_plug_in,
)

__all__ = [
    "f2_detection_size",
    "gaussian_ipm",
    "gaussian_tilde_f2",
    "ipm",
    "ipm_plug_in",
    "sliced_wasserstein",
    "sliced_wasserstein_plug_in",
    "smooth_ipm",
    "stein",
]
