"""Kernels typed by hand: an expression in t = <x, y>, read without running any of its text.

Python's own grammar gives the syntax tree; every node that is no arithmetic is refused, and the
rest is rebuilt in SymPy bottom-up. Nothing is evaluated from text, and limits on length, depth,
exponents and numbers keep the exact arithmetic small.
"""

import ast
import operator
import warnings
from collections.abc import Callable

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

MAX_LENGTH = 1000
MAX_DEPTH = 60
MAX_EXPONENT = 64
MAX_NUMBER = 1e300

FUNCTIONS: dict[str, Callable[..., sympy.Expr]] = {
    name: getattr(sympy, name)
    for name in (
        "exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
        "erf", "Abs", "Min", "Max",
    )
}  # fmt: skip

_T = sympy.Symbol("t")
_NAMES = {"t": _T, "pi": sympy.pi, "E": sympy.E}
_OPERATORS: dict[type[ast.operator], Callable[..., sympy.Expr]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def parse(text: str) -> sympy.Expr:
    """Read an expression in t, such as ``"exp(t)*t**2"``.

    Parameters
    ----------
    text : str
        Numbers, ``t``, ``pi``, ``E``, the operators ``+ - * / **``, parentheses, and calls of the
        functions in ``FUNCTIONS``.

    Returns
    -------
    sympy.Expr
        Its only free symbol, if any, is ``Symbol("t")``.

    Raises
    ------
    ValueError
        If the text is no such expression; if it is longer than 1000 characters or deeper than 60
        operations; if a constant exponent exceeds 64 or a number 1e300 in size; or if a constant
        part is complex or not finite.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"the expression must have at most {MAX_LENGTH} characters; got {len(text)}"
        )
    try:
        with warnings.catch_warnings():
            # Python comments on spellings such as "1if"; they are refused below.
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", "too deep or not text")
        raise ValueError(
            f"the expression must be arithmetic in t, such as 'exp(t)*t**2'; got {text[:60]!r} "
            f"({reason})"
        ) from None
    _check_names(tree)
    return _build(tree, 0)


def profile(expression: sympy.Expr) -> Callable[[ArrayLike], NDArray]:
    """Compile an expression in t for arrays; where it is not real it is NaN, without a warning."""
    compiled = sympy.lambdify(_T, expression, ["numpy", "scipy"])

    def evaluate(cosine: ArrayLike) -> NDArray:
        u = np.asarray(cosine)
        # Long double stays: it resolves eigenvalues below the rounding of float64.
        u = u.astype(np.promote_types(u.dtype, np.float64), copy=False)
        with np.errstate(all="ignore"):
            values = compiled(u)
        return np.array(np.broadcast_to(values, u.shape), dtype=np.result_type(values, u))

    return evaluate


def _check_names(tree: ast.expr) -> None:
    """Name all foreign symbols at once."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    symbols = sorted({n.id for n in names if id(n) not in called and n.id not in _NAMES})
    if symbols:
        raise ValueError(
            f"the expression may contain no symbol but t (and pi, E); got {', '.join(symbols)}"
        )
    unknown = sorted({n.id for n in names if id(n) in called and n.id not in FUNCTIONS})
    if unknown:
        raise ValueError(
            f"the expression may call {', '.join(FUNCTIONS)}; got {', '.join(unknown)}"
        )


def _build(node: ast.expr, depth: int) -> sympy.Expr:
    if depth > MAX_DEPTH:
        raise ValueError(f"the expression must be at most {MAX_DEPTH} operations deep")
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            built = sympy.sympify(value)
        case ast.Name(id=name):
            built = _NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            built = -_build(operand, depth + 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            built = _build(operand, depth + 1)
        case ast.BinOp(op=ast.BitXor()):
            raise ValueError("the expression must write powers with **; got ^")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = _build(left, depth + 1), _build(right, depth + 1)
            if isinstance(op, ast.Pow):
                _check_exponent(b)
            built = _OPERATORS[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if not any(
            isinstance(argument, ast.Starred) for argument in arguments
        ):
            built = _call(name, [_build(argument, depth + 1) for argument in arguments])
        case _:
            raise ValueError(
                "the expression may contain only numbers, t, + - * / ** and function calls; got "
                f"{ast.unparse(node)[:60]!r}"
            )
    _check_size(built)
    return built


def _call(name: str, arguments: list[sympy.Expr]) -> sympy.Expr:
    variadic = name in ("Min", "Max")
    if not arguments or (len(arguments) > 1 and not variadic):
        raise ValueError(
            f"{name} must have {'arguments' if variadic else 'one argument'}; got {len(arguments)}"
        )
    if name == "exp":
        _check_logarithms(arguments[0])
    return FUNCTIONS[name](*arguments)


def _check_exponent(exponent: sympy.Expr) -> None:
    _check_logarithms(exponent)
    if exponent.is_number and abs(float(exponent)) > MAX_EXPONENT:
        raise ValueError(f"exponents must lie in [-{MAX_EXPONENT}, {MAX_EXPONENT}]; got {exponent}")


def _check_logarithms(exponent: sympy.Expr) -> None:
    """SymPy turns exp(n log(a)) into a**n, which must not be larger than a power typed as such."""
    if exponent.has(sympy.log):
        largest = max((abs(n) for n in exponent.atoms(sympy.Number)), default=0)
        if largest > MAX_EXPONENT:
            raise ValueError(
                f"an exponent with log may hold numbers of size at most {MAX_EXPONENT}; got "
                f"{float(largest):g}"
            )


def _check_size(built: sympy.Expr) -> None:
    """Refuse numbers that have grown too large, and constants that are no real numbers."""
    for number in built.atoms(sympy.Rational, sympy.Float):
        parts = (number.p, number.q) if number.is_Rational else (number,)
        if max(abs(part) for part in parts) >= MAX_NUMBER:
            raise ValueError(f"numbers must be below {MAX_NUMBER:g} in size")
    if built.has(sympy.I, sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
        raise ValueError("the expression must be real and finite on [-1, 1]")
    if built.is_number:
        value = complex(built.evalf())
        if value.imag != 0 or not abs(value.real) < MAX_NUMBER:
            raise ValueError(
                f"constants must be real and below {MAX_NUMBER:g} in size; got {built}"
            )
