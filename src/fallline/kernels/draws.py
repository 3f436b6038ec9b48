"""A rule's random draws in Numba kernels: the bits of `rules/draws.py`, an element at a time, of what vectorizes.

`normal(key, part, i)`, `uniform(key, part, i)` and `rademacher(key, part, i)` are the numbers of the element with the
index `part * 2**32 + i`: loops are cut where `part` changes, so that they count in 32 bits. They are written as LLVM's
instructions, for Numba's own would widen numbers of 32 bits to 64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import float32, int64, uint64
from numba.extending import intrinsic

from ..rules.draws import DENOMINATOR, LAST, LOG2, NUMERATOR, ROOT_HALF, ROUNDS
from .codes import inlined, mix

_I32, _F32 = ir.IntType(32), ir.FloatType()


@inlined
def of_step(seed: Any, t: Any) -> Any:
    """What a key is made of that all parameters have in common."""
    return mix(mix(uint64(0), uint64(int64(seed))), uint64(int64(t)))


@inlined
def of_tensor(k: Any, place: Any, stream: Any) -> Any:
    """The key of a parameter's draws, of `of_step`."""
    return mix(mix(k, uint64(place)), uint64(stream))


def _drawn(number: Callable[[Any, Any], Any]) -> Any:
    """`draw(key, part, i)` in a kernel: what `number` makes of the random bits of an element."""

    @intrinsic
    def draw(typing: Any, key: Any, part: Any, i: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return number(builder, _bits(builder, *args))

        return float32(uint64, int64, int64), generate

    return draw


def _bits(builder: Any, key: Any, part: Any, i: Any) -> Any:
    low, high = key, builder.lshr(key, ir.IntType(64)(32))
    low, high, part, i = (builder.trunc(x, _I32) for x in (low, high, part, i))
    x, high = builder.add(i, low), builder.add(part, high)
    for k, (shift, factor) in enumerate(ROUNDS):
        x = builder.xor(x, high) if k == 1 else x
        x = builder.xor(x, builder.lshr(x, _I32(shift)))
        x = builder.mul(x, _I32(factor))
    return builder.xor(x, builder.lshr(x, _I32(LAST)))


def _uniform(builder: Any, bits: Any) -> Any:
    return builder.fmul(builder.sitofp(builder.lshr(bits, _I32(8)), _F32), _F32(2.0**-24))


def _rademacher(builder: Any, bits: Any) -> Any:
    return builder.sitofp(builder.or_(builder.ashr(bits, _I32(31)), _I32(1)), _F32)


def _normal(builder: Any, bits: Any) -> Any:
    side = builder.xor(bits, builder.ashr(bits, _I32(31)))
    tail = _centred(builder, builder.sub(_I32(0x7FFFFFFF), side))
    product = builder.bitcast(builder.fmul(tail, builder.fsub(_F32(2.0**32), tail)), _I32)
    exponent = builder.ashr(builder.sub(product, _I32(ROOT_HALF)), _I32(23))
    scaled = builder.sub(product, builder.shl(exponent, _I32(23)))
    x = builder.fsub(builder.bitcast(scaled, _F32), _F32(1.0))
    whole = builder.sitofp(builder.sub(_I32(62), exponent), _F32)
    w = builder.fsub(whole, builder.fmul(x, _polynomial(builder, LOG2, x)))
    quotient = builder.fdiv(_polynomial(builder, NUMERATOR, w), _polynomial(builder, DENOMINATOR, w))
    return builder.fmul(_centred(builder, bits), quotient)


def _centred(builder: Any, x: Any) -> Any:
    return builder.fadd(builder.sitofp(x, _F32), _F32(0.5))


def _polynomial(builder: Any, coefficients: Sequence[float], x: Any) -> Any:
    value = _F32(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = builder.fadd(builder.fmul(value, x), _F32(coefficient))
    return value


normal, uniform, rademacher = map(_drawn, (_normal, _uniform, _rademacher))
