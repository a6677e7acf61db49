r"""Balls of F1 and of F2 against a ridge function with kinks, with and without a bias.

The target on :math:`S^{d-1}`, d >= 3, is :math:`f(x) = \max(|t| - a, 0)` with
:math:`t = \langle x, e\rangle` and :math:`0 < a < 1`. It is even, as functions must be that the
rectifier, alpha odd, can represent (:mod:`lazyactive.theory.function_spaces`).

*Infinite norm.* For alpha = 1 the second derivatives of a neuron are, as distributions, a function
plus a mass on its great sphere, orthogonal to theta; those of f have a mass on the parallels
:math:`t = \pm a`. Each great sphere, of dimension d - 2, meets these in a null set of theirs, so a
finite measure over neurons leaves no mass there: f is not in F1.

*How fast it is approached.* Averaging over the rotations about e changes neither f nor, upwards,
norm and error. So the best measure is zonal, a measure gamma of :math:`s = \langle\theta,
e\rangle`. The ring of neurons at s is a function of t that is singular at the parallels which its
great spheres touch, :math:`t^2 + s^2 = 1`: near there the share of the ring that covers t grows as
the power (d - 2)/2 of the distance, and its mean activation as the power
:math:`\alpha + (d-2)/2`. So f is locally a fractional integral of gamma, of order
:math:`\alpha + d/2`, and to resolve its kink to a scale h takes

.. math:: \gamma_h \approx D^{\alpha + d/2} (t - a)_+ = D^{\alpha + d/2 - 2}\,\delta_h
          \approx h^{-(\alpha + d/2 - 1)} \text{ on a set of length } h ,

of norm :math:`\beta \approx h^{-(\alpha + d/2 - 1 - 1/q)}`, q = 1 in F1 and q = 2 in F2. The
supremum norm of the error is h. Nothing does better: a finite difference mu of high order at the
kink, of scale h and total variation 1, has :math:`\int f\,d\mu \approx h`, while
:math:`\int \sigma(\langle x, \theta\rangle)\,d\mu(x)` is about :math:`h^{\alpha + d/2 - 1}` on a
set of length h, so that a ball of radius beta keeps away from f by
:math:`h - \beta h^{\alpha + d/2 - 1/q}`, up to constants.
"""

import sympy

from ._checks import check_integer
from .prediction import Prediction

# The power q of the norm of a density over neurons, in which a space has its unit ball.
_POWERS = {"F1": 1, "F2": 2}

_a, _beta = sympy.symbols("a beta", positive=True)


def kink_exponent(space: str, d: int | sympy.Expr, alpha: int | sympy.Expr = 1) -> sympy.Expr:
    r"""Exponent r such that a ball of radius beta is about :math:`\beta^{-r}` away from f.

    .. math:: r = \frac1{\alpha + d/2 - 1 - 1/q}

    In high dimension r is 2/d in both spaces: the ratio of F1's exponent to F2's,
    :math:`1 + 1/(d + 2\alpha - 4)`, tends to one.

    Parameters
    ----------
    space : {"F1", "F2"}
    d, alpha : int or sympy.Expr
        Ambient dimension (>= 3), power of the rectifier (odd).

    Raises
    ------
    ValueError
        If the space is unknown, `d` too small or `alpha` even.
    """
    if space not in _POWERS:
        raise ValueError(f"space must be F1 or F2, got {space!r}.")
    if not isinstance(d, sympy.Expr):
        d = check_integer("d", d, 3)
    if not isinstance(alpha, sympy.Expr):
        alpha = check_integer("alpha", alpha, 1)
        if alpha % 2 == 0:
            raise ValueError(f"alpha must be odd for an even target, got {alpha}.")
    h = sympy.Symbol("h", positive=True)
    q = sympy.Integer(_POWERS[space])
    log_radius = -(alpha + sympy.sympify(d) / 2 - 1 - 1 / q) * sympy.log(h)
    return sympy.factor(sympy.simplify(-sympy.log(h) / log_radius))


def kink_approximation(space: str, d: int, alpha: int = 1) -> Prediction:
    """Distance in the supremum norm from f to a ball of radius `beta`, up to a constant.

    Parameters
    ----------
    space : {"F1", "F2"}
    d, alpha : int
        As in `kink_exponent`.
    """
    return Prediction(
        _beta ** -kink_exponent(space, d, alpha),
        "asymptotic",
        f"alpha = {alpha}, d = {d}, no constant coordinate, beta to infinity, up to a constant",
        "derived in lazyactive.theory.ridge_approximation",
        f"distance from a ridge function to a ball of {space}",
    )


def lifted_f1_norm() -> Prediction:
    r"""F1 norm of f when neurons see :math:`(x, 1)/\sqrt2`, as a function of the kink `a`.

    Two neurons represent f: :math:`\theta_\pm = (\pm e, -a)/\sqrt{1+a^2}`, with weights
    :math:`\sqrt2 \sqrt{1+a^2}`. No measure has less total variation: the second derivatives of f
    have a mass on the parallel t = a, those of a neuron on the section of the sphere by its own
    hyperplane, and two sections that differ meet in a null set. Only the atoms at
    :math:`\theta_+` and :math:`-\theta_+` have mass on this parallel, of one sign, so together
    they must weigh what :math:`\theta_+` does; likewise for t = -a.
    """
    return Prediction(
        2 * sympy.sqrt(2) * sympy.sqrt(1 + _a**2),
        "exact",
        "alpha = 1, every d >= 3, 0 < a < 1",
        "derived in lazyactive.theory.ridge_approximation.lifted_f1_norm",
        "F1 norm of a ridge function, with a constant coordinate",
    )
