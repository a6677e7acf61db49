"""ShallowEBM: a shallow energy-based model on the sphere, with scikit-learn's protocol."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from . import features, sphere
from ._checks import (
    check_alpha,
    check_count,
    check_nonnegative,
    check_positive,
    check_samples,
    check_sphere,
)
from .discrepancies.stein import KERNELS
from .sampling import annealed, mala
from .sampling.reweighting import LogPartition, log_partition, resample
from .streams import StreamedRows
from .training import (
    lazy,
    particles,
    score_matching,
    score_matching_lazy,
    sparse,
    stein,
    stein_f1,
    stein_lazy,
)
from .training.stein import KernelDiscrepancy

__all__ = ["ShallowEBM"]

REGIMES = ("active", "lazy")
SOLVERS = ("sparse", "particles")
OBJECTIVES = ("likelihood", "ksd", "f1-sd", "score-matching", "denoising")
# Fewer points leave no pair to validate on.
MIN_SAMPLES = {"likelihood": 2, "ksd": 10, "f1-sd": 10, "score-matching": 10, "denoising": 10}
N_REFERENCE = 2**17
# Points for log Z after training, unless its standard error is then larger than this; and the least
# number of groups of points for which the spread of their means can be trusted.
N_LOG_PARTITION, ACCURATE, MIN_GROUPS = 2**15, 0.002, 100


class ShallowEBM(DensityMixin, BaseEstimator):
    r"""Energy-based model :math:`p(x) \propto e^{-f(x)}` on S^{d-1} with a shallow energy.

    The energy is :math:`f(x) = \frac1m \sum_j c_j \max(\langle\theta_j, x\rangle, 0)^\alpha`,
    trained by maximum likelihood, or to the least Stein discrepancy, of a kernel or of F1
    [domingoenrich2021ebm]_, or by score matching. Densities are with respect to the uniform
    probability measure.

    Parameters
    ----------
    regime : {"active", "lazy"}
        Whether the neurons move (F1) or stay where they are drawn (F2).
    alpha : {0, 1, 2, 3}
        Power of the activation; 0, the step, in the lazy regime only.
    n_neurons : int, optional
        Width m of the lazy model (2048 by default) and of the particles (500); the largest number
        of atoms of the sparse solver (32).
    penalty : float, optional
        Lazy: lambda of ``lambda/2`` times the squared F2 norm, or ``lambda`` times it for every
        objective but the likelihood, positive. Active: factor on the F1 norm. By default held-out
        data choose: the penalty (lazy), the number of atoms (sparse), the stopping time
        (particles); all data are used in the final fit.
    solver : {"sparse", "particles"}
        Of the active regime: conditional gradient with moving atoms, or the gradient flow of an
        overparametrized network, for the likelihood only.
    objective : {"likelihood", "ksd", "f1-sd", "score-matching", "denoising"}
        What is minimized: the negative log-likelihood; the square of the kernel Stein discrepancy
        or of that of F1, with variation 1 for each coordinate; or the Fisher divergence, implicitly
        or by denoising. All but the first see the energy by its derivatives near the samples and
        need no log Z. Held-out data choose by the same.
    kernel, scale : str, float
        Of the kernel Stein discrepancy, as in `discrepancies.stein.ksd`.
    noise : float, optional
        Of denoising: standard deviation of the moves of a sample in each direction, in radians, at
        most ``pi / (2 sqrt(d - 1))``. By default that of `training.score_matching.noise_level`,
        so small that the noised data differ from the data by less than the statistical error.
    normalize : bool
        Project points to the sphere instead of refusing those that are off it.
    n_reference : int, optional
        Uniform points that stand for the integral in log Z, in likelihood training and after every
        training: by default ``2**17`` in training, more beyond 16384 samples, and as many as log Z
        needs afterwards, ``2**15`` to ``2**17``. They act like a second sample of noise of that
        size.
    random_state : int, Generator or RandomState, optional
        All randomness of the fit.

    Attributes
    ----------
    neurons_ : ndarray of shape (m, d)
    weights_ : ndarray of shape (m,)
    log_partition_, log_partition_se_ : float
        log Z and its standard error, from uniform points that the training never saw, or by
        annealed importance sampling where these are too few.
    penalty_ : float
        The penalty that was used.
    n_iter_ : int
        Iterations of the final fit.
    converged_ : bool
        Whether the solver's stopping rule was met.
    optimality_gap_ : float
        Bound on what the penalized training loss can still lose: for the lazy model among all
        output weights of the kept directions, for the active one among all measures of no larger
        F1 norm, as far as the steepest neuron was found; for the active "f1-sd" among networks
        nearby. For training without log Z activations are smoothed: for an active Stein
        discrepancy the rectifier, for score matching those of alpha = 1 and 2.
    n_features_in_ : int
        The ambient dimension d.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyactive.numerics import ShallowEBM, sphere
    >>> from lazyactive.numerics.teachers import PlantedEnergy
    >>> teacher = PlantedEnergy(np.eye(1, 5), np.array([5.0]))
    >>> model = ShallowEBM(random_state=0).fit(teacher.sample(1000, rng=1))
    >>> len(model.neurons_), bool(model.score(teacher.sample(1000, rng=2)) > 0)
    (1, True)
    """

    def __init__(
        self,
        regime: str = "active",
        alpha: int = 1,
        n_neurons: int | None = None,
        penalty: float | None = None,
        solver: str = "sparse",
        objective: str = "likelihood",
        kernel: str = "rbf",
        scale: float = 1.0,
        noise: float | None = None,
        normalize: bool = False,
        n_reference: int | None = None,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ):
        self.regime = regime
        self.alpha = alpha
        self.n_neurons = n_neurons
        self.penalty = penalty
        self.solver = solver
        self.objective = objective
        self.kernel = kernel
        self.scale = scale
        self.noise = noise
        self.normalize = normalize
        self.n_reference = n_reference
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit the energy to points of the sphere.

        Parameters
        ----------
        X : array_like of shape (n, d)
            At least two points, ten for every objective but the likelihood; d >= 2. For the
            likelihood a ``numpy.memmap`` stays in its file and is read in blocks; the flow of
            particles takes one of them for each step.
        y : ignored

        Returns
        -------
        ShallowEBM

        Raises
        ------
        ValueError
            If a parameter is out of range or the points are not on the sphere.
        PartitionFunctionError
            If log Z of the fitted energy can't be estimated; `lazy.ReferenceTooSmallError` if the
            reference points can't carry a lazy fit.
        """
        self._check_parameters()
        rng = _generator(self.random_state)
        # The order of a threaded BLAS sum, hence its last bits, depends on the number of threads.
        with threadpool_limits(limits=1, user_api="blas"):
            if self.objective == "likelihood":
                if isinstance(X, np.memmap):
                    self._fit_likelihood(self._streamed(X, reset=True).check(), rng)
                else:
                    self._fit_likelihood(self._points(X, reset=True), rng)
            elif self.objective in ("score-matching", "denoising"):
                self._fit_score_matching(self._points(X, reset=True), rng)
            else:
                self._fit_stein(self._points(X, reset=True), rng)
        estimate = self._estimate_log_partition(rng)
        self.log_partition_, self.log_partition_se_ = estimate.value, estimate.se
        return self

    def energy(self, X: ArrayLike) -> NDArray:
        """Return the energy f at each point: shape (n,)."""
        check_is_fitted(self)
        if isinstance(X, np.memmap):
            blocks = self._streamed(X).blocks()
            return np.concatenate([self._energy(check_sphere(block)) for block in blocks])
        return self._energy(self._points(X))

    def score_samples(self, X: ArrayLike) -> NDArray:
        """Return the log-density with respect to tau, ``-f(x) - log Z``: shape (n,)."""
        return -self.energy(X) - self.log_partition_

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Return the mean log-density of the points."""
        return float(np.mean(self.score_samples(X)))

    def score_field(self, X: ArrayLike) -> NDArray:
        """Return the gradient of the log-density on the sphere, tangent at each point: (n, d)."""
        check_is_fitted(self)
        X = self._points(X)
        return -sphere.tangent(X, self._gradient(X))

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.Generator | None = None
    ) -> NDArray:
        """Draw points from the model.

        Particles of annealed importance sampling are resampled by their weights and moved by
        further Langevin steps, which leave the model invariant.

        Parameters
        ----------
        n_samples : int
        random_state : int or Generator, optional
            By default fresh randomness.

        Returns
        -------
        ndarray of shape (n_samples, d)
        """
        check_is_fitted(self)
        n_samples = check_count(n_samples, "n_samples")
        rng = _generator(random_state)
        pool = annealed.sample(
            max(2 * n_samples, 1000), self.n_features_in_, self._energy, self._gradient, rng
        )
        assert pool.log_weights is not None
        log_partition(pool.log_weights)
        chosen = rng.permutation(resample(pool.log_weights, n_samples, rng))
        state = mala.init(pool.X[chosen], self._energy, self._gradient)
        for _ in range(20):
            state, _ = mala.step(state, self._energy, self._gradient, rng)
        return state.X

    def _fit_likelihood(self, X: NDArray | StreamedRows, rng: np.random.Generator) -> None:
        n, d = X.shape
        n_reference = self.n_reference or int(np.clip(8 * n, N_REFERENCE, 2 * N_REFERENCE))
        reference = sphere.orthogonal_uniform(n_reference, d, rng)
        if self.regime == "lazy":
            neurons = self._draw_neurons(d, rng)
            frozen = lazy.fit(X, reference, neurons, self.alpha, rng, self.penalty)
            self._keep_lazy(neurons, frozen)
        elif self.solver == "sparse":
            max_atoms = self.n_neurons or 32
            self._keep_atoms(n, sparse.fit(X, reference, self.alpha, rng, self.penalty, max_atoms))
        else:
            result = particles.fit(
                X, reference, self.alpha, self.n_neurons or 500, rng, self.penalty
            )
            self.neurons_, self.weights_ = result.neurons, result.weights
            self.penalty_ = self.penalty or 0.0
            self._keep_diagnostics(result)

    def _fit_stein(self, X: NDArray, rng: np.random.Generator) -> None:
        alpha, penalty, max_atoms = self.alpha, self.penalty, self.n_neurons or 32
        kernel = KernelDiscrepancy(self.kernel, self.scale) if self.objective == "ksd" else None
        if self.regime == "lazy":
            neurons = self._draw_neurons(X.shape[1], rng)
            if kernel is None:
                self._keep_lazy(neurons, stein_f1.fit_lazy(X, neurons, alpha, rng, penalty))
            else:
                self._keep_lazy(neurons, stein_lazy.fit(X, neurons, alpha, rng, kernel, penalty))
        elif kernel is None:
            self._keep_atoms(len(X), stein_f1.fit(X, alpha, rng, penalty, max_atoms))
        else:
            self._keep_atoms(len(X), stein.fit(X, alpha, rng, kernel, penalty, max_atoms))

    def _fit_score_matching(self, X: NDArray, rng: np.random.Generator) -> None:
        n, d = X.shape
        if self.objective == "score-matching":
            loss_of = score_matching.implicit(n, d, self.alpha)
        else:
            noise = score_matching.noise_level(n, d) if self.noise is None else self.noise
            largest = np.pi / (2 * np.sqrt(d - 1))
            if noise > largest:
                raise ValueError(
                    f"noise must be at most pi / (2 sqrt(d - 1)) = {largest:.3g}, "
                    f"but it is {noise!r}."
                )
            loss_of = score_matching.denoising(n, d, self.alpha, noise, rng)
        if self.regime == "lazy":
            neurons = self._draw_neurons(d, rng)
            frozen = score_matching_lazy.fit(loss_of(X), neurons, rng, self.penalty)
            self._keep_lazy(neurons, frozen)
        else:
            max_atoms = self.n_neurons or 32
            self._keep_atoms(n, score_matching.fit(X, loss_of, rng, self.penalty, max_atoms))

    def _draw_neurons(self, d: int, rng: np.random.Generator) -> NDArray:
        return sphere.uniform(self.n_neurons or 2048, d, rng)

    def _keep_lazy(self, neurons: NDArray, result: lazy.LazyFit | stein_lazy.SteinLazyFit) -> None:
        self.neurons_, self.weights_ = neurons, result.weights
        self.penalty_ = result.penalty
        self._keep_diagnostics(result)

    def _keep_atoms(self, n: int, result: sparse.SparseFit) -> None:
        self.neurons_, self.weights_ = result.atoms.network()
        self.penalty_ = sparse.default_penalty(n) if self.penalty is None else self.penalty
        self._keep_diagnostics(result)

    def _keep_diagnostics(
        self,
        result: lazy.LazyFit | stein_lazy.SteinLazyFit | sparse.SparseFit | particles.ParticleFit,
    ) -> None:
        self.n_iter_ = result.n_iter
        self.converged_ = result.converged
        self.optimality_gap_ = result.optimality_gap

    def _estimate_log_partition(self, rng: np.random.Generator) -> LogPartition:
        n_points = self.n_reference or N_LOG_PARTITION
        estimate = self._reweight(n_points, rng)
        if self.n_reference is None and estimate.se > ACCURATE:
            n_points = N_REFERENCE
            estimate = self._reweight(n_points, rng)
        # Annealing is dearer, and worth it only where plain reweighting is poor.
        if estimate.ess < 0.01 * n_points:
            pool = annealed.sample(2000, self.n_features_in_, self._energy, self._gradient, rng)
            assert pool.log_weights is not None
            estimate = log_partition(pool.log_weights)
        return estimate

    def _reweight(self, n_points: int, rng: np.random.Generator) -> LogPartition:
        """Estimate log Z from fresh points of tau, in rotated frames where there are enough."""
        d = self.n_features_in_
        n_groups = n_points // (2 * d)
        if n_groups < MIN_GROUPS:
            return log_partition(-self._energy(sphere.uniform(n_points, d, rng)), min_ess=0)
        fresh = sphere.orthogonal_uniform(n_groups * 2 * d, d, rng)
        return log_partition(-self._energy(fresh), 0, 2 * d)

    def _energy(self, X: NDArray) -> NDArray:
        return features.energy(X, self.neurons_, self.weights_, self.alpha)

    def _gradient(self, X: NDArray) -> NDArray:
        return features.grad_x(X, self.neurons_, self.weights_, self.alpha)

    def _points(self, X: ArrayLike, reset: bool = False) -> NDArray:
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            ensure_min_samples=MIN_SAMPLES[self.objective] if reset else 1,
            ensure_min_features=2 if reset else 1,
        )
        return check_sphere(X, normalize=self.normalize)

    def _streamed(self, X: np.memmap, reset: bool = False) -> StreamedRows:
        """Leave the points in their file."""
        check_samples(X[:2], min_samples=2 if reset else 1)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return StreamedRows(X, np.float64, self.normalize)

    def _check_parameters(self) -> None:
        if self.regime not in REGIMES:
            raise ValueError(f"regime must be one of {REGIMES}, but it is {self.regime!r}.")
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {SOLVERS}, but it is {self.solver!r}.")
        if self.objective not in OBJECTIVES:
            raise ValueError(
                f"objective must be one of {OBJECTIVES}, but it is {self.objective!r}."
            )
        if self.objective != "likelihood":
            self._check_score_objective()
        if check_alpha(self.alpha) == 0 and self.regime == "active":
            raise ValueError(
                "alpha must be 1, 2 or 3 in the active regime, but it is 0: the step has no "
                'gradient that could move a neuron; use regime="lazy".'
            )
        if self.n_neurons is not None:
            check_count(self.n_neurons, "n_neurons")
        if self.n_reference is not None:
            check_count(self.n_reference, "n_reference", 1000)
        if self.penalty is not None:
            (check_positive if self.regime == "lazy" else check_nonnegative)(
                self.penalty, "penalty"
            )

    def _check_score_objective(self) -> None:
        if self.objective == "ksd":
            if self.kernel not in KERNELS:
                raise ValueError(f"kernel must be one of {KERNELS}, but it is {self.kernel!r}.")
            check_positive(self.scale, "scale")
        if self.objective == "denoising" and self.noise is not None:
            check_positive(self.noise, "noise")
        if check_alpha(self.alpha) == 0:
            raise ValueError(
                f'alpha must be 1, 2 or 3 for objective="{self.objective}", but it is 0: almost '
                "everywhere the score of a step is zero."
            )
        if self.regime == "active" and self.solver != "sparse":
            raise ValueError(
                f'solver must be "sparse" for objective="{self.objective}", '
                f"but it is {self.solver!r}."
            )


def _generator(
    random_state: int | np.random.Generator | np.random.RandomState | None,
) -> np.random.Generator:
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    return np.random.default_rng(random_state)
