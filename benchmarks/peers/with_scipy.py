"""SciPy: special functions, one degree at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import eval_gegenbauer


def legendre(t: NDArray, d: int, max_degree: int) -> Callable[[], NDArray]:
    def run() -> NDArray:
        out = np.empty((max_degree + 1, len(t)))
        for k in range(max_degree + 1):
            out[k] = eval_gegenbauer(k, d / 2 - 1, t) / eval_gegenbauer(k, d / 2 - 1, 1.0)
        return out

    return run
