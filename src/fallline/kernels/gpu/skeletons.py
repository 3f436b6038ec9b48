"""The texts of Triton kernels that are filled in for a pass, and the ways to reduce to more than one value of a tensor.

In an entry of the table stand, from 2 on, the length of its matrices, that of the parts into which their rows are cut,
their columns, and how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..extent import Extent

HEAD = """\
# Made by Fallline from a rule's text
import triton
import triton.language as tl

from fallline.kernels.gpu.arithmetic import (
    divide, highest, lowest, maximum, minimum, modulo, power, root, sign, summed, tanh,
)
"""

NUMBERS = """

@triton.jit
def numbers(rows, derived):
    row = tl.program_id(0).to(tl.int64)
    at = rows + {columns} * row
    to = derived + {count} * row
{body}
"""

_ENTRY = """\
    block = tl.program_id(0).to(tl.int64)
    entry = table + {width} * tl.load(blocks + 2 * block)
    place = tl.load(blocks + 2 * block + 1)
    given = derived + {count} * tl.load(entry)
    length = tl.load(entry + 2)
    size = tl.load(entry + 3)
    columns = tl.load(entry + 4)
    matrices = tl.load(entry + 5)
    height = length // columns
    parts = tl.cdiv(length, size)
"""

UPDATE = (
    """

@triton.jit
def update(table, blocks, derived, partials, ALIGNED: tl.constexpr, BLOCK: tl.constexpr):
"""
    + _ENTRY
    + """\
    start = place * BLOCK
    i = start + tl.arange(0, BLOCK)
    every = matrices * {each}
    inside = i < every
{addresses}
{rounded}
    if start + BLOCK <= every:  # without a mask, loads and stores are of 16 bytes
{whole}
    else:
{masked}
"""
)

FINISH = """

@triton.jit
def finish(blocks_of, partials, rows, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    begin = tl.load(blocks_of + row)
    end = tl.load(blocks_of + row + 1)
{body}
"""

ALONG = (
    """

@triton.jit
def {name}(table, blocks, derived, DEEP: tl.constexpr, SIDE: tl.constexpr):
"""
    + _ENTRY
    + """\
{bounds}
    at = which * SIDE + tl.arange(0, SIDE)
{addresses}
{rounded}
{blanks}
    for start in range(begin, end, DEEP):
        j = start + tl.arange(0, DEEP)
        inside = (j < end)[:, None] & (at < several)[None, :]
        i = {source}
{body}
{ends}
"""
)


class Way(NamedTuple):
    """How a reduction is told: what it leaves are `several` values, `which` the program's, each of some in memory."""

    name: str
    bounds: tuple[str, ...]
    """`several`, `which`, and `begin` and `end` of what is gone through for each."""
    source: str
    """Where the values lie that are reduced, (DEEP, SIDE)."""
    target: str
    """Where what they come to is left, (SIDE,)."""
    number: str
    """Of how many values a mean is."""


ROWS = Way(
    "along_rows",
    ("several = matrices * height", "which = place", "begin = 0", "end = columns"),
    "at[None, :] * columns + j[:, None]",
    "at",
    "columns",
)
WHOLE = Way(
    "whole",
    ("several = matrices", "which = place", "begin = 0", "end = {each}"),
    "at[None, :] * {each} + j[:, None]",
    "at",
    "{each}",
)
COLUMNS = Way(
    "along_columns",
    (
        "several = matrices * columns",
        "part = place // tl.cdiv(several, SIDE)",
        "which = place % tl.cdiv(several, SIDE)",
        "begin = part * (size // columns)",
        "end = tl.minimum(begin + size // columns, height)",
    ),
    "(at // columns * length + at % columns)[None, :] + j[:, None] * columns",
    "at // columns * parts * columns + part * columns + at % columns",
    "height",
)
PARTS = Way(
    "over_parts",
    ("several = matrices * columns", "which = place", "begin = 0", "end = parts"),
    "(at // columns * parts * columns + at % columns)[None, :] + j[:, None] * columns",
    "at // columns * parts * columns + at % columns",
    "height",
)

EACH: Mapping[Extent, str] = {"elements": "length", "rows": "height", "columns": "columns", "matrix": "1"}
"""Over how many values of a matrix a pass runs."""

WAYS: Mapping[Extent, tuple[Way, ...]] = {"rows": (ROWS,), "columns": (COLUMNS, PARTS), "matrix": (WHOLE,)}
"""How the reductions that leave a column, a row or one value of a matrix are told."""
