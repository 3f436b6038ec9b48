"""Roots that a kernel computes without a call, so that a loop over them is vectorized."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import float32, int32, njit, types
from numba.extending import intrinsic

from .arithmetic import fma


@intrinsic
def _bits(typing: Any, x: Any) -> Any:
    """The bits of a float32 as an integer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def _number(typing: Any, bits: Any) -> Any:
    """The float32 of bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(inline="always", error_model="numpy")
def cube_root32(x: Any) -> Any:
    """x**(1/3) in float32, NaN below zero; within an ulp.

    Of x**(-1/3) a third of the exponent gives the start, Newton's iteration r (4 - x r^3) / 3 the rest; a last step on
    the root itself, its remainder rounded once, leaves the rounding alone.
    """
    third = float32(1 / 3)
    tiny = x < float32(2.0**-120)
    y = abs(x * float32(2.0**24) if tiny else x)
    bits: Any = _bits(y)  # type: ignore[call-arg]
    r: Any = _number(int32(0x54A2FA8C) - int32(float32(bits) * third))
    for _ in range(3):
        r = r * (float32(4.0) - y * r * r * r) * third
    root = y * r * r
    left: Any = fma(-root * root, root, y)
    root = root + left * (r * r) * third
    root = root * float32(2.0**-8) if tiny else root
    root = root if x < float32(math.inf) else x
    return root if x >= float32(0.0) else float32(math.nan)
