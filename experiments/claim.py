"""What a claim is, and the registry of all of them."""

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .statistics import Interval, Outcome

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

Scalar = int | float | str
Condition = Mapping[str, Scalar]


@dataclass(frozen=True)
class Preset:
    """A grid of conditions, and how often each is repeated.

    Parameters
    ----------
    conditions : tuple of mappings
        Every condition is a flat mapping of JSON scalars, all with the same keys.
    repetitions : int
        Independent repetitions of each condition.
    settings : mapping
        Sizes of the measurement that are no condition, e.g. the number of evaluation points.
    """

    conditions: tuple[Condition, ...]
    repetitions: int
    settings: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What one cell, a condition at one repetition, measured; ``seconds`` is its wall time."""

    condition: Condition
    repetition: int
    values: Mapping[str, float]
    seconds: float = math.nan


@dataclass(frozen=True)
class Check:
    """One comparison of measurement and prediction.

    Parameters
    ----------
    name, statement : str
        Short name, and the rule that decides the outcome.
    observed, predicted : float
        The two numbers that are compared; ``predicted`` may be a bound or a tolerance.
    interval : Interval or None
        The confidence interval that decides; None where the comparison has no noise.
    outcome : {"holds", "fails", "undecided"}
    level : str
        What kind of interval it is, for the report; where it is not a 95% confidence interval,
        the statement says more.
    """

    name: str
    statement: str
    observed: float
    interval: Interval | None
    predicted: float
    outcome: Outcome
    level: str = "95% interval"


@dataclass(frozen=True)
class Verdict:
    """All checks of a claim; it fails if one fails, and holds only if every one holds."""

    checks: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst outcome among the checks; without checks nothing is decided."""
        outcomes = {check.outcome for check in self.checks}
        if "fails" in outcomes:
            return "fails"
        return "holds" if outcomes == {"holds"} else "undecided"


class Claim(ABC):
    """A statement of theory that can be measured.

    Attributes
    ----------
    name : str
        Identifier on the command line.
    statement : str
        The claim, in one sentence.
    source : str
        Key in ``references.bib``, and the place.
    presets : mapping
        ``"quick"`` (about a minute on a laptop) and ``"paper"`` (the sizes of the source).
    shared_keys : tuple of str
        Keys of a condition that do not enter the seed of its cells: conditions that differ only in
        these get common random numbers, so that they can be compared in pairs.
    reported : tuple of str
        Measured quantities that the table shows.
    formula : str
        What is predicted, in the LaTeX that matplotlib's mathtext draws: without dollar signs, one
        formula to a line. The report shows none where it is empty, as it is by default.
    formula_text : str
        The same in words, for readers who hear it.

    Notes
    -----
    A stored measurement is reused only while the source of ``numerics`` and of the module of the
    claim is unchanged, so a claim must be defined in a file, and ``measure`` may use nothing else
    that is likely to change.
    """

    name: str
    statement: str
    source: str
    presets: Mapping[str, Preset]
    shared_keys: tuple[str, ...] = ()
    reported: tuple[str, ...]
    formula: str = ""
    formula_text: str = ""

    @abstractmethod
    def predict(self, condition: Condition) -> dict[str, float]:
        """What theory says; a quantity that is measured too carries the same name."""

    @abstractmethod
    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Measure one cell: finite numbers that depend on the arguments alone."""

    @abstractmethod
    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Compare the measurements of a complete grid with the predictions."""

    @abstractmethod
    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Draw measurements over predictions on an empty figure."""

    def cost(self, condition: Condition) -> float:
        """Relative cost of a cell; the dearest cells are run first. Equal by default."""
        return 1.0


ALL_CLAIMS: dict[str, Claim] = {}


def register(claim: Claim) -> Claim:
    """Add a claim to the registry.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    if claim.name in ALL_CLAIMS:
        raise ValueError(f"claim {claim.name!r} is registered already: expected a new name")
    ALL_CLAIMS[claim.name] = claim
    return claim


def load() -> dict[str, Claim]:
    """All claims by name; the modules that hold them are imported by the first call."""
    from . import claims  # noqa: F401

    return ALL_CLAIMS


def get(name: str) -> Claim:
    """The claim of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists the names that come close.
    """
    known = load()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
        raise ValueError(
            f"claim must be one of {', '.join(close)} (all: lazyactive claims); got {name!r}"
        )
    return known[name]


def select(results: Iterable[Result], **condition: Scalar) -> list[Result]:
    """The results whose condition agrees with the given keys, in order of repetition."""
    chosen = [
        result
        for result in results
        if all(result.condition[key] == value for key, value in condition.items())
    ]
    return sorted(chosen, key=lambda result: result.repetition)


def values(results: Iterable[Result], quantity: str) -> list[float]:
    """One measured quantity, in the order of the results."""
    return [result.values[quantity] for result in results]
