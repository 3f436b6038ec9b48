"""A pass of a program as the text of Triton kernels.

- `numbers(rows, derived)`, a program a row: what depends on no element, in float64. It reads and keeps columns of
  `rows` and leaves in `derived` what elements need. The first pass of a program counts the step and carries numbers on.
- `update(table, blocks, derived, partials)`, a program a block of an entry: loads, operations and stores; of
  reductions to scalars every block leaves its part in `partials`.
- `finish(blocks_of, partials, rows)`, a program a row: sums these parts, always in the same order.
- `along_rows`, `along_columns`, `whole`: reductions that leave a column, a row or one value of each matrix, a program
  for each row, for each few columns, for each matrix.

`table` is the CPU kernels'; `blocks` (int64) holds the entry of every block, and which of its blocks it is: those of
its first matrix come first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ..cpu import BYTES, places
from ..extent import Extent
from ..operation import Operation, Value
from ..program import Layout, Load, Pass, Reduction

BLOCK = 1024
ALONG = 256
"""Columns that a program reduces at a time, along a row or side by side."""

_TEMPLATES = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "divide({0}, {1})",
    "pow": "power({0}, {1})",
    "mod": "modulo({0}, {1})",
    "floordiv": "tl.floor({0} / {1})",
    "neg": "-{0}",
    "abs": "tl.abs({0})",
    "sign": "sign({0})",
    "sqrt": "root({0})",
    "exp": "tl.exp({0})",
    "log": "tl.log({0})",
    "tanh": "tanh({0})",
    "cos": "tl.cos({0})",
    "maximum": "maximum({0}, {1})",
    "minimum": "minimum({0}, {1})",
    "where": "tl.where({0}, {1}, {2})",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "{0} == 0",
    "stored": "{0}.to({stored}).to({precision})",
}

_CONDITIONS = {"where": (0,), "and": (0, 1), "or": (0, 1), "not": (0,)}

_HEAD = """\
# Made by Fallline from a rule's text
import triton
import triton.language as tl

from fallline.kernels.gpu.arithmetic import (
    divide, highest, lowest, maximum, minimum, modulo, power, root, sign, summed, tanh,
)
"""

_NUMBERS = """

@triton.jit
def numbers(rows, derived):
    row = tl.program_id(0).to(tl.int64)
    at = rows + {columns} * row
    to = derived + {count} * row
{body}
"""

_UPDATE = """

@triton.jit
def update(table, blocks, derived, partials, ALIGNED: tl.constexpr, BLOCK: tl.constexpr):
    block = tl.program_id(0).to(tl.int64)
    entry = table + {width} * tl.load(blocks + 2 * block)
    given = derived + {count} * tl.load(entry)
    columns = tl.load(entry + 4)
    length = {length}
    each = tl.cdiv(length, BLOCK)
    matrix = tl.load(blocks + 2 * block + 1) // each
    start = tl.load(blocks + 2 * block + 1) % each * BLOCK
    i = start + tl.arange(0, BLOCK)
    inside = i < length
{addresses}
{rounded}
    if start + BLOCK <= length:  # without a mask, loads and stores are of 16 bytes
{whole}
    else:
{masked}
"""

_FINISH = """

