"""Two sets of real data as points of a sphere: scikit-learn's digits, and the world's airports."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..numerics import ShallowEBM, sphere
from ..numerics.sampling import annealed
from ..numerics.sampling.reweighting import LogPartition, log_partition
from .fitting import Fit, fit_model

__all__ = ["PREPARATIONS", "airports", "digits", "fit_both", "log_partitions"]

PREPARATIONS = ("standardized", "whitened")
# Uniform points that are in memory together.
BLOCK = 2**15


def digits(preparation: str, rng: np.random.Generator | int | None = None) -> NDArray:
    r"""Return the 1797 images of handwritten digits as unit vectors of R^64.

    Grey levels are the integers 0 to 16, and some border pixels are 0 in every image: a density has
    no maximum likelihood there. So each pixel gets uniform noise on [0, 1), of the size of one
    level, and the density is that of the noised images. All entries are nonnegative, so that raw
    images lie in one small cap (their mean has length 0.84), where no uniform points fall and log Z
    can't be estimated; the mean image is subtracted. Mean and covariance are those of all images:
    a model that is fitted to a part of them knows so much of the rest.

    Parameters
    ----------
    preparation : {"standardized", "whitened"}
        Each pixel is divided by its standard deviation, or the image is multiplied by the inverse
        square root of the pixels' covariance, which leaves the second moments nothing to tell.
        Then images are divided by their norms.
    rng : numpy.random.Generator or int, optional
        Of the noise.

    Returns
    -------
    ndarray of shape (1797, 64)
    """
    from sklearn.datasets import load_digits

    if preparation not in PREPARATIONS:
        raise ValueError(f"preparation must be one of {PREPARATIONS}, but it is {preparation!r}.")
    levels = load_digits().data
    X = levels + np.random.default_rng(rng).random(levels.shape)
    X -= X.mean(axis=0)
    if preparation == "standardized":
        X /= X.std(axis=0)
    else:
        variances, axes = np.linalg.eigh(X.T @ X / len(X))
        X = (X @ axes / np.sqrt(variances)) @ axes.T
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def airports(path: str | Path, n: int, rng: np.random.Generator | int | None = None) -> int:
    """Write latitude and longitude of `n` airports, drawn at random, to a .csv file.

    They come from the package ``airportsdata``: those with an IATA code, which leaves out the
    private airstrips of the United States, half of all entries.

    Returns
    -------
    int
        The number of airports from which they were drawn.

    Raises
    ------
    ValueError
        If there are fewer than `n`.
    """
    import airportsdata

    places = list(airportsdata.load("IATA").values())
    if not 1 <= n <= len(places):
        raise ValueError(f"n must be between 1 and {len(places)}, but it is {n}.")
    drawn = np.random.default_rng(rng).permutation(len(places))[:n]
    lines = [f"{places[i]['lat']},{places[i]['lon']}\n" for i in drawn]
    Path(path).write_text("lat,lon\n" + "".join(lines), encoding="utf-8")
    return len(places)


def fit_both(
    training: NDArray,
    held_out: NDArray,
    n_neurons: int,
    n_reference: int,
    seed: int,
) -> dict[str, Fit]:
    """Fit both regimes by maximum likelihood, with one reference for both.

    Parameters
    ----------
    training, held_out : ndarray of shape (n, d)
    n_neurons : int
        Width of the lazy model. The active one chooses its own, up to 32.
    n_reference : int
        Uniform points that stand for the integral in log Z.
    seed : int
        Its spawned seeds make the errors of the two log Z independent.

    Returns
    -------
    dict of str to Fit
    """
    fits = {}
    states = np.random.SeedSequence(seed).generate_state(2)
    for regime, width, state in zip(("active", "lazy"), (None, n_neurons), states, strict=True):
        model = ShallowEBM(
            regime, n_neurons=width, n_reference=n_reference, random_state=int(state)
        )
        fits[regime] = fit_model(model, training, held_out)
    return fits


def log_partitions(
    model: ShallowEBM,
    rng: np.random.Generator | int | None = None,
    n_particles: int = 2000,
    n_temperatures: int = 200,
    n_uniform: int = 2**18,
) -> dict[str, LogPartition]:
    """Estimate log Z of a fitted model by annealed importance sampling and from uniform points.

    The two are independent of each other and of the fit.
    """
    rng = np.random.default_rng(rng)
    d = model.n_features_in_

    def gradient(X: NDArray) -> NDArray:
        return -model.score_field(X)

    pool = annealed.sample(n_particles, d, model.energy, gradient, rng, n_temperatures)
    assert pool.log_weights is not None
    blocks = np.array_split(np.arange(n_uniform), math.ceil(n_uniform / BLOCK))
    log_weights = [-model.energy(sphere.uniform(len(block), d, rng)) for block in blocks]
    return {
        "annealed": log_partition(pool.log_weights),
        "uniform": log_partition(np.concatenate(log_weights)),
    }
