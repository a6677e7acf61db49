"""Vectors of a few numbers as values of compiled loops: one variable, one register.

LLVM turns loops into vector instructions by itself, but in a product of matrices it chooses how
many partial sums are held in registers, and on recent machines how wide these are, and chooses
badly. Here the loop says it: `load` reads the `lanes` of one register from a row of an array,
`fma` multiplies and adds, `store` writes back. Registers have the machine's full width.
"""

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.typing import templates
from numba.core.typing.templates import AbstractTemplate, infer_global

__all__ = ["add_totals", "fma", "lanes", "load", "splat", "store", "where_positive"]


# Not typed as what takes a typing context first: it is called without.
intrinsic: Callable[..., Any] = extending.intrinsic


def _register_bytes() -> int:
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") else 16


REGISTER_BYTES = _register_bytes()


class Vector(types.Type):
    """The numbers of one register."""

    def __init__(self, dtype: types.Float):
        self.dtype = dtype
        self.lanes = REGISTER_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


@extending.register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector):
        number = manager.lookup(vector.dtype).get_data_type()
        super().__init__(manager, vector, ir.VectorType(number, vector.lanes))


def _repeat(builder: ir.IRBuilder, number: ir.Value, n: int) -> ir.Value:
    undefined = ir.Constant(ir.VectorType(number.type, n), ir.Undefined)
    single = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(
        single, undefined, ir.Constant(ir.VectorType(ir.IntType(32), n), [0] * n)
    )


def _pointer(
    context: Any, builder: ir.IRBuilder, types_: Any, values: Any, numbers: ir.Type
) -> ir.Value:
    """Where the numbers begin; indices are trusted and not wrapped."""
    array, index = types_[:2]
    structure = context.make_array(array)(context, builder, values[0])
    indices = (
        cgutils.unpack_tuple(builder, values[1])
        if isinstance(index, types.BaseTuple)
        else [values[1]]
    )
    first = cgutils.get_item_pointer(context, builder, array, structure, indices)
    return builder.bitcast(first, numbers.as_pointer())


def _index(array: types.Array) -> types.Type:
    return types.UniTuple(types.intp, array.ndim) if array.ndim > 1 else types.intp


@intrinsic
def lanes(typingctx: Any, array: Any) -> Any:
    """How many numbers of this array fill a register."""
    n = Vector(array.dtype).lanes
    return types.intp(array), lambda context, builder, signature, args: ir.IntType(64)(n)


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """The numbers of an array from this place on, along its last axis."""
    vector = Vector(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        numbers = context.get_value_type(vector)
        value = builder.load(_pointer(context, builder, signature.args, args, numbers))
        value.align = array.dtype.bitwidth // 8
        return value

    return vector(array, _index(array)), generate


@intrinsic
def store(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write to an array from this place on, along its last axis."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args, args, args[2].type)
        builder.store(args[2], pointer).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, _index(array), vector), generate


@intrinsic
def splat(typingctx: Any, number: Any) -> Any:
    """The same number in every lane."""
    vector = Vector(number)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _repeat(builder, args[0], vector.lanes)

    return vector(number), generate


@intrinsic
def fma(typingctx: Any, a: Any, x: Any, y: Any) -> Any:
    """The vector ``a x + y``, rounded once; a may be a number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factor = args[0] if isinstance(a, Vector) else _repeat(builder, args[0], y.lanes)
        name = f"llvm.fma.v{y.lanes}f{y.dtype.bitwidth}"
        kind = args[2].type
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * 3), name
        )
        return builder.call(function, [factor, args[1], args[2]])

    return y(a, x, y), generate


@intrinsic
def where_positive(typingctx: Any, t: Any, x: Any) -> Any:
    """The vector x where t > 0, and zero elsewhere."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type, None)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[1], zero)

    return x(t, x), generate


@intrinsic
def add_totals(typingctx: Any, a: Any, b: Any, c: Any, d: Any, out: Any, index: Any) -> Any:
    """Add the sums over the lanes of four vectors to four numbers of an array, from this place on.

    The vectors are added up together: lanes of all four fill a register until the end.
    """
    n = max(a.lanes, 4)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        *rows, array, place = args

        def take(x: ir.Value, y: ir.Value, lanes: list[int]) -> ir.Value:
            mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
            return builder.shuffle_vector(x, y, mask)

        def fold(x: ir.Value, y: ir.Value, size: int) -> ir.Value:
            """Add the halves of every group of `size` lanes; the groups of x and y alternate."""
            half = size // 2
            kept, moved = [], []
            for s in range(0, n, size):
                kept += [*range(s, s + half), *range(n + s + half, n + s + size)]
                moved += [*range(s + half, s + size), *range(n + s, n + s + half)]
            return builder.fadd(take(x, y, kept), take(x, y, moved))

        if a.lanes < n:
            zeros = ir.Constant(rows[0].type, None)
            rows = [take(x, zeros, list(range(n))) for x in rows]
        x = fold(fold(rows[0], rows[2], n), fold(rows[1], rows[3], n), n // 2)
        size = n // 4
        while size > 1:
            x, size = fold(x, x, size), size // 2
        sums = take(x, x, list(range(0, n, n // 4)))
        numbers = ir.VectorType(context.get_value_type(out.dtype), 4)
        if a.dtype != out.dtype:
            sums = builder.fpext(sums, numbers)
        pointer = _pointer(context, builder, (out, index), (array, place), numbers)
        before = builder.load(pointer)
        before.align = out.dtype.bitwidth // 8
        builder.store(builder.fadd(before, sums), pointer).align = before.align
        return context.get_dummy_value()

    return types.void(a, b, c, d, out, _index(out)), generate


# Not by `overload`, whose functions are compiled at each place where they are called.
def _arithmetic(operation: Callable, instruction: str) -> None:
    @infer_global(operation)
    class OnVectors(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Vector) and args[0] == args[1]:
                return templates.signature(args[0], *args)
            return None

    @extending.lower_builtin(operation, Vector, Vector)
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.mul, "fmul")
