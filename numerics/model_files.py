"""Fitted models in files that can be passed on: read without trust, and without running code.

A file is a NumPy archive, an uncompressed zip with three members: ``model.json``, ``neurons.npy``
and ``weights.npy``. The JSON names the format, the parameters and the fitted numbers, and holds the
SHA-256 of all the rest. The digest finds damage; it is no signature, and a file that was made on
purpose is held to the same checks as one that was not.
"""

import hashlib
import io
import json
import math
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._files import BROKEN_ARCHIVE, parse_array, write_whole
from .estimators import ShallowEBM

__all__ = ["load_model", "save_model", "to_bytes"]

FORMAT, FORMAT_NUMBER = "lazyactive-model", 1
JSON, NEURONS, WEIGHTS = "model.json", "neurons.npy", "weights.npy"
# Far above what is written, far below what could fill the memory.
MAX_BYTES, MAX_JSON_BYTES = 2**31, 2**16
# All members carry the first date that a zip can hold: the same model gives the same bytes.
DATE = (1980, 1, 1, 0, 0, 0)
# Type of each parameter, and whether None stands for a default.
PARAMETERS: dict[str, tuple[type, bool]] = {
    "regime": (str, False),
    "alpha": (int, False),
    "n_neurons": (int, True),
    "penalty": (float, True),
    "solver": (str, False),
    "objective": (str, False),
    "kernel": (str, False),
    "scale": (float, False),
    "noise": (float, True),
    "normalize": (bool, False),
    "n_reference": (int, True),
    "random_state": (int, True),
}
FITTED: dict[str, tuple[type, bool]] = {
    "log_partition_": (float, False),
    "log_partition_se_": (float, False),
    "penalty_": (float, False),
    "n_iter_": (int, False),
    "converged_": (bool, False),
    # None stands for infinity, which JSON has no word for: nothing is certified.
    "optimality_gap_": (float, True),
    "n_features_in_": (int, False),
}
NONNEGATIVE = ("log_partition_se_", "penalty_", "n_iter_")
KEYS = {"format", "format_number", "lazyactive", "parameters", "fitted", "shape", "sha256"}


class _Refused(ValueError):
    """What is wrong with a file, as the end of a sentence."""


def save_model(model: ShallowEBM, path: str | Path) -> None:
    """Write a fitted model to a file, whole or not at all.

    Parameters
    ----------
    model : ShallowEBM
        Fitted. A ``random_state`` that is no int is not kept.
    path : str or Path
        Used as it is; the suffix ``.npz`` tells that ``numpy.load`` opens it too.

    Raises
    ------
    ValueError
        If it is no fitted ShallowEBM.
    OSError
        If the file can't be written.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from lazyactive.numerics import ShallowEBM, load_model, save_model, sphere
    >>> X = sphere.uniform(500, 3, rng=1)
    >>> model = ShallowEBM(n_neurons=1, random_state=0).fit(X)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> save_model(model, path)
    >>> bool(np.all(load_model(path).score_samples(X) == model.score_samples(X)))
    True
    """
    write_whole(Path(path), to_bytes(model))


def to_bytes(model: ShallowEBM) -> bytes:
    """Return the content of a model's file; the same model gives the same bytes.

    Raises
    ------
    ValueError
        If it is no fitted ShallowEBM.
    """
    if not isinstance(model, ShallowEBM):
        raise ValueError(f"model must be a fitted ShallowEBM, but it is {type(model).__name__}.")
    check_is_fitted(
        model, "log_partition_", msg="model must be fitted before it is saved, but it is not."
    )
    neurons, weights = (np.ascontiguousarray(a, "<f8") for a in (model.neurons_, model.weights_))
    given = model.get_params(deep=False)
    if not isinstance(given["random_state"], (int, np.integer)):
        given["random_state"] = None
    fitted = {name: getattr(model, name) for name in FITTED}
    if not math.isfinite(fitted["optimality_gap_"]):
        fitted["optimality_gap_"] = None
    data: dict[str, Any] = {
        "format": FORMAT,
        "format_number": FORMAT_NUMBER,
        "lazyactive": version("lazyactive"),
        "parameters": {name: _plain(name, given[name], *PARAMETERS[name]) for name in PARAMETERS},
        "fitted": {name: _plain(name, fitted[name], *FITTED[name]) for name in FITTED},
        "shape": list(neurons.shape),
    }
    data["sha256"] = _digest(data, neurons, weights)
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (
            (JSON, text.encode()),
            (NEURONS, _npy(neurons)),
            (WEIGHTS, _npy(weights)),
        ):
            info = zipfile.ZipInfo(name, DATE)
            # Unix, read and write, wherever it is written.
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def load_model(path: str | Path) -> ShallowEBM:
    """Read a model that `save_model` wrote; no code in the file is ever run.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    ShallowEBM
        Fitted: it scores and samples as the one that was saved.

    Raises
    ------
    ValueError
        If the file can't be read, is cut short, was changed, or is of another kind.
    """
    try:
        return _from_bytes(_read(Path(path)))
    except _Refused as problem:
        raise ValueError(
            f"{str(path)!r} must be a model saved by lazyactive, but {problem}; "
            "give one that save_model or lazyactive fit wrote."
        ) from None


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise _Refused("there is no such file")
        n_bytes = path.stat().st_size
        if n_bytes > MAX_BYTES:
            raise _Refused(f"it has {n_bytes} bytes, more than the {MAX_BYTES} that are read")
        return path.read_bytes()
    except OSError as error:
        raise _Refused(f"it can't be read ({error.strerror})") from None


