"""Alternating measurements of two or more runs, and the ratio of their times."""

import time
from collections.abc import Callable
from statistics import median

ROUNDS = 5


def alternate(*runs: Callable[[], object]) -> list[list[float]]:
    """Time the runs in turn, after one that warms them up: seconds of each, by round."""
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, own in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            own.append(time.perf_counter() - start)
    return times


def report(name: str, ours: list[float], theirs: list[float]) -> None:
    """Print both medians, and the median ratio with its range over the rounds."""
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    print(
        f"{name}: {median(ours):.3f} s against {median(theirs):.3f} s, "
        f"ratio {median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
    )
