"""The variance of the degenerate statistic against points; the size against its definition."""

import math

import numpy as np
import pytest

from lazyactive.numerics import harmonic_pairs
from lazyactive.numerics.kernels import arc_cosine
from lazyactive.theory.separation import f2_detection_size
from lazyactive.theory.separation.detection import centred_square


@pytest.mark.parametrize(("k", "d", "alpha"), [(4, 4, 1), (2, 8, 1), (3, 5, 2)])
def test_centred_square_of_a_sample(k, d, alpha):
    X, Y = harmonic_pairs.positive_parts(k, d, 1500, rng=0)
    Z = np.concatenate([X, Y])
    gram = arc_cosine(Z @ Z.T, d, alpha)
    gram -= gram.mean(axis=0) + gram.mean(axis=1)[:, None] - gram.mean()
    np.fill_diagonal(gram, 0)
    # The mean over pairs of 3000 points has a relative error below 1%, by five repetitions.
    assert centred_square(k, d, alpha) == pytest.approx(np.mean(gram**2), rel=0.04)


def test_more_power_needs_more_points_and_harder_pairs_too():
    sizes = [f2_detection_size(4, 6, power=power) for power in (0.5, 0.8, 0.99)]
    assert sizes == sorted(sizes)
    assert f2_detection_size(4, 6, level=0.01) > f2_detection_size(4, 6)
    growth = math.log(f2_detection_size(4, 1000) / f2_detection_size(4, 500)) / math.log(2)
    # Noise sqrt(N_1) lambda_1 ~ d^-3/2 against a square ~ d^-1 d^-4.
    assert growth == pytest.approx(3.5, abs=0.05)


def test_a_degree_that_is_not_seen():
    assert f2_detection_size(3, 5, alpha=1) == math.inf


@pytest.mark.parametrize(
    "options", [{"level": 0.9}, {"power": 1.0}, {"level": 0.0}, {"k": 0}, {"d": 1}]
)
def test_bad_input_is_refused(options):
    with pytest.raises(ValueError, match=r"is needed|must be"):
        f2_detection_size(**({"k": 4, "d": 6} | options))
