"""Published outputs of the two generators; the law of the normal numbers, cell by cell."""

import numba
import numpy as np
import pytest
from scipy import stats

from lazyactive.numerics import _normal_kernels as module

N = 4_000_000


@pytest.fixture(scope="module")
def numbers():
    out = np.empty(N)
    module.standard_normal(np.uint64(1), out)
    return out


def test_xoshiro_gives_its_published_numbers():
    state = np.array([1, 2, 3, 4], np.uint64)
    found = [int(module._next(state)) for _ in range(4)]
    assert found == [41943041, 58720359, 3588806011781223, 3591011842654386]


def test_splitmix_gives_its_published_numbers():
    golden = 0x9E3779B97F4A7C15
    states = [np.uint64((1234567 + k * golden) % 2**64) for k in (1, 2, 3)]
    assert [int(module._split(state)) for state in states] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_layers_have_one_area():
    """The highest layer, which ends the recursion, is no exception."""
    edges, heights = module._layers()
    areas = edges[1:-1] * np.diff(heights)[1:]
    np.testing.assert_allclose(areas, module._AREA, rtol=1e-6)
    tail = np.sqrt(2 * np.pi) * stats.norm.sf(edges[1])
    assert edges[1] * heights[1] + tail == pytest.approx(module._AREA, rel=1e-9)


def test_moments(numbers):
    """Mean, and powers 2, 3, 4 within 4 standard errors: false-alarm rate below 3e-4."""
    for power, (mean, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], 1):
        z = (np.mean(numbers**power) - mean) / np.sqrt(variance / N)
        assert abs(z) < 4


def test_frequencies(numbers):
    """Cells between the layers' edges, where wedges and tail are glued: chi-squared at 1e-4."""
    edges = np.concatenate([module._layers()[0][1::8], [0.0]])[::-1]
    edges = np.concatenate([-edges[:0:-1], edges])
    cells = np.concatenate([[-np.inf], edges, [np.inf]])
    counts = np.histogram(numbers, cells)[0]
    expected = N * np.diff(stats.norm.cdf(cells))
    assert expected.min() > 100
    statistic = np.sum((counts - expected) ** 2 / expected)
    assert stats.chi2.sf(statistic, len(counts) - 1) > 1e-4


def test_tail(numbers):
    """Beyond the edge the law is that of the tail: Kolmogorov-Smirnov at 1e-4."""
    edge = module._EDGE
    beyond = np.abs(numbers[np.abs(numbers) > edge])
    assert len(beyond) > 500
    law = stats.norm.sf(beyond) / stats.norm.sf(edge)
    assert stats.kstest(law, "uniform").pvalue > 1e-4


def test_neighbours_and_chunks_are_independent(numbers):
    """Correlations at lags 1, and of one chunk with the next, within 4 standard errors."""
    for lag in (1, module.CHUNK):
        z = np.mean(numbers[:-lag] * numbers[lag:]) * np.sqrt(N - lag)
        assert abs(z) < 4


def test_seeds_and_threads():
    found = {}
    threads = numba.get_num_threads()
    try:
        for n_threads in {1, min(2, numba.config.NUMBA_NUM_THREADS)}:
            numba.set_num_threads(n_threads)
            found[n_threads] = np.empty(10_000)
            module.standard_normal(np.uint64(3), found[n_threads])
    finally:
        numba.set_num_threads(threads)
    first, *rest = found.values()
    for other in rest:
        np.testing.assert_array_equal(first, other)
    another = np.empty(10_000)
    module.standard_normal(np.uint64(4), another)
    assert not np.any(first == another)
