"""Flow time and penalty of implementations; tests/experiments/test_flow_time.py runs the flows."""

import numpy as np
import pytest

from lazyactive.theory.flow_time import Implementation, gaussian_features


def test_gaussian_features():
    rng = np.random.default_rng(0)
    squares = np.sum(rng.normal(0, 0.5, (200_000, 5)) ** 2, axis=1)
    for alpha in (0, 1, 2):
        powers = squares**alpha
        error = 4 * powers.std() / np.sqrt(len(powers))  # false alarms 6e-5
        assert abs(powers.mean() - gaussian_features(5, alpha, 0.25)) <= error


def test_gaussian_mean_field_dictionary():
    """Rates already times m: time d sum(lr), penalty decay m / d."""
    m, d, rates = 500, 15, np.array([0.5, 0.3])
    found = Implementation(m, "mean-field", features=gaussian_features(d))
    assert found.flow_time(m * rates) == pytest.approx(d * 0.8)
    assert found.penalty(0.01) == pytest.approx(0.01 * m / d)


@pytest.mark.parametrize("parametrization", ["plain", "ntk", "mean-field"])
@pytest.mark.parametrize("layers", ["output", "both"])
def test_decay_over_a_run_is_the_same_in_both_units(parametrization, layers):
    found = Implementation(64, parametrization, layers)
    assert found.flow_time([0.25]) * found.penalty(0.125) == pytest.approx(0.25 * 0.125)


def test_plain_rectifiers_in_both_layers_do_not_depend_on_the_width():
    assert Implementation(7, layers="both").flow_time([0.1]) == pytest.approx(0.1)
    assert Implementation(700, layers="both").flow_time([0.1]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"width": 0},
        {"parametrization": "standard"},
        {"layers": "all"},
        {"layers": "both", "alpha": 0},
        {"layers": "both", "features": 2.0},
        {"features": 0.0},
        {"alpha": -1},
    ],
)
def test_bad_implementations_are_refused(options):
    with pytest.raises(ValueError, match=r"must be"):
        Implementation(**({"width": 10} | options))


def test_bad_runs_are_refused():
    implementation = Implementation(10)
    with pytest.raises(ValueError, match="learning_rates must be nonnegative"):
        implementation.flow_time([0.1, -0.1])
    with pytest.raises(ValueError, match="weight_decay must be"):
        implementation.penalty(0.0)
    with pytest.raises(ValueError, match="variance must be"):
        gaussian_features(3, variance=-1.0)
