r"""The shallow energy and its gradients, compiled.

The energy of a network with ``m`` neurons in mean-field normalization is

.. math:: f(x) = \frac1m \sum_{j=1}^m c_j\, \sigma(\langle\theta_j, x\rangle),
   \qquad \sigma(t) = \max(t, 0)^\alpha,

and for alpha = 0 the step ``1[t > 0]``. Neurons need not be normalized. float32 points are
computed in float32 and give float32 results, everything else is float64. The results are the
same to the last bit whatever the number of threads.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._checks import check_alpha, check_columns, check_samples, check_vector
from ._feature_kernels import kernels
from ._tiles import TILE, tiled_vector, tiles

__all__ = ["energy", "energy_gradient", "feature_matrix", "grad_x"]


def energy(X: ArrayLike, neurons: ArrayLike, weights: ArrayLike, alpha: int = 1) -> NDArray:
    """Evaluate the energy at each point.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Points.
    neurons : array_like of shape (m, d)
        Neurons theta.
    weights : array_like of shape (m,)
        Output weights c.
    alpha : {0, 1, 2, 3}
        Power of the activation.

    Returns
    -------
    ndarray of shape (n,)
        In the type of ``X``; sums over blocks of neurons are taken in float64.

    Raises
    ------
    ValueError
        If an array has the wrong shape or is not finite, or alpha is not one of 0 to 3.
    """
    X, neurons, weights, alpha = _check(X, neurons, weights, alpha)
    n = len(X)
    out = np.empty((-(-n // TILE), TILE))
    kernels(alpha).energy(tiles(X), neurons, weights, out)
    return out.ravel()[:n].astype(X.dtype)


def energy_gradient(
    X: ArrayLike,
    neurons: ArrayLike,
    weights: ArrayLike,
    alpha: int = 1,
    sample_weight: ArrayLike | None = None,
) -> tuple[NDArray, NDArray]:
    r"""Differentiate the weighted mean energy in the neurons and in the output weights.

    The function differentiated is :math:`\sum_i s_i f(x_i)`, with :math:`s_i = 1/n` unless given:
    weights are used as they are, so that signed measures are allowed.

    Parameters
    ----------
    X : array_like of shape (n, d)
    neurons : array_like of shape (m, d)
    weights : array_like of shape (m,)
    alpha : {0, 1, 2, 3}
        For alpha = 0 the derivative of the step is taken as zero, and for alpha = 1 that of the
        ReLU at the kink too.
    sample_weight : array_like of shape (n,), optional
        The weights s.

    Returns
    -------
    grad_neurons : ndarray of shape (m, d)
    grad_weights : ndarray of shape (m,)

    Raises
    ------
    ValueError
        As for :func:`energy`, and if ``sample_weight`` has the wrong shape or is not finite.
    """
    X, neurons, weights, alpha = _check(X, neurons, weights, alpha)
    if sample_weight is None:
        mass = np.full(len(X), 1 / len(X), X.dtype)
    else:
        mass = check_vector(sample_weight, len(X), "sample_weight").astype(X.dtype, copy=False)
    grad_neurons = np.empty(neurons.shape)
    grad_weights = np.empty(weights.shape)
    kernels(alpha).energy_gradient(
        tiles(X), neurons, weights, tiled_vector(mass), grad_neurons, grad_weights
    )
    return grad_neurons.astype(X.dtype), grad_weights.astype(X.dtype)


def grad_x(X: ArrayLike, neurons: ArrayLike, weights: ArrayLike, alpha: int = 1) -> NDArray:
    """Differentiate the energy in the points: the Euclidean gradient, not yet tangent.

    Parameters
    ----------
    X, neurons, weights, alpha
        As in :func:`energy`.

    Returns
    -------
    ndarray of shape (n, d)
    """
    X, neurons, weights, alpha = _check(X, neurons, weights, alpha)
    out = np.empty(X.shape, X.dtype)
    kernels(alpha).grad_x(tiles(X), neurons, weights, out)
    return out


def feature_matrix(X: NDArray, neurons: NDArray, alpha: int = 1) -> NDArray:
    """Store the activations ``sigma(<theta_j, x_i>)``, (n, m): for a small block only."""
    T = X @ neurons.T
    if alpha == 0:
        return (T > 0).astype(T.dtype)
    np.maximum(T, 0, out=T)
    return T if alpha == 1 else T**alpha


def _check(
    X: ArrayLike, neurons: ArrayLike, weights: ArrayLike, alpha: int
) -> tuple[NDArray, NDArray, NDArray, int]:
    X = check_samples(X)
    neurons = check_samples(neurons, "neurons")
    check_columns(neurons, X.shape[1], "neurons")
    weights = check_vector(weights, len(neurons), "weights")
    return (
        np.ascontiguousarray(X),
        np.ascontiguousarray(neurons, X.dtype),
        np.ascontiguousarray(weights, X.dtype),
        check_alpha(alpha),
    )
