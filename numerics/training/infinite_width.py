r"""Maximum likelihood with frozen features at infinite width, on data of one planted neuron.

With infinitely many neurons, uniform on the sphere, the lazy model is the ball of F2 itself: the
energies :math:`f = \langle a, \varphi\rangle` with features
:math:`\varphi_{kj} = |\lambda_k|\,Y_{kj}`, where :math:`\lambda_k` is the Funk-Hecke coefficient of
the activation, the :math:`Y_{kj}` are harmonics orthonormal for tau, and :math:`|a|` is the F2
norm. Harmonics of a few degrees stand for all where the data can't teach the others.

A sample of tau in the place of the integral :math:`\log E_\tau e^{-f}` would act like a second
sample of noise. Here the integral is far more exact. The data are from
:math:`\nu \propto e^{-f^*}\tau` with a known :math:`f^*`. With :math:`h = f - f^*` and averages
:math:`\langle\cdot\rangle` that estimate :math:`E_\nu`,

.. math:: \log Z_f - \log Z_{f^*} = \log E_\nu e^{-h}
          \approx \log \langle e^{-h}\rangle + \langle h\rangle - E_\nu h .

The two last terms, whose difference has mean zero, remove the error that is linear in h: what is
left is of second order. They are linear in f, so that the problem stays convex, and need only the
exact means :math:`E_\nu Y_{kj} = E_\nu[P_k(t)]\,Y_{kj}(\theta)`, by quadrature over one coordinate.
The averages are over M points, half of them from nu and half from tau, with weights: neither a
region that nu avoids nor one that it prefers is missed. Derived here; the lazy model is that of
[domingoenrich2021ebm]_, section 3, as its width goes to infinity.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import cho_factor, cho_solve

from .. import harmonics, spectra
from .._checks import check_count, check_positive, check_vector
from ..sampling.diagnostics import Estimate
from ..sphere import uniform
from ..teachers import PlantedEnergy
from . import lazy

__all__ = ["InfiniteWidth", "shared"]

BLOCK = 4096


class _Population(NamedTuple):
    """The fit to infinitely many samples at one penalty, and its Cholesky-factored curvature."""

    penalty: float
    coordinates: NDArray
    curvature: tuple[NDArray, bool]


class InfiniteWidth:
    r"""The lazy model at infinite width, for samples of one planted neuron at the last axis.

    By rotation invariance the direction of the neuron is no restriction.

    Parameters
    ----------
    w : float
        Weight of the planted neuron.
    d : int
        Ambient dimension, at least 2.
    alpha : {0, 1, 2, 3}
        Power of the activation, of neuron and model.
    degrees : sequence of int
        Degrees of the harmonics in the model, positive and distinct.
    n_reference : int
        Number M of points that stand for nu in the fits, and of as many others in `kl`.
    rng : int or Generator, optional
        Of these points.

    Attributes
    ----------
    teacher : PlantedEnergy
    spectrum : ndarray of shape (p,)
        Eigenvalue :math:`\lambda_k^2` of each coordinate.
    mean : ndarray of shape (p,)
        Exact mean features under nu.

    Raises
    ------
    ValueError
        If an argument is out of range, or the activation has no component of a degree.
    """

    def __init__(
        self,
        w: float,
        d: int,
        alpha: int = 1,
        degrees: tuple[int, ...] = (1, 2, 4),
        n_reference: int = 2**15,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        check_count(d, "d", 2)
        self.teacher = PlantedEnergy(np.eye(1, d, d - 1), np.array([float(w)]), alpha)
        self.degrees = tuple(check_count(degree, "degrees") for degree in degrees)
        if len(set(self.degrees)) < len(self.degrees) or not self.degrees:
            raise ValueError(f"degrees must be distinct, and at least one, but are {degrees}.")
        top = max(self.degrees)
        activation = spectra.funk_hecke(lambda t: self._along(t)[0], d, top)
        for degree in self.degrees:
            if abs(activation.values[degree]) <= 10 * activation.errors[degree]:
                raise ValueError(
                    f"degrees must be those of the activation, but it has no component of degree "
                    f"{degree} (alpha = {alpha}, d = {d})."
                )
        density = spectra.funk_hecke(lambda t: self._along(t)[1], d, top).values
        coefficients = np.abs(activation.values[list(self.degrees)])
        sizes = [harmonics.dimension(d, degree) for degree in self.degrees]
        self._scale = np.repeat(coefficients, sizes)
        self.spectrum = self._scale**2
        # Projected on a degree, the density is a multiple of its zonal harmonic.
        zonal = np.repeat(density[list(self.degrees)] / density[0], sizes)
        self.mean = zonal * self.features(self.teacher.directions)[0]
        self._log_partition = float(np.log(density[0])) - min(self.teacher.weights[0], 0)
        self._population: _Population | None = None
        self._n_reference = check_count(n_reference, "n_reference", 1000)
        reference_rng, self._evaluation_rng = np.random.default_rng(rng).spawn(2)
        points, self._log_weights, energy = self._points(self._n_reference, reference_rng)
        self._reference = self.features(points)
        log_z, weights, mean = lazy.tilt(energy[:, None], np.ones(1), self._log_weights)
        self._control = weights @ self._reference - self.mean
        product = spectra.funk_hecke(lambda t: np.prod(self._along(t), axis=0), d, 0).values
        exact_mean = self.teacher.weights[0] * product[0] / density[0]
        # The part of the controlled log Z that is the same for every f.
        self._offset = self._log_partition - log_z - float(mean[0] - exact_mean)

    def features(self, X: ArrayLike) -> NDArray:
        """Return the features at points (n, d) of the sphere: shape (n, p)."""
        X = np.asarray(X, dtype=np.float64)
        out = np.empty((len(X), len(self._scale)))
        for start in range(0, len(X), BLOCK):
            column = 0
            for degree in self.degrees:
                values = harmonics.basis(X[start : start + BLOCK], degree)
                out[start : start + BLOCK, column : column + values.shape[1]] = values
                column += values.shape[1]
        out *= self._scale
        return out

    def sample_moments(self, n: int, rng: np.random.Generator | int | None = None) -> NDArray:
        """Return the mean features of `n` exact samples of nu: shape (p,)."""
        n, rng = check_count(n, "n"), np.random.default_rng(rng)
        total = np.zeros(len(self._scale))
        for start in range(0, n, BLOCK):
            total += self.features(self.teacher.sample(min(BLOCK, n - start), rng)).sum(axis=0)
        return total / n

    def fit(
        self,
        moments: ArrayLike,
        penalty: float,
        tol: float = lazy.TOLERANCE,
    ) -> lazy.Solution:
        r"""Minimize the penalized negative log-likelihood.

        Newton's method begins at the solution for infinitely many samples, and takes the second
        derivative there as preconditioner; both are kept for the next fit at this penalty.

        Parameters
        ----------
        moments : array_like of shape (p,)
            Mean features of the data; `mean` for infinitely many.
        penalty : float
            The positive factor lambda of half the squared F2 norm.
        tol : float
            Certified gap at which to stop.

        Returns
        -------
        Solution
            The gap is that of the estimated loss. ``log_partition`` is the controlled estimate
            of :math:`\log Z_f`.
        """
        shifted, penalty = self._moments(moments), check_positive(penalty, "penalty")
        if self._population is None or self._population.penalty != penalty:
            self._population = self._fit_population(penalty)
        solution = lazy.solve(
            shifted,
            self._reference,
            self.spectrum,
            penalty,
            self._population.coordinates,
            tol,
            log_weights=self._log_weights,
            precondition=partial(cho_solve, self._population.curvature),
        )
        controlled = (
            solution.log_partition + float(self._control @ solution.coordinates) + self._offset
        )
        return solution._replace(log_partition=controlled)

    def flow(self, moments: ArrayLike, times: ArrayLike) -> NDArray:
        r"""Follow the gradient flow :math:`\dot a = -\partial L/\partial a` from zero.

        Parameters
        ----------
        moments : array_like of shape (p,)
            As in `fit`.
        times : array_like of shape (T,)
            Increasing and positive.

        Returns
        -------
        ndarray of shape (T, p)
            To a relative error of about 1e-5.
        """
        shifted = self._moments(moments)
        times = check_vector(times, name="times").astype(np.float64)
        if not np.all(np.diff(times, prepend=0.0) > 0):
            raise ValueError(f"times must be positive and increasing, but are {times}.")

        def velocity(_: float, a: NDArray) -> NDArray:
            return lazy.tilt(self._reference, a, self._log_weights)[2] - shifted

        largest = times[-1] * np.abs(velocity(0.0, np.zeros(len(shifted)))).max()
        solution = solve_ivp(
            velocity,
            (0.0, times[-1]),
            np.zeros(len(shifted)),
            t_eval=times,
            rtol=1e-5,
            atol=1e-7 * largest,
        )
        return solution.y.T

    def kl(self, coordinates: ArrayLike) -> Estimate:
        """Estimate KL(nu || nu_f) on points that the fits have not seen."""
        a = check_vector(coordinates, len(self._scale), "coordinates")
        features, log_weights, energy = self._evaluation
        return self._divergence(features @ a, log_weights, energy)

    def divergence(
        self,
        energy: Callable[[NDArray], NDArray],
        n_points: int = 2**17,
        rng: np.random.Generator | int | None = None,
    ) -> Estimate:
        """Estimate KL(nu || nu_f) of any energy f, on fresh points.

        Parameters
        ----------
        energy : callable
            Maps points (n, d) to values (n,).
        n_points : int
            Number of points, at least 1000, half of them from nu and half uniform.
        rng : int or Generator, optional
        """
        n_points = check_count(n_points, "n_points", 1000)
        points, log_weights, planted = self._points(n_points, np.random.default_rng(rng))
        values = check_vector(energy(points), len(points), "energy").astype(np.float64, copy=False)
        return self._divergence(values, log_weights, planted)

    def _divergence(self, f: NDArray, log_weights: NDArray, energy: NDArray) -> Estimate:
        h = f - energy
        weights = np.exp(log_weights - energy - self._log_partition)
        h -= weights @ h / weights.sum()
        value = float(np.log1p(weights @ np.expm1(-h) / weights.sum()))
        influence = weights * (np.exp(-h - value) - 1 + h)
        return Estimate(value, float(influence.std() / np.sqrt(len(h))))

    @cached_property
    def _evaluation(self) -> tuple[NDArray, NDArray, NDArray]:
        points, log_weights, energy = self._points(self._n_reference, self._evaluation_rng)
        return self.features(points), log_weights, energy

    def _points(self, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
        """Draw n points; return them, the log of the density of tau in theirs, and energies."""
        nu, tau = self.teacher.sample(n // 2, rng), uniform(n // 2, self.teacher.d, rng)
        points = np.concatenate([nu, tau])
        energy = self.teacher.energy(points)
        return points, np.log(2) - np.logaddexp(0.0, -energy - self._log_partition), energy

    def _fit_population(self, penalty: float) -> "_Population":
        a = lazy.solve(
            self._moments(self.mean),
            self._reference,
            self.spectrum,
            penalty,
            log_weights=self._log_weights,
        ).coordinates
        _, density, mean = lazy.tilt(self._reference, a, self._log_weights)
        curvature = penalty * np.eye(len(a)) - np.outer(mean, mean)
        for start in range(0, len(density), BLOCK):
            block = self._reference[start : start + BLOCK]
            curvature += (block.T * density[start : start + BLOCK]) @ block
        return _Population(penalty, a, cho_factor(curvature))

    def _moments(self, moments: ArrayLike) -> NDArray:
        return check_vector(moments, len(self._scale), "moments") + self._control

    def _along(self, t: NDArray) -> tuple[NDArray, NDArray]:
        return _along(t, self.teacher.weights[0], self.teacher.alpha)


@lru_cache(maxsize=2)
def shared(
    w: float, d: int, alpha: int, degrees: tuple[int, ...], n_reference: int, seed: int
) -> InfiniteWidth:
    """Return the model of these arguments; two are kept, because building one takes seconds."""
    return InfiniteWidth(w, d, alpha, degrees, n_reference, seed)


def _along(t: NDArray, w: float, alpha: int) -> tuple[NDArray, NDArray]:
    """Return the activation, and the planted density over its largest value, at coordinates t."""
    t = np.asarray(t)
    activation = np.where(t > 0, np.maximum(t, 0) ** alpha, 0)
    return activation, np.exp(min(w, 0) - w * activation)
