r"""Least F1 Stein discrepancy, active and lazy: networks against witnesses.

The discrepancy of the ball of fields whose every coordinate has total variation 1 is
:math:`SD^2 = \sum_i \max_\theta v_i(\theta)^2`, and :math:`v_i(\theta)` is affine in the scores
[domingoenrich2021ebm]_, section 4. Against a list of witnesses, each a coordinate and a neuron, the
maximum is one over the list, a bound from below. Training alternates: the network moves to the
minimum of that bound; then witnesses against it are searched, where those that bind climb on and
fresh ones join them, and the others are dropped, which does not lower the bound. It ends when what
the search finds is above the bound by no more than `TOLERANCE`.

With frozen features v is affine in the coordinates a of the energy, and the bound is a problem of
least distance, :math:`\min \lambda|a|^2 + \sum_i r_i^2` subject to
:math:`|b_k + A_k a| \le r_{i(k)}` for all witnesses k. Non-negative least squares solves it
exactly [lawson1974solving]_. The whole is convex, so that the bounds enclose the optimum, as far as
the search for witnesses is thorough.

Moving features take one such step at a time, with the derivative of v in the atoms for A, and a
damping of the step for lambda: Levenberg and Marquardt's method, for maxima in the place of
squares. It ends in a local optimum; as in `stein`, its rectifiers are smoothed.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from .. import sphere
from .._jit import one_thread
from .._tiles import tiles
from ..discrepancies.f1_stein import F1Problem, f1_stein_discrepancy, stein_means
from ..features import feature_matrix, grad_x
from .lazy import FrozenFeatures, LazyFit
from .likelihood import steepest_neurons
from .sparse import Atoms, SparseFit, choose_rounds, default_penalty, merge_and_prune
from .stein import ScoreField, SteinLoss
from .stein_lazy import gradient_matrix
from .validation import folds

__all__ = ["LeastDistance", "Witnesses", "fit", "fit_lazy", "least_distance"]

# How far the discrepancy found may be above the bound, relatively: in the end, and on trial.
TOLERANCE, TRIAL_TOLERANCE = 0.02, 0.1
MAX_CUTS = 100
# Fresh starts of each coordinate in a search, and in the final one.
N_STARTS, CERTIFYING_STARTS = 4, 64
# Witnesses that are this far below the best of their coordinate are not worth a place on the list.
PLAUSIBLE = 0.5
# The first damping of the atoms' steps, relative to the squared derivatives, and how it changes.
DAMPING, DAMPING_FACTOR = 1e-3, 4.0
# The part of the decrease predicted that a step has to deliver.
ENOUGH_DECREASE = 0.1
# Mass of a new atom, at least.
SMALLEST = 1e-3
# |psi| may exceed the penalty by so much, as in `sparse`.
VIOLATION = 1.02
# The path of penalties starts where they leave little of the energy.
PATH_LENGTH, PATH_FACTOR = 12, 4.0
PATIENCE = 2
# The noise of the held-out points adds to the discrepancy, in proportion to the inverse of their
# number: halves validate each other, not fifths, and chance divides the points more than once.
N_DIVISIONS = 2


class LeastDistance(NamedTuple):
    """The point (p,), the loss there, and the derivatives of the loss in the values v, (K,)."""

    point: NDArray
    value: float
    multipliers: NDArray


def least_distance(
    rows: NDArray, offsets: NDArray, coordinates: NDArray, penalty: float
) -> LeastDistance:
    r"""Minimize :math:`\lambda|a|^2 + \sum_i \max_{k: i(k)=i} (b_k + A_k a)^2` over a.

    Parameters
    ----------
    rows : ndarray of shape (K, p)
        A.
    offsets : ndarray of shape (K,)
        b.
    coordinates : ndarray of shape (K,)
        i(k).
    penalty : float
        lambda > 0.
    """
    K, p = rows.shape
    scaled = rows / np.sqrt(penalty)
    groups = np.eye(coordinates.max() + 1)[coordinates]
    # With x = (sqrt(lambda) a, r): minimize |x|^2 subject to G x >= h.
    G = np.block([[-scaled, groups], [scaled, groups]])
    h = np.concatenate([offsets, -offsets])
    columns = np.vstack([G.T, h])
    lengths = np.linalg.norm(columns, axis=0)
    dual, _ = nnls(columns / lengths, np.eye(len(columns))[-1], maxiter=50 * K)
    dual /= lengths
    dual /= 1 - h @ dual
    x = G.T @ dual
    # The value of the dual problem: a bound from below even where the solver left an error.
    return LeastDistance(
        x[:p] / np.sqrt(penalty), float(2 * h @ dual - x @ x), 2 * (dual[:K] - dual[K:])
    )


class Witnesses(NamedTuple):
    """Unit neurons (K, d), and the coordinates of the field that they test, (K,).

    As a discrepancy they take scores to the sum over coordinates of the largest v squared. With
    them come their activations at the data, (n, K), and v at the score zero, (K,).
    """

    X: NDArray
    alpha: int
    neurons: NDArray
    coordinates: NDArray
    activations: NDArray
    offsets: NDArray

    @classmethod
    def of(cls, X: NDArray, alpha: int, neurons: NDArray, coordinates: NDArray) -> Self:
        """Evaluate what does not depend on the scores."""
        v = stein_means(X, np.zeros(X.shape), neurons, alpha)
        activations = feature_matrix(X, neurons, alpha)
        offsets = v[np.arange(len(neurons)), coordinates]
        return cls(X, alpha, neurons, coordinates, activations, offsets)

    @classmethod
    def search(
        cls,
        X: NDArray,
        scores: NDArray,
        alpha: int,
        rng: np.random.Generator,
        known: Self | None = None,
    ) -> tuple[float, Self]:
        """Return the squared discrepancy found, and all plausible witnesses of it.

        Known witnesses climb on beside fresh ones.
        """
        problem = F1Problem.of(X, scores, "coordinate", alpha, N_STARTS)
        masses = problem.tiled(np.ones((1, problem.n)))
        _, coordinates, neurons = problem.starts(masses, rng)
        if known is not None:
            neurons = np.vstack([known.neurons, neurons])
            coordinates = np.append(known.coordinates, coordinates)
        neurons, sizes = problem.climb(masses, np.zeros(len(neurons), int), coordinates, neurons)
        largest = np.zeros(problem.d)
        np.maximum.at(largest, coordinates, sizes)
        chosen = sizes >= PLAUSIBLE * largest[coordinates]
        found = cls.of(X, alpha, neurons[chosen], coordinates[chosen])
        return float(largest @ largest), found

    def select(self, chosen: NDArray) -> Self:
        """Keep some of the witnesses."""
        return self._replace(
            neurons=self.neurons[chosen],
            coordinates=self.coordinates[chosen],
            activations=self.activations[:, chosen],
            offsets=self.offsets[chosen],
        )

    def join(self, other: Self) -> Self:
        """Put two lists together."""
        return self._replace(
            neurons=np.vstack([self.neurons, other.neurons]),
            coordinates=np.append(self.coordinates, other.coordinates),
            activations=np.hstack([self.activations, other.activations]),
            offsets=np.append(self.offsets, other.offsets),
        )

    def means(self, scores: NDArray) -> NDArray:
        """Return v of each witness, (K,)."""
        tested = scores[:, self.coordinates]
        return self.offsets + np.einsum("nk,nk->k", self.activations, tested) / len(self.X)

    def field(self, multipliers: NDArray) -> NDArray:
        """Return the derivative in the scores, (n, d), of the sum of multipliers times v."""
        spread = np.eye(self.X.shape[1])[self.coordinates] * multipliers[:, None]
        return sphere.tangent(self.X, self.activations @ spread / len(self.X))

    def binding(self, scores: NDArray) -> tuple[Self, NDArray]:
        """Return the best witness of each coordinate, and their v."""
        v = self.means(scores)
        largest = np.zeros(self.X.shape[1])
        np.maximum.at(largest, self.coordinates, np.abs(v))
        chosen = np.abs(v) == largest[self.coordinates]
        return self.select(chosen), v[chosen]

    def __call__(self, X: NDArray, scores: NDArray) -> tuple[float, NDArray]:
        """Return the squared discrepancy and its derivative in the scores, where it has one."""
        best, v = self.binding(scores)
        return float(v @ v), best.field(2 * v)

    def pointwise(self, X: NDArray, scores: NDArray) -> NDArray:
        """Return one number for each point, (n,), whose mean is the squared discrepancy.

        To first order the best witnesses stay, so that their spread tells its standard error.
        """
        best, v = self.binding(scores)
        d, alpha = X.shape[1], self.alpha
        # t sigma'(t) = alpha sigma(t)
        slopes = alpha * feature_matrix(X, best.neurons, alpha - 1)
        tests = (sphere.tangent(X, scores) - (d - 1 + alpha) * X)[:, best.coordinates]
        tests *= best.activations
        tests += slopes * best.neurons[np.arange(len(v)), best.coordinates]
        return tests @ (2 * v) - v @ v

    def coarse(self) -> Self:
        """Return itself."""
        return self


class Stage(NamedTuple):
    """Atoms that have settled, the penalized loss, and its bound for networks nearby.

    The multipliers are the derivatives of the loss in the v of the witnesses.
    """

    atoms: Atoms
    value: float
    bound: float
    n_iter: int
    converged: bool
    witnesses: Witnesses
    multipliers: NDArray


@one_thread()
def fit(
    X: NDArray,
    alpha: int,
    rng: np.random.Generator,
    penalty: float | None = None,
    max_atoms: int = 32,
) -> SparseFit:
    """Fit atoms to data.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere, float64.
    alpha : {1, 2, 3}
    rng : numpy.random.Generator
    penalty, max_atoms
        As in `sparse.fit`; held-out data choose by the discrepancy.

    Returns
    -------
    SparseFit
        The gap is one to networks nearby: there may be better ones elsewhere.
    """

    def losses(training: NDArray, held_out: NDArray) -> Iterator[NDArray]:
        few = default_penalty(len(training))
        for stage in _rounds(X[training], alpha, rng, few, max_atoms, TRIAL_TOLERANCE):
            scores = -grad_x(X[held_out], *stage.atoms.network(), alpha)
            _, found = Witnesses.search(X[held_out], scores, alpha, rng)
            yield found.pointwise(X[held_out], scores)

    n_rounds = max_atoms
    if penalty is None:
        n_rounds = choose_rounds(_halves(len(X), rng), losses)
    factor = default_penalty(len(X)) if penalty is None else penalty
    stages = list(_rounds(X, alpha, rng, factor, n_rounds))
    last = stages[-1]
    value = _certify(X, last.atoms.network(), alpha, rng)
    value += factor * _variation(last.atoms, alpha)
    return SparseFit(
        last.atoms,
        sum(stage.n_iter for stage in stages),
        last.converged and (penalty is None or len(stages) <= max_atoms),
        max(value - last.bound, 0.0),
    )


def _rounds(
    X: NDArray,
    alpha: int,
    rng: np.random.Generator,
    penalty: float,
    n_rounds: int,
    tolerance: float = TOLERANCE,
) -> Iterator[Stage]:
    """Yield the loss with no atom, and the local optimum after each atom added."""
    atoms = Atoms(np.empty((0, X.shape[1])), np.empty(0))
    _, witnesses = Witnesses.search(X, np.zeros(X.shape), alpha, rng)
    stage = _settle(atoms, witnesses, penalty, rng, tolerance)
    yield stage
    for _ in range(n_rounds):
        atoms, witnesses = stage.atoms, stage.witnesses
        loss = SteinLoss.of(X, witnesses, alpha)
        field = ScoreField(tiles(witnesses.field(stage.multipliers)))
        # Of two signs only the loss after training tells the right one, as in `sparse.rounds`.
        trials = [
            _settle(
                _add(atoms, theta, -np.sign(psi), witnesses), witnesses, penalty, rng, tolerance
            )
            for theta, psi in zip(*steepest_neurons(loss, field, rng), strict=True)
            if abs(psi) > VIOLATION * penalty
        ]
        if not trials:
            return
        stage = min(trials, key=lambda trial: trial.value)
        yield stage


def _halves(n: int, rng: np.random.Generator) -> list[tuple[NDArray, NDArray]]:
    return [pair for _ in range(N_DIVISIONS) for pair in folds(n, rng, n_folds=2)]


def _add(atoms: Atoms, theta: NDArray, sign: float, witnesses: Witnesses) -> Atoms:
    """Append an atom with the best mass, in which v is affine."""
    loss = SteinLoss.of(witnesses.X, witnesses, witnesses.alpha)
    unit = Atoms(theta[None], np.array([sign]))
    column = _derivatives(loss, unit, witnesses) @ theta / witnesses.alpha
    v = witnesses.means(loss.scores(*atoms.network()))
    best = least_distance(column[:, None], v, witnesses.coordinates, DAMPING * column @ column)
    length = max(best.point[0], SMALLEST) ** (1 / witnesses.alpha)
    return Atoms(np.vstack([atoms.vectors, length * theta]), np.append(atoms.signs, sign))


def _settle(
    atoms: Atoms, witnesses: Witnesses, penalty: float, rng: np.random.Generator, tolerance: float
) -> Stage:
    """Move all atoms, signs fixed, to a local optimum, and merge and prune them."""
    stage = _descend(atoms, witnesses, penalty, rng, tolerance)
    tidy = merge_and_prune(stage.atoms, witnesses.alpha)
    if len(tidy.signs) == len(atoms.signs):
        return stage
    return _descend(tidy, stage.witnesses, penalty, rng, tolerance)


def _descend(
    atoms: Atoms, witnesses: Witnesses, penalty: float, rng: np.random.Generator, tolerance: float
) -> Stage:
    """Take damped steps of least distance, and search witnesses after each."""
    X, alpha = witnesses.X, witnesses.alpha
    loss = SteinLoss.of(X, witnesses, alpha)
    scores = loss.scores(*atoms.network())
    value, found = Witnesses.search(X, scores, alpha, rng, witnesses)
    value += penalty * _variation(atoms, alpha)
    listed, damping = witnesses.join(found), 0.0
    for n_iter in range(1, MAX_CUTS + 1):  # noqa: B007
        rows = _derivatives(loss, atoms, listed)
        lengths = np.linalg.norm(atoms.vectors, axis=1, keepdims=True)
        slope = penalty * alpha * (lengths ** (alpha - 2) * atoms.vectors).ravel()
        damping = damping or max(DAMPING * float(np.sum(rows**2)), 1e-12)
        # The penalty is linearized too: its slope shifts the centre of the damping.
        centre = -slope / (2 * damping)
        offsets = listed.means(scores) + rows @ centre
        best = least_distance(rows, offsets, listed.coordinates, damping)
        bound = best.value + penalty * _variation(atoms, alpha) - damping * float(centre @ centre)
        binds = best.multipliers != 0
        binding, multipliers = listed.select(binds), best.multipliers[binds]
        converged = value - bound <= tolerance * value
        if converged:
            break
        step = (centre + best.point).reshape(atoms.vectors.shape)
        moved = atoms._replace(vectors=atoms.vectors + step)
        new_scores, size = loss.scores(*moved.network()), penalty * _variation(moved, alpha)
        new_value, found = Witnesses.search(X, new_scores, alpha, rng, binding)
        enough = value - ENOUGH_DECREASE * (value - bound)
        if new_value + size < enough:
            atoms, scores, value = moved, new_scores, new_value + size
            damping /= DAMPING_FACTOR
        elif binding(X, new_scores)[0] + size > enough:
            # Not for want of witnesses: the derivatives do not reach so far.
            damping *= DAMPING_FACTOR
        listed = binding.join(found)
    return Stage(atoms, value, bound, n_iter, converged, binding, multipliers)


def _derivatives(loss: SteinLoss, atoms: Atoms, witnesses: Witnesses) -> NDArray:
    """Differentiate the v of the witnesses in the vectors of the atoms: shape (K, J d)."""
    X = witnesses.X
    rows = np.empty((len(witnesses.offsets), atoms.vectors.size))
    if not rows.size:
        return rows
    for k, row in enumerate(rows):
        i, test = witnesses.coordinates[k], witnesses.activations[:, k] / len(X)
        # The tangent part of the field that is this test in coordinate i.
        field = -(test * X[:, i])[:, None] * X
        field[:, i] += test
        row[:] = loss.gradient(*atoms.network(), ScoreField(tiles(field)))[0].ravel()
    return rows


def _variation(atoms: Atoms, alpha: int) -> float:
    return float(atoms.masses(alpha).sum())


def _certify(
    X: NDArray, network: tuple[NDArray, NDArray], alpha: int, rng: np.random.Generator
) -> float:
    """Return the squared discrepancy of the true rectifiers, after a search from many starts."""
    scores = -grad_x(X, *network, alpha)
    found = f1_stein_discrepancy(X, scores, "coordinate", alpha, CERTIFYING_STARTS, rng)
    return found.value**2


@one_thread()
def fit_lazy(
    X: NDArray,
    neurons: NDArray,
    alpha: int,
    rng: np.random.Generator,
    penalty: float | None = None,
) -> LazyFit:
    """Fit output weights of frozen neurons to data.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points of the sphere, float64.
    neurons : ndarray of shape (m, d)
        Unit neurons, which stay.
    alpha : {1, 2, 3}
    rng : numpy.random.Generator
    penalty : float, optional
        lambda of lambda times the squared F2 norm; by default the one with the least discrepancy
        on held-out data along a path, scaled from the number of training points to all.

    Returns
    -------
    LazyFit
    """
    features = FrozenFeatures.of(neurons, alpha)
    frozen = _Frozen.of(X, features)
    if penalty is None:
        penalty = _choose_penalty(frozen, rng)
    _, witnesses = frozen.search(np.zeros(frozen.gradients.shape[2]), rng)
    last = frozen.solve(witnesses, penalty, rng)
    weights = features.output_weights(last.coordinates)
    value = _certify(X, (neurons, weights), alpha, rng)
    value += penalty * float(last.coordinates @ last.coordinates)
    return LazyFit(weights, penalty, last.n_iter, last.converged, max(value - last.bound, 0.0))


class Solution(NamedTuple):
    """Coordinates of the frozen features, (p,), the penalized loss and its bound from below."""

    coordinates: NDArray
    value: float
    bound: float
    n_iter: int
    converged: bool
    witnesses: Witnesses


class _Frozen(NamedTuple):
    """Points, and the tangent gradients of the features there, (d, n, p), in float32."""

    X: NDArray
    alpha: int
    gradients: NDArray

    @classmethod
    def of(cls, X: NDArray, features: FrozenFeatures) -> Self:
        """Evaluate the features."""
        gradients = gradient_matrix(X, features).transpose(1, 0, 2)
        return cls(X, features.alpha, np.ascontiguousarray(gradients))

    def part(self, chosen: NDArray) -> Self:
        """Keep some of the points."""
        return self._replace(X=self.X[chosen], gradients=self.gradients[:, chosen])

    def search(
        self, coordinates: NDArray, rng: np.random.Generator, known: Witnesses | None = None
    ) -> tuple[float, Witnesses]:
        """Return the squared discrepancy, and its witnesses."""
        scores = -(self.gradients @ coordinates.astype(np.float32)).T.astype(np.float64)
        return Witnesses.search(self.X, scores, self.alpha, rng, known)

    def derivatives(self, witnesses: Witnesses) -> NDArray:
        """Differentiate the v of the witnesses in the coordinates: shape (K, p)."""
        d, n, p = self.gradients.shape
        rows = np.empty((len(witnesses.offsets), p))
        activations = witnesses.activations.astype(np.float32)
        for i in range(d):
            chosen = witnesses.coordinates == i
            rows[chosen] = activations[:, chosen].T @ self.gradients[i] / -n
        return rows

    def solve(
        self,
        witnesses: Witnesses,
        penalty: float,
        rng: np.random.Generator,
        tolerance: float = TOLERANCE,
    ) -> Solution:
        """Minimize the penalized loss, from these witnesses on."""
        best, value, listed = np.zeros(self.gradients.shape[2]), np.inf, witnesses
        for n_iter in range(1, MAX_CUTS + 1):  # noqa: B007
            rows = self.derivatives(listed)
            point, bound, multipliers = least_distance(
                rows, listed.offsets, listed.coordinates, penalty
            )
            binding = listed.select(multipliers != 0)
            new_value, found = self.search(point, rng, binding)
            new_value += penalty * float(point @ point)
            if new_value < value:
                best, value = point, new_value
            converged = value - bound <= tolerance * value
            if converged:
                break
            listed = binding.join(found)
        return Solution(best, value, bound, n_iter, converged, binding)


def _choose_penalty(frozen: _Frozen, rng: np.random.Generator) -> float:
    """Return the penalty with the least discrepancy on held-out data, pooled over the folds."""
    n = len(frozen.X)
    splits = _halves(n, rng)
    parts = [(frozen.part(training), frozen.part(held_out)) for training, held_out in splits]
    nothing = np.zeros(frozen.gradients.shape[2])
    witnesses = [part.search(nothing, rng)[1] for part, _ in parts]
    rows = parts[0][0].derivatives(witnesses[0])
    path = np.linalg.norm(rows, 2) ** 2 / PATH_FACTOR ** np.arange(PATH_LENGTH)
    losses: list[float] = []
    for penalty in path:
        loss = 0.0
        for fold, (part, held_out) in enumerate(parts):
            # Every fold has the same penalty times its number of training points.
            scaled = penalty * n / len(part.X)
            solution = part.solve(witnesses[fold], scaled, rng, TRIAL_TOLERANCE)
            witnesses[fold] = solution.witnesses
            loss += len(held_out.X) * held_out.search(solution.coordinates, rng)[0]
        losses.append(loss)
        if len(losses) - 1 - int(np.argmin(losses)) >= PATIENCE:
            break
    return float(path[np.argmin(losses)])
