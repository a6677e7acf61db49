r"""Powers of the rectifier and their Funk-Hecke coefficients."""

from dataclasses import dataclass

import numpy as np
import sympy
from numpy.typing import ArrayLike
from scipy.special import gammaln

from ._beta import log_beta
from ._checks import check_integer

# Gauss-Legendre nodes of the kernel integral, an entire function of the angle.
_N_ANGLES = 40


@dataclass(frozen=True)
class ReLUPower:
    r"""The activation :math:`\sigma(t) = \max(t, 0)^\alpha`; `alpha = 0` is :math:`1[t > 0]`.

    Parameters
    ----------
    alpha : int
        Power, at least 0.

    Raises
    ------
    ValueError
        If `alpha` is not a nonnegative integer.
    """

    alpha: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", check_integer("alpha", self.alpha, 0))

    def __call__(self, t: ArrayLike) -> np.ndarray:
        """Apply the activation, elementwise."""
        t = np.asarray(t, dtype=np.float64)
        return np.where(t > 0, np.maximum(t, 0.0) ** self.alpha, 0.0)

    def coefficient(self, k: int, d: int | sympy.Expr) -> sympy.Expr:
        r"""Funk-Hecke coefficient of degree `k` on the sphere of R^d, exactly.

        It is the number :math:`\lambda_k` such that :math:`\int \sigma(\langle x, \theta\rangle)
        Y_k(\theta)\,d\tau(\theta) = \lambda_k Y_k(x)` for every harmonic of degree `k`:

        .. math:: \lambda_k = \frac{\Gamma(d/2)\,\Gamma(\alpha+1)\,2^{-\alpha-1}}
                  {\Gamma(1+(\alpha-k)/2)\,\Gamma((d+\alpha+k)/2)} .

        The poles of the first factor below the fraction line are the parity zeros:
        :math:`\lambda_k = 0` if and only if `k >= alpha + 2` and `k - alpha` is even.

        Parameters
        ----------
        k : int
            Degree, at least 0.
        d : int or sympy.Expr
            Ambient dimension, a number (>= 2) or a symbol.

        References
        ----------
        [bach2017breaking], appendix D, for `k > alpha` and with the sphere S^d of R^{d+1}; in
        this form it also holds for `k <= alpha`: integrate Rodrigues' formula by parts.
        """
        k = check_integer("k", k, 0)
        if not isinstance(d, sympy.Basic):
            check_integer("d", d, 2)
        d, alpha = sympy.sympify(d), sympy.Integer(self.alpha)
        numerator = sympy.gamma(d / 2) * sympy.factorial(alpha) / 2 ** (alpha + 1)
        # SymPy evaluates 1 / gamma at a pole to zero.
        return numerator / sympy.gamma(1 + (alpha - k) / 2) / sympy.gamma((d + alpha + k) / 2)

    def coefficients(self, d: int, max_degree: int) -> np.ndarray:
        """Funk-Hecke coefficients of degrees 0 to `max_degree` in float64.

        Returns
        -------
        ndarray of float64, shape (max_degree + 1,)
            Exactly zero where parity makes them so.
        """
        logs = self.log_eigenvalues(d, max_degree)
        k = np.arange(max_degree + 1)
        # The sign of 1 / Gamma(1 + (alpha - k) / 2) alternates below its first pole.
        flips = np.maximum(k - self.alpha - 1, 0) // 2
        return np.where(flips % 2 == 0, 1.0, -1.0) * np.exp(logs / 2)

    def log_eigenvalues(self, d: int, max_degree: int) -> np.ndarray:
        r"""Logarithms of the kernel's eigenvalues :math:`\mu_k = \lambda_k^2`, without underflow.

        Returns
        -------
        ndarray of float64, shape (max_degree + 1,)
            Minus infinity where parity makes the coefficient zero.
        """
        d, max_degree = check_integer("d", d, 2), check_integer("max_degree", max_degree, 0)
        alpha = self.alpha
        logs = np.full(max_degree + 1, -np.inf)
        k = np.arange(min(alpha, max_degree) + 1)
        # Gamma(d/2) / Gamma(d/2 + s) = B(d/2, s) / Gamma(s); raised by one, so that s may be 0.
        s = (alpha + k) / 2
        fall = log_beta(d / 2, s + 1) - gammaln(s + 1) + np.log(d / 2 + s)
        constant = gammaln(alpha + 1) - (alpha + 1) * np.log(2)
        logs[: len(k)] = 2 * (constant + fall - gammaln(1 + (alpha - k) / 2))
        k = np.arange(alpha + 1, max_degree + 1, 2)
        logs[k] = self.log_tail_eigenvalues(k, d)
        return logs

    def log_tail_eigenvalues(self, k: np.ndarray, d: int) -> np.ndarray:
        r"""Logarithms of the eigenvalues of degrees k > alpha, k - alpha odd, for real k as well.

        Euler's reflection of :math:`1/\Gamma(1+(\alpha-k)/2)` leaves

        .. math:: |\lambda_k| = \frac{\Gamma(\alpha+1)}{2^{\alpha+1}\pi}\,
                  \frac{B(d/2, (k-\alpha)/2)}{((d+k-\alpha)/2)_\alpha} .
        """
        alpha, b = self.alpha, (np.asarray(k) - self.alpha) / 2
        products = np.log(d / 2 + b[:, None] + np.arange(alpha)).sum(axis=1)
        constant = gammaln(alpha + 1) - (alpha + 1) * np.log(2) - np.log(np.pi)
        return 2 * (constant + log_beta(d / 2, b) - products)

    def kernel(self, u: ArrayLike, d: int) -> np.ndarray:
        r"""Kernel of uniformly distributed features at :math:`u = \langle x, y\rangle`.

        With :math:`u = \cos\varphi` and the squared length of the projection of a uniform point on
        the plane of x and y, which follows a Beta(1, (d-2)/2) law,

        .. math:: \kappa(u) = E_\tau\,\sigma(\langle x,\theta\rangle)\sigma(\langle y,\theta\rangle)
                  = \frac{\Gamma(\alpha+1)\Gamma(d/2)}{\Gamma(\alpha+d/2)} \frac{1}{2\pi}
                    \int_{\varphi-\pi/2}^{\pi/2} \cos^\alpha\psi \cos^\alpha(\psi-\varphi)\,d\psi .

        It is the arc-cosine kernel of [cho2009kernel], section 2, divided by
        :math:`E|g|^{2\alpha}` of a standard Gaussian g. Its eigenvalues are
        :math:`\lambda_k^2`, so that :math:`\kappa(u) = \sum_k \lambda_k^2 N(d,k) P_k(u)`.

        Parameters
        ----------
        u : array_like
            Points of [-1, 1], any shape.
        d : int
            Ambient dimension, at least 2.
        """
        d, alpha = check_integer("d", d, 2), self.alpha
        phi = np.arccos(np.asarray(u, dtype=np.float64))[..., None]
        nodes, weights = np.polynomial.legendre.leggauss(_N_ANGLES + alpha)
        psi = phi / 2 + (np.pi - phi) / 2 * nodes
        angular = (np.cos(psi) * np.cos(psi - phi)) ** alpha @ weights * (np.pi - phi[..., 0]) / 2
        radial = np.exp(gammaln(alpha + 1) + gammaln(d / 2) - gammaln(alpha + d / 2))
        return radial * angular / (2 * np.pi)
