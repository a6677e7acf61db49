r"""Lazy learning curves of any linear estimator that commutes with rotations, at weak energy.

Such an estimator is a filter: of every harmonic degree it learns a part :math:`s_k \in [0, 1]`.
The formula of `weak_energy` holds for any filter, with :math:`\|f^*_k\|^2` of the planted energy,
whatever kernel learns it:

.. math:: E\,\mathrm{KL} = \frac12 \sum_{k\ge1}
          \left[(1-s_k)^2 \|f^*_k\|^2 + s_k^2\, \frac{N(d,k)}{n}\right] .

For one neuron its least value over all filters, that of Wiener's, is the curve of the kernel of
the neuron's own activation at the best penalty: none here is below `weak`. Where the eigenvalue of
the estimator's kernel vanishes nothing is learned; where that of the activation does, noise alone
is. So RBF, with the noise of odd degrees, loses a third in d = 5 at n = 10^5, whatever its scale.

*Other discrepancies.* To the same order the squared discrepancy of a kernel weighs the degrees by
its eigenvalues :math:`\rho_k` instead of 1/2: the kernel Stein discrepancy by those of
`kernels.Stein` of its base kernel, the maximum mean discrepancy by those of the kernel itself. For
one neuron the penalty of `weak` is the best in every degree, and so for every discrepancy: at weak
energies no estimator trained by a discrepancy has less of it than penalised maximum likelihood.

With :math:`x_k` the eigenvalue, divided by the penalty or times the flow time, a filter is
:math:`s(x_k)`.

*The best strength.* Let r be the part :math:`x_k/\max x` of the strongest. As
:math:`s \le x` and :math:`s'` and 1 - s decrease, the slope of the curve in the logarithm of the
strength is negative as long as

.. math:: \max x \cdot (1 + \max x)^3 \quad\text{or}\quad \max x \cdot e^{2\max x}
          \qquad\text{is below}\qquad R = n\,\frac{\sum_k r_k\|f^*_k\|^2}{\sum_k r_k N(d,k)},

for ridge and for the flow; where degrees are weighed, so are both sums. From
:math:`\max x = \min(R, 1)/8`, where this is so, the strength is raised until the noise, which grows
with it, and the bias that no strength removes exceed the least value met. The curve can have
several minima, as one degree after the other is switched on.

*The tail.* Beyond degree K all :math:`\sum_k N(d,k)\,\xi_k` that is left of the trace remains. An
eigenvalue is there at most the last one, as spectra that have begun to fall go on, each parity for
itself; as long as they rise, at most the quotient of the rest and N(d, K+1). For a product of
spectra one factor gives its rest, the others their bounds. Weights beyond K are bounded alike.

Derived here.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache, reduce

import numpy as np
import sympy
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import exprel, log_expit

from .._checks import check_positive, check_sizes
from ..kernels import RBF, Kernel, Stein
from ..sphere import log_harmonic_dimensions
from .weak_energy import NEGLIGIBLE, Signal

_RELATIVE_ERROR = 1e-6
_MAX_DEGREE = 2**16
# Part of a trace that the errors of eigenvalues, and rounding, may hide.
_HIDDEN = 1e-12
# Steps of the scan over strengths; a degree is switched on within several of them.
_STEP = 0.5
# Logarithms at which exponentials are stopped short of overflow.
_LARGE = 300.0


@dataclass(frozen=True)
class Filter(ABC):
    """A linear estimator with eigenvalues of a kernel, or products of those of several.

    Raises
    ------
    ValueError
        If a kernel is not a Kernel.
    """

    kernel: Kernel

    # The sign with which the logarithm of the strength enters that of x.
    _direction = -1

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, Kernel):
            raise ValueError(f"kernel must be a Kernel, such as NTK(), got {self.kernel!r}.")

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """Kernels whose eigenvalues multiply."""
        return (self.kernel,)

    def log_dose(self, strength: float) -> float:
        """Logarithm of the factor that turns eigenvalues into x."""
        return float(self._direction * np.log(strength))

    def strength(self, log_dose: float) -> float:
        """The inverse of `log_dose`."""
        return float(np.exp(self._direction * log_dose))

    @abstractmethod
    def log_learned(self, log_x: np.ndarray) -> np.ndarray:
        """Logarithm of s; x may be zero."""

    @abstractmethod
    def log_unlearned(self, log_x: np.ndarray) -> np.ndarray:
        """Logarithm of 1 - s."""


@dataclass(frozen=True)
class Ridge(Filter):
    r"""Maximum likelihood with a penalty :math:`\frac\lambda2\|f\|^2` in the space of a kernel.

    .. math:: s_k = \frac{\xi_k}{\xi_k + \lambda}

    Parameters
    ----------
    kernel : Kernel
        Of eigenvalues :math:`\xi_k`; ``ArcCosine(alpha)`` is the F2 of the package, in which
        this is the estimator of `weak`. Its strength is the penalty.
    """

    def log_learned(self, log_x: np.ndarray) -> np.ndarray:
        """Logarithm of x / (1 + x)."""
        return log_expit(log_x)

    def log_unlearned(self, log_x: np.ndarray) -> np.ndarray:
        """Logarithm of 1 / (1 + x)."""
        return log_expit(-log_x)


@dataclass(frozen=True)
class Flow(Filter):
    r"""Gradient flow of the likelihood, from zero in the space of a kernel, stopped at time T.

    .. math:: s_k = 1 - e^{-\xi_k T}

    Parameters
    ----------
    kernel : Kernel
        Of eigenvalues :math:`\xi_k`. The strength is the flow time, as in `early_stopping`.
    """

    _direction = 1

    def log_learned(self, log_x: np.ndarray) -> np.ndarray:
        """Logarithm of 1 - exp(-x), which is near x for small ones."""
        log_x = np.minimum(log_x, _LARGE)
        return log_x + np.log(exprel(-np.exp(log_x)))

    def log_unlearned(self, log_x: np.ndarray) -> np.ndarray:
        """Minus x."""
        return -np.exp(np.minimum(log_x, _LARGE))


@dataclass(frozen=True)
class SteinRidge(Ridge):
    r"""Least kernel Stein discrepancy with a penalty in the space of a kernel.

    At weak energies it minimises :math:`\sum_k \rho_k\|f_k - \hat f_k\|^2 + \lambda\|f\|^2`, where
    :math:`\hat f_k` is what the samples say of degree k, so that

    .. math:: s_k = \frac{\xi_k\rho_k}{\xi_k\rho_k + \lambda} .

    Parameters
    ----------
    kernel : Kernel
        Of eigenvalues :math:`\xi_k`. The strength is the penalty.
    base : Kernel
        Base kernel of the discrepancy; :math:`\rho_k` are the eigenvalues of ``Stein(base)``.
        ``ArcCosine(1)`` is blind to even degrees above the second.

    Raises
    ------
    ValueError
        If a kernel is not a Kernel, or the base kernel has no derivative at 1.
    """

    base: Kernel = field(default_factory=RBF)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.base, Kernel):
            raise ValueError(f"base must be a Kernel, such as RBF(), got {self.base!r}.")
        Stein(self.base)

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernel, and the Stein kernel of the base."""
        return self.kernel, Stein(self.base)


