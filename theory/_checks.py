"""Refusal of bad arguments, shared by the public functions of the package."""

from numbers import Integral


def check_integer(name: str, value: object, minimum: int) -> int:
    """Return `value` as an int, or raise ValueError if it is not an integer >= `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}.")
    return int(value)
