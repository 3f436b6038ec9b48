"""What the passes of a program make, and which pass makes it, so that as little memory as possible is moved.

A goal is computed from the arrays again rather than from a temporary, and is put where its arrays are read anyway. An
output that an earlier pass computes on its way is stored there, if nothing later needs what it replaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .extent import Extent, is_tensor
from .operation import UnknownOperation, Value
from .plan import Plan
from .stages import Needs, Stages, in_memory


@dataclass
class Goal:
    """Something that a pass makes: `kind` is `reduce`, `hand` (a temporary) or `store` (an output)."""

    kind: str
    name: str
    value: Value
    extent: Extent
    earliest: int
    stage: int = 0


class Goals:
    """The goals of a plan, each at its stage."""

    def __init__(self, plan: Plan, rereads: bool) -> None:
        self.plan, self.rereads = plan, rereads
        self.stages = Stages(plan)
        self.all = list(self._all())
        stores = [goal for goal in self.all if goal.kind == "store"]
        times = [time for goal in stores for time in (goal.earliest, self.stages.after_calls(goal.name))]
        self.last = max(times, default=0)
        """The stage at which outputs are stored, unless it is done earlier."""
        self.placed: list[Goal] = []
        for goal in reversed(self.all):  # what needs a goal comes after it
            self._place(goal)
            self.placed.append(goal)
        self._settle()
        for goal in stores:
            self._store_early(goal)

    def _all(self) -> Iterator[Goal]:
        """In order: what a goal needs comes before it."""
        for op in self.plan.operations:
            if op.reduces:
                value = op.args[0]
                yield Goal("reduce", op.name, value, self.plan.extent(value), self.stages.usable(value))
            elif op.name in self.stages.handed:
                yield Goal("hand", op.name, op.name, op.extent, self.stages.usable(op.name))
        for array, value in self.plan.written.items():
            if not self.is_copied(array, value):
                yield Goal("store", array, value, self.plan.arrays[array], self.stages.usable(value))

    def is_copied(self, array: str, value: Value) -> bool:
        """Whether a call's result is the new state as it stands, or no kernel knows its shape."""
        op = self.stages.operations.get(str(value))
        extent = self.plan.arrays[array]
        if extent != "other" and op is not None and not in_memory(op) and op.extent != extent:
            raise UnknownOperation(f"{array} receives a value of another shape")
        return extent == "other" or (op is not None and op.call is not None)

    def needs(self, goal: Goal, stage: int) -> Needs:
        """What a goal takes at a stage."""
        if goal.kind != "hand" and not self._is_handed_on(goal.value, stage):
            return self.stages.needs([goal.value], goal.extent, stage)
        made = self.stages.operations[str(goal.value)]  # it is not there itself before it is made
        needs = self.stages.needs(made.args, goal.extent, stage)
        needs.operations.add(made.name)
        return needs

    def _is_handed_on(self, value: Value, stage: int) -> bool:
        """Whether a pass of that stage makes a value for others."""
        return any(hand.kind == "hand" and hand.name == value and hand.stage == stage for hand in self.all)

    def together(self, extent: Extent, stage: int) -> list[Goal]:
        """The goals of one pass."""
        return [goal for goal in self.placed if goal.stage == stage and goal.extent == extent]

    def _settle(self) -> None:
        """Place all again, now that all stand somewhere, until none moves."""
        for _ in self.all:
            before = [goal.stage for goal in self.all]
            for goal in self.all:
                self._place(goal)
            if before == [goal.stage for goal in self.all]:
                return

    def _place(self, goal: Goal) -> None:
        """At the stage that reads its arrays anyway; among those the last."""
        if goal.kind == "store":
            goal.stage = self.last
            return
        taken = self._taken(goal)
        made = [other.stage + 1 for other in self.placed if other.kind != "store" and other.name in taken]
        earliest = max([goal.earliest, *made])
        stages = range(earliest, max(earliest, self._deadline(goal)) + 1)
        goal.stage = min(stages, key=lambda stage: self._extra_reads(goal, stage))

    def _extra_reads(self, goal: Goal, stage: int) -> tuple[int, bool, int]:
        there = [other for other in self.together(goal.extent, stage) if other is not goal]
        more = self._arrays([goal], stage) - self._arrays(there, stage)
        return len(more), not there, -stage

    def _arrays(self, goals: Iterable[Goal], stage: int) -> set[str]:
        return {load.array for goal in goals for load in self.needs(goal, stage).loads.values()}

    def _deadline(self, goal: Goal) -> int:
        """The last stage in which a goal may be made, for those that need it and are placed."""
        stages = self.stages
        if goal.name in stages.round_of:
            return stages.summed[stages.round_of[goal.name]]
        times = [other.stage - 1 for other in self.placed if other is not goal and goal.name in self._taken(other)]
        times += [at for name, at in stages.called.items() if goal.name in self._behind(name)]
        times += [stages.usable(v) - 1 for v in self.plan.kept.values() if goal.name in stages.columns(v)]
        return min(times, default=goal.earliest)

    def _taken(self, goal: Goal) -> set[str]:
        needs = self.needs(goal, goal.stage)
        return {*needs.loads, *needs.columns}

    def _behind(self, call: str) -> set[str]:
        """What must be there when a call is made: its tensors, and the scalars that its numbers are computed from."""
        takes = self.stages.takes(call)
        numbers = [taken for taken in takes if not is_tensor(self.plan.extent(taken))]
        return {column for number in numbers for column in self.stages.columns(number)} | {*takes}

    def _store_early(self, goal: Goal) -> None:
        """Store an output in an earlier pass that computes it on its way, if nothing later needs the old value."""
        if not isinstance(goal.value, str) or goal.value not in self.stages.operations:
            return
        for stage in range(goal.earliest, goal.stage):
            others = self.together(goal.extent, stage)
            more = self._arrays([goal], stage) - self._arrays(others, stage)
            if not others or more or self.stages.after_calls(goal.name) > stage:
                continue
            before = dict(self.stages.stored)
            if self.rereads:
                self.stages.stored.setdefault(goal.value, (goal.name, stage))
            if goal.name not in self._read_after(stage, goal):
                goal.stage = stage
                return
            self.stages.stored = before

    def _read_after(self, stage: int, goal: Goal) -> set[str]:
        """The arrays whose old values passes after a stage load."""
        later = [other for other in self.all if other.stage > stage and other is not goal]
        loads = [load for other in later for load in self.needs(other, other.stage).loads.values()]
        return {load.array for load in loads if load.value in self.plan.arrays}
