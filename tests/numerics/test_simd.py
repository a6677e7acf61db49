import numpy as np
import pytest

from lazyactive.numerics._jit import kernel
from lazyactive.numerics._likelihood_kernels import exponential
from lazyactive.numerics._simd import (
    REGISTER_BYTES,
    fma,
    lanes,
    load,
    splat,
    store,
    total,
    where_positive,
)
from lazyactive.numerics._tiles import ROWS, TILE, cosines, moments, packed_moments, project


@kernel
def _use_all(a, x, out):
    """Row 1 of out gets where(x > 0, a, 0) x + 2, and the sum of its numbers is returned."""
    n, total_ = lanes(x), 0.0
    for s in range(0, len(x), n):
        t = load(x, s)
        y = fma(where_positive(t, splat(a)), t, splat(a) + splat(a))
        store(out, (1, s), y)
        total_ += total(y * splat(a))
    return total_


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_are_numbers_side_by_side(dtype):
    x = np.linspace(-2, 3, TILE).astype(dtype)
    out = np.zeros((2, TILE), dtype)
    result = _use_all(dtype(1.5), x, out)
    expected = np.where(x > 0, 1.5, 0) * x + 3
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(out[1], expected, rtol=tolerance)
    np.testing.assert_array_equal(out[0], 0)
    assert result == pytest.approx(1.5 * expected.sum(), rel=100 * tolerance)


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
    sums, packed_sums = np.ones((2, 2 * ROWS, d))
    moments(u, points, ROWS, sums)
    np.testing.assert_array_equal(sums[:ROWS], 1)
    register = REGISTER_BYTES // u.itemsize
    packed = np.ascontiguousarray(u.reshape(ROWS, -1, register).swapaxes(0, 1)).ravel()
    packed_moments(packed, points, ROWS, packed_sums)
    np.testing.assert_array_equal(packed_sums, sums)
    np.testing.assert_allclose(
        sums[ROWS:],
        1 + u.astype(np.float64) @ points.T.astype(np.float64),
        rtol=50 * tolerance,
        atol=50 * tolerance * TILE,
    )


def test_the_exponential_is_exact_to_rounding():
    rng = np.random.default_rng(0)
    x = np.concatenate([[0.0, -700.0, -1e3, -np.inf, 700.0], rng.uniform(-700, 1, TILE - 5)])
    out = np.empty(TILE)
    exponential(x, np.empty(TILE, np.int64), out)
    np.testing.assert_allclose(out, np.exp(np.maximum(x, -700)), rtol=1e-15)
