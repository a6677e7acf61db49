"""Workers of pytest-xdist run on one thread each."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import numba

    # Not NUMBA_NUM_THREADS: tests that compare one thread with two must be able to ask for two.
    numba.set_num_threads(1)
