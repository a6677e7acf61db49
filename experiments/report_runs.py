"""The claims that were run, read back from the folder that holds their results."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from .claim import Claim
from .statistics import Outcome

OUTCOMES: tuple[str, ...] = get_args(Outcome)
PNG = b"\x89PNG\r\n\x1a\n"

# What a summary must hold: types, mappings of names to what they hold, lists of one kind.
_NUMBER = (int, float, type(None))
_INTERVAL = {"value": _NUMBER, "low": _NUMBER, "high": _NUMBER}
_SHAPE: dict[str, Any] = {
    "claim": str,
    "statement": str,
    "source": str,
    "preset": str,
    "settings": dict,
    "seed": int,
    "verdict": str,
    "checks": [
        {"name": str, "statement": str, "observed": _NUMBER, "predicted": _NUMBER, "outcome": str}
    ],
    "conditions": [{"condition": dict, "cells": int, "measured": dict, "predicted": dict}],
    "failures": [{"condition": dict, "repetition": int, "error": str}],
    "versions": dict,
    "source_digest": str,
    "seconds": (int, float),
}


@dataclass(frozen=True)
class Run:
    """The last run of a claim.

    Parameters
    ----------
    name : str
        That of its folder.
    summary : mapping
        What `report.summary` wrote.
    figure : bytes or None
        The picture as PNG; None where there is none.
    claim : Claim or None
        None where no claim of this name is registered.
    """

    name: str
    summary: Mapping[str, Any]
    figure: bytes | None
    claim: Claim | None


@dataclass(frozen=True)
class Unreadable:
    """A folder whose summary cannot be read, and why: a sentence without its full stop."""

    name: str
    reason: str


def collect(out: Path, claims: Mapping[str, Claim]) -> list[Run | Unreadable]:
    """Read every claim that has results in a folder.

    Parameters
    ----------
    out : path
        Of an existing folder; the results of a claim are in ``out/CLAIM``.
    claims : mapping of name to Claim
        Those that are registered. They come first, in this order; others follow by name.

    Returns
    -------
    list of Run or Unreadable
        Claims that were not run are left out, and so are summaries of something else, such as a
        spectrum.
    """
    folders = {path.parent.name: path.parent for path in sorted(out.glob("*/summary.json"))}
    order = [name for name in claims if name in folders]
    order += [name for name in folders if name not in claims]
    found = (_read(folders[name], claims.get(name)) for name in order)
    return [run for run in found if run is not None]


def _read(folder: Path, claim: Claim | None) -> Run | Unreadable | None:
    """One folder; None where its summary is of no claim."""
    try:
        data = _json((folder / "summary.json").read_text(encoding="utf-8"))
        if claim is None and isinstance(data, dict) and "claim" not in data:
            return None
        _require(data, _SHAPE, "the summary")
        _require_consistent(data, folder.name)
        return Run(folder.name, data, _figure(folder / "figure.png"), claim)
    except (OSError, ValueError, RecursionError) as error:
        return Unreadable(folder.name, str(error))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the summary must be JSON, and is not ({error})") from error


def _figure(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    # A PNG begins with its signature, and the header that holds its size.
    if not content.startswith(PNG) or len(content) < 24:
        raise ValueError("figure.png must be a PNG picture, and is not")
    return content


def _require(data: Any, shape: Any, where: str) -> None:
    """Raise a ValueError unless the data have a shape; further keys are welcome."""
    if isinstance(shape, dict):
        _require(data, dict, where)
        for key, inner in shape.items():
            if key not in data:
                raise ValueError(f"{where} must hold {key!r}, and does not")
            _require(data[key], inner, f"{key!r} of {where}")
    elif isinstance(shape, list):
        _require(data, list, where)
        for entry in data:
            _require(entry, shape[0], f"an entry of {where}")
    elif not isinstance(data, shape):
        raise ValueError(f"{where} must be another type of JSON, not {type(data).__name__}")


def _require_consistent(data: Mapping[str, Any], name: str) -> None:
    """What types alone don't say."""
    if data["claim"] != name:
        raise ValueError(f"the claim must be {name!r} as the folder is; got {data['claim']!r}")
    outcomes = [data["verdict"], *(check["outcome"] for check in data["checks"])]
    for outcome in outcomes:
        if outcome not in OUTCOMES:
            raise ValueError(f"an outcome must be one of {', '.join(OUTCOMES)}; got {outcome!r}")
    for check in data["checks"]:
        if check.get("interval") is not None:
            _require(check["interval"], _INTERVAL, f"the interval of check {check['name']!r}")
    for entry in data["conditions"]:
        for quantity, interval in entry["measured"].items():
            _require(interval, _INTERVAL, f"the measured {quantity!r}")
        for quantity, number in entry["predicted"].items():
            _require(number, _NUMBER, f"the predicted {quantity!r}")
    for key in ("formula", "formula_text"):
        _require(data.get(key, ""), str, f"{key!r} of the summary")
    _require(data.get("reported", []), [str], "'reported' of the summary")
