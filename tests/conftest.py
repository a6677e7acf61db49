"""Workers of pytest-xdist run on one thread each, and share what they compile."""

import fcntl
import functools
import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import numba
    from numba.core.caching import IndexDataCacheFile

    # Not NUMBA_NUM_THREADS: tests that compare one thread with two must be able to ask for two.
    numba.set_num_threads(1)
    # Numba reads the index of its cache, adds a line and writes it back, without a lock: of two
    # processes that do so at once, one could later be given the code of the other's function.
    IndexDataCacheFile.save = _locked(IndexDataCacheFile.save)
    IndexDataCacheFile.load = _locked(IndexDataCacheFile.load)


def _locked(method):
    @functools.wraps(method)
    def call(self, *arguments):
        with open(f"{self._index_path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return method(self, *arguments)

    return call
