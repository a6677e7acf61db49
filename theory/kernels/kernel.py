r"""What a zonal kernel is, and its spectrum.

A kernel :math:`\kappa(\langle x, y\rangle)` on the sphere of R^d acts on every harmonic of degree k
as multiplication by one number (Funk and Hecke; [atkinson2012spherical], section 2.6):

.. math:: \mu_k = E_\tau[\kappa(t) P_k(t)], \qquad
          \kappa(u) = \sum_k \mu_k N(d, k) P_k(u), \qquad \kappa(1) = \sum_k N(d,k)\,\mu_k .
"""

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
import sympy

from .._checks import check_integer
from ..prediction import Prediction

Dimension: TypeAlias = int | sympy.Expr

_t, _d = sympy.symbols("t d")
_k = sympy.Symbol("k", positive=True)


class Kernel(ABC):
    """A positive-definite zonal kernel.

    Attributes
    ----------
    name : str
        As on the command line, e.g. ``"arc-cosine(1)"``.
    source : str
        A key of references.bib and the place in it.
    """

    name: str
    source: str

    @abstractmethod
    def profile(self, t: sympy.Expr = _t, d: Dimension = _d) -> sympy.Expr:
        """The kernel as a function of ``t = <x, y>``, and of `d` if its features depend on it."""

    @abstractmethod
    def eigenvalue(self, k: int, d: Dimension) -> sympy.Expr:
        """Eigenvalue of degree `k`, exactly.

        Raises
        ------
        NotImplementedError
            If there is no closed form.
        """

    @abstractmethod
    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        """Logarithms of the eigenvalues of degrees 0 to `max_degree`, without underflow.

        Returns
        -------
        ndarray of float64, shape (max_degree + 1,)
            Minus infinity where parity makes the eigenvalue zero.
        """

    @abstractmethod
    def decay_exponent(self, d: Dimension) -> sympy.Expr:
        r"""The p of :math:`\mu_k \sim C k^{-p}`; infinite if the decay is faster than any power."""

    @abstractmethod
    def decay_constants(self, d: Dimension) -> tuple[sympy.Expr, sympy.Expr]:
        r"""The C of :math:`\mu_k \sim C k^{-p}` on even and on odd degrees.

        Zero means that the eigenvalues of the class vanish from some degree on.
        """

    def trace(self, d: Dimension) -> sympy.Expr:
        r"""The mean of :math:`\kappa(\langle x, x\rangle)`, that is the profile at 1."""
        return self.profile(sympy.Integer(1), d)

    def asymptote(self, d: Dimension) -> Prediction:
        r"""Leading behaviour of the eigenvalues in the degree, with :math:`k + d/2 - 1` for k.

        To first order this is the same; the shift removes the correction of relative order 1/k,
        since the eigenvalues of a singularity are ratios of Gamma functions centred there.

        Raises
        ------
        ValueError
            If the spectrum is finite: the kernel is a polynomial.
        """
        even, odd = self.decay_constants(d)
        if even == odd == 0:
            raise ValueError(f"kernel must have infinitely many eigenvalues, got {self.name}.")
        constant = (even + odd) / 2 + (-1) ** _k * (even - odd) / 2
        shifted = _k + sympy.sympify(d) / 2 - 1
        return Prediction(
            constant * shifted ** (-self.decay_exponent(d)),
            "asymptotic",
            "k to infinity at fixed d",
            self.source,
            self.name,
        )


def log_eigenvalues(kernel: Kernel, d: int, max_degree: int) -> np.ndarray:
    """Logarithms of the eigenvalues: where :func:`eigenvalues` underflows, this does not.

    Parameters and errors are those of :func:`eigenvalues`.
    """
    d, max_degree = check_integer("d", d, 2), check_integer("max_degree", max_degree, 0)
    return kernel.log_eigenvalues(d, max_degree)


def eigenvalues(kernel: Kernel, d: int, max_degree: int) -> np.ndarray:
    r"""Eigenvalues :math:`\mu_0, \dots, \mu_K` in float64.

    Parameters
    ----------
    kernel : Kernel
        A member of ``ALL_KERNELS``, or any other.
    d : int
        Ambient dimension, at least 2.
    max_degree : int
        The largest degree K, at least 0.

    Returns
    -------
    ndarray of float64, shape (max_degree + 1,)
        Of relative error below 1e-10; exactly zero where parity makes them so. Zero as well
        where they are below the smallest float: see :func:`log_eigenvalues`.

    Raises
    ------
    ValueError
        If `d` or `max_degree` is not an integer, or is too small.
    """
    return np.exp(log_eigenvalues(kernel, d, max_degree))
