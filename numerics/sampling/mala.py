r"""The Metropolis-adjusted Langevin algorithm on the sphere, along geodesics.

From x draw :math:`v \sim N(-h \nabla_S f(x), 2h I)` in the tangent space and propose
:math:`y = \exp_x(v)`; refuse :math:`|v| \ge \pi`, so that each y has one v. The density of y with
respect to the sphere's volume is that of v divided by :math:`(\sin r/r)^{d-2}`, ``r = |v|``. The
way back, :math:`w = \log_y(x)`, has the same length, so these factors cancel:

.. math::

    \log a(x, y) = f(x) - f(y)
      - \frac{|w + h \nabla_S f(y)|^2}{4h} + \frac{|v + h \nabla_S f(x)|^2}{4h}.

This is the algorithm of [roberts1996mala]_ in the geometry of [girolami2011riemann]_. A Gaussian
step in R^d that is projected to the sphere has another density, and its Euclidean ratio does not
leave the target invariant.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import sphere
from .._checks import check_nonnegative, check_positive, check_sphere
from .chains import Function, Info, Sample, accept, evaluate, run

__all__ = ["Info", "State", "default_step_size", "init", "log_acceptance", "sample", "step"]


class State(NamedTuple):
    """One point to a chain, with its energy and its tangent gradient.

    Attributes
    ----------
    X : ndarray, shape (n, d)
    energy : ndarray, shape (n,)
    gradient : ndarray, shape (n, d)
        The projection of the energy's gradient to the tangent space at `X`.
    """

    X: NDArray[np.float64]
    energy: NDArray[np.float64]
    gradient: NDArray[np.float64]


def default_step_size(d: int) -> float:
    """Return ``h = 1/(2(d-1))``: a step of about one radian where the energy is flat."""
    return 0.5 / (d - 1)


def init(X: ArrayLike, energy: Function, gradient: Function) -> State:
    """Start a chain at each row of `X`."""
    return _evaluate(check_sphere(X).astype(np.float64), energy, gradient)


def log_acceptance(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    energy: Function,
    gradient: Function,
    step_size: float,
) -> NDArray[np.float64]:
    """Return the logarithm of the Metropolis ratio of moves from rows of `x` to rows of `y`.

    Parameters
    ----------
    x, y : ndarray, shape (n, d)
        Points of the sphere; a pair must not be antipodal.
    energy, gradient : callable
        The target; the gradient may be Euclidean.
    step_size : float
        The time step h.

    Returns
    -------
    ndarray, shape (n,)
    """
    return _log_ratio(init(x, energy, gradient), init(y, energy, gradient), step_size, 1.0)


def step(
    state: State,
    energy: Function,
    gradient: Function,
    rng: np.random.Generator | int | None = None,
    step_size: float | None = None,
    inverse_temperature: float = 1.0,
) -> tuple[State, Info]:
    """Move every chain by one step that leaves ``exp(-inverse_temperature * f)`` invariant.

    Parameters
    ----------
    state : State
        Not changed.
    energy, gradient : callable
        The target at inverse temperature 1.
    rng : numpy.random.Generator or int, optional
    step_size : float, optional
        The time step h; :func:`default_step_size` unless given.
    inverse_temperature : float
        The factor on the energy.

    Returns
    -------
    State, Info
    """
    rng = np.random.default_rng(rng)
    X = state.X
    h = check_positive(
        default_step_size(X.shape[1]) if step_size is None else step_size, "step_size"
    )
    beta = check_nonnegative(inverse_temperature, "inverse_temperature")
    noise = sphere.tangent(X, rng.standard_normal(X.shape))
    v = np.sqrt(2 * h) * noise - h * beta * state.gradient
    proposal = _evaluate(sphere.exponential(X, v), energy, gradient)
    log_ratio = _log_ratio(state, proposal, h, beta)
    log_ratio[np.linalg.norm(v, axis=1) >= np.pi] = -np.inf
    accepted = accept(log_ratio, rng)
    new = State(
        np.where(accepted[:, None], proposal.X, X),
        np.where(accepted, proposal.energy, state.energy),
        np.where(accepted[:, None], proposal.gradient, state.gradient),
    )
    return new, Info(accepted, log_ratio)


def sample(
    n: int,
    d: int,
    energy: Function,
    gradient: Function,
    rng: np.random.Generator | int | None = None,
    n_steps: int = 100,
    step_size: float | None = None,
) -> Sample:
    """Return the ends of `n` independent chains of `n_steps` steps, started from tau.

    Langevin dynamics does not cross barriers: on an energy with separated wells the wells' shares
    stay those of their basins under tau, and annealed importance sampling is the remedy.
    """
    rng = np.random.default_rng(rng)
    start = init(sphere.uniform(n, d, rng), energy, gradient)
    chains = run(
        lambda state, rng: step(state, energy, gradient, rng, step_size),
        start,
        n_steps,
        rng,
        thin=n_steps,
    )
    return Sample(chains.state.X, None, chains.acceptance_rate)


def _evaluate(X: NDArray[np.float64], energy: Function, gradient: Function) -> State:
    return State(
        X,
        evaluate(energy, X, (len(X),), "energy"),
        sphere.tangent(X, evaluate(gradient, X, X.shape, "gradient")),
    )


def _log_ratio(here: State, there: State, h: float, beta: float) -> NDArray[np.float64]:
    def log_proposal(start: State, end: State) -> NDArray[np.float64]:
        drift = h * beta * start.gradient
        return -np.sum((sphere.logarithm(start.X, end.X) + drift) ** 2, axis=1) / (4 * h)

    return (
        beta * (here.energy - there.energy) + log_proposal(there, here) - log_proposal(here, there)
    )
