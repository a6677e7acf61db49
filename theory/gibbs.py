r"""Gibbs measures of planted energies: partition functions, moments and divergences, exactly.

The energy of J neurons is :math:`f(x) = \frac1J \sum_j w_j \sigma(\langle\theta_j, x\rangle)` with
:math:`\sigma(t) = \max(t,0)^\alpha`. Its Gibbs measure has density :math:`e^{-f}/Z` with respect to
the uniform probability tau on the unit sphere of R^d. Nothing is sampled: integrals are computed by
quadrature, to a relative error of about 1e-12.
"""

from functools import cached_property, lru_cache

import numpy as np
import sympy
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from ._checks import check_integer
from .gibbs_quadrature import angular_rule, radial_rule

_MAX_RANK = 3
_UNIT_TOLERANCE = 1e-8
_RANK_TOLERANCE = 1e-10
# Angles that are integrated over the radius at once: bounds the memory of a three-neuron grid.
_BLOCK = 4096


def partition_function(w: sympy.Expr | float, d: int | sympy.Expr) -> sympy.Expr:
    r"""Partition function of one rectified neuron (alpha = 1) in closed form.

    .. math:: Z(w) = E_\tau e^{-w\max(t,0)} = \tfrac12
              + \tfrac12\,{}_0F_1(;\tfrac d2;\tfrac{w^2}4)
              - \frac{w\,\Gamma(d/2)}{2\sqrt\pi\,\Gamma((d+1)/2)}
                {}_1F_2(1;\tfrac32,\tfrac{d+1}2;\tfrac{w^2}4)

    The two series are the even and odd parts in w of the integral over the half sphere, expanded
    term by term (derived here; equivalently modified Bessel and Struve functions, [dlmf], 10.25 and
    11.2). They cancel to many digits for large positive w: evaluate with high precision, or use
    `log_partition`.
    """
    w, d = sympy.sympify(w), sympy.sympify(d)
    half = sympy.Rational(1, 2)
    first_moment = sympy.gamma(d / 2) / (sympy.sqrt(sympy.pi) * sympy.gamma((d + 1) / 2))
    even = sympy.hyper([], [d / 2], w**2 / 4)
    odd = sympy.hyper([1], [3 * half, (d + 1) / 2], w**2 / 4)
    return half + half * even - half * w * first_moment * odd


def log_partition(w: float, d: int, alpha: int = 1) -> float:
    r"""Logarithm of :math:`Z(w) = E_\tau e^{-w\,\sigma(\langle\theta,x\rangle)}` for one neuron.

    Parameters
    ----------
    w : float
        Weight of the neuron; negative weights attract.
    d : int
        Ambient dimension, at least 2.
    alpha : int, default=1
        Power of the rectifier, at least 0.

    Returns
    -------
    float
        By Gaussian quadrature, stable for large weights and dimensions.

    Raises
    ------
    ValueError
        If `w` is not finite, or `d` or `alpha` is not an integer or too small.
    """
    return _one_neuron(w, d, alpha)[0]


def mean_feature(w: float, d: int, alpha: int = 1) -> float:
    """Mean of the feature sigma(<theta, x>) under the Gibbs measure of one neuron."""
    return _one_neuron(w, d, alpha)[1]


def var_feature(w: float, d: int, alpha: int = 1) -> float:
    """Variance of the feature sigma(<theta, x>) under the Gibbs measure of one neuron."""
    return _one_neuron(w, d, alpha)[2]


def kl_to_uniform(w: float, d: int, alpha: int = 1) -> float:
    """Kullback-Leibler divergence of the Gibbs measure of one neuron from tau."""
    return kl(w, 0.0, d, alpha)


def kl(w: float, v: float, d: int, alpha: int = 1) -> float:
    r"""Divergence between the Gibbs measures of two weights on the same neuron.

    .. math:: \mathrm{KL}(\nu_w\|\nu_v) = (v-w)\,E_{\nu_w}\sigma + \log Z(v) - \log Z(w)

    Parameters
    ----------
    w, v : float
        Weight of the measure that is averaged over, and of the one that it is compared with.
    d, alpha : int
        Ambient dimension (>= 2) and power of the rectifier (>= 0).
    """
    log_z, mean, _ = _one_neuron(w, d, alpha)
    return (v - w) * mean + log_partition(v, d, alpha) - log_z


def matched_linear_weight(w: float, d: int) -> float:
    r"""Weight b of the linear energy :math:`b\langle\theta, x\rangle` with the neuron's mean.

    Its Gibbs measure (von Mises-Fisher) is the closest linear one to that of the rectifier of
    weight w: it minimizes the divergence :math:`\mathrm{KL}(\nu_w\|\cdot)`.

    Parameters
    ----------
    w : float
        Weight of the neuron, with alpha = 1.
    d : int
        Ambient dimension, at least 2.
    """
    direction = np.eye(1, check_integer("d", d, 2))
    antipodes = np.vstack([direction, -direction])

    def mean(above: float, below: float) -> float:
        features = PlantedGibbs(antipodes, [2 * above, 2 * below]).mean_features()
        return float(features[0] - features[1])

    target = mean(w, 0.0)
    # The rectifier moves the mean less than the linear energy of its weight.
    return float(brentq(lambda b: mean(b, -b) - target, min(w, 0.0), max(w, 0.0), xtol=1e-12))


