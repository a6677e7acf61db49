r"""Learning rates, derived from the balance of estimation against approximation.

Maximum likelihood in a ball of radius beta of a function space has risk (Kullback-Leibler) at most
estimation plus approximation,

.. math:: \frac{\beta}{\sqrt n} + \beta^{-p/x} \quad\text{up to constants and logarithms.}

`x` is the order of approximation of a Lipschitz target: the distance in the supremum norm from the
target to the ball is :math:`\beta^{-1/x}`. The KL between Gibbs measures is at most
:math:`2\|f-f^*\|_\infty` ([domingoenrich2021ebm], section 4): p = 1, the *slow* form. It
is also at most :math:`\mathrm{osc}(f-f^*)^2/8` by Hoeffding's lemma: p = 2, the
*squared* form.

Training by a Stein discrepancy has bounds on that discrepancy. The approximation error enters them
by integration by parts, :math:`E_\nu\langle\nabla g, h\rangle = -E_\nu[g\,A_\nu h]` with
:math:`g = f-f^*` and smooth test fields h. The F1 Stein discrepancy is at most
:math:`\beta/\sqrt n + \beta^{-1/x}`, and the *squared* kernel discrepancy at most
:math:`\beta^2/\sqrt n + \beta^{-2/x}`, its kernel being quadratic in the energy
([domingoenrich2021ebm], section 4): the slow forms, of one exponent. But the kernel discrepancy is
the norm of a mean that is affine in the energy. The triangle inequality bounds it, before it is
squared, by the mean over the sample and the approximation error, and gives the squared form
:math:`\beta^2/n + \beta^{-2/x}`, with twice the exponent. (The deviation of a mean over a ball of
F2 is at most beta times a Hilbert-Schmidt norm, whose mean square is O(1/n); for F1 it is that over
half-spaces.) Derived here.

SymPy minimises over beta and reads off the exponents; none is typed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import sympy

from ._checks import check_integer
from .prediction import Prediction

SPACES = ("F1", "F2")

Number: TypeAlias = int | sympy.Expr

_n, _beta, _x = sympy.symbols("n beta x", positive=True)

# Estimation and approximation, for what is measured and each form of its bound.
_BOUNDS = {
    "kl": {
        "slow": (_beta / sympy.sqrt(_n), _beta ** (-1 / _x)),
        "squared": (_beta / sympy.sqrt(_n), _beta ** (-2 / _x)),
    },
    "ksd": {
        "slow": (_beta**2 / sympy.sqrt(_n), _beta ** (-2 / _x)),
        "squared": (_beta**2 / _n, _beta ** (-2 / _x)),
    },
    "f1-sd": {"slow": (_beta / sympy.sqrt(_n), _beta ** (-1 / _x))},
}
METRICS = tuple(_BOUNDS)
_ERRORS = {"kl": "KL", "ksd": "squared KSD", "f1-sd": "F1-SD"}


@dataclass(frozen=True)
class Rate:
    """An upper bound `n**(-exponent)` on a risk, and the conditions that it was derived for.

    Attributes
    ----------
    space : {"F1", "F2"}
        Active (total variation) or lazy (reproducing kernel) space.
    alpha : int or sympy.Expr
        Power of the rectifier.
    k, d : int, sympy.Expr or None
        Dimension of the projections that the target depends on (F1), dimension of the data (F2).
    constant_coordinate : bool
        Whether a constant is appended to the data before it meets a neuron (a bias).
    metric : {"kl", "ksd", "f1-sd"}
        The risk: the Kullback-Leibler divergence, the square of the kernel Stein discrepancy, or
        the F1 Stein discrepancy.
    form : {"slow", "squared"}
        Of the bound; the F1 Stein discrepancy has the slow one alone.
    radius_exponent : sympy.Expr
        The best radius is `n**radius_exponent`, up to constants.
    exponent : sympy.Expr
        The positive number r of the bound `n**(-r)`.
    """

    space: str
    alpha: Any
    k: Any
    d: Any
    constant_coordinate: bool
    metric: str
    form: str
    radius_exponent: sympy.Expr
    exponent: sympy.Expr

    @property
    def prediction(self) -> Prediction:
        """The bound as a function of the number of samples `n`."""
        dimension = f"k = {self.k}" if self.space == "F1" else f"d = {self.d}"
        target = (
            "Lipschitz target"
            if self.constant_coordinate or self.space == "F2"
            else "alpha-homogeneous Lipschitz target"
        )
        return Prediction(
            _n ** (-self.exponent),
            "upper bound",
            f"{target}, alpha = {self.alpha}, {dimension}, "
            f"{'with' if self.constant_coordinate else 'without'} a constant coordinate, "
            "up to constants and logarithms",
            "domingoenrich2021ebm, section 4; bach2017breaking, section 4 for the approximation",
            f"{self.space} {self.form} bound on {_ERRORS[self.metric]}",
        )


@cache
def _balance(metric: str, form: str) -> tuple[sympy.Expr, sympy.Expr]:
    """Exponents of the best radius and of the best bound, as functions of the order `x`."""
    estimation, approximation = _BOUNDS[metric][form]
    (radius,) = sympy.solve(sympy.diff(estimation + approximation, _beta), _beta)
    radius_exponent = _power_of_n(radius)
    # At the minimum both terms are of one order, so either of them carries the exponent.
    return radius_exponent, -_power_of_n(estimation.subs(_beta, radius))


def _power_of_n(monomial: sympy.Expr) -> sympy.Expr:
    """Exponent r of a monomial `constant * n**r`, by its logarithmic derivative."""
    return sympy.simplify(_n * sympy.diff(sympy.log(monomial), _n))


def approximation_order(
    space: str,
    *,
    alpha: Number,
    k: Number | None = None,
    d: Number | None = None,
    constant_coordinate: bool,
) -> sympy.Expr:
    r"""Order `x` such that a ball of radius beta approximates a Lipschitz target to beta**(-1/x).

    On the unit sphere of :math:`R^D` a Lipschitz function of the right parity lies within
    :math:`\delta^{-1/(\alpha+(D-2)/2)}` of the ball of F2 of radius :math:`\delta`, up to a
    logarithm. In F1 a function of a k-dimensional projection costs no more than in dimension k,
    so `D` counts the coordinates that matter: k in F1 and d in F2, one more when a constant
    coordinate is appended.

    Without a constant coordinate F1 adapts only to targets that are positively homogeneous of
    degree alpha in the projection. For k = 1 such a target is a sum of two neurons; it lies in F1
    and there is nothing to balance, which is the limit `x = 0`.

    Parameters
    ----------
    space : {"F1", "F2"}
        F1 needs `k`, F2 needs `d`, and neither accepts the other.
    alpha, k, d : int or sympy.Expr
        Power of the rectifier, dimension of the projections (>= 1), of the data (>= 2).
    constant_coordinate : bool
        Whether a constant is appended to the data.

    Raises
    ------
    ValueError
        If the space is unknown, or its dimension is missing, superfluous or too small.

    References
    ----------
    [bach2017breaking], section 4, where the sphere S^d lies in R^{d+1}: its d is D - 1.
    """
    if space not in SPACES:
        raise ValueError(f"space must be F1 or F2, got {space!r}.")
    name, dimension, other = ("k", k, d) if space == "F1" else ("d", d, k)
    if dimension is None or other is not None:
        raise ValueError(f"{name}, and no other dimension, must be given for {space}.")
    alpha = _number("alpha", alpha, 0)
    dimension = _number(name, dimension, 1 if space == "F1" else 2)
    if space == "F1" and dimension == 1 and not constant_coordinate:
        return sympy.Integer(0)
    ambient = dimension + 1 if constant_coordinate else dimension
    return alpha + (ambient - 2) / sympy.Integer(2)


def _number(name: str, value: Number, minimum: int) -> sympy.Expr:
    if isinstance(value, sympy.Expr) and not value.is_Integer:
        if value.is_number:
            raise ValueError(f"{name} must be an integer >= {minimum}, got {value}.")
        return value
    return sympy.Integer(
        check_integer(name, int(value) if isinstance(value, sympy.Expr) else value, minimum)
    )


def derive(
    space: str,
    *,
    alpha: Number,
    k: Number | None = None,
    d: Number | None = None,
    constant_coordinate: bool = True,
    form: str = "slow",
    metric: str = "kl",
) -> Rate:
    """Derive the rate of training in a ball of the best radius, by likelihood or a discrepancy.

    Parameters
    ----------
    space, alpha, k, d, constant_coordinate
        As in `approximation_order`; symbols are welcome.
    form : {"slow", "squared"}, default="slow"
        Of the bound: the literature's, or the one that decreases faster.
    metric : {"kl", "ksd", "f1-sd"}, default="kl"
        The training objective and its risk: likelihood and KL, the squared kernel Stein
        discrepancy, or the F1 Stein discrepancy.

    Returns
    -------
    Rate

    Raises
    ------
    ValueError
        For an unknown metric or form, and as `approximation_order`.

    Examples
    --------
    >>> import sympy
    >>> from lazyactive.theory.rates import derive
    >>> alpha, k = sympy.symbols("alpha k", positive=True)
    >>> derive("F1", alpha=alpha, k=k).exponent
    1/(2*alpha + k + 1)
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}.")
    if form not in _BOUNDS[metric]:
        raise ValueError(f"form must be {' or '.join(_BOUNDS[metric])}, got {form!r}.")
    order = approximation_order(
        space, alpha=alpha, k=k, d=d, constant_coordinate=constant_coordinate
    )
    radius_exponent, exponent = (
        sympy.factor(sympy.simplify(expression.subs(_x, order)))
        for expression in _balance(metric, form)
    )
    return Rate(space, alpha, k, d, constant_coordinate, metric, form, radius_exponent, exponent)


