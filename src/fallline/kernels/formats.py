"""Eight-bit codes of blocks of numbers, and random rounding to bfloat16: in PyTorch, the reference of kernels.

A block of 256 elements has one byte for a *scale*: the exponent of its largest magnitude, as float32 has it. Codes are
float32 numbers cut short and counted from there:

- with a sign, 4 bits of exponent and 3 of fraction; the lowest codes are evenly spaced down to zero;
- without, 5 bits of exponent and 3 of fraction. Zero has a code of its own, and nothing else is rounded to it: what is
  less than the block's largest over 2**31, or so, is rounded up, that nobody divide by its root.

Since a scale is a power of two, all other elements keep their codes when the largest one changes, and rounding is an
addition of integers: random bits are added below the last that is kept, and the rest is cut off. A block with a number
that is not finite is read as NaN. Every number of a code is one of bfloat16's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .dither import BLOCK, nearest

FRACTION = 3
"""Bits of fraction of a code."""
CUT = 23 - FRACTION
"""Bits of a float32 that a code leaves away."""
LEAST = 1 << FRACTION
"""The code with a sign of the lowest power of two, below which codes are even."""
SIGNED_POWERS = 14
"""Powers of two from a block's scale down to that one."""
LARGEST = 255
"""The largest code without a sign; and the scale of a block that is not finite."""

Numbers = Callable[[int, torch.device], Tensor]
"""Random numbers of 32 bits for that many elements (`dither.Draw`), or those that round to nearest."""


def rounded(values: Tensor, numbers: Numbers) -> Tensor:
    """float32 numbers, (n,), rounded to ones that bfloat16 has, by random numbers."""
    bits = _bits(values) + (numbers(len(values), values.device) >> 16)
    return torch.where(values.isnan(), values, _float(bits & ~0xFFFF))


def encoded(values: Tensor, signed: bool, numbers: Numbers) -> tuple[Tensor, Tensor]:
    """Codes and scales of float32 numbers, (n,): (n,) and (blocks,), int64."""
    scale = _largest(values) >> 23
    return _codes(values, scale, signed, numbers), scale


def encoded_again(values: Tensor, signed: bool) -> tuple[Tensor, Tensor]:
    """Codes and scales, as of `encoded`, of numbers that were decoded: the same numbers, where blocks are the same.

    Where they are others, numbers are rounded to nearest. A block's largest number may have been rounded up, to the
    power of two above its scale. So a block whose largest is a power of two takes the scale below that: it has a code
    for all that the scale above has codes for, and for smaller numbers.
    """
    scale = (_largest(values) - 1).clamp(min=0) >> 23
    return _codes(values, scale, signed, nearest), scale


def _largest(values: Tensor) -> Tensor:
    """The bits of each block's largest magnitude."""
    count = len(values)
    padded = torch.nn.functional.pad(_bits(values.abs()), (0, -count % BLOCK))
    return padded.view(-(-count // BLOCK), BLOCK).amax(1)


def _codes(values: Tensor, scale: Tensor, signed: bool, numbers: Numbers) -> Tensor:
    count = len(values)
    magnitude = _bits(values.abs())
    each = scale.repeat_interleave(BLOCK)[:count]
    added = numbers(count, values.device) >> (32 - CUT)
    if not signed:
        return (((magnitude + added) >> CUT) - _unsigned_base(each)).clamp(min=1) * (values > 0)
    base = _signed_base(each)
    least = _float((base + LEAST) << CUT)
    even = values.abs() < least
    magnitude = torch.where(even, _bits(values.abs() + least), magnitude)
    return ((magnitude + added) >> CUT) - base - even * LEAST + values.signbit() * 128


def decoded(codes: Tensor, scale: Tensor, signed: bool) -> Tensor:
    """The float32 numbers of codes (n,) and their blocks' scales."""
    each = scale.to(torch.int64).repeat_interleave(BLOCK)[: len(codes)]
    codes = codes.to(torch.int64)
    if signed:
        base, magnitude = _signed_base(each), codes & 127
        even = _float((base + magnitude + LEAST) << CUT) - _float((base + LEAST) << CUT)
        values = torch.where(magnitude < LEAST, even, _float((base + magnitude) << CUT))
        values = torch.where(codes > 127, -values, values)
    else:
        values = torch.where(codes == 0, 0.0, _float((_unsigned_base(each) + codes) << CUT))
    return torch.where(each == LARGEST, torch.nan, values)


def _signed_base(scale: Tensor) -> Tensor:
    return (scale - SIGNED_POWERS).clamp(min=0) << FRACTION


def _unsigned_base(scale: Tensor) -> Tensor:
    return (((scale + 1) << FRACTION) - LARGEST).clamp(min=0)


def _bits(values: Tensor) -> Tensor:
    return values.view(torch.int32).to(torch.int64)


def _float(bits: Tensor) -> Tensor:
    """The float32 of 32 bits in int64, seen as signed or not."""
    return bits.to(torch.int32).view(torch.float32)
