r"""Learning curves: mean divergence of the fitted from the planted measure, against n.

The curves are means over data sets of n samples of :math:`\mathrm{KL}(\nu\|\hat\nu)`, where nu is
planted with the energy :math:`f^*(x) = \frac1J\sum_j w_j\sigma(\langle\theta_j, x\rangle)`.

*Lazy, weak energies.* Penalised maximum likelihood with frozen features minimises
:math:`\int f\,d\nu_n + \log\int e^{-f}d\tau + \frac\lambda2\|f\|_{F2}^2`. To second order in the
energy the divergence is half a squared distance in L2(tau) modulo constants, and the problem
separates into harmonic degrees: the fit shrinks each by :math:`s_k = \mu_k/(\mu_k+\lambda)`,
where :math:`\mu_k` is the eigenvalue of the kernel. A degree carries signal :math:`\|f^*_k\|^2`
and, having N(d, k) harmonics, noise N(d, k)/n:

.. math:: E\,\mathrm{KL} = \frac12 \sum_{k\ge1}
          \left[(1-s_k)^2 \|f^*_k\|^2 + s_k^2\, \frac{N(d,k)}{n}\right], \qquad
          \|f^*_k\|^2 = \mu_k N(d,k)\, q_k, \quad
          q_k = \frac1{J^2}\sum_{ij} w_i w_j P_k(\langle\theta_i,\theta_j\rangle).

Degree 0 is a constant, which the normalisation of the measure removes. Each term is smallest at
:math:`\lambda = 1/(n q_k)`; for one neuron :math:`q_k = w^2` in every degree, so the best penalty
is :math:`1/(n w^2)` for every d, alpha and n. Derived here.
"""

import numpy as np
import sympy
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit

from .._checks import check_integer, check_sizes
from ..activations import ReLUPower
from ..prediction import Prediction
from ..sphere import legendre_values, log_harmonic_dimensions

_RELATIVE_ERROR = 1e-10
_MAX_DEGREE = 2**20
# Below this, relative to the square of the mean weight, a degree's signal is rounding.
NEGLIGIBLE = 1e-12

_n, _w = sympy.symbols("n w", positive=True)


def optimal_penalty(w: float, n: ArrayLike) -> np.ndarray | float:
    r"""Penalty that minimises the weak-energy curve of one neuron, :math:`1/(n w^2)`.

    Parameters
    ----------
    w : float
        Weight of the neuron; the penalty is infinite at 0.
    n : array_like
        Numbers of samples.
    """
    n = check_sizes(n)
    return np.full_like(n, np.inf)[()] if w == 0 else (1 / (n * float(w) ** 2))[()]


def weak(
    w: float, d: int, n: ArrayLike, alpha: int = 1, penalty: float | None = None
) -> np.ndarray | float:
    """Mean divergence of the lazy fit to one neuron, at weak energy.

    Parameters
    ----------
    w : float
        Weight of the neuron.
    d, alpha : int
        Ambient dimension (>= 2), power of the rectifier (>= 0).
    n : array_like
        Numbers of samples, positive.
    penalty : float, optional
        The positive factor lambda of half the squared F2 norm; `optimal_penalty` by default.

    Returns
    -------
    float or ndarray of the shape of `n`
        The series is summed to a relative error of 1e-10.

    Raises
    ------
    ValueError
        If an argument is out of range, or the series needs more than a million degrees.
    """
    return weak_planted([[1.0]], [w], d, n, alpha, penalty)


def weak_planted(
    directions_gram: ArrayLike,
    weights: ArrayLike,
    d: int,
    n: ArrayLike,
    alpha: int = 1,
    penalty: float | None = None,
) -> np.ndarray | float:
    """Mean divergence of the lazy fit to J neurons, at weak energy.

    Parameters
    ----------
    directions_gram : array_like, shape (J, J)
        Inner products of the unit directions.
    weights : array_like, shape (J,)
        Weights of the planted energy.
    d, n, alpha, penalty
        As in `weak`; by default the penalty minimises the curve, separately for each n.

    Returns
    -------
    float or ndarray of the shape of `n`
    """
    n = check_sizes(n)
    if penalty is not None and not penalty > 0:
        raise ValueError(f"penalty must be positive, got {penalty!r}.")
    signal = Signal(directions_gram, weights, d, alpha)
    values = [
        signal.best_risk(size) if penalty is None else signal.risk(size, penalty) for size in n.flat
    ]
    return np.array(values).reshape(n.shape)[()]


def weak_asymptote(d: int, alpha: int = 1) -> Prediction:
    r"""Leading term of `weak` at the best penalty, as n grows; its symbols are `n` and `w`.

    With :math:`\mu_k \sim C k^{-p}` on every second degree, :math:`p = d + 2\alpha`, and
    :math:`N(d,k) \sim 2k^{d-2}/(d-2)!`, the sum :math:`\frac1{2n}\sum_k N s_k` becomes an integral:

    .. math:: \frac{(n w^2 C)^{(d-1)/p}}{2n\,(d-2)!}
              \int_0^\infty \frac{x^{d-2}}{1+x^p}\,dx, \qquad
              \int_0^\infty \frac{x^{d-2}}{1+x^p}\,dx = \frac{\pi/p}{\sin(\pi(d-1)/p)} .

    The integral converges because p > d - 1. In d = 15 no realistic n comes near the asymptote.
    """
    d, alpha = check_integer("d", d, 2), check_integer("alpha", alpha, 0)
    p = sympy.Integer(d + 2 * alpha)
    coefficient = sympy.gamma(sympy.Rational(d, 2)) * sympy.factorial(alpha) / 2 ** (alpha + 1)
    constant = (coefficient / sympy.pi) ** 2 * 2**p
    integral = sympy.pi / p / sympy.sin(sympy.pi * (d - 1) / p)
    return Prediction(
        (_n * _w**2 * constant) ** ((d - 1) / p) * integral / (2 * _n * sympy.factorial(d - 2)),
        "asymptotic",
        "weak energy, best penalty, n to infinity",
        "derived in lazyactive.theory.learning_curves.weak_asymptote",
        "lazy asymptote",
    )


