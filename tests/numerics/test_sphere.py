import numpy as np
import pytest

from lazyactive.numerics import sphere


@pytest.mark.parametrize("draw", [sphere.uniform, sphere.orthogonal_uniform])
@pytest.mark.parametrize("d", [2, 3, 15])
def test_samples_have_the_moments_of_tau(draw, d):
    n = 20_000 // (2 * d) * 2 * d
    X = draw(n, d, rng=1)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-12)
    t = X[:, 0]
    moments = {2: 1 / d, 4: 3 / (d * (d + 2)), 6: 15 / (d * (d + 2) * (d + 4))}
    for power, exact in moments.items():
        # Points of one cross-polytope are dependent: the groups' means are not.
        groups = (t**power).reshape(-1, 2 * d).mean(1)
        standard_error = groups.std(ddof=1) / np.sqrt(len(groups))
        # Eighteen comparisons at 4.5 standard errors: false alarm 1e-4.
        assert abs(groups.mean() - exact) <= 4.5 * standard_error + 1e-12


def test_orthogonal_sample_integrates_cubics_exactly():
    rng = np.random.default_rng(0)
    d = 5
    X = sphere.orthogonal_uniform(6 * d, d, rng)
    A = rng.standard_normal((d, d))
    b, e = rng.standard_normal((2, d))
    values = (X @ b) + np.einsum("ni,ij,nj->n", X, A, X) + (X @ b) ** 2 * (X @ e)
    assert np.mean(values) == pytest.approx(np.trace(A) / d, abs=1e-13)


def test_orthogonal_sample_is_haar():
    # The sign of <q_1, q_2-independent direction> of plain QR is biased: R has a fixed sign.
    X = sphere.orthogonal_uniform(4 * 4000, 2, rng=3).reshape(-1, 4, 2)[:, 0]
    angle = np.arctan2(X[:, 1], X[:, 0])
    standard_error = np.sqrt(0.5 / len(angle))
    for k in (1, 2, 3):
        # Six comparisons at 4.5 standard errors: false alarm 4e-5.
        assert abs(np.cos(k * angle).mean()) < 4.5 * standard_error
        assert abs(np.sin(k * angle).mean()) < 4.5 * standard_error


def test_exponential_and_logarithm_are_inverse():
    rng = np.random.default_rng(0)
    X, Y = sphere.uniform(100, 4, rng), sphere.uniform(100, 4, rng)
    v = sphere.logarithm(X, Y)
    np.testing.assert_allclose(np.sum(X * v, axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(sphere.exponential(X, v), Y, atol=1e-13)
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), sphere.distance(X, Y), rtol=1e-12)
    np.testing.assert_allclose(sphere.exponential(X, 0 * v), X, rtol=1e-15)
    np.testing.assert_allclose(sphere.logarithm(X, X), 0, atol=1e-15)


def test_distance_is_accurate_for_near_and_antipodal_points():
    x = np.array([[1.0, 0.0]])
    for angle in (1e-9, np.pi - 1e-9):
        y = np.array([[np.cos(angle), np.sin(angle)]])
        assert sphere.distance(x, y)[0] == pytest.approx(angle, rel=1e-7)
    assert sphere.distance(x, -x)[0] == pytest.approx(np.pi, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_lifted_neuron_has_a_bias(dtype):
    rng = np.random.default_rng(0)
    X = sphere.uniform(50, 4, rng, dtype)
    lifted = sphere.append_constant(X)
    assert lifted.dtype == dtype
    np.testing.assert_allclose(np.linalg.norm(lifted, axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    theta, bias = rng.standard_normal(4), 0.3
    np.testing.assert_allclose(
        lifted @ (np.sqrt(2) * np.append(theta, bias)), X @ theta + bias, atol=1e-5
    )


@pytest.mark.parametrize(("n", "d"), [(-1, 3), (5, 1)])
def test_bad_sizes_are_refused(n, d):
    with pytest.raises(ValueError, match="must be"):
        sphere.uniform(n, d)
