"""Eigenvalues of a finite sample, and of finitely many features, against a kernel's spectrum."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..claim import Check, Claim, Condition, Preset, Result, Verdict, register, select, values
from ._enclosures import equality, within

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# All comparisons together raise a false alarm in 1% of seeds; there are some 20 to 40 of them, of
# means that are not quite normal.
CLAIM_LEVEL = 0.99
N_GROUPS = 3
EIGENVALUE_PRECISION, DUALITY_PRECISION = 0.01, 0.02
# Fresh points on which the kernel of the features is evaluated.
N_FRESH = 2000


class SampleSpectra(Claim):
    """Eigenvalues of Gram matrices, in groups, against the exact spectrum."""

    name = "spectrum-nystrom"
    statement = (
        "The spectrum of a kernel matrix of n uniform points, or of n random features, falls into "
        "groups of N(d, k) eigenvalues around the exact eigenvalues of the kernel."
    )
    source = "koltchinskii2000random; derived in lazyactive.numerics.sample_spectra"
    formula = (
        r"\mathrm{eigenvalues\ of}\ \ \dfrac{1}{n}\,[\kappa(\langle x_i, x_j\rangle)]_{ij}"
        r"\ \ \to\ \ \mu_k,\ \ N(d,k)\ \mathrm{times\ each}"
    )
    formula_text = "The eigenvalues of the kernel matrix over n tend to mu k, each N(d, k) times."
    reported = tuple(f"eigenvalue_{i}" for i in range(N_GROUPS))
    cases = (
        ("sample", "arc-cosine(1)", 10),
        ("sample", "rbf(1)", 3),
        ("sample", "laplace(1)", 3),
        ("features", "arc-cosine(0)", 3),
        ("features", "arc-cosine(1)", 5),
    )

    def __init__(self) -> None:
        self.presets = {
            "quick": Preset(self._grid(1000), 20),
            "paper": Preset(self._grid(1000) + self._grid(4000), 20),
        }

    def _grid(self, n: int) -> tuple[Condition, ...]:
        return tuple({"of": of, "kernel": name, "d": d, "n": n} for of, name, d in self.cases)

    def cost(self, condition: Condition) -> float:
        """Diagonalizing an n by n matrix."""
        return float(condition["n"]) ** 3

    def predict(self, condition: Condition) -> dict[str, float]:
        """The largest eigenvalues, and the dimensions of their eigenspaces."""
        import numpy as np

        from ...theory import kernels, sphere

        d = int(condition["d"])
        mu = kernels.eigenvalues(kernels.get(str(condition["kernel"])), d, 2 * N_GROUPS)
        degrees = np.argsort(-mu, kind="stable")[:N_GROUPS]
        prediction = {}
        for i, k in enumerate(degrees):
            prediction[f"eigenvalue_{i}"] = float(mu[k])
            prediction[f"multiplicity_{i}"] = float(sphere.harmonic_dimension(d, int(k)))
        return prediction

    def measure(
        self, condition: Condition, rng: "np.random.Generator", settings: Mapping[str, Any]
    ) -> dict[str, float]:
        r"""Group means of one Gram matrix; groups that were not found are zero.

        The spectrum of m features is that of an m by m matrix, by duality. So that this is tested
        too, the sum of its squares is compared with what it should be, the mean of
        :math:`k_m(x, y)^2` for the kernel :math:`k_m` of the features itself.
        """
        from ...numerics import spectra
        from ...numerics.sphere import uniform

        d, measured = int(condition["d"]), {}
        X = uniform(int(condition["n"]), d, rng)
        if condition["of"] == "features":
            order = int(str(condition["kernel"])[-2])
            spectrum = spectra.random_features(X, order, N_GROUPS)
            squares = float(spectrum.eigenvalues @ spectrum.eigenvalues)
            measured["duality"] = mean_square(X, order, uniform(N_FRESH, d, rng)) / squares
        else:
            spectrum = spectra.nystrom(X, _profile(str(condition["kernel"]), d), N_GROUPS)
        for i in range(N_GROUPS):
            found = i < len(spectrum.values) and math.isfinite(spectrum.standard_errors[i])
            size = spectrum.multiplicities[i] if i < len(spectrum.multiplicities) else 0
            measured[f"eigenvalue_{i}"] = float(spectrum.values[i]) if found else 0.0
            measured[f"standard_error_{i}"] = float(spectrum.standard_errors[i]) if found else 0.0
            measured[f"multiplicity_{i}"] = float(size)
        return measured

    def verdict(self, results: Sequence[Result]) -> Verdict:
        """Multiplicities exactly, group means within simultaneous intervals."""
        from scipy.stats import norm

        checks, conditions = [], _conditions(results)
        n_dual = sum(condition["of"] == "features" for condition in conditions)
        level = 1 - (1 - CLAIM_LEVEL) / (N_GROUPS * len(conditions) + n_dual)
        significant = float(norm.ppf((1 + level) / 2))
        for condition in conditions:
            own, predicted = select(results, **condition), self.predict(condition)
            label = "{of}, {kernel}, d = {d}, n = {n}".format_map(dict(condition))
            checks.append(_multiplicities(label, own, predicted))
            cases = {}
            for i in range(N_GROUPS):
                exact = predicted[f"eigenvalue_{i}"]
                mean = math.fsum(values(own, f"eigenvalue_{i}")) / len(own)
                errors = values(own, f"standard_error_{i}")
                half = significant * math.sqrt(math.fsum(e * e for e in errors)) / len(own)
                missing = 0.0 in values(own, f"eigenvalue_{i}")
                interval = within(mean / exact, math.inf if missing else half / exact)
                cases[f"group {i + 1}"] = (interval, 1.0, EIGENVALUE_PRECISION)
            checks.append(
                equality(
                    f"{label}: eigenvalues",
                    f"measured over exact eigenvalue is 1 within {significant:.2f} standard "
                    f"errors of the mean of {len(own)} samples ({CLAIM_LEVEL:.0%} for the claim)",
                    cases,
                )
            )
            if condition["of"] == "features":
                interval = statistics.mean(values(own, "duality"), level)
                checks.append(
                    equality(
                        f"{label}: duality",
                        "the mean square of the features' kernel over fresh pairs of points, over "
                        "the sum of squared eigenvalues, is 1 within Student's interval "
                        f"({CLAIM_LEVEL:.0%} for the claim)",
                        {"ratio": (interval, 1.0, DUALITY_PRECISION)},
                    )
                )
        return Verdict(tuple(checks))

    def draw(self, results: Sequence[Result], figure: "Figure") -> None:
        """Measured over exact eigenvalue, each repetition a point."""
        from .. import figures

        conditions = _conditions(results)
        figure.set_size_inches(7, 0.8 + 0.42 * len(conditions))
        axes = figure.subplots()
        colors = figures.BLUE, figures.VERMILION, figures.GREEN
        for row, condition in enumerate(conditions):
            own, predicted = select(results, **condition), self.predict(condition)
            for i, color in enumerate(colors):
                exact = predicted[f"eigenvalue_{i}"]
                y = row + 0.22 * (i - 1)
                ratios = [v / exact for v in values(own, f"eigenvalue_{i}") if v > 0]
                axes.plot(ratios, [y] * len(ratios), "|", color=color, alpha=0.6, markersize=7)
                if ratios:
                    axes.plot(math.fsum(ratios) / len(ratios), y, "o", color=color, markersize=4)
        for i, color in enumerate(colors):
            axes.plot([], [], "o", color=color, label=f"group {i + 1}")
        axes.axvline(1.0, color=figures.GREY, linewidth=1, label="exact")
        axes.set_yticks(
            range(len(conditions)),
            ["{of}, {kernel}, $d={d}$, $n={n}$".format_map(dict(c)) for c in conditions],
        )
        axes.invert_yaxis()
        axes.set_xlabel("group mean over exact eigenvalue; bars: single samples")
        figure.legend(loc="outside lower center", ncols=N_GROUPS + 1)


def mean_square(features: "NDArray", order: int, X: "NDArray") -> float:
    r"""Mean of :math:`k(x_i, x_j)^2` over pairs of different points.

    The kernel is :math:`k(x, y) = \frac1m \sum_l \sigma(\langle\theta_l, x\rangle)
    \sigma(\langle\theta_l, y\rangle)`.

    Parameters
    ----------
    features, X : ndarray of shape (m, d), (n, d)
    order : int
        Power of the activation.
    """
    import numpy as np

    cosines = X @ features.T
    active = np.where(cosines > 0, cosines**order, 0.0)
    squares = (active @ active.T / len(features)) ** 2
    n = len(X)
    return float((squares.sum() - np.trace(squares)) / (n * (n - 1)))


def _multiplicities(label: str, own: Sequence[Result], predicted: Mapping[str, float]) -> Check:
    """Sizes of the groups in every repetition; a group that was not found decides nothing."""
    names = [f"multiplicity_{i}" for i in range(N_GROUPS)]
    sizes = [tuple(result.values[name] for name in names) for result in own]
    exact = tuple(predicted[name] for name in names)
    right = sum(size == exact for size in sizes)
    outcome: statistics.Outcome = "holds"
    if any(m not in (0.0, n) for size in sizes for m, n in zip(size, exact, strict=True)):
        outcome = "fails"
    elif right < len(sizes):
        outcome = "undecided"
    groups = ", ".join(f"{n:g}" for n in exact)
    return Check(
        f"{label}: multiplicities",
        f"the number of samples whose leading groups have {groups} members is all of them",
        right,
        None,
        len(sizes),
        outcome,
    )


def _profile(kernel: str, d: int) -> Callable:
    """The kernel as a function of the cosine, from ``numerics``."""
    from ...numerics import kernels

    profiles: dict[str, Callable] = {
        "arc-cosine(1)": lambda u: kernels.arc_cosine(u, d, 1),
        "rbf(1)": kernels.rbf,
        "laplace(1)": kernels.laplace,
    }
    return profiles[kernel]


def _conditions(results: Sequence[Result]) -> list[Condition]:
    """The different conditions, in order."""
    return list({tuple(r.condition.items()): r.condition for r in results}.values())


register(SampleSpectra())