class Signal:
    """Energy of the target in every harmonic degree, tabulated as far as it is needed."""

    def __init__(self, directions_gram: ArrayLike, weights: ArrayLike, d: int, alpha: int) -> None:
        self.d, self.activation = check_integer("d", d, 2), ReLUPower(alpha)
        gram, weights = np.asarray(directions_gram, float), np.asarray(weights, float)
        if weights.ndim != 1 or not len(weights) or not np.all(np.isfinite(weights)):
            raise ValueError(f"weights must be a nonempty list of finite numbers, got {weights}.")
        shape = (len(weights), len(weights))
        if (
            gram.shape != shape
            or not np.allclose(np.diag(gram), 1)
            or not np.allclose(gram, gram.T)
        ):
            raise ValueError(
                f"directions_gram must be a symmetric {shape} matrix with unit diagonal, "
                f"got {gram}."
            )
        # Inner products of unit vectors leave [-1, 1] by rounding.
        self.gram, self.weights = np.clip(gram, -1, 1), weights / len(weights)
        self.size = float(np.sum(np.abs(self.weights)))
        self.tabulate(64)

    def tabulate(self, max_degree: int) -> None:
        """Tabulate the degrees from 1, those without eigenvalue left out."""
        log_mu = self.activation.log_eigenvalues(self.d, max_degree)
        log_trace_terms = log_mu + log_harmonic_dimensions(self.d, max_degree)
        quadratic = legendre_values(self.gram, self.d, max_degree) @ self.weights @ self.weights
        trace_terms = np.exp(log_trace_terms)
        self.max_degree = max_degree
        # The kernel at (x, y) is the sum of trace_terms * P_k(<x, y>) over all degrees.
        kernel = self.activation.kernel(self.gram, self.d)
        self.total = self.weights @ kernel @ self.weights - trace_terms[0] * quadratic[0]
        trace = float(self.activation.kernel(1.0, self.d))
        self.rest = max(trace - float(np.sum(trace_terms)), 0.0)
        kept = np.isfinite(log_mu)
        kept[0] = False
        self.degrees = np.flatnonzero(kept)
        self.log_mu, self.trace_terms = log_mu[kept], trace_terms[kept]
        self.quadratic = quadratic[kept]

    def risk(self, n: float, penalty: float) -> float:
        """Sum the series, with degrees added until the bound on the tail is small."""
        while True:
            shrinkage = expit(self.log_mu - np.log(penalty))
            # (1 - s)^2 = 1 - s (2 - s): the ones add up to the squared norm, the rest is short.
            unlearned = self.total - np.sum(
                shrinkage * (2 - shrinkage) * self.trace_terms * self.quadratic
            )
            # s^2 N = s mu N / (mu + penalty).
            noise = np.sum(shrinkage * self.trace_terms / (np.exp(self.log_mu) + penalty)) / n
            value = float(unlearned + noise) / 2
            # Eigenvalues decrease, so beyond the table s is below its last value, and the two
            # tails are at most this multiple of the trace of the kernel that is left.
            tail = shrinkage[-1] * self.rest * (self.size**2 + 1 / (2 * n * penalty))
            if tail <= _RELATIVE_ERROR * abs(value) or value == 0:
                return value
            if self.max_degree >= _MAX_DEGREE:
                raise ValueError(
                    f"n must be small enough for a million harmonic degrees to suffice, got {n}."
                )
            self.tabulate(2 * self.max_degree)

    def best_risk(self, n: float) -> float:
        """Minimum over the penalty."""
        strongest = np.max(self.quadratic)
        if strongest <= NEGLIGIBLE * self.size**2:
            return 0.0
        # Each degree is quasi-convex in the penalty with its minimum at 1 / (n q_k), so the
        # minimum of the sum lies between the extremes of these. A degree without signal pulls to
        # infinity, but too weakly to pass the floor that is set here.
        weakest = np.maximum(np.min(self.quadratic), 1e-8 * strongest)
        low, high = -np.log(n * strongest), -np.log(n * weakest)
        if high - low < 1e-9:
            return self.risk(n, float(np.exp(low)))
        grid = np.linspace(low, high, 50)
        risks = [self.risk(n, float(np.exp(point))) for point in grid]
        best = int(np.argmin(risks))
        result = minimize_scalar(
            lambda point: self.risk(n, float(np.exp(point))),
            bounds=(grid[max(best - 1, 0)], grid[min(best + 1, 49)]),
            method="bounded",
            options={"xatol": 1e-7},
        )
        return min(float(result.fun), risks[best])
