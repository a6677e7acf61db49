"""The regression guard: ours beside NumPy alone, on work of a few milliseconds.

A loop that has lost its vector instructions, its threads or its fusion takes several times as long
as before. The margins are wide: less than half the ratios that a quiet machine shows.
"""

from collections.abc import Callable

from .case import Case
from .cases import features, likelihood, stein
from .measure import Row, measure
from .workers import ContenderError, Workers

__all__ = ["GUARDED", "compare"]

# How many times as long as ours NumPy must take at least, on whole matrices.
GUARDED: list[tuple[Case, float]] = [
    (likelihood.case(30_000, 500, 15), 1.5),
    (features.case("gradient", 30_000, 500, 15), 1.5),
    (features.case("energy", 30_000, 500, 15), 1.5),
    (features.case("score", 30_000, 500, 15), 1.2),
    (stein.ksd_case(2_000), 3.0),
]
ROUNDS, BLOCK = 3, 0.2
PLAIN = "NumPy"


def compare(report: Callable[[Case, Row, float], None]) -> bool:
    """Time the guarded work, and return whether ours keeps its distance everywhere."""
    good = True
    with Workers() as workers:
        for case, least in GUARDED:
            row = measure(workers, case, ROUNDS, BLOCK, peers=(PLAIN,), against_limit=False).rows[1]
            if row.ratio is None:
                raise ContenderError(f"{PLAIN} at {case.name}: {row.note}")
            good &= row.ratio.median >= least
            report(case, row, least)
    return good
