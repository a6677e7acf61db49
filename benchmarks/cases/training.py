"""One full training of each regime, beside gradient flows in NumPy that end at a given divergence.

The flows are told when to stop by the teacher, who knows the divergence. `ShallowEBM` is not: it
chooses on held-out data, estimates log Z, and certifies its optimum, all of which is in its time.
The same flow with our gradient compares the loops alone.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lazyactive.numerics import ShallowEBM, sphere
from lazyactive.numerics.discrepancies.kl import kl_divergence
from lazyactive.numerics.features import energy, feature_matrix
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import particles
from lazyactive.numerics.training.likelihood import Likelihood

from ..case import Case

D, N, STRENGTH = 15, 1000, 10.0
N_EVALUATION, N_REFERENCE = 20_000, 8192
ACTIVE_TARGET, LAZY_TARGET = 0.02, 0.1
ACTIVE_NEURONS, LAZY_NEURONS = 500, 2048
# The step of `particles`, and one at which the flow of the output weights is still stable.
ACTIVE_STEP, LAZY_STEP = particles.STEP_SIZE, 40.0
# Steps between two looks at the divergence, and the most that are taken.
LOOK, MAX_STEPS = 10, 600

Moments = Callable[[NDArray, NDArray], tuple[NDArray, NDArray]]


def inputs() -> tuple[NDArray, NDArray, NDArray]:
    """Data, evaluation points, and the teacher's energy there."""
    teacher = PlantedEnergy.random(1, D, STRENGTH, rng=0)
    evaluation = teacher.sample(N_EVALUATION, rng=2)
    return teacher.sample(N, rng=1), evaluation, teacher.energy(evaluation)


def _fit(regime: str, X: NDArray, evaluation: NDArray, truth: NDArray) -> Callable[[], float]:
    def run() -> float:
        model = ShallowEBM(regime=regime, random_state=0).fit(X)
        return kl_divergence(truth, model.energy(evaluation)).value

    return run


def active(*arrays: NDArray) -> Callable[[], float]:
    return _fit("active", *arrays)


def lazy(*arrays: NDArray) -> Callable[[], float]:
    return _fit("lazy", *arrays)


def reference_points() -> NDArray:
    return sphere.orthogonal_uniform(N_REFERENCE, D, 3, np.float32)


def flow(X: NDArray, evaluation: NDArray, truth: NDArray) -> Callable[[], float]:
    """Active, with the likelihood of `particles`."""
    likelihood = Likelihood.of(X.astype(np.float32), reference_points(), 1)

    def run() -> float:
        state = particles.init(ACTIVE_NEURONS, D, np.random.default_rng(4))
        for i in range(1, MAX_STEPS + 1):
            state, _ = particles.step(state, likelihood, ACTIVE_STEP)
            if i % LOOK == 0:
                f = energy(evaluation, state.neurons, state.weights)
                if (kl := kl_divergence(truth, f).value) <= ACTIVE_TARGET:
                    break
        return kl

    return run


def plain_flow(X: NDArray, evaluation: NDArray, truth: NDArray) -> Callable[[], float]:
    """Active, in NumPy."""
    data, reference = X.astype(np.float32), reference_points()
    points = np.concatenate([data, reference])

    def run() -> float:
        start = particles.init(ACTIVE_NEURONS, D, np.random.default_rng(4))
        m = ACTIVE_NEURONS
        neurons, weights = start.neurons.astype(np.float32), start.weights.astype(np.float32)
        for i in range(1, MAX_STEPS + 1):
            T = points @ neurons.T
            mass = _signed_measure(np.maximum(T[len(data) :], 0) @ weights / m, len(data))
            moments = ((T > 0) * mass[:, None]).T @ points
            values = np.sum(moments * neurons, axis=1)
            neurons = neurons - ACTIVE_STEP * weights[:, None] * moments
            weights = weights - ACTIVE_STEP * values
            if i % LOOK == 0:
                f = feature_matrix(evaluation.astype(np.float32), neurons) @ weights / m
                if (kl := kl_divergence(truth, f).value) <= ACTIVE_TARGET:
                    break
        return kl

    return run


def plain_lazy_flow(X: NDArray, evaluation: NDArray, truth: NDArray) -> Callable[[], float]:
    """Frozen neurons in NumPy: their features are stored once in each run."""
    data, reference = X.astype(np.float32), reference_points()

    def run() -> float:
        m = LAZY_NEURONS
        neurons, weights = sphere.uniform(m, D, 4, np.float32), np.zeros(m, np.float32)
        at_data = feature_matrix(data, neurons).mean(axis=0)
        at_reference = feature_matrix(reference, neurons)
        at_evaluation = feature_matrix(evaluation.astype(np.float32), neurons)
        for i in range(1, MAX_STEPS + 1):
            density = -_signed_measure(at_reference @ weights / m, 0)
            weights = weights - np.float32(LAZY_STEP) * (at_data - density @ at_reference)
            if i % LOOK == 0:
                kl = kl_divergence(truth, at_evaluation @ weights / m).value
                if kl <= LAZY_TARGET:
                    break
        return kl

    return run


def _signed_measure(f: NDArray, n_data: int) -> NDArray:
    """Data, each 1 / n, minus the model's density on the reference, whose energies are given."""
    density = np.exp(f.min() - f)
    uniform = np.full(n_data, 1 / max(n_data, 1), f.dtype)
    return np.concatenate([uniform, -density / density.sum(dtype=np.float64).astype(f.dtype)])


def case(regime: str, target: float, runs: dict[str, str]) -> Case:
    return Case(
        f"training-{regime}",
        f"{regime} training on {N:,} points of one neuron, w = {STRENGTH:g}, d = {D}; flows end at "
        f"KL = {target}",
        inputs,
        {name: f"benchmarks.cases.training:{run}" for name, run in runs.items()},
        # They are different estimators: the note says what each reached.
        rtol=None,
        note=partial(reached, target),
        rounds=3,
    )


def reached(target: float, results: list[NDArray]) -> str:
    kl = float(results[0][0])
    return f"KL {kl:.4f}" + ("" if kl <= target else ", target missed")


CASES = [
    case(
        "active",
        ACTIVE_TARGET,
        {"ours": "active", "ours, flow of 500 neurons": "flow", "NumPy, same flow": "plain_flow"},
    ),
    case("lazy", LAZY_TARGET, {"ours": "lazy", "NumPy, flow of weights": "plain_lazy_flow"}),
]
