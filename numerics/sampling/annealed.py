r"""Annealed importance sampling: log Z with an error bar when reweighting tau fails.

Particles start as exact samples of tau and pass through the laws
:math:`p_b \propto e^{-b f}\tau` for inverse temperatures b rising from 0 to 1. At each rise
their log-weight grows by :math:`-(b' - b) f(x)`, then one MALA step leaves :math:`p_{b'}`
invariant. The weights' mean is Z without bias, for any number of temperatures and any step size
[neal2001ais]_, because the ladder is fixed beforehand: it is uniform in b. (A ladder that adapts
to the particles would bias Z.)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._checks import check_count
from . import mala
from .chains import Function, Info, Sample

__all__ = ["Info", "State", "init", "sample", "step"]


class State(NamedTuple):
    """A batch of weighted particles at one temperature.

    Attributes
    ----------
    particles : mala.State
    log_weights : ndarray, shape (n,)
    inverse_temperature : float
    """

    particles: mala.State
    log_weights: NDArray[np.float64]
    inverse_temperature: float

    @property
    def X(self) -> NDArray[np.float64]:
        """The particles' positions, shape (n, d)."""
        return self.particles.X


def init(X: ArrayLike, energy: Function, gradient: Function) -> State:
    """Start at inverse temperature 0 from rows of `X`, which must be independent samples of tau."""
    particles = mala.init(X, energy, gradient)
    return State(particles, np.zeros(len(particles.X)), 0.0)


def step(
    state: State,
    energy: Function,
    gradient: Function,
    rng: np.random.Generator | int | None = None,
    inverse_temperature: float = 1.0,
    step_size: float | None = None,
) -> tuple[State, Info]:
    """Pass to `inverse_temperature`: reweight the particles, then move them once."""
    rise = inverse_temperature - state.inverse_temperature
    particles, info = mala.step(
        state.particles, energy, gradient, rng, step_size, inverse_temperature
    )
    # The weight belongs to the place before the move.
    log_weights = state.log_weights - rise * state.particles.energy
    return State(particles, log_weights, inverse_temperature), info


def sample(
    n: int,
    d: int,
    energy: Function,
    gradient: Function,
    rng: np.random.Generator | int | None = None,
    n_temperatures: int = 100,
    step_size: float | None = None,
) -> Sample:
    """Anneal `n` particles from tau to the target.

    Parameters
    ----------
    n, d : int
        Particles, and the ambient dimension.
    energy, gradient : callable
        The target; the gradient may be Euclidean.
    rng : numpy.random.Generator or int, optional
    n_temperatures : int
        Rises of the inverse temperature, all equal.
    step_size : float, optional
        Time step of the Langevin moves; :func:`mala.default_step_size` unless given.

    Returns
    -------
    Sample
        Independent weighted particles; :func:`reweighting.log_partition` of their log-weights
        estimates log Z.
    """
    n_temperatures = check_count(n_temperatures, "n_temperatures")
    rng = np.random.default_rng(rng)
    state = init(sphere.uniform(n, d, rng), energy, gradient)
    n_accepted = 0
    for b in np.linspace(0.0, 1.0, n_temperatures + 1)[1:]:
        state, info = step(state, energy, gradient, rng, float(b), step_size)
        n_accepted += int(np.count_nonzero(info.accepted))
    return Sample(state.X, state.log_weights, n_accepted / (n * n_temperatures))
