"""A pass's operations as lines of Python: `n_...` are numbers in float64, `k_...` these rounded, `e_...` elements."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .lowbits import FIRST, PLACE
from .operation import Operation, Value
from .program import Layout, Pass
from .vocabulary import DRAWS

TEMPLATES = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "mod": "{0} % {1}",
    "floordiv": "{0} // {1}",
    "pow": "{0} ** {1}",
    "neg": "-{0}",
    "abs": "abs({0})",
    "sign": "{F}({0} > 0) - {F}({0} < 0)",
    "sqrt": "math.sqrt({0})",
    "exp": "{exp}({0})",
    "log": "math.log({0})",
    "tanh": "math.tanh({0})",
    "cos": "math.cos({0})",
    "maximum": "{0} if ({0} > {1}) | ({0} != {0}) else {1}",
    "minimum": "{0} if ({0} < {1}) | ({0} != {0}) else {1}",
    "where": "{1} if {0} else {2}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "not {0}",
    "stored": "stored({0})",
}

_HEAVY = {"div", "sqrt", "exp", "log", "pow", "tanh", "cos", "mod", "floordiv", *DRAWS}

_CONDITIONS = {"where": (0,), "and": (0, 1), "or": (0, 1), "not": (0,)}


class Writer:
    """Writes the lines of one pass, for tensors that are computed with in `precision`."""

    def __init__(self, layout: Layout, step: Pass, precision: str) -> None:
        self.layout, self.step, self.precision = layout, step, precision
        self.operations = {op.name: op for op in step.operations}
        self.shared = {load.value for load in step.loads if load.extent != step.extent and load.extent != "columns"}
        """Values that do not change from one element to the next: a row's, a matrix's."""
        self.tensors = {load.value for load in step.loads} | {op.name for op in step.operations if op.tensor}
        self.draws = [op for op in step.operations if op.op in DRAWS]

    def is_light(self) -> bool:
        """Whether an element costs next to nothing to compute: then narrow accesses get more out of the memory."""
        return not any(op.tensor and op.op in _HEAVY for op in self.step.operations)

    def numbers(self) -> list[str]:
        """What is computed once a row: from its columns, in float64, then rounded; and what is kept of it."""
        lines = [f"{_n(name)} = number(row, {self.layout.columns.index(name)})" for name in self._columns()]
        lines += [f"{_n(op.name)} = {self._number(op)}" for op in self.step.operations if not op.tensor]
        lines += [f"{_k(name)} = {self._rounded(name)}" for name in self._used()]
        lines += [f"r_{_plain(name)} = {self.precision}(1.0 / {_k(name)})" for name in self._divisors()]
        for op in self.draws:
            t, seed, _ = (_n(a) if isinstance(a, str) else _literal(a) for a in op.args)
            lines.append(f"u_{op.name} = of_step({seed}, {t})")
        return lines + [
            f"put(row, {self.layout.columns.index(column)}, {self._in_full(value)})"
            for column, value in self.step.keeps
        ]

    def blanks(self) -> list[str]:
        """The names that elements use of a row's numbers, before there is a row."""
        lines = [f"{_k(name)} = {self._blank(name)}" for name in self._used()]
        lines += [f"r_{_plain(name)} = {self._blank(name)}" for name in self._divisors()]
        return lines + [f"u_{op.name} = uint64(0)" for op in self.draws]

    def entry(self, places: Mapping[str, int]) -> list[str]:
        """Once an entry: the keys of what is drawn, and which of the parameter's elements is the first."""
        keys = [
            f"y_{op.name} = of_tensor(u_{op.name}, integer(entry, {places[PLACE]}), {int(float(op.args[-1]))})"
            for op in self.draws
        ]
        return [f"first_of = integer(entry, {places[FIRST]})", *keys] if keys else []

    def elements(self, index: str) -> list[str]:
        """What is computed for element `index` of a loop from what was loaded."""
        return [f"e_{op.name} = {self._element(op, index)}" for op in self.step.operations if op.tensor]

    def floating(self, value: Value) -> str:
        """A tensor's value, or a number, as a floating-point number of the pass's precision."""
        return f"{self.precision}({self._named(value)})" if self._boolean(value) else self._named(value)

    def _columns(self) -> list[str]:
        values = [a for op in self.step.operations for a in op.args] + [value for _, value in self.step.keeps]
        values += [r.of for r in self.step.reductions] + [value for _, value in self.step.stores]
        names = [v for v in dict.fromkeys(values) if isinstance(v, str)]
        return [name for name in names if name not in self.tensors and name not in self.operations]

    def _used(self) -> list[str]:
        """The numbers that element-wise operations need, in order of first use."""
        computed = [op for op in self.step.operations if op.tensor and op not in self.draws]
        needed = [a for op in computed for a in op.args if isinstance(a, str)]
        needed += [value for _, value in self.step.stores if isinstance(value, str)]
        return [name for name in dict.fromkeys(needed) if name not in self.tensors]

    def divides_by(self, value: str) -> bool:
        """Whether elements are divided by a value that many of them share, so that its reciprocal is worth having."""
        return any(self._by_shared(op) and op.args[1] == value for op in self.step.operations)

    def _divisors(self) -> list[str]:
        """The numbers that elements are divided by."""
        shared = dict.fromkeys(str(op.args[1]) for op in self.step.operations if self._by_shared(op))
        return [name for name in shared if name not in self.tensors]

    def _by_shared(self, op: Operation) -> bool:
        """Whether the operation divides what every element has by what all of them, or those of a row, share."""
        if op.op != "div" or op.args[0] not in self.tensors or not isinstance(op.args[1], str):
            return False
        return op.args[1] not in self.tensors or op.args[1] in self.shared

    def _blank(self, name: str) -> str:
        return "False" if self._boolean(name) else "zero"

    def _rounded(self, name: str) -> str:
        return _n(name) if self._boolean(name) else f"{self.precision}({_n(name)})"

    def _boolean(self, value: Value) -> bool:
        operation = self.operations.get(value) if isinstance(value, str) else None
        return operation is not None and operation.boolean

    def _number(self, op: Operation) -> str:
        args = [_n(a) if isinstance(a, str) else _literal(a) for a in op.args]
        args = [a if self._as_it_is(op, k) else f"float64({a})" for k, a in enumerate(args)]
        return TEMPLATES[op.op].format(*args, F="float64", exp="math.exp")

    def _in_full(self, value: Value) -> str:
        return f"float64({_n(value)})" if isinstance(value, str) else _literal(value)

    def _element(self, op: Operation, index: str) -> str:
        if op in self.draws:
            drawn = f"{op.op}(y_{op.name}, part, here + {index})"
            return drawn if self.precision == "float32" else f"{self.precision}({drawn})"
        args = [self.floating(a) if not self._as_it_is(op, k) else self._named(a) for k, a in enumerate(op.args)]
        exp = "exp32" if self.precision == "float32" else "math.exp"
        if self._by_shared(op):
            return f"divide({args[0]}, {args[1]}, r_{_plain(str(op.args[1]))})"
        if self._is_cube_root(op):
            return f"cube_root32({args[0]})"
        return TEMPLATES[op.op].format(*args, F=self.precision, exp=exp)

    def takes_cube_roots(self) -> bool:
        """Whether the cube root that needs no call is asked for."""
        return any(op.tensor and self._is_cube_root(op) for op in self.step.operations)

    def _is_cube_root(self, op: Operation) -> bool:
        return self.precision == "float32" and op.op == "pow" and op.args[1] == 1 / 3

    def _as_it_is(self, op: Operation, index: int) -> bool:
        """Whether operand `index` is taken as it is: conditions stay booleans, everything else becomes a number."""
        return not self._boolean(op.args[index]) or index in _CONDITIONS.get(op.op, ()) or op.boolean

    def _named(self, value: Value) -> str:
        if not isinstance(value, str):
            return f"{self.precision}({_literal(value)})"
        return f"e_{value}" if value in self.tensors else _k(value)


def _plain(name: str) -> str:
    """A column's name as part of an identifier: no name of a rule begins with a digit."""
    return name.replace("#", "0")


def _n(name: str) -> str:
    return f"n_{_plain(name)}"


def _k(name: str) -> str:
    return f"k_{_plain(name)}"


def _literal(value: float) -> str:
    if math.isfinite(value):
        return f"({value!r})"  # or a power would bind tighter than a minus
    return "math.nan" if math.isnan(value) else "math.inf" if value > 0 else "(-math.inf)"
