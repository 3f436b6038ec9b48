"""Random numbers that depend on what they are drawn for, and on nothing else: the same in every process and backend.

A seed, the step, the parameter's place in its optimizer and a stream are mixed to a key of 64 bits. The key and an
element's index give the element's 32 random bits; no state passes from one element to the next (Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3"), so that elements may be drawn in any order. The index is scrambled in
three rounds: one half of the key is added before the first of them, the other half joins after it. Numbers are made of
the bits by operations of float32 that every machine rounds alike.

Here it is in PyTorch, on any device; kernels draw the same bits (`kernels/draws.py`, `kernels/gpu/draws.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

STEP, FACTORS = 0x9E3779B97F4A7C15, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""What `mix` adds, and what it multiplies by."""

ROUNDS, LAST = ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB)), 14
"""Shifts and factors that scramble an element's bits, and the shift at the end (Wellons 2018, triple32)."""

ROOT_HALF = 0x3F3504F3
"""The bits of a float32, the root of 1/2."""

LOG2 = (1.4426997, -0.7213759, 0.48046502, -0.35896185, 0.2972626, -0.2726979, 0.17063434)
"""log2(1 + x) / x as a polynomial for 1 + x from the root of 1/2 to the root of 2, the constant first."""

NUMERATOR = (0.003617122, 0.0009049932, 0.00012455901, 1.14133245e-05, 6.658075e-07, 1.3524637e-08)
DENOMINATOR = (6197735.5, 425991.88, 97284.195, 4705.5215, 242.90427, 1.0)
"""The normal quantile function at 1/2 + q / 2**32, over q: a quotient of polynomials of -log2(1 - (q / 2**31)**2)."""

_PIECE = 1 << 15
"""Elements that are drawn together on a processor: few enough for its cache."""

Number = Callable[[Tensor], Tensor]
"""`uniform`, `rademacher` or `normal`: what is made of random bits, int32."""

_STEP, _FIRST, _SECOND = map(np.uint64, (STEP, *FACTORS))
_30, _27, _31 = map(np.uint64, (30, 27, 31))


def mix(k: Any, value: Any) -> Any:
    """64 bits that look random, of such bits and a number (Steele et al. 2014, SplitMix: its step and finalizer)."""
    k = (k ^ value) + _STEP
    k = (k ^ (k >> _30)) * _FIRST
    k = (k ^ (k >> _27)) * _SECOND
    return k ^ (k >> _31)


def mixed(*parts: float) -> int:
    """The 64 bits that whole numbers are mixed to, one after another."""
    k = np.zeros(1, np.uint64)
    for part in parts:
        k = mix(k, np.uint64(int(part) & 0xFFFFFFFFFFFFFFFF))
    return int(k[0])


def number_of(stream: str) -> int:
    """A stream's number: more than 32 bits, unlike those of what is drawn to round by."""
    return 1 << 32 | crc32(stream.encode())


def drawn(number: Number, key: int, index: Tensor) -> Tensor:
    """The numbers of elements, (n,) float32, of their indices."""
    pieces = torch.split(index, _PIECE if index.is_cpu else max(1, len(index)))
    return torch.cat([number(bits(key, piece)) for piece in pieces])


def bits(key: int, index: Tensor) -> Tensor:
    """The random bits of elements, int32, of their indices, int64."""
    x = index.to(torch.int32) + _signed(key)
    high = (index >> 32).to(torch.int32) + _signed(key >> 32)
    for k, (shift, factor) in enumerate(ROUNDS):
        x = x ^ high if k == 1 else x
        x = (x ^ _down(x, shift)) * _signed(factor)
    return x ^ _down(x, LAST)


def uniform(bits: Tensor) -> Tensor:
    """Multiples of 2**-24, even on [0, 1)."""
    return _down(bits, 8).float() * 2.0**-24


def rademacher(bits: Tensor) -> Tensor:
    """-1 or 1."""
    return ((bits >> 31) | 1).float()


def normal(bits: Tensor) -> Tensor:
    """Standard normal numbers, up to 6.34 from 0: the quantile function at (bits + 1/2) / 2**32, within 7 ulps.

    In the middle the function is nearly a line, towards both ends the root of a logarithm. Divided by the line it is
    smooth in the logarithm; two polynomials of degree 5 are fitted to it so that the largest relative error is least.
    """
    tail = (0x7FFFFFFF - (bits ^ (bits >> 31))).float() + 0.5
    product = (tail * (2.0**32 - tail)).view(torch.int32)
    exponent = (product - ROOT_HALF) >> 23
    x = (product - (exponent << 23)).view(torch.float32) - 1
    w = (62 - exponent).float() - x * _polynomial(LOG2, x)
    return (bits.float() + 0.5) * (_polynomial(NUMERATOR, w) / _polynomial(DENOMINATOR, w))


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _down(x: Tensor, shift: int) -> Tensor:
    """Bits shifted to the right, zeros from the left."""
    return (x >> shift) & ((1 << (32 - shift)) - 1)


def _signed(number: int) -> int:
    """The lowest 32 bits as int32 holds them."""
    return ((number + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
