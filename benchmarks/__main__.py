"""The command line: python -m benchmarks."""

import fnmatch
import shlex
import sys
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import click

from lazyactive.numerics._files import write_whole

from . import scaling, table
from .case import Case
from .cases import ALL_CASES
from .guard import compare
from .machine import describe, skylakex_rate
from .measure import Measured, Row, limits, measure, missing_peers, peak_memory
from .timing import ROUNDS
from .workers import Workers

RESULTS = Path(__file__).parent / "RESULTS.md"
SCALING = "scaling"
# What is said to take little memory, whatever the number of pairs.
MEMORY = ("ksd", "f2-ipm-30000")


@click.command(
    epilog=f"Names for --only, where * stands for any letters: {', '.join([*ALL_CASES, SCALING])}.",
)
@click.option(
    "--only",
    metavar="NAME",
    multiple=True,
    help="Measure this alone; may be repeated. Nothing is written then, unless --out says where.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=ROUNDS,
    show_default=True,
    help="Turns of each contender. Where one takes seconds, 3 at most.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the tables.  [default: benchmarks/RESULTS.md, for a whole run]",
)
@click.option("--numpy-only", is_flag=True, help="Leave PyTorch and JAX out.")
@click.option(
    "--guard",
    is_flag=True,
    help="Compare a few pieces of work with NumPy alone, and fail where ours has lost its lead. "
    "Half a minute.",
)
def main(
    only: tuple[str, ...], rounds: int, out: Path | None, numpy_only: bool, guard: bool
) -> None:
    """Time the compiled loops beside NumPy, PyTorch and JAX, on the processor's cores.

    Each contender has a process of its own and prepares its run: it compiles, and puts its arrays
    where it wants them. Its result is compared with ours. Then all take turns for some rounds, and
    what counts is how many times as long as ours a peer takes in the same round: the median ratio
    and its range.

    PyTorch and JAX take part if they are installed (pip install -e '.[bench]'); what is missing is
    said. A whole run takes about a quarter of an hour and wants a machine that does nothing else.

    \b
    python -m benchmarks                            everything, into benchmarks/RESULTS.md
    python -m benchmarks --only likelihood-d15      one piece of work, on the terminal
    python -m benchmarks --only 'gradient*' --rounds 9
    taskset -c 0,1 python -m benchmarks             on two cores
    """
    if guard:
        sys.exit(0 if compare(_say_guarded) else 1)
    names = _selected(only)
    path = out or (None if only else RESULTS)
    if path is not None:
        _require_writable(path.parent)
    missing = missing_peers()
    for peer in sorted(missing):
        click.echo(f"{peer} is not installed and takes no part.", err=True)
    without = missing | ({"PyTorch", "JAX"} if numpy_only else set())
    machine = describe()
    for key, value in machine.items():
        click.echo(f"{key}: {value}")
    with Workers() as workers:
        found_limits = limits(workers)
        for key, spread in found_limits.items():
            click.echo(f"{key}: {table.limit_rate(key, spread)}")
        skylakex = skylakex_rate()
        click.echo(f"sgemm with OPENBLAS_CORETYPE=SKYLAKEX: {table.special_rate(skylakex)}")
        measured, growths = _measure(workers, names, rounds, without)
    disagreements = [words for m in measured for words in m.disagreements]
    if disagreements:
        raise click.ClickException("nothing is written: " + "; ".join(disagreements))
    memory = {name: peak_memory(ALL_CASES[name]) for name in MEMORY if name in names}
    for name, peak in memory.items():
        click.echo(f"{name}: peak memory {peak:.0f} MB")
    if path is not None:
        command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
        date = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        text = table.document(
            command, date, machine, found_limits, skylakex, measured, growths, memory
        )
        write_whole(path, text.encode())
        click.echo(f"wrote {path}")


def _selected(only: tuple[str, ...]) -> list[str]:
    """Return names of work in the order of the table."""
    everything = [*ALL_CASES, SCALING]
    for pattern in only:
        if not fnmatch.filter(everything, pattern):
            raise click.BadParameter(
                f"it must be one of {', '.join(everything)}; got {pattern!r}.", param_hint="--only"
            )
    return [e for e in everything if not only or any(fnmatch.fnmatch(e, p) for p in only)]


def _require_writable(folder: Path) -> None:
    """Refuse the folder now, and not after a quarter of an hour."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise click.BadParameter(
            f"its folder must be one that can be written; got {str(folder)!r} ({error}).",
            param_hint="--out",
        ) from error


def _measure(
    workers: Workers, names: list[str], rounds: int, without: Collection[str]
) -> tuple[list[Measured], list[scaling.Growth]]:
    """Measure one after another, and print what was found as it is found."""
    measured: list[Measured] = []
    growths: list[scaling.Growth] = []
    for i, name in enumerate(names, 1):
        if name == SCALING:
            click.echo(f"[{i}/{len(names)}] {name}: the likelihood's gradient against n, m and d")
            growths = scaling.measure(
                workers, rounds, lambda growth: click.echo(table.growth_line(growth))
            )
            continue
        click.echo(f"[{i}/{len(names)}] {name}: {ALL_CASES[name].work}")
        measured.append(measure(workers, ALL_CASES[name], rounds, without=without))
        for line in table.row_lines(measured[-1]):
            click.echo(line)
    return measured, growths


def _say_guarded(case: Case, row: Row, least: float) -> None:
    assert row.ratio is not None
    end = "" if row.ratio.median >= least else ": TOO SLOW"
    click.echo(
        f"{case.name}: NumPy takes {table.ratio(row.ratio)} times as long as ours, "
        f"and at least {least:g} is asked{end}"
    )


if __name__ == "__main__":
    main()
