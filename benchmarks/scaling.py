"""How the time of the likelihood's gradient grows with n, m and d, each alone.

The smallest size is timed and left out of the fit: there the costs that do not grow still show.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from .case import OURS
from .cases import likelihood
from .timing import BLOCK, Spread, exponents, take_turns
from .workers import Workers

__all__ = ["Growth", "measure"]

SIZES = {"n": 30_000, "m": 500, "d": 15}
GRIDS = {
    "n": (15_000, 30_000, 60_000, 120_000, 240_000),
    "m": (125, 250, 500, 1000, 2000),
    "d": (15, 30, 60, 120, 240),
}


class Growth(NamedTuple):
    """Sizes of one variable, seconds at each, and the exponent beyond the smallest."""

    variable: str
    sizes: tuple[int, ...]
    seconds: list[Spread]
    exponent: Spread


def measure(workers: Workers, rounds: int, progress: Callable[["Growth"], None]) -> list[Growth]:
    """Time the sizes in turn, so that a slower minute of the machine falls on all of them."""
    found = []
    for variable, sizes in GRIDS.items():
        turns = {}
        for size in sizes:
            at = SIZES | {variable: size}
            case = likelihood.case(at["n"], at["m"], at["d"])
            run = f"{variable} = {size}"
            workers.prepare(OURS, run, case.inputs, case.runs[OURS])
            turns[run] = partial(workers.block, OURS, run, BLOCK)
        times = list(take_turns(turns, rounds).values())
        workers.forget(OURS)
        growth = Growth(
            variable,
            sizes,
            [Spread.of(of_size) for of_size in times],
            exponents(sizes[1:], times[1:]),
        )
        progress(growth)
        found.append(growth)
    return found
