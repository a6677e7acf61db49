r"""Training over measures with few atoms: conditional gradient with moving atoms.

The energy is a sum over atoms, :math:`f(x) = \sum_j s_j \sigma(\langle v_j, x\rangle)` with signs
:math:`s_j = \pm 1`; by homogeneity :math:`\|v_j\|^\alpha` is the mass of the atom. Each round adds
the neuron with the largest :math:`|\psi|`, then moves all atoms at once to a local optimum, and
merges and prunes. How many rounds are good is for the validation data to say. Without a penalty
each round is plain maximum likelihood, or the least discrepancy, on its support; a total-variation
penalty is convex over measures and comes with a certificate, but biases the masses towards zero.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from .. import sphere
from .._jit import one_thread
from ..streams import StreamedRows
from .likelihood import Likelihood, optimality_gap, steepest_neurons
from .loss import Loss, Slope
from .validation import ENOUGH_REFERENCE, MIN_ESS, enough_reference, folds

__all__ = ["Atoms", "SparseFit", "choose_rounds", "fit", "fit_loss", "merge_and_prune", "rounds"]

MERGE_ANGLE = 0.1
PRUNE_FRACTION = 1e-3
PATIENCE = 2
# |psi| may exceed the penalty by so much: data put kinks into psi beside every atom.
VIOLATION = 1.02
# Relative decrease of the loss at which the atoms have settled, in the final fit and on trial.
TOLERANCE, TRIAL_TOLERANCE = 1e-9, 1e-7
# The same times the number of points: of n times the loss, what is far below 1 is noise.
POOLED_TOLERANCE, POOLED_TRIAL_TOLERANCE = 1e-5, 1e-3
# Where no reference point is near the data the loss falls for ever.
INFINITE = 1e6
# Iterations after which the better of two candidates goes on alone, and the most it can take.
TRIAL_ITERATIONS, MAX_ITERATIONS = 20, 200


class Atoms(NamedTuple):
    """Vectors v, (J, d), whose direction is the neuron and whose length carries the mass; signs."""

    vectors: NDArray
    signs: NDArray

    def network(self) -> tuple[NDArray, NDArray]:
        """Neurons and output weights in mean-field normalization; one idle neuron if none."""
        if not len(self.signs):
            return np.zeros((1, self.vectors.shape[1])), np.zeros(1)
        return self.vectors, len(self.signs) * self.signs

    def masses(self, alpha: int) -> NDArray:
        """The absolute masses of the atoms, (J,)."""
        return np.linalg.norm(self.vectors, axis=1) ** alpha


class SparseFit(NamedTuple):
    """The atoms, iterations of the local solver, whether it converged, and the certificate."""

    atoms: Atoms
    n_iter: int
    converged: bool
    optimality_gap: float


class Round(NamedTuple):
    """Where one round of the conditional gradient ended."""

    atoms: Atoms
    loss: float
    rho: Slope
    n_iter: int
    converged: bool


def rounds(
    loss: Loss,
    penalty: float,
    rng: np.random.Generator,
    max_atoms: int,
    tol: float = TOLERANCE,
    coarse: Loss | None = None,
    n_tried: int = MAX_ITERATIONS,
) -> Iterator[Round]:
    """Yield the optimum with no atom, then the local optimum after each added atom.

    An energy that the reference sample of the likelihood can't resolve, by its effective size, ends
    the rounds: where no reference point is near the data, the likelihood has no optimum at all.

    Parameters
    ----------
    loss : Loss
        The likelihood in float64.
    penalty : float
        The factor on the total variation.
    rng : numpy.random.Generator
        For the starts of the search.
    max_atoms : int
        End when this many have been added.
    tol : float
        Relative decrease of the loss at which the local solver stops.
    coarse : Loss, optional
        A cheaper loss, on which candidates are tried; by default `loss.coarse()`.
    n_tried : int
        Iterations of the local solver after which the better candidate goes on alone.
    """
    d = loss.data.shape[1]
    coarse = coarse or loss.coarse()
    atoms = Atoms(np.empty((0, d)), np.empty(0))
    value, rho = loss.evaluate(*atoms.network())
    yield Round(atoms, value, rho, 0, True)
    for _ in range(max_atoms):
        candidates = [
            (theta, psi)
            for theta, psi in zip(*steepest_neurons(loss, rho, rng), strict=True)
            if abs(psi) > VIOLATION * penalty
        ]
        if not candidates:
            return
        # An attractive neuron at theta and a repulsive one at -theta share their linear part: only
        # the loss after the move tells which of them the data want.
        trials = [
            _settle(_add(atoms, theta, psi, penalty, loss, rho), penalty, coarse, tol, n_tried)
            for theta, psi in candidates
        ]
        _, atoms, n_trial, converged = min(trials, key=lambda trial: trial[0])
        if coarse is not loss or not converged:
            _, atoms, n_iter, converged = _settle(atoms, penalty, loss, tol)
            n_trial += n_iter
        value, rho = loss.evaluate(*atoms.network())
        if rho.ess < MIN_ESS:
            return
        yield Round(atoms, value, rho, n_trial, converged)


@one_thread()
def fit(
    X: NDArray | StreamedRows,
    reference: NDArray,
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
    reference : ndarray of shape (M, d)
        A sample of tau.
    alpha : {1, 2, 3}
        The step activation (alpha = 0) has no gradient that could move an atom.
    rng : numpy.random.Generator
    penalty : float, optional
        The factor on the total variation: rounds go on until no neuron violates the optimality
        condition ``|psi| <= penalty`` by more than 2%. By default the number of atoms is chosen on
        held-out data, and all data are used in the end; the penalty is then a negligible 0.1/n,
        which keeps atoms from running off to infinity where a few points would allow it.
    max_atoms : int

    Returns
    -------
    SparseFit
    """
    n = len(X)
    # Atoms fit the noise of their own reference points: others say what log Z is, if there are so
    # many. Half of a small reference would be worse than the same points twice.
    enough = min(enough_reference(n), ENOUGH_REFERENCE)
    few = reference[:enough].astype(np.float32)
    fresh = reference[enough : 2 * enough].astype(np.float32)
    if len(fresh) < enough:
        fresh = few
    return fit_loss(
        X,
        lambda points: Likelihood.of(points, reference, alpha),
        lambda points: Likelihood.of(points.astype(np.float32), few, alpha),
        rng,
        penalty,
        max_atoms,
        validation_of=lambda points: Likelihood.of(points.astype(np.float32), fresh, alpha),
        trial_tol=max(TRIAL_TOLERANCE, POOLED_TRIAL_TOLERANCE / n),
        tol=max(TOLERANCE, POOLED_TOLERANCE / n),
        coarse=Likelihood.of(X.astype(np.float32), few, alpha),
        n_tried=TRIAL_ITERATIONS,
    )


