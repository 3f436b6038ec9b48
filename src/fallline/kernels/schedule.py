"""From a plan to a program: the steps in order, each stage's passes, its round, its calls.

Which pass makes what is told in `goals.py`, when a value can be had in `stages.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from .extent import DOMAINS, Extent
from .goals import Goal, Goals
from .islands import with_islands
from .operation import Call, Operation, UnknownOperation, Value
from .plan import Plan
from .program import Apply, Array, Copy, Layout, Pass, Program, Reduction, Round, Source, Step
from .stages import in_memory
from .vocabulary import DRAWS

Keeps = Mapping[str, Value]

_COUNTED = {"rows": ("#columns",), "columns": ("#rows",), "matrix": ("#rows", "#columns")}
"""What the number of a tensor's elements is divided by, to count its rows, columns or matrices."""


@lru_cache(maxsize=None)
def program(plan: Plan, rereads: bool = True, islands: bool = False) -> Program:
    """The program of a plan all of whose choices are made.

    `rereads` allows a pass to read a state that an earlier pass of the step has stored: where states are kept in the
    precision that kernels compute in, it makes no difference but to the memory that is moved. With `islands`, what
    is computed between calls, on values of other shapes than the parameter's, is compiled too.
    Raises `UnknownOperation` for what no program can do.
    """
    if any(op.op == "when" for op in plan.operations):
        raise UnknownOperation("a choice that is not made")
    whole = _in_sums(plan)
    made = Goals(_nested(with_islands(whole) if islands else whole), rereads)
    steps = tuple(_Steps(made).all())
    return Program(_layout(made.plan, steps), steps, plan.dimensions, plan.general)


def _in_sums(plan: Plan) -> Plan:
    """The plan with norms and means of whole tensors as sums, of which numbers are then computed."""
    return replace(plan, operations=tuple(made for op in plan.operations for made in _as_sum(plan, op)))


def _as_sum(plan: Plan, op: Operation) -> Iterator[Operation]:
    if op.extent != "scalar" or op.op not in ("norm", "mean"):
        yield op
        return
    name = f"{op.name}_raw"
    yield Operation(name, "squares" if op.op == "norm" else "sum", op.args, "scalar")
    if op.op == "norm":
        yield replace(op, op="sqrt", args=(name,))
        return
    count = "#numel"
    for fact in _COUNTED.get(plan.extent(op.args[0]), ()):
        yield Operation(made := f"{op.name}_count{fact[1:]}", "div", (count, fact), "scalar")
        count = made
    yield replace(op, op="div", args=(name, count))


def _nested(plan: Plan) -> Plan:
    """The plan with calls whose results one other call takes, and nothing else, made inside of that one."""
    uses = Counter(taken for op in plan.operations for taken in (op.call.takes if op.call else op.args))
    uses.update(plan.outputs)
    takers = Counter(taken for op in plan.operations if op.call for taken in op.call.takes)
    once = {op.name for op in plan.operations if op.call and uses[op.name] == takers[op.name] == 1}
    calls: dict[str, Call] = {}
    kept = []
    for op in plan.operations:
        if op.call is not None:
            calls[op.name] = op.call.within({name: calls[name] for name in op.call.takes if name in once})
        if op.name not in once:
            kept.append(op if op.call is None else replace(op, call=calls[op.name]))
    return replace(plan, operations=tuple(kept))


