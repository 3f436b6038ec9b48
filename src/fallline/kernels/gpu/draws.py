"""A rule's random draws as the text of Triton functions: the bits of `rules/draws.py`."""

from __future__ import annotations

from collections.abc import Sequence

from ...rules.draws import DENOMINATOR, FACTORS, LAST, LOG2, NUMERATOR, ROOT_HALF, ROUNDS, STEP

_TEXT = """

@triton.jit
def mix(k, value):
    k = (k ^ value) + {step}
    k = (k ^ (k >> 30)) * {first}
    k = (k ^ (k >> 27)) * {second}
    return k ^ (k >> 31)


@triton.jit
def key_of(seed, t, place, stream: tl.constexpr):
    k = mix(tl.full((), 0, tl.uint64), seed.to(tl.int64).to(tl.uint64))
    k = mix(k, t.to(tl.int64).to(tl.uint64))
    k = mix(k, place.to(tl.uint64))
    return mix(k, tl.full((), stream, tl.uint64))


@triton.jit
def bits_of(key, i):
    x = i.to(tl.uint32) + key.to(tl.uint32)
    high = (i >> 32).to(tl.uint32) + (key >> 32).to(tl.uint32)
{scrambled}
    return x ^ (x >> {last})


@triton.jit
def uniform(key, i):
    return (bits_of(key, i) >> 8).to(tl.float32) * {fraction!r}


@triton.jit
def rademacher(key, i):
    return ((bits_of(key, i).to(tl.int32, bitcast=True) >> 31) | 1).to(tl.float32)


@triton.jit
def normal(key, i):
    bits = bits_of(key, i).to(tl.int32, bitcast=True)
    tail = (0x7FFFFFFF - (bits ^ (bits >> 31))).to(tl.float32) + 0.5
    product = (tail * (4294967296.0 - tail)).to(tl.int32, bitcast=True)
    exponent = (product - {root_half}) >> 23
    x = (product - (exponent << 23)).to(tl.float32, bitcast=True) - 1.0
{log2}
    w = (62 - exponent).to(tl.float32) - x * y
{numerator}
{denominator}
    return (bits.to(tl.float32) + 0.5) * divide(above, below)
"""


def _scrambled() -> list[str]:
    lines = []
    for k, (shift, factor) in enumerate(ROUNDS):
        lines += ["    x = x ^ high"] if k == 1 else []
        lines += [f"    x = x ^ (x >> {shift})", f"    x = x * {factor}"]
    return lines


def _polynomial(value: str, x: str, coefficients: Sequence[float]) -> str:
    *others, last = coefficients
    lines = [f"    {value} = tl.full({x}.shape, {last!r}, tl.float32)"]
    lines += [f"    {value} = {value} * {x} + {coefficient!r}" for coefficient in reversed(others)]
    return "\n".join(lines)


TEXT = _TEXT.format(
    step=STEP,
    first=FACTORS[0],
    second=FACTORS[1],
    scrambled="\n".join(_scrambled()),
    last=LAST,
    fraction=2.0**-24,
    root_half=ROOT_HALF,
    log2=_polynomial("y", "x", LOG2),
    numerator=_polynomial("above", "w", NUMERATOR),
    denominator=_polynomial("below", "w", DENOMINATOR),
)