def _from_bytes(content: bytes) -> ShallowEBM:
    members = _members(content)
    data = _description(members[JSON])
    fitted = _typed(data["fitted"], FITTED, "fitted")
    parameters = _typed(data["parameters"], PARAMETERS, "parameters")
    neurons, weights = _array(members, NEURONS), _array(members, WEIGHTS)
    d = fitted["n_features_in_"]
    if weights.ndim != 1 or not len(weights) or d < 2 or neurons.shape != (len(weights), d):
        raise _Refused(
            f"its neurons have shape {neurons.shape} and its weights {weights.shape}, which make "
            f"no network in dimension {d}"
        )
    if data["shape"] != list(neurons.shape) or _digest(data, neurons, weights) != data["sha256"]:
        raise _Refused("its content does not match its checksum: it was damaged or changed")
    for name, array in ((NEURONS, neurons), (WEIGHTS, weights)):
        if not np.isfinite(array).all():
            raise _Refused(f"{name} holds numbers that are not finite")
    for name in NONNEGATIVE:
        if fitted[name] < 0:
            raise _Refused(f"{name} is negative")
    if fitted["optimality_gap_"] is None:
        fitted["optimality_gap_"] = math.inf
    model = ShallowEBM(**parameters)
    try:
        model._check_parameters()
    except ValueError as error:
        raise _Refused(f"its parameters are wrong ({str(error).rstrip('.')})") from None
    model.neurons_, model.weights_ = neurons, weights
    for name, value in fitted.items():
        setattr(model, name, value)
    return model


def _members(content: bytes) -> dict[str, bytes]:
    """The three members. None is compressed, so that none is larger than the file."""
    expected = [JSON, NEURONS, WEIGHTS]
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if sorted(entry.filename for entry in entries) != expected:
                names = ", ".join(repr(entry.filename[:40]) for entry in entries[:4]) or "nothing"
                raise _Refused(f"it holds {names} in place of {', '.join(expected)}")
            for entry in entries:
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise _Refused(f"{entry.filename} is compressed, which no saved model is")
                if entry.file_size != entry.compress_size or entry.file_size > len(content):
                    raise _Refused(f"{entry.filename} claims to be larger than the file")
            return {entry.filename: archive.read(entry) for entry in entries}
    except _Refused:
        raise
    except BROKEN_ARCHIVE:
        raise _Refused("it is no archive, or is damaged or cut short") from None


def _description(content: bytes) -> dict[str, Any]:
    """The JSON, of a format and with the keys that are known."""
    if len(content) > MAX_JSON_BYTES:
        raise _Refused(f"{JSON} has {len(content)} bytes, more than {MAX_JSON_BYTES}")
    try:
        data = json.loads(content.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _Refused(f"{JSON} is no JSON") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise _Refused(f"{JSON} does not say that it is one")
    if data.get("format_number") != FORMAT_NUMBER:
        raise _Refused(
            f"it is of format {str(data.get('format_number'))[:20]}, and this version of "
            f"lazyactive reads format {FORMAT_NUMBER} only"
        )
    if data.keys() != KEYS:
        raise _Refused(f"{JSON} must hold exactly {', '.join(sorted(KEYS))}")
    lengths = data["shape"]
    if not isinstance(lengths, list) or any(type(length) is not int for length in lengths):
        raise _Refused("shape is no list of integers")
    if not isinstance(data["lazyactive"], str):
        raise _Refused("lazyactive is no version")
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _array(members: dict[str, bytes], name: str) -> NDArray[np.float64]:
    try:
        array = parse_array(members[name])
    except ValueError as error:
        raise _Refused(f"{name} can't be read: {error}") from None
    if array.dtype != np.dtype("<f8"):
        raise _Refused(f"{name} holds {array.dtype} in place of float64")
    return np.ascontiguousarray(array, np.float64)


def _typed(values: Any, types: dict[str, tuple[type, bool]], what: str) -> dict[str, Any]:
    """Exactly these names, each with a value of its type."""
    if not isinstance(values, dict) or values.keys() != types.keys():
        raise _Refused(f"{what} must hold exactly {', '.join(types)}")
    for name, (kind, may_be_none) in types.items():
        value = values[name]
        # Python counts a bool as an int.
        fits = type(value) is kind or (value is None and may_be_none)
        if not fits or (kind is float and value is not None and not math.isfinite(value)):
            raise _Refused(f"{name} is {repr(value)[:40]}, which is no {kind.__name__}")
    return dict(values)


def _plain(name: str, value: Any, kind: type, may_be_none: bool) -> Any:
    """The value as JSON has it."""
    if value is None and may_be_none:
        return None
    if kind is str and not isinstance(value, str):
        raise ValueError(f"{name} must be a str to be saved, but it is {value!r}.")
    return kind(value)


def _npy(array: NDArray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _digest(data: dict[str, Any], neurons: NDArray, weights: NDArray) -> str:
    """SHA-256 of everything but itself: the JSON in one spelling, and the bytes of the numbers."""
    rest = {name: value for name, value in data.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode() + neurons.tobytes() + weights.tobytes()).hexdigest()
