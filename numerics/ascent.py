"""Ascent of a function of neurons on the sphere, from many starts at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import sphere

__all__ = ["climb"]


def climb(
    psi: Callable[[NDArray], tuple[NDArray, NDArray]],
    neurons: NDArray,
    signs: NDArray,
    n_steps: int,
    radius: float = 0.3,
) -> tuple[NDArray, NDArray]:
    """Climb ``signs * psi`` from each neuron along geodesics.

    Every start has a step of its own, which grows on success and shrinks on failure.

    Parameters
    ----------
    psi : callable
        Takes unit neurons, (m, d), to values, (m,), and Euclidean gradients, (m, d).
    neurons : ndarray of shape (m, d)
        Unit vectors.
    signs : ndarray of shape (m,)
        1 where psi is to grow, and -1 where it is to fall.
    n_steps : int
    radius : float
        Length of the first step.

    Returns
    -------
    neurons : ndarray of shape (m, d)
    values : ndarray of shape (m,)
        Of psi, without the signs.
    """
    values, slopes = psi(neurons)
    radii = np.full(len(neurons), radius)
    for _ in range(n_steps):
        uphill = signs[:, None] * sphere.tangent(neurons, slopes)
        length = np.linalg.norm(uphill, axis=1)
        step = uphill * (radii / np.where(length > 0, length, 1.0))[:, None]
        candidates = sphere.exponential(neurons, step)
        new_values, new_slopes = psi(candidates)
        better = signs * new_values > signs * values
        neurons = np.where(better[:, None], candidates, neurons)
        values = np.where(better, new_values, values)
        slopes = np.where(better[:, None], new_slopes, slopes)
        radii *= np.where(better, 1.3, 0.4)
    return neurons, values
