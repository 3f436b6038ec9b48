"""How a Numba kernel reduces: in float64, with as many partial sums at once as the machine's vectors hold.

What a block of elements gives depends on the block alone, so that it is the same however blocks are shared among
threads. The largest of floating-point numbers is found among integers in the same order, in which a loop over them is
vectorized and NaN can stand above all.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float64, int32, int64, types
from numba.extending import intrinsic

_RANKS: dict[Any, tuple[Any, Any, Any, int]] = {
    types.float32: (int32, ir.IntType(32), ir.FloatType(), 0x7FC00000),
    types.float64: (int64, ir.IntType(64), ir.DoubleType(), 0x7FF8 << 48),
}

LOWEST = {"float32": "int32(-2147483648)", "float64": "int64(-9223372036854775808)"}
"""Below the rank of every number."""


@intrinsic
def accumulate(typing: Any, total: Any, x: Any) -> Any:
    """total + x, where the terms may be added in another order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=("reassoc",))

    return float64(float64, float64), generate


def _turned(builder: Any, bits: Any, kind: Any) -> Any:
    """Of a negative number all bits but the sign, so that integers compare as the numbers do; its own inverse."""
    sign = builder.ashr(bits, kind(kind.width - 1))
    return builder.xor(bits, builder.and_(sign, kind((1 << (kind.width - 1)) - 1)))


@intrinsic
def rank(typing: Any, x: Any) -> Any:
    """An integer that is the greater the greater `x` is, and the greatest for NaN."""
    integer, kind, _, nan = _RANKS[x]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        turned = _turned(builder, builder.bitcast(args[0], kind), kind)
        return builder.select(builder.fcmp_unordered("uno", args[0], args[0]), kind(nan), turned)

    return integer(x), generate


@intrinsic
def ranked(typing: Any, rank: Any) -> Any:
    """The number of that rank."""
    number = types.float32 if rank == int32 else types.float64
    _, kind, memory, _ = _RANKS[number]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(_turned(builder, args[0], kind), memory)

    return number(rank), generate
