"""What a claim is, and the registry of all of them."""

import difflib
import inspect
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, SupportsIndex

from .statistics import Interval, Outcome

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from .user_claims import Origin

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

    Raises
    ------
    ValueError
        If the conditions are none, not flat, not finite, not different, or not of the same keys, or
        if there is no repetition.
    """

    conditions: tuple[Condition, ...]
    repetitions: int
    settings: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.conditions, (tuple, list)) or not self.conditions:
            raise ValueError(
                f"conditions must be a tuple of mappings, e.g. ({{'d': 3}}, {{'d': 5}}); "
                f"got {self.conditions!r}"
            )
        for mapping in (*self.conditions, self.settings):
            _check_flat(mapping)
        for i, condition in enumerate(self.conditions):
            if list(condition) != list(self.conditions[0]):
                raise ValueError(
                    f"conditions must have the same keys in the same order; got "
                    f"{dict(self.conditions[0])} and {dict(condition)}"
                )
            if condition in self.conditions[:i]:
                raise ValueError(f"conditions must differ; got {dict(condition)} twice")
        if not isinstance(self.repetitions, int) or self.repetitions < 1:
            raise ValueError(f"repetitions must be a number from 1; got {self.repetitions!r}")


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
        Identifier on the command line: letters, digits, dots, hyphens and underscores.
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
        Measured quantities that the table shows; those that are predicted, unless others are named.
    formula : str
        What is predicted, in the LaTeX that matplotlib's mathtext draws: without dollar signs, one
        formula to a line. The report shows none where it is empty, as it is by default.
    formula_text : str
        The same in words, for readers who hear it.
    precision : float or None
        For claims that leave `verdict` as it is: the largest half-width of an interval, over the
        prediction, at which an agreement means something.
    origin : Origin or None
        The file that the claim was loaded from, if it is a user's own; set by `user_claims.load`.

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
    formula: str = ""
    formula_text: str = ""
    precision: float | None = None
    origin: "Origin | None" = None

    @property
    def reported(self) -> tuple[str, ...]:
        """The predicted quantities, over all conditions of the first preset."""
        grid = next(iter(self.presets.values()))
        return tuple(dict.fromkeys(name for c in grid.conditions for name in self.predict(c)))

    @abstractmethod
    def predict(self, condition: Condition) -> dict[str, float]:
        """What theory says; a quantity that is measured too carries the same name."""

    @abstractmethod
    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Measure one cell: finite numbers that depend on the arguments alone."""

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Compare the measurements of a complete grid with the predictions.

        Unless a claim has a verdict of its own, every predicted value is an equality for the mean
        over repetitions: see `agreement.verdict`.
        """
        from . import agreement

        return agreement.verdict(self, results)

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Draw measurements over predictions on an empty figure.

        Unless a claim has a figure of its own, the reported quantities are drawn against the first
        number that varies: see `agreement.draw`.
        """
        from . import agreement

        agreement.draw(self, results, figure)

    def cost(self, condition: Condition) -> float:
        """Relative cost of a cell; the dearest cells are run first. Equal by default."""
        return 1.0

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Pickle a user's claim as the text of its file, which a worker need not have."""
        if self.origin is None:
            return super().__reduce_ex__(protocol)
        return self.origin.claim, (self.name,)


ALL_CLAIMS: dict[str, Claim] = {}


def register(claim: Claim) -> Claim:
    """Add a claim to the registry.

    Raises
    ------
    ValueError
        If the claim lacks something, or the name is taken.
    """
    _check_complete(claim)
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


def _check_flat(mapping: Mapping[str, Scalar]) -> None:
    """Raise ValueError unless a mapping can be written as flat JSON, and read back the same."""
    wanted = "conditions and settings must map names to finite numbers or strings"
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{wanted}; got {mapping!r}")
    for key, value in mapping.items():
        finite = isinstance(value, (int, str)) or (
            isinstance(value, float) and math.isfinite(value)
        )
        if not isinstance(key, str) or not finite:
            raise ValueError(f"{wanted}; got {key!r}: {value!r}")


def _check_complete(claim: Claim) -> None:
    """Raise ValueError unless a claim has all that the command line needs of one."""
    if not isinstance(claim, Claim):
        raise ValueError(f"register takes a claim, as in register(MyClaim()); got {claim!r}")
    kind = type(claim).__name__
    for attribute in ("name", "statement", "source"):
        text = getattr(claim, attribute, None)
        if not isinstance(text, str) or not text:
            raise ValueError(f"{kind}.{attribute} must be a text; got {text!r}")
    # It names the folder of the results.
    if not re.fullmatch(r"\w[\w.-]*", claim.name, re.ASCII):
        raise ValueError(
            f"{kind}.name must be letters, digits, dots, hyphens and underscores; "
            f"got {claim.name!r}"
        )
    presets = getattr(claim, "presets", None)
    if not isinstance(presets, Mapping) or not presets or not set(presets) <= {"quick", "paper"}:
        raise ValueError(f"{kind}.presets must map 'quick', 'paper' or both to a Preset")
    for preset in presets.values():
        if not isinstance(preset, Preset):
            raise ValueError(f"{kind}.presets must hold objects of Preset; got {preset!r}")
        keys = list(preset.conditions[0])
        if isinstance(claim.shared_keys, str) or not set(claim.shared_keys) <= set(keys):
            raise ValueError(
                f"{kind}.shared_keys must be a tuple of keys of the conditions, {keys}; "
                f"got {claim.shared_keys!r}"
            )
    # Not through the claim: by default it is computed from predictions, which import SymPy.
    if isinstance(inspect.getattr_static(claim, "reported"), str):
        raise ValueError(f"{kind}.reported must be a tuple of names; got {claim.reported!r}")
    if type(claim).verdict is Claim.verdict and not (claim.precision and claim.precision > 0):
        raise ValueError(
            f"{kind}.precision must be a positive number where the claim has no verdict of its "
            f"own; got {claim.precision!r}"
        )
