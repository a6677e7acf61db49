import numba
import numpy as np
import pytest

from lazyactive.numerics import features, sphere

ALPHAS = (0, 1, 2, 3)
# Below and above the width of a tile and a block of neurons.
SHAPES = [(1, 3, 1), (257, 3, 65)]
# Above the longest unrolled dimension; the loops for it know no activation, so that one is enough.
WIDE = (40, 70, 9)


def network(n, d, m, seed=0):
    rng = np.random.default_rng(seed)
    X = sphere.uniform(n, d, rng)
    neurons = rng.standard_normal((m, d))
    weights = rng.standard_normal(m)
    return X, neurons, weights


def numpy_energy(X, neurons, weights, alpha):
    T = X @ neurons.T
    phi = (T > 0).astype(float) if alpha == 0 else np.maximum(T, 0) ** alpha
    return phi @ weights / len(weights)


@pytest.mark.parametrize(
    ("n", "d", "m", "alpha"), [*((*s, a) for s in SHAPES for a in ALPHAS), (*WIDE, 1)]
)
def test_energy_is_that_of_numpy(n, d, m, alpha):
    X, neurons, weights = network(n, d, m)
    np.testing.assert_allclose(
        features.energy(X, neurons, weights, alpha),
        numpy_energy(X, neurons, weights, alpha),
        rtol=1e-12,
        atol=1e-14,
    )


@pytest.mark.parametrize(
    ("n", "d", "m", "alpha"), [*((*s, a) for s in SHAPES for a in (1, 2, 3)), (*WIDE, 1)]
)
def test_gradients_are_those_of_autograd(n, d, m, alpha):
    autograd = pytest.importorskip("autograd")
    anp = pytest.importorskip("autograd.numpy")
    X, neurons, weights = network(n, d, m, seed=1)
    s = np.random.default_rng(2).standard_normal(n)

    def weighted_energy(X, neurons, weights):
        phi = anp.maximum(anp.dot(X, neurons.T), 0.0) ** alpha
        return anp.dot(s, anp.dot(phi, weights)) / m

    want_x, want_neurons, want_weights = autograd.grad(weighted_energy, (0, 1, 2))(
        X, neurons, weights
    )
    grad_neurons, grad_weights = features.energy_gradient(X, neurons, weights, alpha, s)
    grad_x = features.grad_x(X, neurons, weights, alpha)
    for got, want in [
        (grad_neurons, want_neurons),
        (grad_weights, want_weights),
        (grad_x * s[:, None], want_x),
    ]:
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12 * np.abs(want).max())


def test_step_activation_has_a_gradient_in_the_output_weights_only():
    X, neurons, weights = network(300, 3, 7)
    grad_neurons, grad_weights = features.energy_gradient(X, neurons, weights, alpha=0)
    np.testing.assert_allclose(grad_weights, (X @ neurons.T > 0).mean(0) / 7, rtol=1e-12)
    assert not grad_neurons.any()
    assert not features.grad_x(X, neurons, weights, alpha=0).any()


# The slope of alpha = 3 goes through the power 2.
@pytest.mark.parametrize("alpha", [0, 1, 3])
def test_float32_stays_float32(alpha):
    X, neurons, weights = network(1000, 3, 100)
    X32, neurons32, weights32 = (a.astype(np.float32) for a in (X, neurons, weights))
    # A step taken at a rounded argument may jump: compare at the rounded values.
    X, neurons, weights = (a.astype(np.float64) for a in (X32, neurons32, weights32))
    got = (
        features.energy(X32, neurons32, weights32, alpha),
        *features.energy_gradient(X32, neurons32, weights32, alpha),
        features.grad_x(X32, neurons32, weights32, alpha),
    )
    want = (
        features.energy(X, neurons, weights, alpha),
        *features.energy_gradient(X, neurons, weights, alpha),
        features.grad_x(X, neurons, weights, alpha),
    )
    for a, b in zip(got, want, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=2e-5 * max(np.abs(b).max(), 1e-30))


def test_same_bits_with_one_and_two_threads():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two threads")
    X, neurons, weights = network(5000, 3, 300)
    threads = numba.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2):
            numba.set_num_threads(n_threads)
            results.append(
                (
                    features.energy(X, neurons, weights),
                    *features.energy_gradient(X, neurons, weights),
                    features.grad_x(X, neurons, weights),
                )
            )
    finally:
        numba.set_num_threads(threads)
    for one, two in zip(*results, strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_feature_matrix_gives_the_energy(alpha):
    X, neurons, weights = network(50, 3, 8)
    np.testing.assert_allclose(
        features.feature_matrix(X, neurons, alpha) @ weights / 8,
        features.energy(X, neurons, weights, alpha),
        rtol=1e-12,
        atol=1e-14,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.full((3, 4), np.nan)}, r"X must be finite"),
        ({"neurons": np.ones((2, 5))}, r"neurons must have as many columns as X, 4"),
        ({"weights": np.ones(3)}, r"weights must be a vector of shape \(2,\)"),
        ({"alpha": 4}, r"alpha must be one of 0, 1, 2, 3, but it is 4"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"X": np.ones((3, 4)), "neurons": np.ones((2, 4)), "weights": np.ones(2)} | change
    with pytest.raises(ValueError, match=message):
        features.energy(**arguments)
