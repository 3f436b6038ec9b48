"""The cost sheet of a rule: what it keeps, the passes over memory of a step, and what these must move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from ..rules.rule import Rule
from ..rules.trace import chosen, conditions, decision
from .operation import UnknownOperation
from .plan import Plan, plan
from .program import Apply, Pass, Program
from .schedule import program
from .storage import bytes_of, width_of

_ORDINARY = 10_007
"""A step at which nothing is due that is done every so many steps: a prime, and so is half of the one before it."""


@dataclass(frozen=True)
class Sweep:
    """One pass over all elements: the arrays of a parameter's shape that it reads and writes, and what it sums.

    An array that is handed from one step to another, and is no state, goes by the author's name for it.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    reduces: bool

    def __str__(self) -> str:
        parts = [f"reads {', '.join(self.reads)}"] if self.reads else []
        parts += [f"writes {', '.join(self.writes)}"] if self.writes else []
        return "; ".join(parts + ["makes sums"] * self.reduces)


@dataclass(frozen=True)
class Cost:
    """What a rule keeps for a parameter, and what one ordinary step of it takes.

    `shapes` tells of each state tensor its shape: `rows x 1`, or `as p`. `functions` are PyTorch's and the rule's own
    that run between the passes; what these move is not in the sheet.
    """

    shapes: tuple[tuple[str, str], ...]
    sweeps: tuple[Sweep, ...]
    functions: tuple[str, ...]
    widths: tuple[tuple[str, float], ...] = ()
    """Bytes that an element takes in arrays of fewer bits than float32's."""

    @property
    def states(self) -> int:
        """How many state tensors there are."""
        return len(self.shapes)

    @property
    def reads(self) -> int:
        """Arrays of a parameter's shape that are read in a step, as often as they are."""
        return sum(len(sweep.reads) for sweep in self.sweeps)

    @property
    def writes(self) -> int:
        """Arrays of a parameter's shape that are written in a step, as often as they are."""
        return sum(len(sweep.writes) for sweep in self.sweeps)

    @property
    def bytes_per_parameter(self) -> float:
        """Bytes moved for one float32 parameter; no step is faster than these at the memory's bandwidth."""
        return self._bytes(name for sweep in self.sweeps for name in (*sweep.reads, *sweep.writes))

    @property
    def state_bytes(self) -> float:
        """Bytes of state for one float32 parameter of a large tensor, but for states with shapes of their own."""
        return self._bytes(name for name, shape in self.shapes if shape == "as p")

    def _bytes(self, arrays: Iterable[str]) -> float:
        widths = dict(self.widths)
        return round(sum(widths.get(name, 4) for name in arrays), 2)


def cost(rule: Rule) -> Cost:
    """The cost sheet of a rule; of a rule for matrices, that for matrices.

    A rule that no kernel can do is counted as reading and writing all that it names.
    """
    shapes = tuple((name, str(rule.shapes.get(name, "as p"))) for name in rule.states)
    widths = tuple((name, width) for name in rule.states if (width := width_of(rule.storage.get(name))) != 4)
    try:
        sheet = plan(_ordinary(rule))
        steps = program(sheet, rereads=not widths)
    except UnknownOperation:
        return Cost(shapes, (Sweep(("p", "g", *rule.states), ("p", *rule.states), False),), (), widths)
    sweeps = tuple(_sweep(sheet, step) for step in steps.passes if step.extent == "elements")
    return Cost(shapes, sweeps, _functions(steps), widths)


def state_bytes(rule: Rule, shape: Sequence[int], itemsize: int = 4) -> int:
    """Bytes of state that the rule keeps for a parameter of that shape, at its defaults."""
    own = rule.of_shape(shape)
    view = own.view(shape)
    whole = sum(bytes_of(own.storage.get(name), prod(view), itemsize) for name in own.states if name not in own.shapes)
    return whole + itemsize * sum(prod(shaped.shape(view, own.defaults)) for shaped in own.shapes.values())


def _ordinary(rule: Rule) -> Rule:
    """The rule as it chooses at a step at which nothing is due."""
    if not conditions(rule):
        return rule
    return chosen(rule, decision(rule)((_ORDINARY, *rule.defaults.values(), *rule.numbers.values())))


def _sweep(sheet: Plan, step: Pass) -> Sweep:
    names = {op.name: op.label or "a temporary" for op in sheet.operations}
    reads = tuple(names.get(load.array, load.array) for load in step.loads if load.extent == "elements")
    writes = tuple(names.get(array, array) for array, _ in step.stores)
    return Sweep(reads, writes, bool(step.reductions))


def _functions(steps: Program) -> tuple[str, ...]:
    called = [step.call.title for step in steps.steps if isinstance(step, Apply)]
    return tuple(dict.fromkeys(name for name in called if name not in ("getattr", "getitem")))
