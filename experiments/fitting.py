"""A user's points: both regimes fitted to a part of them, and compared on the rest."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..numerics import ShallowEBM
from ..numerics.estimators import MIN_SAMPLES
from ..numerics.sampling.diagnostics import Estimate
from ..numerics.sampling.reweighting import PartitionFunctionError
from .report import aligned
from .statistics import Interval

__all__ = [
    "Fit",
    "Options",
    "Projections",
    "Split",
    "curve_sizes",
    "difference",
    "estimator",
    "fit",
    "fit_model",
    "mean_log_density",
    "projections",
    "sentence",
    "split",
    "strongest_direction",
    "summary",
    "table",
]

# Two held-out points are the fewest that have a spread.
MIN_HELD_OUT = 2
# Parts of the training data on which the learning curve rests.
PARTS = (8, 4, 2, 1)
# Points of each model whose projections are compared with those of the data.
N_SAMPLES = 2000


class Options(NamedTuple):
    """How to fit: parameters of the estimator, the held-out fraction, and the seed."""

    objective: str = "likelihood"
    alpha: int = 1
    n_neurons: int | None = None
    penalty: float | None = None
    held_out: float = 0.2
    seed: int = 0


class Split(NamedTuple):
    """Rows that train, in random order, and rows that are held out."""

    training: NDArray[np.intp]
    held_out: NDArray[np.intp]


class Fit(NamedTuple):
    """One regime: the fitted model, and its log-densities.

    Attributes
    ----------
    model : ShallowEBM
    n_training : int
    training, held_out : Estimate
        Mean log-density per point in nats, with its standard error.
    log_densities : ndarray
        Of the held-out points.
    seconds : float
        That the fit took.
    """

    model: ShallowEBM
    n_training: int
    training: Estimate
    held_out: Estimate
    log_densities: NDArray
    seconds: float


class Projections(NamedTuple):
    """Cosines with one direction: of held-out points, and of points of each model by regime."""

    owner: str
    direction: NDArray
    held_out: NDArray
    models: Mapping[str, NDArray]


def split(n: int, options: Options) -> Split:
    """Divide n rows at random.

    Raises
    ------
    ValueError
        If too few rows are left on either side.
    """
    n_held_out = round(options.held_out * n)
    least = MIN_SAMPLES[options.objective]
    if n_held_out < MIN_HELD_OUT or n - n_held_out < least:
        raise ValueError(
            f"must hold at least {least} points for training and {MIN_HELD_OUT} that are held "
            f"out, but has {n - n_held_out} and {n_held_out}"
        )
    order = np.random.default_rng(_seeds(options)["split"]).permutation(n)
    return Split(order[n_held_out:], np.sort(order[:n_held_out]))


def estimator(regime: str, options: Options) -> ShallowEBM:
    """Return the model of a regime, not fitted yet.

    Raises
    ------
    ValueError
        If the regime can't have these parameters.
    """
    model = ShallowEBM(
        regime,
        options.alpha,
        options.n_neurons,
        options.penalty,
        objective=options.objective,
        random_state=_seeds(options)[regime],
    )
    model._check_parameters()
    return model


def fit(regime: str, options: Options, training: NDArray, held_out: NDArray) -> Fit:
    """Fit one regime to training points (n, d), and score both parts.

    Raises
    ------
    PartitionFunctionError
        If log Z of the fitted energy can't be estimated.
    """
    return fit_model(estimator(regime, options), training, held_out)


def fit_model(model: ShallowEBM, training: NDArray, held_out: NDArray) -> Fit:
    """Fit a model of any parameters, and score both parts, as `fit` does."""
    start = time.perf_counter()
    model.fit(training)
    seconds = time.perf_counter() - start
    log_densities = model.score_samples(held_out)
    return Fit(
        model,
        len(training),
        mean_log_density(model.score_samples(training), model.log_partition_se_),
        mean_log_density(log_densities, model.log_partition_se_),
        log_densities,
        seconds,
    )


def mean_log_density(log_densities: ArrayLike, log_partition_se: float) -> Estimate:
    r"""Average log-densities of independent points.

    The standard error combines the spread of the points with the error of log Z, which all points
    share: :math:`\sqrt{s^2/n + \mathrm{se}^2}`. It is infinite for one point.
    """
    values = np.asarray(log_densities, np.float64)
    n = len(values)
    spread = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Estimate(float(values.mean()), math.hypot(spread, log_partition_se))


def difference(active: Fit, lazy: Fit, level: float = 0.95) -> Interval:
    """Mean of active minus lazy log-density over the held-out points, with Student's interval.

    The points are paired; the errors of the two log Z, of independent seeds, are added.
    """
    from scipy.stats import t

    paired = active.log_densities - lazy.log_densities
    both = math.hypot(active.model.log_partition_se_, lazy.model.log_partition_se_)
    mean, se = mean_log_density(paired, both)
    half = float(t.ppf((1 + level) / 2, len(paired) - 1)) * se
    return Interval(mean, mean - half, mean + half)


def sentence(gain: Interval) -> str:
    """Which regime wins and by how much, or that the data can't tell."""
    low, high = gain.low, gain.high
    words = "nats per held-out point"
    if low > 0:
        start = f"The active regime wins by {gain.value:.3g} {words}"
    elif high < 0:
        start = f"The lazy regime wins by {-gain.value:.3g} {words}"
        low, high = -high, -low
    else:
        start = (
            "These data can't tell which regime is better: active minus lazy is "
            f"{gain.value:.3g} {words}"
        )
    return f"{start}, 95% interval [{low:.3g}, {high:.3g}]."


