"""Islands: what a rule computes element by element between its calls, on values that are not shaped as the parameter.

Such values (the moments of a projected gradient, a factor of curvature) are outside of a plan's passes, so every
operation on them would be a call of PyTorch, with memory read and written each time. Those on values of one shape are
gathered into an `Island`, a plan of its own, which is compiled as any other and called once.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .extent import Extent, extent_of, is_tensor, joined, reduced
from .operation import Call, Given, Operation, Value
from .plan import Plan
from .vocabulary import ARITHMETIC, FUNCTIONS, Reduce

_WORDS = ARITHMETIC | FUNCTIONS

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Land:
    """What an island computes: `plan` of values that are seen in the shape `view`.

    It is called with the tensors that stand in the arrays `given`, then with the plan's numbers. What it gives is told
    by `made`: for every value its array, which is a new one in the `shapes`, or a given one that is written over.
    """

    plan: Plan
    view: Shape
    given: tuple[str, ...]
    made: tuple[str, ...]
    shapes: Mapping[str, Shape]
    timed: bool
    """Whether the first of the numbers is the step."""


class _Island:
    """An island that grows: operations, by name, on values that are seen in one shape."""

    def __init__(self, view: Shape) -> None:
        self.view = view
        self.members: dict[str, Operation] = {}
        self.behind: set[_Island] = set()
        """The islands on whose values it depends."""

    def after(self, other: _Island) -> bool:
        """Whether it depends on another."""
        return any(each is other or each.after(other) for each in self.behind)


class Islands:
    """The islands of a plan, found in the order of its operations."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.operations = plan.by_name()
        self.of: dict[str, _Island] = {}
        """The island that an operation belongs to."""
        self.all: list[_Island] = []
        self.behind: dict[str, set[_Island]] = {}
        """The islands that a value waits for."""
        for op in plan.operations:
            self._visit(op)

    def _visit(self, op: Operation) -> None:
        takes = [str(name) for name in op.takes]
        needed = set().union(*(self.behind.get(name, set()) for name in takes))
        view = self._view(op)
        if view is None:
            self.behind[op.name] = needed
            return
        outside = {name: self.behind.get(name, set()) for name in takes}
        island = next((each for each in self.all if self._takes(each, op, outside)), None)
        if island is None:
            island = _Island(view)
            self.all.append(island)
        island.members[op.name] = op
        island.behind |= needed - {island}
        self.of[op.name], self.behind[op.name] = island, {island}

    def _takes(self, island: _Island, op: Operation, outside: Mapping[str, set[_Island]]) -> bool:
        shapes = [shape for name in (op.name, *outside) if (shape := self._shape(name)) is not None]
        if any(extent_of(shape, island.view) == "other" for shape in shapes):
            return False
        waits = [each for name, several in outside.items() if self.of.get(name) is not island for each in several]
        return not any(each is island or each.after(island) for each in waits)

    def _view(self, op: Operation) -> Shape | None:
        """The shape in which an operation would be seen; None where it is none of an island's."""
        if op.call is None or not op.tensor or op.call.shape is None:
            return None
        if not _known(op.call.said) or op.boolean:
            return None
        shapes = [op.call.shape]
        for name in op.call.takes:
            tensor = is_tensor(self.plan.extent(name))
            if tensor and (self._shape(name) is None or self._boolean(name)):
                return None
            shapes += [shape for shape in [self._shape(name)] if shape is not None]
        view = max(shapes, key=lambda shape: (len(shape), shape))
        return view if len(view) > 1 and all(extent_of(shape, view) != "other" for shape in shapes) else None

    def _boolean(self, name: str) -> bool:
        return name in self.operations and self.operations[name].boolean

    def _shape(self, name: str) -> Shape | None:
        """The shape of a tensor, if it is known."""
        if name in self.plan.arrays:
            return self.plan.shapes[name]
        op = self.operations.get(name)
        return None if op is None or op.call is None else op.call.shape

    def operations_in_order(self) -> Iterator[Operation]:
        """The plan's operations, those of an island as one call and one for each value that others take."""
        done: set[object] = set()
        for op in self.plan.operations:
            yield from self._emit(op.name, done)

    def _emit(self, name: str, done: set[object]) -> Iterator[Operation]:
        thing: Any = self.of.get(name, name)
        if thing in done or name not in self.operations:
            return
        done.add(thing)
        if thing is name:
            op = self.operations[name]
            for operand in op.takes:
                yield from self._emit(str(operand), done)
            yield op
            return
        call, given = self._call(thing)
        for name in call.takes:
            yield from self._emit(name, done)
        title = next(iter(thing.members)) + "_island"
        yield Operation(title, "call", call.takes, "other", call=call)
        taken = self.taken(thing, states=False)
        for k, each in enumerate(given):
            if each not in taken:
                continue
            op = thing.members[each]
            assert op.call is not None
            part = Call(operator.getitem, (Given(title), k), {}, call.stacks, (title,), None, op.call.shape)
            yield replace(op, call=part)

    def _call(self, island: _Island) -> tuple[Call, tuple[str, ...]]:
        """The call of an island, and which of its values it gives."""
        from .island import Island

        taken = self.taken(island, states=True)
        given = tuple(name for name in island.members if name in taken)
        writing = _Writing(self, island)
        over = self.over[island]
        land, takes = writing.land(given, over)
        stacks = all(op.call is not None and op.call.stacks for op in island.members.values())
        arguments = tuple(map(Given, takes))
        return Call(Island(land), arguments, {}, stacks, takes, writes=tuple(over.values())), given

    def taken(self, island: _Island, states: bool) -> set[str]:
        """What others take of an island; with those of its values that are new `states` which it writes in place."""
        taken = {str(out) for out in (self.plan.outputs if states else self.outputs())}
        for op in self.plan.operations:
            if op.name not in island.members:
                taken.update(str(name) for name in op.takes)
        return taken

    @cached_property
    def over(self) -> dict[_Island, dict[str, str]]:
        """What each island writes in place."""
        return {island: self._over(island) for island in self.all}

    def _over(self, island: _Island) -> dict[str, str]:
        """Values of an island that are the new ones of states, with these: written in place.

        Nothing else reads the states but calls that are made for the island alone, and so before it.
        """
        own = self._own(island)
        written: dict[str, str] = {}
        for array, value in self.plan.written.items():
            alone = self.takers.get(array, set()) <= own and array not in self.plan.outputs
            made = isinstance(value, str) and value in island.members and value not in written
            if alone and made and self._shape(str(value)) == self._shape(array):
                written[str(value)] = array
        read = {name for op in island.members.values() if op.call for name in op.call.takes}
        inputs = {name for name in read - set(island.members) if is_tensor(self.plan.extent(name))}
        return written if inputs >= set(written.values()) and inputs - set(written.values()) else {}

    def _own(self, island: _Island) -> set[str]:
        """The operations of an island, and the calls whose values it alone takes."""
        own = set(island.members)
        for op in reversed(self.plan.operations):
            takers = self.takers.get(op.name, {op.name})
            if op.call is not None and takers <= own and op.name not in self.plan.outputs:
                own.add(op.name)
        return own

    @cached_property
    def takers(self) -> dict[str, set[str]]:
        """The operations that take a value."""
        takers: dict[str, set[str]] = {}
        for op in self.plan.operations:
            for name in op.takes:
                takers.setdefault(str(name), set()).add(op.name)
        return takers

    def outputs(self) -> tuple[Value, ...]:
        """The plan's outputs, a state that an island writes in place as unchanged."""
        arrays = [name for name in self.plan.arrays if name != "g"]
        over = {array for written in self.over.values() for array in written.values()}
        states = zip(arrays, self.plan.outputs, strict=False)
        return (*(name if name in over else out for name, out in states), *self.plan.outputs[len(arrays) :])


