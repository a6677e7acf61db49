"""One step of dual training against the same step in NumPy, in turn, in one process.

Runs of many steps alternate, and the median of the steps of a run counts: the threads of NumPy's
matrix products keep spinning for a while, into the first steps of the next run.

python benchmarks/dual.py
"""

import time
from statistics import median

import numba
import numpy as np
from timing import ROUNDS, report

from lazyactive.numerics import sphere
from lazyactive.numerics.teachers import PlantedEnergy
from lazyactive.numerics.training import dual, transport

D, N_NEURONS, N_DATA, N_WALKERS, STEP_SIZE, STEPS = 15, 64, 10_000, 20_000, 0.01, 40


def one_stream(shape: tuple[int, int], dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(shape, dtype)


def plain_step(
    state: dual.State, X: np.ndarray, rng: np.random.Generator, normal=one_stream
) -> tuple[dual.State, None]:
    """The step as one writes it in NumPy, in the type of the data."""
    network, walkers, n_steps = state
    neurons = network.neurons.astype(X.dtype)
    weights = (network.weights / N_NEURONS).astype(X.dtype)
    gradient = ((walkers @ neurons.T > 0) * weights) @ neurons
    spread = X.dtype.type(np.sqrt(2 * STEP_SIZE))
    noise = spread * normal(walkers.shape, X.dtype, rng)
    velocity = sphere.tangent(walkers, noise - X.dtype.type(STEP_SIZE) * gradient)
    walkers = sphere.exponential(walkers, velocity)
    psi, slopes = np.zeros(N_NEURONS), np.zeros((N_NEURONS, D))
    for points, sign in ((X, 1), (walkers, -1)):
        cosines = points @ neurons.T
        psi += sign * np.maximum(cosines, 0).mean(axis=0)
        slopes += sign * ((cosines > 0).astype(X.dtype).T @ points) / len(points)
    return dual.State(transport.move(network, psi, slopes, STEP_SIZE), walkers, n_steps + 1), None


def main() -> None:
    print(f"{N_DATA} data, {N_WALKERS} walkers, {N_NEURONS} neurons in R^{D}, ", end="")
    print(f"{STEPS} steps, {numba.get_num_threads()} threads")
    for dtype in (np.float32, np.float64):
        X = PlantedEnergy(np.eye(2, D), np.array([-10.0, -10.0])).sample(N_DATA, 0).astype(dtype)
        start = dual.init(transport.init(N_NEURONS, D, 1), N_WALKERS, 2, dtype)

        def run(step, start=start, X=X, **options):
            rng, state, times = np.random.default_rng(3), start, []
            for _ in range(STEPS):
                begin = time.perf_counter()
                state, _ = step(state, X, rng, **options)
                times.append(time.perf_counter() - begin)
            return state, median(times)

        ours, theirs = run(dual.step)[0], run(plain_step, normal=dual._noise)[0]
        # A rectifier that switches in another order of rounding moves a walker a little.
        assert np.median(np.abs(ours.walkers - theirs.walkers)) < 1e-5
        rounds = [(run(dual.step)[1], run(plain_step)[1]) for _ in range(ROUNDS)]
        report(f"{np.dtype(dtype).name}, ours against NumPy", *zip(*rounds, strict=True))


if __name__ == "__main__":
    main()
