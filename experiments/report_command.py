"""The command ``lazyactive report``."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import click

from . import _console


@click.command(context_settings={"show_default": True})
@click.option(
    "--out",
    type=_console.FOLDER,
    default=Path("results"),
    help="Folder that holds the results; the page goes to OUT/report.html.",
)
def report(out: Path) -> None:
    """Gather the results of all claims on one HTML page.

    Every claim that was verified, with its statement, source, predicted formula, figure, checks,
    table and verdict, and how to run it again; claims that were not run are listed. Nothing is
    measured. The page holds its figures in itself: it can be moved, sent, printed, and read without
    a network.

    \b
    Example:
      lazyactive verify spectrum-decay --out results
      lazyactive report --out results
    """  # noqa: D301
    from ..numerics._files import write_whole
    from .claim import load
    from .report_page import page
    from .report_runs import Run, Unreadable, collect

    if not out.is_dir():
        raise click.BadParameter(
            f"the folder must be one that holds results; got {str(out)!r}.", param_hint="--out"
        )
    claims = load()
    runs = collect(out, claims)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = page(runs, claims, out=str(out), date=now, machine=machine())
    try:
        write_whole(out / "report.html", text.encode())
    except OSError as error:
        raise _console.bad_folder(out, error) from error
    for run in runs:
        if isinstance(run, Unreadable):
            path = out / run.name / "summary.json"
            click.echo(f"Not readable: {path}: {run.reason}.", err=True)
    known = sum(isinstance(run, Run) and run.name in claims for run in runs)
    click.echo(f"{known} of {len(claims)} claims have results")
    click.echo(f"written to {out / 'report.html'}")


def machine() -> str:
    """System, processor and number of cores, as far as they are known."""
    cores = os.cpu_count()
    count = f"{cores} core{'s' if cores != 1 else ''}" if cores else ""
    return ", ".join(filter(None, [platform.system(), processor(), count]))


def processor() -> str:
    """Name of the processor, or its architecture where it has no name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
