import numpy as np
import pytest
from scipy import signal

from lazyactive.numerics.sampling.diagnostics import chain_mean


@pytest.mark.parametrize("correlation", [0.0, 0.8, -0.5])
def test_standard_error_of_an_autoregressive_chain(correlation):
    """The mean of n draws of AR(1) has variance (1/n) (1 + a)/(1 - a) in the limit.

    1000 blocks give the standard error to 2.2%; 4 deviations and the blocks' finite length (0.5%)
    make 9.5%: false-alarm rate 6e-5 for each case.
    """
    noise = np.random.default_rng(0).normal(size=(50, 20_000)) * np.sqrt(1 - correlation**2)
    values = signal.lfilter([1.0], [1.0, -correlation], noise, axis=1) + 2.0
    mean, se = chain_mean(values)
    exact = np.sqrt((1 + correlation) / (1 - correlation) / values.size)
    assert se == pytest.approx(exact, rel=0.095)
    assert abs(mean - 2.0) < 4 * exact


def test_mean_uses_every_draw():
    assert chain_mean(np.arange(10.0).reshape(2, 5), n_batches=2).value == 4.5


def test_short_chains_are_refused():
    with pytest.raises(ValueError, match="at least n_batches = 20 draws in a chain, but it has 5"):
        chain_mean(np.zeros((3, 5)))
