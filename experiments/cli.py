"""The command line; every heavy import waits until its command runs."""

import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from . import _console
from .curve_command import curve
from .fit_command import fit
from .model_commands import sample, score
from .movie_command import movie
from .report_command import report as report_command
from .spectrum_command import spectrum

if TYPE_CHECKING:
    from .claim import Claim
    from .sweep import Sweep

EXIT_CODES = {"holds": 0, "fails": 1, "undecided": 3}
CRASHED = 70
CLOSED = 141
INTERRUPTED = 130


class _Group(click.Group):
    """A command that crashes must not exit with 1, which says that a claim fails."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # The reader, such as head, has enough; nothing more can be said on this stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(CLOSED)
        except Exception:
            traceback.print_exc()
            sys.exit(CRASHED)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: lazyactive verify mle-one-neuron",
)
@click.version_option(package_name="lazyactive")
def main() -> None:
    """When do moving features beat frozen ones? Theory against experiment, claim by claim."""


main.add_command(curve)
main.add_command(fit)
main.add_command(movie)
main.add_command(report_command)
main.add_command(sample)
main.add_command(score)
main.add_command(spectrum)


@main.command()
@click.option(
    "--out",
    type=_console.FOLDER,
    default=Path("results"),
    show_default=True,
    help="Folder that holds the results of earlier runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def claims(out: Path, as_json: bool) -> None:
    """List what can be verified, its source, and the last verdict.

    \b
    Example:
      lazyactive claims --out results
    """  # noqa: D301
    from .claim import load

    listed: list[dict[str, Any]] = [
        {
            "name": claim.name,
            "statement": claim.statement,
            "source": claim.source,
            "presets": list(claim.presets),
            "last": _last_run(out / claim.name / "summary.json"),
        }
        for claim in load().values()
    ]
    if as_json:
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    for entry in listed:
        last = entry["last"]
        state = f"{last['verdict']} ({last['preset']}, seed {last['seed']})" if last else "not run"
        click.echo(f"{entry['name']}  [{state}]")
        click.echo(click.wrap_text(entry["statement"], 96, "  ", "  "))
        click.echo(f"  source: {entry['source']}\n")


@main.command(context_settings={"show_default": True})
@click.argument("claim")
@click.option(
    "--preset",
    type=click.Choice(["quick", "paper"]),
    default="quick",
    help="quick: about a minute; paper: the sizes of the source.",
)
@click.option(
    "--out",
    type=_console.FOLDER,
    default=Path("results"),
    help="Results go to OUT/CLAIM/, finished cells to OUT/results.sqlite.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="The same seed gives the same numbers, whatever the number of jobs.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), show_default="all cores", help="Worker processes."
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Measure on the Dask cluster with this scheduler instead (needs lazyactive[cluster]).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON instead.")
def verify(
    claim: str,
    preset: str,
    out: Path,
    seed: int,
    jobs: int | None,
    scheduler: str | None,
    as_json: bool,
) -> NoReturn:
    """Measure CLAIM, compare with its predictions, and give a verdict.

    CLAIM is a name (lazyactive claims lists them), or a file of your own that registers a claim:
    FILE.py, or FILE.py:NAME if it registers several.

    Writes figure.png, figure.pdf, results.csv and summary.json to OUT/CLAIM/. An interrupted run
    resumes where it stopped when the same command is given again.

    With --scheduler the workers of a running Dask cluster measure the cells, one cell to a worker
    process at a time, and the numbers are those of a local run. A cell whose worker is lost goes to
    another one. Workers need the same versions as this machine, but not the file of the claim.

    Exit code: 0 the claim holds, 1 it fails, 3 undecided, 2 bad usage, 70 crash,
    130 interrupted.

    \b
    Examples:
      lazyactive verify mle-one-neuron
      lazyactive verify mle-one-neuron --preset paper --out results --jobs 2
      lazyactive verify mle-one-neuron --json | jq .verdict
      lazyactive verify path/to/my_claim.py
      lazyactive verify mle-one-neuron --preset paper --scheduler tcp://host:8786
    """  # noqa: D301
    from .store import Store

    if jobs is not None and scheduler is not None:
        raise click.UsageError("--jobs is for this machine, --scheduler for a cluster: give one.")
    chosen = _chosen(claim, preset)
    folder = out / chosen.name
    try:
        _console.require_writable(folder)
        store = Store(out / "results.sqlite")
    except (OSError, ValueError) as error:
        raise _console.bad_folder(out, error) from error
    with store:
        sweep = _sweep(chosen, preset, store, seed, jobs, scheduler, out)
    sys.exit(_finish(chosen, preset, seed, sweep, folder, as_json))


@main.command()
@click.option(
    "--alpha",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Power of the activation max(t, 0)^alpha.",
)
@click.option(
    "--k",
    "ks",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 2, 3),
    show_default=True,
    help="Dimension of the hidden subspace; repeat for more.",
)
@click.option(
    "--dim",
    "dims",
    type=click.IntRange(min=2),
    multiple=True,
    default=(3, 5, 10, 15),
    show_default=True,
    help="Ambient dimension d; repeat for more.",
)
@click.option(
    "--metric",
    type=click.Choice(["kl", "ksd", "f1-sd"]),
    default="kl",
    show_default=True,
    help="The error: KL of maximum likelihood, squared KSD or F1-SD of training by these.",
)
@click.option("--latex", "style", flag_value="latex", help="Print a LaTeX table.")
@click.option("--json", "style", flag_value="json", help="Print JSON.")
def rates(
    alpha: int, ks: tuple[int, ...], dims: tuple[int, ...], metric: str, style: str | None
) -> None:
    """Learning rates derived from the balance of estimation and approximation.

    For a Lipschitz target, error ~ n^-r: F1 (moving features) depends on the dimension k of the
    subspace that the target hides in, F2 (frozen features) on the ambient dimension d.

    \b
    Examples:
      lazyactive rates --alpha 1 --k 1 --k 2 --dim 15
      lazyactive rates --metric ksd --latex > rates.tex
    """  # noqa: D301
    from .rates_table import rates_table

    click.echo(rates_table(alpha, ks, dims, style or "text", metric))


def _last_run(path: Path) -> dict[str, Any] | None:
    """Verdict, preset and seed of the last run, if there was one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {key: data[key] for key in ("verdict", "preset", "seed")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # There is no file, or none that a run has written.
        return None


def _chosen(target: str, preset: str) -> "Claim":
    """The claim of that name or in that file, if it has the preset."""
    from . import claim as registry
    from . import user_claims

    try:
        chosen = user_claims.load(target) if user_claims.is_file(target) else registry.get(target)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="CLAIM") from error
    if preset not in chosen.presets:
        raise click.BadParameter(
            f"{chosen.name} has the preset {', '.join(chosen.presets)}; got {preset!r}.",
            param_hint="--preset",
        )
    return chosen


