"""Workers of pytest-xdist run on one thread each; the longest test comes first."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import numba

    # Not NUMBA_NUM_THREADS: tests that compare one thread with two must be able to ask for two.
    numba.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Begun last, its commands would keep one worker busy long after the others are done.
    items.sort(key=lambda item: item.name != "test_three_jobs_in_order")
