r"""Planted energies, and exact samples of their Gibbs measures without a Markov chain.

A teacher :math:`f(x) = \frac1J \sum_j w_j \sigma(\langle\theta_j, x\rangle)` depends on ``x`` only
through its projection ``u`` on the span of the J directions, so sampling
:math:`\nu(dx) \propto e^{-f(x)} \tau(dx)` is a problem in ``rank <= J`` dimensions, whatever ``d``.
These are the teachers of the experiments in [domingoenrich2021ebm]_; the way to sample them is
derived in :meth:`PlantedEnergy.sample`.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import sphere
from ._checks import check_alpha, check_count, check_sphere, check_vector

__all__ = ["PlantedEnergy"]

MAX_PROPOSALS_PER_SAMPLE = 10_000
_BATCH = 1 << 16


@dataclass(frozen=True, eq=False)
class PlantedEnergy:
    r"""The energy :math:`f(x) = \frac1J \sum_j w_j \max(\langle\theta_j, x\rangle, 0)^\alpha`.

    Parameters
    ----------
    directions : array_like, shape (J, d)
        Unit vectors ``theta_j``.
    weights : array_like, shape (J,)
        Output weights ``w_j``; a negative weight attracts the mass to its direction.
    alpha : {0, 1, 2, 3}
        Power of the activation; 0 is the step ``1[t > 0]``.

    Raises
    ------
    ValueError
        If a direction is off the sphere, if the shapes differ, or if `alpha` is not supported.
    """

    directions: NDArray[np.float64]
    weights: NDArray[np.float64]
    alpha: int = 1

    def __post_init__(self) -> None:
        directions = check_sphere(self.directions, "directions").astype(np.float64)
        weights = check_vector(self.weights, len(directions), "weights").astype(np.float64)
        for array in (directions, weights):
            array.flags.writeable = False
        object.__setattr__(self, "directions", directions)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "alpha", check_alpha(self.alpha))

    @classmethod
    def random(
        cls,
        n_neurons: int,
        d: int,
        weights: ArrayLike,
        rng: np.random.Generator | int | None = None,
        alpha: int = 1,
    ) -> "PlantedEnergy":
        """Plant `n_neurons` independent directions, uniform on the sphere of R^d.

        `weights` is one number for all neurons, or an array of shape (n_neurons,).
        """
        check_count(n_neurons, "n_neurons")
        check_count(d, "d", minimum=2)
        if np.ndim(weights) == 0:
            weights = np.full(n_neurons, weights)
        return cls(sphere.uniform(n_neurons, d, rng), np.asarray(weights), alpha)

    @property
    def d(self) -> int:
        """The ambient dimension."""
        return self.directions.shape[1]

    def energy(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return ``f(X)``, shape (n,), at points `X` of the sphere, shape (n, d).

        Raises
        ------
        ValueError
            If `X` is off the sphere or not in R^d.
        """
        X = check_sphere(X)
        if X.shape[1] != self.d:
            raise ValueError(
                f"X must have d = {self.d} columns, as the teacher's directions do, "
                f"but it has {X.shape[1]}."
            )
        return _shallow(X @ self.directions.T, self.weights, self.alpha)

    def sample(self, n: int, rng: np.random.Generator | int | None = None) -> NDArray[np.float64]:
        r"""Draw `n` independent exact samples of :math:`\nu \propto e^{-f}\tau`.

        Let ``u = rho * omega`` be the coordinates of ``x`` in an orthonormal basis of the span, of
        dimension r. Under tau, ``rho`` has density proportional to
        :math:`\rho^{r-1}(1-\rho^2)^{(d-r-2)/2}` and ``omega`` is uniform on ``S^{r-1}``. Since f
        is positively homogeneous, :math:`f(\rho\omega) = \rho^\alpha f(\omega)`, and with a bound
        :math:`f \ge -B` on ``S^{r-1}``,

        .. math:: e^{-f(\rho\omega)} = e^{B\rho^\alpha} \cdot e^{-\rho^\alpha (f(\omega) + B)},

        whose first factor is absorbed by drawing rho from its tilted law (by inversion) and whose
        second factor, at most 1, is an acceptance probability. The rest of ``x`` is uniform on the
        sphere of radius :math:`\sqrt{1-\rho^2}` of the orthogonal complement.

        Parameters
        ----------
        n : int
            Number of samples.
        rng : numpy.random.Generator or int, optional
            Source of randomness.

        Returns
        -------
        ndarray of shape (n, d)

        Raises
        ------
        RuntimeError
            If ``MAX_PROPOSALS_PER_SAMPLE * (n + 100)`` proposals gave fewer than `n` samples.
        """
        n = check_count(n, "n", minimum=0)
        rng = np.random.default_rng(rng)
        basis = _span(self.directions)
        rank = len(basis)
        coordinates = self.directions @ basis.T  # (J, rank)
        bound = _depth(coordinates, self.weights, self.alpha)
        radial = _RadialLaw(rank, self.d, bound, self.alpha)

        kept: list[NDArray[np.float64]] = []
        n_kept = n_proposed = 0
        while n_kept < n:
            if n_proposed >= MAX_PROPOSALS_PER_SAMPLE * (n + 100):
                raise RuntimeError(
                    f"only {n_kept} of {n} samples were accepted among {n_proposed} proposals: "
                    "the weights are too large for rejection in the span of the directions."
                )
            angle = radial.quantile(rng.random(_BATCH if n_proposed else min(_BATCH, 4 * n)))
            omega = rng.standard_normal((len(angle), rank))
            omega /= np.linalg.norm(omega, axis=1, keepdims=True)
            excess = _shallow(omega @ coordinates.T, self.weights, self.alpha) + bound
            accept = rng.exponential(size=len(angle)) >= np.sin(angle) ** self.alpha * excess
            kept.append(np.column_stack([angle, omega])[accept])
            n_kept += len(kept[-1])
            n_proposed += len(angle)
        if n == 0:
            return np.empty((0, self.d))
        accepted = np.concatenate(kept)[:n]
        angle, omega = accepted[:, :1], accepted[:, 1:]
        if rank == self.d:
            return sphere.normalize(omega @ basis)
        rest = rng.standard_normal((n, self.d))
        rest -= (rest @ basis.T) @ basis
        return sphere.normalize(
            np.sin(angle) * (omega @ basis) + np.cos(angle) * sphere.normalize(rest)
        )


