"""The Numba backend: a pass becomes the text of a function that works on every tensor in one call.

The generated text is ordinary Python, kept in the cache directory, where it can be read. A kernel is called with

- `table`: int64, for every entry its row of numbers, the address of its gradient, then, of each of its matrices, the
  length, the length of a block and the columns, how many matrices there are, one after another in memory, and the
  addresses of the layout's other arrays and of what belongs to them (`places`);
- `rows`: float64, the rows of numbers: step, hyper-parameters, carried numbers, what passes have made;
- `partials`: float64, where the pass makes scalars: what each block adds to them;
- `begin`, `end`: which blocks to do, of all entries' blocks one after another.

Threads that share a step run `share` instead, all on one job: each takes the next blocks until none is left. What
blocks have added is put together when all are done, in the order of the blocks.

A row's derived numbers are computed in float64 when the kernel meets the row, then rounded to the tensors' precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from . import cache
from .loops import Loops, joined, nothing, precision
from .lowbits import MEMORY, PLACE, scales
from .program import Layout, Pass, Reduction
from .writer import Writer

BYTES = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2} | dict.fromkeys(MEMORY, 0)
"""Of a value in memory; arrays of few bits are one matrix."""

DTYPES = ("float32", "float64", "bfloat16", "float16")

ROW, GRADIENT, LENGTH, BLOCK, COLUMNS, COUNT, OTHERS = range(7)
"""What stands where in an entry of the table; the other arrays from the last on."""

_HEAD = """\
# {dtype}: made by Fallline from a rule's text
import math

from numba import carray, cfunc, float32, float64, int32, int64, njit, uint32, uint64

from fallline.kernels.memory import array, as_stored, divide, exp32, narrow_vectors, pointer, take
from fallline.kernels.sums import accumulate, rank, ranked
{few_bits}
{arrays}
"""

_FEW_BITS = """\
from fallline.kernels.codes import (
    buffer, dithered, exponent, larger, magnitude, mix, poison, round_bfloat16, signed_base, signed_code, signed_value,
    unsigned_base, unsigned_code, unsigned_value, word,
)
"""

_ROOTS = """\
from fallline.kernels.roots import cube_root32
"""

_NUMBERS = """

@njit({signature}nogil=True, error_model="numpy", cache=CACHE)
def kernel({arguments}):
    for row in range(rows.shape[0]):
{numbers}
"""

_KERNEL = """