def _sweep(
    claim: "Claim",
    preset: str,
    store: Any,
    seed: int,
    jobs: int | None,
    scheduler: str | None,
    out: Path,
) -> "Sweep":
    """Run the sweep under a progress bar; say how to resume if it is cut short."""
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError
    from tqdm import tqdm

    from . import cluster, sweep

    grid = claim.presets[preset]
    cells = len(grid.conditions) * grid.repetitions
    resume = f"Finished cells are kept in {out / 'results.sqlite'}; the same command resumes."
    _console.announce_compilation()
    try:
        with tqdm(total=cells, desc=claim.name, unit="cell", file=sys.stderr) as bar:

            def show(known: int, measured: int) -> None:
                # Cells of an earlier run say nothing about the speed of this one.
                bar.initial, bar.n = known - measured, known
                bar.refresh()

            return sweep.run(
                claim,
                grid,
                store,
                seed=seed,
                jobs=jobs or joblib.cpu_count(),
                scheduler=scheduler,
                progress=show,
            )
    except KeyboardInterrupt:
        click.echo(f"Interrupted. {resume}", err=True)
        sys.exit(INTERRUPTED)
    except TerminatedWorkerError:
        click.echo(f"A worker was killed, perhaps for want of memory. {resume}", err=True)
        sys.exit(EXIT_CODES["undecided"])
    except cluster.ClusterLost as error:
        click.echo(f"{error}. {resume}", err=True)
        sys.exit(EXIT_CODES["undecided"])
    except cluster.ClusterError as error:
        raise click.BadParameter(f"{error}.", param_hint="--scheduler") from error


def _finish(
    claim: "Claim", preset: str, seed: int, sweep: "Sweep", folder: Path, as_json: bool
) -> int:
    """Judge, print and write; returns the exit code."""
    from . import report
    from .claim import Check, Verdict

    grid = claim.presets[preset]
    if sweep.failures:
        cells = len(grid.conditions) * grid.repetitions
        missing = Check(
            "complete", "every cell of the grid was measured", len(sweep.results), None, cells,
            "undecided",
        )  # fmt: skip
        verdict = Verdict((missing,))
    else:
        verdict = claim.verdict(sweep.results)
    data = report.summary(claim, preset, seed, sweep.results, sweep.failures, verdict)
    if sweep.failures:
        # A figure of an earlier run would pass for one of this run.
        for suffix in ("png", "pdf"):
            (folder / f"figure.{suffix}").unlink(missing_ok=True)
    else:
        _console.draw(partial(claim.draw, sweep.results), folder)
    report.write(folder, claim, grid, sweep.results, data)
    if as_json:
        click.echo(report.to_json(data))
    else:
        click.echo(f"{claim.name}: {claim.statement}\n")
        click.echo(f"{report.table(claim, grid, sweep.results)}\n")
        click.echo(report.checks(verdict))
        click.echo(f"written to {click.format_filename(folder)}")
    for failure in sweep.failures:
        click.echo(
            f"Failed: {dict(failure.condition)}, repetition {failure.repetition}: {failure.error}",
            err=True,
        )
    if sweep.failures:
        click.echo(f"The first failure in full:\n{sweep.failures[0].trace}", err=True)
    return EXIT_CODES[verdict.outcome]
