"""Eight-bit codes and random rounding in Numba kernels: the same bits as in `formats.py`, of what vectorizes.

An element's code is a few operations on its 32 bits, without tables. A kernel goes through an array by blocks: it reads
a block's elements with `load_signed` or `load_unsigned`, leaves their new values in a `buffer`, and notes the largest
magnitude, from which `close_signed` or `close_unsigned` then code the buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import float32, int64, njit, uint8, uint32, uint64
from numba.extending import intrinsic

from ..rules import draws
from .dither import BLOCK, GOLDEN
from .formats import CUT, FRACTION, LARGEST, LEAST, SIGNED_POWERS

inlined = njit(inline="always", error_model="numpy")


def _of_bits(result: Any, operands: tuple[Any, ...], write: Callable[..., Any]) -> Any:
    """A function in a kernel: one instruction of LLVM, where Numba's own would widen numbers of 32 bits to 64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return write(builder, *args)

    def unary(typing: Any, x: Any) -> Any:
        return result(*operands), generate

    def binary(typing: Any, x: Any, y: Any) -> Any:
        return result(*operands), generate

    return intrinsic(unary if len(operands) == 1 else binary)


bits_of = _of_bits(uint32, (float32,), lambda builder, x: builder.bitcast(x, ir.IntType(32)))
float_of = _of_bits(float32, (uint32,), lambda builder, bits: builder.bitcast(bits, ir.FloatType()))
plus = _of_bits(uint32, (uint32, uint32), lambda builder, a, b: builder.add(a, b))
minus = _of_bits(uint32, (uint32, uint32), lambda builder, a, b: builder.sub(a, b))
both = _of_bits(uint32, (uint32, uint32), lambda builder, a, b: builder.and_(a, b))
either = _of_bits(uint32, (uint32, uint32), lambda builder, a, b: builder.or_(a, b))
left = _of_bits(uint32, (uint32, uint32), lambda builder, a, count: builder.shl(a, count))
right = _of_bits(uint32, (uint32, uint32), lambda builder, a, count: builder.lshr(a, count))


@intrinsic
def buffer(typing: Any) -> Any:
    """The address of room for a block's float32 numbers, which the calling function has to itself."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(ir.FloatType(), BLOCK))
            room.align = 64
        return builder.ptrtoint(room, ir.IntType(64))

    return int64(), generate


@inlined
def magnitude(x: Any) -> Any:
    """A float32's bits without its sign, which are in the order of magnitudes, with infinities and NaN at the end."""
    return both(bits_of(x), uint32(0x7FFFFFFF))


@inlined
def larger(a: Any, b: Any) -> Any:
    """The larger of two numbers of 32 bits."""
    return a if a > b else b


@inlined
def exponent(size: Any) -> Any:
    """The scale of a block whose largest magnitude has these bits."""
    return uint8(right(size, uint32(23)))


mix = inlined(draws.mix)


@inlined
def word(key: Any, block: Any) -> Any:
    """The random 32 bits of a block."""
    return uint32(mix(key, uint64(block)) >> uint64(32))


@intrinsic
def dithered(typing: Any, word: Any, i: Any) -> Any:
    """The random number of element `i` of a block, of the block's word."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = ir.IntType(32)
        return builder.add(args[0], builder.mul(builder.trunc(args[1], bits), ir.Constant(bits, GOLDEN)))

    return uint32(uint32, int64), generate


@inlined
def round_bfloat16(x: Any, number: Any) -> Any:
    """One of the two neighbours that bfloat16 has, by a random number."""
    rounded = float_of(both(plus(bits_of(x), right(number, uint32(16))), uint32(0xFFFF0000)))
    return rounded if x == x else x


@inlined
def signed_base(scale: Any) -> Any:
    return uint32(max(int64(scale) - SIGNED_POWERS, 0) << FRACTION)


@inlined
def unsigned_base(scale: Any) -> Any:
    return uint32(max(((int64(scale) + 1) << FRACTION) - LARGEST, 0))


@inlined
def _cut(bits: Any, number: Any) -> Any:
    """What a code keeps of bits, a random number added below."""
    return right(plus(bits, right(number, uint32(32 - CUT))), uint32(CUT))


@inlined
def poison(scale: Any) -> Any:
    """Bits that make NaN of every number of a block that is not finite."""
    return uint32(0x7FC00000) if scale == LARGEST else uint32(0)


@inlined
def signed_value(code: Any, base: Any, poison: Any) -> Any:
    """The number of a code with a sign."""
    size, low, least = uint32(code & 127), left(base, uint32(CUT)), uint32(LEAST << CUT)
    bits = plus(low, left(size, uint32(CUT)))
    even = float_of(plus(bits, least)) - float_of(plus(low, least))
    value = bits_of(even) if size < LEAST else bits
    return float_of(either(either(value, left(uint32(code & 128), uint32(24))), poison))


@inlined
def unsigned_value(code: Any, base: Any, poison: Any) -> Any:
    """The number of a code without a sign."""
    value = left(plus(base, uint32(code)), uint32(CUT)) if code != 0 else uint32(0)
    return float_of(either(value, poison))


@inlined
def signed_code(x: Any, base: Any, number: Any) -> Any:
    """The code of a number, rounded by a random number."""
    size = magnitude(x)
    least = left(plus(base, uint32(LEAST)), uint32(CUT))
    even = size < least
    bits = bits_of(float_of(size) + float_of(least)) if even else size
    base = plus(base, uint32(LEAST)) if even else base
    code = minus(_cut(bits, number), base)
    return uint8(either(code, both(right(bits_of(x), uint32(24)), uint32(128))))


@inlined
def unsigned_code(x: Any, base: Any, number: Any) -> Any:
    """The code of a number that is not negative, rounded by a random number."""
    kept = _cut(bits_of(x), number)
    code = minus(kept, base) if kept > base else uint32(1)
    return uint8(code if x > 0 else uint32(0))
