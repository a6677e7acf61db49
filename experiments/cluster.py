"""A sweep on a Dask cluster that exists already, through joblib's backend for it.

Only the measurement of a cell goes to the cluster; results come back to this process, which alone
writes to the store. A worker that is lost takes no result with it: Dask gives its cells to others.
"""

import functools
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .claim import Claim, Condition, Result
from .store import claim_source, digest, package_source, source_digest, versions
from .sweep import Cell, Failure, Outcomes, measure_cell

if TYPE_CHECKING:
    from distributed import Client

# Time to reach the scheduler, and for its workers to appear.
CONNECT_SECONDS, WORKERS_SECONDS = 5, 10

State = dict[str, str]

# Of the worker's process, which lives on: what it has imported may be older than the files.
_package_at_start = functools.cache(package_source)
_versions_at_start = functools.cache(versions)
_claims_at_start: dict[Any, dict[str, str]] = {}

# Of the worker's process. The limits on the threads of BLAS are its own too, not its threads', and
# compiled loops that run at the same time would crash Numba's simplest threading layer.
_ONE_CELL = threading.Lock()


class ClusterError(ValueError):
    """A cluster that cannot be used."""


class ClusterLost(RuntimeError):
    """A cluster that could be used, and no longer can."""


def outcomes(
    address: str,
    claim: Claim,
    cells: Sequence[Cell],
    seed: int,
    settings: Mapping[str, Any],
) -> Outcomes:
    """Measure cells on a cluster, in whatever order they end.

    Each worker measures one cell at a time, with as many of Numba's threads as it has threads; the
    numbers do not depend on that. A cell whose workers were killed, one after the other, more often
    than the scheduler allows, is a failure of that cell.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``"tcp://host:8786"``.
    claim : Claim
    cells : sequence of (key, condition, repetition)
    seed : int
    settings : mapping
        Those of the preset.

    Yields
    ------
    key : str
    outcome : Result or Failure

    Raises
    ------
    ClusterError
        If Dask is not installed, the scheduler cannot be reached, it has no workers, or these run
        other versions or another source than this process.
    ClusterLost
        If the connection is lost on the way.
    """
    import joblib

    with _connect(address) as client:
        here = state(claim)
        _require_alike(client, claim, here)
        # Cells beyond the first of a worker would wait in its other threads, and not go where a
        # worker is idle: where there are such threads, joblib keeps most cells back.
        threads = client.nthreads()
        ahead: str | int = "all" if set(threads.values()) == {1} else len(threads)
        tasks = (
            joblib.delayed(_measure)(here, key, claim, condition, repetition, seed, settings)
            for key, condition, repetition in cells
        )
        missing = {key: (condition, repetition) for key, condition, repetition in cells}
        lost = []
        with joblib.parallel_config(_backend(client)):
            parallel = joblib.Parallel(
                return_as="generator_unordered", batch_size=1, pre_dispatch=ahead
            )
            for key, outcome in parallel(tasks):
                if key is None:
                    lost.append(outcome)
                else:
                    del missing[key]
                    yield key, outcome
        for (key, (condition, repetition)), message in zip(missing.items(), lost, strict=True):
            yield key, Failure(condition, repetition, message, message)


@contextmanager
def _connect(address: str) -> Iterator["Client"]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            "a cluster needs Dask: python -m pip install 'lazyactive[cluster]'"
        ) from error
    # It shows a lost connection as a traceback; what that means here is said by an error of ours.
    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"scheduler must be the address of a running Dask scheduler, such as "
                f"tcp://host:8786; {address!r} does not answer ({error})"
            ) from error
        with client:
            yield client
    finally:
        logger.setLevel(level)


def _require_alike(client: "Client", claim: Claim, here: State) -> None:
    """Refuse workers whose numbers would not be ours."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except TimeoutError as error:
        raise ClusterError(f"the cluster has had no worker for {WORKERS_SECONDS} s") from error
    for worker, found in client.run(_state_of_worker, claim, on_error="return").items():
        if isinstance(found, BaseException):
            raise ClusterError(
                f"worker {worker} must be able to import lazyactive and the claim; "
                f"{type(found).__name__}: {found}"
            )
        difference = _difference(here, found)
        if difference:
            raise ClusterError(f"worker {worker} {difference}")


def state(claim: Claim) -> State:
    """What a cell's numbers depend on beside its arguments, as this process finds it."""
    return versions() | {"source": source_digest(claim)}


def _state_of_worker(claim: Claim) -> State:
    """Versions and source as they were when this process first saw the claim."""
    own = _claims_at_start.setdefault((type(claim), claim.origin), claim_source(claim))
    return _versions_at_start() | {"source": digest(_package_at_start() | own)}


def _difference(here: State, there: State) -> str | None:
    """In what a worker differs, as the end of a sentence."""
    for name, ours in here.items():
        if there.get(name) != ours:
            if name == "source":
                return (
                    "runs another source of lazyactive or of the claim than this process: install "
                    "the same there, and restart workers that began before"
                )
            return f"has {name} {there.get(name)}, but this process {ours}"
    return None


def _measure(
    here: State,
    key: str,
    claim: Claim,
    condition: Condition,
    repetition: int,
    seed: int,
    settings: Mapping[str, Any],
) -> tuple[str, Result | Failure]:
    """Measure one cell on a worker, which may have joined after the others were compared."""
    import joblib
    import numba
    from distributed import get_worker

    worker = get_worker()
    difference = _difference(here, _state_of_worker(claim))
    if difference:
        message = f"worker {worker.address} {difference}"
        return key, Failure(condition, repetition, message, message)
    # What a measurement does with joblib itself stays here, and does not wait for other cells.
    with _ONE_CELL, joblib.parallel_config("sequential"):
        before = numba.get_num_threads()
        numba.set_num_threads(min(worker.state.nthreads, before))
        try:
            return measure_cell(key, claim, condition, repetition, seed, settings)
        finally:
            numba.set_num_threads(before)


def _backend(client: "Client") -> Any:
    """The backend of joblib for Dask, where a task that Dask gives up has an outcome too.

    As it is, joblib hears of a task that ends, and of an error that the task raised, but not of one
    that Dask reports in its place: it would wait for that task for ever. Nor would it use a cluster
    that has a single thread.
    """
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm import CommClosedError
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs: int = 1) -> int:
            # Where the cluster has one thread, joblib would measure in this process instead.
            return max(2, super().effective_n_jobs(n_jobs))

        def submit(self, func: Any, callback: Any = None) -> Any:
            future = super().submit(func, callback)

            def tell(ended: Any) -> None:
                error = ended.exception()
                if error is not None:
                    callback(error)

            future.add_done_callback(tell)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, KilledWorker):
                message = (
                    f"KilledWorker: {out.allowed_failures + 1} workers died with this cell, one "
                    "after the other, perhaps for want of memory"
                )
                return [(None, message)]
            if isinstance(out, (CancelledError, CommClosedError)):
                raise ClusterLost("The connection to the scheduler was lost")
            if isinstance(out, BaseException):
                raise ClusterLost(f"The cluster gave up a cell ({type(out).__name__}: {out})")
            return super().retrieve_result_callback(out)

    return Backend(client=client)
