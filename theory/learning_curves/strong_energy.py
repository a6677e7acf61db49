r"""Lazy learning curves of one planted neuron of any strength.

The lazy fit minimises :math:`\int f\,d\nu_n + \log\int e^{-f}d\tau + \frac\lambda2\|f\|_{F2}^2`
over samples of :math:`\nu \propto e^{-w\,\sigma(\langle\theta,x\rangle)}\tau`. Let
:math:`f_\lambda` be its minimiser with nu itself in place of the empirical :math:`\nu_n`, a
function of :math:`t = \langle\theta,x\rangle` alone. The error :math:`\xi` of the empirical mean
features moves the fit by :math:`-H^{-1}\xi`, where H is the second derivative of the penalised
loss, and the divergence by half the square of that in the metric F of the loss alone. With C the
covariance of the features under nu,

.. math:: E\,\mathrm{KL}(\nu\|\hat\nu) = \mathrm{KL}(\nu\|\nu_{f_\lambda})
   + \frac1{2n} \operatorname{tr}\left(H^{-1} C H^{-1} F\right) + \dots, \qquad
   F = \operatorname{Cov}_{f_\lambda}, \quad H = F + \lambda\operatorname{diag}(1/\mu_k) .

What is left out is of higher order in 1/n. The three matrices are block-diagonal in the sectors of
`_sectors`, and the trace is a sum of small traces with multiplicities N(d-1, l): nothing but
integrals over t. As w tends to 0 the formula becomes that of `weak_energy`.

*Early stopping.* Gradient flow from zero in F2 moves the coefficient of an orthonormal harmonic
:math:`\varphi_k` by :math:`\dot a_k = \mu_k (E_f - E_\nu)\varphi_k`. The flow on data deviates
from it by :math:`-A\,\xi`, where

.. math:: \dot A = M (1 - F A), \qquad A(0) = 0, \qquad M = \operatorname{diag}(\mu_k),

with F along the flow; at the end A takes the place of :math:`H^{-1}`. At weak energies it is
diagonal, with the spectral filter :math:`1 - e^{-\mu_k T}`.

Derived here.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.optimize import minimize_scalar

from .._checks import check_positive, check_sizes
from ._population import Model, Neuron, covariance

# Steps of the flow, in the logarithm of its time, for the coarse solution.
_FLOW_STEPS = 24


def sandwich(
    w: float, d: int, n: ArrayLike, alpha: int = 1, penalty: float | None = None
) -> np.ndarray | float:
    """Mean divergence of the lazy fit to one neuron of any strength, at infinite width.

    Parameters
    ----------
    w : float
        Weight of the neuron.
    d, alpha : int
        Ambient dimension (>= 2), power of the rectifier (>= 0).
    n : array_like
        Numbers of samples, positive.
    penalty : float, optional
        The positive factor lambda of half the squared F2 norm; by default the best for each n,
        `sandwich_penalty`.

    Returns
    -------
    float or ndarray of the shape of `n`
        Bias plus variance; quadrature and degrees leave a relative error below 1e-5.

    Raises
    ------
    ValueError
        If an argument is out of range, or the penalty so small that thousands of harmonic degrees
        are learned.
    """
    n = check_sizes(n)
    neuron = _neuron(w, d, alpha)
    if penalty is not None:
        bias, variance = _ridge(neuron, check_positive("penalty", penalty))
        return (bias + variance / n)[()]
    return np.array([_optimum(neuron, size)[1] for size in n.flat]).reshape(n.shape)[()]


def sandwich_terms(
    w: float, d: int, n: ArrayLike, penalty: float, alpha: int = 1
) -> tuple[float, np.ndarray | float]:
    """The two parts of `sandwich`: divergence of the population's fit, and variance at `n`."""
    n = check_sizes(n)
    bias, variance = _ridge(_neuron(w, d, alpha), check_positive("penalty", penalty))
    return bias, (variance / n)[()]


def sandwich_penalty(w: float, d: int, n: ArrayLike, alpha: int = 1) -> np.ndarray | float:
    """Penalty that minimises `sandwich`, to about 1%; infinite at w = 0.

    At weak energies it is :math:`1/(n w^2)`, at strong ones it can be several times as large.
    """
    n = check_sizes(n)
    neuron = _neuron(w, d, alpha)
    return np.array([_optimum(neuron, size)[0] for size in n.flat]).reshape(n.shape)[()]