def weak_filtered(
    estimator: Filter,
    w: float,
    d: int,
    n: ArrayLike,
    alpha: int = 1,
    strength: float | None = None,
    discrepancy: Kernel | None = None,
) -> np.ndarray | float:
    """Mean divergence, or squared discrepancy, of a linear estimator of one neuron, at weak energy.

    Parameters
    ----------
    estimator : Ridge, Flow or SteinRidge
    w : float
        Weight of the neuron.
    d, alpha : int
        Ambient dimension (>= 2), power of the rectifier (>= 0) of the planted neuron.
    n : array_like
        Numbers of samples, positive.
    strength : float, optional
        The penalty or the flow time, positive; by default the best, separately for each n.
    discrepancy : Kernel, optional
        Kernel of the squared discrepancy that is meant instead of the divergence KL:
        ``Stein(RBF())`` for the kernel Stein discrepancy.

    Returns
    -------
    float or ndarray of the shape of `n`
        The series is summed to a relative error of 1e-6.

    Raises
    ------
    ValueError
        If an argument is out of range, or the series needs more than 65536 degrees.
    """
    return weak_filtered_planted(estimator, [[1.0]], [w], d, n, alpha, strength, discrepancy)


def weak_filtered_planted(
    estimator: Filter,
    directions_gram: ArrayLike,
    weights: ArrayLike,
    d: int,
    n: ArrayLike,
    alpha: int = 1,
    strength: float | None = None,
    discrepancy: Kernel | None = None,
) -> np.ndarray | float:
    """Mean divergence, or squared discrepancy, of a linear estimator of J neurons, at weak energy.

    Parameters
    ----------
    directions_gram : array_like, shape (J, J)
        Inner products of the unit directions.
    weights : array_like, shape (J,)
        Weights of the planted energy.
    estimator, d, n, alpha, strength, discrepancy
        As in `weak_filtered`.

    Returns
    -------
    float or ndarray of the shape of `n`
    """
    n = check_sizes(n)
    curve = _Curve(estimator, Signal(directions_gram, weights, d, alpha), discrepancy)
    if strength is None:
        values = [curve.optimum(size)[1] for size in n.flat]
    else:
        log_dose = estimator.log_dose(check_positive("strength", strength))
        values = [sum(curve.terms(size, log_dose)) for size in n.flat]
    return np.array(values).reshape(n.shape)[()]


