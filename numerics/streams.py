"""Points that stay in a file: read block by block, never all at once.

A memory map that is read from end to end ends up in memory as far as the system counts, and index
arrays copy what they choose. `StreamedRows` stands for rows of a map and for any choice of them;
its blocks are arrays that are dropped before the next one is read.
"""

import mmap
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._checks import check_sphere

__all__ = ["BLOCK", "StreamedRows", "blocks"]

BLOCK = 2**16


class StreamedRows:
    """Rows of a memory map.

    Parameters
    ----------
    source : numpy.memmap of shape (n, d)
    dtype : numpy dtype, optional
        Of the blocks; that of the source by default.
    normalize : bool
        Divide every row by its norm instead of refusing rows that are off the sphere.
    rows : ndarray of int, optional
        The chosen rows, in increasing order; all by default.
    """

    def __init__(
        self,
        source: np.memmap,
        dtype: DTypeLike | None = None,
        normalize: bool = False,
        rows: NDArray | range | None = None,
    ):
        self.source = source
        self.dtype = np.dtype(source.dtype if dtype is None else dtype)
        self.normalize = normalize
        self.rows = range(len(source)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chosen rows, and dimension."""
        return len(self.rows), self.source.shape[1]

    def __getitem__(self, chosen: slice | NDArray) -> Self:
        """Choose among the chosen rows; nothing is read."""
        rows = self.rows[chosen] if isinstance(chosen, slice) else np.asarray(self.rows)[chosen]
        return type(self)(self.source, self.dtype, self.normalize, rows)

    def astype(self, dtype: DTypeLike) -> Self:
        """Give blocks of another type."""
        return type(self)(self.source, dtype, self.normalize, self.rows)

    def check(self) -> Self:
        """Read all once, and refuse points that are not on the sphere.

        Raises
        ------
        ValueError
            As by `check_sphere`.
        """
        for block in self.blocks():
            check_sphere(block)
        return self

    def blocks(self) -> Iterator[NDArray]:
        """Yield the rows in arrays of at most `BLOCK`."""
        for start in range(0, len(self), BLOCK):
            rows = self.rows[start : start + BLOCK]
            first, last = int(rows[0]), int(rows[-1]) + 1
            block = self._read(first, last)
            if last - first > len(rows):
                block = block[np.asarray(rows) - first]
            if self.normalize:
                block = check_sphere(block, normalize=True)
            yield block.astype(self.dtype, copy=False)

    def _read(self, first: int, last: int) -> NDArray:
        source = self.source
        whole = isinstance(source.base, mmap.mmap) and source.flags.c_contiguous
        if not whole or source.filename is None:
            return np.asarray(source[first:last])
        # A map of the block alone: pages of the whole map would stay with this process.
        d = source.shape[1]
        offset = source.offset + first * d * source.itemsize
        shape = last - first, d
        return np.asarray(np.memmap(source.filename, source.dtype, "r", offset, shape))


def blocks(X: NDArray | StreamedRows) -> Iterator[NDArray]:
    """Yield the rows in arrays of at most `BLOCK`, from memory or from a file."""
    if isinstance(X, StreamedRows):
        yield from X.blocks()
    else:
        for start in range(0, len(X), BLOCK):
            yield X[start : start + BLOCK]
