"""Every option that is given to Numba, in one place."""

import functools
from collections.abc import Callable

import numba

# Sums may be reordered and contracted, but NaN and infinity keep their meaning.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}

kernel: Callable = functools.partial(
    numba.njit, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy"
)
parallel_kernel: Callable = functools.partial(kernel, parallel=True)
