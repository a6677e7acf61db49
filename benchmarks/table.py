"""Words and tables: what is printed as it is measured, and RESULTS.md."""

from collections.abc import Iterable, Mapping, Sequence

from .measure import Measured, Row
from .scaling import SIZES, Growth
from .timing import Spread

__all__ = [
    "document",
    "growth_line",
    "limit_rate",
    "row_lines",
    "special_rate",
]

PREFIXES = ((1.0, "s", 1.0), (1e-3, "ms", 1e3), (0.0, "µs", 1e6))


def seconds(value: float) -> str:
    for least, unit, factor in PREFIXES:
        if value >= least:
            return f"{value * factor:.3g} {unit}"
    raise AssertionError("times are not negative")


def ratio(spread: Spread | None) -> str:
    """The median with its range over the rounds."""
    if spread is None:
        return ""
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def percent(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{spread.median:.0%} ({spread.low:.0%} to {spread.high:.0%})"


def rate(row: Row, unit: str) -> str:
    return "" if row.rate is None else f"{row.rate / 1e9:.1f} {unit}"


def row_lines(measured: Measured) -> Iterable[str]:
    """One line for each contender, for the terminal."""
    unit, limit = _unit(measured)
    width = max(len(row.contender) for row in measured.rows)
    for row in measured.rows:
        if row.seconds is None:
            yield f"  {row.contender:{width}s}  {row.note}"
            continue
        parts = [f"  {row.contender:{width}s} {seconds(row.seconds.median):>9s}"]
        if row.ratio:
            parts.append(f"{ratio(row.ratio)} x ours")
        if row.rate is not None:
            parts.append(rate(row, unit))
        if row.of_limit:
            parts.append(f"{percent(row.of_limit)} of {limit}")
        if row.note:
            parts.append(row.note)
        yield "  ".join(parts)


def growth_line(growth: Growth) -> str:
    times = ", ".join(
        f"{size}: {seconds(s.median)}" for size, s in zip(growth.sizes, growth.seconds, strict=True)
    )
    return f"  {growth.variable}  exponent {ratio(growth.exponent)}  {times}"


def document(
    command: str,
    date: str,
    machine: Mapping[str, str],
    limits: Mapping[str, Spread],
    skylakex: float | str,
    measured: Sequence[Measured],
    growths: Sequence[Growth],
    memory: Mapping[str, float],
) -> str:
    """RESULTS.md."""
    parts = [
        "# Benchmarks",
        f"`{command}`, {date}.",
        _listed(machine),
        "## Limits of the machine",
        _limits(limits, skylakex),
        "## In short",
        "How many times as long as ours the fastest run of each peer takes: the median over the "
        "rounds, and the range. As one commonly writes it, and in blocks of rows that stay in the "
        "cache, where such a run was written. The last column is our rate beside that of NumPy's "
        "matrix product in the same precision, or of copying memory, measured in the same rounds.",
        _summary(measured),
        "## Every run",
        "Median times over the rounds. Each contender runs in a process of its own, and all take "
        "turns; every result was compared with ours before anything was timed.",
        *(part for m in measured for part in (f"### {m.case.name}: {m.case.work}", _details(m))),
    ]
    if growths:
        parts += [
            "## Growth with the sizes",
            "The likelihood and its gradient; the others are "
            + ", ".join(f"{name} = {size}" for name, size in SIZES.items())
            + ". The exponent is fitted beyond the smallest size.",
            _growths(growths),
        ]
    if memory:
        parts += [
            "## Memory",
            _rows(
                ("work", "peak of a fresh process, libraries included"),
                [(name, f"{peak:.0f} MB") for name, peak in memory.items()],
            ),
        ]
    return "\n\n".join(parts) + "\n"


def _unit(measured: Measured) -> tuple[str, str]:
    if measured.case.flops:
        return "Gflop/s", measured.case.limit
    return "GB/s", "copying"


def _listed(items: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in items.items())


def limit_rate(name: str, spread: Spread) -> str:
    rates = (f"{value / 1e9:.1f}" for value in spread)
    unit = "GB/s" if name == "copy" else "Gflop/s"
    return "{} ({} to {}) {}".format(*rates, unit)


def special_rate(flops: float | str) -> str:
    """The rate, or why there is none."""
    return flops if isinstance(flops, str) else f"{flops / 1e9:.1f} Gflop/s"


def _limits(limits: Mapping[str, Spread], skylakex: float | str) -> str:
    words = {
        "sgemm": "single-precision matrix product, 4096^3",
        "dgemm": "double-precision matrix product, 4096^3",
        "copy": "copying 256 MB, read and written",
    }
    rows = [(words[name], limit_rate(name, spread)) for name, spread in limits.items()]
    rows.append(("single precision with `OPENBLAS_CORETYPE=SKYLAKEX`", special_rate(skylakex)))
    return _rows(("limit", "rate"), rows)


def _summary(measured: Sequence[Measured]) -> str:
    rows = []
    for m in measured:
        ours = m.rows[0]
        cells = [m.case.name, seconds(ours.seconds.median) if ours.seconds else ours.note]
        for peer in ("NumPy", "PyTorch", "JAX"):
            whole, blocks = m.fastest(peer, in_blocks=False), m.fastest(peer, in_blocks=True)
            cells += [ratio(row.ratio) if row else "" for row in (whole, blocks)]
        unit, limit = _unit(m)
        own = f"{rate(ours, unit)}, {percent(ours.of_limit)} of {limit}" if ours.rate else ""
        rows.append((*cells, own))
    peers = [f"{peer}{how}" for peer in ("NumPy", "PyTorch", "JAX") for how in ("", ", in blocks")]
    return _rows(("work", "ours", *peers, "our rate"), rows)


def _details(measured: Measured) -> str:
    unit, limit = _unit(measured)
    rows = [
        (
            row.contender,
            seconds(row.seconds.median) if row.seconds else "",
            ratio(row.ratio),
            rate(row, unit),
            percent(row.of_limit),
            row.note,
        )
        for row in measured.rows
    ]
    return _rows(("contender", "time", "ratio to ours", "rate", f"part of {limit}", ""), rows)


def _growths(growths: Sequence[Growth]) -> str:
    rows = [
        (
            g.variable,
            ", ".join(
                f"{size}: {seconds(s.median)}" for size, s in zip(g.sizes, g.seconds, strict=True)
            ),
            ratio(g.exponent),
        )
        for g in growths
    ]
    return _rows(("variable", "time at each size", "exponent"), rows)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # Columns in which nobody has anything to say are left out.
    kept = [i for i in range(len(head)) if any(row[i] for row in rows)]
    lines = [
        [head[i] for i in kept],
        ["---"] * len(kept),
        *([row[i] for i in kept] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
