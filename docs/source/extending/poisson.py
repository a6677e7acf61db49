r"""The Poisson kernel of the ball, whose eigenvalues are powers."""

import math
from dataclasses import dataclass

import numpy as np
import sympy

from lazyactive.theory._checks import check_integer
from lazyactive.theory.kernels.kernel import Dimension, Kernel, _d, _k, _t
from lazyactive.theory.prediction import Prediction


@dataclass(frozen=True)
class Poisson(Kernel):
    r"""The kernel :math:`(1-r^2)\,(1-2ru+r^2)^{-d/2}`, with the eigenvalues :math:`\mu_k = r^k`.

    It is the sum :math:`\sum_k r^k N(d,k) P_k(u)`, the value at radius r of the harmonic function
    whose boundary values are concentrated at one point ([atkinson2012spherical], chapter 2).

    Parameters
    ----------
    radius : float
        The radius r, in (0, 1).

    Raises
    ------
    ValueError
        If `radius` is not in (0, 1).
    """

    radius: float = 0.5

    source = "atkinson2012spherical, chapter 2"

    def __post_init__(self) -> None:
        if not (isinstance(self.radius, (int, float)) and 0 < self.radius < 1):
            raise ValueError(f"radius must lie in (0, 1), got {self.radius!r}.")

    @property
    def name(self) -> str:  # type: ignore[override]
        """As on the command line."""
        return f"poisson({self.radius:g})"

    @property
    def _r(self) -> sympy.Expr:
        return sympy.Rational(str(self.radius))

    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of the cosine."""
        return (1 - self._r**2) / (1 - 2 * self._r * t + self._r**2) ** (sympy.sympify(d) / 2)

    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """Eigenvalue of degree `k`, exactly."""
        return self._r ** check_integer("k", k, 0)

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`."""
        return np.arange(max_degree + 1) * math.log(self.radius)

    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        """Infinite: the kernel is analytic."""
        return sympy.oo

    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        """Zero in both classes: no power of k."""
        return sympy.Integer(0), sympy.Integer(0)

    def asymptote(self, d: Dimension) -> Prediction:
        """The eigenvalue itself."""
        return Prediction(self._r**_k, "exact", "every k", self.source, self.name)