def fit_loss(
    X: NDArray | StreamedRows,
    loss_of: Callable[[Any], Loss],
    trial_of: Callable[[Any], Loss],
    rng: np.random.Generator,
    penalty: float | None = None,
    max_atoms: int = 32,
    *,
    validation_of: Callable[[Any], Loss] | None = None,
    trial_tol: float = TRIAL_TOLERANCE,
    tol: float = TOLERANCE,
    coarse: Loss | None = None,
    n_tried: int = MAX_ITERATIONS,
) -> SparseFit:
    """Fit atoms to data by any loss.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    loss_of, trial_of : callable
        Return the loss of some of the points: for the final fit, and for comparisons of fits.
    rng, penalty, max_atoms
        As in `fit`.
    validation_of : callable, optional
        Returns the loss of held-out points, by default as `trial_of` does.
    trial_tol, tol : float
        Relative decrease of the loss at which a fit that is only compared stops, and the final one.
    coarse, n_tried
        As in `rounds`; the coarse loss is for the final fit.

    Returns
    -------
    SparseFit
    """

    def losses_of(training: NDArray, held_out: NDArray) -> Iterator[NDArray]:
        trial, validation = trial_of(X[training]), (validation_of or trial_of)(X[held_out])
        light = default_penalty(len(training))
        for stage in rounds(trial, light, rng, max_atoms, trial_tol, n_tried=n_tried):
            yield validation.pointwise(*stage.atoms.network())

    loss = loss_of(X)
    if penalty is None:
        # All folds are needed, however many the points: what a superfluous atom costs falls as 1/n,
        # and the noise of the comparison is as large unless all points take part.
        n_rounds = choose_rounds(folds(len(X), rng), losses_of)
        stages = list(rounds(loss, default_penalty(len(X)), rng, n_rounds, tol, coarse, n_tried))
        n_iter = sum(stage.n_iter for stage in stages)
        return _certify(stages[-1], loss, default_penalty(len(X)), n_iter, rng)
    stages = list(rounds(loss, penalty, rng, max_atoms, tol, coarse, n_tried))
    n_iter = sum(stage.n_iter for stage in stages)
    result = _certify(stages[-1], loss, penalty, n_iter, rng)
    return result._replace(converged=result.converged and len(stages) <= max_atoms)


def default_penalty(n: int) -> float:
    """Return the penalty that does not bias but keeps masses finite: 0.1/n."""
    return 0.1 / n


