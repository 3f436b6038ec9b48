"""A pass of a program as the text of Triton kernels.

- `numbers(rows, derived)`, a program a row: what depends on no element, in float64. It reads and keeps columns of
  `rows` and leaves in `derived` what elements need. The first pass of a program counts the step and carries numbers on.
- `update(table, blocks, derived, partials)`, a program a block of an entry: loads, operations and stores; of
  reductions to scalars every block leaves its part in `partials`.
- `finish(blocks_of, partials, rows)`, a program a row: sums these parts, always in the same order.
- `along_rows`, `along_columns`, `whole`: reductions that leave a column, a row or one value of each matrix, a program
  for some of these. Of columns every block of a matrix's rows leaves its own, which `over_parts` puts together.

`table` is the CPU kernels'; `blocks` (int64) holds the entry of every program, and which of the entry's programs it is.
An entry's matrices lie one after another, so that programs count through all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ..cpu import places
from ..extent import Extent
from ..lowbits import FIRST, PLACE
from ..operation import Operation, Value
from ..program import Layout, Load, Pass, Reduction
from ..vocabulary import DRAWS
from . import draws
from .skeletons import ALONG, COLUMNS, EACH, FINISH, HEAD, NUMBERS, PARTS, UPDATE, WAYS, Way

BLOCK = 1024
"""Values of a program of `update`."""

_TEMPLATES = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "divide({0}, {1})",
    "pow": "power({0}, {1})",
    "mod": "modulo({0}, {1})",
    "floordiv": "tl.floor(divide({0}, {1}))",
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

_REDUCE = {"sum": "summed", "squares": "summed", "max": "highest", "min": "lowest"}
_BLANK = {"sum": "0.0", "squares": "0.0", "max": 'float("-inf")', "min": 'float("inf")'}
_FINISHED = {"": "{0}", "root": "tl.sqrt({0})", "mean": "{0} / {1}"}
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
    for into, ways in WAYS.items():
        for way in ways if into in made else ():
            kernels[way.name] = writer.along(way, made[into])
    listed = ", ".join(f'"{name}": {name}' for name in kernels)
    drawn = draws.TEXT if writer.draws else ""
    return "".join([HEAD, drawn, *kernels.values(), f"\n\nKERNELS = {{{listed}}}\n"])


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
        self.draws = [op for op in step.operations if op.op in DRAWS]
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
        return NUMBERS.format(
            columns=len(self.layout.columns), count=self.widths["count"], body=_indented(lines or ["pass"])
        )

    def update(self, reductions: Sequence[Reduction]) -> str:
        stores = [value for _, value in self.step.stores]
        return UPDATE.format(
            **self.widths,
            each=EACH[self.step.extent],
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
            place = self._place(array, self.step.extent)
            lines.append(f"tl.store(a_{array} + {place}, tl.zeros_like(i).to({self.precision}) + {named}{mask})")
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
        return FINISH.format(body=_indented(lines))

    def along(self, way: Way, reductions: Sequence[Reduction]) -> str:
        """A reduction to more than one value of a tensor."""
        each = EACH[self.step.extent]
        blanks, body, ends = [], [], []
        for k, r in enumerate(reductions):
            blanks.append(f"made_{k} = tl.full((DEEP, SIDE), {_BLANK[r.op]}, tl.float64)")
            joined = _JOIN[r.op].format(f"made_{k}", self._reduced(way, r))
            body.append(f"made_{k} = tl.where(inside, {joined}, made_{k})")
            ends.append(f"made_{k} = {_REDUCE[r.op]}(made_{k})")
            finished = _FINISHED[r.finish].format(f"made_{k}", way.number.format(each=each))
            if way is COLUMNS and r.finish:  # of several parts, `over_parts` does it
                finished = f"tl.where(parts == 1, {finished}, made_{k})"
            ends.append(
                f"tl.store(a_{r.name} + {way.target}, ({finished}).to({self.stored[r.name]}), mask=at < several)"
            )
        values = [] if way is PARTS else [r.of for r in reductions]
        return ALONG.format(
            **self.widths,
            name=way.name,
            bounds=_indented([bound.format(each=each) for bound in way.bounds]),
            source=way.source.format(each=each),
            addresses=self._addresses({r.name for r in reductions}, aligned=False),
            rounded=self._rounded(),
            blanks=_indented(blanks),
            body=_indented([*self._body(values, (), ", mask=inside"), *body], 2),
            ends=_indented(ends),
        )

    def _reduced(self, way: Way, r: Reduction) -> str:
        """What is reduced, in float64."""
        if way is PARTS:
            return f"tl.load(a_{r.name} + i, mask=inside, other={_BLANK[r.op]}).to(tl.float64)"
        value = f"({self._floating(r.of, 'e', self.precision)}).to(tl.float64)"
        return f"{value} * {value}" if r.op == "squares" else value

    # --- elements -----------------------------------------------------------------------------------------------

    def _addresses(self, written: set[str], aligned: bool = True) -> str:
        lines = []
        for name, place in self.places.items():
            if name in written or any(load.array == name for load in self.step.loads):
                lines.append(f"a_{name} = tl.load(entry + {place}).to(tl.pointer_type({self.stored[name]}))")
                if aligned:
                    lines += ["if ALIGNED:", f"    a_{name} = tl.multiple_of(a_{name}, 16)"]
        return _indented(lines)

    def _place(self, name: str, extent: Extent) -> str:
        """Where the pass's value `i` finds its own in an array of an extent."""
        array = next(array for array in self.layout.arrays if array.name == name)
        if extent == self.step.extent and array.kind != "sums":
            return "i"
        matrix = f"i // {EACH[self.step.extent]}"
        beside = f"{matrix} * parts * columns" if array.kind == "sums" else f"{matrix} * columns"
        return {"rows": "i // columns", "columns": f"{beside} + i % columns", "matrix": matrix}[extent]

    def _rounded(self) -> str:
        lines = []
        for k, name in enumerate(self.derived):
            value = f"tl.load(given + {k})"
            cast = f"{value} != 0" if self._boolean(name) else f"{value}.to({self.precision})"
            lines.append(f"{_k(name)} = {cast}")
        return _indented([*lines, *self._keys()])

    def _keys(self) -> list[str]:
        """Of what is drawn the keys, and which of the parameter's elements is the matrix's first."""
        if not self.draws:
            return []
        lines = [f"origin = tl.load(entry + {self.places[FIRST]})"]
        for op in self.draws:
            t, seed = map(self._in_full, op.args[:2])
            place = f"tl.load(entry + {self.places[PLACE]})"
            lines.append(f"y_{op.name} = key_of({seed}, {t}, {place}, {int(float(op.args[2]))})")
        return lines

    def _in_full(self, value: Value) -> str:
        """A number in float64."""
        if isinstance(value, str):
            return f"tl.load(given + {self.derived.index(value)})"
        return f"tl.full((), {_literal(value)}, tl.float64)"

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
        return f"tl.load(a_{load.array} + {self._place(load.array, load.extent)}{mask}).to({self.precision})"

    def _boolean(self, value: Value) -> bool:
        operation = self.operations.get(value) if isinstance(value, str) else None
        return operation is not None and operation.boolean

    def _operation(self, op: Operation, kind: str, precision: str) -> str:
        if op in self.draws:
            return f"{op.op}(y_{op.name}, origin + i).to({precision})"
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
