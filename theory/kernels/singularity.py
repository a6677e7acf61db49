r"""Powers of the distance: what decides how fast eigenvalues decay."""

import sympy

from .kernel import Dimension


def eigenvalue(nu: sympy.Expr, k: int | sympy.Expr, d: Dimension) -> sympy.Expr:
    r"""Eigenvalue of degree `k` of :math:`(1 - u)^\nu`, exactly.

    .. math:: A(d, \nu, k) = \frac{\Gamma(d/2)\,2^{\nu+d-2}\,\Gamma(\nu+(d-1)/2)\,(-\nu)_k}
                                  {\sqrt\pi\,\Gamma(\nu+k+d-1)} .

    By Rodrigues' formula it is a Beta integral; derived here.
    """
    return _numerator(nu, d) * sympy.rf(-nu, k) / sympy.gamma(nu + k + d - 1)


def decay_constant(nu: sympy.Expr, d: Dimension) -> sympy.Expr:
    r"""The C of :math:`A(d, \nu, k) \sim C k^{-d-2\nu+1}`; zero if nu is an integer.

    A profile whose leading singularities are :math:`c_1 (1-u)^\nu` at 1 and
    :math:`c_{-1}(1+u)^\nu` at -1 has eigenvalues :math:`\sim A(d, \nu, k) [c_1 + (-1)^k c_{-1}]`
    ([bietti2021deep], theorem 1).
    """
    nu = sympy.sympify(nu)
    return _numerator(nu, d) / sympy.gamma(-nu)


def _numerator(nu: sympy.Expr, d: Dimension) -> sympy.Expr:
    nu, d = sympy.sympify(nu), sympy.sympify(d)
    gammas = sympy.gamma(d / 2) * sympy.gamma(nu + (d - 1) / 2)
    return gammas * 2 ** (nu + d - 2) / sympy.sqrt(sympy.pi)
