"""The Numba backend: a pass becomes the text of a function that works on every tensor in one call.

The generated text is ordinary Python, kept in the cache directory, where it can be read. A kernel is called with

- `table`: int64, for every entry its row of numbers, the address of its gradient, then, of each of its matrices, the
  length, the length of a block and the columns, how many matrices there are, one after another in memory, and the
  addresses of the layout's other arrays and of what belongs to them (`places`);
- `rows`: float64, the rows of numbers: step, hyper-parameters, carried numbers, what passes have made;
- `partials`: float64, where the pass makes scalars: what each block adds to them;
- `begin`, `end`: which blocks to do, of all entries' blocks one after another.

It is compiled to a C function of addresses, which `calls.py` calls: alone, or on threads that share a step, of which
each takes the next blocks until none is left. What blocks have added is put together when all are done, in the order
of the blocks.

A row's derived numbers are computed in float64 when the kernel meets the row, then rounded to the tensors' precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

from . import cache, calls
from .loops import Loops, joined, nothing, precision
from .lowbits import FIRST, MEMORY, PLACE, scales
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

from numba import cfunc, float32, float64, int32, int64, uint32, uint64

from fallline.kernels.arithmetic import divide, exp32
from fallline.kernels.memory import array, as_stored, integer, narrow_vectors, number, put
from fallline.kernels.pipeline import Kernels
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

_DRAWS = """\
from fallline.kernels.draws import normal, of_step, of_tensor, rademacher, uniform
"""

_DEFINITION = """

@cfunc(
    "void(int64, int64, int64, int64, int64, int64, int64)",
    error_model="numpy", pipeline_class=Kernels, cache=CACHE,
)
def kernel(table, words, rows, row_count, partials, begin, end):
"""

_NUMBERS = """\
    for row in range(rows, rows + {row_size} * row_count, {row_size}):
{numbers}
"""

_BODY = """\
    {hint}
    zero = {precision}(0.0)
    before = 0
    last = 0
{blanks}
    for entry in range(table, table + 8 * words, {entry_size}):
        length = integer(entry, 2)
        size = integer(entry, 3)
        each = {each}
        blocks = each * integer(entry, 5)
        begun = max(begin - before, 0)
        done = min(end - before, blocks)
        block = before + begun
        before += blocks
        if begun >= done or length == 0:
            continue
        columns = integer(entry, 4)
        row = {row}
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
    for entry in range(table, table + 8 * words, {entry_size}):
        length = integer(entry, 2)
        size = integer(entry, 3)
        each = {each}
        blocks = each * integer(entry, 5)
{gather}
        before += blocks
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
        """`alone(table, rows, partials, begin, end)`: blocks on this thread; of partials there may be none.

        If these are all blocks, or none, what is left to do when all are done is done too.
        """
        return partial(calls.alone(), self.address)

    @property
    def address(self) -> int:
        """Where the machine code is."""
        address: int = self._function.address
        return address

    @cached_property
    def _function(self) -> Any:
        return cache.load(text(self.layout, self.passes, self.dtypes), "kernel")


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
    names += [*map(scales, layout.coded), *([PLACE, FIRST] if layout.draws else [])]
    return {"g": GRADIENT} | {name: OTHERS + k for k, name in enumerate(names)}


def text(layout: Layout, passes: tuple[Pass, ...], dtypes: tuple[str, ...]) -> str:
    """The text of the kernel of passes."""
    return _Text(layout, passes, dtypes).text()


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

    def text(self) -> str:
        writers = [loops.writer for loops in self.loops]
        roots = any(writer.takes_cube_roots() for writer in writers)
        draws = any(writer.draws for writer in writers)
        fields: dict[str, Any] = {
            "dtype": self.types["p"],
            "few_bits": (_FEW_BITS if self.low else "") + (_ROOTS if roots else "") + (_DRAWS if draws else ""),
            "arrays": "\n".join(self._arrays()),
            "precision": self.precision,
            "entry_size": 8 * (1 + max(self.places.values())),
            "row_size": 8 * len(self.layout.columns),
            "row": self._row(),
            "hint": "pass" if self.low or not all(writer.is_light() for writer in writers) else "narrow_vectors()",
            "blanks": _indented(1, _once(line for loops in self.loops for line in loops.blanks())),
            "numbers": _indented(
                2 if self.extent == "number" else 3, _once(line for writer in writers for line in writer.numbers())
            ),
        }
        if self.extent == "number":
            return (_HEAD + _DEFINITION + _NUMBERS).format(**fields)
        finish = [line for loops in self.loops for line in loops.columns(self._address)]
        by_blocks = self.extent == "elements"
        body = [line for loops in self.loops for line in loops.body()]
        fields |= {
            "each": "-(-length // size)" if by_blocks else "1",
            "entry": _indented(2, _once(line for loops in self.loops for line in loops.entry(self.places))),
            "addresses": _indented(3, _once(line for loops in self.loops for line in self._addresses(loops))),
            "body": _indented(3, body if by_blocks else [*body, "block += 1"]),
            "clear": _indented(1, self._clear()),
            "gather": _indented(2, [*self._gather(), *finish]),
        }
        whole = _HEAD + _DEFINITION + _BODY + (_FINISH if self.scalars or finish else "")
        return whole.format(**fields)

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
        kinds = {name: self._kind(name) for name in loops.step.arrays}
        lines = [f"{kind}_before = matrix * ({SIZES[kind]})" for kind in _once(kinds.values())]
        return lines + [f"a_{name} = {self._address(name, f'{kind}_before')}" for name, kind in kinds.items()]

    def _address(self, name: str, skipped: str = "") -> str:
        """Where an array of the matrix lies, after the values `skipped` of other matrices."""
        start = f"integer(entry, {self.places[name]})"
        each = BYTES[self.types[name]]
        return f"{start} + {each} * {skipped or f'matrix * ({SIZES[self._kind(name)]})'}" if each else start

    def _kind(self, name: str) -> str:
        return next(array.kind for array in self.layout.arrays if array.name == name)

    def _row(self) -> str:
        """Where an entry's row lies."""
        return f"rows + {8 * len(self.layout.columns)} * integer(entry, {ROW})"

    def _column(self, r: Reduction) -> int:
        return self.layout.columns.index(r.name)

    def _clear(self) -> list[str]:
        """The scalars of all rows, before any is added to."""
        size = 8 * len(self.layout.columns)
        lines = [f"    put(row, {self._column(r)}, {nothing(r)})" for r in self.scalars]
        return [f"for row in range(rows, rows + {size} * row_count, {size}):", *lines] if lines else []

    def _gather(self) -> list[str]:
        """The scalars of an entry's row, with what its blocks have added."""
        lines = [f"row = {self._row()}"]
        for k, r in enumerate(self.scalars):
            lines += [
                f"s = {nothing(r)}",
                "for b in range(before, before + blocks):",
                f"    added = number(partials, {len(self.scalars)} * b + {k})",
                f"    s = {joined(r, 's', 'added')}",
                f"so_far = number(row, {self._column(r)})",
                f"put(row, {self._column(r)}, {joined(r, 'so_far', 's')})",
            ]
        return lines if self.scalars else []
