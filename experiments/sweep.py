"""Run the cells of a claim in parallel, so that the numbers depend on nothing but the seed."""

import contextlib
import functools
import math
import os
import threading
import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .claim import Claim, Condition, Preset, Result
from .store import Store, cell_key, configuration, digest

if TYPE_CHECKING:
    import numpy as np

# Its key in the store, its condition and its repetition.
Cell = tuple[str, Condition, int]


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


# The key of each cell with its outcome, in whatever order they end.
Outcomes = Generator[tuple[str, Result | Failure], None, None]


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
    jobs: int = 1,
    scheduler: str | None = None,
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
    scheduler : str, optional
        Address of a Dask scheduler, such as ``"tcp://host:8786"``: its workers measure the cells,
        and `jobs` is not used. See `cluster.outcomes`.
    progress : callable
        Called with the number of cells that are done, and how many of them this run measured;
        first before any is measured.

    Returns
    -------
    Sweep
        A cell that raises does not stop the others, and is not stored.

    Raises
    ------
    ClusterError, ClusterLost
        If the scheduler or its workers cannot be used, or no longer.
    """
    setup = configuration(claim, preset.settings)
    found: dict[str, Result] = {}
    open_cells: list[Cell] = []
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
    if scheduler is None or not open_cells:
        outcomes = _local_outcomes(claim, open_cells, seed, preset.settings, jobs)
    else:
        from . import cluster

        outcomes = cluster.outcomes(scheduler, claim, open_cells, seed, preset.settings)
    failures = []
    stored_before = len(found)
    with contextlib.closing(outcomes):
        for key, outcome in outcomes:
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                store.add(key, claim.name, setup, seed, outcome)
                found[key] = outcome
            measured = len(found) - stored_before + len(failures)
            progress(stored_before + measured, measured)
    return Sweep(tuple(found[key] for key in order if key in found), tuple(failures))


def _local_outcomes(
    claim: Claim, cells: Sequence[Cell], seed: int, settings: Mapping[str, Any], jobs: int
) -> Outcomes:
    """Measure cells in processes of this machine."""
    import joblib

    jobs = max(1, min(jobs, len(cells)))
    tasks = (
        joblib.delayed(measure_cell)(key, claim, condition, repetition, seed, settings, os.getpid())
        for key, condition, repetition in cells
    )
    threads = max(1, joblib.cpu_count() // jobs)
    limits = {"inner_max_num_threads": threads} if jobs > 1 else {}
    with joblib.parallel_config("loky" if jobs > 1 else "sequential", n_jobs=jobs, **limits):
        # One cell to a batch: a batch of several would lose them all when the run is killed.
        yield from joblib.Parallel(return_as="generator_unordered", batch_size=1)(tasks)


def measure_cell(
    key: str,
    claim: Claim,
    condition: Condition,
    repetition: int,
    seed: int,
    settings: Mapping[str, Any],
    parent: int | None = None,
) -> tuple[str, Result | Failure]:
    """Measure one cell, in whatever process; an exception becomes a Failure.

    A worker that names the process which started it, `parent`, ends with it.
    """
    import numpy as np

    # SciPy brings a BLAS of its own: loaded by the measurement, it would come after the limit.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    if parent is not None and os.getpid() != parent:
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
