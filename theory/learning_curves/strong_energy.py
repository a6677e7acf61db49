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
from scipy.interpolate import CubicSpline
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.special import exprel

from .._checks import check_positive, check_sizes
from ._population import Model, Neuron
from ._sectors import CircleSector, Sector, sum_over_sectors

# Steps of the flow, in the logarithm of its time, for the coarse solution.
_FLOW_STEPS = 24
# Ratio of neighbouring penalties of the table in which the best is searched.
_RATIO = 3.0
_PRECISION = 5e-3
# Part of the least value, beyond which a variance ends the search.
_NEAR = 0.75


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


def _rung(neuron: Neuron, penalty: float) -> int:
    """Number of the smallest penalty of the table that is not below this one."""
    log_largest = float(neuron.spectrum[1][0])
    return int(np.floor((log_largest - np.log(penalty)) / np.log(_RATIO) + 1e-9))


def _on_rung(neuron: Neuron, rung: int) -> float:
    """Penalty of the table: the largest eigenvalue, divided by a power of the ratio."""
    return float(np.exp(neuron.spectrum[1][0] - rung * np.log(_RATIO)))


@lru_cache(maxsize=1)
def _model(neuron: Neuron, penalty: float) -> Model:
    """The last model, which the fit and the curve of a penalty share."""
    return Model(neuron, penalty)


@lru_cache(maxsize=1024)
def _ladder(neuron: Neuron, rung: int) -> np.ndarray:
    """Coefficients of the fit at a penalty of the table, from those at the next larger one."""
    start = None if rung <= 0 else _ladder(neuron, rung - 1)
    penalty = _on_rung(neuron, rung)
    return _model(neuron, penalty).fit(penalty, start)


@lru_cache(maxsize=1024)
def _ridge(neuron: Neuron, penalty: float) -> tuple[float, float]:
    """Bias of the penalised fit, and n times its variance."""
    # The start depends on nothing but the penalty, so that calls in any order agree to the bit.
    rung = _rung(neuron, penalty)
    b = _ladder(neuron, rung) if rung >= 0 else None
    model = _model(neuron, penalty)
    if b is None or penalty != _on_rung(neuron, rung):
        b = model.fit(penalty, b)
    f = b @ model.features
    covariances = model.covariances([model.density(f), model.target], model.sizes.variance)

    def trace(sector: Sector | CircleSector) -> float:
        fisher, noise = sector.covariance(0), sector.covariance(1)
        hessian = cho_factor(fisher + penalty * np.eye(len(fisher)))
        return float(np.sum(cho_solve(hessian, noise) * cho_solve(hessian, fisher).T))

    # F / (F + penalty)^2 is at most 1 / (4 penalty).
    total = sum_over_sectors(covariances, trace, noise=1, factor=1 / (4 * penalty))
    return model.divergence(f), total / 2


def _optimum(neuron: Neuron, n: float) -> tuple[float, float]:
    """Best penalty and its value."""
    if neuron.w == 0:
        return np.inf, 0.0
    # Down from penalties at which nothing is learned, which are cheap, until the curve rises and
    # the variance alone, which goes on to rise, comes near the best. Each degree that is switched
    # on may give a minimum. A strong energy wants a larger penalty than 1 / (n w^2).
    rung = min(0, _rung(neuron, 8**5 / (n * neuron.w**2)))
    penalties: list[float] = []
    biases: list[float] = []
    variances: list[float] = []
    while not variances or _falls(biases, variances):
        penalties.append(np.log(_on_rung(neuron, rung)))
        bias, variance = _ridge(neuron, _on_rung(neuron, rung))
        biases.append(bias)
        variances.append(variance / n)
        rung += 1
    while True:
        values = np.add(biases, variances)
        best = int(np.argmin(values))
        trial = _least(np.array(penalties), np.log(biases), np.log(variances), best)
        nearest = np.min(np.abs(np.array(penalties) - trial))
        if nearest <= _PRECISION:
            return float(np.exp(penalties[best])), float(values[best])
        place = int(np.searchsorted(-np.array(penalties), -trial))
        bias, variance = _ridge(neuron, float(np.exp(trial)))
        penalties.insert(place, trial)
        biases.insert(place, bias)
        variances.insert(place, variance / n)


def _falls(biases: list[float], variances: list[float]) -> bool:
    """Whether a smaller penalty may be better than all so far."""
    values = np.add(biases, variances)
    return bool(values[-1] == np.min(values) or variances[-1] < _NEAR * np.min(values))


def _least(
    penalties: np.ndarray, log_biases: np.ndarray, log_variances: np.ndarray, best: int
) -> float:
    """Logarithm of the penalty between the neighbours of the best at which splines add to least."""
    trials = np.linspace(
        penalties[min(best + 1, len(penalties) - 1)], penalties[max(best - 1, 0)], 1001
    )
    # Logarithms of penalties decrease.
    splines = [
        CubicSpline(penalties[::-1], logs[::-1])(trials) for logs in (log_biases, log_variances)
    ]
    return float(trials[np.argmin(np.exp(splines).sum(axis=0))])


@lru_cache(maxsize=256)
def _flow(neuron: Neuron, time: float) -> tuple[float, float]:
    """Bias of the stopped flow, and n times its variance."""
    model = Model(neuron, 1 / time)
    # The steps are fine where the flow is fast; their error is of second order, and a
    # combination of two solutions removes it.
    ends = [
        np.expm1(np.linspace(0, np.log1p(model.mu[0] * time), steps + 1)) / model.mu[0]
        for steps in (_FLOW_STEPS, 2 * _FLOW_STEPS)
    ]
    middles = [(end[1:] + end[:-1]) / 2 for end in ends]
    moments, where = np.unique(np.concatenate([*middles, [time]]), return_inverse=True)
    path = model.flow(moments)
    densities = [model.density(f) for f in path]
    coarse, fine, final = np.split(where, np.cumsum([len(middle) for middle in middles]))
    last, noise = int(final[0]), len(densities)
    covariances = model.covariances([*densities, model.target], model.sizes.variance)

    def trace(sector: Sector | CircleSector) -> float:
        spread, fisher = sector.covariance(noise), sector.covariance(last)
        estimates = []
        for end, numbers in zip(ends, (coarse, fine), strict=True):
            response = _response(sector, numbers, np.diff(end))
            estimates.append(float(np.sum((response @ spread) * (fisher @ response))))
        return (4 * estimates[1] - estimates[0]) / 3

    # At one density (1 - e^{-Fu})^2 / F is at most u.
    total = sum_over_sectors(covariances, trace, noise=noise, factor=time)
    return model.divergence(path[last]), total / 2


def _response(sector: Sector | CircleSector, numbers: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The matrix A of one sector, by exponential midpoint steps."""
    response = np.zeros((len(sector), len(sector)))
    for number, step in zip(numbers, steps, strict=True):
        rates, vectors = eigh(sector.covariance(int(number)))
        decay = np.exp(-rates * step)[:, None]
        # Rounding leaves rates that vanish.
        gain = step * exprel(-np.maximum(rates, 0.0) * step)[:, None]
        response = vectors @ (decay * (vectors.T @ response) + gain * vectors.T)
    return response
