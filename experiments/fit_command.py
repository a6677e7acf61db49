"""The command ``lazyactive fit``."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _console

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .fitting import Fit, Options, Split

# A fit holds 2^17 points and more in memory.
MAX_DIMENSION = 500
MAX_NEURONS = 2**15


@click.command(context_settings={"show_default": True})
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--regime",
    type=click.Choice(["both", "active", "lazy"]),
    default="both",
    help="active: neurons move; lazy: they stay where they are drawn.",
)
@click.option(
    "--objective",
    type=click.Choice(["likelihood", "ksd", "f1-sd", "score-matching", "denoising"]),
    default="likelihood",
    help="What training minimizes; the comparison is by likelihood always.",
)
@click.option(
    "--alpha",
    type=click.IntRange(0, 3),
    default=1,
    help="Power of the activation max(t, 0)^alpha; 0, the step, if lazy.",
)
@click.option(
    "--n-neurons",
    type=click.IntRange(1, MAX_NEURONS),
    show_default="2048 lazy, at most 32 active",
    help="Width if lazy, largest number of neurons if active.",
)
@click.option(
    "--penalty",
    type=float,
    show_default="chosen by validation",
    help="Factor on half the squared F2 norm (lazy) or on the F1 norm (active).",
)
@click.option(
    "--normalize", is_flag=True, help="Divide points by their norms instead of refusing them."
)
@click.option(
    "--held-out", type=float, default=0.2, help="Part of the points that is kept for the test."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the split and the fits.")
@click.option(
    "--out",
    type=_console.FOLDER,
    show_default="results/NAME OF FILE",
    help="Folder for models, figure and summary.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON instead.")
def fit(
    file: Path,
    regime: str,
    objective: str,
    alpha: int,
    n_neurons: int | None,
    penalty: float | None,
    normalize: bool,
    held_out: float,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Fit FILE in both regimes, and say which predicts better.

    FILE is .npy or .npz with an array of shape (n, d), or .csv with a point to a line: d columns
    of coordinates, or latitude and longitude in degrees under the names lat and lon. Points lie on
    the unit sphere (see --normalize), and their order means nothing: a random part of them is held
    out, the rest is fitted.

    Prints the mean log-density of the held-out points, in nats per point with a standard error (the
    uniform density has 0), and the paired difference of the regimes with its 95% interval.

    Writes active.npz and lazy.npz, the models of the training points, for lazyactive sample and
    score and for lazyactive.numerics.load_model; summary.json; figure.png and figure.pdf: in three
    dimensions the sphere, otherwise learning curves (each regime is fitted to an eighth, a quarter
    and a half of the points too) and projections on the strongest neuron.

    Exit code: 0 done, 2 bad usage or data, 70 crash, 130 interrupted.

    \b
    Examples:
      lazyactive fit earthquakes.csv
      lazyactive fit embeddings.npy --normalize --held-out 0.3 --out results/embeddings
      lazyactive fit points.npz --regime active --json | jq .regimes.active.held_out
    """  # noqa: D301
    from . import fitting

    regimes = ("active", "lazy") if regime == "both" else (regime,)
    if not 0 < held_out < 1:
        raise click.BadParameter(
            f"must be between 0 and 1, both excluded; got {held_out:g}.", param_hint="--held-out"
        )
    options = fitting.Options(objective, alpha, n_neurons, penalty, held_out, seed)
    _require_parameters(regimes, options)
    X = _console.points(file, normalize)
    parts = _split(file, X, options)
    folder = out or Path("results") / (file.stem.strip(". ") or "data")
    try:
        _console.require_writable(folder)
    except (OSError, ValueError) as error:
        raise _console.bad_folder(folder, error) from error
    with _console.interruptible():
        fits, curve, content = _run(X, parts, regimes, options)
        data = _summary(file, X, parts, fits, curve, options, normalize)
        _write(folder, fits, content, data)
    _tell(folder, file, X, parts, fits, data, as_json)


def _require_parameters(regimes: tuple[str, ...], options: "Options") -> None:
    from . import fitting

    for regime in regimes:
        try:
            fitting.estimator(regime, options)
        except ValueError as error:
            raise click.UsageError(f"The {regime} regime: {str(error).rstrip('.')}.") from error


def _split(file: Path, X: "NDArray", options: "Options") -> "Split":
    from . import fitting

    n, d = X.shape
    if d > MAX_DIMENSION:
        raise _console.bad_file(
            file, f"must have at most {MAX_DIMENSION} coordinates for a fit, but has {d}"
        )
    try:
        return fitting.split(n, options)
    except ValueError as error:
        raise _console.bad_file(file, str(error)) from error


