"""Processes that fill one folder of compiled code at once."""

import multiprocessing

from numba.core.caching import IndexDataCacheFile

# The import is what puts the lock on Numba's cache.
from lazyactive.numerics import _jit  # noqa: F401

N_PROCESSES, N_KEYS = 4, 50


def fill(folder, process):
    cache = IndexDataCacheFile(folder, "function", "stamp")
    for number in range(N_KEYS):
        cache.save((process, number), f"code of {process}, {number}")


def test_every_entry_of_a_shared_cache_keeps_its_code(tmp_path):
    """Without a lock hundreds of tries to write the index meet, and most entries are lost."""
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=fill, args=(str(tmp_path), process))
        for process in range(N_PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    cache = IndexDataCacheFile(str(tmp_path), "function", "stamp")
    for process in range(N_PROCESSES):
        for number in range(N_KEYS):
            assert cache.load((process, number)) == f"code of {process}, {number}"


def test_a_folder_that_cannot_be_written_to(tmp_path):
    cache = IndexDataCacheFile(str(tmp_path / "missing"), "function", "stamp")
    assert cache.load("key") is None
