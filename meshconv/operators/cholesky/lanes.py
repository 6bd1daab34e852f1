"""Kernels for fronts too small for LAPACK's calls to pay, on vectors of eight numbers.

Loops over rows of a front are so short that a compiler's own vectors leave most of them over; here
the last vector of a column is masked instead.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_LANES = 8
_NUMBER, _VECTOR = ir.DoubleType(), ir.VectorType(ir.DoubleType(), _LANES)
_MASK, _WHOLE, _INDEX = ir.VectorType(ir.IntType(1), _LANES), ir.IntType(64), ir.IntType(32)
_FUSED = ("contract",)


class _Writer:
    """Writes code on vectors: what follows of a column of `rows` numbers from `at` on."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def splat(self, value: Any, kind: Any) -> Any:
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(undefined, value, _INDEX(0))
        lanes = ir.Constant(ir.VectorType(_INDEX, _LANES), [0] * _LANES)
        return self.builder.shuffle_vector(one, undefined, lanes)

    def mask(self, left: Any) -> Any:
        kind = ir.VectorType(_WHOLE, _LANES)
        lanes = ir.Constant(kind, list(range(_LANES)))
        return self.builder.icmp_signed("<", lanes, self.splat(left, kind))

    def load(self, data: Any, index: Any, mask: Any) -> Any:
        place = self._place(data, index)
        form = ir.FunctionType(_VECTOR, [place.type, _INDEX, _MASK, _VECTOR])
        function = self.declared("llvm.masked.load.v8f64.p0", form)
        zeros = ir.Constant(_VECTOR, [0.0] * _LANES)
        return self.builder.call(function, [place, _INDEX(8), mask, zeros])

    def store(self, value: Any, data: Any, index: Any, mask: Any) -> None:
        place = self._place(data, index)
        form = ir.FunctionType(ir.VoidType(), [_VECTOR, place.type, _INDEX, _MASK])
        function = self.declared("llvm.masked.store.v8f64.p0", form)
        self.builder.call(function, [value, place, _INDEX(8), mask])

    def number(self, data: Any, index: Any) -> Any:
        return self.splat(self.builder.load(self.builder.gep(data, [index])), _VECTOR)

    def less(self, a: Any, b: Any, c: Any) -> Any:
        """Return a - b c."""
        product = self.builder.fmul(b, c, flags=_FUSED)
        return self.builder.fsub(a, product, flags=_FUSED)

    def _place(self, data: Any, index: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(data, [index]), _VECTOR.as_pointer())

    def declared(self, name: str, form: Any) -> Any:
        module = self.builder.module
        return module.globals.get(name) or ir.Function(module, form, name)


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _subtract_tile(w: _Writer, arguments: Any, at: Any, vectors: int, columns: int) -> None:
    a, ia, ib, c, ic, ld, ldc, depth, rows = arguments
    builder = w.builder
    left = builder.sub(rows, at)
    masks = [w.mask(builder.sub(left, _WHOLE(_LANES * r))) for r in range(vectors)]
    places = [
        builder.add(builder.add(ic, builder.mul(ldc, _WHOLE(j))), builder.add(at, _WHOLE(8 * r)))
        for j in range(columns)
        for r in range(vectors)
    ]
    sums = [cgutils.alloca_once(builder, _VECTOR) for _ in places]
    for t, place in enumerate(places):
        builder.store(w.load(c, place, masks[t % vectors]), sums[t])
    with cgutils.for_range(builder, depth) as loop:
        shift = builder.mul(loop.index, ld)
        top = builder.add(builder.add(ia, at), shift)
        column = [w.load(a, builder.add(top, _WHOLE(_LANES * r)), masks[r]) for r in range(vectors)]
        for j in range(columns):
            factor = w.number(a, builder.add(builder.add(ib, shift), _WHOLE(j)))
            for r in range(vectors):
                t = j * vectors + r
                builder.store(w.less(builder.load(sums[t]), column[r], factor), sums[t])
    for t, place in enumerate(places):
        w.store(builder.load(sums[t]), c, place, masks[t % vectors])


