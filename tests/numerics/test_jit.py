"""Processes that fill one folder of compiled code at once."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.caching import IndexDataCacheFile

# The import is what puts the lock on Numba's cache.
from lazyactive.numerics import _jit

N_PROCESSES, N_KEYS = 4, 50
PROGRAM = """
import numpy as np
from lazyactive.numerics import features, sphere
from lazyactive.numerics.discrepancies import ipm, stein
from lazyactive.numerics.training import dual, transport
from lazyactive.numerics.training.likelihood import Likelihood

rng = np.random.default_rng(0)
X, reference, neurons = (sphere.uniform(n, 3, rng) for n in (700, 3000, 6))
weights = 10 * rng.standard_normal(6)
likelihood = Likelihood.of(X, reference, 1)
found = list(likelihood.value_and_gradient(neurons, weights))
loss, rho = likelihood.evaluate(neurons, weights)
found += [loss, *likelihood.psi(neurons, rho), likelihood.curvature(neurons[0], rho)]
found += [features.grad_x(X, neurons, weights)]
found += list(ipm.f2_ipm(X, reference))
found += list(stein.ksd(X, sphere.tangent(X, np.ones_like(X))))
state = dual.init(transport.init(6, 3, rng, mass=5.0), n_walkers=500, rng=rng)
for _ in range(3):
    state, _ = dual.step(state, X, rng, 0.01)
found += [state.walkers, state.network.neurons]
for one in found:
    print(np.asarray(one, float).tobytes().hex())
"""


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


@pytest.mark.slow
def test_a_change_in_one_file_reaches_the_compiled_code_of_the_others(tmp_path):
    """Numba looks at the file of the called function alone, and goes on with the old code."""
    package = tmp_path / "lazyactive/numerics"
    shutil.copytree(
        Path(_jit.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    program = (
        "import numpy as np; from lazyactive.numerics import features; "
        "print(features.energy(np.eye(2), np.eye(2), np.ones(2), 0).sum(), features.__file__)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)

    def energy():
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        value, file = done.stdout.split()
        assert Path(file).parent == package
        return float(value)

    def change(name, before, after):
        text = (package / name).read_text()
        assert text.count(before) == 1
        (package / name).write_text(text.replace(before, after))

    assert energy() == 1.0
    change("_tiles.py", "where_positive(t, splat(weight))", "where_positive(t, splat(-weight))")
    assert energy() == -1.0
    change("_simd.py", 'fcmp_ordered(">"', 'fcmp_ordered("<"')
    assert energy() == 0.0


@pytest.mark.slow
def test_compiled_code_and_that_from_the_disk_give_the_same_bits(tmp_path):
    """Sums that may be reordered once were, differently in the process that had compiled them."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "1"}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert len(outputs[0]) > 10
    assert outputs[0] == outputs[1]
