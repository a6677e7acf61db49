"""Turns, the ratio of times, and the power of a size that a time grows with."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

__all__ = ["BLOCK", "ROUNDS", "Spread", "exponents", "ratios", "take_turns"]

ROUNDS = 5
# Seconds for which a contender has the machine for itself, and the rest after it: the threads of
# OpenBLAS spin for 80 ms after a call, those of Numba for 8 ms.
BLOCK, REST = 0.4, 0.15


class Spread(NamedTuple):
    """The median over the rounds, the least and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


def take_turns(
    turns: Mapping[str, Callable[[], Sequence[float]]],
    rounds: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, list[float]]:
    """Give each contender its turn in every round, and return its median time of each round.

    The order is reversed from one round to the next, so that a machine that grows slower or faster
    favours nobody.
    """
    times: dict[str, list[float]] = {name: [] for name in turns}
    for done in range(rounds):
        for name in list(turns)[:: 1 if done % 2 == 0 else -1]:
            time.sleep(REST)
            times[name].append(median(turns[name]()))
        progress(done + 1)
    return times


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """How many times as long they take, round by round."""
    return Spread.of([b / a for a, b in zip(ours, theirs, strict=True)])


def exponents(sizes: Sequence[float], times: Sequence[Sequence[float]]) -> Spread:
    """Fit ``log time = b log size + a`` by least squares in every round; times are by size."""
    logs = np.log(np.asarray(times, dtype=float))
    return Spread.of([float(b) for b in np.polyfit(np.log(sizes), logs, 1)[0]])
