r"""How far the parameters of a model move that is scaled up: lazy training.

The model is :math:`f = s\,h(w)` with :math:`h(w_0) = 0`, trained by the gradient flow of
:math:`L(f)/s^2`. As s grows, for a fixed flow time T, the parameters stay where they were
[chizat2019lazy]_,

.. math:: \|w(T) - w_0\| = O(1/s), \qquad s\,(w(T) - w_0) \to u(T),

where u is what the linearized model :math:`f = Dh(w_0)\,u` learns in the same time: its energy
follows the flow :math:`\dot f = -K\rho_f` of the tangent kernel K. The first is a rate, the second
an exact limit; both are for derivatives of h that are Lipschitz, and rectifiers are found to obey.

*How large the limit is.* With the mean-field norm
:math:`\|u\|^2 = \frac1m\sum_j (\|u_{\theta_j}\|^2 + u_{c_j}^2)` it is the norm of f in the space of
K. At infinite width and for weak energies the flow separates into harmonic degrees, and stops at
:math:`f_k = -(1-e^{-\xi_kT})\,\hat g_k`, where the data, n samples of the energy g, say
:math:`\hat g_k` with the mean square :math:`\|g_k\|^2 + N(d,k)\,\epsilon`:

.. math:: E\|u(T)\|^2 = \sum_{k\ge1} \frac{(1-e^{-\xi_kT})^2}{\xi_k}
          \left[\|g_k\|^2 + N(d,k)\,\epsilon\right], \qquad \epsilon = \frac1n + \frac1M .

:math:`\epsilon` holds the noise of the data and that of the M points of tau on which log Z is
computed. For one neuron of weight w, :math:`\|g_k\|^2 = w^2 N(d,k)\,\mu_k`. This is for weak
energies only: terms that are odd in w come next, and at w = 2 in three dimensions a movement is
measured whose square is half of the sum.

*The kernel* of neurons on the unit sphere with output weights of mean square v is

.. math:: K(u) = \kappa_\alpha(u) + v\,\alpha^2 u\,\kappa_{\alpha-1}(u), \qquad
          \xi_k = \mu_k^{(\alpha)} + v\,\alpha^2
          \frac{k\,\mu_{k-1}^{(\alpha-1)} + (k+d-2)\,\mu_{k+1}^{(\alpha-1)}}{2k+d-2} .

Derived here.
"""

import numpy as np
import sympy
from scipy.special import exprel

from ._checks import check_integer, check_positive
from .activations import ReLUPower
from .prediction import Prediction
from .sphere import log_harmonic_dimensions

_s, _u = sympy.symbols("s u", positive=True)
# Degrees that are summed; of the others the leading order is known from the trace.
_DEGREES = 2**12

MOVEMENT = Prediction(
    _u / _s,
    "asymptotic",
    "h(w_0) = 0, flow time fixed, s to infinity; u is the movement of the linearized model",
    "chizat2019lazy, section 2",
    "linearized model",
)


def tangent_eigenvalues(
    d: int, max_degree: int, alpha: int = 1, variance: float = 1.0
) -> np.ndarray:
    """Eigenvalues of the tangent kernel of unit neurons in mean-field normalization.

    Parameters
    ----------
    d : int
        Ambient dimension, at least 2.
    max_degree : int
        At least 0.
    alpha : int, default=1
        Power of the activation, at least 1.
    variance : float, default=1.0
        Mean square v of the output weights.

    Returns
    -------
    ndarray of float64, shape (max_degree + 1,)
        For alpha = 1 and v = 1/d those of `kernels.NTK`, divided by 2d.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    d, alpha = check_integer("d", d, 2), check_integer("alpha", alpha, 1)
    max_degree = check_integer("max_degree", max_degree, 0)
    variance = check_positive("variance", variance)
    k = np.arange(max_degree + 1)
    slopes = np.exp(ReLUPower(alpha - 1).log_eigenvalues(d, max_degree + 1))
    hidden = np.full(max_degree + 1, slopes[1])
    part = k[1:] / (2 * k[1:] + d - 2)
    hidden[1:] = part * slopes[:max_degree] + (1 - part) * slopes[2:]
    output = np.exp(ReLUPower(alpha).log_eigenvalues(d, max_degree))
    return output + variance * alpha**2 * hidden


def weak_squared_movement(
    w: float,
    d: int,
    time: float,
    noise: float = 0.0,
    alpha: int = 1,
    variance: float = 1.0,
) -> float:
    r"""Return :math:`E\|u(T)\|^2` for data of one neuron, at weak energy and infinite width.

    Parameters
    ----------
    w : float
        Weight of the planted neuron.
    d : int
        Ambient dimension, at least 2.
    time : float
        Flow time T.
    noise : float, default=0.0
        :math:`\epsilon`: 1/n for n samples, and 1/M for a reference sample.
    alpha : int, default=1
        Power of the activation, of data and model, at least 1.
    variance : float, default=1.0
        Mean square of the output weights at the start.

    Returns
    -------
    float
        Square of the limit of s times the movement, in the mean-field norm. The series is summed to
        a relative error of 1e-8 for times up to a thousand.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    time = check_positive("time", time)
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must be nonnegative and finite, got {noise!r}.")
    xi = tangent_eigenvalues(d, _DEGREES, alpha, variance)[1:]
    mu = np.exp(ReLUPower(alpha).log_eigenvalues(d, _DEGREES))[1:]
    # Parity makes some eigenvalues zero. N(d, k) alone may overflow where the product is small.
    with np.errstate(divide="ignore"):
        parts = np.exp(log_harmonic_dimensions(d, _DEGREES)[1:] + np.log(xi))
    series = np.sum(parts * (time * exprel(-xi * time)) ** 2 * (float(w) ** 2 * mu + noise))
    # Beyond the last degree the flow has hardly begun, and the trace is known.
    trace = float(
        ReLUPower(alpha).kernel(1.0, d) + variance * alpha**2 * ReLUPower(alpha - 1).kernel(1.0, d)
    )
    constant = float(tangent_eigenvalues(d, 0, alpha, variance)[0])
    return float(series + noise * time**2 * (trace - constant - parts.sum()))
