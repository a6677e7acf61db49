"""A spectrum in words, as a table, and as files."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import sympy

from ..numerics._files import write_whole
from ..theory.kernels import Kernel
from ..theory.sphere import harmonic_dimension, log_harmonic_dimensions
from .report import aligned, to_json
from .spectrum import Measured, Spectrum
from .store import versions


def header(spectrum: Spectrum) -> str:
    """Kernel, dimension, source and decay, in two or three lines."""
    lines = [
        f"{spectrum.name} on the sphere of R^{spectrum.d}, kappa(1) = {spectrum.trace:.6g}",
        f"source: {spectrum.source}",
    ]
    if isinstance(spectrum.kernel, Kernel):
        lines.append(f"decay: {decay(spectrum.kernel, spectrum.d)}")
    return "\n".join(lines)


def decay(kernel: Kernel, d: int) -> str:
    """The asymptote of the eigenvalues, as ``mu_k ~ 0.42 k^-17 on even degrees``."""
    exponent = kernel.decay_exponent(d)
    if exponent == sympy.oo:
        return "mu_k falls faster than any power of k"
    even, odd = kernel.decay_constants(d)
    if sympy.simplify(even - odd) == 0:
        return f"mu_k ~ {_power(even, exponent)} on all degrees"
    on_even, on_odd = (f"{_power(c, exponent)}" if c != 0 else "0" for c in (even, odd))
    return f"mu_k ~ {on_even} on even degrees, {on_odd} on odd degrees"


def table(spectrum: Spectrum) -> str:
    """One degree to a row; the last line adds up the shares of the trace."""
    names = ["degree", "multiplicity"]
    exact = spectrum.log_exact
    names += [] if exact is None else ["exact"]
    names += ["quadrature", "±"]
    for kind, measured in spectrum.measured.items():
        names += [f"{measured.size} {kind}", "± s.e.", "found"]
    names.append("share of trace")
    multiplicities = log_harmonic_dimensions(spectrum.d, spectrum.max_degree)
    shares = spectrum.shares
    rows = []
    for k in range(spectrum.max_degree + 1):
        small = multiplicities[k] < math.log(1e9)
        count = str(harmonic_dimension(spectrum.d, k)) if small else number(multiplicities[k], 4)
        row = [str(k), count]
        if exact is not None:
            row.append(number(exact[k]))
        row += [f"{spectrum.quadrature[k]:.6g}", f"{spectrum.errors[k]:.1g}"]
        for measured in spectrum.measured.values():
            row += _measured(measured, k)
        row.append("" if np.isnan(shares[k]) else f"{shares[k]:.4g}")
        rows.append(row)
    if not 0 < spectrum.trace < math.inf:
        return f"{aligned(names, rows)}\nkappa(1) is no positive number, so there are no shares"
    total = np.nansum(shares)
    # Below this the difference is rounding.
    rest = f"{1 - total:.2g}" if abs(1 - total) > 1e-12 else "less than 1e-12"
    held = f"degrees 0 to {spectrum.max_degree} hold {total:.6g} of the trace"
    return f"{aligned(names, rows)}\n{held}, those above {rest}"


def number(logarithm: float, digits: int = 6) -> str:
    """A positive number given by its logarithm, also where it is below the smallest float."""
    if abs(logarithm) < 700 or math.isinf(logarithm):
        return f"{math.exp(logarithm):.{digits}g}"
    return str(mpmath.nstr(mpmath.exp(logarithm), digits))


def summary(spectrum: Spectrum) -> dict[str, Any]:
    """Everything about a spectrum, as JSON.

    Logarithms are natural, that of 0 is null; a multiplicity that is no exact float is null too.
    """
    registered = isinstance(spectrum.kernel, Kernel)
    return {
        "kernel": spectrum.name,
        "d": spectrum.d,
        "max_degree": spectrum.max_degree,
        "samples": _size(spectrum, "samples"),
        "features": _size(spectrum, "features"),
        "seed": spectrum.seed,
        "source": spectrum.source,
        "decay": decay(spectrum.kernel, spectrum.d) if registered else None,
        "decay_exponent": _exponent(spectrum),
        "trace": _finite(spectrum.trace),
        "share_of_trace": float(np.nansum(spectrum.shares))
        if 0 < spectrum.trace < math.inf
        else None,
        "positive_definite": spectrum.first_negative_degree is None,
        "first_negative_degree": spectrum.first_negative_degree,
        "degrees": _degrees(spectrum),
        "versions": versions(),
    }


def write(folder: Path, data: dict[str, Any]) -> None:
    """Write ``spectrum.csv``, one degree to a row, and ``summary.json``, from the summary."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(data["degrees"][0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(data["degrees"])
    write_whole(folder / "spectrum.csv", text.getvalue().encode())
    write_whole(folder / "summary.json", (to_json(data) + "\n").encode())


def _measured(measured: Measured, k: int) -> list[str]:
    """Value, error and the multiplicity that was found; no value if that is wrong."""
    if k not in measured.values:
        return ["", "", ""]
    value, error = measured.values[k], measured.standard_errors[k]
    found = str(measured.multiplicities[k])
    return [f"{value:.6g}", f"{error:.1g}", found] if math.isfinite(error) else ["", "", found]


def _degrees(spectrum: Spectrum) -> list[dict[str, Any]]:
    multiplicities = log_harmonic_dimensions(spectrum.d, spectrum.max_degree)
    shares = spectrum.shares
    return [
        _degree(spectrum, k, float(multiplicities[k]), float(shares[k]))
        for k in range(spectrum.max_degree + 1)
    ]


def _degree(spectrum: Spectrum, k: int, log_multiplicity: float, share: float) -> dict[str, Any]:
    small = log_multiplicity < 53 * math.log(2)
    row: dict[str, Any] = {
        "degree": k,
        "multiplicity": harmonic_dimension(spectrum.d, k) if small else None,
        "log_multiplicity": log_multiplicity,
    }
    if spectrum.log_exact is not None:
        row["exact"] = math.exp(spectrum.log_exact[k])
        row["log_exact"] = _finite(spectrum.log_exact[k])
    row["quadrature"] = float(spectrum.quadrature[k])
    row["quadrature_error"] = float(spectrum.errors[k])
    for kind, measured in spectrum.measured.items():
        error = measured.standard_errors.get(k, math.inf)
        row[kind] = measured.values[k] if math.isfinite(error) else None
        row[f"{kind}_standard_error"] = _finite(error)
        row[f"{kind}_multiplicity"] = measured.multiplicities.get(k)
    row["share"] = _finite(share)
    return row


def _exponent(spectrum: Spectrum) -> float | None:
    if not isinstance(spectrum.kernel, Kernel):
        return None
    return _finite(float(spectrum.kernel.decay_exponent(spectrum.d)))


def _size(spectrum: Spectrum, kind: str) -> int | None:
    return spectrum.measured[kind].size if kind in spectrum.measured else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _power(constant: sympy.Expr, exponent: sympy.Expr) -> str:
    return f"{number(float(sympy.log(sympy.N(constant, 20))), 3)} k^-{exponent}"