def _shallow(
    projections: NDArray[np.float64], weights: NDArray[np.float64], alpha: int
) -> NDArray[np.float64]:
    if alpha == 0:
        return (projections > 0) @ weights / len(weights)
    return np.maximum(projections, 0.0) ** alpha @ weights / len(weights)


def _span(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis, shape (rank, d), of the span of the directions."""
    _, singular, basis = np.linalg.svd(directions, full_matrices=False)
    # Below this a direction differs from a combination of the others by rounding only.
    floor = singular[0] * max(directions.shape) * np.finfo(np.float64).eps
    return basis[singular > floor]


def _depth(coordinates: NDArray[np.float64], weights: NDArray[np.float64], alpha: int) -> float:
    """Return a B >= 0 such that ``f >= -B`` on the unit sphere of the span.

    Only negative weights lower f. At alpha = 1 those that are active form a subset S, where
    ``f >= -|sum_S |w_j| theta_j| / J``, so the largest such norm is a bound, tight for one neuron.
    """
    attracting = weights < 0
    pull = -weights[attracting]
    n_attracting = len(pull)
    if alpha != 1 or n_attracting > 12:
        return float(pull.sum()) / len(weights)
    subsets = np.array(list(itertools.product([0.0, 1.0], repeat=n_attracting)))
    resultants = subsets @ (pull[:, None] * coordinates[attracting])
    # The margin keeps rounding from turning the smallest excess negative.
    return float(np.linalg.norm(resultants, axis=1).max()) * (1 + 1e-12) / len(weights)


class _RadialLaw:
    r"""Invert the law of ``phi``, where ``rho = sin(phi)`` is the length of the projection.

    The density on [0, pi/2] is proportional to
    :math:`\sin^{r-1}\phi \, \cos^{d-r-1}\phi \, e^{B \sin^\alpha\phi}`: the angle removes the
    endpoint singularity that the density of rho has at ``r = d - 1``.

    The distribution function is integrated by Gauss-Legendre on fine cells and interpolated in
    each by the cubic with the right values and slopes, which is accurate to 1e-10.
    """

    N_CELLS = 4096

    def __init__(self, rank: int, d: int, bound: float, alpha: int):
        self.rank, self.d, self.bound, self.alpha = rank, d, bound, alpha
        if rank == d:
            return
        edges = np.linspace(0.0, np.pi / 2, self.N_CELLS + 1)
        log_density = self._log_density(edges)
        self._top = log_density.max()
        # What lies below e^-45 of the mode can't be seen at 1e-10.
        visible = np.flatnonzero(log_density > self._top - 45)
        low, high = max(visible[0] - 1, 0), min(visible[-1] + 1, self.N_CELLS)
        self._edges = np.linspace(edges[low], edges[high], self.N_CELLS + 1)
        self._width = (edges[high] - edges[low]) / self.N_CELLS
        nodes, weights = np.polynomial.legendre.leggauss(6)
        inside = self._edges[:-1, None] + self._width * (nodes + 1) / 2
        mass = self._density(inside) @ weights * self._width / 2
        self._total = mass.sum()
        self._cdf = np.concatenate([[0.0], np.cumsum(mass) / self._total])
        self._slope = self._density(self._edges) * self._width / self._total

    def _log_density(self, phi: NDArray[np.float64]) -> NDArray[np.float64]:
        # 0 * log(0) must count as 0, so a power of zero is left out.
        log_density = self.bound * np.sin(phi) ** self.alpha
        with np.errstate(divide="ignore"):
            if self.rank > 1:
                log_density += (self.rank - 1) * np.log(np.sin(phi))
            if self.d - self.rank > 1:
                log_density += (self.d - self.rank - 1) * np.log(np.cos(phi))
        return log_density

    def _density(self, phi: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(self._log_density(phi) - self._top)

    def quantile(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the angles at which the distribution function is `u`, in [0, 1)."""
        if self.rank == self.d:
            return np.full(len(u), np.pi / 2)
        cell = np.clip(np.searchsorted(self._cdf, u, side="right") - 1, 0, self.N_CELLS - 1)
        rise = self._cdf[cell + 1] - self._cdf[cell]
        s0, s1 = self._slope[cell], self._slope[cell + 1]
        target = u - self._cdf[cell]
        square, cube = 3 * rise - 2 * s0 - s1, s0 + s1 - 2 * rise
        t = np.full(len(u), 0.5)
        for _ in range(8):
            value = t * (s0 + t * (square + t * cube)) - target
            slope = s0 + t * (2 * square + 3 * t * cube)
            t = np.clip(t - value / np.where(slope > 0, slope, np.inf), 0.0, 1.0)
        return self._edges[cell] + self._width * t
