"""All pieces of work, in the order of the table."""

from ..case import Case
from . import (
    dual,
    features,
    harmonics,
    likelihood,
    samplers,
    separation,
    stein,
    training,
)

__all__ = ["ALL_CASES"]

ALL_CASES: dict[str, Case] = {
    case.name: case
    for module in (
        likelihood,
        features,
        stein,
        separation,
        harmonics,
        samplers,
        dual,
        training,
    )
    for case in module.CASES
}
