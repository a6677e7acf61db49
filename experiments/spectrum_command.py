"""The command ``lazyactive spectrum``."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _console

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .spectrum import Spectrum


def _list_kernels(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    """Print the registry, and leave."""
    if not asked or ctx.resilient_parsing:
        return
    from ..theory.kernels import ALL_KERNELS

    for kernel in ALL_KERNELS.values():
        click.echo(f"{kernel.name:25} {kernel.source}")
    ctx.exit()


@click.command(context_settings={"show_default": True})
@click.argument("kernel")
@click.option(
    "--dim",
    "d",
    type=click.IntRange(min=2),
    required=True,
    help="Ambient dimension d: the sphere lies in R^d.",
)
@click.option(
    "--max-degree",
    type=click.IntRange(min=0, max=10_000),
    default=12,
    help="Largest harmonic degree.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=2, max=20_000),
    help="Also diagonalize the Gram matrix of N uniform points.",
    metavar="N",
)
@click.option(
    "--features",
    type=click.IntRange(min=2, max=20_000),
    help="Also take the spectrum of M random features; arc-cosine kernels only.",
    metavar="M",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, help="Of the points and the features."
)
@click.option(
    "--out",
    type=_console.FOLDER,
    default=Path("results"),
    help="Results go to OUT/spectrum-KERNEL-dD/.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON instead.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_kernels,
    help="List the kernels that have a name, and exit.",
)
def spectrum(
    kernel: str,
    d: int,
    max_degree: int,
    samples: int | None,
    features: int | None,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Eigenvalues of KERNEL on the sphere of R^d, one for each harmonic degree.

    KERNEL is a function of t = <x, y>: either a name, with parameters in parentheses
    (arc-cosine(1), leaky-relu, ntk, deep-ntk(3), rbf(0.5), laplace, stein; see --list), or an
    expression such as "exp(t)*t**2", of + - * / ** and the usual functions.

    Prints the exact eigenvalue (of a kernel with a name), the integral that defines it with a
    bound of its error, what a finite sample gives, and each degree's share of the trace. Warns if
    the kernel is not positive definite. Writes figure.png, figure.pdf, spectrum.csv and
    summary.json.

    \b
    Examples:
      lazyactive spectrum "arc-cosine(1)" --dim 10
      lazyactive spectrum "arc-cosine(1)" --dim 10 --samples 1000 --features 1000
      lazyactive spectrum "deep-ntk(3)" --dim 3 --max-degree 60
      lazyactive spectrum "exp(t)*t**2" --dim 5 --json | jq .degrees[2].quadrature
    """  # noqa: D301
    from . import report, spectrum_table
    from . import spectrum as spectra

    try:
        resolved = spectra.resolve(kernel)
        if features is not None:
            spectra.require_features(resolved)
    except ValueError as error:
        raise _bad_kernel(error) from error
    folder = out / f"spectrum-{spectra.slug(resolved, d)}"
    try:
        _console.require_writable(folder)
    except OSError as error:
        raise _console.bad_folder(out, error) from error
    _announce_slow(resolved, max_degree, samples, features)
    try:
        result = spectra.compute(
            resolved, d, max_degree, samples=samples, features=features, seed=seed
        )
    except ValueError as error:
        raise _bad_kernel(error) from error
    k = result.first_negative_degree
    if k is not None:
        click.echo(
            f"Warning: the kernel is not positive definite in dimension {d}: its eigenvalue of "
            f"degree {k} is {result.quadrature[k]:.6g} ± {result.errors[k]:.1g}.",
            err=True,
        )
    data = spectrum_table.summary(result)
    _console.draw(partial(_draw, result), folder)
    spectrum_table.write(folder, data)
    if as_json:
        click.echo(report.to_json(data))
    else:
        click.echo(f"{spectrum_table.header(result)}\n")
        click.echo(f"{spectrum_table.table(result)}\n")
        click.echo(f"written to {click.format_filename(folder)}")


def _draw(result: "Spectrum", figure: "Figure") -> None:
    from . import plots

    figure.set_size_inches(4.6, 4.2)
    axes = plots.plot_spectrum(result, figure.add_subplot())
    if axes.lines:
        figure.legend(loc="outside lower center", ncols=2)


def _bad_kernel(error: ValueError) -> click.BadParameter:
    return click.BadParameter(f"{str(error).rstrip('.')}.", param_hint="KERNEL")


def _announce_slow(kernel: Any, max_degree: int, *sizes: int | None) -> None:
    """Announce what takes seconds within one call of a library, which reports no progress."""
    from ..theory.kernels import DeepNTK

    _console.announce_compilation()
    if isinstance(kernel, DeepNTK) and max_degree > 1000:
        seconds = 1.4e-6 * max_degree**2
        click.echo(f"Integrating in high precision, about {seconds:.0f} s.", err=True)
    for size in filter(None, sizes):
        seconds = 5 * (size / 4000) ** 3
        if seconds > 1:
            click.echo(f"Diagonalizing a {size} x {size} matrix, about {seconds:.0f} s.", err=True)
