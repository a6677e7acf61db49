"""Which points train and which validate."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

N_FOLDS = 5
# Effective reference points below which a trial fit says nothing about log Z.
MIN_ESS = 20.0
# Reference points beyond which another would not change the choice of a number of atoms or a time.
ENOUGH_REFERENCE = 2**16


def folds(
    n: int, rng: np.random.Generator, enough: float = np.inf, n_folds: int = N_FOLDS
) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield (training, validation) indices, a random fifth of the points validating each time.

    The fifths, or whatever part is asked for, are disjoint. The last one is that with which
    ``enough`` points have validated.
    """
    validated = 0
    for held_out in np.array_split(rng.permutation(n), min(n_folds, n)):
        training = np.setdiff1d(np.arange(n), held_out)
        yield training, np.sort(held_out)
        validated += len(held_out)
        if validated >= enough:
            return


def enough_reference(n: int) -> int:
    """Return how many reference points suffice to compare fits: fewer than the final fit needs."""
    return min(max(2**14, 16 * n), 2**17)