class _Steps:
    def __init__(self, goals: Goals) -> None:
        self.goals, self.plan, self.stages = goals, goals.plan, goals.stages
        self.operations = self.stages.operations
        self.order = {op.name: k for k, op in enumerate(self.plan.operations)}

    def all(self) -> Iterator[Step]:
        stages = [self.goals.last, *self.stages.called.values(), *self.stages.summed.values()]
        kept: Keeps = {f"{name}'": value for name, value in self.plan.kept.items()}
        for stage in range(max([*stages, *(goal.stage for goal in self.goals.all)]) + 1):
            for extent in DOMAINS:
                goals = sorted(self.goals.together(extent, stage), key=self.goals.all.index)
                if goals:
                    here = kept if extent == "elements" and self._knows(kept, stage) else {}
                    yield self._pass(extent, goals, here)
                    kept = {} if here else kept
            yield from self._between(stage)
        if kept:
            yield self._numbers(kept)
        copied = [(state, str(v)) for state, v in self.plan.written.items() if self.goals.is_copied(state, v)]
        if copied:
            yield Copy(tuple(copied))

    def _knows(self, kept: Keeps, stage: int) -> bool:
        """Whether the last pass over elements can keep the carried numbers; with sums, empty tensors have them."""
        if self.stages.summed or stage < self.goals.last:
            return False
        return all(self.stages.usable(value) <= stage for value in kept.values())

    def _between(self, stage: int) -> Iterator[Step]:
        """What follows a stage's passes: scalars to be summed, the round, the calls."""
        scalars = {g.name: g.value for g in self.goals.all if g.stage == stage and g.extent in ("scalar", "number")}
        if scalars:
            yield self._numbers(scalars)
        names = [name for k, at in self.stages.summed.items() if at == stage for name in self.plan.rounds[k]]
        if names:
            yield Round(tuple(names))
        calls = [self.operations[name] for name, at in self.stages.called.items() if at == stage]
        numbers = {name for op in calls for name in self.stages.takes(op.name) if self._is_computed_number(name)}
        if numbers:
            yield self._numbers({name: name for name in sorted(numbers, key=self.order.__getitem__)})
        for op in calls:
            assert op.call is not None
            yield Apply(op.name, op.call, tuple(self._source(name, stage) for name in op.call.takes), op.extent)

    def _is_computed_number(self, name: str) -> bool:
        op = self.operations.get(name)
        return op is not None and not op.tensor and not in_memory(op)

    def _source(self, name: str, stage: int) -> Source:
        """Where a call finds a value."""
        state, since = self.stages.stored.get(name, (name, stage))
        boolean = name in self.operations and self.operations[name].boolean
        return Source(name, state if since <= stage else name, self.plan.extent(name), boolean)

    def _numbers(self, keeps: Keeps) -> Pass:
        """A pass over rows of numbers alone."""
        needs = self.stages.needs(keeps.values(), "number", 0)
        return Pass("number", (), self._sorted(needs.operations), (), (), tuple(keeps.items()))

    def _sorted(self, names: Iterable[str]) -> tuple[Operation, ...]:
        return tuple(self.operations[name] for name in sorted(set(names), key=self.order.__getitem__))

    def _pass(self, extent: Extent, goals: list[Goal], keeps: Keeps) -> Pass:
        needs = [self.goals.needs(goal, goal.stage) for goal in goals]
        needs.append(self.stages.needs(keeps.values(), "number", goals[0].stage))
        loads = {name: load for need in needs for name, load in need.loads.items()}
        places = {name: k for k, name in enumerate(self.plan.arrays)}
        stores = [(goal.name, goal.value) for goal in goals if goal.kind == "store"]
        saved = {value for array, value in stores if self.stages.stored.get(str(value), ("", 0))[0] == array}
        stores += [(goal.name, goal.value) for goal in goals if goal.kind == "hand" and goal.value not in saved]
        return Pass(
            extent,
            tuple(sorted(loads.values(), key=lambda load: (places.get(load.array, len(places)), load.value))),
            self._sorted(name for need in needs for name in need.operations),
            tuple(self._reduction(goal) for goal in goals if goal.kind == "reduce"),
            tuple(stores),
            tuple(keeps.items()),
        )

    def _reduction(self, goal: Goal) -> Reduction:
        op = self.operations[goal.name]
        raw = {"norm": "squares", "mean": "sum", "total": "sum"}.get(op.op, op.op)
        finish = {"norm": "root", "mean": "mean"}.get(op.op, "")
        return Reduction(op.name, raw, goal.value, op.extent, finish)


def _layout(plan: Plan, steps: Sequence[Step]) -> Layout:
    """The arrays and columns that steps touch."""
    touched: list[str] = []
    columns = [*plan.numbers]
    for step in steps:
        if isinstance(step, Pass):
            touched += step.arrays
            columns += [r.name for r in step.reductions if r.into == "scalar"] + [name for name, _ in step.keeps]
        elif isinstance(step, Apply):
            (columns if step.extent == "scalar" else touched).append(step.name)
    temporaries = [name for name in dict.fromkeys(touched) if name not in plan.arrays]
    arrays = [Array(name, extent) for name, extent in plan.arrays.items()]
    arrays += [Array(name, plan.extent(name), True) for name in temporaries if plan.extent(name) in DOMAINS]
    draws = any(op.op in DRAWS for step in steps if isinstance(step, Pass) for op in step.operations)
    return Layout(tuple(arrays), tuple(dict.fromkeys(columns)), draws=draws)
