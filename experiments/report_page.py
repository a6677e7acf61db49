"""All claims that were run, as one page of HTML that needs nothing beside itself."""

import base64
import inspect
import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from . import bibliography, formula
from .claim import Claim
from .report_runs import OUTCOMES, Run, Unreadable
from .store import source_digest, versions

TITLE = "lazyactive: theory against measurement"
PURPOSE = (
    "When does a shallow network that moves its features beat the same network with frozen ones? "
    "For every claim a prediction, an independent measurement, and a verdict."
)
NOT_RUN, UNREADABLE = "not run", "unreadable"
# Longer tables wait until they are asked for; print shows all.
LONG = 12
# Pixels per inch of saved figures, and of a page on screen.
FIGURE_DPI, SCREEN_DPI = 200, 96

_TEMPLATE = Path(__file__).with_name("report_page.html")
_MARKS = {
    "holds": "M2 9l4 5 8-11",
    "fails": "M3 3l10 10M13 3L3 13",
    "undecided": "M4 5a4 4 0 1 1 5 4q-1 .5-1 2M8 13.5v1.5",
    UNREADABLE: "M8 2v8M8 12.5v2",
    NOT_RUN: "M2 8h12",
}


def page(
    runs: Sequence[Run | Unreadable],
    claims: Mapping[str, Claim],
    *,
    out: str,
    date: str,
    machine: str,
) -> str:
    """Write the page.

    Parameters
    ----------
    runs : sequence of Run or Unreadable
        In the order of the page.
    claims : mapping of name to Claim
        Those that are registered; the ones that were not run are listed at the end.
    out : str
        The folder of the results, for the commands that run a claim again.
    date, machine : str
        When and where the page is made. All else is a function of the results and of what is
        installed.

    Returns
    -------
    str
        HTML that loads nothing: styles and figures are in it, and it has no script.
    """
    missing = [claim for name, claim in claims.items() if name not in {run.name for run in runs}]
    anchors = {run.name: _anchor(run.name, place) for place, run in enumerate(runs)}
    entries = [
        (f'<a href="#{anchors[run.name]}">{escape(run.name)}</a>', _state(run)) for run in runs
    ]
    entries += [(escape(claim.name), NOT_RUN) for claim in missing]
    sections = [
        _unreadable(run, anchors[run.name])
        if isinstance(run, Unreadable)
        else _section(run, anchors[run.name], out)
        for run in runs
    ]
    if missing:
        sections.append(_not_run(missing, out))
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(TITLE),
        purpose=escape(PURPOSE),
        date=escape(date),
        machine=escape(machine),
        versions=escape(_versions(versions())),
        tally=_tally([state for _, state in entries]),
        contents=_list([f"<li>{label} {_badge(state)}</li>" for label, state in entries]),
        sections="\n".join(sections),
    )


def _section(run: Run, anchor: str, out: str) -> str:
    """One claim, from its verdict to the command that runs it again."""
    data = run.summary
    parts = [
        _heading(run.name, anchor, data["verdict"]),
        f'<p class="statement">{escape(data["statement"])}</p>',
        _source(data["source"]),
        _formula(run),
        _figure(run),
        _failures(data["failures"]),
        _checks(data["checks"]),
        _conditions(run),
        _circumstances(run),
        _again(run, out),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _unreadable(run: Unreadable, anchor: str) -> str:
    heading = _heading(run.name, anchor, UNREADABLE)
    return f"{heading}\n<p>Its summary cannot be read: {escape(run.reason)}.</p>\n</section>"


def _not_run(missing: Sequence[Claim], out: str) -> str:
    items = [
        f"<li><strong>{escape(claim.name)}</strong>: {escape(claim.statement)}</li>"
        for claim in missing
    ]
    return "\n".join(
        [
            '<section aria-labelledby="not-run">',
            '<h2 id="not-run">Not run yet</h2>',
            _list(items, "plain"),
            _command(["lazyactive", "verify", "CLAIM", "--out", out]),
            "</section>",
        ]
    )


def _heading(name: str, anchor: str, state: str) -> str:
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-name">\n'
        f'<h2 id="{anchor}-name">{escape(name)} {_badge(state)}</h2>'
    )


def _source(source: str) -> str:
    """The source as the claim names it, and the works that it cites in full."""
    items = []
    for work in bibliography.cited(source):
        text = escape(work.text)
        if work.address:
            text += f' <a href="{escape(work.address)}">{escape(work.address)}</a>'
        items.append(f"<li>{text}</li>")
    works = _list(items, "references") if items else ""
    return f'<div class="faint"><p>Source: {escape(source)}</p>\n{works}</div>'


