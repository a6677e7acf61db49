"""One claim, one file; importing this package registers them all."""

from . import (
    active_oracle,
    adaptivity,
    function_spaces,
    goodness_of_fit,
    hidden_subspace,
    lazy_curves,
    maximum_likelihood,
    neuron_to_ball,
    no_bias_trap,
    sample_spectra,
    spectra,
    stein_identity,
    stein_spectrum,
    stein_training,
    unconverged_baseline,
)

__all__ = [
    "active_oracle",
    "adaptivity",
    "function_spaces",
    "goodness_of_fit",
    "hidden_subspace",
    "lazy_curves",
    "maximum_likelihood",
    "neuron_to_ball",
    "no_bias_trap",
    "sample_spectra",
    "spectra",
    "stein_identity",
    "stein_spectrum",
    "stein_training",
    "unconverged_baseline",
]
