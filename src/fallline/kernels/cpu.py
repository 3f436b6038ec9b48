"""The Numba backend: a plan becomes the text of a function that steps every tensor in one call.

The generated text is ordinary Python, kept in the cache directory, where it can be read. A kernel is called with

- `table`: int64, for every tensor its length, its row of numbers, and the address of each of the plan's arrays;
- `rows`: float64, one row of numbers (step, hyper-parameters, carried numbers) for each group or trial;
- `begin`, `end`: the part to do of the line on which all tensors stand one after another.

Threads that share a step run `share` instead, all on one job: each takes the next part until none is left.

A row's derived numbers are computed in float64 when the kernel meets the row, then rounded to the tensors' precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from . import cache
from .plan import Operation, Plan, Value

DTYPES = ("float32", "float64", "bfloat16", "float16")

_TEMPLATES = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
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
}

_HEAVY = {"div", "sqrt", "exp", "log", "pow", "tanh", "cos"}

_CONDITIONS = {"where": (0,), "and": (0, 1), "or": (0, 1), "not": (0,)}

_SKELETON = """\
# {title}, {dtype}: made by Fallline from the rule's text
import math

from numba import carray, cfunc, float32, float64, int64, njit

from fallline.kernels.memory import array, divide, exp32, narrow_vectors, pointer, take

{arrays}

