"""One case measured: who was prepared, agreed, and was timed in turn."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from .case import OURS, Case, Disagreement, check_agreement, worker_of
from .machine import LIMITS, limit_inputs
from .timing import BLOCK, ROUNDS, Spread, ratios, take_turns
from .workers import ContenderError, Workers

__all__ = ["Measured", "Row", "limits", "measure", "missing_peers", "peak_memory"]

# A process of its own, too, which keeps its matrices.
LIMIT = "limit"
DISAGREES = "disagrees: "
PACKAGES = {"PyTorch": "torch", "JAX": "jax", "POT": "ot"}


@dataclass(frozen=True)
class Row:
    """One contender: its time, how many times ours that is, its rate, or why there is none.

    ``of_limit`` is the part of the machine's limit that the rate reaches, and ``rate`` is in flops
    or bytes per second.
    """

    contender: str
    seconds: Spread | None = None
    ratio: Spread | None = None
    rate: float | None = None
    of_limit: Spread | None = None
    note: str = ""


@dataclass(frozen=True)
class Measured:
    """A case and its rows, ours first."""

    case: Case
    rows: tuple[Row, ...]

    @property
    def disagreements(self) -> list[str]:
        """What peers say whose result is not ours: a fault of theirs or of ours."""
        return [row.note for row in self.rows if row.note.startswith(DISAGREES)]

    def fastest(self, worker: str, in_blocks: bool) -> Row | None:
        """Return a peer's fastest run on whole matrices, or in blocks where it has both."""
        found = {
            row.ratio: row
            for row in self.rows
            if row.ratio
            and worker_of(row.contender) == worker
            and row.contender.endswith("in blocks") == in_blocks
        }
        return found[min(found)] if found else None


def missing_peers() -> set[str]:
    """Return the peers whose package is not installed."""
    return {peer for peer, package in PACKAGES.items() if find_spec(package) is None}


def limits(workers: Workers, rounds: int = ROUNDS) -> dict[str, Spread]:
    """Measure the machine's limits: flops or bytes per second."""
    turns = {}
    for name, (reference, _) in LIMITS.items():
        workers.prepare(LIMIT, name, partial(limit_inputs, name), reference)
        turns[name] = partial(workers.block, LIMIT, name, BLOCK)
    times = take_turns(turns, rounds)
    return {name: Spread.of([LIMITS[name][1] / t for t in times[name]]) for name in LIMITS}


def measure(
    workers: Workers,
    case: Case,
    rounds: int = ROUNDS,
    block: float = BLOCK,
    peers: Collection[str] | None = None,
    without: Collection[str] = (),
    against_limit: bool = True,
) -> Measured:
    """Prepare everybody, compare their results with ours, and time them in turn.

    Parameters
    ----------
    workers : Workers
    case : Case
    rounds : int
        At most; a case may ask for fewer.
    block : float
        Seconds of a turn.
    peers : collection of str, optional
        Contenders that take part beside ours; by default all.
    without : collection of str
        Processes that are left out.
    against_limit : bool
        Whether the machine's limit takes part; `limits` must have been called with these workers.

    Raises
    ------
    ContenderError
        If ours fails. Where a peer fails, or its result is not ours, its row says so.
    """
    results = {OURS: workers.prepare(OURS, OURS, case.inputs, case.runs[OURS])}
    failed: dict[str, str] = {}
    for peer, reference in case.runs.items():
        if peer == OURS or worker_of(peer) in without or (peers and peer not in peers):
            continue
        try:
            results[peer] = workers.prepare(worker_of(peer), peer, case.inputs, reference)
        except ContenderError as error:
            failed[peer] = f"failed: {str(error).splitlines()[-1]}"
            continue
        try:
            check_agreement(case, peer, results[OURS], results[peer])
        except Disagreement as error:
            del results[peer]
            failed[peer] = f"{DISAGREES}{error}"
    turns: dict[str, Callable[[], list[float]]] = {
        name: partial(workers.block, worker_of(name), name, block) for name in results
    }
    work, limit = (case.flops, case.limit) if case.flops else (case.moved, "copy")
    if work and against_limit:
        turns[LIMIT] = partial(workers.block, LIMIT, limit, 0.0)
    times = take_turns(turns, min(rounds, case.rounds or rounds))
    for worker in {worker_of(name) for name in results}:
        workers.forget(worker)
    rows = []
    for name in case.runs:
        if name in results:
            rows.append(_row(case, name, times, work, LIMITS[limit][1], case.note, results[name]))
        elif name in failed:
            rows.append(Row(name, note=failed[name]))
    return Measured(case, tuple(rows))


def _row(
    case: Case,
    name: str,
    times: Mapping[str, list[float]],
    work: float | None,
    limit_work: float,
    note: Callable | None,
    result: list,
) -> Row:
    seconds = Spread.of(times[name])
    of_limit = None
    if work and LIMIT in times:
        # Rate over the limit's rate, both of the same round.
        relative = ratios(times[name], times[LIMIT])
        of_limit = Spread(*(r * work / limit_work for r in relative))
    return Row(
        name,
        seconds,
        None if name == OURS else ratios(times[OURS], times[name]),
        work / seconds.median if work else None,
        of_limit,
        note(result) if note else "",
    )


def peak_memory(case: Case) -> float:
    """Return the peak memory in MB of a fresh process that does our part of a case once."""
    with Workers() as workers:
        workers.prepare(OURS, OURS, case.inputs, case.runs[OURS])
        return workers.peak_memory(OURS)
