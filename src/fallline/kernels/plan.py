"""From a rule's graph to a plan: a list of operations with a closed vocabulary, each with its extent.

A value that depends on no tensor (`1 - beta1**t`) is a *number*: computed once a step, in float64. A reduction of a
whole tensor makes a *scalar*, and what depends on scalars and numbers alone is computed in float64 too. Everything else
is computed for every element, row, column or matrix. What the vocabulary lacks is a *call*: a PyTorch function that is
run as it is. Every backend and printer reads the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import fx
from torch.fx.node import map_aggregate

from ..rules import ops
from ..rules.rule import Rule
from ..rules.trace import Graph, trace
from .extent import Extent, extent_of, joined, reduced
from .shapes import Shapes
from .vocabulary import ARITHMETIC, BOOLEAN, FACTS, REDUCTIONS, Reduce, expansion, reduction

Value = str | float
"""An operand: the name of an input or of an earlier operation, or a literal."""


@dataclass(frozen=True)
class Given:
    """A place in a call's arguments that an earlier value takes."""

    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """A PyTorch function (or, by its name, a method) that no kernel has, with its arguments.

    It `stacks` when the tensors of equal shape may be stacked along a new first dimension and it be called once.
    """

    function: Callable[..., Any] | str
    args: Any
    kwargs: Mapping[str, Any]
    stacks: bool
    takes: tuple[str, ...]
    """The names of the values that it takes."""

    @property
    def title(self) -> str:
        """The function's name."""
        return self.function if isinstance(self.function, str) else getattr(self.function, "__name__", "a function")

    def run(self, look_up: Callable[[str], Any]) -> Any:
        """Call it, with `look_up(name)` for the values that it takes."""

        def given(leaf: Any) -> Any:
            return look_up(leaf.name) if isinstance(leaf, Given) else leaf

        args, kwargs = map_aggregate(self.args, given), map_aggregate(self.kwargs, given)
        if isinstance(self.function, str):
            return getattr(args[0], self.function)(*args[1:], **kwargs)
        return self.function(*args, **kwargs)


@dataclass(frozen=True)
class Operation:
    """One operation of a plan: `name = op(*args)`; `label` is the author's name for it, if any.

    `op` is a word of the vocabulary, a reduction (`sum`, `mean`, `norm`, `max`, `min`) to the operation's extent, a
    `total` over all parameters, a choice `when`, or a `call`. What has a `call` is run so, whatever its word.
    """

    name: str
    op: str
    args: tuple[Value, ...]
    extent: Extent
    boolean: bool = False
    label: str | None = None
    call: Call | None = None

    @property
    def tensor(self) -> bool:
        """Whether it makes a tensor, and not one value for all of a tensor."""
        return self.extent not in ("number", "scalar")

    @property
    def reduces(self) -> bool:
        """Whether it waits for all of a tensor, a row or a column."""
        return self.call is None and (self.op in REDUCTIONS or self.op == "total")


@dataclass(frozen=True, eq=False)
class Plan:
    """A rule in the closed vocabulary. `outputs` are the new `p`, state tensors and state numbers, in this order.

    `arrays` are `p`, `g` and the state tensors with their extents; `rounds` the totals that are summed together.
    """

    arrays: Mapping[str, Extent]
    carried: tuple[str, ...]
    hypers: tuple[str, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Value, ...]
    rounds: tuple[tuple[str, ...], ...] = ()

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
    def calls(self) -> bool:
        """Whether it needs more than kernels."""
        return any(op.call is not None for op in self.operations)

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

    def by_name(self) -> dict[str, Operation]:
        """The operations by name."""
        return {operation.name: operation for operation in self.operations}


class UnknownOperation(Exception):
    """A rule does what no plan can say; it runs as its own text, in PyTorch."""


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
    translate = _Translation(rule, graph, Shapes(rule, graph, view, dict(sizes)))
    operations = tuple(op for node in graph.nodes for op in translate.node(node))
    outputs = tuple(translate.names[node] for node in graph.outputs)
    rounds = tuple(tuple(str(translate.names[total]) for total in sums) for sums in graph.rounds)
    return Plan(translate.arrays, tuple(rule.numbers), tuple(rule.hypers), operations, outputs, rounds)


def sides(rule: Rule) -> set[str]:
    """The hyper-parameters that decide on the shapes of states."""
    named = {name for shaped in rule.shapes.values() for name in (*shaped.sides, shaped.limit)}
    return {name for name in rule.hypers if name in named}