@lru_cache(maxsize=1024)
def _one_neuron(w: float, d: int, alpha: int) -> tuple[float, float, float]:
    """Log-partition, and mean and variance of the feature."""
    direction = np.eye(1, check_integer("d", d, 2))
    gibbs = PlantedGibbs(direction, [w], alpha)
    return gibbs.log_partition(), float(gibbs.mean_features()[0]), float(gibbs.var_features()[0])


class PlantedGibbs:
    r"""The Gibbs measure of J neurons whose directions span at most three dimensions.

    Parameters
    ----------
    directions : array_like, shape (J, d)
        Unit vectors, d >= 2. They may be dependent; their span has dimension 1, 2 or 3.
    weights : array_like, shape (J,)
        Output weights of the energy :math:`\frac1J\sum_j w_j\sigma(\langle\theta_j,x\rangle)`.
    alpha : int, default=1
        Power of the rectifier, at least 0.

    Raises
    ------
    ValueError
        If a shape or a value is wrong, a direction is not a unit vector, or the span has more
        than three dimensions.

    Notes
    -----
    The energy is homogeneous of degree alpha in the projection u of x on the span, so at
    :math:`u = \rho\,\omega` it is :math:`\rho^\alpha F(\omega)`, and its integrals are over a
    radius and a direction that are independent under tau (see `gibbs_quadrature`).
    """

    def __init__(self, directions: ArrayLike, weights: ArrayLike, alpha: int = 1) -> None:
        self.directions = np.array(directions, dtype=np.float64)
        self.alpha = check_integer("alpha", alpha, 0)
        if self.directions.ndim != 2 or len(self.directions) < 1 or self.directions.shape[1] < 2:
            raise ValueError(
                f"directions must have shape (J, d) with J >= 1 and d >= 2, "
                f"got {self.directions.shape}."
            )
        norms = np.linalg.norm(self.directions, axis=1)
        if not np.all(np.abs(norms - 1) <= _UNIT_TOLERANCE):
            raise ValueError(f"directions must be unit vectors, got norms {norms}.")
        self.weights = self._check_weights(weights)
        _, singular_values, basis = np.linalg.svd(self.directions, full_matrices=False)
        self.rank = int(np.sum(singular_values > _RANK_TOLERANCE))
        if self.rank > _MAX_RANK:
            raise ValueError(
                f"directions must span at most {_MAX_RANK} dimensions, got {self.rank}."
            )
        self._coordinates = self.directions @ basis[: self.rank].T

    def log_partition(self) -> float:
        """Logarithm of the partition function E_tau exp(-f)."""
        return self._integrals[0]

    def mean_features(self) -> np.ndarray:
        """Means of sigma(<theta_j, x>), shape (J,)."""
        return self._integrals[1].copy()

    def var_features(self) -> np.ndarray:
        """Variances of sigma(<theta_j, x>), shape (J,)."""
        return self._integrals[2].copy()

    def mean_energy(self) -> float:
        """Mean of the energy."""
        return float(self.weights @ self.mean_features()) / len(self.weights)

    def var_energy(self) -> float:
        """Variance of the energy."""
        return self._integrals[3]

    def kl_to_uniform(self) -> float:
        """Kullback-Leibler divergence from tau."""
        return -self.mean_energy() - self.log_partition()

    def kl_to(self, weights: ArrayLike) -> float:
        """Divergence from the Gibbs measure with the same directions and other weights."""
        other = PlantedGibbs(self.directions, weights, self.alpha)
        change = float((other.weights - self.weights) @ self.mean_features()) / len(self.weights)
        return change + other.log_partition() - self.log_partition()

    def _check_weights(self, weights: ArrayLike) -> np.ndarray:
        checked = np.array(weights, dtype=np.float64)
        if checked.shape != (len(self.directions),) or not np.all(np.isfinite(checked)):
            raise ValueError(
                f"weights must be {len(self.directions)} finite numbers, one per direction, "
                f"got {weights!r}."
            )
        return checked

    @cached_property
    def _integrals(self) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Log-partition, means and variances of the features, variance of the energy."""
        strength = float(np.mean(np.abs(self.weights)))
        omega, probability = angular_rule(self._coordinates, strength)
        rho, log_radial = radial_rule(self.directions.shape[1], self.rank, strength)
        projections = omega @ self._coordinates.T
        features = np.where(projections > 0, np.maximum(projections, 0.0) ** self.alpha, 0.0)
        energy = features @ self.weights / len(self.weights)
        power = rho**self.alpha

        # The largest exponent anywhere: nothing overflows, and the peak does not underflow.
        shift = np.max(log_radial - power * np.min(energy))
        moments = np.stack([np.ones_like(power), power, power**2], axis=1)
        radial = np.concatenate(
            [
                np.exp(log_radial - np.outer(block, power) - shift) @ moments
                for block in np.split(energy, range(_BLOCK, len(energy), _BLOCK))
            ]
        )
        mass = probability @ radial[:, 0]
        first, second = probability * radial[:, 1] / mass, probability * radial[:, 2] / mass
        mean_features = first @ features
        var_features = second @ features**2 - mean_features**2
        var_energy = second @ energy**2 - (first @ energy) ** 2
        return float(np.log(mass) + shift), mean_features, var_features, float(var_energy)