def best_strength(
    estimator: Filter,
    w: float,
    d: int,
    n: ArrayLike,
    alpha: int = 1,
    discrepancy: Kernel | None = None,
) -> np.ndarray | float:
    """Penalty or flow time at which `weak_filtered` is least.

    Parameters are those of `weak_filtered`. Where there is nothing to be learned, the penalty is
    infinite and the time zero.
    """
    n = check_sizes(n)
    curve = _Curve(estimator, Signal([[1.0]], [w], d, alpha), discrepancy)
    values = [estimator.strength(curve.optimum(size)[0]) for size in n.flat]
    return np.array(values).reshape(n.shape)[()]


class _Curve:
    """The series of one estimator and one target, tabulated as far as it is needed."""

    def __init__(self, estimator: Filter, signal: Signal, discrepancy: Kernel | None) -> None:
        if not isinstance(estimator, Filter):
            raise ValueError(
                f"estimator must be a filter, such as Ridge(NTK()), got {estimator!r}."
            )
        if not isinstance(discrepancy, Kernel | None):
            raise ValueError(
                f"discrepancy must be a Kernel, such as Stein(RBF()), got {discrepancy!r}."
            )
        self.estimator, self.signal, self.discrepancy = estimator, signal, discrepancy
        self.traces = [_trace(kernel, signal.d) for kernel in estimator.kernels]
        self.weight_trace = np.inf if discrepancy is None else _trace(discrepancy, signal.d)
        self._tabulate(signal.max_degree)

    def _tabulate(self, max_degree: int) -> None:
        """Tabulate the degrees from 1 to the largest."""
        signal = self.signal
        if max_degree > signal.max_degree:
            signal.tabulate(max_degree)
        log_dimensions = log_harmonic_dimensions(signal.d, max_degree + 1)
        target = np.zeros(max_degree)
        target[signal.degrees - 1] = signal.trace_terms * signal.quadratic
        rest = max(signal.total - float(np.sum(target)), 0.0)
        # Weights, bounds on a weight beyond the table and on the sum of N times them; and what is
        # left of the signal there, known for equal weights and bounded for others.
        if self.discrepancy is None:
            log_weights = np.full(max_degree, np.log(0.5))
            self.log_weight, self.log_weight_left = np.log(0.5), np.inf
            self.rest, self.largest_rest = rest / 2, 0.0
        else:
            logs = self.discrepancy.log_eigenvalues(signal.d, max_degree)
            largest, left = _tail(logs, log_dimensions, self.weight_trace)
            log_weights, self.log_weight, self.log_weight_left = logs[1:], largest, left
            self.rest, self.largest_rest = 0.0, float(np.exp(largest)) * rest
        self.log_noise = log_dimensions[1:-1] + log_weights
        self.target = np.exp(log_weights) * target
        self.log_rates, bounds = np.zeros(max_degree), []
        for kernel, trace in zip(self.estimator.kernels, self.traces, strict=True):
            logs = kernel.log_eigenvalues(signal.d, max_degree)
            self.log_rates += logs[1:]
            bounds.append(_tail(logs, log_dimensions, trace))
        # Bounds on an eigenvalue beyond the table, and on the sum of N times them.
        self.log_largest, self.log_left = reduce(
            lambda a, b: (a[0] + b[0], min(a[0] + b[1], a[1] + b[0])), bounds
        )

    def terms(self, n: float, log_dose: float) -> tuple[float, float]:
        """Bias and noise, with degrees added until the bound on the tail is small."""
        while True:
            log_x = self.log_rates + log_dose
            unlearned = np.exp(2 * self.estimator.log_unlearned(log_x))
            bias = float(unlearned @ self.target) + self.rest
            log_noise = 2 * self.estimator.log_learned(log_x) + self.log_noise
            noise = float(np.sum(np.exp(log_noise))) / n
            # Beyond the table 1 - (1 - s)^2 <= 2 x, and s^2 <= x times its largest value, and <= 1.
            log_largest = min(self.log_largest + log_dose, _LARGE)
            log_left = min(self.log_left + log_dose, _LARGE)
            log_tail = min(self.log_weight + log_largest + log_left, self.log_weight_left)
            tail = 2 * np.exp(log_largest) * self.rest + self.largest_rest + np.exp(log_tail) / n
            if tail <= _RELATIVE_ERROR * (bias + noise):
                return bias, noise
            if 2 * self.signal.max_degree > _MAX_DEGREE:
                raise ValueError(
                    f"n must be small enough for {_MAX_DEGREE} harmonic degrees to suffice, "
                    f"got {n}."
                )
            self._tabulate(2 * self.signal.max_degree)

    def optimum(self, n: float) -> tuple[float, float]:
        """Logarithm of the best dose, and the least value."""
        signal, total = self.signal, float(np.sum(self.target)) + self.rest
        largest = signal.size**2 * float(signal.activation.kernel(1.0, signal.d))
        if signal.total <= NEGLIGIBLE * largest:
            return -np.inf, 0.0
        # Relative to the strongest eigenvalue, degrees beyond the table included.
        strongest = max(float(np.max(self.log_rates)), self.log_largest)
        relative = np.exp(self.log_rates - strongest)
        learnable = float(relative @ self.target)
        if learnable <= NEGLIGIBLE * total:
            return -np.inf, total
        noise = float(np.sum(np.exp(self.log_rates - strongest + self.log_noise)))
        noise += np.exp(self.log_weight + self.log_left - strongest)
        log_doses = [np.log(min(n * learnable / noise, 1.0) / 8) - strongest]
        values: list[float] = []
        while True:
            bias, noise = self.terms(n, log_doses[-1])
            values.append(bias + noise)
            # No larger strength lowers the least value by more than the error of the series.
            if self._unlearnable() + noise >= (1 - _RELATIVE_ERROR) * min(values):
                break
            log_doses.append(log_doses[-1] + _STEP)
        best = int(np.argmin(values))
        result = minimize_scalar(
            lambda log_dose: sum(self.terms(n, log_dose)),
            bounds=(log_doses[max(best - 1, 0)], log_doses[min(best + 1, len(values) - 1)]),
            method="bounded",
            options={"xatol": 1e-7},
        )
        if result.fun < values[best]:
            return float(result.x), float(result.fun)
        return log_doses[best], values[best]

    def _unlearnable(self) -> float:
        """The bias at infinite strength, as far as the table shows it."""
        rest = self.rest if self.log_left == -np.inf else 0.0
        return float(np.sum(self.target[self.log_rates == -np.inf])) + rest


@lru_cache(maxsize=128)
def _trace(kernel: Kernel, d: int) -> float:
    # Beside u = 1, where derivatives in a Stein kernel have no value; their limit takes SymPy up to
    # half a minute. Powers of 1 - u, from 1/2, are below rounding.
    return float(kernel.profile(1 - sympy.Rational(1, 10**40), d).evalf(60))


def _tail(logs: np.ndarray, log_dimensions: np.ndarray, trace: float) -> tuple[float, float]:
    """Logarithms of bounds on eigenvalues beyond the table, and on the rest of the trace."""
    terms = np.exp(logs + log_dimensions[:-1])
    left = trace - float(np.sum(terms))
    if left < _HIDDEN * trace:
        # So soon, only terms that fall fast: half of the table has more of them than are left.
        left = min(_HIDDEN * trace, float(np.sum(terms[len(terms) // 2 :])))
    log_left = float(np.log(left)) if left > 0 else -np.inf
    falling = np.argmax(logs) < len(logs) - 2
    return float(np.max(logs[-2:]) if falling else log_left - log_dimensions[-1]), log_left
