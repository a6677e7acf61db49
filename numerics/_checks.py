"""Checks of what comes through the public doors of this package.

Every refusal is a ``ValueError`` of one sentence that names the argument, its value and what was
expected. Compiled and private functions trust their callers.
"""

import numpy as np
from numpy.typing import ArrayLike

ALPHAS = (0, 1, 2, 3)


def check_samples(X: ArrayLike, name: str = "X", min_samples: int = 1) -> np.ndarray:
    """Return `X` as a finite (n, d) array of floats with ``n >= min_samples`` and ``d >= 2``.

    float32 stays float32, every other real type becomes float64.

    Raises
    ------
    ValueError
        If `X` is not numeric, not two-dimensional, too short, too narrow, or not finite.
    """
    array = _as_floats(X, name)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be an array of shape (n_samples, d), but it has shape {array.shape}."
        )
    n, d = array.shape
    if n < min_samples:
        raise ValueError(f"{name} must have at least {min_samples} rows, but it has {n}.")
    if d < 2:
        raise ValueError(f"{name} must have d >= 2 columns, but it has {d}.")
    _refuse_not_finite(array, name)
    return array


def check_sphere(
    X: ArrayLike,
    name: str = "X",
    normalize: bool = False,
    min_samples: int = 1,
    tol: float | None = None,
) -> np.ndarray:
    """Return `X` as an (n, d) array of floats whose rows lie on the unit sphere.

    Parameters
    ----------
    X : array_like, shape (n, d)
        float32 stays float32, every other real type becomes float64.
    name : str
        The argument's name, for the message.
    normalize : bool
        Divide every row by its norm instead of refusing rows off the sphere.
    min_samples : int
        The fewest rows accepted.
    tol : float, optional
        The largest accepted distance of a row's norm from 1; 1e-6 for float64 and 1e-4 for float32
        unless given.

    Raises
    ------
    ValueError
        If `X` is not a finite (n, d) array with ``n >= min_samples`` and ``d >= 2``, if a row is
        off the sphere and `normalize` is false, or if a row is zero and `normalize` is true.
    """
    array = check_samples(X, name, min_samples)
    if normalize:
        directions, norms = split_norms(array)
        if not norms.all():
            row = int(np.argmin(norms))
            raise ValueError(
                f"{name} must have no zero row, since a zero row has no direction, "
                f"but row {row} is zero."
            )
        return directions
    if tol is None:
        tol = 1e-4 if array.dtype == np.float32 else 1e-6
    with np.errstate(over="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", array, array))
    off = np.abs(norms - 1.0) > tol
    if off.any():
        row = int(np.argmax(off))
        raise ValueError(
            f"{name} must lie on the unit sphere, but row {row} has norm {norms[row]:.6g}; "
            "divide each row by its norm or pass normalize=True."
        )
    return array


def split_norms(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions of finite rows, (n, d), and their norms, (n,); zero rows stay zero.

    A norm may be infinite, where it exceeds the largest float; directions are right even then.
    """
    # Scaling by the largest entry first keeps the squares from overflowing or underflowing.
    scale = np.abs(array).max(axis=1)
    zero = scale == 0
    divisor = np.where(zero, 1, scale)
    array = array / divisor[:, None]
    lengths = np.linalg.norm(array, axis=1)
    with np.errstate(over="ignore"):
        norms = lengths * scale
    lengths[zero] = 1
    return array / lengths[:, None], norms


def check_columns(array: np.ndarray, d: int, name: str, other: str = "X") -> None:
    """Refuse an array whose number of columns is not `d`, that of another argument.

    Raises
    ------
    ValueError
        If it is not.
    """
    if array.shape[1] != d:
        raise ValueError(
            f"{name} must have as many columns as {other}, {d}, but the shape is {array.shape}."
        )


def check_pair(X: ArrayLike, Y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return two samples of at least two points each as `check_samples` does, of one dimension.

    Raises
    ------
    ValueError
        If either is refused, or they differ in their number of columns.
    """
    X, Y = check_samples(X, min_samples=2), check_samples(Y, "Y", min_samples=2)
    check_columns(Y, X.shape[1], "Y")
    return X, Y


def check_vector(c: ArrayLike, n: int | None = None, name: str = "c") -> np.ndarray:
    """Return `c` as a finite vector of floats, of length `n` where `n` is given.

    float32 stays float32, every other real type becomes float64.

    Raises
    ------
    ValueError
        If `c` is not numeric, not a vector, not of length `n`, or not finite.
    """
    array = _as_floats(c, name)
    if array.ndim != 1 or (n is not None and array.shape[0] != n):
        expected = "a vector" if n is None else f"a vector of shape ({n},)"
        raise ValueError(f"{name} must be {expected}, but it has shape {array.shape}.")
    _refuse_not_finite(array, name)
    return array


def check_alpha(alpha: int, name: str = "alpha") -> int:
    """Return the activation's power `alpha`, one of 0, 1, 2, 3, as an int.

    Raises
    ------
    ValueError
        If `alpha` is anything else.
    """
    if isinstance(alpha, bool) or not np.isscalar(alpha) or alpha not in ALPHAS:
        raise ValueError(f"{name} must be one of 0, 1, 2, 3, but it is {alpha!r}.")
    return int(alpha)


def check_differentiable(alpha: int) -> int:
    """Return the power `alpha` of an activation that has a slope, one of 1, 2, 3, as an int.

    Raises
    ------
    ValueError
        If `alpha` is 0, whose activation is the step, or anything else.
    """
    if check_alpha(alpha) == 0:
        raise ValueError("alpha must be one of 1, 2, 3, but it is 0: a step has no derivative.")
    return int(alpha)


def check_positive(value: float, name: str) -> float:
    """Return `value` as a float if it is a positive finite number.

    Raises
    ------
    ValueError
        If it is not.
    """
    number = _as_number(value)
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a positive finite number, but it is {value!r}.")
    return number


def check_nonnegative(value: float, name: str) -> float:
    """Return `value` as a float if it is a nonnegative finite number.

    Raises
    ------
    ValueError
        If it is not.
    """
    number = _as_number(value)
    if not (np.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be a nonnegative finite number, but it is {value!r}.")
    return number


def check_count(value: int, name: str, minimum: int = 1) -> int:
    """Return `value` as an int if it is an integer that is at least `minimum`.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, but it is {value!r}.")
    return int(value)


def _as_floats(values: ArrayLike, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
        if array.dtype == np.float32:
            return array
        if array.dtype.kind not in "biufO":
            raise TypeError
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be a rectangular array of real numbers, "
            f"but it is {type(values).__name__} and could not be read as one."
        ) from None


def _as_number(value: float) -> float:
    if isinstance(value, (bool, np.bool_, str)):
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _refuse_not_finite(array: np.ndarray, name: str) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        where = index[0] if len(index) == 1 else index
        raise ValueError(f"{name} must be finite, but {name}[{where}] is {array[index]}.")


def check_group_size(group_size: int, n: int, min_groups: int = 0) -> int:
    """Return the number of consecutive rows that were drawn together, a divisor of `n`.

    Raises
    ------
    ValueError
        If it does not divide `n`, or makes fewer than `min_groups` groups.
    """
    group_size = check_count(group_size, "group_size")
    if n % group_size or n // group_size < min_groups:
        wanted = f", and make at least {min_groups} groups" if min_groups else ""
        raise ValueError(
            f"group_size must divide the number of points, {n}{wanted}, but it is {group_size}."
        )
    return group_size