def early_stopping(
    w: float, d: int, n: ArrayLike, time: float, alpha: int = 1
) -> np.ndarray | float:
    r"""Mean divergence of the lazy model after gradient flow from zero, without a penalty.

    Parameters
    ----------
    w, d, alpha
        As in `sandwich`.
    n : array_like
        Numbers of samples; infinity gives the floor that no amount of data lowers.
    time : float
        Flow time T, in F2 of neurons on the unit sphere. Training m Gaussian neurons, of
        identity covariance, by gradient steps of mean-field size :math:`h_s` takes
        :math:`T = E|g|^{2\alpha} \sum_s h_s`, where :math:`E|g|^2 = d`.

    Returns
    -------
    float or ndarray of the shape of `n`
    """
    sizes = np.asarray(n, dtype=np.float64)
    if not np.all(sizes > 0):
        raise ValueError(f"n must be positive, got {n!r}.")
    bias, variance = _flow(_neuron(w, d, alpha), check_positive("time", time))
    return (bias + variance / sizes)[()]


@lru_cache(maxsize=32)
def _neuron(w: float, d: int, alpha: int) -> Neuron:
    return Neuron(w, d, alpha)


def _ridge(neuron: Neuron, penalty: float) -> tuple[float, float]:
    """Bias of the penalised fit, and n times its variance."""
    model = Model(neuron, penalty)
    f = model.fit(penalty)
    density = model.density(f)
    total = 0.0
    for ell, (count, features) in enumerate(model.blocks()):
        fisher = covariance(features, density, centred=ell == 0)
        noise = covariance(features, model.target, centred=ell == 0)
        hessian = cho_factor(fisher + penalty * np.eye(len(features)))
        total += count * np.sum(cho_solve(hessian, noise) * cho_solve(hessian, fisher).T)
    return model.divergence(f), total / 2


def _optimum(neuron: Neuron, n: float) -> tuple[float, float]:
    """Best penalty and its value."""
    if neuron.w == 0:
        return np.inf, 0.0

    def curve(log_penalty: float) -> float:
        bias, variance = _ridge(neuron, float(np.exp(log_penalty)))
        return bias + variance / n

    # From large penalties, which are cheap, down; a strong energy wants more than 1 / (n w^2).
    points = -np.log(n * neuron.w**2) + np.log(8) * np.arange(5, -3, -1)
    values: list[float] = []
    for point in points:
        values.append(curve(point))
        if len(values) > 1 and values[-1] > min(values):
            break
    best = int(np.argmin(values))
    bounds = points[min(best + 1, len(points) - 1)], points[max(best - 1, 0)]
    result = minimize_scalar(curve, bounds=bounds, method="bounded", options={"xatol": 5e-3})
    return float(np.exp(result.x)), float(result.fun)


@lru_cache(maxsize=256)
def _flow(neuron: Neuron, time: float) -> tuple[float, float]:
    """Bias of the stopped flow, and n times its variance."""
    model = Model(neuron, 1 / time)
    # The steps are fine where the flow is fast; their error is of second order, and a
    # combination of two solutions removes it.
    estimates = []
    for steps in (_FLOW_STEPS, 2 * _FLOW_STEPS):
        ends = np.expm1(np.linspace(0, np.log1p(model.mu[0] * time), steps + 1)) / model.mu[0]
        ends[-1] = time
        path = model.flow(np.append((ends[1:] + ends[:-1]) / 2, time))
        densities = [model.density(f) for f in path]
        estimates.append(sum(_flow_variances(model, densities, np.diff(ends))))
    return model.divergence(path[-1]), float(4 * estimates[1] - estimates[0]) / 6


def _flow_variances(model: Model, densities: list[np.ndarray], steps: np.ndarray) -> list[float]:
    """Twice n times the variance of every sector, by exponential midpoint steps."""
    variances = []
    for ell, (count, features) in enumerate(model.blocks()):
        response = np.zeros((len(features), len(features)))
        for density, step in zip(densities, steps, strict=False):
            rates, vectors = eigh(covariance(features, density, centred=ell == 0))
            decay = np.exp(-rates * step)[:, None]
            gain = -np.expm1(-rates * step) / rates
            response = vectors @ (decay * (vectors.T @ response) + gain[:, None] * vectors.T)
        noise = covariance(features, model.target, centred=ell == 0)
        fisher = covariance(features, densities[-1], centred=ell == 0)
        variances.append(count * float(np.sum((response @ noise) * (fisher @ response))))
    return variances
