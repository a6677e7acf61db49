r"""Kernels of random ReLU features: arc-cosine and its leaky relatives."""

from dataclasses import dataclass

import numpy as np
import sympy

from .._checks import check_integer
from ..activations import ReLUPower
from .kernel import Dimension, Kernel, _d, _t

FEATURES = ("sphere", "gaussian")


def gaussian_moment(order: int, d: Dimension) -> sympy.Expr:
    r"""The factor from features on the sphere to Gaussian features.

    A Gaussian vector g of R^d is a uniform direction times an independent length, and the
    activation is homogeneous, so kernel and eigenvalues are multiplied by

    .. math:: E|g|^{2n} = d (d+2) \cdots (d+2n-2) .
    """
    d = sympy.sympify(d)
    return sympy.prod([d + 2 * i for i in range(check_integer("order", order, 0))])


@dataclass(frozen=True)
class ArcCosine(Kernel):
    r"""Kernel of features :math:`\max(\langle\theta, x\rangle, 0)^n`.

    With :math:`u = \cos\varphi`, Gaussian features give :math:`\kappa_n = J_n(\varphi)/2\pi`,

    .. math:: J_0 = \pi-\varphi, \quad J_1 = \sin\varphi + (\pi-\varphi)u, \quad
              J_2 = 3u\sin\varphi + (\pi-\varphi)(1+2u^2), \quad
              J_3 = (4+11u^2)\sin\varphi + (\pi-\varphi)(9u+6u^3)

    ([cho2009kernel], section 2, with twice this normalisation); features uniform on the sphere
    divide by :func:`gaussian_moment`, and then :math:`\mu_k = \lambda_k^2`, the square of the
    Funk-Hecke coefficient of the activation ([bach2017breaking], appendix D).

    Parameters
    ----------
    order : {0, 1, 2, 3}
        The power n.
    features : {"sphere", "gaussian"}
        Law of theta: tau, or the standard normal law of R^d.

    Raises
    ------
    ValueError
        If an argument is not one of these.
    """

    order: int
    features: str = "sphere"

    source = "cho2009kernel, section 2"

    def __post_init__(self) -> None:
        if check_integer("order", self.order, 0) > 3:
            raise ValueError(f"order must be one of 0, 1, 2, 3, got {self.order}.")
        if self.features not in FEATURES:
            raise ValueError(f"features must be one of {FEATURES}, got {self.features!r}.")

    @property
    def name(self) -> str:  # type: ignore[override]
        """As on the command line."""
        suffix = "" if self.features == "sphere" else f",{self.features}"
        return f"arc-cosine({self.order}{suffix})"

    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of the cosine."""
        sine, rest = sympy.sqrt(1 - t**2), sympy.pi - sympy.acos(t)
        angular = (
            rest,
            sine + rest * t,
            3 * sine * t + rest * (1 + 2 * t**2),
            sine * (4 + 11 * t**2) + rest * (9 * t + 6 * t**3),
        )[self.order]
        return angular / (2 * sympy.pi) * self._moment(d) / gaussian_moment(self.order, d)

    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """The square of the Funk-Hecke coefficient, exactly."""
        return ReLUPower(self.order).coefficient(k, d) ** 2 * self._moment(d)

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`."""
        logs = ReLUPower(self.order).log_eigenvalues(d, max_degree)
        return logs + np.log(float(self._moment(d)))

    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        """The exponent d + 2 n."""
        return sympy.sympify(d) + 2 * self.order

    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        """Constants on even and odd degrees: the class of the order's parity vanishes."""
        n, half = self.order, sympy.sympify(d) / 2
        root = sympy.gamma(half) * sympy.factorial(n) * 2 ** (half - 1) / sympy.pi
        constant = root**2 * self._moment(d)
        zero = sympy.Integer(0)
        return (zero, constant) if n % 2 == 0 else (constant, zero)

    def _moment(self, d: Dimension) -> sympy.Expr:
        return gaussian_moment(self.order, d) if self.features == "gaussian" else sympy.Integer(1)


@dataclass(frozen=True)
class LeakyReLU(Kernel):
    r"""Kernel of uniform features :math:`a\,\sigma(t) + b\,\sigma(-t)`.

    Here :math:`\sigma = \max(t, 0)^n`. The coefficients of the activation are
    :math:`(a + (-1)^k b)\lambda_k`, and its two halves act on opposite hemispheres, so that
    :math:`\kappa(u) = (a^2+b^2)\kappa_n(u) + 2ab\,\kappa_n(-u)`. Derived here.

    Parameters
    ----------
    a, b : float
        Slopes; a leaky ReLU of slope s has a = 1, b = -s, the absolute value a = b = 1.
    order : {0, 1, 2, 3}
        The power n.

    Raises
    ------
    ValueError
        If the slopes are both zero or not finite, or `order` is not one of these.
    """

    a: float = 1.0
    b: float = -0.1
    order: int = 1

    source = "cho2009kernel, section 2; derived in lazyactive.theory.kernels.LeakyReLU"

    def __post_init__(self) -> None:
        ArcCosine(self.order)
        if not (np.isfinite(self.a) and np.isfinite(self.b) and (self.a or self.b)):
            raise ValueError(f"a and b must be finite and not both 0, got {self.a} and {self.b}.")

    @property
    def name(self) -> str:  # type: ignore[override]
        """As on the command line."""
        return f"leaky-relu({self.a:g},{self.b:g},{self.order})"

    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of the cosine."""
        a, b = sympy.Rational(str(self.a)), sympy.Rational(str(self.b))
        base = ArcCosine(self.order)
        return (a**2 + b**2) * base.profile(t, d) + 2 * a * b * base.profile(-t, d)

    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """The square of the activation's Funk-Hecke coefficient, exactly."""
        a, b = sympy.Rational(str(self.a)), sympy.Rational(str(self.b))
        return (a + (-1) ** k * b) ** 2 * ArcCosine(self.order).eigenvalue(k, d)

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`."""
        even, odd = abs(self.a + self.b), abs(self.a - self.b)
        with np.errstate(divide="ignore"):
            factors = 2 * np.log([even, odd])
        return ArcCosine(self.order).log_eigenvalues(d, max_degree) + np.resize(
            factors, max_degree + 1
        )

    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        """The exponent d + 2 n, or infinity if b cancels the tail of a: a polynomial."""
        if all(constant == 0 for constant in self.decay_constants(d)):
            return sympy.oo
        return ArcCosine(self.order).decay_exponent(d)

    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        """Constants on even and odd degrees."""
        a, b = sympy.Rational(str(self.a)), sympy.Rational(str(self.b))
        even, odd = ArcCosine(self.order).decay_constants(d)
        return (a + b) ** 2 * even, (a - b) ** 2 * odd