@njit({signature}nogil=True, error_model="numpy", cache=CACHE)
def kernel(table, rows, begin, end):
    {hint}
    before = 0
    last = -1
{blanks}
    for k in range(table.size // {width}):
        at = k * {width}
        low = max(begin - before, 0)
        high = min(end - before, table[at])
        before += table[at]
        if low >= high:
            continue
        row = table[at + 1]
        if row != last:
            last = row
{numbers}
{addresses}
        for i in range(low, high):
{elements}
"""

_SHARED = """

@cfunc("void(int64)", error_model="numpy", cache=CACHE)
def share(job):
    _, step, length, table_at, table_size, rows_at, rows_count, rows_width = carray(pointer(job), (8,), int64)
    table = carray(pointer(table_at), (table_size,), int64)
    rows = carray(pointer(rows_at), (rows_count, rows_width), float64)
    begin = take(job, step)
    while begin < length:
        kernel(table, rows, begin, min(begin + step, length))
        begin = take(job, step)
"""
_SIGNATURE = '"void(int64[::1], float64[:, ::1], int64, int64)", '


@dataclass(frozen=True)
class Kernel:
    """A plan for tensors of one type. What is used is compiled when it is first used, or read from the cache."""

    plan: Plan
    dtype: str
    title: str = "kernel"

    @cached_property
    def alone(self) -> Callable[..., None]:
        """`alone(table, rows, begin, end)`: a part of a step, on this thread."""
        function: Callable[..., None] = cache.load(text(self.plan, self.dtype, self.title), "kernel")
        return function

    @cached_property
    def share(self) -> Any:
        """A C function that takes part in the job at an address; it needs no Python and stops when all is done.

        A job is eight int64: where the next part begins (counted up by all), the length of a part, the length of all,
        address and size of the table, address, count and width of the rows.
        """
        return cache.load(text(self.plan, self.dtype, self.title, shared=True), "share")


@lru_cache(maxsize=None)
def compiled(plan: Plan, dtype: str, title: str = "kernel") -> Kernel:
    """The kernel of a plan for tensors of `dtype`."""
    return Kernel(plan, dtype, title)


def text(plan: Plan, dtype: str, title: str = "kernel", shared: bool = False) -> str:
    """The text of the kernel of a plan."""
    writer = _Writer(plan, "float64" if dtype == "float64" else "float32")
    numbers, used, by = writer.numbers(), writer.used(), writer.divisors()
    count = len(plan.arrays)
    body = _SKELETON.format(
        signature="" if shared else _SIGNATURE,
        title=" ".join(title.split()),
        dtype=dtype,
        arrays="\n".join(
            f'load_{name}, store_{name} = array("{dtype}", {k}, {count})' for k, name in enumerate(plan.arrays)
        ),
        hint="narrow_vectors()" if writer.is_light() else "pass",
        width=count + 2,
        blanks=_indented(1, [f"k_{n} = {writer.blank(n)}" for n in used] + [f"r_{n} = {writer.blank(n)}" for n in by]),
        numbers=_indented(
            3,
            [
                *numbers,
                *(f"k_{n} = {writer.rounded(n)}" for n in used),
                *(f"r_{n} = {writer.precision}(1.0 / k_{n})" for n in by),
                *writer.kept(),
            ],
        ),
        addresses=_indented(2, [f"a_{name} = table[at + {k + 2}]" for k, name in enumerate(plan.arrays)]),
        elements=_indented(3, writer.elements()),
    )
    return body + _SHARED if shared else body


def _indented(depth: int, lines: list[str]) -> str:
    return "\n".join("    " * depth + line for line in lines or ["pass"])


class _Writer:
    """Writes a plan's operations as Python: numbers as `n_...` in float64, `k_...` rounded, elements as `e_...`."""

    def __init__(self, plan: Plan, precision: str) -> None:
        self.plan = plan
        self.precision = precision
        self.operations = plan.by_name()
        self.tensors = {*plan.arrays, *(op.name for op in plan.operations if op.tensor)}

    def _by_number(self, op: Operation) -> bool:
        """Whether the operation divides what every element has by a number that all share."""
        return (
            op.op == "div"
            and op.args[0] in self.tensors
            and isinstance(op.args[1], str)
            and op.args[1] not in self.tensors
        )

    def divisors(self) -> list[str]:
        """The numbers that elements are divided by."""
        return list(dict.fromkeys(str(op.args[1]) for op in self.plan.operations if self._by_number(op)))

    def is_light(self) -> bool:
        """Whether an element costs next to nothing to compute: then narrow accesses get more out of the memory."""
        return not any(op.tensor and op.op in _HEAVY for op in self.plan.operations)

    def used(self) -> list[str]:
        """The numbers that element-wise operations need, in order of first use."""
        needed = [a for op in self.plan.operations if op.tensor for a in op.args if isinstance(a, str)]
        return [name for name in dict.fromkeys(needed) if name not in self.tensors]

    def numbers(self) -> list[str]:
        inputs = [f"n_{name} = rows[row, {k}]" for k, name in enumerate(self.plan.numbers)]
        return inputs + [f"n_{op.name} = {self._number(op)}" for op in self.plan.operations if not op.tensor]

    def kept(self) -> list[str]:
        """The carried numbers' new values, written after the inputs of the row for the caller to read."""
        width, first = len(self.plan.numbers), 1 + len(self.plan.arrays) - 2
        names = self.plan.outputs[first:]
        return [f"rows[row, {width + k}] = n_{name}" for k, name in enumerate(names)]

    def elements(self) -> list[str]:
        loads = [f"e_{name} = load_{name}(a_{name}, i)" for name in self._read()]
        body = [f"e_{op.name} = {self._element(op)}" for op in self.plan.operations if op.tensor]
        stores = [f"store_{name}(a_{name}, i, {self._floating(value)})" for name, value in self.plan.written.items()]
        return loads + body + stores

    def blank(self, name: str) -> str:
        return "False" if self._boolean(name) else f"{self.precision}(0.0)"

    def rounded(self, name: str) -> str:
        return f"n_{name}" if self._boolean(name) else f"{self.precision}(n_{name})"

    def _read(self) -> list[str]:
        used = {a for op in self.plan.operations if op.tensor for a in op.args} | set(self.plan.written.values())
        return [name for name in self.plan.arrays if name in used]

    def _boolean(self, value: Value) -> bool:
        operation = self.operations.get(value) if isinstance(value, str) else None
        return operation is not None and operation.boolean

    def _number(self, op: Operation) -> str:
        args = [f"n_{a}" if isinstance(a, str) else _literal(a) for a in op.args]
        args = [a if self._plain(op, k) else f"float64({a})" for k, a in enumerate(args)]
        return _TEMPLATES[op.op].format(*args, F="float64", exp="math.exp")

    def _element(self, op: Operation) -> str:
        args = [self._floating(a) if not self._plain(op, k) else self._named(a) for k, a in enumerate(op.args)]
        exp = "exp32" if self.precision == "float32" else "math.exp"
        if self._by_number(op):
            return f"divide({args[0]}, {args[1]}, r_{op.args[1]})"
        return _TEMPLATES[op.op].format(*args, F=self.precision, exp=exp)

    def _plain(self, op: Operation, index: int) -> bool:
        """Whether operand `index` is taken as it is: conditions stay booleans, everything else becomes a number."""
        return not self._boolean(op.args[index]) or index in _CONDITIONS.get(op.op, ()) or op.boolean

    def _floating(self, value: Value) -> str:
        return f"{self.precision}({self._named(value)})" if self._boolean(value) else self._named(value)

    def _named(self, value: Value) -> str:
        if not isinstance(value, str):
            return f"{self.precision}({_literal(value)})"
        return f"e_{value}" if value in self.tensors else f"k_{value}"


def _literal(value: float) -> str:
    if math.isfinite(value):
        return f"({value!r})"  # or a power would bind tighter than a minus
    return "math.nan" if math.isnan(value) else "math.inf" if value > 0 else "(-math.inf)"
