"""One claim, one file; importing this package registers them all."""

from . import (
    adaptivity,
    function_spaces,
    lazy_curves,
    maximum_likelihood,
    neuron_to_ball,
    sample_spectra,
    spectra,
    unconverged_baseline,
)

__all__ = [
    "adaptivity",
    "function_spaces",
    "lazy_curves",
    "maximum_likelihood",
    "neuron_to_ball",
    "sample_spectra",
    "spectra",
    "unconverged_baseline",
]
