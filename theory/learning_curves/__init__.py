r"""Learning curves: mean divergence of the fitted from the planted measure, against n.

All are means over data sets of n samples of :math:`\mathrm{KL}(\nu\|\hat\nu)`, or of a squared
discrepancy such as the kernel Stein discrepancy.
"""

from .filters import (
    Flow,
    Ridge,
    SteinRidge,
    best_strength,
    weak_filtered,
    weak_filtered_planted,
)
from .samples_needed import samples_needed
from .strong_energy import early_stopping, sandwich, sandwich_penalty, sandwich_terms
from .weak_energy import optimal_penalty, weak, weak_asymptote, weak_planted
from .weak_parametric import WeakParametric, weak_parametric
from .yardsticks import F1_BOUND, PARAMETRIC_ORACLE, f1_bound, parametric_oracle

__all__ = [
    "F1_BOUND",
    "PARAMETRIC_ORACLE",
    "Flow",
    "Ridge",
    "SteinRidge",
    "WeakParametric",
    "best_strength",
    "early_stopping",
    "f1_bound",
    "optimal_penalty",
    "parametric_oracle",
    "samples_needed",
    "sandwich",
    "sandwich_penalty",
    "sandwich_terms",
    "weak",
    "weak_asymptote",
    "weak_filtered",
    "weak_filtered_planted",
    "weak_parametric",
    "weak_planted",
]