class _Writing:
    """An island's plan in the making."""

    def __init__(self, islands: Islands, island: _Island) -> None:
        self.whole, self.island = islands, island
        self.made: list[Operation] = []
        self.extents: dict[str, Extent] = {}
        self.tensors: dict[str, Extent] = {}
        self.numbers: list[str] = []
        for op in island.members.values():
            assert op.call is not None
            assert op.call.said is not None
            self._write(op.call.said, op.name)

    def land(self, given: tuple[str, ...], over: Mapping[str, str]) -> tuple[Land, tuple[str, ...]]:
        """The finished land, and what it takes; `over` tells the states that receive values."""
        values = {array: value for value, array in over.items()}
        fresh = [value for value in given if value not in over]
        kept = next(name for name in self.tensors if name not in values)
        # a plan's gradient is an array that is not written, its parameter one that is
        states = sorted((name for name in self.tensors if name != kept), key=lambda name: name not in values)
        order = [*fresh, *states]
        names = dict(zip(order, ["p", *(f"0array{k}" for k in range(1, len(order)))], strict=True)) | {kept: "g"}
        arrays = {names[name]: self.extents[name] for name in order} | {"g": self.extents[kept]}
        inner = names | {name: name.replace("#", "0") for name in self.numbers}  # no facts of this plan's own
        inner = {name: to for name, to in inner.items() if name not in fresh}
        operations = tuple(replace(op, args=tuple(inner.get(str(arg), arg) for arg in op.args)) for op in self.made)
        numbers = tuple(name for name in self.numbers if name != "t")
        outputs = (*fresh, *(values.get(name, names[name]) for name in states))
        plan = Plan(arrays, (), tuple(inner[name] for name in numbers), operations, outputs)
        calls = {value: self.island.members[value].call for value in fresh}
        shapes = {names[value]: call.shape for value, call in calls.items() if call is not None and call.shape}
        made = tuple(names[over.get(value, value)] for value in given)
        takes = (*self.tensors, *(("t",) if "t" in self.numbers else ()), *numbers)
        return Land(
            plan, self.island.view, tuple(names[name] for name in self.tensors), made, shapes, "t" in self.numbers
        ), takes

    def _write(self, said: Any, name: str) -> str:
        if isinstance(said, Reduce):
            value = self._operand(said.of, name)
            for k, dim in enumerate(reversed(said.dims)):
                last = k == len(said.dims) - 1
                into = reduced(self._extent(value), dim)
                assert into is not None
                value = self._add(Operation(name if last else f"{name}_{k}", said.op, (value,), into))
            return str(value)
        op, *operands = said
        args = tuple(self._operand(operand, name) for operand in operands)
        extent = joined(map(self._extent, args))
        return self._add(Operation(name, op, args, extent))

    def _add(self, op: Operation) -> str:
        self.made.append(op)
        self.extents[op.name] = op.extent
        return op.name

    def _operand(self, operand: Any, name: str) -> Value:
        if isinstance(operand, tuple):
            return self._write(operand, f"{name}_{len(self.made)}")
        if not isinstance(operand, str):
            return float(operand)
        if operand in self.extents:
            return operand
        extent = self.whole.plan.extent(operand)
        if is_tensor(extent):
            shape = self.whole._shape(operand)
            assert shape is not None
            self.tensors[operand] = self.extents[operand] = extent_of(shape, self.island.view)
            return operand
        op = self.whole.operations.get(operand)
        if op is None or extent == "scalar":
            self.numbers.append(operand)
            self.extents[operand] = "number"
            return operand
        for arg in op.args:
            if isinstance(arg, str):
                self._operand(arg, name)
        return self._add(op)

    def _extent(self, value: Value) -> Extent:
        return self.extents[value] if isinstance(value, str) else "number"


def _known(said: Any) -> bool:
    """Whether all its words are computed element by element, or reduce along kept dimensions."""
    if isinstance(said, Reduce):
        return bool(said.dims) and (not isinstance(said.of, tuple) or _known(said.of))
    return said is not None and said[0] in _WORDS and all(_known(x) for x in said[1:] if isinstance(x, tuple))


def with_islands(plan: Plan) -> Plan:
    """The plan with its islands as calls."""
    islands = Islands(plan)
    if not islands.all:
        return plan
    return replace(plan, operations=tuple(islands.operations_in_order()), outputs=islands.outputs())
