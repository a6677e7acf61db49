r"""One planted neuron and infinitely many samples: the lazy fit is a function of one coordinate.

`strong_energy` has the formulas. Everything here is at infinite width, in the scaled coordinates
:math:`b_k = a_k/\sqrt{\mu_k}` of orthonormal harmonics, in which the F2 norm is Euclidean and the
second derivative of the penalised loss is :math:`G + \lambda`, with G the covariance of the
features :math:`\sqrt{\mu_k}\,\varphi_k`.
"""

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_expit, logsumexp

from .._checks import check_integer
from ..activations import ReLUPower
from ..sphere import log_harmonic_dimensions
from ._sectors import Covariances, axis_rule, sector

# Relative errors allowed to the truncations, in degree, of the bias and of the variance.
_BIAS_ERROR, _VARIANCE_ERROR = 1e-5, 1e-5
# The part to which a degree is learned, beyond which Newton's method needs its diagonal only.
_STIFF = 1e-2
# Beyond, matrices take minutes.
_MAX_DEGREE = 3072
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
    def log_peak(self) -> float:
        """Logarithm of the planted density's maximum; under it no eigenvalue grows by more."""
        t, probability = axis_rule(self.d, abs(self.w), 0)
        # The energy is monotone between -1 and 1.
        return float(-min(0.0, self.w) - logsumexp(-self.energy(t), b=probability))


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
        self.neuron, self.rate = neuron, rate
        degrees, log_mu, log_terms = neuron.spectrum
        # To learn a degree takes off the bias what is learned of its energy, and adds the square
        # of the learned part times its dimension to the variance.
        log_learned = log_expit(log_mu + neuron.log_peak - np.log(rate))
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
        self.features = zonal[self.degrees]
        self.features *= np.sqrt(self.mu)[:, None]
        self.energy = neuron.energy(self.t)
        self.target = self.density(self.energy)
        self.log_partition = float(logsumexp(-self.energy, b=self.probability))
        self.moments = self.features @ self.target

    def density(self, energy: np.ndarray) -> np.ndarray:
        """Probabilities of the nodes under the Gibbs measure of an energy."""
        weights = self.probability * np.exp(np.min(energy) - energy)
        return weights / np.sum(weights)

    def divergence(self, f: np.ndarray) -> float:
        """KL(nu || nu_f) of an energy f, given at the nodes."""
        excess = f - self.energy
        excess = excess - self.target @ excess
        # Where f is much lower, the planted density may have underflowed.
        low = excess < -1
        with np.errstate(divide="ignore"):
            log_target = np.log(self.probability[low]) - self.energy[low] - self.log_partition
        change = self.target * np.expm1(-np.where(low, 0.0, excess))
        change[low] = np.exp(log_target - excess[low]) - self.target[low]
        return float(np.log1p(np.sum(change)))

    def fit(self, penalty: float, start: np.ndarray | None = None) -> np.ndarray:
        """Minimise the penalised loss under nu; returns scaled coefficients.

        Newton's method on the leading degrees. Beyond these the penalty dominates the second
        derivative, and its diagonal at the uniform measure does.

        Parameters
        ----------
        penalty : float
        start : ndarray, optional
            Coefficients to start from, of fewer or more degrees; zero by default.
        """
        stiff, rest = self.sizes.stiff, self.mu[self.sizes.stiff :] + penalty
        b = np.zeros(len(self.mu))
        if start is not None:
            b[: len(start)] = start[: len(b)]
        f = b @ self.features
        loss, first = self._loss(b, f, penalty), 0.0
        for _ in range(100):
            density = self.density(f)
            gradient = self.moments - self.features @ density + penalty * b
            curvature = self.covariances([density], stiff).sector(0).covariance(
                0
            ) + penalty * np.eye(stiff)
            step = -np.concatenate(
                [cho_solve(cho_factor(curvature), gradient[:stiff]), gradient[stiff:] / rest]
            )
            decrement = -float(gradient @ step)
            first = max(first, decrement)
            # The bias is of the size of the penalty, and errors enter it by their root.
            if decrement <= max(1e-18 * first, 1e-18 * penalty * float(b @ b)):
                break
            change = step @ self.features
            length = 1.0
            while length > 1e-6:
                trial = b + length * step
                value = self._loss(trial, f + length * change, penalty)
                if value <= loss - 1e-4 * length * decrement + 1e-14 * (1 + abs(loss)):
                    break
                length /= 2
            b, f, loss = trial, f + length * change, value
        return b

    def flow(self, times: np.ndarray) -> np.ndarray:
        """Energies at the nodes along gradient flow from zero: shape (n_times, n_nodes)."""

        def velocity(_: float, b: np.ndarray) -> np.ndarray:
            return self.features @ self.density(b @ self.features) - self.moments

        def jacobian(_: float, b: np.ndarray) -> np.ndarray:
            density = self.density(b @ self.features)
            return -self.covariances([density], len(b)).sector(0).covariance(0)

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

    def covariances(self, densities: list[np.ndarray], n_degrees: int) -> Covariances:
        """Covariances of the leading scaled features under densities, sector by sector."""
        # The second moments of all features together have the trace kappa(1) <= 1, so that nodes
        # of this mass change them by a negligible part of the penalty.
        return Covariances(
            self.t,
            self.neuron.d,
            self.degrees[:n_degrees],
            self.mu[:n_degrees],
            densities,
            negligible=1e-10 * min(self.rate, 1.0),
            zonal=self.features[:n_degrees],
        )

    def _loss(self, b: np.ndarray, f: np.ndarray, penalty: float) -> float:
        lowest = np.min(f)
        log_partition = np.log(self.probability @ np.exp(lowest - f)) - lowest
        return float(b @ self.moments + log_partition + penalty / 2 * b @ b)


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
