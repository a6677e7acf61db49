"""The commands ``lazyactive sample`` and ``lazyactive score``: what a saved model can do."""

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import _console

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..numerics import ShallowEBM

# Twice as many particles are annealed at once.
MAX_SAMPLES = 1_000_000
TABLES = (".csv", ".npy")


def _table(_: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse an output file of another kind."""
    if value is not None and value.suffix.lower() not in TABLES:
        raise click.BadParameter(f"must end in .csv or .npy; got {str(value)!r}.")
    return value


@click.command(context_settings={"show_default": True})
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-n", "n_samples", type=click.IntRange(1, MAX_SAMPLES), required=True, help="How many points."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    callback=_table,
    show_default="CSV to stdout",
    help="File for the points, .csv or .npy.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, help="The same seed gives the same points."
)
def sample(model: Path, n_samples: int, out: Path | None, seed: int) -> None:
    """Draw points from MODEL.

    MODEL is a file that lazyactive fit or save_model wrote.

    Particles are annealed from the uniform distribution to the model's density, resampled by their
    weights, and moved further. Prints a line with d coordinates for each point, below a header, or
    writes them to a file.

    Exit code: 0 done, 2 bad usage or no model, 70 crash, 130 interrupted.

    \b
    Examples:
      lazyactive sample results/earthquakes/active.npz -n 1000 > points.csv
      lazyactive sample results/earthquakes/active.npz -n 1000 --seed 1 --out points.npy
    """  # noqa: D301
    from ..numerics.sampling.reweighting import PartitionFunctionError

    fitted = _load(model)
    _require_place(out)
    _console.announce_compilation()
    with _console.interruptible():
        try:
            X = fitted.sample(n_samples, seed)
        except PartitionFunctionError as error:
            raise click.BadParameter(
                f"{str(model)!r} is too concentrated to be sampled: {error}", param_hint="MODEL"
            ) from error
        except MemoryError as error:
            raise click.BadParameter(
                f"{n_samples} points do not fit into the memory.", param_hint="-n"
            ) from error
        _put(X, [f"x{i + 1}" for i in range(X.shape[1])], out)


@click.command(context_settings={"show_default": True})
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--normalize", is_flag=True, help="Divide points by their norms instead of refusing them."
)
@click.option("--points", is_flag=True, help="Print the log-density of every point, one to a line.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    callback=_table,
    help="File for the log-densities, .csv or .npy.",
)
def score(model: Path, file: Path, normalize: bool, points: bool, out: Path | None) -> None:
    """Log-density of MODEL at the points in FILE.

    In nats; the uniform density has 0.

    MODEL is a file that lazyactive fit or save_model wrote; FILE is .npy, .npz or .csv, as for
    lazyactive fit. Prints the mean with its standard error: that of a mean over independent points,
    and that of the model's log Z.

    Exit code: 0 done, 2 bad usage or files, 70 crash, 130 interrupted.

    \b
    Examples:
      lazyactive score results/earthquakes/active.npz new.csv
      lazyactive score results/earthquakes/active.npz new.csv --points | sort -n | head
      lazyactive score results/earthquakes/active.npz new.npy --out scores.csv
    """  # noqa: D301
    from .fitting import mean_log_density

    fitted = _load(model)
    X = _console.points(file, normalize or fitted.normalize)
    d = fitted.n_features_in_
    if X.shape[1] != d:
        raise _console.bad_file(
            file, f"must hold points in dimension {d}, as the model, but they have {X.shape[1]}"
        )
    _require_place(out)
    _console.announce_compilation()
    with _console.interruptible():
        log_densities = fitted.score_samples(X)
        mean, se = mean_log_density(log_densities, fitted.log_partition_se_)
        error = f" ± {se:.4f}" if math.isfinite(se) else ""
        count = f"{len(X)} points" if len(X) > 1 else "one point, which has no standard error"
        words = f"mean log-density {mean:.6g}{error} nats ({count})"
        if points:
            # For a program to read: nothing but numbers on stdout.
            click.echo(words, err=True)
            click.echo("\n".join(repr(float(value)) for value in log_densities))
        else:
            click.echo(words)
        if out is not None:
            _put(log_densities, ["log_density"], out)


def _load(path: Path) -> "ShallowEBM":
    from ..numerics import load_model

    try:
        return load_model(path)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="MODEL") from error
    except MemoryError as error:
        raise click.BadParameter(
            f"{str(path)!r} does not fit into the memory.", param_hint="MODEL"
        ) from error


def _require_place(out: Path | None) -> None:
    """Refuse a file that can't be written before the work is done."""
    if out is None:
        return
    try:
        _console.require_writable(out.parent)
        if out.is_dir():
            raise IsADirectoryError("it is a folder")
    except (OSError, ValueError) as error:
        raise _bad_out(out, error) from error


def _bad_out(out: Path, error: Exception) -> click.BadParameter:
    return click.BadParameter(
        f"must be a file that can be written; got {str(out)!r} ({error}).", param_hint="--out"
    )


def _put(values: "NDArray", names: list[str], out: Path | None) -> None:
    """Write an array as .npy or .csv, or print it as CSV."""
    import numpy as np

    from ..numerics._files import write_whole

    if out is None or out.suffix.lower() == ".csv":
        rows = values.reshape(len(values), -1).tolist()
        text = "".join(f"{line}\n" for line in _lines(names, rows))
        if out is None:
            click.echo(text, nl=False)
            return
        content = text.encode()
    else:
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        content = buffer.getvalue()
    try:
        write_whole(out, content)
    except OSError as error:
        raise _bad_out(out, error) from error


def _lines(names: list[str], rows: Iterable[list[float]]) -> Iterable[str]:
    """Numbers with all their digits: they come back as they were."""
    yield ",".join(names)
    for row in rows:
        yield ",".join(map(repr, row))
