"""Zonal kernels and their spectra on the sphere of R^d: exact, in any dimension."""

import difflib
import re
from collections.abc import Callable

from .arc_cosine import ArcCosine, LeakyReLU, gaussian_moment
from .kernel import Kernel, eigenvalues, log_eigenvalues
from .radial import RBF, Laplace
from .stein import Stein
from .tangent import NTK, DeepNTK

__all__ = [
    "ALL_KERNELS",
    "NTK",
    "RBF",
    "ArcCosine",
    "DeepNTK",
    "Kernel",
    "Laplace",
    "LeakyReLU",
    "Stein",
    "eigenvalues",
    "gaussian_moment",
    "get",
    "log_eigenvalues",
]

ALL_KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        *(ArcCosine(order) for order in range(4)),
        ArcCosine(1, "gaussian"),
        LeakyReLU(),
        NTK(),
        DeepNTK(3),
        RBF(),
        Laplace(),
        Stein(),
    )
}

FAMILIES: dict[str, Callable[..., Kernel]] = {
    "arc-cosine": ArcCosine,
    "leaky-relu": LeakyReLU,
    "ntk": NTK,
    "deep-ntk": DeepNTK,
    "rbf": RBF,
    "laplace": Laplace,
    "stein": Stein,
}

_CALL = re.compile(r"([a-z][a-z-]*)(?:\((.*)\))?")


def get(name: str) -> Kernel:
    """The kernel of that name, with any parameters: ``"ntk"``, ``"rbf(0.5)"``, ``"deep-ntk(4)"``.

    Raises
    ------
    ValueError
        If there is no such family, or it refuses the parameters.
    """
    match = _CALL.fullmatch(name.strip())
    if match is None or match[1] not in FAMILIES:
        close = difflib.get_close_matches(name, ALL_KERNELS, n=3, cutoff=0.4) or list(ALL_KERNELS)
        raise ValueError(f"kernel must be one of {', '.join(close)}, got {name!r}.")
    # Commas inside inner parentheses belong to a kernel that is itself a parameter.
    arguments = [_argument(text) for text in re.split(r",(?![^(]*\))", match[2] or "") if text]
    try:
        return FAMILIES[match[1]](*arguments)
    except TypeError:
        raise ValueError(f"{match[1]} does not take the parameters of {name!r}.") from None


def _argument(text: str) -> int | float | str | Kernel:
    text = text.strip()
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return get(text) if text.split("(")[0] in FAMILIES else text
