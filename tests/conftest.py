"""Workers of pytest-xdist: one thread each, and a cache of compiled functions of their own."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return
    # Numba reads its index of a cache, adds a line and writes it, without a lock: two processes
    # that compile at once could give two functions the same file.
    shared = os.environ.get("NUMBA_CACHE_DIR") or config.rootpath / ".pytest_cache" / "numba"
    os.environ["NUMBA_CACHE_DIR"] = os.path.join(shared, worker)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import numba

    # Not NUMBA_NUM_THREADS: tests that compare one thread with two must be able to ask for two.
    numba.set_num_threads(1)
