"""Results of a claim as a labelled set of arrays, for work with xarray."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray

__all__ = ["open_results"]


def open_results(folder: str | Path) -> "xarray.Dataset":
    """Read what ``lazyactive verify`` wrote, with one dimension for each key of a condition.

    Parameters
    ----------
    folder : path
        Of one claim, e.g. ``results/mle-one-neuron``.

    Returns
    -------
    xarray.Dataset
        Measured quantities over the keys of a condition and ``repetition``, and predictions, with
        ``_predicted`` after their names, over the keys. Conditions that are not in the grid are
        NaN. Attributes tell claim, statement, source, preset, seed and verdict.

    Raises
    ------
    ImportError
        If xarray is not installed.
    ValueError
        If the folder does not hold the results of a claim.

    Examples
    --------
    >>> results = open_results("results/mle-one-neuron")  # doctest: +SKIP
    >>> results.kl.sel(w=10, method="lazy").mean("repetition")  # doctest: +SKIP
    """
    try:
        import pandas
        import xarray  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "open_results needs xarray: install it with pip install 'lazyactive[io]'."
        ) from error
    folder = Path(folder)
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        keys = list(summary["conditions"][0]["condition"])
        cells = pandas.read_csv(folder / "results.csv")
        measured = cells.set_index([*keys, "repetition"]).to_xarray()
        predicted = pandas.DataFrame(
            [
                entry["condition"]
                | {f"{key}_predicted": x for key, x in entry["predicted"].items()}
                for entry in summary["conditions"]
            ]
        )
        about = {
            name: summary[name]
            for name in ("claim", "statement", "source", "preset", "seed", "verdict")
        }
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"folder must hold summary.json and results.csv of a claim, but {str(folder)!r} does "
            f"not ({error}); write them with lazyactive verify."
        ) from error
    return measured.merge(predicted.set_index(keys).to_xarray()).assign_attrs(about)
