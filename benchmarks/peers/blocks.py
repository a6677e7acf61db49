"""Rows that are worked on at a time."""

__all__ = ["rows_in_cache", "rows_of_pairs"]


def rows_in_cache(n: int, m: int) -> int:
    """Largest divisor of n with which a block of n x m activations, 2 MB in float32, stays near.

    A divisor, so that compiled functions see one shape. Tried from 500 to 3000 rows at m = 500,
    where PyTorch and JAX take a third to a quarter of the time that they take for whole matrices.
    """
    return _divisor(n, 2**19 // m)


def rows_of_pairs(n: int) -> int:
    """Rows of an n x n matrix of pairs: 20 to 250 were tried too, and were not faster."""
    return _divisor(n, 1024)


def _divisor(n: int, most: int) -> int:
    return next(size for size in range(max(1, min(n, most)), 0, -1) if n % size == 0)
