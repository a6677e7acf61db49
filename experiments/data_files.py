r"""Points of the sphere from a user's files.

=========  =======================================================================================
``.npy``   an array of shape (n, d), left in its file where it need not be changed
``.npz``   its one array, or the one that is named ``X``
``.csv``   text in UTF-8, one point to a line, with or without a header; columns are separated by
           tabs, semicolons, commas or blanks, whichever is found first in this order. Lines that
           are empty or begin with ``#`` are skipped. Columns ``lat`` (``latitude``) and ``lon``
           (``longitude``, ``lng``, ``long``) in degrees are points of the earth, and other columns
           beside them are left out; otherwise all columns are coordinates.
=========  =======================================================================================

Latitude :math:`\phi` and longitude :math:`\lambda` become
:math:`(\cos\phi\cos\lambda, \cos\phi\sin\lambda, \sin\phi)`: the north pole is the third axis.
"""

import csv
import itertools
import math
import stat
import zipfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from ..numerics._checks import split_norms
from ..numerics._files import BROKEN_ARCHIVE, parse_array, read_header
from .sphere_view import globe

SUFFIXES = (".npy", ".npz", ".csv")
LATITUDE, LONGITUDE = ("lat", "latitude"), ("lon", "longitude", "lng", "long")
# Rows that are checked at a time, so that a large file never is in memory as a whole.
BLOCK = 2**16
# Of a norm from 1, as the estimator has it.
TOLERANCE = 1e-6
# An array in an archive that is larger belongs in an .npy file, which is read in pieces.
MAX_MEMBER_BYTES = 2**32

Place = Callable[[int], str]


def read_points(path: str | Path, normalize: bool = False) -> NDArray:
    """Read points of the sphere of R^d.

    Parameters
    ----------
    path : str or Path
        A file .npy, .npz or .csv.
    normalize : bool
        Divide every point by its norm instead of refusing points that are off the sphere.

    Returns
    -------
    ndarray of shape (n, d)
        float64; of an .npy file of floats that needs no normalization, a ``numpy.memmap`` that
        stays in the file, in its own type.

    Raises
    ------
    ValueError
        If there is no such file, or it holds no points of the sphere. One sentence, which names
        the file and, where there is one, the line or row.
    """
    path = Path(path)
    try:
        return _on_sphere(*_read(path), normalize)
    except _Refused as problem:
        raise ValueError(f"{str(path)!r} {problem}.") from None
    except UnicodeDecodeError:
        raise ValueError(
            f"{str(path)!r} must be text in UTF-8, but is in another encoding or no text."
        ) from None
    except OSError as error:
        raise ValueError(f"{str(path)!r} can't be read ({error.strerror}).") from None


class _Refused(Exception):
    """What is wrong with a file: a sentence without its subject."""


def _read(path: Path) -> tuple[NDArray, Place]:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise _Refused("must end in .npy, .npz or .csv")
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise _Refused(f"must be a file, but is {kind}")
    if path.stat().st_size == 0:
        raise _Refused("must hold points, but is empty")
    if suffix == ".csv":
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _read_csv(file)
    return (_map(path) if suffix == ".npy" else _read_npz(path)), _row


def _row(row: int) -> str:
    return f"row {row} (the first is row 0)"


def _map(path: Path) -> NDArray:
    """The array of an .npy file, left there."""
    try:
        with open(path, "rb") as file:
            header = read_header(file)
    except ValueError as error:
        raise _Refused(f"can't be read as an array: {error}") from None
    available = path.stat().st_size - header.offset
    if available < header.n_bytes:
        raise _Refused(
            f"must hold {header.n_bytes} bytes of numbers after its header, but is cut short at "
            f"{available}"
        )
    _require_points(header.shape)
    order: Literal["F", "C"] = "F" if header.fortran_order else "C"
    source = np.memmap(path, header.dtype, "r", header.offset, header.shape, order)
    return source if source.dtype in (np.float32, np.float64) else _as_doubles(source)


def _read_npz(path: Path) -> NDArray:
    """The one array of an archive, or the one named X."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            arrays = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]
            if len(arrays) != 1 and arrays.count("X") != 1:
                listed = ", ".join(sorted(repr(name[:40]) for name in arrays)[:10]) or "none"
                raise _Refused(
                    f"must hold one array, or one named 'X', but the arrays in it are: {listed}"
                )
            entry = archive.getinfo(f"{arrays[0] if len(arrays) == 1 else 'X'}.npy")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _Refused("must be compressed as numpy.savez_compressed does, if at all")
            if entry.file_size > MAX_MEMBER_BYTES:
                raise _Refused("holds more than 4 GiB; save the array as .npy")
            content = archive.read(entry)
    except BROKEN_ARCHIVE:
        raise _Refused("must be a NumPy archive, but is none, or is damaged or cut short") from None
    try:
        X = parse_array(content)
    except ValueError as error:
        raise _Refused(f"can't be read as an array: {error}") from None
    _require_points(X.shape)
    return _as_doubles(X)


def _as_doubles(X: NDArray) -> NDArray[np.float64]:
    """The numbers as float64; those that are not finite there are refused later."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(X).astype(np.float64, copy=False)


def _require_points(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] < 1 or shape[1] < 2:
        raise _Refused(
            f"must hold an array of shape (n, d) with n >= 1 and d >= 2, but its shape is {shape}"
        )


def _read_csv(file: TextIO) -> tuple[NDArray, Place]:
    try:
        return _table(_rows(file))
    except csv.Error as error:
        raise _Refused(f"can't be read as a table: {error}") from None


