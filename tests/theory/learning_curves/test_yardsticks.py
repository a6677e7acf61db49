import numpy as np
import pytest

from lazyactive.theory.activations import ReLUPower
from lazyactive.theory.learning_curves import f1_bound, parametric_oracle


def test_parametric_oracle():
    np.testing.assert_allclose(parametric_oracle(2, 15, [100, 1000]), [0.15, 0.015])


@pytest.mark.parametrize("alpha", [1, 2])
def test_f1_bound_covers_the_supremum(alpha):
    # The step that the bound rests on: E sup_theta |E_n sigma - E sigma| <= 4 alpha / sqrt(n), at
    # the uniform measure of S^1 on a fine grid of theta. The supremum is close to 0.6 / sqrt(n), so
    # a constant that is 20 times too large fails as well.
    rng = np.random.default_rng(2)
    n, angles = 200, np.linspace(0, 2 * np.pi, 400)
    mean = float(ReLUPower(alpha).coefficient(0, 2))
    suprema = []
    for _ in range(200):
        data = rng.uniform(0, 2 * np.pi, n)
        features = np.maximum(np.cos(angles[:, None] - data), 0) ** alpha
        suprema.append(np.max(np.abs(features.mean(axis=1) - mean)))
    bound = f1_bound(1, n, alpha)
    assert 0.05 * bound < np.mean(suprema) < bound


def test_f1_bound_value():
    assert f1_bound(10, 10_000) == pytest.approx(0.4)
    np.testing.assert_allclose(f1_bound(1, [4, 16], 2), [4, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: f1_bound(-1, 10), "norm must be a finite number >= 0, got -1"),
        (lambda: f1_bound(1, 10, 0), "alpha must be an integer >= 1, got 0"),
        (lambda: parametric_oracle(0, 3, 10), "n_neurons must be an integer >= 1, got 0"),
        (lambda: parametric_oracle(1, 3, 0), "n must be positive and finite, got 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
