r"""Kullback-Leibler divergence and cross-entropy of Gibbs measures from exact samples.

Densities are with respect to tau: :math:`p = e^{-f}/Z`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from .._checks import check_nonnegative, check_vector
from ..sampling.diagnostics import Estimate

__all__ = ["Estimate", "cross_entropy", "kl_divergence"]


def kl_divergence(true_energy_values: ArrayLike, model_energy_values: ArrayLike) -> Estimate:
    r"""Estimate KL(nu || nu_hat) from the two energies at samples of nu, without any log Z.

    With :math:`\Delta = f - \hat f`,

    .. math:: KL(\nu\|\hat\nu) = \log E_\nu e^{\Delta} - E_\nu \Delta,

    since :math:`E_\nu e^\Delta = \hat Z / Z`. The standard error is that of the mean of the
    influence function :math:`e^\Delta/E e^\Delta - 1 - (\Delta - E\Delta)`. Both vanish as the
    model approaches the truth (as the square of :math:`\Delta`), and neither changes when a
    constant is added to an energy. The standard error can't be trusted where the model puts mass
    that nu, and so the sample, hardly visits. Experiments in [domingoenrich2021ebm]_ report this
    divergence; the estimator is derived here.

    Parameters
    ----------
    true_energy_values, model_energy_values : array_like, shape (n,)
        f and f_hat at n >= 2 independent samples of nu.

    Returns
    -------
    Estimate
        Value and standard error, in nats.

    Raises
    ------
    ValueError
        If the lengths differ, a value is not finite, or there are fewer than two.
    """
    f = _check_energies(true_energy_values, "true_energy_values")
    f_hat = check_vector(model_energy_values, len(f), "model_energy_values")
    delta = f - f_hat
    # Centred first: a constant in an energy must not cost digits.
    delta = delta - delta.mean()
    log_mean = logsumexp(delta) - np.log(len(delta))
    influence = np.exp(delta - log_mean) - 1.0 - delta
    return Estimate(float(log_mean), _standard_error(influence))


def cross_entropy(
    model_energy_values: ArrayLike, log_partition: float, log_partition_se: float = 0.0
) -> Estimate:
    r"""Estimate :math:`-E_\nu \log \hat p = E_\nu \hat f + \log \hat Z` from samples of nu.

    Parameters
    ----------
    model_energy_values : array_like, shape (n,)
        f_hat at n >= 2 independent samples of nu.
    log_partition, log_partition_se : float
        log Z of the model and its standard error, estimated from other samples.

    Returns
    -------
    Estimate
        Value and standard error, in nats with respect to tau.

    Raises
    ------
    ValueError
        If a value is not finite, there are fewer than two, or the standard error is negative.
    """
    f_hat = _check_energies(model_energy_values, "model_energy_values")
    (log_z,) = check_vector([log_partition], 1, "log_partition")
    se = check_nonnegative(log_partition_se, "log_partition_se")
    return Estimate(float(f_hat.mean() + log_z), float(np.hypot(_standard_error(f_hat), se)))


def _check_energies(values: ArrayLike, name: str) -> NDArray[np.float64]:
    energies = check_vector(values, name=name).astype(np.float64, copy=False)
    if len(energies) < 2:
        raise ValueError(f"{name} must have at least 2 entries, but it has {len(energies)}.")
    return energies


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
