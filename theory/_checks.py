"""Refusal of bad arguments, shared by the public functions of the package."""

import math
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike


def check_integer(name: str, value: object, minimum: int) -> int:
    """Return `value` as an int, or raise ValueError if it is not an integer >= `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}.")
    return int(value)


def check_positive(name: str, value: float) -> float:
    """Return `value` as a float, or raise ValueError if it is not a positive finite number."""
    good = isinstance(value, Real) and not isinstance(value, bool)
    if not (good and math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a positive finite number, got {value!r}.")
    return float(value)


def check_sizes(n: ArrayLike) -> np.ndarray:
    """Return sample sizes as floats, or raise a ValueError."""
    sizes = np.asarray(n, dtype=np.float64)
    if not np.all((sizes > 0) & np.isfinite(sizes)):
        raise ValueError(f"n must be positive and finite, got {n!r}.")
    return sizes
