"""Every option that is given to Numba, in one place."""

import contextlib
import fcntl
import functools
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import IndexDataCacheFile
from threadpoolctl import threadpool_limits

# Sums may be reordered and contracted, but NaN and infinity keep their meaning.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "fastmath": FASTMATH,
    "error_model": "numpy",
}


@functools.cache
def sources() -> str:
    """Digest of the private modules beside this one, which hold all that is compiled."""
    paths = sorted(Path(__file__).parent.glob("_*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def kernel(function: Callable | None = None, **options: Any) -> Any:
    """Compile a function at its first call, or take the code from the disk."""
    if function is None:
        return functools.partial(kernel, **options)
    dispatcher = numba.njit(**(_OPTIONS | options))(function)
    # Numba compiles a function again when its own file changes, but not when a function changes
    # that it calls from another file: the old code would go on, with the old layout of arrays.
    dispatcher._cache._cache_file._source_stamp = sources()
    return dispatcher


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


def _locked(method: Callable) -> Callable:
    @functools.wraps(method)
    def call(self: Any, *arguments: Any) -> Any:
        with contextlib.ExitStack() as stack:
            # A folder that cannot be written to holds a cache that nobody changes.
            with contextlib.suppress(OSError):
                lock = stack.enter_context(open(f"{self._index_path}.lock", "w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            return method(self, *arguments)

    return call


# Numba reads the index of its cache on disk, adds a line and writes it back, without a lock: of two
# processes that do so at once, one could later be given the code of the other's function.
for _name in ("save", "load"):
    setattr(IndexDataCacheFile, _name, _locked(getattr(IndexDataCacheFile, _name)))
