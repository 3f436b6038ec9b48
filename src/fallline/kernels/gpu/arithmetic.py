"""What a rule's operations are on a GPU where Triton's own differ from PyTorch's on the CPU: exact, and NaN kept."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def divide(x, y):
    """x / y, rounded once: `/` of float32 is two units off."""
    return tl.div_rn(x, y) if x.dtype == tl.float32 else x / y


@triton.jit
def root(x):
    """The square root, rounded once."""
    return tl.sqrt_rn(x) if x.dtype == tl.float32 else tl.sqrt(x)


@triton.jit
def sign(x):
    """-1, 0 or 1; 0 of NaN."""
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)


@triton.jit
def maximum(x, y):
    """The larger; NaN if the first is."""
    return tl.where((x > y) | (x != x), x, y)


@triton.jit
def minimum(x, y):
    """The smaller; NaN if the first is."""
    return tl.where((x < y) | (x != x), x, y)


@triton.jit
def power(x, y):
    """x**y, of a negative x for whole y only."""
    magnitude = tl.exp2(y * tl.log2(tl.abs(x)))
    half = y * 0.5
    of_negative = tl.where(half == tl.floor(half), magnitude, -magnitude)
    of_negative = tl.where(y == tl.floor(y), of_negative, float("nan"))
    powered = tl.where(x < 0, of_negative, magnitude)
    return tl.where(y == 0, 1.0, tl.where(x == 1, 1.0, powered)).to(x.dtype)


@triton.jit
def tanh(x):
    """The hyperbolic tangent: from exponentials, near zero from its series, which keeps small values' digits."""
    e = tl.exp(-2 * tl.abs(x))
    far = divide(1 - e, 1 + e)
    square = x * x
    near = tl.abs(x) * (1 - square * (1 / 3 - square * (2 / 15 - square * (17 / 315))))
    size = tl.where(tl.abs(x) < 0.1, near, far)
    return tl.where(x < 0, -size, size).to(x.dtype)


@triton.jit
def modulo(x, y):
    """What a division leaves, with the divisor's sign, as in Python."""
    return x - tl.floor(divide(x, y)) * y


@triton.jit
def summed(x):
    """The sum of a block."""
    return tl.sum(x, axis=0)


@triton.jit
def highest(x):
    """The largest of a block; NaN if one is."""
    found = tl.max(x, axis=0)
    return tl.where(tl.sum((x != x).to(tl.int32), axis=0) > 0, float("nan"), found)


@triton.jit
def lowest(x):
    """The smallest of a block; NaN if one is."""
    found = tl.min(x, axis=0)
    return tl.where(tl.sum((x != x).to(tl.int32), axis=0) > 0, float("nan"), found)
