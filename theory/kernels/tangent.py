r"""Neural tangent kernels of ReLU networks without biases."""

from dataclasses import dataclass

import mpmath
import numpy as np
import sympy

from .._checks import check_integer
from ..activations import ReLUPower
from . import singularity
from ._angle_quadrature import log_eigenvalues_by_quadrature
from .kernel import Dimension, Kernel, _d, _t


@dataclass(frozen=True)
class NTK(Kernel):
    r"""Tangent kernel of the two-layer ReLU network, :math:`u\kappa_0(u) + \kappa_1(u)`.

    Here :math:`\kappa_0 = (\pi-\varphi)/\pi`, :math:`\kappa_1 = (\sin\varphi+(\pi-\varphi)u)/\pi`,
    twice the arc-cosine kernels of Gaussian features, so that the kernel is 2 at u = 1
    ([bietti2019inductive], section 3). With the Funk-Hecke coefficients
    :math:`\lambda^{(n)}_k` of :math:`\max(t,0)^n` and the recurrence of the Legendre polynomials,

    .. math:: \mu_k = \frac{(k+d-2)\,m_{k+1} + k\,m_{k-1}}{2k+d-2} + 2d\,(\lambda^{(1)}_k)^2,
              \qquad m_j = 2\,(\lambda^{(0)}_j)^2 .

    It vanishes for odd k >= 3.
    """

    name = "ntk"
    source = "bietti2019inductive, section 3"

    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of the cosine."""
        kappa_0, kappa_1 = _arc_cosines(t)
        return t * kappa_0 + kappa_1

    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """Eigenvalue of degree `k`, exactly."""
        d, step, ramp = sympy.sympify(d), ReLUPower(0), ReLUPower(1)
        output = 2 * d * ramp.coefficient(k, d) ** 2
        if k == 0:
            return 2 * step.coefficient(1, d) ** 2 + output
        above, below = (2 * step.coefficient(j, d) ** 2 for j in (k + 1, k - 1))
        return ((k + d - 2) * above + k * below) / (2 * k + d - 2) + output

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`."""
        k = np.arange(max_degree + 1)
        step = ReLUPower(0).log_eigenvalues(d, max_degree + 1) + np.log(2)
        below = np.concatenate([[-np.inf], step[:max_degree]])
        hidden = np.full(max_degree + 1, step[1])
        if max_degree > 0:
            q = k[1:] / (2 * k[1:] + d - 2)
            hidden[1:] = np.logaddexp(np.log1p(-q) + step[2:], np.log(q) + below[1:])
        output = np.log(2 * d) + ReLUPower(1).log_eigenvalues(d, max_degree)
        return np.logaddexp(hidden, output)

    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        """The exponent d."""
        return sympy.sympify(d)

    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        """Constants on even and odd degrees."""
        return DeepNTK(2).decay_constants(d)


@dataclass(frozen=True)
class DeepNTK(Kernel):
    r"""Tangent kernel of the ReLU network with L layers of weights, equal to L at u = 1.

    .. math:: \Sigma^1 = \Theta^1 = u, \qquad \Sigma^l = \kappa_1(\Sigma^{l-1}), \qquad
              \Theta^l = \Theta^{l-1}\kappa_0(\Sigma^{l-1}) + \Sigma^l

    with the :math:`\kappa_0, \kappa_1` of :class:`NTK`, which is the case L = 2
    ([jacot2018ntk], theorem 1). Every depth decays as k^-d ([bietti2021deep], section 3.3): near
    u = 1 and u = -1 the kernel is smooth up to :math:`c_{\pm1}(1\mp u)^{1/2}`,

    .. math:: c_1 = -\frac{\sqrt2}\pi\frac{L(L-1)}2, \qquad
              c_{-1} = -\frac{\sqrt2}\pi\prod_{l=2}^{L-1}\kappa_0(\Sigma^l(-1)) .

    No closed form: the eigenvalues are integrals, taken in as many digits as they need, in a time
    that grows with the square of the largest degree.

    Parameters
    ----------
    depth : int
        Number L of layers of weights, at least 2.

    Raises
    ------
    ValueError
        If `depth` is not an integer >= 2.
    """

    depth: int

    source = "bietti2021deep, section 3.3"

    def __post_init__(self) -> None:
        check_integer("depth", self.depth, 2)

    @property
    def name(self) -> str:  # type: ignore[override]
        """As on the command line."""
        return f"deep-ntk({self.depth})"

    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of the cosine."""
        covariance = tangent = sympy.sympify(t)
        for _ in range(self.depth - 1):
            kappa_0, kappa_1 = _arc_cosines(covariance)
            tangent, covariance = tangent * kappa_0 + kappa_1, kappa_1
        return tangent

    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """Refused: there is no closed form."""
        raise NotImplementedError(
            f"{self.name} has no closed form: use eigenvalues(kernel, d, max_degree)"
            + (", or NTK()." if self.depth == 2 else ".")
        )

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`."""
        return log_eigenvalues_by_quadrature(self._at_angle, d, max_degree)

    def _at_angle(self, phi: mpmath.mpf) -> mpmath.mpf:
        """The kernel at the angle `phi`, in mpmath."""
        covariance = tangent = mpmath.cos(phi)
        for layer in range(self.depth - 1):
            if layer > 0:
                phi = mpmath.acos(covariance)
            kappa_0 = 1 - phi / mpmath.pi
            covariance = mpmath.sin(phi) / mpmath.pi + kappa_0 * covariance
            tangent = tangent * kappa_0 + covariance
        return tangent

    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        """The exponent d, whatever the depth."""
        return sympy.sympify(d)

    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        """Constants on even and odd degrees; two layers lose the odd ones."""
        at_one = sympy.Integer(self.depth * (self.depth - 1)) / 2
        at_minus_one, covariance = sympy.Integer(1), sympy.Integer(0)
        for _ in range(2, self.depth):
            kappa_0, following = _arc_cosines(covariance)
            at_minus_one, covariance = at_minus_one * kappa_0, following
        constant = -sympy.sqrt(2) / sympy.pi
        constant *= singularity.decay_constant(sympy.Rational(1, 2), d)
        return constant * (at_one + at_minus_one), constant * (at_one - at_minus_one)


def _arc_cosines(u: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    r"""The kernels :math:`\kappa_0, \kappa_1`, normalised to 1 at u = 1."""
    kappa_0 = 1 - sympy.acos(u) / sympy.pi
    return kappa_0, sympy.sqrt(1 - u**2) / sympy.pi + kappa_0 * u
