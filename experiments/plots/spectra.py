"""The decay of a spectrum in the degree, beside its asymptote."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import sympy
from numpy.typing import NDArray

from ...theory import kernels
from ...theory.kernels import DeepNTK, Kernel
from ..figures import BLUE, GREEN, GREY, ORANGE, VERMILION
from ..spectrum import Spectrum
from ._axes import given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_POINTS = 40
_LN10 = math.log(10)


def plot_spectrum(spectrum: Spectrum, axes: "Axes | None" = None) -> "Axes":
    r"""Draw eigenvalues against degree, both in powers; degree 0 is in the title.

    Decimal exponents are drawn, not eigenvalues, since these may lie below the smallest float.
    Eigenvalues that parity makes zero have no place here; one that quadrature can't tell from
    zero is drawn as a bound. The exact curve is continued to degree 20 d, where the asymptote has
    set in.

    Parameters
    ----------
    spectrum : Spectrum
        What ``spectrum.compute`` returns.
    axes : Axes, optional
        With a linear vertical axis, on which the eigenvalue :math:`\mu_k` is at
        :math:`\log_{10} \mu_k`. By default new ones, in a new figure with a legend.

    Returns
    -------
    Axes
        What is drawn has labels for ``axes.legend()``.

    Raises
    ------
    ValueError
        If `spectrum` is something else.

    Examples
    --------
    >>> from lazyactive.experiments import plots, spectrum
    >>> found = spectrum.compute(spectrum.resolve("arc-cosine(1)"), d=3, max_degree=8)
    >>> plots.plot_spectrum(found).get_xlabel()
    'degree $k$'
    """
    if not isinstance(spectrum, Spectrum):
        raise ValueError(f"spectrum must be a Spectrum, but it is {type(spectrum).__name__}.")
    with given_or_new(axes, (4.6, 4.2), columns=2) as drawn:
        _draw(drawn, spectrum)
    return drawn


def _draw(axes: "Axes", spectrum: Spectrum) -> None:
    axes.set_xscale("log")
    branches = _branches(spectrum)
    for branch in branches:
        style = "-" if len(branch.degrees) > 1 else "."
        axes.plot(
            branch.degrees, branch.logs, style, color=branch.color, label=f"exact{branch.parity}"
        )
    _quadrature(axes, spectrum)
    for (kind, measured), color, marker in zip(
        spectrum.measured.items(), (GREEN, ORANGE), "sD", strict=False
    ):
        found = measured.standard_errors.items()
        k = np.array([k for k, error in found if k > 0 and math.isfinite(error)], int)
        values = np.array([measured.values[i] for i in k])
        errors = np.array([measured.standard_errors[i] for i in k])
        _points(axes, k, values, errors, marker, color, f"{measured.size} {kind}, ± s.e.")
    # An asymptote must not stretch the axis where it does not hold yet.
    low, high = axes.get_ylim()
    for branch in branches:
        _asymptote(axes, branch, spectrum.d)
    # At least one whole power of ten, which is where the labels are.
    axes.set_ylim((low, high) if high - low > 2 else (math.floor(low), math.ceil(high)))
    _decorate(axes, spectrum)
    if not axes.lines:
        axes.text(
            0.5, 0.5, "no eigenvalue of positive degree", transform=axes.transAxes, ha="center"
        )


class _Branch(NamedTuple):
    """Exact eigenvalues on a class of degrees, and their asymptote, constant * k^-exponent."""

    parity: str
    degrees: NDArray
    logs: NDArray
    color: str
    constant: sympy.Expr
    exponent: sympy.Expr


def _branches(spectrum: Spectrum) -> list[_Branch]:
    """Even and odd degrees where their asymptotes differ, else all; without vanishing ones."""
    kernel, d = spectrum.kernel, spectrum.d
    if not isinstance(kernel, Kernel):
        return []
    even, odd = kernel.decay_constants(d)
    exponent = kernel.decay_exponent(d)
    top = spectrum.max_degree
    if exponent != sympy.oo:
        # A deep kernel's eigenvalues are integrals: past this degree they take seconds.
        longest = 100 if isinstance(kernel, DeepNTK) else 1000
        top = max(top, min(20 * d, longest))
    logs = kernels.log_eigenvalues(kernel, d, top) / _LN10
    k = np.arange(1, top + 1)
    if sympy.simplify(even - odd) == 0:
        classes = [("", k, BLUE, even)]
    else:
        classes = [(", even $k$", k[1::2], BLUE, even), (", odd $k$", k[::2], VERMILION, odd)]
    branches = []
    for parity, degrees, color, constant in classes:
        nonzero = degrees[np.isfinite(logs[degrees])]
        if len(nonzero):
            branches.append(_Branch(parity, nonzero, logs[nonzero], color, constant, exponent))
    return branches


def _asymptote(axes: "Axes", branch: _Branch, d: int) -> None:
    """In powers of k + d/2 - 1, which is the same to first order, and sets in sooner."""
    if branch.constant == 0:
        return
    size = float(sympy.log(sympy.N(branch.constant, 20), 10))
    center = d / 2 - 1
    k = np.geomspace(branch.degrees[0], branch.degrees[-1], 200)
    axes.plot(
        k,
        size - float(branch.exponent) * np.log10(k + center),
        "--",
        color="black",
        linewidth=0.9,
        dashes=(4, 3),
        label=rf"${_latex(size)}\,{_shifted(center)}^{{-{branch.exponent}}}$",
    )


def _quadrature(axes: "Axes", spectrum: Spectrum) -> None:
    k = np.arange(1, spectrum.max_degree + 1)
    if spectrum.log_exact is not None:
        k = k[np.isfinite(spectrum.log_exact[1:])]
    if len(k) > _MOST_POINTS:
        k = k[np.unique(np.geomspace(1, len(k), _MOST_POINTS).astype(int) - 1)]
    values, errors = spectrum.quadrature[k], spectrum.errors[k]
    positive, negative = values > errors, values < -errors
    _points(axes, k[positive], values[positive], errors[positive], "o", GREY, "quadrature")
    _points(
        axes,
        k[negative],
        -values[negative],
        errors[negative],
        "x",
        VERMILION,
        r"negative, $|\mu_k|$",
    )
    unresolved = ~positive & ~negative
    bounds = np.maximum(np.maximum(values, 0) + errors, np.finfo(float).tiny)[unresolved]
    _points(axes, k[unresolved], bounds, 0 * bounds, "v", GREY, "bound by quadrature")


def _points(
    axes: "Axes",
    k: NDArray,
    values: NDArray,
    errors: NDArray,
    marker: str,
    color: str,
    label: str,
) -> None:
    """Positive values with error bars, by their decimal exponents."""
    if len(k) == 0:
        return
    middle = np.log10(values)
    # A bar that reaches zero is cut two decades down.
    low = middle - np.log10(np.maximum(values - errors, values / 100))
    high = np.log10(values + errors) - middle
    axes.errorbar(
        k,
        middle,
        [low, high],
        fmt=marker,
        color=color,
        label=label,
        # Hollow and concentric, so that none hides another.
        markerfacecolor="none",
        markersize={"s": 7, "D": 9}.get(marker, 4.5),
        elinewidth=1,
        zorder=3,
    )


def _decorate(axes: "Axes", spectrum: Spectrum) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    top = max([2.0, *(np.max(line.get_xdata()) for line in axes.lines)])
    axes.set_xlim(0.85, 1.15 * top)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if top < 500 else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: rf"$10^{{{value:.0f}}}$"))
    axes.set_xlabel("degree $k$")
    axes.set_ylabel(r"eigenvalue $\mu_k$")
    axes.set_title(
        rf"{spectrum.name[:40]},  $d = {spectrum.d}$,  $\mu_0 = {spectrum.quadrature[0]:.4g}$"
    )


def _shifted(center: float) -> str:
    return "k" if center == 0 else f"(k {center:+g})"


def _latex(log10: float) -> str:
    """A number given by its decimal logarithm."""
    if -3 < log10 < 4:
        return f"{10**log10:.3g}"
    power = math.floor(log10)
    return rf"{10 ** (log10 - power):.2f} \cdot 10^{{{power}}}"
