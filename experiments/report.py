"""What a verified claim leaves behind: a table to read, and files to work with."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..numerics._files import write_whole
from .claim import Claim, Condition, Preset, Result, Verdict, select, values
from .statistics import Interval, mean
from .store import source_digest, versions
from .sweep import Failure


def summary(
    claim: Claim,
    preset: str,
    seed: int,
    results: Sequence[Result],
    failures: Sequence[Failure],
    verdict: Verdict,
) -> dict[str, Any]:
    """Everything about a run, as JSON: numbers that are not finite become None."""
    grid = claim.presets[preset]
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "formula": claim.formula,
        "formula_text": claim.formula_text,
        "reported": list(claim.reported),
        "preset": preset,
        "settings": dict(grid.settings),
        "seed": seed,
        "verdict": verdict.outcome,
        "checks": [
            {
                "name": check.name,
                "statement": check.statement,
                "observed": _number(check.observed),
                "interval": None if check.interval is None else _interval(check.interval),
                "predicted": _number(check.predicted),
                "outcome": check.outcome,
                "level": check.level,
            }
            for check in verdict.checks
        ],
        "conditions": [
            _condition_summary(claim, condition, select(results, **condition))
            for condition in grid.conditions
        ],
        "failures": [
            {
                "condition": dict(failure.condition),
                "repetition": failure.repetition,
                "error": failure.error,
            }
            for failure in failures
        ],
        "versions": versions(),
        "source_digest": source_digest(claim),
        # Of the cells themselves: the sum over workers, and over interrupted runs.
        "seconds": math.fsum(result.seconds for result in results),
    }


def table(claim: Claim, grid: Preset, results: Sequence[Result]) -> str:
    """Measured means ± half of the 95% interval, beside the predictions, one condition to a row."""
    keys = list(grid.conditions[0])
    predictions = [claim.predict(condition) for condition in grid.conditions]
    header = [*keys, "cells"]
    for quantity in claim.reported:
        header += [quantity, "±"]
        if any(quantity in prediction for prediction in predictions):
            header.append("predicted")
    rows = []
    for condition, prediction in zip(grid.conditions, predictions, strict=True):
        cells = select(results, **condition)
        row = [*(str(condition[key]) for key in keys), str(len(cells))]
        for quantity in claim.reported:
            interval = mean(values(cells, quantity)) if cells else None
            row += [_short(interval.value), _short(interval.half_width)] if interval else ["", ""]
            if any(quantity in other for other in predictions):
                row.append(_short(prediction[quantity]) if quantity in prediction else "")
        rows.append(row)
    return aligned(header, rows)


def checks(verdict: Verdict) -> str:
    """The checks, each with the numbers that decided it, and the verdict in the last line."""
    lines = []
    for check in verdict.checks:
        lines.append(f"[{check.outcome}] {check.name}: {check.statement}")
        observed = f"observed {_short(check.observed)}"
        if check.interval is not None:
            low, high = _short(check.interval.low), _short(check.interval.high)
            observed += f", {check.level} [{low}, {high}]"
        lines.append(f"    {observed}; against {_short(check.predicted)}")
    lines.append(f"verdict: {verdict.outcome}")
    return "\n".join(lines)


def write(folder: Path, claim: Claim, grid: Preset, results: Sequence[Result], data: Any) -> None:
    """Write ``results.csv``, one cell to a row, and ``summary.json``."""
    keys = list(grid.conditions[0])
    # Claims may measure different quantities under different conditions.
    quantities = list(dict.fromkeys(name for result in results for name in result.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*keys, "repetition", *quantities])
    for result in results:
        measured = [result.values.get(name, "") for name in quantities]
        writer.writerow([*(result.condition[key] for key in keys), result.repetition, *measured])
    write_whole(folder / "results.csv", text.getvalue().encode())
    write_whole(folder / "summary.json", (to_json(data) + "\n").encode())


def aligned(header: list[str], body: list[list[str]]) -> str:
    """Columns of text under a header, flush right."""
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    rows = [header, ["-" * width for width in widths], *body]
    return "\n".join(
        "  ".join(entry.rjust(width) for entry, width in zip(row, widths, strict=True))
        for row in rows
    )


def to_json(data: Any) -> str:
    """Indented JSON; NaN and infinity, which are no JSON, are refused."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)


def _condition_summary(
    claim: Claim, condition: Condition, cells: Sequence[Result]
) -> dict[str, Any]:
    names = cells[0].values if cells else ()
    return {
        "condition": dict(condition),
        "cells": len(cells),
        "measured": {name: _interval(mean(values(cells, name))) for name in names},
        "predicted": {name: _number(x) for name, x in claim.predict(condition).items()},
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    return {name: _number(value) for name, value in interval._asdict().items()}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:.4g}"