def table(fits: Mapping[str, Fit]) -> str:
    """One regime to a row."""
    header = [
        "regime", "held-out", "± s.e.", "training", "neurons", "log Z", "± s.e.",
        "certified gap", "seconds",
    ]  # fmt: skip
    rows = [
        [
            regime,
            f"{one.held_out.value:.4f}",
            f"{one.held_out.se:.4f}",
            f"{one.training.value:.4f}",
            str(_n_neurons(one.model)),
            f"{one.model.log_partition_:.4f}",
            f"{one.model.log_partition_se_:.4f}",
            f"{one.model.optimality_gap_:.1e}",
            f"{one.seconds:.1f}",
        ]
        for regime, one in fits.items()
    ]
    return aligned(header, rows)


def summary(
    fits: Mapping[str, Fit], curve: Sequence[Mapping[str, Any]], options: Options
) -> dict[str, Any]:
    """The numbers of a comparison, as JSON."""
    data: dict[str, Any] = {
        "options": options._asdict(),
        "seeds": {name: _seeds(options)[name] for name in ("split", *fits)},
        "regimes": {regime: _numbers(one) for regime, one in fits.items()},
    }
    if len(fits) == 2:
        gain = difference(fits["active"], fits["lazy"])
        data["active_minus_lazy"] = gain._asdict() | {"level": 0.95, "sentence": sentence(gain)}
    data["learning_curve"] = [dict(point) for point in curve]
    return data


def curve_sizes(n: int, options: Options) -> list[int]:
    """Sizes of the growing parts of n training points; the last one is all."""
    least = MIN_SAMPLES[options.objective]
    return sorted({n // part for part in PARTS if n // part >= least})


def projections(
    fits: Mapping[str, Fit], held_out: NDArray, seed: int, report: Callable[[str], None]
) -> Projections | None:
    """Compare data with models along the strongest neuron, of the active model if there is one.

    None if all weights are zero. A model that can't be sampled is reported and left out.
    """
    owner = next(iter(fits))
    direction = strongest_direction(fits[owner].model)
    if direction is None:
        return None
    sampled = {}
    for regime, one in fits.items():
        try:
            sampled[regime] = one.model.sample(N_SAMPLES, seed) @ direction
        except PartitionFunctionError as error:
            report(f"No samples of the {regime} model in the figure: {error}")
    return Projections(owner, direction, held_out @ direction, sampled)


def strongest_direction(model: ShallowEBM) -> NDArray | None:
    """The unit vector along the neuron with the largest mass; None if all masses are zero."""
    masses = np.abs(model.weights_) * np.linalg.norm(model.neurons_, axis=1) ** model.alpha
    if not masses.any():
        return None
    strongest = model.neurons_[np.argmax(masses)]
    return strongest / np.linalg.norm(strongest)


def _numbers(one: Fit) -> dict[str, Any]:
    model = one.model
    gap = model.optimality_gap_
    return {
        "held_out": one.held_out._asdict(),
        "training": one.training._asdict(),
        "neurons": _n_neurons(model),
        "penalty": float(model.penalty_),
        "log_partition": model.log_partition_,
        "log_partition_se": model.log_partition_se_,
        "optimality_gap": float(gap) if math.isfinite(gap) else None,
        "converged": bool(model.converged_),
        "n_iter": int(model.n_iter_),
        "seconds": one.seconds,
    }


def _n_neurons(model: ShallowEBM) -> int:
    """Neurons that count: a fit without any has an idle one."""
    return int(np.count_nonzero(model.weights_))


def _seeds(options: Options) -> dict[str, int]:
    """Seeds of their own, so that the errors of both regimes' log Z are independent."""
    state = np.random.SeedSequence(options.seed).generate_state(3)
    return dict(zip(("split", "active", "lazy"), (int(word) for word in state), strict=True))
