"""From a rule's graph to a plan: a list of operations with a closed vocabulary, each with its extent.

A value that depends on no tensor (`1 - beta1**t`) is a *number*: computed once a step, in float64. A reduction of a
whole tensor makes a *scalar*, and what depends on scalars and numbers alone is computed in float64 too. Everything else
is computed for every element, row, column or matrix. What the vocabulary lacks is a *call*: a PyTorch function that is
run as it is. Every backend and printer reads the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ..rules.rule import Rule
from ..rules.trace import trace
from .extent import Extent
from .operation import Operation, Value
from .shapes import Shapes
from .translate import Translation
from .vocabulary import FACTS


@dataclass(frozen=True, eq=False)
class Plan:
    """A rule in the closed vocabulary. `outputs` are the new `p`, state tensors and state numbers, in this order.

    `arrays` are `p`, `g` and the state tensors with their extents; `rounds` the totals that are summed together. A
    plan is `general` if it is the same for parameters of every shape: no call, whose result could be anything.
    """

    arrays: Mapping[str, Extent]
    carried: tuple[str, ...]
    hypers: tuple[str, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Value, ...]
    rounds: tuple[tuple[str, ...], ...] = ()
    general: bool = True
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of the arrays, for the shape that the plan was made for."""

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts of a parameter's shape that the rule asks for."""
        return tuple(fact for fact in FACTS.values() if self.reads(fact))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The number inputs: the step, the hypers, the carried numbers, the facts of the shape."""
        return ("t", *self.hypers, *self.carried, *self.facts)

    @property
    def written(self) -> dict[str, Value]:
        """The arrays that a step changes, with the value each receives."""
        changed = zip((name for name in self.arrays if name != "g"), self.outputs, strict=False)
        return {array: value for array, value in changed if array != value}

    @property
    def kept(self) -> dict[str, Value]:
        """The carried numbers, with their new values."""
        return dict(zip(self.carried, self.outputs[len(self.arrays) - 1 :], strict=True))

    @property
    def dimensions(self) -> int:
        """How many dimensions a parameter needs at least."""
        extents = {*self.arrays.values(), *(op.extent for op in self.operations)}
        if extents & {"columns", "matrix"} or {"#rows", "#columns"} & {*self.facts}:
            return 2
        return int("rows" in extents)

    def reads(self, name: str) -> bool:
        """Whether any operation takes that input."""
        return any(name in operation.args for operation in self.operations)

    def extent(self, value: Value) -> Extent:
        """The extent of an operand."""
        if value in self.arrays:
            return self.arrays[str(value)]
        return next((op.extent for op in self.operations if op.name == value), "number")

    def by_name(self) -> dict[str, Operation]:
        """The operations by name."""
        return {operation.name: operation for operation in self.operations}


def plan(rule: Rule, view: Sequence[int] | None = None, sizes: Mapping[str, float] | None = None) -> Plan:
    """The rule's plan. Raises `UnknownOperation` outside the vocabulary, `RuleError` for an untraceable rule.

    What PyTorch functions give is known for parameters that the rule sees in the shape `view`, and for the values
    `sizes` of the hyper-parameters that decide on the shapes of states.
    """
    said = {name: float(value) for name, value in (sizes or {}).items() if name in sides(rule)}
    return _plan(rule, None if view is None else tuple(view), tuple(said.items()))


@lru_cache(maxsize=None)
def _plan(rule: Rule, view: tuple[int, ...] | None, sizes: tuple[tuple[str, float], ...]) -> Plan:
    graph = trace(rule)
    shapes = Shapes(rule, graph, view, dict(sizes))
    translate = Translation(rule, graph, shapes)
    operations = tuple(op for node in graph.nodes for op in translate.node(node))
    outputs = tuple(translate.names[node] for node in graph.outputs)
    rounds = tuple(tuple(str(translate.names[total]) for total in sums) for sums in graph.rounds)
    general = shapes.general and not any(op.call for op in operations)
    arrays = translate.arrays
    own = {name: shapes.shape_of(name) for name in arrays}
    return Plan(arrays, tuple(rule.numbers), tuple(rule.hypers), operations, outputs, rounds, general, own)


def sides(rule: Rule) -> set[str]:
    """The hyper-parameters that decide on the shapes of states."""
    named = {name for shaped in rule.shapes.values() for name in (*shaped.sides, shaped.limit)}
    return {name for name in rule.hypers if name in named}
