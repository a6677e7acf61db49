r"""Stein discrepancies of zonal energies from the uniform measure, exactly.

The data follow tau, and the model is :math:`\propto e^{-g}` with the energy
:math:`g(x) = \sum_k a_k P_k(\langle e, x\rangle)`. The Stein operator of the uniform model has mean
zero, and that of g differs from it by the score: for every field h

.. math:: E_\tau[A_g h] = -E_\tau\langle\nabla_S\,g, h\rangle .

This is linear in g, so what follows is exact at any strength. For data of a density p and the
uniform model, integration by parts gives :math:`E_p[A_0 h] = -E_\tau\langle\nabla_S\,p, h\rangle`:
the same, with the density in the place of the energy.

*Neurons.* The means for the fields :math:`\sigma(\langle\theta, x\rangle)\,e_i` are the coordinates
of a vector, with :math:`s = \langle\theta, e\rangle`

.. math:: v(\theta) = -\sum_k a_k \frac{\lambda_k^{(\alpha+1)}}{\alpha+1}\left[
          k(k+d-2)P_k(s)\,\theta + (d-1+\alpha)P_k'(s)\,(e - s\,\theta)\right] ,

where :math:`\lambda^{(\alpha+1)}` belongs to the activation with one more power. For by parts
:math:`E_\tau[\sigma\nabla_S P_k] = E_\tau[P_k\,((d-1+\alpha)\,\sigma x - \sigma'\theta)]`, and
:math:`\sigma x` is the gradient in :math:`\theta` of
:math:`\sigma^{(\alpha+1)}(\langle\theta, x\rangle)/(\alpha+1)`.

The parity zeros of :math:`\lambda^{(\alpha+1)}` fall on all degrees k > alpha + 1 of a neuron of
the same power: its own activation, and the kernel of that, see it as a polynomial of degree
alpha + 1.

*Balls.* Over fields of total variation 1 the largest mean is :math:`\max_\theta|v(\theta)|`; with
variation 1 for each coordinate it is :math:`(\sum_i\max_\theta v_i(\theta)^2)^{1/2}`. Both are
maxima over s. For a kernel it is the root of :math:`\sum_k\rho_k\,a_k^2/N(d,k)`, with the
eigenvalues :math:`\rho_k` of `kernels.Stein`; F2 is the arc-cosine kernel of the activation.

Derived here; [domingoenrich2021separation] has lower and upper bounds.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from ._checks import check_integer
from .activations import ReLUPower
from .kernels import RBF, Kernel, Stein, eigenvalues
from .learning_curves._sectors import axis_rule
from .sphere import legendre_values, log_harmonic_dimensions

BALLS = ("vector", "coordinate")
_STEPS_TO_A_DEGREE = 32


def energy_coefficients(w: float, d: int, max_degree: int, alpha: int = 1) -> np.ndarray:
    r"""Coefficients of the energy of one neuron, :math:`a_k = w\,\lambda_k N(d,k)`.

    Parameters
    ----------
    w : float
        Weight of the neuron.
    d, max_degree, alpha : int

    Returns
    -------
    ndarray, shape (max_degree + 1,)
    """
    dimensions = np.exp(log_harmonic_dimensions(d, max_degree))
    return w * ReLUPower(alpha).coefficients(d, max_degree) * dimensions


def density_coefficients(w: float, d: int, max_degree: int, alpha: int = 1) -> np.ndarray:
    r"""Coefficients of the planted density of one neuron, :math:`a_k = N(d,k)\,E_\nu P_k`.

    To first order in w they are minus those of the energy, from degree 1.

    Parameters
    ----------
    w, d, max_degree, alpha
        As in `energy_coefficients`.

    Returns
    -------
    ndarray, shape (max_degree + 1,)
    """
    if not math.isfinite(w):
        raise ValueError(f"w must be a finite number, got {w!r}.")
    t, probability = axis_rule(check_integer("d", d, 2), abs(w), max_degree)
    energy = w * ReLUPower(alpha)(t)
    weights = probability * np.exp(np.min(energy) - energy)
    means = legendre_values(t, d, max_degree) @ (weights / np.sum(weights))
    return means * np.exp(log_harmonic_dimensions(d, max_degree))


def kernel_stein(coefficients: ArrayLike, d: int, base: Kernel | None = None) -> float:
    r"""Squared kernel Stein discrepancy, :math:`\sum_k\rho_k\,a_k^2/N(d,k)`.

    Parameters
    ----------
    coefficients : array_like, shape (K + 1,)
        Of the energy, or of the density, in Legendre polynomials.
    d : int
        Ambient dimension.
    base : Kernel, default=RBF()
        Base kernel; ``ArcCosine(alpha)`` gives the square of the F2 discrepancy.

    Raises
    ------
    ValueError
        If the coefficients are not finite numbers, or the base kernel has no derivative at 1.
    """
    a = _check_coefficients(coefficients)
    rho = eigenvalues(Stein(RBF() if base is None else base), d, len(a) - 1)
    return float(np.sum(rho * a**2 * np.exp(-log_harmonic_dimensions(d, len(a) - 1))))


def neuron_means(
    coefficients: ArrayLike, d: int, s: ArrayLike, alpha: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    r"""The A and B of :math:`v(\theta) = A(s)\,\theta + B(s)\,(e - s\,\theta)`.

    Parameters
    ----------
    coefficients : array_like, shape (K + 1,)
    d : int
    s : array_like
        Cosines between the neuron and the axis.
    alpha : int, default=1
        Power of the activation of the fields, at least 1.

    Returns
    -------
    radial, tangential : ndarray of the shape of `s`
    """
    a = _check_coefficients(coefficients)
    d, alpha = check_integer("d", d, 2), check_integer("alpha", alpha, 1)
    k = np.arange(len(a))
    laplacian = k * (k + d - 2.0)
    terms = -a * ReLUPower(alpha + 1).coefficients(d, len(a) - 1) / (alpha + 1) * laplacian
    radial = np.tensordot(terms, legendre_values(s, d, len(a) - 1), 1)
    tangential = np.zeros_like(radial)
    if len(a) > 1:
        # P_k' = k (k + d - 2) / (d - 1) times P_(k-1) of dimension d + 2.
        slopes = legendre_values(s, d + 2, len(a) - 2)
        tangential = (d - 1 + alpha) / (d - 1) * np.tensordot(terms[1:], slopes, 1)
    return radial, tangential


def f1_stein(
    coefficients: ArrayLike,
    d: int,
    alpha: int = 1,
    ball: str = "vector",
    axis: ArrayLike | None = None,
) -> float:
    r"""F1 Stein discrepancy.

    Parameters
    ----------
    coefficients : array_like, shape (K + 1,)
        Of the energy, or of the density, in Legendre polynomials.
    d : int
        Ambient dimension.
    alpha : int, default=1
        Power of the activation of the fields, at least 1.
    ball : {"vector", "coordinate"}
        Total variation 1 for the field as a whole, or for each coordinate.
    axis : array_like, shape (d,), optional
        The unit vector e, on which the coordinate ball depends; a coordinate axis by default.

    Returns
    -------
    float
        To a relative error of about 1e-8.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if ball not in BALLS:
        raise ValueError(f"ball must be one of {', '.join(BALLS)}, got {ball!r}.")
    a, d = _check_coefficients(coefficients), check_integer("d", d, 2)
    e = np.eye(d)[0] if axis is None else np.asarray(axis, dtype=np.float64)
    if e.shape != (d,) or not abs(np.linalg.norm(e) - 1) < 1e-8:
        raise ValueError(f"axis must be a unit vector of R^{d}, got {axis!r}.")

    def components(angle: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Along the axis, and perpendicular to it."""
        cosine, sine = np.cos(angle), np.sin(angle)
        radial, tangential = neuron_means(a, d, cosine, alpha)
        return radial * cosine + tangential * sine**2, (radial - tangential * cosine) * sine

    if ball == "vector":
        return _maximum(lambda angle: np.hypot(*components(angle)), len(a))

    def largest(share: float) -> float:
        """Maximum of a coordinate that has this share of the axis."""

        def size(angle: ArrayLike) -> np.ndarray:
            # The perpendicular part can point to where it adds most.
            along, across = components(angle)
            return np.abs(share * along) + np.sqrt(1 - share**2) * np.abs(across)

        return _maximum(size, len(a))

    shares, counts = np.unique(np.minimum(np.abs(e), 1.0), return_counts=True)
    return math.sqrt(sum(n * largest(share) ** 2 for share, n in zip(shares, counts, strict=True)))


def _maximum(f: Callable[[ArrayLike], np.ndarray], n_terms: int) -> float:
    """Maximum over angles of a function made of polynomials of the cosine: scan, then search."""
    angles = np.linspace(0, np.pi, _STEPS_TO_A_DEGREE * n_terms + 1)
    values = f(angles)
    best = int(np.argmax(values))
    result = minimize_scalar(
        lambda angle: -float(f(angle)),
        bounds=(angles[max(best - 1, 0)], angles[min(best + 1, len(angles) - 1)]),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return max(-float(result.fun), float(values[best]))


def _check_coefficients(coefficients: ArrayLike) -> np.ndarray:
    a = np.asarray(coefficients, dtype=np.float64)
    if a.ndim != 1 or not len(a) or not np.all(np.isfinite(a)):
        raise ValueError(f"coefficients must be a nonempty list of finite numbers, got {a}.")
    return a
