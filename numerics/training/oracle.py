r"""The parametric oracle: maximum likelihood over the neurons of a planted energy, from the truth.

The parameters are the J d coordinates of :math:`v_j = |w_j|^{1/\alpha}\,\theta_j`, with the signs
of the :math:`w_j` known. A start at the truth leaves aside what it takes to find the neurons: what
remains is the error of estimation, J d/(2n) to leading order (Wilks' theorem).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..teachers import PlantedEnergy
from .likelihood import Likelihood

__all__ = ["fit"]

# Points that measure how the loss is curved: an error of a few percent there costs an iteration.
N_CURVATURE = 2**14


def fit(
    X: NDArray, reference: NDArray, teacher: PlantedEnergy, tol: float = 1e-3
) -> tuple[NDArray, NDArray]:
    r"""Maximize the likelihood over the neurons of the teacher, beginning at their true values.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere.
    reference : ndarray of shape (M, d)
        A sample of tau, for log Z. Its noise adds of the order of n/M to the divergence,
        relatively.
    teacher : PlantedEnergy
        Of alpha >= 1, with linearly independent features.
    tol : float
        Decrease of the log-likelihood of the whole sample, n times the loss, at which to stop;
        from the truth to the maximum it is J d/2 in the mean.

    Returns
    -------
    neurons : ndarray of shape (J, d)
        Of any length, in place of the sizes of the output weights.
    signs : ndarray of shape (J,)
        The output weights, 1 or -1.

    Raises
    ------
    ValueError
        If the teacher is a step function, or its parameters are not determined.
    """
    if teacher.alpha == 0:
        raise ValueError("teacher must have alpha >= 1, but it has alpha = 0.")
    signs = np.sign(teacher.weights)
    truth = (np.abs(teacher.weights) ** (1 / teacher.alpha))[:, None] * teacher.directions
    try:
        curvature = np.linalg.cholesky(_fisher(reference[:N_CURVATURE], truth, signs, teacher))
    except np.linalg.LinAlgError:
        raise ValueError(
            "teacher must have linearly independent features and weights other than zero, but the "
            f"information on its neurons is singular; its weights are {teacher.weights}."
        ) from None
    # In these coordinates the second derivative at the truth is the identity.
    whitened = np.linalg.inv(curvature)
    likelihood = Likelihood.of(X, reference, teacher.alpha)

    def neurons(step: NDArray) -> NDArray:
        return truth + (step @ whitened).reshape(truth.shape)

    def loss(step: NDArray) -> tuple[float, NDArray]:
        value, slopes, *_ = likelihood.value_and_gradient(neurons(step), signs)
        return value, whitened @ slopes.ravel()

    # Every point puts a kink into the loss, so that the gradient need not vanish at a minimum.
    options = {"maxcor": 20, "ftol": tol / len(X), "gtol": 0.0}
    result = minimize(loss, np.zeros(truth.size), jac=True, method="L-BFGS-B", options=options)
    return neurons(result.x), signs


def _fisher(points: NDArray, neurons: NDArray, signs: NDArray, teacher: PlantedEnergy) -> NDArray:
    """Covariance of the derivative of the energy in the neurons, (J d, J d), from points of tau."""
    projections = points @ neurons.T
    slopes = teacher.alpha * np.maximum(projections, 0.0) ** (teacher.alpha - 1)
    slopes = np.where(projections > 0, slopes, 0.0) * signs / len(signs)
    derivatives = (slopes[:, :, None] * points[:, None, :]).reshape(len(points), -1)
    energy = teacher.energy(points)
    density = np.exp(energy.min() - energy)
    return np.cov(derivatives, rowvar=False, aweights=density, ddof=0)
