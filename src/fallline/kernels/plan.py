"""From a rule's graph to a plan: a list of operations with a closed vocabulary, numbers told apart from tensors.

A value that depends on no tensor (`1 - beta1**t`) is a *number*: computed once a step, in float64. What depends on a
tensor is computed for every element. Every backend and printer reads the same plan.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import fx

from ..rules import ops
from ..rules.rule import Rule
from ..rules.trace import Graph, trace

Value = str | float
"""An operand: the name of an input or of an earlier operation, or a literal."""


@dataclass(frozen=True)
class Operation:
    """One operation of a plan: `name = op(*args)`; `label` is the author's name for it, if any."""

    name: str
    op: str
    args: tuple[Value, ...]
    tensor: bool
    boolean: bool
    label: str | None


@dataclass(frozen=True)
class Plan:
    """A rule in the closed vocabulary. `outputs` are the new `p`, state tensors and state numbers, in this order."""

    arrays: tuple[str, ...]
    carried: tuple[str, ...]
    hypers: tuple[str, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Value, ...]

    @property
    def numbers(self) -> tuple[str, ...]:
        """The number inputs, in the order of a row of hyper-parameters: the step, the hypers, the carried numbers."""
        return ("t", *self.hypers, *self.carried)

    @property
    def written(self) -> dict[str, Value]:
        """The arrays that a step changes, with the value each receives."""
        changed = zip(("p", *self.arrays[2:]), self.outputs, strict=False)
        return {array: value for array, value in changed if array != value}

    def reads(self, name: str) -> bool:
        """Whether any operation takes that input."""
        return any(name in operation.args for operation in self.operations)

    def by_name(self) -> dict[str, Operation]:
        """The operations by name."""
        return {operation.name: operation for operation in self.operations}


class UnknownOperation(Exception):
    """A rule uses an operation outside the vocabulary; it runs as its own text, in PyTorch."""


@lru_cache(maxsize=None)
def plan(rule: Rule) -> Plan:
    """The rule's plan. Raises `UnknownOperation` outside the vocabulary, `RuleError` for an untraceable rule."""
    graph = trace(rule)
    arrays = ("p", "g", *rule.states)
    translate = _Translation(graph, set(arrays))
    operations = tuple(op for node in graph.nodes for op in translate.node(node))
    outputs = tuple(translate.names[node] for node in graph.outputs)
    return Plan(arrays, tuple(rule.numbers), tuple(rule.hypers), operations, outputs)


class _Translation:
    """The state of translating one graph: the plan's name of every node, and which values are tensors or booleans."""

    def __init__(self, graph: Graph, arrays: set[str]) -> None:
        self.labels = graph.labels
        self.names: dict[fx.Node, str] = {node: name for name, node in graph.inputs.items()}
        self.tensors = set(arrays)
        self.booleans: set[Value] = set()
        self.count = 0

    def node(self, node: fx.Node) -> Iterator[Operation]:
        kwargs = dict(node.kwargs)
        args = [self.names[a] if isinstance(a, fx.Node) else a for a in (*node.args, *kwargs.values())]
        key = node.target if node.op != "call_method" else f".{node.target}"
        expand = _VOCABULARY.get(key)
        if expand is None or not all(isinstance(a, str | int | float) for a in args):
            raise UnknownOperation(str(node.target))
        named = {name: self.names[v] if isinstance(v, fx.Node) else v for name, v in kwargs.items()}
        try:
            expression = expand(*args[: len(node.args)], **named)
        except TypeError:
            raise UnknownOperation(f"{node.target} with these arguments") from None
        yield from self._flatten(expression, node)

    def _flatten(self, expression: Any, node: fx.Node) -> Iterator[Operation]:
        """Operations of a nested expression `(op, arg, ...)`; the last one stands for the node."""
        op, *operands = expression
        if any(isinstance(operand, bool) for operand in operands):
            raise UnknownOperation(f"{op} of {operands}")
        args: list[Value] = []
        for operand in operands:
            if isinstance(operand, tuple):
                yield from self._flatten(operand, node)
                args.append(str(self.count - 1))
            else:
                args.append(operand if isinstance(operand, str) else float(operand))
        self._refuse(op, args)
        name = str(self.count)  # no identifier: a rule's own names cannot be the same
        self.count += 1
        tensor = any(a in self.tensors for a in args)
        boolean = op in _BOOLEAN or (op == "where" and all(a in self.booleans for a in args[1:]))
        self.tensors.update({name} if tensor else ())
        self.booleans.update({name} if boolean else ())
        self.names[node] = name
        yield Operation(name, op, tuple(args), tensor, boolean, self.labels.get(node))

    def _refuse(self, op: str, args: list[Value]) -> None:
        """Raises `UnknownOperation` where PyTorch gives an operation a meaning of its own."""
        tensors = [a for a in args if a in self.tensors]
        logical = [a for a in tensors if a in self.booleans]
        if op == "where" and args[0] in self.tensors and not self.tensors.intersection(args[1:]):
            # a choice between two numbers has the default type, whatever the rule's tensors have
            raise UnknownOperation("where, with a number on both sides")
        if op in _ARITHMETIC and tensors and tensors == logical:
            raise UnknownOperation(f"{op} of booleans")
        if op in ("and", "or", "not") and not all(a in self.booleans for a in args):
            raise UnknownOperation(f"{op} of numbers")