@njit({signature}nogil=True, error_model="numpy", cache=CACHE)
def kernel({arguments}):
    {hint}
    before = 0
    last = -1
{blanks}
    for k in range(table.size // {width}):
        at = k * {width}
        length = table[at + 2]
        size = table[at + 3]
        each = {each}
        blocks = each * table[at + 5]
        begun = max(begin - before, 0)
        done = min(end - before, blocks)
        block = before + begun
        before += blocks
        if begun >= done or length == 0:
            continue
        columns = table[at + 4]
        row = table[at]
        if row != last:
            last = row
{numbers}
{entry}
        for matrix in range(begun // each, (done - 1) // each + 1):
            first = max(begun - matrix * each, 0)
            stop = min(done - matrix * each, each)
{addresses}
{body}
"""

_FINISH = """\
    if end - begin != before and end != begin:
        return
{clear}
    before = 0
    for k in range(table.size // {width}):
        at = k * {width}
        length = table[at + 2]
        size = table[at + 3]
        each = {each}
        blocks = each * table[at + 5]
{gather}
        before += blocks
"""

_SHARE = """

@cfunc("void(int64)", error_model="numpy", cache=CACHE)
def share(job):
    _, step, length, table_at, table_size, rows_at, rows_count, rows_width, partials_at = carray(
        pointer(job), (9,), int64
    )
    table = carray(pointer(table_at), (table_size,), int64)
    rows = carray(pointer(rows_at), (rows_count, rows_width), float64)
    partials = carray(pointer(partials_at), (length, {scalars}), float64)
    begin = take(job, step)
    while begin < length:
        end = min(begin + step, length)
        kernel({arguments})
        begin = take(job, step)
"""


@dataclass(frozen=True)
class Kernel:
    """Passes for tensors of given types. What is used is compiled when it is first used, or read from the cache.

    There is one pass, or several over vectors, which an entry takes one after another.
    """

    layout: Layout
    passes: tuple[Pass, ...]
    dtypes: tuple[str, ...]

    @cached_property
    def scalars(self) -> int:
        """How many scalars it makes."""
        return len(_scalars(self.passes))

    @cached_property
    def finishes(self) -> bool:
        """Whether something is left to do when all blocks are done."""
        return any(r.into == "scalar" or (r.into == "columns") for step in self.passes for r in step.reductions)

    @cached_property
    def by_blocks(self) -> bool:
        """Whether it works on blocks of elements; otherwise every entry is one block."""
        return self.passes[0].extent == "elements"

    @cached_property
    def arrays(self) -> int:
        """How many arrays it touches."""
        return len({name for step in self.passes for name in step.arrays})

    @cached_property
    def writes(self) -> tuple[str, ...]:
        """The arrays that it stores to."""
        return tuple(array for step in self.passes for array, _ in step.stores)

    @cached_property
    def alone(self) -> Callable[..., None]:
        """`alone(table, rows[, partials], begin, end)`: blocks on this thread.

        If these are all blocks, or none, what is left to do when all are done is done too.
        """
        function: Callable[..., None] = cache.load(self._text(), "kernel")
        return function

    @cached_property
    def share(self) -> Any:
        """A C function that takes part in the job at an address; it needs no Python and stops when all is done.

        A job is nine int64: where the next blocks begin (counted up by all), how many to take, how many there are,
        address and size of the table, address, count and width of the rows, address of the partials.
        """
        return cache.load(self._text(shared=True), "share")

    def _text(self, shared: bool = False) -> str:
        return text(self.layout, self.passes, self.dtypes, shared)


@lru_cache(maxsize=None)
def compiled(layout: Layout, passes: tuple[Pass, ...], dtypes: tuple[str, ...]) -> Kernel:
    """The kernel of passes for arrays of these types, in the layout's order."""
    return Kernel(layout, passes, dtypes)


SIZES = {
    "elements": "length",
    "rows": "length // columns",
    "columns": "columns",
    "sums": "-(-length // size) * columns",
    "matrix": "1",
}
"""How many values of each kind of array a matrix has."""


def places(layout: Layout) -> Mapping[str, int]:
    """Where in an entry of the table each array's address stands, and what kernels need beside."""
    names = [array.name for array in layout.arrays if array.extent != "other" and array.name != "g"]
    names += [*map(scales, layout.coded), *([PLACE] if layout.draws else [])]
    return {"g": GRADIENT} | {name: OTHERS + k for k, name in enumerate(names)}


def text(layout: Layout, passes: tuple[Pass, ...], dtypes: tuple[str, ...], shared: bool = False) -> str:
    """The text of the kernel of passes."""
    return _Text(layout, passes, dtypes).text(shared)


def _scalars(passes: tuple[Pass, ...]) -> list[Reduction]:
    return [r for step in passes for r in step.reductions if r.into == "scalar"]


def _indented(depth: int, lines: list[str]) -> str:
    return "\n".join("    " * depth + line for line in lines or ["pass"])


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


class _Text:
    def __init__(self, layout: Layout, passes: tuple[Pass, ...], dtypes: tuple[str, ...]) -> None:
        self.layout = layout
        self.types = dict(zip((array.name for array in layout.arrays), dtypes, strict=True))
        self.precision = precision(dtypes)
        self.places = places(layout)
        self.scalars = _scalars(passes)
        self.loops = [Loops(step, Writer(layout, step, self.precision), self.types, self.scalars) for step in passes]
        self.extent = passes[0].extent
        self.low = any(loops.low.kinds for loops in self.loops)

    def text(self, shared: bool) -> str:
        writers = [loops.writer for loops in self.loops]
        names = ["table", "rows", *(["partials"] if self.scalars else []), "begin", "end"]
        types = {"table": "int64[::1]", "rows": "float64[:, ::1]", "partials": "float64[:, ::1]"}
        roots = any(writer.takes_cube_roots() for writer in writers)
        fields: dict[str, Any] = {
            "dtype": self.types["p"],
            "few_bits": (_FEW_BITS if self.low else "") + (_ROOTS if roots else ""),
            "arrays": "\n".join(self._arrays()),
            "signature": "" if shared else f'"void({", ".join(types.get(name, "int64") for name in names)})", ',
            "arguments": ", ".join(names),
            "scalars": max(1, len(self.scalars)),
            "width": 1 + max(self.places.values()),
            "hint": "pass" if self.low or not all(writer.is_light() for writer in writers) else "narrow_vectors()",
            "blanks": _indented(1, _once(line for loops in self.loops for line in loops.blanks())),
            "numbers": _indented(
                2 if self.extent == "number" else 3, _once(line for writer in writers for line in writer.numbers())
            ),
        }
        if self.extent == "number":
            return (_HEAD + _NUMBERS).format(**fields)
        finish = [line for loops in self.loops for line in loops.columns(self._address)]
        by_blocks = self.extent == "elements"
        body = [line for loops in self.loops for line in loops.body()]
        fields |= {
            "each": "-(-length // size)" if by_blocks else "1",
            "entry": _indented(2, _once(line for loops in self.loops for line in loops.low.entry(self.places))),
            "addresses": _indented(3, _once(line for loops in self.loops for line in self._addresses(loops))),
            "body": _indented(3, body if by_blocks else [*body, "block += 1"]),
            "clear": _indented(1, [f"rows[:, {self._column(r)}] = {nothing(r)}" for r in self.scalars]),
            "gather": _indented(2, [*self._gather(), *finish]),
        }
        whole = _HEAD + _KERNEL + (_FINISH if self.scalars or finish else "")
        return (whole + (_SHARE if shared else "")).format(**fields)

    def _arrays(self) -> list[str]:
        touched = _once(name for loops in self.loops for name in loops.step.arrays)
        pairs = [f"load_{name}, store_{name}" for name in touched]
        types = [MEMORY.get(self.types[name], self.types[name]) for name in touched]
        for functions, kind in dict.fromkeys(more for loops in self.loops for more in loops.low.arrays()):
            pairs.append(functions)
            types.append(kind)
        lines = [
            f'{pair} = array("{kind}", {k}, {len(pairs)})'
            for k, (pair, kind) in enumerate(zip(pairs, types, strict=True))
        ]
        if any(op.op == "stored" for loops in self.loops for op in loops.step.operations):
            lines.append(f'stored = as_stored("{MEMORY.get(self.types["p"], self.types["p"])}")')
        return lines

    def _addresses(self, loops: Loops) -> list[str]:
        return [f"a_{name} = {self._address(name)}" for name in loops.step.arrays]

    def _address(self, name: str) -> str:
        """Where an array of the matrix lies."""
        array = next(array for array in self.layout.arrays if array.name == name)
        return f"table[at + {self.places[name]}] + matrix * {BYTES[self.types[name]]} * ({SIZES[array.kind]})"

    def _column(self, r: Reduction) -> int:
        return self.layout.columns.index(r.name)

    def _gather(self) -> list[str]:
        """The scalars of an entry's row, with what its blocks have added."""
        lines = ["row = table[at]"]
        for k, r in enumerate(self.scalars):
            so_far = f"rows[row, {self._column(r)}]"
            lines += [
                f"s = {nothing(r)}",
                "for b in range(before, before + blocks):",
                f"    s = {joined(r, 's', f'partials[b, {k}]')}",
                f"{so_far} = {joined(r, so_far, 's')}",
            ]
        return lines if self.scalars else []
