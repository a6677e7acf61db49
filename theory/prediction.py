"""What a theory says: an expression, and the sense in which it is meant."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike

KINDS = ("exact", "upper bound", "lower bound", "asymptotic")


@dataclass(frozen=True)
class Prediction:
    """A SymPy expression together with its meaning and its origin.

    Parameters
    ----------
    expression : sympy.Expr
        The predicted quantity, as a function of its free symbols.
    kind : {"exact", "upper bound", "lower bound", "asymptotic"}
        The relation between the expression and the quantity that can be measured.
    conditions : str
        When the prediction applies.
    source : str
        A key of references.bib and the place in it, or "derived in <docstring>".
    name : str, default=""
        A label for tables and figures.

    Raises
    ------
    ValueError
        If `kind` is unknown, or if two different free symbols carry the same name.

    Examples
    --------
    >>> import sympy
    >>> from lazyactive.theory.prediction import Prediction
    >>> n = sympy.Symbol("n", positive=True)
    >>> rate = Prediction(n ** sympy.Rational(-1, 2), "upper bound", "n >= 1", "bach2017breaking")
    >>> rate(n=[4, 100]).tolist()
    [0.5, 0.1]
    """

    expression: sympy.Expr
    kind: str
    conditions: str
    source: str
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "expression", sympy.sympify(self.expression))
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}.")
        if len(set(self.symbols)) < len(self.symbols):
            raise ValueError(
                f"expression must not have two symbols of one name, got {self.expression}."
            )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the free symbols, sorted: the keyword arguments of a call."""
        return tuple(sorted(symbol.name for symbol in self.expression.free_symbols))

    @cached_property
    def _function(self) -> Any:
        symbols = sorted(self.expression.free_symbols, key=lambda symbol: symbol.name)
        return sympy.lambdify(symbols, self.expression, modules=["scipy", "numpy"])

    def __call__(self, **values: ArrayLike) -> Any:
        """Evaluate on numbers or arrays, one keyword per symbol, with broadcasting.

        Returns
        -------
        numpy.float64 or ndarray of float64
            Shape of the broadcast arguments.

        Raises
        ------
        ValueError
            If a symbol is missing, or an argument is not a symbol of the expression.
        """
        if set(values) != set(self.symbols):
            raise ValueError(
                f"symbols must be exactly ({', '.join(self.symbols)}), "
                f"got ({', '.join(sorted(values))})."
            )
        # Integers are promoted because NumPy refuses an integer to a negative power.
        arrays = [np.asarray(values[name], dtype=np.float64) for name in self.symbols]
        return np.asarray(self._function(*arrays), dtype=np.float64)[()]

    def latex(self) -> str:
        """The expression in LaTeX, without dollar signs."""
        return sympy.latex(self.expression)
