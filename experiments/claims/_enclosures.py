"""Equalities that hold within intervals, judged at the worst of many cases."""

import math
from collections.abc import Mapping

from ..claim import Check
from ..statistics import Interval, Outcome

_RANK = {"holds": 0, "undecided": 1, "fails": 2}

# An interval, what it must contain, and the largest half-width that still says something.
Case = tuple[Interval, float, float]


def equality(name: str, statement: str, cases: Mapping[str, Case]) -> Check:
    """Whether every interval contains its prediction, and is narrow enough to mean it.

    It fails if one interval misses its prediction, and else is undecided if one is too wide.

    Parameters
    ----------
    name, statement : str
    cases : mapping from a label to (interval, prediction, largest half-width)
        The check shows the numbers of the worst case, and its label.
    """
    worst = max(cases, key=lambda label: _badness(*cases[label]))
    interval, predicted, precision = cases[worst]
    return Check(
        name,
        f"{statement}, half-width at most {precision:.2g} (worst of {len(cases)}: {worst})",
        interval.value,
        interval,
        predicted,
        equal(interval, predicted, precision),
        level="interval",
    )


def equal(interval: Interval, predicted: float, precision: float) -> Outcome:
    """Whether an interval contains the prediction, and its half-width is at most `precision`."""
    if interval.low > predicted or interval.high < predicted:
        return "fails"
    return "holds" if interval.half_width <= precision else "undecided"


def within(value: float, error: float) -> Interval:
    """The interval of a value with a bound on its error."""
    return Interval(value, value - error, value + error)


def _badness(interval: Interval, predicted: float, precision: float) -> tuple[int, float]:
    """Outcome first, then the deviation in units of the half-width."""
    deviation = math.inf
    if math.isfinite(interval.half_width) and interval.half_width > 0:
        deviation = abs(interval.value - predicted) / interval.half_width
    return _RANK[equal(interval, predicted, precision)], deviation
