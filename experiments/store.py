"""The results of finished cells, on disk."""

import hashlib
import json
import platform
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .claim import Claim, Condition, Result

_PACKAGE = Path(__file__).resolve().parents[1]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY,
    claim TEXT NOT NULL,
    condition TEXT NOT NULL,
    repetition INTEGER NOT NULL,
    seed TEXT NOT NULL,
    version TEXT NOT NULL,
    configuration TEXT NOT NULL,
    result TEXT NOT NULL,
    seconds REAL NOT NULL,
    finished_at TEXT NOT NULL
)
"""


def canonical_json(value: Any) -> str:
    """JSON in one spelling: sorted keys, no spaces, exact floats; NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of everything that the bits of a measurement depend on."""
    names = ("lazyactive", "numba", "numpy", "scikit-learn", "scipy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def package_source() -> dict[str, str]:
    """Text of the files that every measurement may run: ``numerics`` and the sweep."""
    files = [*_PACKAGE.glob("numerics/**/*.py"), _PACKAGE / "experiments" / "sweep.py"]
    return {
        path.relative_to(_PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in files
    }


def claim_source(claim: Claim) -> dict[str, str]:
    """Text of the files that define the claim.

    Raises
    ------
    ValueError
        If it was not defined in a file.
    """
    origin = claim.origin
    texts = {} if origin is None else {f"claim/{Path(origin.path).name}": origin.text}
    for kind in type(claim).__mro__:
        own = origin is not None and kind.__module__ == origin.module
        if issubclass(kind, Claim) and kind is not Claim and not own:
            file = getattr(sys.modules.get(kind.__module__), "__file__", None)
            if file is None:
                raise ValueError(f"claim {claim.name!r} must be defined in a file; got {kind}")
            texts[f"claim/{Path(file).name}"] = Path(file).read_text(encoding="utf-8")
    return texts


def source_digest(claim: Claim) -> str:
    """SHA-256 of the source that a measurement runs: ``numerics``, the sweep and the claim's file.

    The version alone would miss an edit in a checkout.

    Raises
    ------
    ValueError
        If the claim was not defined in a file.
    """
    return digest(package_source() | claim_source(claim))


def configuration(claim: Claim, settings: Mapping[str, Any]) -> str:
    """Digest of all that a cell's numbers depend on beside condition, repetition and seed."""
    return digest(
        {
            "claim": claim.name,
            "settings": dict(settings),
            "versions": versions(),
            "source": source_digest(claim),
        }
    )


def cell_key(configuration: str, condition: Condition, repetition: int, seed: int) -> str:
    """Identity of a cell: any change of the arguments gives another key."""
    return digest([configuration, dict(condition), repetition, seed])


class Store:
    """Finished cells in one SQLite file; each is added in a transaction of its own.

    SQLite's default journal, synchronized to disk, survives a kill at any moment: a cell is in the
    file whole or not at all.

    Parameters
    ----------
    path : path
        Created if absent; its folder must exist.

    Raises
    ------
    ValueError
        If the file cannot be opened or is no such database.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Another run may be writing to the same folder: wait for its transaction.
            self._connection = sqlite3.connect(path, timeout=60)
            with self._connection:
                self._connection.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise ValueError(
                f"store must be a SQLite file that can be written; got {str(path)!r} ({error})"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def find(self, key: str) -> Result | None:
        """The result of a finished cell, or None."""
        query = "SELECT condition, repetition, result, seconds FROM cells WHERE key = ?"
        with closing(self._connection.execute(query, (key,))) as cursor:
            row = cursor.fetchone()
        if row is None:
            return None
        return Result(json.loads(row[0]), row[1], json.loads(row[2]), row[3])

    def add(self, key: str, claim: str, configuration: str, seed: int, result: Result) -> None:
        """Add one finished cell, durably.

        Raises
        ------
        ValueError
            If a measured value is NaN or infinite.
        """
        row = (
            key,
            claim,
            json.dumps(dict(result.condition)),
            result.repetition,
            # A seed may exceed SQLite's 64 bits.
            str(seed),
            version("lazyactive"),
            configuration,
            # In the order measured, so that a resumed run writes the same columns.
            json.dumps(dict(result.values), allow_nan=False),
            result.seconds,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with self._connection:
            self._connection.execute(
                f"INSERT OR REPLACE INTO cells VALUES ({', '.join('?' * len(row))})", row
            )
