"""Run the cells of a claim in parallel, so that the numbers depend on nothing but the seed."""

import functools
import math
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .claim import Claim, Condition, Preset, Result
from .store import Store, cell_key, configuration, digest

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Failure:
    """A cell whose measurement raised."""

    condition: Condition
    repetition: int
    error: str
    trace: str


@dataclass(frozen=True)
class Sweep:
    """The results of all finished cells in the order of the grid, and the cells that failed."""

    results: tuple[Result, ...]
    failures: tuple[Failure, ...]


def seed_sequence(
    claim: Claim, condition: Condition, repetition: int, seed: int
) -> "np.random.SeedSequence":
    """The random numbers of one cell.

    The spawn key is the SHA-256 of (claim, condition without its shared keys, repetition), so a
    cell draws the same numbers whatever the other cells, their order, the number of workers or the
    preset.
    """
    from numpy.random import SeedSequence

    own = {key: value for key, value in condition.items() if key not in claim.shared_keys}
    code = digest([claim.name, own, repetition])
    words = tuple(int(code[i : i + 8], 16) for i in range(0, len(code), 8))
    return SeedSequence(entropy=seed, spawn_key=words)


def run(
    claim: Claim,
    preset: Preset,
    store: Store,
    *,
    seed: int,
    jobs: int,
    progress: Callable[[int, int], Any] = lambda known, measured: None,
) -> Sweep:
    """Measure every cell that the store does not hold yet.

    Parameters
    ----------
    claim, preset
        What to measure, and where.
    store : Store
        Holds the cells finished before; this process alone adds to it, one cell at a time.
    seed : int
        Non-negative.
    jobs : int
        Worker processes; with 1 the cells run in this process. Numba's threads are shared out
        among the workers. BLAS gets one thread everywhere, since the order of its sums, hence the
        last bits, would depend on their number.
    progress : callable
        Called with the number of cells that are done, and how many of them this run measured;
        first before any is measured.

    Returns
    -------
    Sweep
        A cell that raises does not stop the others, and is not stored.
    """
    import joblib

    setup = configuration(claim, preset.settings)
    found: dict[str, Result] = {}
    open_cells: list[tuple[str, Condition, int]] = []
    order: list[str] = []
    for condition in preset.conditions:
        for repetition in range(preset.repetitions):
            key = cell_key(setup, condition, repetition, seed)
            order.append(key)
            stored = store.find(key)
            if stored is None:
                open_cells.append((key, condition, repetition))
            else:
                found[key] = stored
    progress(len(found), 0)
    open_cells.sort(key=lambda cell: claim.cost(cell[1]), reverse=True)
    jobs = max(1, min(jobs, len(open_cells)))
    tasks = (
        joblib.delayed(_measure)(
            key, claim, condition, repetition, seed, preset.settings, os.getpid()
        )
        for key, condition, repetition in open_cells
    )
    threads = max(1, joblib.cpu_count() // jobs)
    limits = {"inner_max_num_threads": threads} if jobs > 1 else {}
    failures = []
    stored_before = len(found)
    with joblib.parallel_config("loky" if jobs > 1 else "sequential", n_jobs=jobs, **limits):
        # One cell to a batch: a batch of several would lose them all when the run is killed.
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        for key, outcome in parallel(tasks):
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                store.add(key, claim.name, setup, seed, outcome)
                found[key] = outcome
            measured = len(found) - stored_before + len(failures)
            progress(stored_before + measured, measured)
    return Sweep(tuple(found[key] for key in order if key in found), tuple(failures))


def _measure(
    key: str,
    claim: Claim,
    condition: Condition,
    repetition: int,
    seed: int,
    settings: Mapping[str, Any],
    parent: int,
) -> tuple[str, Result | Failure]:
    """Measure one cell, in whatever process; an exception becomes a Failure."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    if os.getpid() != parent:
        _end_with(parent)
    rng = np.random.default_rng(seed_sequence(claim, condition, repetition, seed))
    start = time.perf_counter()
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            measured = claim.measure(condition, rng, settings)
        values = {name: float(value) for name, value in measured.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise ValueError(f"{name} must be finite; measured {value}")
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        return key, Failure(condition, repetition, message, traceback.format_exc())
    return key, Result(condition, repetition, values, time.perf_counter() - start)


@functools.cache
def _end_with(parent: int) -> None:
    """End this worker when its parent is gone: a run that is killed cannot stop its workers."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