class _Translation:
    """The state of translating one graph: the plan's name of every node, and what is known of every value."""

    def __init__(self, rule: Rule, graph: Graph, shapes: Shapes) -> None:
        self.graph, self.shapes = graph, shapes
        self.names: dict[fx.Node, str] = {node: name for name, node in graph.inputs.items()}
        self.arrays: dict[str, Extent] = {name: shapes.of_input(name) for name in ("p", "g", *rule.states)}
        self.extents: dict[Value, Extent] = {}
        self.extents.update(self.arrays)
        self.booleans: set[Value] = set()
        self.count = 0

    def node(self, node: fx.Node) -> Iterator[Operation]:
        extents = [self._extent(self.names[arg]) for arg in node.all_input_nodes]
        if node.target in FACTS and extents == ["elements"]:
            self.names[node] = FACTS[node.target]
            self.extents[FACTS[node.target]] = "scalar"
            return
        try:
            yield from self._within(node, extents)
        except UnknownOperation:
            if joined(extents) in ("number", "scalar"):
                raise
            yield self._call(node)

    def _within(self, node: fx.Node, extents: Sequence[Extent]) -> Iterator[Operation]:
        """Operations of the vocabulary."""
        asked = reduction(node)
        if "other" in extents and node.target is not ops.when:
            raise UnknownOperation("a tensor of another shape")
        if asked is not None:
            yield from self._reduction(asked, node)
            return
        # all of it or nothing: what comes before an unknown word must not stay
        yield from list(self._flatten(self._expression(node), node))

    def _expression(self, node: fx.Node) -> Any:
        """The node in the words of the vocabulary: `(op, *operands)`, nested."""
        expand = expansion(node)
        args = [self.names[a] if isinstance(a, fx.Node) else a for a in (*node.args, *node.kwargs.values())]
        if expand is None or not all(isinstance(a, str | int | float) for a in args):
            raise UnknownOperation(str(node.target))
        named = {name: self.names[v] if isinstance(v, fx.Node) else v for name, v in node.kwargs.items()}
        try:
            return expand(*args[: len(node.args)], **named)
        except TypeError:
            raise UnknownOperation(f"{node.target} with these arguments") from None

    def _reduction(self, asked: Reduce, node: fx.Node) -> Iterator[Operation]:
        inner = fx.map_arg(asked.of, self.names.__getitem__)
        made: list[Operation] = []
        of = self._operand(inner, node, made)
        extent = self._extent(of)
        if not asked.dims:
            if extent in ("number", "scalar"):
                raise UnknownOperation(f"{asked.op} of one value")
            made.append(self._named(asked.op, (of,), "scalar", node))
        for dim in reversed(asked.dims):  # along both: first along a row, which leaves a column
            into = reduced(self._extent(of), dim)
            if into is None:
                raise UnknownOperation(f"{asked.op} along {dim}")
            made.append(self._named(asked.op, (of,), into, node))
            of = made[-1].name
        yield from made

    def _flatten(self, expression: Any, node: fx.Node) -> Iterator[Operation]:
        """Operations of a nested expression `(op, arg, ...)`; the last one stands for the node."""
        made: list[Operation] = []
        op, *operands = expression
        args = tuple(self._operand(operand, node, made) for operand in operands)
        self._refuse(op, args)
        yield from made
        extent = "scalar" if op == "total" else joined(map(self._extent, args[op == "when" :]))
        yield self._named(op, args, extent, node)

    def _operand(self, operand: Any, node: fx.Node, made: list[Operation]) -> Value:
        if isinstance(operand, bool):
            raise UnknownOperation("a truth value as an operand")
        if isinstance(operand, tuple):
            made += self._flatten(operand, node)
            made[-1] = _unlabelled(made[-1])
            return made[-1].name
        return operand if isinstance(operand, str) else float(operand)

    def _named(self, op: str, args: tuple[Value, ...], extent: Extent, node: fx.Node) -> Operation:
        boolean = op in BOOLEAN or (op in ("where", "when") and all(a in self.booleans for a in args[1:]))
        name = self._next(node, extent)
        self.booleans.update({name} if boolean else ())
        return Operation(name, op, args, extent, boolean, self.graph.labels.get(node))

    def _next(self, node: fx.Node, extent: Extent) -> str:
        name = str(self.count)  # no identifier: a rule's own names cannot be the same
        self.count += 1
        self.extents[name] = extent
        self.names[node] = name
        return name

    def _call(self, node: fx.Node) -> Operation:
        takes = [self.names[arg] for arg in node.all_input_nodes]
        shape, stacks = self.shapes.after(node)
        given: Any = lambda arg: Given(self.names[arg])  # noqa: E731
        args: Any = fx.map_arg(node.args, given)
        kwargs: Any = fx.map_arg(node.kwargs, given)
        call = Call(node.target, args, kwargs, stacks, tuple(takes))
        op, *operands = self._word(node) or ("call", *takes)
        name = self._next(node, _extent_of_result(shape, self.shapes.view))
        return Operation(name, op, tuple(operands), self.extents[name], False, self.graph.labels.get(node), call)

    def _word(self, node: fx.Node) -> tuple[Any, ...] | None:
        """What a call is in one word of the vocabulary, for readers; None where it is none."""
        try:
            asked = reduction(node)
            said = self._expression(node) if asked is None else (asked.op, fx.map_arg(asked.of, self.names.get))
        except UnknownOperation:
            return None
        return None if any(isinstance(operand, tuple) for operand in said) else tuple(said)

    def _extent(self, value: Value) -> Extent:
        return self.extents.get(value, "number")

    def _refuse(self, op: str, args: Sequence[Value]) -> None:
        """Raises `UnknownOperation` where PyTorch gives an operation a meaning of its own."""
        tensors = [a for a in args if self._extent(a) not in ("number", "scalar")]
        if op == "where" and args[0] in tensors and not {*tensors} & {*args[1:]} and not all(map(_exact, args[1:])):
            # a choice between two numbers has the default type, whatever the rule's tensors have
            raise UnknownOperation("where, with a number on both sides")
        if op in ARITHMETIC and tensors and all(a in self.booleans for a in tensors):
            raise UnknownOperation(f"{op} of conditions")
        if op in ("and", "or", "not") and not all(a in self.booleans for a in args):
            raise UnknownOperation(f"{op} of numbers")
        if op == "total" and self._extent(args[0]) == "number":
            raise UnknownOperation("total of a number")
        if op == "stored" and not tensors:
            raise UnknownOperation("a number is not stored")


def _exact(value: Value) -> bool:
    """Whether a literal is the same in every type of floating-point numbers."""
    return not isinstance(value, str) and value in (0.0, 1.0, -1.0)


def _unlabelled(op: Operation) -> Operation:
    return op if op.label is None else Operation(op.name, op.op, op.args, op.extent, op.boolean)


def _extent_of_result(shape: Sequence[int] | None, view: Sequence[int]) -> Extent:
    if shape is None:
        return "other"
    return "scalar" if not shape and view else extent_of(shape, view)
