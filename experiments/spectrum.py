"""The spectrum of one kernel on the sphere: exact, by quadrature, and from finite samples."""

import difflib
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sympy
from numpy.typing import NDArray

from ..numerics import spectra
from ..numerics.sphere import uniform
from ..theory import kernels, sphere
from ..theory.kernels import ArcCosine, Kernel
from . import expressions
from .profiles import measured_profile
from .store import digest


class Measured(NamedTuple):
    """Eigenvalues by degree, from a number of points or of features.

    A group whose size is not the degree's multiplicity has an infinite standard error.
    """

    size: int
    multiplicities: dict[int, int]
    values: dict[int, float]
    standard_errors: dict[int, float]


@dataclass(frozen=True)
class Spectrum:
    """What is known of one kernel's eigenvalues of degree 0 to K.

    Attributes
    ----------
    kernel : Kernel or sympy.Expr
        A member of the registry, or an expression in t.
    d : int
        Ambient dimension.
    log_exact : ndarray of shape (K + 1,), optional
        Logarithms of the exact eigenvalues of a registered kernel.
    quadrature, errors : ndarrays of shape (K + 1,)
        The integrals that define the eigenvalues, and bounds of their errors.
    trace : float
        kappa(1), the sum of all eigenvalues with multiplicity.
    measured : dict
        By ``"samples"`` and ``"features"``, if they were asked for.
    seed : int
        Of the samples and features.
    """

    kernel: Kernel | sympy.Expr
    d: int
    log_exact: NDArray | None
    quadrature: NDArray
    errors: NDArray
    trace: float
    measured: dict[str, Measured]
    seed: int

    @property
    def max_degree(self) -> int:
        """The largest degree K."""
        return len(self.quadrature) - 1

    @property
    def source(self) -> str:
        """Where the closed form comes from."""
        return self.kernel.source if isinstance(self.kernel, Kernel) else "an expression in t"

    @property
    def name(self) -> str:
        """Name or expression."""
        return name_of(self.kernel)

    @property
    def first_negative_degree(self) -> int | None:
        """The first degree whose eigenvalue is surely negative."""
        negative = np.flatnonzero(self.quadrature + self.errors < 0)
        return int(negative[0]) if len(negative) else None

    @property
    def shares(self) -> NDArray:
        """Parts of the trace, N mu_k / kappa(1).

        NaN where quadrature can't tell mu_k from zero, and if the trace is no positive number.
        """
        signs = np.sign(self.quadrature)
        logs = np.full(self.max_degree + 1, np.nan)
        resolved = np.abs(self.quadrature) > self.errors
        logs[resolved] = np.log(np.abs(self.quadrature[resolved]))
        if self.log_exact is not None:
            signs, logs = np.ones_like(signs), self.log_exact
        multiplicities = sphere.log_harmonic_dimensions(self.d, self.max_degree)
        trace = self.trace if 0 < self.trace < np.inf else np.nan
        return signs * np.exp(multiplicities + logs) / trace


def resolve(text: str) -> Kernel | sympy.Expr:
    """Find the registered kernel of this name, or read an expression in t.

    Raises
    ------
    ValueError
        If it is neither; the message is about what it resembles more.
    """
    try:
        return kernels.get(text)
    except ValueError as error:
        unknown = error
    try:
        return expressions.parse(text)
    except ValueError:
        family = text.partition("(")[0].strip()
        misspelt = difflib.get_close_matches(family, kernels.FAMILIES)
        if misspelt and family not in expressions.FUNCTIONS:
            raise unknown from None
        raise


def slug(kernel: Kernel | sympy.Expr, d: int) -> str:
    """A name for a folder: letters, digits, dots, dashes; no two expressions share one."""
    name = name_of(kernel)
    words = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")[:40]
    suffix = "" if isinstance(kernel, Kernel) else f"-{digest(name)[:6]}"
    return f"{words}{suffix}-d{d}"


def name_of(kernel: Kernel | sympy.Expr) -> str:
    """The kernel's name in the registry, or the expression as SymPy prints it."""
    return kernel.name if isinstance(kernel, Kernel) else str(kernel)


def compute(
    kernel: Kernel | sympy.Expr,
    d: int,
    max_degree: int,
    *,
    samples: int | None = None,
    features: int | None = None,
    seed: int = 0,
) -> Spectrum:
    """Compute a spectrum on the sphere of R^d, and measure it.

    Parameters
    ----------
    kernel : Kernel or sympy.Expr
        See :func:`resolve`.
    d, max_degree : int
        Ambient dimension and largest degree.
    samples : int, optional
        Number of uniform points whose Gram matrix is diagonalized.
    features : int, optional
        Number of random features; only an arc-cosine kernel of features on the sphere has them.
    seed : int
        Of samples and features, which are independent of each other.

    Raises
    ------
    ValueError
        If the kernel has no features, or its profile is not finite on [-1, 1].
    """
    registered = isinstance(kernel, Kernel)
    profile = measured_profile(kernel, d) if registered else expressions.profile(kernel)
    quadrature, errors = spectra.funk_hecke(profile, d, max_degree)
    measured = {}
    streams = np.random.SeedSequence(seed).spawn(2)
    if samples is not None:
        X = uniform(samples, d, streams[0])
        measured["samples"] = _by_degree(samples, spectra.nystrom(X, profile))
    if features is not None:
        order = require_features(kernel).order
        Theta = uniform(features, d, streams[1])
        measured["features"] = _by_degree(features, spectra.random_features(Theta, order))
    return Spectrum(
        kernel,
        d,
        kernels.log_eigenvalues(kernel, d, max_degree) if registered else None,
        quadrature,
        errors,
        float(kernel.trace(d)) if registered else float(profile(np.ones(1))[0]),
        measured,
        seed,
    )


def require_features(kernel: Kernel | sympy.Expr) -> ArcCosine:
    """Refuse a kernel whose finite-width spectrum is not known.

    Raises
    ------
    ValueError
        If it is no arc-cosine kernel of features on the sphere.
    """
    if isinstance(kernel, ArcCosine) and kernel.features == "sphere":
        return kernel
    raise ValueError(
        "kernel must be arc-cosine(n), with features on the sphere, to have features; got "
        f"{name_of(kernel)}"
    )


def _by_degree(size: int, spectrum: spectra.SampleSpectrum) -> Measured:
    columns = (spectrum.multiplicities, spectrum.values, spectrum.standard_errors)
    degrees = spectrum.degrees.tolist()
    return Measured(size, *(dict(zip(degrees, c.tolist(), strict=True)) for c in columns))
