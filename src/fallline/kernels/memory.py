"""How a Numba kernel reads and writes tensors: by address, one typed load and store for each array.

A load or a store says to LLVM that arrays do not overlap, which lets loops over many arrays be vectorized. Half types
are widened to float32 as they are read and rounded, to nearest even, as they are written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from llvmlite import ir
from numba import float32, float64, int64, types, uint8, void
from numba.extending import intrinsic

_I32, _F32 = ir.IntType(32), ir.FloatType()


def _bfloat16_to_float(builder: Any, x: Any) -> Any:
    return builder.bitcast(builder.shl(builder.zext(x, _I32), _I32(16)), _F32)


def _float_to_bfloat16(builder: Any, x: Any) -> Any:
    bits = builder.bitcast(x, _I32)
    last = builder.and_(builder.lshr(bits, _I32(16)), _I32(1))
    rounded = builder.lshr(builder.add(bits, builder.add(last, _I32(0x7FFF))), _I32(16))
    nan = builder.fcmp_unordered("uno", x, x)
    return builder.trunc(builder.select(nan, _I32(0x7FC0), rounded), ir.IntType(16))


def _half_to_float(builder: Any, x: Any) -> Any:
    """By shifting the bits into place and rescaling the exponent: exact, denormals included."""
    x = builder.zext(x, _I32)
    magnitude = builder.shl(builder.and_(x, _I32(0x7FFF)), _I32(13))
    scaled = builder.fmul(builder.bitcast(magnitude, _F32), ir.Constant(_F32, 2.0**112))
    special = builder.icmp_unsigned(">=", magnitude, _I32(0x0F800000))
    finite = builder.bitcast(scaled, _I32)
    bits = builder.select(special, builder.or_(magnitude, _I32(0x7F800000)), finite)
    sign = builder.shl(builder.and_(x, _I32(0x8000)), _I32(16))
    return builder.bitcast(builder.or_(bits, sign), _F32)


def _float_to_half(builder: Any, x: Any) -> Any:
    bits = builder.bitcast(x, _I32)
    sign = builder.and_(bits, _I32(0x80000000))
    magnitude = builder.xor(bits, sign)
    # normal results: rebias the exponent and round to nearest even on the 13 bits that go
    odd = builder.and_(builder.lshr(magnitude, _I32(13)), _I32(1))
    rounded = builder.add(builder.sub(magnitude, _I32(112 << 23)), builder.add(odd, _I32(0xFFF)))
    normal = builder.lshr(rounded, _I32(13))
    # denormal results: adding 0.5 lets the float unit round at the right bit
    shifted = builder.fadd(builder.bitcast(magnitude, _F32), ir.Constant(_F32, 0.5))
    denormal = builder.sub(builder.bitcast(shifted, _I32), _I32(0x3F000000))
    value = builder.select(builder.icmp_unsigned("<", magnitude, _I32(113 << 23)), denormal, normal)
    value = builder.select(builder.icmp_unsigned(">=", magnitude, _I32(0x477FF000)), _I32(0x7C00), value)
    value = builder.select(builder.icmp_unsigned(">", magnitude, _I32(0x7F800000)), _I32(0x7E00), value)
    value = builder.or_(value, builder.lshr(sign, _I32(16)))
    return builder.trunc(value, ir.IntType(16))


_Convert = Callable[[Any, Any], Any]

# dtype -> what stands in memory, what is computed with, the way in and the way out
_STORAGE: dict[str, tuple[Any, Any, _Convert | None, _Convert | None]] = {
    "float32": (ir.FloatType(), float32, None, None),
    "float64": (ir.DoubleType(), float64, None, None),
    "bfloat16": (ir.IntType(16), float32, _bfloat16_to_float, _float_to_bfloat16),
    "float16": (ir.IntType(16), float32, _half_to_float, _float_to_half),
    "uint8": (ir.IntType(8), uint8, None, None),
}


def _own_scope(module: Any, index: int, count: int) -> tuple[Any, Any]:
    """The metadata that says: this access touches array `index` and none of the others."""
    domain = module.add_metadata(["fallline"])
    scopes = [module.add_metadata([f"fallline array {k}", domain]) for k in range(count)]
    others = [scope for k, scope in enumerate(scopes) if k != index]
    return module.add_metadata([scopes[index]]), module.add_metadata(others)


def _access(builder: Any, memory: Any, address: Any, offset: Any) -> Any:
    return builder.gep(builder.inttoptr(address, memory.as_pointer()), [offset], inbounds=True)


@lru_cache(maxsize=None)
def array(dtype: str, index: int, count: int) -> tuple[Any, Any]:
    """`load(address, i)` and `store(address, i, value)` for array `index` of `count` that do not overlap."""
    memory, number, widen, narrow = _STORAGE[dtype]

    def mark(module: Any, instruction: Any) -> None:
        mine, others = _own_scope(module, index, count)
        instruction.set_metadata("alias.scope", mine)
        instruction.set_metadata("noalias", others)

    @intrinsic
    def load(typing: Any, address: Any, offset: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_access(builder, memory, *args), align=memory_size(memory))
            mark(builder.module, value)
            return value if widen is None else widen(builder, value)

        return number(int64, int64), generate

    @intrinsic
    def store(typing: Any, address: Any, offset: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = args[2] if narrow is None else narrow(builder, args[2])
            place = _access(builder, memory, *args[:2])
            mark(builder.module, builder.store(value, place, align=memory_size(memory)))
            return context.get_dummy_value()

        return void(int64, int64, number), generate

    return load, store


def memory_size(memory: Any) -> int:
    """Bytes of one element."""
    return {ir.IntType(8): 1, ir.IntType(16): 2, ir.FloatType(): 4, ir.DoubleType(): 8}[memory]


@lru_cache(maxsize=None)
def as_stored(dtype: str) -> Any:
    """`rounded(x)`: the number as memory of that type holds it."""
    _, number, widen, narrow = _STORAGE[dtype]

    @intrinsic
    def rounded(typing: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            if widen is None or narrow is None:
                return args[0]
            return widen(builder, narrow(builder, args[0]))

        return number(number), generate

    return rounded


def _numbers(memory: Any, number: Any) -> tuple[Any, Any]:
    """`read(address, k)` and `write(address, k, value)` for number `k` of those that lie one after another."""

    @intrinsic
    def read(typing: Any, address: Any, k: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(_access(builder, memory, *args))

        return number(int64, int64), generate

    @intrinsic
    def write(typing: Any, address: Any, k: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store(args[2], _access(builder, memory, *args[:2]))
            return context.get_dummy_value()

        return void(int64, int64, number), generate

    return read, write


integer, _ = _numbers(ir.IntType(64), int64)
number, put = _numbers(ir.DoubleType(), float64)


@intrinsic
def address(typing: Any, array: Any) -> Any:
    """Where a NumPy array's numbers lie."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return int64(array), generate


@intrinsic
def call(
    typing: Any, kernel: Any, table: Any, words: Any, rows: Any, count: Any, partials: Any, begin: Any, end: Any
) -> Any:
    """Call the kernel at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 7)
        builder.call(builder.inttoptr(args[0], function.as_pointer()), args[1:])
        return context.get_dummy_value()

    return void(*[int64] * 8), generate


@intrinsic
def narrow_vectors(typing: Any) -> Any:
    """Have LLVM vectorize the function that calls this with 256 bits, where it would take 512."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite knows the attributes of the language, not those of targets, and refuses them by name
        set.add(builder.function.attributes, '"prefer-vector-width"="256"')
        return context.get_dummy_value()

    return void(), generate


@intrinsic
def pointer(typing: Any, address: Any) -> Any:
    """An address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.voidptr(int64), generate


@intrinsic
def take(typing: Any, counter: Any, amount: Any) -> Any:
    """Add to the int64 at an address and give what it was, as one act among threads."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", place, args[1], "monotonic")

    return int64(int64, int64), generate
