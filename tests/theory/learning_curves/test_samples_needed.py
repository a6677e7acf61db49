import math

import pytest

from lazyactive.theory.learning_curves import (
    f1_bound,
    parametric_oracle,
    samples_needed,
    sandwich,
    weak,
)


@pytest.mark.parametrize("level", [0.5, 0.05, 1e-4])
def test_closed_forms(level):
    oracle = samples_needed(lambda n: parametric_oracle(3, 7, n), level)
    assert oracle == pytest.approx(3 * 7 / (2 * level), rel=1e-5)
    bound = samples_needed(lambda n: f1_bound(2.0, n), level)
    assert bound == pytest.approx((4 * 2.0 / level) ** 2, rel=1e-5)


def test_inverts_the_lazy_curves():
    needed = samples_needed(lambda n: weak(2.0, 5, n), 0.02)
    assert weak(2.0, 5, needed) == pytest.approx(0.02, rel=1e-5)
    # At its best penalty, which is found numerically, the curve is good to 1e-5.
    needed = samples_needed(lambda n: sandwich(-3.0, 5, n), 0.05)
    assert sandwich(-3.0, 5, needed) == pytest.approx(0.05, rel=1e-4)


def test_the_last_sample_that_is_searched():
    assert samples_needed(lambda n: 1 / n, 2e-15) == pytest.approx(5e14, rel=1e-5)


@pytest.mark.parametrize(
    ("curve", "level", "message"),
    [
        (lambda n: 1 / n, 0.0, "level must be a positive finite number, got 0.0"),
        (lambda n: 1 / n, math.inf, "level must be a positive finite number, got inf"),
        (lambda n: 1 / n, 2.0, "level must be below the curve at one sample, got 2.0"),
        (lambda n: 0.1 + 1 / n, 0.05, "level must be one that the curve reaches .*, got 0.05"),
    ],
)
def test_bad_input(curve, level, message):
    with pytest.raises(ValueError, match=message):
        samples_needed(curve, level)
