"""Means over chains, with standard errors that know about autocorrelation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._checks import check_count, check_samples

__all__ = ["Estimate", "chain_mean"]


class Estimate(NamedTuple):
    """A Monte-Carlo value with its standard error."""

    value: float
    se: float


def chain_mean(values: ArrayLike, n_batches: int = 20) -> Estimate:
    """Average a function along chains, with the standard error of batch means.

    Each chain is cut into `n_batches` blocks of consecutive draws. The blocks' means are nearly
    independent once a block is much longer than the autocorrelation time; shorter blocks make the
    standard error too small.

    Parameters
    ----------
    values : array_like, shape (n_chains, n_draws)
        The function at the draws, one row a chain, burn-in removed.
    n_batches : int
        Blocks per chain; a last incomplete block is left out of the standard error only.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If the values are not finite or a chain has fewer draws than `n_batches`.
    """
    values = check_samples(values, "values").astype(np.float64, copy=False)
    n_batches = check_count(n_batches, "n_batches", minimum=2)
    n_chains, n_draws = values.shape
    if n_draws < n_batches:
        raise ValueError(
            f"values must have at least n_batches = {n_batches} draws in a chain, "
            f"but it has {n_draws}."
        )
    length = n_draws // n_batches
    blocks = values[:, : length * n_batches].reshape(n_chains * n_batches, length).mean(axis=1)
    return Estimate(float(values.mean()), float(blocks.std(ddof=1) / np.sqrt(len(blocks))))
