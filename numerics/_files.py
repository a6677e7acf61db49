"""Files that are written whole or not at all, and arrays that are read without trusting them."""

import io
import math
import os
import struct
import tempfile
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

# What zipfile raises at archives that are cut short or wrong: RuntimeError if a member is
# encrypted, its subclass NotImplementedError if it is compressed in an unknown way.
BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
)
# What NumPy raises at a header that is wrong: it reads a Python literal.
_BROKEN_HEADER = (
    ValueError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    SyntaxError,
    tokenize.TokenError,
)


class ArrayHeader(NamedTuple):
    """What the header of an array says, and where the numbers begin."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    offset: int

    @property
    def n_bytes(self) -> int:
        """How many bytes the numbers take."""
        return math.prod(self.shape) * self.dtype.itemsize


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step: a reader, or a kill, finds the old file or the new one."""
    # A prefix of the name only: the longest names leave no room for more.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; give this one the mode any new file would have.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_header(file: BinaryIO) -> ArrayHeader:
    """Read the header of an array of real numbers in NumPy's format.

    Raises
    ------
    ValueError
        If there is none, or the array would hold anything but real numbers: Python objects, which
        only a pickle can bring back, are refused unread.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read(file)
    except _BROKEN_HEADER:
        raise ValueError("it has no readable header of a NumPy array") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which could run code and are never loaded")
    if dtype.kind not in "biuf":
        raise ValueError(f"it holds {dtype}, but expected are real numbers")
    if any(length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}, but no length can be negative")
    return ArrayHeader(shape, fortran_order, dtype, file.tell())


def parse_array(content: bytes) -> NDArray:
    """Read an array of real numbers from the bytes of a file in NumPy's format.

    Raises
    ------
    ValueError
        If the header is refused by `read_header`, or promises more or fewer bytes than there are.
    """
    header = read_header(io.BytesIO(content))
    n_bytes = len(content) - header.offset
    if n_bytes != header.n_bytes:
        raise ValueError(
            f"it should hold {header.n_bytes} bytes of numbers after its header, but has {n_bytes}"
        )
    numbers = np.frombuffer(content[header.offset :], header.dtype)
    return numbers.reshape(header.shape, order="F" if header.fortran_order else "C").copy()
