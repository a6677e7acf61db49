"""The command ``lazyactive curve``: predicted learning curves of one neuron, without measuring."""

import math
from typing import Any

import click

# Beyond these, quadrature takes minutes, or float64 ends.
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-6, 1e3
SHORTEST_TIME, LONGEST_TIME = 1e-6, 1e6
# An integer can be beyond float64.
MOST_SAMPLES = 10**12
SIZES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)


@click.command(context_settings={"show_default": True})
@click.option(
    "--weight", "w", type=float, required=True, help="Output weight; a negative one attracts."
)
@click.option(
    "--dim",
    "d",
    type=click.IntRange(min=2),
    required=True,
    help="Ambient dimension d: the sphere lies in R^d.",
)
@click.option(
    "--n",
    "sizes",
    type=click.IntRange(min=1, max=MOST_SAMPLES),
    multiple=True,
    default=SIZES,
    help="Number of samples; repeat for more.",
)
@click.option(
    "--alpha",
    type=click.IntRange(min=1),
    default=1,
    help="Power of the activation max(t, 0)^alpha.",
)
@click.option(
    "--penalty",
    type=click.FloatRange(min=0, min_open=True),
    help="Factor of half the squared F2 norm.",
    show_default="the best for each n",
)
@click.option(
    "--time",
    type=click.FloatRange(min=0, min_open=True),
    help="Also the error after gradient flow for this time, without penalty.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def curve(
    w: float,
    d: int,
    sizes: tuple[int, ...],
    alpha: int,
    penalty: float | None,
    time: float | None,
    as_json: bool,
) -> None:
    """Predicted error of both regimes against the number of samples, for one planted neuron.

    The data have the density exp(-WEIGHT max(<theta, x>, 0)^alpha) / Z on the sphere of R^d, and
    the error is the mean divergence KL of the fitted from the true density, in nats. Lazy: frozen
    features, infinitely many; the penalty, the KL and its two parts, and the KL by the simpler
    formula for weak energies. Active: the parametric oracle d/(2n).

    The time of the flow is in units of neurons on the unit sphere: for m Gaussian neurons with
    steps of mean-field size h it is d times the sum of h (alpha = 1).

    \b
    Examples:
      lazyactive curve --weight 10 --dim 15
      lazyactive curve --weight -5 --dim 3 --n 300 --n 3000 --json
      lazyactive curve --weight 2 --dim 15 --time 2692
    """  # noqa: D301
    from .report import aligned, to_json

    try:
        rows = curve_rows(w, d, sizes, alpha, penalty, time)
    except ValueError as error:
        raise click.UsageError(f"{str(error).rstrip('.')}.") from error
    if as_json:
        click.echo(to_json(rows))
        return
    text = [[f"{row[key]:.4g}" if key != "n" else str(row[key]) for key in row] for row in rows]
    click.echo(aligned([key.replace("_", " ") for key in rows[0]], text))


def curve_rows(
    w: float,
    d: int,
    sizes: tuple[int, ...],
    alpha: int = 1,
    penalty: float | None = None,
    time: float | None = None,
) -> list[dict[str, Any]]:
    """One row for each n, in increasing order.

    Raises
    ------
    ValueError
        If the weight is zero, not finite, or too weak or strong, the time too short or long, or the
        penalty asks for too many degrees or for numbers beyond float64.
    """
    import numpy as np

    if not math.isfinite(w) or w == 0:
        raise ValueError(f"weight must be a finite number other than 0, got {w:g}.")
    if not SMALLEST_WEIGHT <= abs(w) <= LARGEST_WEIGHT:
        raise ValueError(
            f"weight must be between {SMALLEST_WEIGHT:g} and {LARGEST_WEIGHT:g} in absolute value, "
            f"got {w:g}."
        )
    if time is not None and not SHORTEST_TIME <= time <= LONGEST_TIME:
        raise ValueError(
            f"time must be between {SHORTEST_TIME:g} and {LONGEST_TIME:g}, got {time:g}."
        )
    try:
        with np.errstate(over="raise", invalid="raise"):
            rows = [_row(w, d, n, alpha, penalty, time) for n in sorted(set(sizes))]
    except FloatingPointError as error:
        raise ValueError(f"weight, penalty and time lead beyond float64 ({error}).") from error
    for row in rows:
        wrong = [name for name, value in row.items() if name != "n" and not math.isfinite(value)]
        if wrong:
            raise ValueError(f"{wrong[0]} can't be computed in float64 for n = {row['n']}.")
    return rows


def _row(
    w: float, d: int, n: int, alpha: int, penalty: float | None, time: float | None
) -> dict[str, Any]:
    from ..theory import learning_curves

    used = penalty or float(learning_curves.sandwich_penalty(w, d, n, alpha))
    bias, variance = learning_curves.sandwich_terms(w, d, n, used, alpha)
    row = {
        "n": n,
        "penalty": used,
        "lazy": bias + float(variance),
        "bias": bias,
        "variance": float(variance),
        "weak": float(learning_curves.weak(w, d, n, alpha, penalty)),
    }
    if time is not None:
        row["stopped"] = float(learning_curves.early_stopping(w, d, n, time, alpha))
    row["active"] = float(learning_curves.parametric_oracle(1, d, n))
    return row