_ARITHMETIC = {"add", "sub", "mul", "div", "pow", "neg", "abs", "sign", "maximum", "minimum"}
_BOOLEAN = {"gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not"}


def _call(op: str, arity: int) -> Callable[..., Any]:
    def expand(*args: Any, **kwargs: Any) -> Any:
        if len(args) != arity or kwargs:
            raise TypeError
        return (op, *args)

    return expand


def _power(base: Any, exponent: Any) -> Any:
    """Powers that PyTorch computes by products and roots are those products and roots, so that results agree."""
    if exponent == 2:
        return ("mul", base, base)
    if exponent == 3:
        return ("mul", ("mul", base, base), base)
    if exponent == 0.5:
        return ("sqrt", base)
    if exponent == -0.5:
        return ("div", 1.0, ("sqrt", base))
    if exponent == -1:
        return ("div", 1.0, base)
    return ("pow", base, exponent)


def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else ("maximum", x, min)
    return x if max is None else ("minimum", x, max)


def _add(a: Any, b: Any, *, alpha: Any = 1) -> Any:
    return ("add", a, b) if alpha == 1 else ("add", a, ("mul", alpha, b))


def _sub(a: Any, b: Any, *, alpha: Any = 1) -> Any:
    return ("sub", a, b) if alpha == 1 else ("sub", a, ("mul", alpha, b))


def _vocabulary() -> dict[Any, Callable[..., Any]]:
    """Every way to write an operation, and what it expands to."""
    words: dict[Any, Callable[..., Any]] = {
        operator.add: _add,
        operator.sub: _sub,
        operator.pow: _power,
        torch.pow: _power,
        ".pow": _power,
        torch.clamp: _clamp,
        ".clamp": _clamp,
        ".clamp_min": lambda x, min: ("maximum", x, min),
        ".clamp_max": lambda x, max: ("minimum", x, max),
        ops.where: _call("where", 3),
        torch.where: _call("where", 3),
        ".where": lambda a, condition, b: ("where", condition, a, b),
        torch.square: lambda x: _power(x, 2),
        ".square": lambda x: _power(x, 2),
        torch.rsqrt: lambda x: _power(x, -0.5),
        ".rsqrt": lambda x: _power(x, -0.5),
        torch.reciprocal: lambda x: _power(x, -1),
        ".reciprocal": lambda x: _power(x, -1),
        torch.lerp: lambda a, b, w: ("add", a, ("mul", w, ("sub", b, a))),
        ".lerp": lambda a, b, w: ("add", a, ("mul", w, ("sub", b, a))),
        ops.maximum: _call("maximum", 2),
        ops.minimum: _call("minimum", 2),
        operator.and_: _call("and", 2),
        operator.or_: _call("or", 2),
        operator.invert: _call("not", 1),
        operator.neg: _call("neg", 1),
        ops.sqrt: _call("sqrt", 1),
        ops.exp: _call("exp", 1),
        ops.cos: _call("cos", 1),
    }
    for op, expand in {"add": _add, "sub": _sub}.items():
        words[getattr(torch, op)] = words[f".{op}"] = expand
    for op in ("mul", "div", "maximum", "minimum", "gt", "ge", "lt", "le", "eq", "ne"):
        words[getattr(torch, op)] = words[f".{op}"] = _call(op, 2)
    for op in ("abs", "neg", "sign", "sqrt", "exp", "log", "tanh", "cos"):
        words[getattr(torch, op)] = words[f".{op}"] = _call(op, 1)
    for op in ("mul", "truediv", "gt", "ge", "lt", "le", "eq", "ne"):
        words[getattr(operator, op)] = _call("div" if op == "truediv" else op, 2)
    return words


_VOCABULARY = _vocabulary()