def _run(
    X: "NDArray", parts: "Split", regimes: tuple[str, ...], options: "Options"
) -> tuple[dict[str, "Fit"], list[dict[str, Any]], Any]:
    """The fits, the learning curve, and what draws the figure."""
    import numpy as np
    from tqdm import tqdm

    from . import fit_figure, fitting

    on_sphere = X.shape[1] == 3
    training = np.asarray(X[parts.training], np.float64)
    held_out = np.asarray(X[parts.held_out], np.float64)
    sizes = [len(training)] if on_sphere else fitting.curve_sizes(len(training), options)
    fits: dict[str, Fit] = {}
    curve: list[dict[str, Any]] = []
    _console.announce_compilation()
    with tqdm(total=len(sizes) * len(regimes), unit="fit", file=sys.stderr) as bar:
        for n in reversed(sizes):
            for regime in regimes:
                bar.set_description(f"{regime}, n = {n}")
                one = _fit(regime, options, training[:n], held_out, bar, n < len(training))
                bar.update()
                if one is None:
                    continue
                fits.setdefault(regime, one)
                curve.append({"n": n, "regime": regime, **one.held_out._asdict()})
        curve.reverse()
        if on_sphere:
            return fits, curve, partial(fit_figure.draw_sphere, fits, held_out)
        bar.set_description("sampling")
        cosines = fitting.projections(
            fits, held_out, options.seed, partial(bar.write, file=sys.stderr)
        )
        bar.set_description("done")
    return fits, curve, partial(fit_figure.draw_curves, curve, cosines)


def _fit(
    regime: str,
    options: "Options",
    training: "NDArray",
    held_out: "NDArray",
    bar: Any,
    may_fail: bool,
) -> "Fit | None":
    """One fit; None where a part of the data is too small for it."""
    from ..numerics.sampling.reweighting import PartitionFunctionError
    from . import fitting

    try:
        return fitting.fit(regime, options, training, held_out)
    except PartitionFunctionError as error:
        reason = (
            f"the {regime} model of {len(training)} points is so concentrated that its log Z "
            f"can't be estimated (weights worth {error.estimate.ess:.1f} samples)"
        )
        if may_fail:
            bar.write(f"Left out of the learning curve: {reason}.", file=sys.stderr)
            return None
        raise click.UsageError(
            f"Of these data {reason}; a larger --penalty or more points may help, or the other "
            "--regime alone."
        ) from error
    except MemoryError as error:
        n, d = training.shape
        raise click.UsageError(
            f"A fit of {n} points in dimension {d} does not fit into the memory; take fewer "
            "points, or fewer neurons."
        ) from error


def _summary(
    file: Path,
    X: "NDArray",
    parts: "Split",
    fits: dict[str, "Fit"],
    curve: list[dict[str, Any]],
    options: "Options",
    normalize: bool,
) -> dict[str, Any]:
    """Where the models come from, and all numbers."""
    import hashlib

    from . import fitting
    from .store import versions

    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "file": click.format_filename(file.name),
        "sha256": digest,
        "normalize": normalize,
        "n": len(X),
        "d": X.shape[1],
        "training": len(parts.training),
        "held_out": len(parts.held_out),
        **fitting.summary(fits, curve, options),
        "versions": versions(),
    }


def _write(folder: Path, fits: dict[str, "Fit"], content: Any, data: dict[str, Any]) -> None:
    """Write every file whole, and leave no model of an earlier run that would pass for one."""
    from ..numerics._files import write_whole
    from ..numerics.model_files import to_bytes
    from .report import to_json

    models = {regime: to_bytes(one.model) for regime, one in fits.items()}
    text = f"{to_json(data)}\n".encode()
    try:
        _console.draw(content, folder)
        for regime in ("active", "lazy"):
            if regime in models:
                write_whole(folder / f"{regime}.npz", models[regime])
            else:
                (folder / f"{regime}.npz").unlink(missing_ok=True)
        write_whole(folder / "summary.json", text)
    except OSError as error:
        raise _console.bad_folder(folder, error) from error


def _tell(
    folder: Path,
    file: Path,
    X: "NDArray",
    parts: "Split",
    fits: dict[str, "Fit"],
    data: dict[str, Any],
    as_json: bool,
) -> None:
    from . import fitting
    from .report import to_json

    if as_json:
        click.echo(to_json(data))
    else:
        n, d = X.shape
        click.echo(
            f"{click.format_filename(file)}: {n} points on the sphere of R^{d}, "
            f"{len(parts.training)} for training, {len(parts.held_out)} held out"
        )
        click.echo("mean log-density in nats per point (uniform density: 0)\n")
        click.echo(f"{fitting.table(fits)}\n")
        if "active_minus_lazy" in data:
            click.echo(data["active_minus_lazy"]["sentence"])
        click.echo(f"written to {click.format_filename(folder)}")
    for regime, one in fits.items():
        if not one.model.converged_:
            click.echo(f"Warning: the {regime} fit did not meet its stopping rule.", err=True)
