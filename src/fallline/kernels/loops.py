"""The loops of a pass: over a block's elements, over its rows and in each over their elements, or over a vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .lowbits import LowBits
from .program import Load, Pass, Reduction
from .sums import LOWEST
from .writer import Writer


def precision(dtypes: Sequence[str]) -> str:
    """What arrays of these types, the parameter's first, are computed in."""
    return "float64" if dtypes[0] == "float64" else "float32"


class Loops:
    """Writes a pass's loops as lines of Python; `types` are those of arrays, `scalars` all that the kernel makes."""

    def __init__(self, step: Pass, writer: Writer, types: Mapping[str, str], scalars: Sequence[Reduction]) -> None:
        self.step, self.writer, self.types = step, writer, types
        self.low = LowBits(writer.layout, step, types)
        self.slots = {r.name: k for k, r in enumerate(scalars)}
        self.scalars = self._into("scalar")

    def _into(self, extent: str) -> list[Reduction]:
        return [r for r in self.step.reductions if r.into == extent]

    def blanks(self) -> list[str]:
        """What stands before all entries."""
        return [*self.writer.blanks(), *self.low.buffers()]

    def entry(self, places: Mapping[str, int]) -> list[str]:
        """What is done once an entry."""
        return [*self.low.entry(places), *self.writer.entry(places)]

    def body(self) -> list[str]:
        """What is done for one matrix, from its block `first` until `stop`."""
        fixed = [line for load in self.step.loads if load.extent == "matrix" for line in self._shared(load, "0")]
        fixed += ["origin = first_of + matrix * length"] if self.writer.draws else []
        if self.step.extent != "elements":
            counts = {"rows": "length // columns", "columns": "columns", "matrix": "1"}
            return [*fixed, *self._vector("0", counts[self.step.extent])]
        extents = {load.extent for load in self.step.loads} | {r.into for r in self.step.reductions}
        vectors = bool(extents & {"rows", "columns"})
        if not vectors and not self.scalars:
            return [*fixed, *self._vector("first * size", "min(stop * size, length)")]
        return [
            *fixed,
            "for b in range(first, stop):",
            "    low = b * size",
            "    high = min(low + size, length)",
            *(f"    {line}" for line in (self._matrix() if vectors else self._vector("low", "high"))),
            "    block += 1",
        ]

    def _vector(self, low: str, high: str) -> list[str]:
        """A loop over values that lie one after another."""
        loads = [self._load(load, "i") for load in self.step.loads if load.extent != "matrix"]
        whole = [*self.scalars, *self._into("matrix")]
        stores = [
            line for array, value in self.step.stores for line in self._stores(array, "i", self.writer.floating(value))
        ]
        inner = [*loads, *self.writer.elements("i"), *(self._add(r) for r in whole), *stores] or ["pass"]
        return [
            *(self._start(r) for r in whole),
            *(self._of_few_bits(low, high, inner) if self.low.kinds else self._loop("i", low, high, "origin", inner)),
            *self._leave(),
            *(self._finished(r, "0", f"float64({high})") for r in self._into("matrix")),
        ]

    def _loop(self, name: str, low: str, high: str, first: str, lines: Sequence[str]) -> list[str]:
        """A loop over elements, of which number 0 has the index `first` in the parameter.

        Draws count in 32 bits; where that is not enough, the loop is cut.
        """
        if not self.writer.draws:
            return [f"for {name} in range({low}, {high}):", *(f"    {line}" for line in lines)]
        return [
            f"for part in range(({first} + {low}) >> 32, (({first} + {high} - 1) >> 32) + 1):",
            f"    here = {first} - (part << 32)",
            f"    for {name} in range(max({low}, -here), min({high}, (1 << 32) - here)):",
            *(f"        {line}" for line in lines),
        ]

    def _of_few_bits(self, low: str, high: str, lines: Sequence[str]) -> list[str]:
        drawn = ["part = (origin + i) >> 32", "here = origin - (part << 32)"] if self.writer.draws else []
        return self.low.loop(low, high, [*drawn, *lines])

    def _matrix(self) -> list[str]:
        """A loop over a block's rows, and in it one over their elements."""
        rows, columns = self._into("rows"), self._into("columns")
        by_row = [load for load in self.step.loads if load.extent == "rows"]
        elements = [
            self._load(load, "start + j" if load.extent == "elements" else "j")
            for load in self.step.loads
            if load.extent in ("elements", "columns")
        ]
        inner = [
            *elements,
            *self.writer.elements("j"),
            *(self._add(r) for r in (*self.scalars, *rows)),
            *(self._add_to_column(r) for r in columns),
            *(self._store(array, "start + j", self.writer.floating(value)) for array, value in self.step.stores),
        ]
        return [
            *(line for r in columns for line in self._blank_columns(r)),
            *(self._start(r) for r in self.scalars),
            "for i in range(low // columns, high // columns):",
            "    start = i * columns",
            *(f"    {line}" for load in by_row for line in self._shared(load, "i")),
            *(f"    {self._start(r)}" for r in rows),
            *(f"    {line}" for line in self._loop("j", "0", "columns", "origin + start", inner)),
            *(f"    {self._finished(r, 'i', 'float64(columns)')}" for r in rows),
            *self._leave(),
        ]

    def _load(self, load: Load, place: str) -> str:
        if load.array in self.low.kinds:
            return f"e_{load.value} = {self.low.load(load.array, place)}"
        loaded = f"load_{load.array}(a_{load.array}, {place})"
        kind = precision([self.types[load.array]])
        return f"e_{load.value} = {loaded if kind == self.writer.precision else f'{self.writer.precision}({loaded})'}"

    def _shared(self, load: Load, place: str) -> list[str]:
        """A load of what elements share, and its reciprocal where they are divided by it."""
        lines = [self._load(load, place)]
        if self.writer.divides_by(load.value) and load.value in self.writer.shared:
            kind = self.writer.precision
            lines.append(f"r_{load.value} = {kind}(1.0 / float64(e_{load.value}))")
        return lines

    def _stores(self, array: str, place: str, value: str) -> list[str]:
        return self.low.store(array, place, value) if array in self.low.kinds else [self._store(array, place, value)]

    def _store(self, array: str, place: str, value: str) -> str:
        kind = precision([self.types[array]])
        return f"store_{array}(a_{array}, {place}, {value if kind == self.writer.precision else f'{kind}({value})'})"

    # --- reductions ---------------------------------------------------------------------------------------------

    def _start(self, r: Reduction) -> str:
        return f"s_{r.name} = {LOWEST[self.writer.precision] if r.op in ('max', 'min') else '0.0'}"

    def _term(self, r: Reduction) -> str:
        value = f"float64({self.writer.floating(r.of)})"
        return f"{value} * {value}" if r.op == "squares" else value

    def _add(self, r: Reduction) -> str:
        if r.op in ("max", "min"):
            value = self.writer.floating(r.of)
            return f"s_{r.name} = max(s_{r.name}, rank({value if r.op == 'max' else f'-{value}'}))"
        return f"s_{r.name} = accumulate(s_{r.name}, {self._term(r)})"

    def _reached(self, r: Reduction) -> str:
        """What a loop has come to."""
        if r.op not in ("max", "min"):
            return f"s_{r.name}"
        return f"{'-' if r.op == 'min' else ''}float64(ranked(s_{r.name}))"

    def _finished(self, r: Reduction, place: str, count: str) -> str:
        return f"store_{r.name}(a_{r.name}, {place}, {_final(r, self._reached(r), count)})"

    def _leave(self) -> list[str]:
        """What a block adds to the scalars."""
        count = len(self.slots)
        return [f"put(partials, {count} * block + {self.slots[r.name]}, {self._reached(r)})" for r in self.scalars]

    def _blank_columns(self, r: Reduction) -> list[str]:
        """A place for the columns' sums over a block of rows."""
        return [
            f"w_{r.name} = a_{r.name} + 8 * b * columns",
            "for j in range(columns):",
            f"    store_{r.name}(w_{r.name}, j, {nothing(r)})",
        ]

    def _add_to_column(self, r: Reduction) -> str:
        so_far = f"load_{r.name}(w_{r.name}, j)"
        return f"store_{r.name}(w_{r.name}, j, {joined(r, so_far, self._term(r))})"

    def columns(self, address_of: Callable[[str], str]) -> list[str]:
        """When all is done: the columns' sums over all blocks, in the place of the first block's."""
        lines = ["columns = integer(entry, 4)", "for matrix in range(integer(entry, 5) * (length > 0)):"]
        for r in self._into("columns"):
            address, here = f"a_{r.name}", f"load_{r.name}(a_{r.name}, j)"
            block = f"load_{r.name}({address} + 8 * b * columns, j)"
            lines += [
                f"    {address} = {address_of(r.name)}",
                "    for b in range(1, each):",
                "        for j in range(columns):",
                f"            store_{r.name}({address}, j, {joined(r, here, block)})",
            ]
            if r.finish:
                value = _final(r, here, "float64(length // columns)")
                lines += ["    for j in range(columns):", f"        store_{r.name}({address}, j, {value})"]
        return lines if self._into("columns") else []


def nothing(r: Reduction) -> str:
    """A reduction of no values."""
    return {"max": "-math.inf", "min": "math.inf"}.get(r.op, "0.0")


def joined(r: Reduction, so_far: str, more: str) -> str:
    """Two parts of a reduction as one; NaN is larger, and smaller, than everything."""
    if r.op not in ("max", "min"):
        return f"{so_far} + {more}"
    return f"{more} if ({more} {'>' if r.op == 'max' else '<'} {so_far}) | ({more} != {more}) else {so_far}"


def _final(r: Reduction, value: str, count: str) -> str:
    return {"root": f"math.sqrt({value})", "mean": f"{value} / {count}"}.get(r.finish, value)
