"""The cost sheet of a rule: what it keeps and what one step must move."""

from __future__ import annotations

from dataclasses import dataclass

from ..rules.rule import Rule
from .plan import UnknownOperation, plan


@dataclass(frozen=True)
class Cost:
    """State tensors, arrays read and written in a step, and the bytes this moves for one float32 parameter."""

    states: int
    reads: int
    writes: int

    @property
    def bytes_per_parameter(self) -> int:
        """Bytes moved for one float32 parameter; no step is faster than these at the memory's bandwidth."""
        return 4 * (self.reads + self.writes)


def cost(rule: Rule) -> Cost:
    """The cost sheet of a rule. A rule outside the vocabulary is counted as reading and writing all it names."""
    try:
        sheet = plan(rule)
    except UnknownOperation:
        return Cost(len(rule.states), 2 + len(rule.states), 1 + len(rule.states))
    used = {arg for op in sheet.operations for arg in op.args} | set(sheet.written.values())
    return Cost(len(rule.states), len(used & set(sheet.arrays)), len(sheet.written))