def choose_rounds(
    splits: Iterable[tuple[NDArray, NDArray]],
    losses_of: Callable[[NDArray, NDArray], Iterator[NDArray]],
) -> int:
    """Return the fewest rounds within one standard error of the best on held-out data.

    Parameters
    ----------
    splits : iterable of pairs
        Indices of training and of held-out points.
    losses_of : callable
        Takes a pair, and yields after each round one number for each held-out point.
    """
    histories: list[list[NDArray]] = []
    for training, held_out in splits:
        losses: list[NDArray] = []
        means: list[float] = []
        for values in losses_of(training, held_out):
            losses.append(values)
            means.append(float(values.mean()))
            if len(means) - 1 - int(np.argmin(means)) >= PATIENCE:
                break
        histories.append(losses)
    longest = max(map(len, histories))
    # A fold that stopped early would only have got worse: its last losses stand for the rest.
    pooled = np.hstack(
        [np.array(losses + losses[-1:] * (longest - len(losses))) for losses in histories]
    )
    excess = pooled - pooled[np.argmin(pooled.mean(axis=1))]
    standard_error = excess.std(axis=1) / np.sqrt(excess.shape[1])
    return int(np.argmax(excess.mean(axis=1) <= standard_error))


def _add(atoms: Atoms, theta: NDArray, psi: float, penalty: float, loss: Loss, rho: Slope) -> Atoms:
    """Append an atom with the mass of one Newton step along it."""
    mass = (abs(psi) - penalty) / max(loss.curvature(theta, rho), 1e-12)
    length = mass ** (1 / loss.alpha)
    return Atoms(np.vstack([atoms.vectors, length * theta]), np.append(atoms.signs, -np.sign(psi)))


def _settle(
    atoms: Atoms, penalty: float, loss: Loss, tol: float, max_iter: int = MAX_ITERATIONS
) -> tuple[float, Atoms, int, bool]:
    """Move all atoms, merge and prune, and move again if that changed anything."""
    value, moved, n_iter, converged = _move(atoms, penalty, loss, tol, max_iter)
    tidy = merge_and_prune(moved, loss.alpha)
    if len(tidy.signs) < len(moved.signs):
        value, moved, more, converged = _move(tidy, penalty, loss, tol, max_iter)
        n_iter += more
    return value, moved, n_iter, converged


def _move(
    atoms: Atoms, penalty: float, loss: Loss, tol: float, max_iter: int
) -> tuple[float, Atoms, int, bool]:
    """Minimize the penalized loss over all vectors, signs fixed, by L-BFGS."""
    alpha, shape = loss.alpha, atoms.vectors.shape

    def objective(flat: NDArray) -> tuple[float, NDArray]:
        moved = Atoms(flat.reshape(shape), atoms.signs)
        network = moved.network()
        value, slopes, *_ = loss.value_and_gradient(*network)
        lengths = np.linalg.norm(moved.vectors, axis=1, keepdims=True)
        slopes += penalty * alpha * moved.vectors * np.maximum(lengths, 1e-12) ** (alpha - 2)
        return value + penalty * moved.masses(alpha).sum(), slopes.ravel()

    def stop_at_infinity(flat: NDArray) -> None:
        if np.abs(flat).max() > INFINITE:
            raise StopIteration

    solution = minimize(
        objective,
        atoms.vectors.ravel(),
        jac=True,
        method="L-BFGS-B",
        callback=stop_at_infinity,
        options={"maxiter": max_iter, "maxcor": 20, "ftol": tol, "gtol": 1e-6},
    )
    moved = Atoms(solution.x.reshape(shape), atoms.signs)
    return float(solution.fun), moved, int(solution.nit), bool(solution.success)


def merge_and_prune(atoms: Atoms, alpha: int) -> Atoms:
    """Join atoms of one sign that point the same way, and drop those of negligible mass."""
    masses = atoms.masses(alpha)
    order = [j for j in np.argsort(-masses) if masses[j] > PRUNE_FRACTION * masses.sum()]
    vectors: list[NDArray] = []
    signs: list[float] = []
    for j in order:
        v, s = atoms.vectors[j], atoms.signs[j]
        for i, u in enumerate(vectors):
            cosine = u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
            if signs[i] == s and cosine > np.cos(MERGE_ANGLE):
                total = np.linalg.norm(u) ** alpha + masses[j]
                vectors[i] = sphere.normalize(u + v) * total ** (1 / alpha)
                break
        else:
            vectors.append(v)
            signs.append(s)
    return Atoms(np.array(vectors).reshape(-1, atoms.vectors.shape[1]), np.array(signs))


def _certify(
    last: Round, loss: Loss, penalty: float, n_iter: int, rng: np.random.Generator
) -> SparseFit:
    neurons, weights = last.atoms.network()
    psi, _ = loss.psi(neurons, last.rho)
    _, (largest, _) = steepest_neurons(loss, last.rho, rng, n_starts=64)
    gap = optimality_gap(neurons, weights, psi, largest, penalty, loss.alpha)
    return SparseFit(last.atoms, n_iter, last.converged, gap)
