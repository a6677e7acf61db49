"""Which points train and which validate."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

N_FOLDS = 5
# Beyond this many validation points more folds buy little and cost a fit each.
ENOUGH = 2000


def folds(
    n: int, rng: np.random.Generator, at_most: int = N_FOLDS
) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield (training, validation) indices of as many folds as it takes to validate well.

    A random fifth of the points (at least one) validates; further, disjoint fifths follow until
    ``ENOUGH`` points have validated.
    """
    parts = np.array_split(rng.permutation(n), min(N_FOLDS, n))
    validated = 0
    for held_out in parts[:at_most]:
        training = np.setdiff1d(np.arange(n), held_out)
        yield training, np.sort(held_out)
        validated += len(held_out)
        if validated >= ENOUGH:
            return


def enough_reference(n: int) -> int:
    """Return how many reference points suffice to compare fits: fewer than the final fit needs."""
    return min(max(2**15, 16 * n), 2**17)
