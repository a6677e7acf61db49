import numpy as np
import pytest

from lazyactive.numerics._checks import (
    check_alpha,
    check_count,
    check_nonnegative,
    check_positive,
    check_samples,
    check_sphere,
    check_vector,
)


@pytest.mark.parametrize(
    ("given", "kept"), [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)]
)
def test_only_float32_keeps_its_type(given, kept):
    assert check_sphere(np.eye(3, dtype=given)).dtype == kept
    assert check_vector(np.ones(3, dtype=given), 3).dtype == kept
    assert check_sphere(2 * np.eye(3, dtype=given), normalize=True).dtype == kept


def test_good_input_is_not_copied():
    X = np.eye(3)
    assert check_sphere(X) is X


def test_float32_rounding_is_accepted_and_float64_is_held_to_its_own():
    X = np.array([[1.0, 1e-2], [0.6, 0.8]])  # the first norm is 1 + 5e-5
    assert check_sphere(X.astype(np.float32)).shape == (2, 2)
    with pytest.raises(ValueError, match=r"row 0 has norm 1\.00005"):
        check_sphere(X)
    assert check_sphere(X, tol=1e-4) is X


def test_a_row_off_the_sphere_is_named_with_its_norm():
    X = np.eye(4)
    X[3] *= 1.7
    message = r"X must lie on the unit sphere, but row 3 has norm 1\.7; divide each row"
    with pytest.raises(ValueError, match=message):
        check_sphere(X)
    np.testing.assert_array_equal(check_sphere(X, normalize=True), np.eye(4))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_normalizing_survives_extreme_scales(scale):
    X = check_sphere(scale * np.array([[3.0, -4.0]]), normalize=True)
    np.testing.assert_allclose(X, [[0.6, -0.8]], rtol=1e-15)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones(3), r"theta must be an array of shape \(n_samples, d\), .* shape \(3,\)"),
        (np.ones((2, 2, 2)), r"it has shape \(2, 2, 2\)"),
        (np.ones((3, 1)), "theta must have d >= 2 columns, but it has 1"),
        (np.ones((0, 3)), "theta must have at least 1 rows, but it has 0"),
        ([[1.0, 0.0], [np.nan, 1.0]], r"theta must be finite, but theta\[\(1, 0\)\] is nan"),
        ([[1.0, np.inf]], r"theta\[\(0, 1\)\] is inf"),
        ([[1.0, 0.0], [1.0]], "rectangular array of real numbers"),
        (np.eye(2) * 1j, "rectangular array of real numbers"),
        ([["a", "b"]], "rectangular array of real numbers"),
        (None, "theta must be"),
    ],
)
def test_bad_arrays_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        check_sphere(X, name="theta")
    with pytest.raises(ValueError, match=message):
        check_samples(X, name="theta")


def test_zero_row_has_no_direction():
    with pytest.raises(ValueError, match=r"no zero row.* row 1 is zero"):
        check_sphere([[1.0, 0.0], [0.0, 0.0]], normalize=True)


def test_min_samples():
    with pytest.raises(ValueError, match="at least 2 rows, but it has 1"):
        check_sphere([[1.0, 0.0]], min_samples=2)


@pytest.mark.parametrize(
    ("c", "n", "message"),
    [
        (np.ones((2, 1)), None, r"weights must be a vector, but it has shape \(2, 1\)"),
        (1.0, None, r"weights must be a vector, but it has shape \(\)"),
        (np.ones(2), 3, r"weights must be a vector of shape \(3,\), but it has shape \(2,\)"),
        ([0.0, np.nan], 2, r"weights must be finite, but weights\[1\] is nan"),
    ],
)
def test_bad_vectors_are_refused(c, n, message):
    with pytest.raises(ValueError, match=message):
        check_vector(c, n, "weights")


@pytest.mark.parametrize("alpha", [0, 1, np.int64(2), 3.0])
def test_alpha_becomes_an_int(alpha):
    assert type(check_alpha(alpha)) is int
    assert check_alpha(alpha) == alpha


@pytest.mark.parametrize("alpha", [-1, 4, 0.5, True, "1", None, [1], np.array([1, 2]), np.nan])
def test_bad_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be one of 0, 1, 2, 3, but it is"):
        check_alpha(alpha)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "1", None, True, [1, 2]])
def test_bad_numbers_are_refused(value):
    with pytest.raises(ValueError, match="penalty must be a positive finite number, but it is"):
        check_positive(value, "penalty")
    with pytest.raises(ValueError, match="penalty must be a nonnegative finite number, but it is"):
        check_nonnegative(value, "penalty")


def test_zero_is_nonnegative_and_not_positive():
    assert check_nonnegative(0, "penalty") == 0.0
    with pytest.raises(ValueError, match="it is 0"):
        check_positive(0, "penalty")
    assert check_positive(np.float32(0.5), "penalty") == 0.5


@pytest.mark.parametrize("value", [0, 1.0, True, "3", None])
def test_bad_counts_are_refused(value):
    with pytest.raises(ValueError, match="n_steps must be an integer >= 1, but it is"):
        check_count(value, "n_steps")


def test_counts_become_ints():
    assert type(check_count(np.int32(4), "n_steps")) is int
    assert check_count(0, "n_steps", minimum=0) == 0
