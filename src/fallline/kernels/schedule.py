"""From a plan to a program: which pass computes what, so that as little memory as possible is read.

A value is *usable* from a stage on: a reduction or a call one stage after what it takes, everything else as soon as
its operands are. The passes of a stage are made of *goals*: a reduction, a temporary that a call or another extent
needs, an output. A goal is computed from the arrays again rather than from a temporary, and is put where its arrays
are read anyway. An output that an earlier pass computes on its way is stored there, if nothing later needs what it
replaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from .extent import DOMAINS, Extent
from .plan import Operation, Plan, UnknownOperation, Value
from .program import Apply, Array, Copy, Layout, Load, Pass, Program, Reduction, Round, Source, Step


@lru_cache(maxsize=None)
def program(plan: Plan, rereads: bool = True) -> Program:
    """The program of a plan all of whose choices are made.

    `rereads` allows a pass to read a state that an earlier pass of the step has stored: where states are kept in the
    precision that kernels compute in, it makes no difference but to the memory that is moved.
    Raises `UnknownOperation` for what no program can do.
    """
    if any(op.op == "when" for op in plan.operations):
        raise UnknownOperation("a choice that is not made")
    return _Scheduler(_raw(plan), rereads).program()


def _raw(plan: Plan) -> Plan:
    """The plan with norms and means of whole tensors as sums, of which numbers are then computed."""
    return replace(plan, operations=tuple(raw for op in plan.operations for raw in _in_sums(plan, op)))


def _in_sums(plan: Plan, op: Operation) -> Iterator[Operation]:
    if op.extent != "scalar" or op.op not in ("norm", "mean"):
        yield op
        return
    name = f"{op.name}_raw"
    yield Operation(name, "squares" if op.op == "norm" else "sum", op.args, "scalar")
    if op.op == "norm":
        yield replace(op, op="sqrt", args=(name,))
        return
    count = "#numel"
    for fact in {"rows": ("#columns",), "columns": ("#rows",), "matrix": ("#rows", "#columns")}.get(
        extent_in(plan, op.args[0]), ()
    ):
        made = f"{op.name}_count{fact[1:]}"
        yield Operation(made, "div", (count, fact), "scalar")
        count = made
    yield replace(op, op="div", args=(name, count))


def extent_in(plan: Plan, value: Value) -> Extent:
    """The extent of an operand."""
    if value in plan.arrays:
        return plan.arrays[str(value)]
    return next((op.extent for op in plan.operations if op.name == value), "number")


@dataclass
class _Goal:
    """Something that a pass makes: `kind` is `reduce`, `hand` (a temporary) or `store` (an output)."""

    kind: str
    name: str
    value: Value
    extent: Extent
    earliest: int
    stage: int = 0


@dataclass
class _Needs:
    """What computing a value takes: arrays to load, scalars at hand, and the operations between."""

    loads: dict[str, Load] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)


class _Scheduler:
    def __init__(self, plan: Plan, rereads: bool) -> None:
        self.plan, self.rereads = plan, rereads
        self.operations = plan.by_name()
        self.order = {op.name: k for k, op in enumerate(plan.operations)}
        self.round_of = {name: k for k, names in enumerate(plan.rounds) for name in names}
        self.usable: dict[Value, int] = {}
        self.called: dict[str, int] = {}
        """The stage at whose end a call is made."""
        self.summed: dict[int, int] = {}
        """The stage at whose end a round is."""
        self.stored: dict[str, tuple[str, int]] = {}
        """A value that an array holds from the end of a stage on."""
        for op in plan.operations:
            self._time(op)
        self.handed = {name for op in plan.operations for name in self._handed(op)}

    # --- when ---------------------------------------------------------------------------------------------------

    def _time(self, op: Operation) -> None:
        operands = [self._usable(a) for a in op.args]
        if op.call is not None:
            self.called[op.name] = max(map(self._ready, op.call.takes), default=0)
            self.usable[op.name] = self.called[op.name] + 1
        elif op.op == "total":
            number = self.round_of[op.name]
            if number not in self.summed:
                parts = [self.operations[name].args[0] for name in self.plan.rounds[number]]
                self.summed[number] = max(map(self._usable, parts))
            self.usable[op.name] = self.summed[number] + 1
        elif op.reduces:
            self.usable[op.name] = operands[0] + 1
        else:
            self.usable[op.name] = max(
                (u + self._crosses(a, op.extent) for a, u in zip(op.args, operands, strict=True)), default=0
            )

    def _usable(self, value: Value) -> int:
        return self.usable.get(value, 0)

    def _ready(self, value: Value) -> int:
        """The stage at whose end a value is in memory, if it is asked for."""
        if value in self.called:
            return self.called[str(value)]
        op = self.operations.get(str(value))
        return self._usable(value) - (op is not None and op.reduces)

    def _crosses(self, value: Value, extent: Extent) -> bool:
        """Whether a pass over `extent` needs it made by a pass over another."""
        op = self.operations.get(str(value))
        return op is not None and op.tensor and op.extent != extent and not self._in_memory(op)

    def _in_memory(self, op: Operation) -> bool:
        return op.call is not None or op.reduces

    # --- what a value takes -------------------------------------------------------------------------------------

    def _for(self, goal: _Goal, stage: int) -> _Needs:
        """What a goal takes at a stage."""
        if goal.kind != "hand":
            return self._needs([goal.value], goal.extent, stage)
        needs = self._needs(self.operations[goal.name].args, goal.extent, stage)  # it is not there before it is made
        needs.operations.add(goal.name)
        return needs

    def _needs(self, values: Iterable[Value], extent: Extent, stage: int) -> _Needs:
        """What a pass over `extent` at a stage takes to compute values."""
        needs = _Needs()
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

    def _is_column(self, name: str) -> bool:
        op = self.operations[name]
        return op.extent == "scalar" and self._in_memory(op)

    def _source(self, name: str, extent: Extent, stage: int) -> Load | None:
        """Where a pass finds a value in memory."""
        if name in self.plan.arrays:
            return Load(name, name, self.plan.arrays[name])
        op = self.operations.get(name)
        if op is None or not op.tensor:
            return None
        if name in self.stored and self.stored[name][1] < stage:
            return Load(name, self.stored[name][0], op.extent)
        if self._in_memory(op) or op.extent != extent or (name in self.handed and self._usable(name) < stage):
            return Load(name, name, op.extent)
        return None

    # --- where --------------------------------------------------------------------------------------------------

    def program(self) -> Program:
        self.goals = list(self._goals())
        self.placed: list[_Goal] = []
        for goal in reversed(self.goals):
            self._place(goal)
            self.placed.append(goal)
        for _ in range(len(self.goals)):  # again, now that all stand somewhere
            before = [goal.stage for goal in self.goals]
            for goal in self.goals:
                self._place(goal)
            if before == [goal.stage for goal in self.goals]:
                break
        for goal in self.goals:
            if goal.kind == "store":
                self._store_early(goal)
        steps = tuple(self._steps())
        return Program(self._layout(steps), steps, self.plan.dimensions)

    def _goals(self) -> Iterator[_Goal]:
        """In order: what a goal needs comes before it."""
        for op in self.plan.operations:
            if op.reduces:
                value = op.args[0]
                yield _Goal("reduce", op.name, value, self._extent(value), self._usable(value))
            elif op.name in self.handed:
                yield _Goal("hand", op.name, op.name, op.extent, self._usable(op.name))
        stores = [
            _Goal("store", array, value, self.plan.arrays[array], self._usable(value))
            for array, value in self.plan.written.items()
            if not self._is_copied(array, value)
        ]
        self.last = max([goal.earliest for goal in stores] + [self._after_calls(goal.name) for goal in stores] + [0])
        yield from stores

    def _handed(self, op: Operation) -> Iterator[str]:
        """The operands that an operation must find in memory."""
        for name in op.args if op.call is None else op.call.takes:
            made = self.operations.get(str(name))
            if made is None or not made.tensor or self._in_memory(made):
                continue
            if op.call is not None or (not op.reduces and made.extent != op.extent):
                yield made.name

    def _extent(self, value: Value) -> Extent:
        return extent_in(self.plan, value)

    def _is_copied(self, array: str, value: Value) -> bool:
        """Whether a call's result is the new state as it stands, or no kernel knows its shape."""
        op = self.operations.get(str(value))
        extent = self.plan.arrays[array]
        if extent != "other" and op is not None and not self._in_memory(op) and op.extent != extent:
            raise UnknownOperation(f"{array} receives a value of another shape")
        return extent == "other" or (op is not None and op.call is not None)

    def _after_calls(self, array: str) -> int:
        """The first stage in which an array may be overwritten, for the calls that read it."""
        return max((at + 1 for name, at in self.called.items() if array in self._takes(name)), default=0)

    def _takes(self, name: str) -> tuple[str, ...]:
        """What a call takes."""
        call = self.operations[name].call
        return () if call is None else call.takes

    def _place(self, goal: _Goal) -> None:
        """At the stage that reads its arrays anyway; among those the last."""
        if goal.kind == "store":
            goal.stage = self.last
            return
        taken = self._taken(goal)
        made = [other.stage + 1 for other in self.placed if other.kind != "store" and other.name in taken]
        earliest = max([goal.earliest, *made])
        stages = range(earliest, max(earliest, self._deadline(goal)) + 1)
        goal.stage = min(stages, key=lambda stage: self._extra_reads(goal, stage))

    def _extra_reads(self, goal: _Goal, stage: int) -> tuple[int, bool, int]:
        there = [g for g in self._together(goal.extent, stage) if g is not goal]
        more = self._arrays([goal], stage) - self._arrays(there, stage)
        return len(more), not there, -stage

    def _together(self, extent: Extent, stage: int) -> list[_Goal]:
        return [goal for goal in self.placed if goal.stage == stage and goal.extent == extent]

    def _arrays(self, goals: Iterable[_Goal], stage: int) -> set[str]:
        return {load.array for g in goals for load in self._for(g, stage).loads.values()}

    def _deadline(self, goal: _Goal) -> int:
        """The last stage in which a goal may be made, for those that need it and are placed."""
        if goal.name in self.round_of:
            return self.summed[self.round_of[goal.name]]
        times = [other.stage - 1 for other in self.placed if other is not goal and goal.name in self._taken(other)]
        times += [at for name, at in self.called.items() if goal.name in self._behind(name)]
        times += [self._usable(value) - 1 for value in self.plan.kept.values() if goal.name in self._columns(value)]
        return min(times, default=goal.earliest)

    def _taken(self, goal: _Goal) -> set[str]:
        needs = self._for(goal, goal.stage)
        return {*needs.loads, *needs.columns}

    def _behind(self, name: str) -> set[str]:
        """What must be there when a call is made: its tensors, and the scalars that its numbers are computed from."""
        numbers = [taken for taken in self._takes(name) if self._extent(taken) in ("number", "scalar")]
        return {column for number in numbers for column in self._columns(number)} | {*self._takes(name)}

    def _columns(self, value: Value) -> set[str]:
        return self._needs([value], "number", 0).columns

    def _store_early(self, goal: _Goal) -> None:
        """Store an output in an earlier pass that computes it on its way, if nothing later needs the old value."""
        if not isinstance(goal.value, str) or goal.value not in self.operations:
            return
        for stage in range(goal.earliest, goal.stage):
            others = self._together(goal.extent, stage)
            more = self._arrays([goal], stage) - self._arrays(others, stage)
            if not others or more or self._after_calls(goal.name) > stage:
                continue
            before = dict(self.stored)
            if self.rereads:
                self.stored.setdefault(goal.value, (goal.name, stage))
            if goal.name not in self._read_after(stage, goal):
                goal.stage = stage
                return
            self.stored = before

    def _read_after(self, stage: int, goal: _Goal) -> set[str]:
        """The arrays whose old values passes after a stage load."""
        later = [g for g in self.goals if g.stage > stage and g is not goal]
        loads = [load for g in later for load in self._for(g, g.stage).loads.values()]
        return {load.array for load in loads if load.value in self.plan.arrays}

    # --- what -----------------------------------------------------------------------------------------------------

    def _steps(self) -> Iterator[Step]:
        final = max([self.last, *self.called.values(), *self.summed.values(), *(g.stage for g in self.goals)])
        kept = {f"{name}'": value for name, value in self.plan.kept.items()}
        for stage in range(final + 1):
            for extent in DOMAINS:
                goals = sorted(self._together(extent, stage), key=self.goals.index)
                if goals:
                    here = kept if extent == "elements" and self._knows(kept, stage) else {}
                    yield self._pass(extent, goals, here)
                    kept = {} if here else kept
            scalars = [g for g in self.goals if g.stage == stage and g.extent in ("scalar", "number")]
            if scalars:
                yield self._numbers({g.name: g.value for g in scalars})
            names = [name for k, at in self.summed.items() if at == stage for name in self.plan.rounds[k]]
            if names:
                yield Round(tuple(names))
            yield from self._calls(stage)
        if kept:
            yield self._numbers(kept)
        pairs = [(array, value) for array, value in self.plan.written.items() if self._is_copied(array, value)]
        if pairs:
            yield Copy(tuple((array, str(value)) for array, value in pairs))

    def _knows(self, kept: dict[str, Value], stage: int) -> bool:
        """Whether the last pass over elements can keep the carried numbers; with sums, empty tensors have them."""
        return not self.summed and stage >= self.last and all(self._usable(value) <= stage for value in kept.values())

    def _calls(self, stage: int) -> Iterator[Step]:
        calls = [self.operations[name] for name, at in self.called.items() if at == stage]
        numbers = {taken for op in calls for taken in self._takes(op.name) if self._is_computed_number(taken)}
        if numbers:
            yield self._numbers({name: name for name in sorted(numbers, key=self.order.__getitem__)})
        for op in calls:
            assert op.call is not None
            yield Apply(op.name, op.call, tuple(self._from(name, stage) for name in op.call.takes), op.extent)

    def _from(self, name: str, stage: int) -> Source:
        boolean = name in self.operations and self.operations[name].boolean
        return Source(name, self._kept_in(name, stage), self._extent(name), boolean)

    def _is_computed_number(self, value: Value) -> bool:
        op = self.operations.get(str(value))
        return op is not None and not op.tensor and not self._in_memory(op)

    def _kept_in(self, name: str, stage: int) -> str:
        return self.stored[name][0] if name in self.stored and self.stored[name][1] <= stage else name

    def _numbers(self, keeps: dict[str, Value]) -> Pass:
        operations = self._sorted(
            name for value in keeps.values() for name in self._needs([value], "number", 0).operations
        )
        return Pass("number", (), operations, (), (), tuple(keeps.items()))

    def _sorted(self, names: Iterable[str]) -> tuple[Operation, ...]:
        return tuple(self.operations[name] for name in sorted(set(names), key=self.order.__getitem__))

    def _pass(self, extent: Extent, goals: list[_Goal], keeps: dict[str, Value]) -> Pass:
        needs = [self._for(goal, goal.stage) for goal in goals]
        needs.append(self._needs(keeps.values(), "number", goals[0].stage))
        loads = {name: load for need in needs for name, load in need.loads.items()}
        places = {array.name: k for k, array in enumerate(self._inputs())}
        stores = [(goal.name, goal.value) for goal in goals if goal.kind == "store"]
        saved = {value for array, value in stores if self.stored.get(str(value), ("", 0))[0] == array}
        stores += [(goal.name, goal.value) for goal in goals if goal.kind == "hand" and goal.value not in saved]
        return Pass(
            extent,
            tuple(sorted(loads.values(), key=lambda load: (places.get(load.array, len(places)), load.value))),
            self._sorted(name for need in needs for name in need.operations),
            tuple(self._reduction(goal) for goal in goals if goal.kind == "reduce"),
            tuple(stores),
            tuple(keeps.items()),
        )

    def _reduction(self, goal: _Goal) -> Reduction:
        op = self.operations[goal.name]
        raw = {"norm": "squares", "mean": "sum", "total": "sum"}.get(op.op, op.op)
        finish = {"norm": "root", "mean": "mean"}.get(op.op, "")
        return Reduction(op.name, raw, goal.value, op.extent, finish)

    def _inputs(self) -> list[Array]:
        return [Array(name, extent) for name, extent in self.plan.arrays.items()]

    def _layout(self, steps: tuple[Step, ...]) -> Layout:
        inputs = self._inputs()
        known = {array.name for array in inputs}
        touched = [name for step in steps if isinstance(step, Pass) for name in step.arrays if name not in known]
        made = [step.name for step in steps if isinstance(step, Apply) and step.extent in DOMAINS]
        temporaries = [Array(name, self.operations[name].extent, True) for name in dict.fromkeys([*touched, *made])]
        columns = [*self.plan.numbers]
        for step in steps:
            if isinstance(step, Pass):
                columns += [r.name for r in step.reductions if r.into == "scalar"] + [name for name, _ in step.keeps]
            elif isinstance(step, Apply) and step.extent == "scalar":
                columns.append(step.name)
        return Layout((*inputs, *temporaries), tuple(dict.fromkeys(columns)))