def _rows(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers, from 1, and fields."""
    number = 0

    def filled() -> Iterator[str]:
        nonlocal number
        for line in file:
            number += 1
            if line.strip() and not line.startswith("#"):
                yield line.strip(" \r\n")

    lines = filled()
    first = next(lines, "")
    delimiter = next((mark for mark in "\t;," if mark in first), " ")
    reader = csv.reader(
        itertools.chain([first] if first else [], lines),
        delimiter=delimiter,
        skipinitialspace=True,
    )
    for fields in reader:
        yield number, [field.strip() for field in fields]


def _table(rows: Iterator[tuple[int, list[str]]]) -> tuple[NDArray, Place]:
    """The coordinates, and the lines that they stand on."""
    top = next(rows, None)
    if top is None:
        raise _Refused("must hold points, but has no line with numbers")
    line, first = top
    names = _header(line, first)
    if names is None:
        rows = itertools.chain([top], rows)
    chosen = _latitude_and_longitude(names or [])
    columns = chosen or range(len(first))
    titles = [f"column {i + 1}" + (f" ({_short(names[i])})" if names else "") for i in columns]
    if not chosen and len(first) < 2:
        raise _Refused(
            "must have at least two columns, separated by commas, semicolons, tabs or blanks, "
            "but has one"
        )
    numbers, lines = array("d"), array("q")
    for line, fields in rows:
        if len(fields) != len(first):
            raise _Refused(
                f"must have the same number of columns in every line, but line {line} has "
                f"{len(fields)} and the first has {len(first)}"
            )
        for i, title in zip(columns, titles, strict=True):
            numbers.append(_number(fields[i], line, title))
        lines.append(line)
    if not lines:
        raise _Refused("must hold points, but has only a header")
    X = np.array(numbers).reshape(len(lines), len(columns))

    def place(row: int) -> str:
        return f"line {lines[row]}"

    return (_unit_vectors(X, place) if chosen else X), place


def _header(line: int, fields: list[str]) -> list[str] | None:
    """The names of the columns in lower case, or None if the first line is a point."""
    numeric = [_as_float(field) is not None for field in fields]
    # Data frames number their columns. In the plane (0, 1) is a point.
    numbered = len(fields) > 2 and fields == [str(i) for i in range(len(fields))]
    if all(numeric) and not numbered:
        return None
    if any(numeric) and not numbered:
        text, number = fields[numeric.index(False)], fields[numeric.index(True)]
        raise _Refused(
            f"must have coordinates alone, or a header, in its first line, but line {line} mixes "
            f"text ({_short(text)}) and numbers ({_short(number)})"
        )
    names = [field.lower() for field in fields]
    if "" in names:
        raise _Refused(
            f"must have a name for every column in its header, but column {names.index('') + 1} "
            "has none; if it is an index, leave it out"
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise _Refused(f"has two columns named {_short(twice[0])}")
    return names


def _latitude_and_longitude(names: list[str]) -> tuple[int, int] | None:
    """Which columns are latitude and longitude, if any are."""
    found = [[i for i, name in enumerate(names) if name in kind] for kind in (LATITUDE, LONGITUDE)]
    latitudes, longitudes = found
    if not latitudes and not longitudes:
        return None
    if len(latitudes) != 1 or len(longitudes) != 1:
        raise _Refused(
            f"must have one column of latitudes and one of longitudes, but has {len(latitudes)} "
            f"and {len(longitudes)}"
        )
    return latitudes[0], longitudes[0]


def _unit_vectors(degrees: NDArray, place: Place) -> NDArray:
    """Points of the earth as unit vectors, (n, 3)."""
    ranges = (("latitude", -90, 90), ("longitude", -180, 360))
    for column, (name, low, high) in zip(degrees.T, ranges, strict=True):
        outside = (column < low) | (column > high)
        if outside.any():
            row = int(np.argmax(outside))
            raise _Refused(
                f"must have every {name} between {low} and {high} degrees, but it is "
                f"{column[row]:g} in {place(row)}"
            )
    latitude, longitude = np.radians(degrees).T
    return globe(longitude, latitude)


def _number(text: str, line: int, title: str) -> float:
    value = _as_float(text)
    if value is None:
        comma = "; write decimal points" if "," in text else ""
        what = _short(text) if text else "nothing"
        raise _Refused(f"must have a number in line {line}, {title}, but has {what}{comma}")
    if not math.isfinite(value):
        raise _Refused(f"must have a finite number in line {line}, {title}, but has {_short(text)}")
    return value


def _as_float(text: str) -> float | None:
    """The number that is written, or None. Python's own underscores in numbers are no number."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _on_sphere(X: NDArray, place: Place, normalize: bool) -> NDArray:
    """The points, normalized on request, or refused if one of them is off the sphere."""
    points = np.empty(X.shape) if normalize else X
    for start in range(0, len(X), BLOCK):
        block = _as_doubles(X[start : start + BLOCK])
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            wrong = block[row][~np.isfinite(block[row])][0]
            raise _Refused(f"must hold finite numbers, but {place(start + row)} has {wrong:g}")
        directions, norms = split_norms(block)
        if normalize and not norms.all():
            row = int(np.argmin(norms))
            raise _Refused(
                f"must have no zero point, which has no direction, but {place(start + row)} is zero"
            )
        if normalize:
            points[start : start + BLOCK] = directions
            continue
        off = np.abs(norms - 1) > TOLERANCE
        if off.any():
            row = int(np.argmax(off))
            raise _Refused(
                f"must hold points of the unit sphere, but {place(start + row)} has norm "
                f"{norms[row]:.6g}; with --normalize (normalize=True) points are divided by "
                "their norms"
            )
    return points