def neuron_rates(alpha: Number, d: Number) -> dict[str, Prediction]:
    r"""Rates in `n` when the target is a single neuron, which lies in F1 and outside F2.

    Returns
    -------
    dict of Prediction
        ``"f1_bound"``: the ball of F1 has a fixed radius, and only its estimation term is left.
        ``"lazy"``: the best frozen-feature estimator at weak energies. Each of the
        :math:`\ell^{d-1}` harmonics of degree up to :math:`\ell` costs 1/n, and they are worth
        learning as long as :math:`n \lambda_\ell^2 = n\,\ell^{-d-2\alpha}` exceeds one.
        ``"minimax"``: over a ball of F1 (or F2), whose entropy at scale
        :math:`\varepsilon` in L2 is :math:`\varepsilon^{-2(d-1)/(d+2\alpha)}`, balanced against
        :math:`n\varepsilon^2`; the risk is :math:`\varepsilon^2`.
        ``"parametric"``: maximum likelihood over the d parameters of one neuron.

    References
    ----------
    [bach2017breaking], appendix D, for the decay of the coefficients.
    """
    alpha, d = _number("alpha", alpha, 0), _number("d", d, 2)
    cutoff, scale = sympy.symbols("ell epsilon", positive=True)
    decay = d + 2 * alpha
    (degree,) = sympy.solve(sympy.Eq(sympy.log(_n), decay * sympy.log(cutoff)), cutoff)
    entropy = 2 * (d - 1) / decay
    # Both sides of n eps^2 = eps^(-entropy) in logarithms, linear in log eps.
    (log_scale,) = sympy.solve(sympy.log(_n) + (2 + entropy) * sympy.log(scale), sympy.log(scale))
    risks = {
        "f1_bound": (1 / sympy.sqrt(_n), "upper bound", "any target in F1"),
        "lazy": (degree ** (d - 1) / _n, "asymptotic", "weak energy, tuned penalty, n to infinity"),
        "minimax": (sympy.exp(2 * log_scale), "asymptotic", "worst case over a ball of F1"),
        "parametric": (1 / _n, "asymptotic", "one neuron, fitted as such, n to infinity"),
    }
    return {
        name: Prediction(
            _n ** sympy.factor(sympy.simplify(_power_of_n(risk))),
            kind,
            f"{conditions}, up to constants",
            "derived in lazyactive.theory.rates.neuron_rates",
            name,
        )
        for name, (risk, kind, conditions) in risks.items()
    }


def table(alpha: int, ks: Sequence[int], dims: Sequence[int], metric: str = "kl") -> list[Rate]:
    """All rates for one activation: F1 for each of `ks`, F2 for each of `dims`.

    Each comes with and without a constant coordinate, in every form of the metric's bound.
    """
    spaces: list[tuple[str, dict[str, int]]] = [("F1", {"k": k}) for k in ks]
    spaces += [("F2", {"d": d}) for d in dims]
    return [
        derive(
            space,
            alpha=alpha,
            **dimension,
            constant_coordinate=constant,
            form=form,
            metric=metric,
        )
        for space, dimension in spaces
        for constant in (True, False)
        for form in _BOUNDS[metric]
    ]