def _subtraction(columns: int) -> Any:
    @intrinsic
    def subtract(
        typingctx: Any,
        a: Any,
        ia: Any,
        ib: Any,
        c: Any,
        ic: Any,
        ld: Any,
        ldc: Any,
        depth: Any,
        rows: Any,
    ) -> Any:
        """C (rows, columns) -= A (rows, depth) B (columns, depth)', all by columns."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values = list(arguments)
            values[0] = _data(context, builder, signature.args[0], values[0])
            values[3] = _data(context, builder, signature.args[3], values[3])
            w, rows = _Writer(builder), values[-1]
            pairs = builder.sdiv(builder.add(rows, _WHOLE(7)), _WHOLE(16))
            with cgutils.for_range(builder, pairs) as loop:
                _subtract_tile(w, values, builder.mul(loop.index, _WHOLE(16)), 2, columns)
            at = builder.mul(pairs, _WHOLE(16))
            with builder.if_then(builder.icmp_signed("<", at, rows)):
                _subtract_tile(w, values, at, 1, columns)
            return context.get_dummy_value()

        return types.void(a, *[types.intp] * 2, c, *[types.intp] * 5), generate

    return subtract


subtract_1, subtract_4 = _subtraction(1), _subtraction(4)


@intrinsic
def substitute_4(typingctx: Any, a: Any, top: Any, at: Any, ld: Any, rows: Any) -> Any:
    """X (rows, 4) := X L'^(-1) for the triangle L of four columns at `top`, whose diagonal is given
    as reciprocals; X lies at `at`, both in columns of length `ld`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature.args[0], arguments[0])
        top, at, ld, rows = arguments[1:]
        w = _Writer(builder)
        shifts = [builder.mul(ld, _WHOLE(j)) for j in range(4)]
        triangle = [
            [
                w.number(data, builder.add(builder.add(top, shifts[j]), _WHOLE(i)))
                for j in range(i + 1)
            ]
            for i in range(4)
        ]
        vectors = builder.sdiv(builder.add(rows, _WHOLE(_LANES - 1)), _WHOLE(_LANES))
        with cgutils.for_range(builder, vectors) as loop:
            done = builder.mul(loop.index, _WHOLE(_LANES))
            mask = w.mask(builder.sub(rows, done))
            places = [builder.add(builder.add(at, done), shift) for shift in shifts]
            x = [w.load(data, place, mask) for place in places]
            for i in range(4):
                for j in range(i):
                    x[i] = w.less(x[i], x[j], triangle[i][j])
                x[i] = builder.fmul(x[i], triangle[i][i])
                w.store(x[i], data, places[i], mask)
        return context.get_dummy_value()

    return types.void(a, *[types.intp] * 4), generate


@intrinsic
def add_run(typingctx: Any, a: Any, ia: Any, c: Any, ic: Any, count: Any) -> Any:
    """c[ic : ic + count] += a[ia : ia + count]"""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, at, target, to, count = arguments
        data = _data(context, builder, signature.args[0], data)
        target = _data(context, builder, signature.args[2], target)
        w = _Writer(builder)
        vectors = builder.sdiv(builder.add(count, _WHOLE(_LANES - 1)), _WHOLE(_LANES))
        with cgutils.for_range(builder, vectors) as loop:
            done = builder.mul(loop.index, _WHOLE(_LANES))
            mask, place = w.mask(builder.sub(count, done)), builder.add(to, done)
            value = w.load(data, builder.add(at, done), mask)
            w.store(builder.fadd(value, w.load(target, place, mask)), target, place, mask)
        return context.get_dummy_value()

    return types.void(a, types.intp, c, *[types.intp] * 2), generate


@intrinsic
def prefetch(typingctx: Any, a: Any, index: Any) -> Any:
    """Ask for an element of an array before it is needed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature.args[0], arguments[0])
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        form = ir.FunctionType(ir.VoidType(), [place.type, _INDEX, _INDEX, _INDEX])
        function = _Writer(builder).declared("llvm.prefetch.p0", form)
        builder.call(function, [place, _INDEX(0), _INDEX(3), _INDEX(1)])
        return context.get_dummy_value()

    return types.void(a, types.intp), generate
