"""Evaluation of a user's function of the cosine on arrays."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def evaluate(profile: Callable, t: NDArray) -> NDArray:
    """Return the values of `profile` at `t`, in the type it answers in, float64 at least.

    `profile` is called with the whole array first. If it can't take it (an exception, or an answer
    of another shape), it is called with float64, and then with one number at a time.

    Raises
    ------
    ValueError
        If it can't be called, or a value is NaN, infinite or complex; an exception of `profile` at
        single numbers is passed on.
    """
    if not callable(profile):
        raise ValueError(f"profile must be a function of the cosine, but it is {profile!r}.")
    for points in (t, t.astype(np.float64)):
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(profile(points))
        except Exception:  # Whatever it is, it means "one number at a time".
            continue
        if values.shape == t.shape and values.dtype.kind in "biuf":
            break
    else:
        with np.errstate(all="ignore"):
            values = np.array([profile(float(u)) for u in t.ravel()]).reshape(t.shape)
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"profile must return real numbers on [-1, 1], but it returns {values.dtype}."
        )
    finite = np.isfinite(values)
    if not finite.all():
        index = np.unravel_index(np.argmin(finite), t.shape)
        raise ValueError(
            "profile must be finite inside [-1, 1], "
            f"but at t = {float(t[index]):.17g} it is {values[index]}."
        )
    return values.astype(np.promote_types(values.dtype, np.float64), copy=False)
