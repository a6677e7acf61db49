"""Every option that is given to Numba, in one place."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import numba
from threadpoolctl import threadpool_limits

# Sums may be reordered and contracted, but NaN and infinity keep their meaning.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}

kernel: Callable = functools.partial(
    numba.njit, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy"
)
parallel_kernel: Callable = functools.partial(kernel, parallel=True)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run compiled loops and BLAS on one thread: for small work, waking the others costs more."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        numba.set_num_threads(threads)
