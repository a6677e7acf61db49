"""Claims in a user's own file.

What travels to a worker is the text of the file, and the worker runs it: it needs neither the file
nor a module of that name. So the text that was read once is what is measured everywhere, and what
the digest of the source covers, also when the file is edited meanwhile.
"""

import functools
import importlib.abc
import importlib.util
import re
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path

from . import claim as registry
from .claim import Claim
from .store import digest

# Threads of one worker must not run a file at the same time: the registry is shared.
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Origin(importlib.abc.ExecutionLoader):
    """The file of a user's claims as it was read, and the loader of its module.

    Parameters
    ----------
    path : str
        Absolute.
    text : str
    """

    path: str
    text: str

    def get_filename(self, fullname: str) -> str:
        """Path of the file, whether it is still there or not."""
        return self.path

    def get_source(self, fullname: str) -> str:
        """Text of the file; tracebacks take their lines from here."""
        return self.text

    @property
    def module(self) -> str:
        """Name of the module: another one for another text, as a worker may meet several."""
        return f"lazyactive_user_claim_{Path(self.path).stem}_{digest(self.text)[:12]}"

    def claims(self) -> dict[str, Claim]:
        """Run the file, once in a process; the claims that it registers, by name.

        They do not stay in the registry. Whatever the file raises is raised.
        """
        with _LOCK:
            return _run(self)

    def claim(self, name: str) -> Claim:
        """One of them."""
        return self.claims()[name]


def is_file(target: str) -> bool:
    """Whether CLAIM on the command line is a file, ``path.py`` or ``path.py:name``, not a name."""
    return re.fullmatch(r".*\.py(:[^/]*)?", target) is not None


def load(target: str) -> Claim:
    """The claim in a file.

    Parameters
    ----------
    target : str
        ``path.py``, or ``path.py:name`` where the file registers several.

    Raises
    ------
    ValueError
        If the file cannot be read, cannot be run or is no text of Python, with its line; if it
        registers no claim, or several and none is chosen.
    """
    stem, _, choice = target.rpartition(".py")
    shown, name = f"{stem}.py", choice.removeprefix(":")
    path = Path(shown).resolve()
    try:
        origin = Origin(str(path), importlib.util.decode_source(path.read_bytes()))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise ValueError(f"a claim's file must be a text that can be read; {error}") from error
    try:
        claims = origin.claims()
    except (Exception, SystemExit) as error:
        raise ValueError(_sentence(shown, origin.path, error)) from error
    if not claims:
        raise ValueError(
            f"{shown} must register a claim; end it with a line such as register(MyClaim())"
        )
    if not name and len(claims) == 1:
        return next(iter(claims.values()))
    if name not in claims:
        got = f"got {name!r}" if name else f"choose one, as in {shown}:{next(iter(claims))}"
        raise ValueError(f"{shown} holds the claims {', '.join(claims)}; {got}")
    return claims[name]


@functools.cache
def _run(origin: Origin) -> dict[str, Claim]:
    known = set(registry.load())
    spec = importlib.util.spec_from_file_location(origin.module, origin.path, loader=origin)
    if spec is None:
        raise ImportError(f"{origin.path} is no module of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[origin.module] = module
    try:
        origin.exec_module(module)
    except BaseException:
        del sys.modules[origin.module]
        raise
    finally:
        added = {
            name: registry.ALL_CLAIMS.pop(name) for name in list(registry.ALL_CLAIMS)
            if name not in known
        }  # fmt: skip
    for claim in added.values():
        # Also where a claim is a frozen dataclass.
        object.__setattr__(claim, "origin", origin)
    return added


def _sentence(shown: str, path: str, error: BaseException) -> str:
    """What went wrong, and in which line of the file."""
    message = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, SyntaxError) and error.filename == path:
        return f"{shown}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    return f"{shown}, line {lines[-1]}: {message}" if lines else f"{shown}: {message}"
