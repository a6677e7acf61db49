r"""Eigenvalues of a kernel that is analytic in the angle, to as many digits as they need."""

import math
from collections.abc import Callable

import mpmath
import numpy as np

from ..sphere import log_harmonic_dimensions

# Below the smallest eigenvalue: 60 bits of it, and 50 that rounding may spoil.
_EXTRA_BITS, _SPOILED_BITS = 110, 50


def log_eigenvalues_by_quadrature(
    kernel: Callable[[mpmath.mpf], mpmath.mpf], d: int, max_degree: int
) -> np.ndarray:
    r"""Logarithms of the eigenvalues of a kernel that is given as a function of the angle.

    .. math:: \mu_k = c_d\int_0^\pi \kappa(\varphi) P_k(\cos\varphi)\sin^{d-2}\varphi\,d\varphi

    An eigenvalue of degree k is smaller than the integrand by a factor of order N(d, k), so that
    many more digits are carried than are wanted. With
    :math:`\varphi = \frac\pi2(1 + \tanh(\frac\pi2\sinh s))` the trapezoidal rule in s converges
    geometrically (tanh-sinh quadrature). The polynomials follow from their recurrence in
    fixed-point arithmetic, which Python's integers provide.

    Parameters
    ----------
    kernel : callable
        Maps an angle, in mpmath, to the kernel; analytic on [0, pi].
    d, max_degree : int
        Ambient dimension (>= 2) and largest degree (>= 0).

    Returns
    -------
    ndarray of float64, shape (max_degree + 1,)
        Minus infinity where the integral vanishes to the digits carried.
    """
    size = float(log_harmonic_dimensions(d, max_degree)[-1]) / math.log(2)
    decay = 4 * math.log2(max_degree + 2)
    bits = math.ceil(size + decay) + _EXTRA_BITS
    # For |Im s| < 1/2 the angle has |Im phi| < 1.5, so that the integrand grows by at most
    # exp(1.5 (K + d)): the error of the rule, that times exp(-pi / step), is below the last bit.
    step = math.pi / (bits * math.log(2) + 1.5 * (max_degree + d))
    reach = math.asinh(bits * math.log(2) / math.pi) + 0.1
    count = math.ceil(reach / step)
    cosines, weights = [], []
    with mpmath.workprec(bits + 20):
        half = mpmath.pi / 2
        for j in range(-count, count + 1):
            s = j * mpmath.mpf(step)
            # The distance to the nearer end keeps its digits where 1 + tanh would lose them.
            near = half * 2 / (1 + mpmath.exp(2 * half * mpmath.sinh(abs(s))))
            phi = near if j < 0 else 2 * half - near
            speed = half * half * mpmath.cosh(s) / mpmath.cosh(half * mpmath.sinh(s)) ** 2
            weights.append(speed * mpmath.sin(near) ** (d - 2) * kernel(phi))
            cosines.append(mpmath.cos(phi))
        total = mpmath.gammaprod([mpmath.mpf(d) / 2], [mpmath.mpf(d - 1) / 2, 0.5]) * step
        f = np.array([int(mpmath.ldexp(weight * total, bits)) for weight in weights], dtype=object)
        t = np.array([int(mpmath.ldexp(cosine, bits)) for cosine in cosines], dtype=object)
        smallest = 1 << (bits + _SPOILED_BITS)
        logs = [
            mpmath.log(mpmath.ldexp(value, -2 * bits)) if value > smallest else -mpmath.inf
            for value in _moments(f, t, d, max_degree, bits)
        ]
    return np.array([float(value) for value in logs])


def _moments(f: np.ndarray, t: np.ndarray, d: int, max_degree: int, bits: int) -> list[int]:
    """Sums of f P_k(t) for all degrees; numbers are integers in units of 2^-bits."""
    previous, current = np.zeros_like(t), np.full_like(t, 1 << bits)
    moments = []
    for k in range(max_degree + 1):
        moments.append(int(f @ current))
        # At d = 2 the first step would divide zero by zero.
        a, b, c = (1, 0, 1) if k == 0 else (2 * k + d - 2, k, k + d - 2)
        following = (a * (t * current >> bits) - b * previous) // c
        previous, current = current, following
    return moments
