"""One process for each contender, asked in turn.

In one process the contenders would spoil each other's times. After a call the threads of OpenBLAS
keep spinning for 80 ms, those of Numba for 8 ms (measured as the processor time of a process that
sleeps), and several OpenMP libraries in one process compete for the same cores. Here each has a
process of its own, and `timing` rests between turns until all threads sleep.

To bind all of them to some cores, bind the parent: ``taskset -c 0,1 python -m benchmarks``. Numba,
OpenBLAS, PyTorch and JAX all count the cores that they are bound to.
"""

import multiprocessing
import resource
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np

__all__ = ["ContenderError", "Workers"]

# Entries of one result that are compared; of a larger array every few.
COMPARED = 2**18
# Seconds; of a run that takes longer, the first call counts.
LONG = 2.0


class ContenderError(Exception):
    """A contender could not do the work: its own words."""


class Workers:
    """Processes by name, started when they are first needed, and ended with the block."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[multiprocessing.process.BaseProcess, Connection]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self._running):
            self._end(name)

    def prepare(
        self, worker: str, run: str, inputs: Callable[[], tuple], reference: str
    ) -> list[np.ndarray]:
        """Let a worker make a run of this name, call it once, and return its result.

        Raises
        ------
        ContenderError
            If it can't, in the words of its exception; here as in the other requests.
        """
        return self._ask(worker, "prepare", run, inputs, reference)

    def block(self, worker: str, run: str, seconds: float) -> list[float]:
        """Return the times of calls, one after another for so long.

        The first is left out, unless it is so long that nothing else fits in `LONG` seconds.
        """
        return self._ask(worker, "block", run, seconds)

    def forget(self, worker: str) -> None:
        """Let a worker free what it prepared."""
        if worker in self._running:
            self._ask(worker, "forget")

    def peak_memory(self, worker: str) -> float:
        """Return the largest memory that a worker ever used, in MB."""
        return self._ask(worker, "peak_memory")

    def _ask(self, worker: str, request: str, *arguments: Any) -> Any:
        if worker not in self._running:
            self._start(worker)
        process, pipe = self._running[worker]
        try:
            pipe.send((request, arguments))
            ok, answer = pipe.recv()
        except (EOFError, ConnectionError) as error:
            process.join()
            self._end(worker)
            raise ContenderError(
                f"its process ended with exit code {process.exitcode} in {request!r}."
            ) from error
        if not ok:
            raise ContenderError(answer)
        return answer

    def _start(self, worker: str) -> None:
        # A forked child would inherit threads that do not run in it.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), name=worker, daemon=True)
        process.start()
        theirs.close()
        self._running[worker] = process, ours

    def _end(self, worker: str) -> None:
        process, pipe = self._running.pop(worker)
        pipe.close()
        process.join(5)
        if process.is_alive():
            process.terminate()


class _Desk:
    """What a worker does when it is asked."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}

    def prepare(self, run: str, inputs: Callable, reference: str) -> list[np.ndarray]:
        module, function = reference.split(":")
        self.runs[run] = getattr(import_module(module), function)(*inputs())
        return [_part(result) for result in _results(self.runs[run]())]

    def block(self, run: str, seconds: float) -> list[float]:
        call = self.runs[run]
        times: list[float] = []
        end = time.perf_counter() + seconds
        while sum(times) < LONG and (len(times) < 2 or time.perf_counter() < end):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        # Threads that slept and a cache that others filled are not part of the work.
        return times[1:] or times

    def forget(self) -> None:
        self.runs.clear()

    def peak_memory(self) -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _serve(pipe: Connection) -> None:
    # An interrupt from the keyboard reaches every process; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    desk = _Desk()
    while True:
        try:
            request, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, getattr(desk, request)(*arguments)
        # Whatever a peer's library raises is an answer, which the parent raises again.
        except Exception:
            answer = False, traceback.format_exc(limit=-2).strip()
        pipe.send(answer)


def _results(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def _part(result: Any) -> np.ndarray:
    flat = np.asarray(result).ravel()
    return flat[:: -(-flat.size // COMPARED) or 1].copy()
