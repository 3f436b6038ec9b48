"""The translation of a rule's graph, node by node, into operations of the vocabulary, reductions and calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import fx

from ..rules import ops
from ..rules.rule import Rule
from ..rules.trace import Graph
from .extent import Extent, extent_of, is_tensor, joined, reduced
from .operation import Call, Given, Operation, UnknownOperation, Value
from .shapes import Shapes
from .vocabulary import ARITHMETIC, BOOLEAN, DRAWS, FACTS, Reduce, expansion, reduction


class Translation:
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
            if not is_tensor(joined(extents)):
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
            if not is_tensor(extent):
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
        # a draw takes the extent of what it is like, and nothing else
        yield self._named(op, args[op in DRAWS :], extent, node)

    def _operand(self, operand: Any, node: fx.Node, made: list[Operation]) -> Value:
        if isinstance(operand, bool):
            raise UnknownOperation("a truth value as an operand")
        if isinstance(operand, tuple):
            made += self._flatten(operand, node)
            made[-1] = replace(made[-1], label=None)
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
        said = self._said(node)
        call = Call(node.target, args, kwargs, stacks, tuple(takes), said, shape)
        op, *operands = _word(said) or ("call", *takes)
        name = self._next(node, _extent_of_result(shape, self.shapes.view))
        return Operation(name, op, tuple(operands), self.extents[name], False, self.graph.labels.get(node), call)

    def _said(self, node: fx.Node) -> tuple[Any, ...] | Reduce | None:
        """What a call is in the vocabulary; None where it is nothing there."""
        try:
            asked = reduction(node)
            if asked is not None:
                return asked._replace(of=fx.map_arg(asked.of, self.names.__getitem__))
            return tuple(self._expression(node))
        except UnknownOperation:
            return None

    def _extent(self, value: Value) -> Extent:
        return self.extents.get(value, "number")

    def _refuse(self, op: str, args: Sequence[Value]) -> None:
        """Raises `UnknownOperation` where PyTorch gives an operation a meaning of its own."""
        tensors = [a for a in args if is_tensor(self._extent(a))]
        if op == "where" and args[0] in tensors and not {*tensors} & {*args[1:]} and not all(map(_exact, args[1:])):
            # a choice between two numbers has the default type, whatever the rule's tensors have
            raise UnknownOperation("where, with a number on both sides")
        if op in ARITHMETIC and tensors and all(a in self.booleans for a in tensors):
            raise UnknownOperation(f"{op} of conditions")
        if op in ("and", "or", "not") and not all(a in self.booleans for a in args):
            raise UnknownOperation(f"{op} of numbers")
        if op in DRAWS and (tensors != [args[0]] or self._extent(args[0]) != "elements" or args[0] in self.booleans):
            raise UnknownOperation("a draw in another shape")
        if op == "total" and self._extent(args[0]) == "number":
            raise UnknownOperation("total of a number")
        if op == "stored" and not tensors:
            raise UnknownOperation("a number is not stored")


def _word(said: tuple[Any, ...] | Reduce | None) -> tuple[Any, ...] | None:
    """What is said in one word, for readers; None where it takes several."""
    word = (said.op, said.of) if isinstance(said, Reduce) else said
    return None if word is None or any(isinstance(operand, tuple) for operand in word) else word


def _exact(value: Value) -> bool:
    """Whether a literal is the same in every type of floating-point numbers."""
    return not isinstance(value, str) and value in (0.0, 1.0, -1.0)


def _extent_of_result(shape: Sequence[int] | None, view: Sequence[int]) -> Extent:
    if shape is None:
        return "other"
    return "scalar" if not shape and view else extent_of(shape, view)
