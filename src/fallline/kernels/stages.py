"""When a value of a plan can be had, and what a pass takes to compute it.

A value is *usable* from a stage on: a reduction or a call one stage after what it takes, everything else as soon as its
operands are. A pass finds in memory its arrays, what was reduced or called before, and what was handed on to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .extent import Extent
from .operation import Operation, Value
from .plan import Plan
from .program import Load


@dataclass
class Needs:
    """What computing values takes: arrays to load, columns of the row of numbers, and the operations between."""

    loads: dict[str, Load] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)


class Stages:
    """The stages of a plan's values."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.operations = plan.by_name()
        self.round_of = {name: k for k, names in enumerate(plan.rounds) for name in names}
        self.called: dict[str, int] = {}
        """The stage at whose end a call is made."""
        self.summed: dict[int, int] = {}
        """The stage at whose end a round is."""
        self.stored: dict[str, tuple[str, int]] = {}
        """A value that a state's array holds from the end of a stage on."""
        self._usable: dict[Value, int] = {}
        for op in plan.operations:
            self._usable[op.name] = self._time(op)
        self.handed = {name for op in plan.operations for name in self._handed(op)}
        """Values that one pass makes and another, or a call, finds in memory."""

    def usable(self, value: Value) -> int:
        """The first stage whose passes can take a value."""
        return self._usable.get(value, 0)

    def _time(self, op: Operation) -> int:
        if op.call is not None:
            self.called[op.name] = max(map(self._ready, op.call.takes), default=0)
            return self.called[op.name] + 1
        if op.op == "total":
            number = self.round_of[op.name]
            if number not in self.summed:
                parts = [self.operations[name].args[0] for name in self.plan.rounds[number]]
                self.summed[number] = max(map(self.usable, parts))
            return self.summed[number] + 1
        if op.reduces:
            return self.usable(op.args[0]) + 1
        return max((self.usable(a) + self._crosses(a, op.extent) for a in op.args), default=0)

    def _ready(self, value: Value) -> int:
        """The stage at whose end a value is in memory, if it is asked for."""
        if value in self.called:
            return self.called[str(value)]
        op = self.operations.get(str(value))
        return self.usable(value) - (op is not None and op.reduces)

    def _crosses(self, value: Value, extent: Extent) -> bool:
        """Whether a pass over `extent` needs it made by a pass over another."""
        op = self.operations.get(str(value))
        return op is not None and op.tensor and op.extent != extent and not in_memory(op)

    def _handed(self, op: Operation) -> Iterator[str]:
        """The operands that an operation must find in memory."""
        for name in op.takes:
            made = self.operations.get(str(name))
            if made is None or not made.tensor or in_memory(made):
                continue
            if op.call is not None or (not op.reduces and made.extent != op.extent):
                yield made.name

    def extent(self, value: Value) -> Extent:
        """The extent of an operand."""
        return self.plan.extent(value)

    def takes(self, call: str) -> tuple[str, ...]:
        """What a call takes."""
        made = self.operations[call].call
        return () if made is None else made.takes

    def after_calls(self, array: str) -> int:
        """The first stage in which an array may be overwritten, for the calls that read it."""
        return max((at + 1 for name, at in self.called.items() if array in self.takes(name)), default=0)

    def needs(self, values: Iterable[Value], extent: Extent, stage: int) -> Needs:
        """What a pass over `extent` at a stage takes to compute values."""
        needs = Needs()
        waiting = list(values)
        while waiting:
            name = waiting.pop()
            if not isinstance(name, str) or name in needs.loads or name in needs.operations:
                continue
            source = self._source(name, extent, stage)
            if source is not None:
                needs.loads[name] = source
            elif name not in self.operations or self._is_column(name):
                needs.columns.add(name)
            else:
                needs.operations.add(name)
                waiting += self.operations[name].args
        return needs

    def columns(self, value: Value) -> set[str]:
        """The columns that a number is computed from."""
        return self.needs([value], "number", 0).columns

    def _is_column(self, name: str) -> bool:
        op = self.operations[name]
        return op.extent == "scalar" and in_memory(op)

    def _source(self, name: str, extent: Extent, stage: int) -> Load | None:
        """Where a pass finds a value in memory."""
        if name in self.plan.arrays:
            return Load(name, name, self.plan.arrays[name])
        op = self.operations.get(name)
        if op is None or not op.tensor:
            return None
        if name in self.stored and self.stored[name][1] < stage:
            return Load(name, self.stored[name][0], op.extent)
        if in_memory(op) or op.extent != extent or (name in self.handed and self.usable(name) < stage):
            return Load(name, name, op.extent)
        return None


def in_memory(op: Operation) -> bool:
    """Whether what the operation makes is in memory in any case."""
    return op.call is not None or op.reduces
