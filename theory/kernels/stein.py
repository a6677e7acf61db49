r"""Spectra of Stein kernels: what a kernel Stein discrepancy sees of a weak energy."""

from dataclasses import dataclass, field, replace

import numpy as np
import sympy

from ..prediction import Prediction
from .kernel import Dimension, Kernel, _d, _k, _t
from .radial import RBF


@dataclass(frozen=True)
class Stein(Kernel):
    r"""Stein kernel of the uniform measure for a base kernel :math:`\kappa`.

    The squared kernel Stein discrepancy of :math:`\nu \propto e^{-f}` against a model of energy
    :math:`g` is, at weak energies, :math:`\sum_l \rho_l \|(f-g)_l\|^2` in L2(tau), where
    with the eigenvalues :math:`b_l` of the base kernel

    .. math:: \rho_l = \frac{l(l+d-2)}{2l+d-2}\left[(l+d-2)\,b_{l-1} + l\,b_{l+1}\right] .

    These are the eigenvalues of the zonal kernel that the Stein operator
    :math:`h \mapsto \mathrm{div}_S h - (d-1)\langle x, h\rangle` makes of :math:`\kappa I`, applied
    in both arguments. Derived here:

    .. math:: (d-1)^2 u\,\kappa + (d-1)\kappa' - (1-u^2)\left[(2d-1)\kappa' + u\kappa''\right] .

    Parameters
    ----------
    base : Kernel
        Its derivative at u = 1 must be finite: a decay exponent above d + 1.

    Raises
    ------
    ValueError
        If the base kernel decays too slowly: arc-cosine of order 0, NTK, Laplace.
    """

    base: Kernel = field(default_factory=RBF)

    source = "domingoenrich2021ebm, section 4; derived in lazyactive.theory.kernels.Stein"

    def __post_init__(self) -> None:
        if not self.base.decay_exponent(3) > 4:
            raise ValueError(
                "base must be a kernel with a finite derivative at u = 1, such as rbf or "
                f"arc-cosine(1), got {self.base.name}."
            )

    @property
    def name(self) -> str:  # type: ignore[override]
        """As on the command line."""
        return f"stein({self.base.name})"

    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of the cosine."""
        u, d = sympy.Dummy("u", real=True), sympy.sympify(d)
        kappa = self.base.profile(u, d)
        first, second = sympy.diff(kappa, u), sympy.diff(kappa, u, 2)
        inner = (d - 1) ** 2 * u * kappa + (d - 1) * first
        # Simplified, the factor cancels the singular power of 1 - u^2 in the second derivative.
        outer = (2 * d - 1) * (1 - u**2) * first + u * sympy.simplify((1 - u**2) * second)
        return (inner - outer).subs(u, t)

    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """Eigenvalue of degree `k`, exactly; zero for constants."""
        if k == 0:
            return sympy.Integer(0)
        d = sympy.sympify(d)
        below, above = self.base.eigenvalue(k - 1, d), self.base.eigenvalue(k + 1, d)
        return k * (k + d - 2) * ((k + d - 2) * below + k * above) / (2 * k + d - 2)

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`."""
        logs = np.full(max_degree + 1, -np.inf)
        if max_degree > 0:
            base = self.base.log_eigenvalues(d, max_degree + 1)
            k = np.arange(1, max_degree + 1)
            below, above = base[:max_degree], base[2:]
            # At d = 2 and k = 1 the factor k + d - 2 is 1, so no logarithm of zero.
            sums = np.logaddexp(np.log(k + d - 2.0) + below, np.log(k) + above)
            logs[1:] = np.log(k * (k + d - 2.0) / (2 * k + d - 2)) + sums
        return logs

    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        """Two less than that of the base kernel."""
        return self.base.decay_exponent(d) - 2

    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        """Those of the base kernel; even and odd degrees change places."""
        even, odd = self.base.decay_constants(d)
        return odd, even

    def asymptote(self, d: Dimension) -> Prediction:
        """Leading behaviour: of an analytic base kernel only degree k - 1 is left."""
        if self.base.decay_exponent(d) != sympy.oo:
            return super().asymptote(d)
        d, below = sympy.sympify(d), self.base.asymptote(d)
        factor = _k * (_k + d - 2) ** 2 / (2 * _k + d - 2)
        shifted = below.expression.subs(_k, _k - 1)
        return replace(below, expression=factor * shifted, source=self.source, name=self.name)

    def trace(self, d: Dimension) -> sympy.Expr:
        """The profile at 1, as a limit where the derivatives have no value."""
        t = sympy.Symbol("t", real=True)
        return sympy.limit(self.profile(t, d), t, 1, "-")
