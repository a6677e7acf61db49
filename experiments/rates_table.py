"""The table of learning rates that the command line prints."""

from collections.abc import Sequence

from ..theory import rates
from .report import aligned, to_json


def rates_table(
    alpha: int,
    ks: Sequence[int],
    dims: Sequence[int],
    style: str = "text",
    metric: str = "kl",
) -> str:
    """Derived exponents of the best radius and of the error, as powers of n.

    Parameters
    ----------
    alpha : int
        Power of the activation.
    ks, dims : sequences of int
        Dimensions of the hidden subspace (F1), and ambient dimensions (F2).
    style : {"text", "json", "latex"}
        LaTeX needs the package booktabs.
    metric : {"kl", "ksd", "f1-sd"}
        What is meant by the error.
    """
    derived = rates.table(alpha, ks, dims, metric)
    if style == "json":
        return to_json(
            [
                {
                    "space": rate.space,
                    "alpha": rate.alpha,
                    "k": rate.k,
                    "d": rate.d,
                    "constant_coordinate": rate.constant_coordinate,
                    "metric": rate.metric,
                    "form": rate.form,
                    "radius_exponent": str(rate.radius_exponent),
                    "error_exponent": str(-rate.exponent),
                }
                for rate in derived
            ]
        )
    rows = [
        [
            rate.space,
            str(rate.alpha),
            "" if rate.k is None else str(rate.k),
            "" if rate.d is None else str(rate.d),
            "yes" if rate.constant_coordinate else "no",
            rate.form,
            str(rate.radius_exponent),
            str(-rate.exponent),
        ]
        for rate in derived
    ]
    if style == "text":
        header = ["space", "alpha", "k", "d", "constant", "form", "radius ~ n^", "error ~ n^"]
        return aligned(header, rows)
    lines = [
        r"\begin{tabular}{lrrrllll}",
        r"\toprule",
        r"space & $\alpha$ & $k$ & $d$ & constant & form & radius & error \\",
        r"\midrule",
    ]
    for space, *cells, radius, error in rows:
        entries = [rf"$\mathcal{{F}}_{space[1]}$", *cells, f"$n^{{{radius}}}$", f"$n^{{{error}}}$"]
        lines.append(" & ".join(entries) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])
