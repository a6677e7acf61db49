r"""One planted neuron and infinitely many samples: the lazy fit is a function of one coordinate.

`strong_energy` has the formulas. Everything here is at infinite width, in the scaled coordinates
:math:`b_k = a_k/\sqrt{\mu_k}` of orthonormal harmonics, in which the F2 norm is Euclidean and the
second derivative of the penalised loss is :math:`G + \lambda`, with G the covariance of the
features :math:`\sqrt{\mu_k}\,\varphi_k`.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_expit

from .._checks import check_integer
from ..activations import ReLUPower
from ..sphere import log_harmonic_dimensions
from ._sectors import axis_rule, multiplicity, sector

# Relative errors allowed to the truncations, in degree, of the bias and of the variance.
_BIAS_ERROR, _VARIANCE_ERROR = 1e-5, 1e-5
# The part to which a degree is learned, beyond which Newton's method needs its diagonal only.
_STIFF = 1e-2
_MAX_DEGREE = 4096
_FLOW_TOLERANCE = 1e-9


class Neuron:
    """The Gibbs measure nu of the energy w sigma(t), t = <theta, x>.

    Parameters
    ----------
    w : float
    d, alpha : int

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(self, w: float, d: int, alpha: int) -> None:
        if not math.isfinite(w):
            raise ValueError(f"w must be a finite number, got {w!r}.")
        self.w, self.d = float(w), check_integer("d", d, 2)
        self.activation = ReLUPower(alpha)

    def energy(self, t: np.ndarray) -> np.ndarray:
        """The planted energy at t."""
        alpha = self.activation.alpha
        return self.w * np.where(t > 0, np.maximum(t, 0.0) ** alpha, 0.0)

    @cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Degrees from 1 with an eigenvalue, the logarithms of mu, and of N mu."""
        log_mu = self.activation.log_eigenvalues(self.d, _MAX_DEGREE)
        log_terms = log_mu + log_harmonic_dimensions(self.d, _MAX_DEGREE)
        degrees = np.flatnonzero(np.isfinite(log_mu))[1:]
        return degrees, log_mu[degrees], log_terms[degrees]

    @cached_property
    def peak(self) -> float:
        """Largest value of the planted density; under it no eigenvalue grows by more."""
        t, probability = axis_rule(self.d, abs(self.w), 0)
        energy = self.energy(t)
        # The energy is monotone between -1 and 1.
        return float(np.exp(-min(0.0, self.w)) / (probability @ np.exp(-energy)))


class Sizes(NamedTuple):
    """Numbers of leading degrees: of the bias, of the variance, and of full Newton steps."""

    bias: int
    variance: int
    stiff: int


class Model:
    """Degrees and quadrature that suffice for a penalty, or for a flow time of its inverse.

    Parameters
    ----------
    neuron : Neuron
    rate : float
        The penalty, or one over the flow time: a degree is learned to the part
        mu / (mu + rate), about.

    Raises
    ------
    ValueError
        If so many degrees are learned that thousands are needed.
    """

    def __init__(self, neuron: Neuron, rate: float) -> None:
        self.neuron = neuron
        degrees, log_mu, log_terms = neuron.spectrum
        # To learn a degree takes off the bias what is learned of its energy, and adds the square
        # of the learned part times its dimension to the variance.
        log_learned = log_expit(log_mu + np.log(neuron.peak / rate))
        unlearned = np.exp(log_terms + log_expit(np.log(rate) - log_mu))
        stiff = 1 + int(np.count_nonzero(log_learned > np.log(_STIFF)))
        log_noise = log_terms - log_mu + 2 * log_learned
        noise = np.exp(log_noise - np.max(log_noise))
        self.sizes = Sizes(
            max(_cut(np.exp(log_terms + log_learned), _BIAS_ERROR * np.sum(unlearned)), stiff),
            _cut(noise, _VARIANCE_ERROR * np.sum(noise)),
            stiff,
        )
        self.degrees = degrees[: self.sizes.bias]
        self.mu = np.exp(log_mu[: self.sizes.bias])
        self.t, self.probability = axis_rule(neuron.d, abs(neuron.w), int(self.degrees[-1]))
        zonal = sector(self.t, neuron.d, 0, int(self.degrees[-1]))
        self.features = np.sqrt(self.mu)[:, None] * zonal[self.degrees]
        self.energy = neuron.energy(self.t)
        self.target = self.density(self.energy)
        self.moments = self.features @ self.target

    def density(self, energy: np.ndarray) -> np.ndarray:
        """Probabilities of the nodes under the Gibbs measure of an energy."""
        weights = self.probability * np.exp(np.min(energy) - energy)
        return weights / np.sum(weights)

    def divergence(self, f: np.ndarray) -> float:
        """KL(nu || nu_f) of an energy f, given at the nodes."""
        excess = f - self.energy
        excess = excess - self.target @ excess
        return float(np.log1p(self.target @ np.expm1(-excess)))

    def fit(self, penalty: float) -> np.ndarray:
        """Minimise the penalised loss under nu; returns the energy at the nodes.

        Newton's method on the leading degrees. Beyond these the penalty dominates the second
        derivative, and its diagonal at the uniform measure does.
        """
        stiff, rest = self.features[: self.sizes.stiff], self.mu[self.sizes.stiff :] + penalty
        b = np.zeros(len(self.mu))
        f = np.zeros_like(self.t)
        loss, first = self._loss(b, f, penalty), 0.0
        for _ in range(100):
            density = self.density(f)
            gradient = self.moments - self.features @ density + penalty * b
            hessian = covariance(stiff, density) + penalty * np.eye(len(stiff))
            step = -np.concatenate(
                [
                    cho_solve(cho_factor(hessian), gradient[: len(stiff)]),
                    gradient[len(stiff) :] / rest,
                ]
            )
            decrement = -float(gradient @ step)
            first = max(first, decrement)
            if decrement <= 1e-18 * first:
                break
            change = step @ self.features
            length = 1.0
            while length > 1e-6:
                trial = b + length * step
                value = self._loss(trial, f + length * change, penalty)
                if value <= loss - 1e-4 * length * decrement + 1e-14:
                    break
                length /= 2
            b, f, loss = trial, f + length * change, value
        return f

    def flow(self, times: np.ndarray) -> np.ndarray:
        """Energies at the nodes along gradient flow from zero: shape (n_times, n_nodes)."""

        def velocity(_: float, b: np.ndarray) -> np.ndarray:
            return self.features @ self.density(b @ self.features) - self.moments

        def jacobian(_: float, b: np.ndarray) -> np.ndarray:
            return -covariance(self.features, self.density(b @ self.features))

        solution = solve_ivp(
            velocity,
            (0.0, times[-1]),
            np.zeros(len(self.mu)),
            method="LSODA",
            jac=jacobian,
            t_eval=times,
            rtol=_FLOW_TOLERANCE,
            atol=_FLOW_TOLERANCE * float(np.max(np.abs(self.moments))) * times[-1] * 1e-3,
        )
        return solution.y.T @ self.features

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Multiplicity and scaled features, (degrees, nodes), of each sector of the variance."""
        degrees = self.degrees[: self.sizes.variance]
        mu = self.mu[: self.sizes.variance]
        for ell in range(int(degrees[-1]) + 1):
            count = multiplicity(self.neuron.d, ell)
            if count:
                kept = degrees >= ell
                values = sector(self.t, self.neuron.d, ell, int(degrees[-1]))
                yield count, np.sqrt(mu[kept])[:, None] * values[degrees[kept] - ell]

    def _loss(self, b: np.ndarray, f: np.ndarray, penalty: float) -> float:
        lowest = np.min(f)
        log_partition = np.log(self.probability @ np.exp(lowest - f)) - lowest
        return float(b @ self.moments + log_partition + penalty / 2 * b @ b)


def covariance(features: np.ndarray, density: np.ndarray, centred: bool = True) -> np.ndarray:
    """Covariance of features, (degrees, nodes), or their second moments."""
    weighted = features * density
    moments = weighted @ features.T
    if centred:
        mean = weighted.sum(axis=1)
        moments -= np.outer(mean, mean)
    return moments


def _cut(terms: np.ndarray, error: float) -> int:
    """Number of leading terms beyond which the sum of the others is below the error."""
    beyond = np.cumsum(terms[::-1])[::-1]
    size = 1 + int(np.count_nonzero(beyond > error))
    # The table itself ends: its last terms must be negligible too.
    if size > 0.7 * len(terms):
        raise ValueError(
            "penalty (or one over the flow time) must leave fewer than "
            f"{_MAX_DEGREE} harmonic degrees to be learned: use a larger one, or fewer samples."
        )
    return size
