r"""Kernels of the distance :math:`\|x-y\|^2 = 2(1-u)`: Gaussian (RBF) and Laplace."""

import math
from dataclasses import dataclass

import numpy as np
import sympy
from scipy.special import logsumexp

from .._checks import check_positive
from ..prediction import Prediction
from . import singularity
from ._gaussian_spectrum import log_gaussian_spectrum
from .kernel import Dimension, Kernel, _d, _k, _t


@dataclass(frozen=True)
class RBF(Kernel):
    r"""The Gaussian kernel :math:`\exp(-\|x-y\|^2 / 2s^2) = \exp(-(1-u)/s^2)`.

    With :math:`z = s^{-2}` and the modified Bessel function I ([minh2006mercer], theorem 2),

    .. math:: \mu_k = e^{-z} (2/z)^{d/2-1}\,\Gamma(d/2)\,I_{k+d/2-1}(z) .

    Parameters
    ----------
    scale : float
        The width s, positive.

    Raises
    ------
    ValueError
        If `scale` is not positive and finite.
    """

    scale: float = 1.0

    source = "minh2006mercer, theorem 2"

    def __post_init__(self) -> None:
        check_positive("scale", self.scale)

    @property
    def name(self) -> str:  # type: ignore[override]
        """As on the command line."""
        return f"rbf({self.scale:g})"

    @property
    def _z(self) -> sympy.Expr:
        return 1 / sympy.Rational(str(self.scale)) ** 2

    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of the cosine."""
        return sympy.exp(-(1 - t) * self._z)

    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """Eigenvalue of degree `k`, exactly."""
        nu, z = sympy.sympify(d) / 2 - 1, self._z
        return sympy.exp(-z) * (2 / z) ** nu * sympy.gamma(nu + 1) * sympy.besseli(k + nu, z)

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`."""
        return log_gaussian_spectrum(np.array([self.scale**-2.0]), d, max_degree)[:, 0]

    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        """Infinite: the kernel is analytic."""
        return sympy.oo

    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        """Zero in both classes: no power of k."""
        return sympy.Integer(0), sympy.Integer(0)

    def asymptote(self, d: Dimension) -> Prediction:
        r"""Leading behaviour :math:`e^{-z}\Gamma(d/2)(z/2)^k / \Gamma(k+d/2)`."""
        half, z = sympy.sympify(d) / 2, self._z
        return Prediction(
            # One exponential, so that neither factor overflows.
            sympy.exp(
                -z + sympy.loggamma(half) + _k * sympy.log(z / 2) - sympy.loggamma(_k + half)
            ),
            "asymptotic",
            "k to infinity at fixed d",
            self.source,
            self.name,
        )


@dataclass(frozen=True)
class Laplace(Kernel):
    r"""The Laplace kernel :math:`\exp(-c\|x-y\|)`, :math:`\|x-y\| = \sqrt{2(1-u)}`.

    Its series in powers of :math:`(1-u)^{1/2}`, each with its own exact eigenvalue, adds up to

    .. math:: \mu_k = -c\sqrt2\,A(d,\tfrac12,k)\;
                {}_1F_2(\tfrac d2;\,\tfrac32-k,\,k+d-\tfrac12;\,c^2)
              + \frac{(2c^2)^k}{(2k)!}A(d,k,k)\;
                {}_1F_2(k+\tfrac{d-1}2;\,k+\tfrac12,\,2k+d-1;\,c^2),

    derived here: odd powers give the first term, even ones from 2k on the second. The two cancel
    where c is large. In float64 the kernel is therefore taken as a mixture of Gaussians,

    .. math:: e^{-c\sqrt{2(1-u)}} = \int_0^\infty \frac{c}{\sqrt{2\pi}}\, z^{-3/2} e^{-c^2/2z}\,
                                    e^{-z(1-u)}\,dz ,

    whose eigenvalues are all positive, by the trapezoidal rule in log z.

    Parameters
    ----------
    rate : float
        The rate c, positive.

    Raises
    ------
    ValueError
        If `rate` is not positive and finite.
    """

    rate: float = 1.0

    source = "geifman2020laplace, theorem 2; derived in lazyactive.theory.kernels.Laplace"

    def __post_init__(self) -> None:
        check_positive("rate", self.rate)

    @property
    def name(self) -> str:  # type: ignore[override]
        """As on the command line."""
        return f"laplace({self.rate:g})"

    @property
    def _c(self) -> sympy.Expr:
        return sympy.Rational(str(self.rate))

    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of the cosine."""
        return sympy.exp(-self._c * sympy.sqrt(2 * (1 - t)))

    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """Eigenvalue of degree `k`, exactly; it needs many digits where the rate is large."""
        d, c = sympy.sympify(d), self._c
        half = sympy.Rational(1, 2)
        odd = sympy.hyper([d / 2], [3 * half - k, k + d - half], c**2)
        even = sympy.hyper([k + (d - 1) / 2], [k + half, 2 * k + d - 1], c**2)
        leading = (2 * c**2) ** k / sympy.factorial(2 * k)
        return (
            -c * sympy.sqrt(2) * singularity.eigenvalue(half, k, d) * odd
            + leading * singularity.eigenvalue(sympy.Integer(k), k, d) * even
        )

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`."""
        y, step = self._mixture_nodes(d, max_degree)
        z, c = np.exp(y), self.rate
        logs = log_gaussian_spectrum(z, d, max_degree)
        logs += np.log(c * step / math.sqrt(2 * math.pi)) - y / 2 - c * c / (2 * z)
        return logsumexp(logs, axis=1)

    def _mixture_nodes(self, d: int, max_degree: int) -> tuple[np.ndarray, float]:
        """Nodes in log z, and their distance, that integrate every degree to rounding.

        The integrand of degree k is a bump near z = k (k + d) / (d - 1) of curvature at most
        z (d-1) / (2 z + d - 1) in log z, to which the mixing density adds at most 2 c + 1. A bump
        of curvature s^-2 is integrated with relative error exp(-2 pi^2 s^2 / step^2).
        """
        c = self.rate
        # Below, the mixing density is under e^-45 of the smallest value of the kernel, e^-2c.
        lowest = c * c / (2 * (2 * c + 45))
        peak = (max_degree + 1) * (max_degree + d) / (d - 1) + c + c * c / d
        curvature = peak * (d - 1) / (2 * peak + d - 1) + 2 * c + 1
        step = min(0.2, 0.7 / math.sqrt(curvature))
        # Above the peak the integrand falls as z^(-d/2), to e^-40 of its height.
        y = np.arange(math.log(lowest), math.log(peak) + 80 / d + 3, step)
        return y, step

    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        """The exponent d, of the singularity of power 1/2 at u = 1."""
        return sympy.sympify(d)

    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        """The same constant on even and odd degrees."""
        half = sympy.Rational(1, 2)
        constant = -self._c * sympy.sqrt(2) * singularity.decay_constant(half, d)
        return constant, constant