def _formula(run: Run) -> str:
    """What is predicted; nothing where the claim gives no formula."""
    # Summaries of earlier versions don't have it.
    text = run.summary.get("formula", getattr(run.claim, "formula", ""))
    words = run.summary.get("formula_text", getattr(run.claim, "formula_text", ""))
    lines = [_drawn(line) for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    label = escape(words or text)
    return f'<div class="formula" role="img" aria-label="{label}">{"".join(lines)}</div>'


def _drawn(line: str) -> str:
    try:
        return formula.svg(line)
    except ValueError:
        # No LaTeX that mathtext knows: it is shown as it is written.
        return f"<code>{escape(line)}</code>"


def _figure(run: Run) -> str:
    if run.figure is None:
        return "<p>There is no figure.</p>"
    width, height = (int.from_bytes(run.figure[i : i + 4]) for i in (16, 20))
    scale = SCREEN_DPI / FIGURE_DPI
    caption = _caption(run.claim)
    described = " ".join(filter(None, [run.summary["statement"], caption, _result(run.summary)]))
    return (
        f'<figure>\n<img src="data:image/png;base64,{base64.b64encode(run.figure).decode()}" '
        f'width="{round(width * scale)}" height="{round(height * scale)}" '
        f'alt="{escape("Figure. " + described)}">\n'
        + (f"<figcaption>{escape(caption)}</figcaption>\n" if caption else "")
        + "</figure>"
    )


def _caption(claim: Claim | None) -> str:
    """What is plotted, as the claim's own method says that draws it."""
    text = (inspect.getdoc(type(claim).draw) or "") if claim is not None else ""
    if claim is None or text == inspect.getdoc(Claim.draw):
        return ""
    return re.sub(r"`+", "", " ".join(text.split("\n\n")[0].split()))


def _result(data: Mapping[str, Any]) -> str:
    """The outcomes of the checks, for those who don't see the figure."""
    counts = Counter(check["outcome"] for check in data["checks"])
    words = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
    return f"Verdict: {data['verdict']}. Checks: {words or 'none'}."


def _failures(failures: Sequence[Mapping[str, Any]]) -> str:
    if not failures:
        return ""
    items = [
        f"<li>{escape(_pairs(failure['condition']))}, repetition {failure['repetition']}: "
        f"{escape(failure['error'])}</li>"
        for failure in failures
    ]
    return f"<h3>Cells that failed</h3>\n{_list(items, 'plain')}"


def _checks(checks: Sequence[Mapping[str, Any]]) -> str:
    """The comparisons that the verdict is made of; each becomes a card on a narrow screen."""
    rows = []
    for check in checks:
        interval = check.get("interval")
        found = "none" if interval is None else _ends(interval)
        level = str(check.get("level", ""))
        # A level that says no more than the header is left out.
        if interval is not None and level not in ("", "interval"):
            found += f' <span class="level">({escape(level)})</span>'
        rows.append(
            f'<tr role="row"><th role="rowheader" scope="row">{escape(check["name"])}</th>'
            f'<td role="cell" class="rule">{escape(check["statement"])}</td>'
            + _labelled("Observed", _number(check["observed"]))
            + _labelled("Interval", found)
            + _labelled("Against", _number(check["predicted"]))
            + f'<td role="cell">{_badge(check["outcome"])}</td></tr>\n'
        )
    header = "".join(
        f'<th role="columnheader" scope="col">{name}</th>'
        for name in ("Check", "Rule", "Observed", "Interval", "Against", "Outcome")
    )
    return (
        '<div class="checks">\n<h3>Checks</h3>\n<div class="scroll">\n<table role="table">\n'
        f'<thead role="rowgroup"><tr role="row">{header}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{"".join(rows)}</tbody>\n'
        "</table>\n</div>\n</div>"
    )


def _labelled(label: str, content: str) -> str:
    """A cell that says what it is where there is no header above it."""
    return f'<td role="cell" class="number" data-label="{label}">{content}</td>'


def _conditions(run: Run) -> str:
    """Means of what was measured beside what is predicted, one condition to a row."""
    conditions = run.summary["conditions"]
    keys = list(dict.fromkeys(key for entry in conditions for key in entry["condition"]))
    measured = list(dict.fromkeys(name for entry in conditions for name in entry["measured"]))
    shown = run.summary.get("reported", getattr(run.claim, "reported", measured))
    columns = [
        (name, any(name in entry["predicted"] for entry in conditions))
        for name in shown
        if name in measured
    ]
    header = [f'<th scope="col">{escape(name)}</th>' for name in [*keys, "cells"]]
    for name, predicted in columns:
        header.append(f'<th scope="col" class="number">{escape(name)}</th>')
        header += ['<th scope="col" class="number">predicted</th>'] * predicted
    rows = []
    for entry in conditions:
        cells = [f"<td>{escape(str(entry['condition'].get(key, '')))}</td>" for key in keys]
        cells.append(f"<td>{entry['cells']}</td>")
        for name, predicted in columns:
            found = _mean(entry["measured"][name]) if name in entry["measured"] else ""
            cells.append(f'<td class="number">{found}</td>')
            if predicted:
                number = entry["predicted"].get(name)
                cells.append(f'<td class="number">{"" if number is None else _number(number)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>\n")
    label = f"Conditions of {escape(run.name)}"
    table = (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">\n'
        f"<table>\n<thead><tr>{''.join(header)}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n"
        "</table>\n</div>"
    )
    if len(rows) > LONG:
        table = f"<details><summary>{len(rows)} conditions</summary>\n{table}\n</details>"
    note = "Means over the cells of a condition \N{PLUS-MINUS SIGN} half of their 95% interval."
    return (
        '<div class="conditions">\n<h3>Conditions</h3>\n'
        f'<p class="faint">{note}</p>\n{table}\n</div>'
    )


def _circumstances(run: Run) -> str:
    """How the numbers came about."""
    data = run.summary
    entries = {
        "Preset": escape(data["preset"]),
        "Settings": escape(_pairs(data["settings"])) or "none",
        "Seed": str(data["seed"]),
        "Versions": escape(_versions(data["versions"])),
        "Source digest": f"<code>{escape(data['source_digest'])}</code>{_same_source(run)}",
        "Wall time": f"{_time(data['seconds'])}, added up over cells",
    }
    items = "".join(f"<dt>{key}</dt><dd>{value}</dd>\n" for key, value in entries.items())
    return f"<h3>Run</h3>\n<dl>\n{items}</dl>"


def _same_source(run: Run) -> str:
    """Whether what is installed would measure the same."""
    if run.claim is None:
        return ""
    if source_digest(run.claim) == run.summary["source_digest"]:
        return " (the source that is installed here)"
    return " (another source than the one that is installed here)"


def _again(run: Run, out: str) -> str:
    if run.claim is None:
        return '<p class="faint">No claim of this name is registered here.</p>'
    data = run.summary
    command = ["lazyactive", "verify", run.name, "--preset", data["preset"]]
    command += ["--seed", str(data["seed"]), "--out", out]
    return _command(command)


def _command(words: Sequence[str]) -> str:
    """A command to copy; its options are not broken at their hyphens."""
    parts = [escape(shlex.quote(word)) for word in words]
    parts = [f"<span>{part}</span>" if part.startswith("--") else part for part in parts]
    return f'<p class="command"><code>{" ".join(parts)}</code></p>'


def _tally(states: Sequence[str]) -> str:
    """How many claims are in each state; states of none are left out."""
    counts = Counter(states)
    return "\n".join(
        f"<span>{_badge(state)} {counts[state]}</span>" for state in _MARKS if counts[state]
    )


def _badge(state: str) -> str:
    """The state in words, with a mark that tells it without colour."""
    mark = f'<svg aria-hidden="true" viewBox="0 0 16 16"><path d="{_MARKS[state]}"/></svg>'
    return f'<span class="badge {state.replace(" ", "-")}">{mark}{state}</span>'


def _state(run: Run | Unreadable) -> str:
    return UNREADABLE if isinstance(run, Unreadable) else str(run.summary["verdict"])


def _anchor(name: str, place: int) -> str:
    """An identifier on the page: the name itself where it can be one."""
    return f"claim-{name}" if re.fullmatch(r"[a-z0-9-]+", name) else f"run-{place}"


def _list(items: Sequence[str], kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f"<ul{attribute}>\n" + "".join(f"{item}\n" for item in items) + "</ul>"


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in mapping.items())


def _versions(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def _number(value: float | None) -> str:
    """Four digits; a value that was not finite has become None."""
    return "not finite" if value is None else f"{value:.4g}"


def _mean(interval: Mapping[str, float | None]) -> str:
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if low is None or high is None:
        return _number(value)
    return f"{_number(value)} \N{PLUS-MINUS SIGN} {(high - low) / 2:.2g}"


def _ends(interval: Mapping[str, float | None]) -> str:
    """The ends of an interval, which may be infinite."""
    low, high = interval["low"], interval["high"]
    left = "(\N{MINUS SIGN}\N{INFINITY}" if low is None else f"[{low:.4g}"
    right = "\N{INFINITY})" if high is None else f"{high:.4g}]"
    return f"{left}, {right}"


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