@triton.jit
def finish(blocks_of, partials, rows, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    begin = tl.load(blocks_of + row)
    end = tl.load(blocks_of + row + 1)
{body}
"""

_ALONG_ROWS = """

@triton.jit
def along_rows(table, blocks, derived, ALONG: tl.constexpr):
    block = tl.program_id(0).to(tl.int64)
    entry = table + {width} * tl.load(blocks + 2 * block)
    given = derived + {count} * tl.load(entry)
    columns = tl.load(entry + 4)
    height = tl.load(entry + 2) // columns
    matrix = tl.load(blocks + 2 * block + 1) // height
    at = tl.load(blocks + 2 * block + 1) % height
{addresses}
{rounded}
{blanks}
    for start in range(0, columns, ALONG):
        j = start + tl.arange(0, ALONG)
        inside = j < columns
        i = at * columns + j
{body}
{ends}
"""

_ALONG_COLUMNS = """

@triton.jit
def along_columns(table, blocks, derived, ALONG: tl.constexpr):
    block = tl.program_id(0).to(tl.int64)
    entry = table + {width} * tl.load(blocks + 2 * block)
    given = derived + {count} * tl.load(entry)
    columns = tl.load(entry + 4)
    height = tl.load(entry + 2) // columns
    each = tl.cdiv(columns, ALONG)
    matrix = tl.load(blocks + 2 * block + 1) // each
    at = tl.load(blocks + 2 * block + 1) % each * ALONG + tl.arange(0, ALONG)
    inside = at < columns
{addresses}
{rounded}
{blanks}
    for start in range(0, height):
        i = start * columns + at
{body}
{ends}
"""

_WHOLE = """

@triton.jit
def whole(table, blocks, derived, ALONG: tl.constexpr):
    block = tl.program_id(0).to(tl.int64)
    entry = table + {width} * tl.load(blocks + 2 * block)
    matrix = tl.load(blocks + 2 * block + 1)
    at = 0
    given = derived + {count} * tl.load(entry)
    columns = tl.load(entry + 4)
    length = {length}
{addresses}
{rounded}
{blanks}
    for start in range(0, length, ALONG):
        i = start + tl.arange(0, ALONG)
        inside = i < length
{body}
{ends}
"""

_LENGTHS: Mapping[Extent, str] = {
    "elements": "tl.load(entry + 2)",
    "rows": "tl.load(entry + 2) // columns",
    "columns": "columns",
    "matrix": "1",
}

_VALUES = {
    "elements": "tl.load(entry + 2)",
    "rows": "(tl.load(entry + 2) // columns)",
    "columns": "columns",
    "sums": "(tl.cdiv(tl.load(entry + 2), tl.load(entry + 3)) * columns)",
    "matrix": "1",
}
"""How many values of each kind of array a matrix has."""

_REDUCE = {"sum": "summed", "squares": "summed", "max": "highest", "min": "lowest"}
_BLANK = {"sum": "0.0", "squares": "0.0", "max": 'float("-inf")', "min": 'float("inf")'}
_JOIN = {"sum": "{0} + {1}", "squares": "{0} + {1}", "max": "maximum({0}, {1})", "min": "minimum({0}, {1})"}


def text(layout: Layout, step: Pass, dtypes: Mapping[str, str], carried: Sequence[str] | None = None) -> str:
    """The text of a pass's kernels, for arrays stored as `dtypes` says.

    The first pass of a program is given the `carried` numbers: it counts the step.
    """
    writer = _Writer(layout, step, dtypes)
    made = kinds(step)
    kernels = {"numbers": writer.numbers(carried)}
    if has_update(step):
        kernels["update"] = writer.update(made.get("scalar", ()))
    if "scalar" in made:
        kernels["finish"] = writer.finish(made["scalar"])
    for into, (name, skeleton) in _ALONG.items():
        if into in made:
            kernels[name] = writer.along(skeleton, made[into])
    listed = ", ".join(f'"{name}": {name}' for name in kernels)
    return "".join([_HEAD, *kernels.values(), f"\n\nKERNELS = {{{listed}}}\n"])


def has_update(step: Pass) -> bool:
    """Whether a pass has a program for each block of an entry."""
    return step.extent != "number" and (bool(step.stores) or "scalar" in kinds(step))


def derived(step: Pass) -> tuple[str, ...]:
    """The numbers that a pass's elements take, in the order of a row of `derived`."""
    made = {load.value for load in step.loads} | {op.name for op in step.operations if op.tensor}
    needed = [a for op in step.operations if op.tensor for a in op.args]
    needed += [r.of for r in step.reductions] + [value for _, value in step.stores]
    return tuple(name for name in dict.fromkeys(needed) if isinstance(name, str) and name not in made)


def kinds(step: Pass) -> dict[Extent, tuple[Reduction, ...]]:
    """The reductions of a pass by what they leave."""
    made = dict.fromkeys(reduction.into for reduction in step.reductions)
    return {into: tuple(r for r in step.reductions if r.into == into) for into in made}


class _Writer:
    """Writes operations: numbers as `n_...` in float64, the same rounded as `k_...`, elements as `e_...`."""

    def __init__(self, layout: Layout, step: Pass, dtypes: Mapping[str, str]) -> None:
        self.layout, self.step = layout, step
        self.stored = {name: f"tl.{dtype}" for name, dtype in dtypes.items()}
        self.precision = "tl.float64" if dtypes["p"] == "float64" else "tl.float32"
        self.operations = {op.name: op for op in step.operations}
        self.elements = {load.value for load in step.loads} | {op.name for op in step.operations if op.tensor}
        self.derived = derived(step)
        self.column = {name: k for k, name in enumerate(layout.columns)}
        self.places = places(layout)
        self.widths = {"width": 1 + max(self.places.values()), "count": max(len(self.derived), 1)}

    def numbers(self, carried: Sequence[str] | None) -> str:
        lines = []
        if carried is not None:
            lines.append(f"tl.store(at + {self.column['t']}, tl.load(at + {self.column['t']}) + 1)")
            for name in carried:
                lines.append(f"tl.store(at + {self.column[name]}, tl.load(at + {self.column[_next(name)]}))")
        operations = [op for op in self.step.operations if not op.tensor]
        made = {op.name for op in operations}
        wanted = [a for op in operations for a in op.args] + [v for _, v in self.step.keeps] + list(self.derived)
        for name in dict.fromkeys(a for a in wanted if isinstance(a, str) and a not in made):
            lines.append(f"{_n(name)} = tl.load(at + {self.column[name]})")
        lines += [f"n_{op.name} = {self._operation(op, 'n', 'tl.float64')}" for op in operations]
        for column, value in self.step.keeps:
            lines.append(f"tl.store(at + {self.column[column]}, {self._floating(value, 'n', 'tl.float64')})")
        lines += [f"tl.store(to + {k}, {_n(name)}.to(tl.float64))" for k, name in enumerate(self.derived)]
        return _NUMBERS.format(
            columns=len(self.layout.columns), count=self.widths["count"], body=_indented(lines or ["pass"])
        )

    def update(self, reductions: Sequence[Reduction]) -> str:
        stores = [value for _, value in self.step.stores]
        return _UPDATE.format(
            **self.widths,
            length=_LENGTHS[self.step.extent],
            addresses=self._addresses({array for array, _ in self.step.stores}),
            rounded=self._rounded(),
            whole=_indented([*self._body(stores, reductions, ""), *self._ends(reductions, "")], 2),
            masked=_indented([*self._body(stores, reductions, ", mask=inside"), *self._ends(reductions, "inside")], 2),
        )

    def _ends(self, reductions: Sequence[Reduction], inside: str) -> list[str]:
        """What a block of the update leaves: its parts of reductions, then its stores."""
        mask = f", mask={inside}" if inside else ""
        lines = [
            f"tl.store(partials + {len(reductions)} * block + {k}, {self._part(r, inside)})"
            for k, r in enumerate(reductions)
        ]
        for array, value in self.step.stores:
            named = self._floating(value, "e", self.precision)
            lines.append(f"tl.store(a_{array} + i, tl.zeros_like(i).to({self.precision}) + {named}{mask})")
        return lines

    def _part(self, reduction: Reduction, inside: str) -> str:
        value = f"({self._floating(reduction.of, 'e', self.precision)}).to(tl.float64)"
        value = f"{value} * {value}" if reduction.op == "squares" else value
        if inside:
            value = f"tl.where({inside}, {value}, {_BLANK[reduction.op]})"
        return f"{_REDUCE[reduction.op]}({value})"

    def finish(self, reductions: Sequence[Reduction]) -> str:
        lines = []
        for k, reduction in enumerate(reductions):
            blank, join = _BLANK[reduction.op], _JOIN[reduction.op]
            part = f"tl.load(partials + {len(reductions)} * i + {k}, mask=inside, other={blank})"
            lines += [
                f"made = tl.full((BLOCK,), {blank}, tl.float64)",
                "for start in range(begin, end, BLOCK):",
                "    i = start + tl.arange(0, BLOCK)",
                "    inside = i < end",
                f"    made = {join.format('made', part)}",
                f"made_{k} = {_REDUCE[reduction.op]}(made)",
            ]
            lines.append(f"tl.store(rows + {len(self.layout.columns)} * row + {self.column[reduction.name]}, made_{k})")
        return _FINISH.format(body=_indented(lines))

    def _finished(self, reduction: Reduction, made: str, count: str) -> list[str]:
        if reduction.finish == "root":
            return [f"{made} = tl.sqrt({made})"]
        return [f"{made} = {made} / {count}"] if reduction.finish == "mean" else []

    def along(self, skeleton: str, reductions: Sequence[Reduction]) -> str:
        side = skeleton is _ALONG_COLUMNS  # one value each for the columns of a program, else one in all
        blanks, body, ends = [], [], []
        count = {"rows": "columns", "columns": "height", "matrix": "length"}[reductions[0].into]
        for k, r in enumerate(reductions):
            value = f"({self._floating(r.of, 'e', self.precision)}).to(tl.float64)"
            value = f"{value} * {value}" if r.op == "squares" else value
            blanks.append(f"made_{k} = tl.full((ALONG,), {_BLANK[r.op]}, tl.float64)")
            joined = _JOIN[r.op].format(f"made_{k}", value)
            body.append(f"made_{k} = tl.where(inside, {joined}, made_{k})")
            ends += [] if side else [f"made_{k} = {_REDUCE[r.op]}(made_{k})"]
            ends += self._finished(r, f"made_{k}", count)
            ends.append(
                f"tl.store(a_{r.name} + at, made_{k}.to({self.stored[r.name]}){', mask=inside' if side else ''})"
            )
        values = [r.of for r in reductions]
        return skeleton.format(
            **self.widths,
            length=_LENGTHS[self.step.extent],
            addresses=self._addresses({r.name for r in reductions}, aligned=False),
            rounded=self._rounded(),
            blanks=_indented(blanks),
            body=_indented([*self._body(values, (), ", mask=inside"), *body], 2),
            ends=_indented(ends),
        )

    # --- elements -----------------------------------------------------------------------------------------------

    def _addresses(self, written: set[str], aligned: bool = True) -> str:
        lines = []
        for name, place in self.places.items():
            if name in written or any(load.array == name for load in self.step.loads):
                address = f"tl.load(entry + {place}) + matrix * {self._step(name)}"
                lines.append(f"a_{name} = ({address}).to(tl.pointer_type({self.stored[name]}))")
                if aligned:
                    lines += ["if ALIGNED:", f"    a_{name} = tl.multiple_of(a_{name}, 16)"]
        return _indented(lines)

    def _step(self, name: str) -> str:
        """Bytes from a matrix's values to the next one's."""
        array = next(array for array in self.layout.arrays if array.name == name)
        return f"{BYTES[self.stored[name].removeprefix('tl.')]} * ({_VALUES[array.kind]})"

    def _rounded(self) -> str:
        lines = []
        for k, name in enumerate(self.derived):
            value = f"tl.load(given + {k})"
            cast = f"{value} != 0" if self._boolean(name) else f"{value}.to({self.precision})"
            lines.append(f"{_k(name)} = {cast}")
        return _indented(lines)

    def _body(self, values: Iterable[Value], reductions: Sequence[Reduction], mask: str) -> list[str]:
        """Loads and operations for some values of the pass."""
        needed = self._needed([*values, *(r.of for r in reductions)])
        lines = [f"e_{x.value} = {self._load(x, mask)}" for x in self.step.loads if x.value in needed]
        return lines + [
            f"e_{op.name} = {self._operation(op, 'e', self.precision)}"
            for op in self.step.operations
            if op.tensor and op.name in needed
        ]

    def _needed(self, values: Iterable[Value]) -> set[Value]:
        needed = set(values)
        for op in reversed(self.step.operations):
            if op.name in needed:
                needed.update(op.args)
        return needed

    def _load(self, load: Load, mask: str) -> str:
        place = "i"
        if load.extent != self.step.extent:
            place = {"rows": "i // columns", "columns": "i % columns", "matrix": "i * 0"}[load.extent]
        return f"tl.load(a_{load.array} + {place}{mask}).to({self.precision})"

    def _boolean(self, value: Value) -> bool:
        operation = self.operations.get(value) if isinstance(value, str) else None
        return operation is not None and operation.boolean

    def _operation(self, op: Operation, kind: str, precision: str) -> str:
        args = [
            self._value(a, kind, precision) if self._plain(op, k) else self._floating(a, kind, precision)
            for k, a in enumerate(op.args)
        ]
        return _TEMPLATES[op.op].format(*(f"({a})" for a in args), stored=self.stored["p"], precision=precision)

    def _plain(self, op: Operation, index: int) -> bool:
        """Whether operand `index` is taken as it is: conditions stay booleans, everything else becomes a number."""
        return not self._boolean(op.args[index]) or index in _CONDITIONS.get(op.op, ()) or op.boolean

    def _floating(self, value: Value, kind: str, precision: str) -> str:
        named = self._value(value, kind, precision)
        return f"({named}).to({precision})" if self._boolean(value) else named

    def _value(self, value: Value, kind: str, precision: str) -> str:
        if not isinstance(value, str):
            return f"tl.full((), {_literal(value)}, {precision})"
        if kind == "n":
            return _n(value)
        return f"e_{value}" if value in self.elements else _k(value)


_ALONG: dict[Extent, tuple[str, str]] = {
    "rows": ("along_rows", _ALONG_ROWS),
    "columns": ("along_columns", _ALONG_COLUMNS),
    "matrix": ("whole", _WHOLE),
}


def _n(name: str) -> str:
    return f"n_{name.replace('#', '0')}"


def _k(name: str) -> str:
    return f"k_{name.replace('#', '0')}"


def _next(name: str) -> str:
    """The column in which a carried number's new value stands."""
    return f"{name}'"


def _indented(lines: list[str], depth: int = 1) -> str:
    return "\n".join("    " * depth + line for line in lines)


def _literal(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'
