"""One claim, one file; importing this package registers them all."""

from . import (
    function_spaces,
    lazy_curves,
    maximum_likelihood,
    neuron_to_ball,
    sample_spectra,
    spectra,
    unconverged_baseline,
)

__all__ = [
    "function_spaces",
    "lazy_curves",
    "maximum_likelihood",
    "neuron_to_ball",
    "sample_spectra",
    "spectra",
    "unconverged_baseline",
]
