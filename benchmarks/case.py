"""What a benchmark is: one piece of work, and everyone who does it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["OURS", "Case", "Disagreement", "check_agreement", "worker_of"]

OURS = "ours"


class Disagreement(Exception):
    """A peer does not compute what we compute, so that its time means nothing."""


@dataclass(frozen=True)
class Case:
    """One piece of work.

    Parameters
    ----------
    name : str
        For the command line.
    work : str
        What is computed, with its sizes, for the table.
    inputs : callable
        Returns the tuple of arrays that every contender is given.
    runs : mapping of str to str
        Contender to ``"module:function"``. The function takes the inputs, does once what a user
        does once (tiles, tensors, compilation), and returns the run that is timed. The first is
        ours. The first word of a contender is its process, so that "PyTorch, autograd" and
        "PyTorch, formula" share one.
    flops : float, optional
        Multiplications and additions of the two or more matrix products in the work, for a rate
        beside that of NumPy's matrix product.
    moved : float, optional
        Bytes that must be read or written, for a rate beside that of copying.
    dtype : str
        Of the work: its matrix product is the limit.
    rtol, atol : float, optional
        Largest difference of results: ``atol + rtol * max |ours|``. Without rtol the results are
        not compared.
    note : callable, optional
        Words on a contender's result, for the table.
    rounds : int, optional
        Fewer rounds, where one takes long.
    """

    name: str
    work: str
    inputs: Callable[[], tuple[Any, ...]]
    runs: Mapping[str, str]
    flops: float | None = None
    moved: float | None = None
    dtype: str = "float32"
    rtol: float | None = 1e-4
    atol: float = 0.0
    note: Callable[[Sequence[np.ndarray]], str] | None = None
    rounds: int | None = None

    @property
    def limit(self) -> str:
        """The matrix product of the type of the work."""
        return "sgemm" if self.dtype == "float32" else "dgemm"


def worker_of(contender: str) -> str:
    """Return the process that a contender runs in."""
    return contender.split(",")[0]


def check_agreement(
    case: Case, contender: str, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]
) -> None:
    """Raise Disagreement unless the results are the same to the tolerance of the case."""
    if case.rtol is None:
        return
    if len(ours) != len(theirs):
        raise Disagreement(f"{contender} returns {len(theirs)} results, but ours are {len(ours)}.")
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.shape != b.shape:
            raise Disagreement(f"{contender}, result {i}: shape {b.shape}, but ours is {a.shape}.")
        difference = float(np.abs(a.astype(np.float64) - b).max())
        allowed = case.atol + case.rtol * float(np.abs(a).max())
        if not difference <= allowed:
            raise Disagreement(
                f"{contender}, result {i}: off by {difference:.3g}, but {allowed:.3g} is allowed."
            )
