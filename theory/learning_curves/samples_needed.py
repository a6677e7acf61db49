"""A learning curve read the other way: the samples that bring the divergence to a level."""

import math
from collections.abc import Callable

from scipy.optimize import brentq

from .._checks import check_positive

_MAX_SAMPLES = 1e15
_PRECISION = 1e-6


def samples_needed(curve: Callable[[float], float], level: float) -> float:
    """Solve curve(n) = level for the number of samples, by a root search in log n.

    Parameters
    ----------
    curve : callable
        Maps a number of samples n >= 1 to a positive divergence that decreases with n, as
        ``lambda n: sandwich(w, d, n)`` does.
    level : float
        Positive, below the curve at n = 1.

    Returns
    -------
    float
        To a relative error of 1e-6, or what the precision of the curve allows.

    Raises
    ------
    ValueError
        If the curve is below the level at n = 1, or above it at n = 1e15.

    Examples
    --------
    >>> from lazyactive.theory.learning_curves import parametric_oracle, samples_needed
    >>> round(samples_needed(lambda n: parametric_oracle(1, 15, n), 0.05))
    150
    """
    log_level = math.log(check_positive("level", level))

    def excess(log_n: float) -> float:
        return math.log(curve(math.exp(log_n))) - log_level

    low, step, last = 0.0, math.log(10), math.log(_MAX_SAMPLES)
    if excess(low) <= 0:
        raise ValueError(f"level must be below the curve at one sample, got {level!r}.")
    # From below, where curves are cheap.
    while excess(high := min(low + step, last)) > 0:
        if high == last:
            raise ValueError(
                f"level must be one that the curve reaches with {_MAX_SAMPLES:g} samples, "
                f"got {level!r}."
            )
        low = high
    return math.exp(brentq(excess, low, high, xtol=_PRECISION))
