import os
import subprocess
import sys

import numpy as np
import pytest

from lazyactive.numerics._jit import kernel
from lazyactive.numerics._likelihood_kernels import exponential
from lazyactive.numerics._simd import (
    REGISTER_BYTES,
    add_totals,
    fma,
    lanes,
    load,
    splat,
    store,
    where_positive,
)
from lazyactive.numerics._tiles import ROWS, TILE, cosines, moments, packed_moments, project

WITH_OTHER_REGISTERS = """
import sys
import pytest
from lazyactive.numerics import _simd

_simd.REGISTER_BYTES = int(sys.argv[1])
chosen = "side_by_side or (matrix_products and 4)"
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", chosen, sys.argv[2]]))
"""


@kernel
def _use_all(a, x, out):
    """Write y = where(x > 0, a, 0) x + 2 a to row 1 of out; add up a y, y, x and a, for each x."""
    n, sums = lanes(x), np.ones((2, 5))
    for s in range(0, len(x), n):
        t = load(x, s)
        y = fma(where_positive(t, splat(a)), t, splat(a) + splat(a))
        store(out, (1, s), y)
        add_totals(y * splat(a), y, t, splat(a), sums, (1, 1))
    return sums


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_are_numbers_side_by_side(dtype):
    x = np.linspace(-2, 3, TILE).astype(dtype)
    out = np.zeros((2, TILE), dtype)
    sums = _use_all(dtype(1.5), x, out)
    expected = np.where(x > 0, 1.5, 0) * x + 3
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(out[1], expected, rtol=tolerance)
    np.testing.assert_array_equal(out[0], 0)
    totals = [1.5 * expected.sum(), expected.sum(), x.sum(dtype=float), 1.5 * TILE]
    np.testing.assert_allclose(sums[1, 1:], 1 + np.array(totals), rtol=100 * tolerance)
    np.testing.assert_array_equal(sums[0], 1)
    assert sums[1, 0] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [2, 3, 4, 5, 70])
def test_passes_over_a_tile_are_matrix_products(d, dtype):
    rng = np.random.default_rng(d)
    points = rng.standard_normal((d, TILE)).astype(dtype)
    theta = rng.standard_normal((ROWS, d)).astype(dtype)
    exact = theta.astype(np.float64) @ points
    u, t = np.empty((ROWS, TILE), dtype), np.empty(TILE, dtype)
    cosines(points, theta, u)
    project(points, theta[1], t)
    tolerance = 100 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(u, exact, atol=tolerance)
    np.testing.assert_allclose(t, exact[1], atol=tolerance)
    sums, packed_sums = np.ones((2, d, 2 * ROWS))
    moments(u, points, ROWS, sums)
    np.testing.assert_array_equal(sums[:, :ROWS], 1)
    register = REGISTER_BYTES // u.itemsize
    packed = np.ascontiguousarray(u.reshape(ROWS, -1, register).swapaxes(0, 1)).ravel()
    packed_moments(packed, points, ROWS, packed_sums)
    np.testing.assert_array_equal(packed_sums, sums)
    np.testing.assert_allclose(
        sums[:, ROWS:].T,
        1 + u.astype(np.float64) @ points.T.astype(np.float64),
        rtol=50 * tolerance,
        atol=50 * tolerance * TILE,
    )


@pytest.mark.slow
@pytest.mark.parametrize("register_bytes", [16, 64])
def test_registers_may_have_another_width(register_bytes, tmp_path):
    """What runs on the other machines; what was compiled for it stays out of the common cache."""
    done = subprocess.run(
        [sys.executable, "-c", WITH_OTHER_REGISTERS, str(register_bytes), __file__],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_exponential_is_exact_to_rounding():
    rng = np.random.default_rng(0)
    x = np.concatenate([[0.0, -700.0, -1e3, -np.inf, 700.0], rng.uniform(-700, 1, TILE - 5)])
    out = np.empty(TILE)
    exponential(x, np.empty(TILE, np.int64), out)
    np.testing.assert_allclose(out, np.exp(np.maximum(x, -700)), rtol=1e-15)
