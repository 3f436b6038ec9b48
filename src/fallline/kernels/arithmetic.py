"""What a Numba kernel computes without a call, so that a loop over it is vectorized: quotients and exponentials."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float32, njit, types
from numba.extending import intrinsic

_I32, _F32 = ir.IntType(32), ir.FloatType()


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, a, a), generate


@intrinsic
def divide(typing: Any, x: Any, c: Any, r: Any) -> Any:
    """x / c for an `x` of every element and a number `c`, whose reciprocal `r` is at hand.

    The quotient by the reciprocal, corrected by what it leaves over, is the quotient rounded once (Markstein 1990,
    theorem 8), at a third of a division's time; only where the result is denormal its last bit may differ.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, c, r = args
        q = builder.fmul(x, r)
        left = builder.fma(builder.fneg(c), q, x)
        # what infinities and NaN leave over corrects nothing
        finite = builder.fcmp_ordered("==", builder.fsub(left, left), ir.Constant(x.type, 0.0))
        return builder.select(finite, builder.fma(left, r, q), q)

    return x(x, x, x), generate


@intrinsic
def _power_of_two(typing: Any, exponent: Any) -> Any:
    """2**exponent for an integer-valued float32 from -126 to 127, by writing the exponent's bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        biased = builder.add(builder.fptosi(args[0], _I32), _I32(127))
        return builder.bitcast(builder.shl(biased, _I32(23)), _F32)

    return types.float32(types.float32), generate


@njit(inline="always", error_model="numpy")
def exp32(x: Any) -> Any:
    """e**x in float32 without a call, so that a loop over it is vectorized; within 2 ulps.

    e**x = 2**n * e**r with n = round(x / ln 2); e**r by its Taylor series of degree 7 on abs(r) <= ln(2)/2. 2**n is
    applied in two halves, which reaches denormal results.
    """
    low, high = float32(-104.0), float32(89.0)
    y = low if x < low else (high if x > high else x)
    y = y if y == y else float32(0.0)
    shift = float32(12582912.0)  # 1.5 * 2**23: adding it rounds to an integer
    n = (y * float32(1.4426950408889634) + shift) - shift
    r = (y - n * float32(0.693359375)) - n * float32(-2.12194440e-4)
    s = float32(1 / 5040)
    s = s * r + float32(1 / 720)
    s = s * r + float32(1 / 120)
    s = s * r + float32(1 / 24)
    s = s * r + float32(1 / 6)
    s = s * r + float32(0.5)
    s = s * (r * r) + (r + float32(1.0))
    half = (n * float32(0.5) + shift) - shift
    result = (s * _power_of_two(half)) * _power_of_two(n - half)  # type: ignore[call-arg]
    return result if x == x else x
