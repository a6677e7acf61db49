r"""Descent-ascent of neurons and walkers near a weak energy: a damped oscillator in each degree.

Neurons of both signs start uniform, with mass w and f = 0, walkers from the uniform law; the data
have the density :math:`e^{-f^*}`, weak. To first order the harmonics of degree k of the energy f
and of the walkers' density 1 + q obey

.. math:: \dot f_k = K\,(f^*_k + q_k), \qquad \dot q_k = -D\,(q_k + f_k),

with the rates of the neurons and of the walkers,

.. math:: K = w\,\lambda_k^2\,[r_w + r_\theta\,k(k+d-2)], \qquad D = r\,k(k+d-2),

since an activation moves the mass of degree k by the factor :math:`\lambda_k`, once for
:math:`\psi` and once for its effect, and a neuron along the gradient of :math:`\psi`. The error
:math:`u = f - f^*` is critically damped at K = D/4: with slower neurons it decays like
:math:`e^{-Kt}`, with faster ones it oscillates and decays like :math:`e^{-Dt/2}`, however fast they
are. Yet N walkers make noise: the variance of each harmonic of u tends to K/(DN). So with time and
walkers given there is a best ratio of the two rates, and it is of order one. Derived here, for the
training of [domingoenrich2021dual]_.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from . import sphere
from ._checks import check_integer, check_positive
from .activations import ReLUPower


def rates(
    degree: int,
    d: int,
    alpha: int = 1,
    mass: float = 1.0,
    feature_rate: float = 1.0,
    mass_rate: float = 1.0,
    walker_rate: float = 1.0,
) -> tuple[float, float]:
    """Return K and D of one degree.

    Parameters
    ----------
    degree : int
        k, at least 1.
    d : int
        Ambient dimension, at least 2.
    alpha : int
        Power of the activation.
    mass : float
        w, of every neuron at the start.
    feature_rate, mass_rate, walker_rate : float
        Those of transport, of birth and death, and of the walkers.

    Returns
    -------
    K, D : float

    Raises
    ------
    ValueError
        If degree, dimension or power is out of range.
    """
    degree, d = check_integer("degree", degree, 1), check_integer("d", d, 2)
    laplacian = degree * (degree + d - 2)
    coefficient = float(ReLUPower(alpha).coefficients(d, degree)[degree])
    neurons = mass * coefficient**2 * (mass_rate + feature_rate * laplacian)
    return neurons, walker_rate * laplacian


def mean_error(time: ArrayLike, K: float, D: float) -> np.ndarray:
    r"""Return the error :math:`u_k(t)/u_k(0)` without noise, from f = 0 and uniform walkers.

    Parameters
    ----------
    time : array_like
        Nonnegative.
    K, D : float
        As from `rates`, D positive.

    Returns
    -------
    ndarray
        The solution of :math:`\ddot u + D\dot u + DK u = 0` with :math:`u(0) = 1`,
        :math:`\dot u(0) = -K`.
    """
    return _oscillator(time, K, D, -K)


def noise_variance(time: ArrayLike, K: float, D: float) -> np.ndarray:
    """Return N times the variance of each harmonic of the error that N walkers cause.

    Parameters
    ----------
    time, K, D
        As in `mean_error`.

    Returns
    -------
    ndarray
        It grows from zero to K/D.
    """
    return K / D * (1 - _oscillator(time, K, D, 0.0) ** 2)


def expected_kl(
    time: float,
    amplitudes: Sequence[float],
    d: int,
    n_walkers: int,
    n_data: int,
    alpha: int = 1,
    mass: float = 1.0,
    feature_rate: float = 1.0,
    mass_rate: float = 1.0,
    walker_rate: float = 1.0,
) -> float:
    r"""Return the mean of :math:`\mathrm{KL}(\nu_{f^*}\|\nu_f)` at a time, to second order.

    It is half of the variance of u: the error that is left, the walkers' noise, and that of the
    data, which the energy takes over as far as it has come.

    Parameters
    ----------
    time : float
    amplitudes : sequence of float
        The norms :math:`\|f^*_k\|` in L2(tau) from degree 1 on; later degrees count as zero.
    d : int
    n_walkers, n_data : int
    alpha, mass, feature_rate, mass_rate, walker_rate
        As in `rates`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As in `rates`, or if a number of points is not positive.
    """
    check_integer("n_walkers", n_walkers, 1)
    check_integer("n_data", n_data, 1)
    check_positive("walker_rate", walker_rate)
    total = 0.0
    for degree, amplitude in enumerate(amplitudes, 1):
        K, D = rates(degree, d, alpha, mass, feature_rate, mass_rate, walker_rate)
        left = float(mean_error(time, K, D))
        noise = float(noise_variance(time, K, D)) / n_walkers + (1 - left) ** 2 / n_data
        total += left**2 * amplitude**2 + sphere.harmonic_dimension(d, degree) * noise
    return total / 2


def _oscillator(time: ArrayLike, K: float, D: float, slope: float) -> np.ndarray:
    """Solve u'' + D u' + DK u = 0 with u(0) = 1 and u'(0) = slope."""
    t = np.asarray(time, float)
    root = np.sqrt(complex(D**2 / 4 - D * K))
    # cosh and sinh/root without their growth, which the damping outweighs.
    even = (1 + np.exp(-2 * root * t)) / 2
    odd = -np.expm1(-2 * root * t) / (2 * root) if root else t
    return np.real(np.exp((root - D / 2) * t) * (even + (slope + D / 2) * odd))
