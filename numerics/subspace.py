r"""Energies of a few coordinates, and exact samples of their Gibbs measures.

An energy :math:`f(x) = g(u)` depends on the projection :math:`u = (x_1, \dots, x_k)` only. That the
subspace is spanned by the first coordinates costs no generality: tau is invariant under rotations,
and so are the solvers, in law. Sampling :math:`\nu(dx) \propto e^{-f(x)}\tau(dx)` is a problem in
the k-dimensional unit ball, whatever ``d``; derived in :meth:`SubspaceEnergy.sample`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import sphere
from ._checks import check_count, check_sphere

__all__ = ["SubspaceEnergy"]

MAX_PROPOSALS_PER_SAMPLE = 10_000
_BATCH = 1 << 16


@dataclass(frozen=True)
class SubspaceEnergy:
    """The energy ``f(x) = profile(x[:k])`` on the unit sphere of R^d.

    Parameters
    ----------
    profile : callable
        Maps points of the unit ball of R^k, shape (n, k), to energies, shape (n,).
    k : int
        Dimension of the subspace, at least 1.
    d : int
        Ambient dimension, more than `k`.
    minimum : float
        A number that the profile is nowhere below; the closer, the fewer proposals are lost.

    Raises
    ------
    ValueError
        If a dimension is out of range or the minimum is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyactive.numerics.subspace import SubspaceEnergy
    >>> teacher = SubspaceEnergy(lambda u: 3 * np.abs(u[:, 0]), k=1, d=10, minimum=0.0)
    >>> teacher.sample(4, rng=0).shape
    (4, 10)
    """

    profile: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    k: int
    d: int
    minimum: float

    def __post_init__(self) -> None:
        check_count(self.k, "k")
        check_count(self.d, "d", minimum=self.k + 1)
        if not np.isfinite(self.minimum):
            raise ValueError(f"minimum must be a finite number, but it is {self.minimum!r}.")

    def energy(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return ``f(X)``, shape (n,), at points `X` of the sphere, shape (n, d).

        Raises
        ------
        ValueError
            If `X` is off the sphere or not in R^d.
        """
        X = check_sphere(X)
        if X.shape[1] != self.d:
            raise ValueError(f"X must have d = {self.d} columns, but it has {X.shape[1]}.")
        return self.profile(X[:, : self.k])

    def sample(self, n: int, rng: np.random.Generator | int | None = None) -> NDArray[np.float64]:
        r"""Draw `n` independent exact samples of :math:`\nu \propto e^{-f}\tau`.

        Under tau, u is distributed as :math:`g / \sqrt{|g|^2 + \chi^2}` with a Gaussian g in R^k
        and an independent :math:`\chi^2` of d - k degrees of freedom. It is kept with probability
        :math:`e^{-(\mathrm{profile}(u) - \mathrm{minimum})}`. Since f does not see it, the rest of
        x is uniform on the sphere of radius :math:`\sqrt{1 - |u|^2}` in R^{d-k}.

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
        ValueError
            If the profile falls below its `minimum` at a proposal: samples would be biased.
        RuntimeError
            If ``MAX_PROPOSALS_PER_SAMPLE * (n + 100)`` proposals gave fewer than `n` samples.
        """
        n = check_count(n, "n", minimum=0)
        rng = np.random.default_rng(rng)
        kept: list[NDArray[np.float64]] = []
        n_kept = n_proposed = 0
        while n_kept < n:
            if n_proposed >= MAX_PROPOSALS_PER_SAMPLE * (n + 100):
                raise RuntimeError(
                    f"only {n_kept} of {n} samples were accepted among {n_proposed} proposals: "
                    "the energy is too strong, or its minimum too low, for rejection."
                )
            size = _BATCH if n_proposed else min(_BATCH, 4 * n)
            gaussian = rng.standard_normal((size, self.k))
            rest = rng.chisquare(self.d - self.k, size)
            u = gaussian / np.sqrt(np.sum(gaussian**2, axis=1) + rest)[:, None]
            excess = self.profile(u) - self.minimum
            # Where the minimum is attained, rounding may go below it.
            if excess.min() < -1e-9 * max(1.0, abs(self.minimum)):
                raise ValueError(
                    "minimum must be a lower bound of the profile, "
                    f"but it is {self.minimum!r} and the profile reaches "
                    f"{excess.min() + self.minimum:.6g}."
                )
            kept.append(u[rng.exponential(size=size) >= excess])
            n_kept += len(kept[-1])
            n_proposed += size
        if n == 0:
            return np.empty((0, self.d))
        u = np.concatenate(kept)[:n]
        radius = np.sqrt(np.maximum(1.0 - np.sum(u**2, axis=1, keepdims=True), 0.0))
        directions = sphere.normalize(rng.standard_normal((n, self.d - self.k)))
        return np.hstack([u, radius * directions])
