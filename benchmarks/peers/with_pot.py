"""Python Optimal Transport."""

from collections.abc import Callable

import ot
from numpy.typing import NDArray


def sliced_wasserstein(X: NDArray, Y: NDArray, directions: NDArray) -> Callable[[], float]:
    return lambda: float(ot.sliced_wasserstein_distance(X, Y, p=1, projections=directions.T))
