"""Which states of a rule are never negative, found from its text: second moments, largest values, sizes of steps.

The rule's graph is followed once with intervals in place of values: hyper-parameters lie where they are allowed to, a
square is not negative. A state that starts there and stays there whatever the gradients are is never negative. What
this cannot see a rule may say itself, with `v: Annotated[Any, at_least(0)]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from torch import fx

from .rule import Rule
from .trace import Graph, trace

Bounds = tuple[float, float]

_ANY: Bounds = (-math.inf, math.inf)
_NOT_NEGATIVE: Bounds = (0.0, math.inf)


@lru_cache(maxsize=None)
def never_negative(rule: Rule) -> frozenset[str]:
    """The states that are never negative."""
    graph = trace(rule)
    outputs = dict(zip(rule.states, graph.outputs[1:], strict=False))
    # what the rule only reads is filled by others, of whom nothing is known
    found = {name for name, node in outputs.items() if node is not graph.inputs[name] and _starts_so(rule, name)}
    found |= rule.never_negative
    while True:
        bounds = _bounds(rule, graph, found)
        kept = {name for name in found if bounds[outputs[name]][0] >= 0} | rule.never_negative
        if kept == found:
            return frozenset(found)
        found = kept


def _starts_so(rule: Rule, name: str) -> bool:
    start = rule.starts.get(name, 0.0)
    if isinstance(start, str):
        return start == "eye" or (start in rule.hypers and rule.hypers[start].allowed.low >= 0)
    return start >= 0


def _bounds(rule: Rule, graph: Graph, assumed: set[str]) -> Mapping[fx.Node, Bounds]:
    """Between which values every node lies, where the states `assumed` are not negative."""
    bounds = {}
    for name, node in graph.inputs.items():
        if name in rule.hypers:
            bounds[node] = rule.hypers[name].allowed.low, rule.hypers[name].allowed.high
        else:
            bounds[node] = (1.0, math.inf) if name == "t" else _NOT_NEGATIVE if name in assumed else _ANY
    for node in graph.nodes:
        bounds[node] = _of(node, [_operand(arg, bounds) for arg in node.args])
    return bounds


def _operand(arg: Any, bounds: Mapping[fx.Node, Bounds]) -> Bounds:
    if isinstance(arg, fx.Node):
        return bounds[arg]
    return (float(arg), float(arg)) if isinstance(arg, int | float) else _ANY


def _of(node: fx.Node, args: list[Bounds]) -> Bounds:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name == "mul" and node.args[0] is node.args[1]:
        return _NOT_NEGATIVE
    try:
        low, high = _RULES[name](*args)
    except (KeyError, TypeError):  # another operation, or with other operands than it usually has
        return _ANY
    return -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


def _add(a: Bounds, b: Bounds) -> Bounds:
    return a[0] + b[0], a[1] + b[1]


def _neg(a: Bounds) -> Bounds:
    return -a[1], -a[0]


def _mul(a: Bounds, b: Bounds) -> Bounds:
    corners = [0.0 if 0.0 in (x, y) else x * y for x in a for y in b]
    return min(corners), max(corners)


def _div(a: Bounds, b: Bounds) -> Bounds:
    if b[0] < 0:
        return _ANY
    return _mul(a, (1 / b[1] if b[1] else math.inf, 1 / b[0] if b[0] else math.inf))


def _pow(a: Bounds, b: Bounds) -> Bounds:
    if b[0] == b[1] and b[0] % 2 == 0:
        return _NOT_NEGATIVE
    if a[0] < 0:
        return _ANY
    shrinks = (a[1] <= 1 and b[0] >= 0) or (a[0] >= 1 and b[1] <= 0)
    return (0.0, 1.0) if shrinks else _NOT_NEGATIVE


def _either(condition: Bounds, a: Bounds, b: Bounds) -> Bounds:
    return min(a[0], b[0]), max(a[1], b[1])


def _largest(a: Bounds, b: Bounds) -> Bounds:
    return max(a[0], b[0]), max(a[1], b[1])


def _least(a: Bounds, b: Bounds) -> Bounds:
    return min(a[0], b[0]), min(a[1], b[1])


def _like(a: Bounds, *_: Bounds) -> Bounds:
    """Of the operand's sign."""
    return _NOT_NEGATIVE if a[0] >= 0 else _ANY


_RULES: dict[str, Callable[..., Bounds]] = {
    "add": _add,
    "sub": lambda a, b: _add(a, _neg(b)),
    "mul": _mul,
    "div": _div,
    "truediv": _div,
    "pow": _pow,
    "neg": _neg,
    "maximum": _largest,
    "minimum": _least,
    "clamp_min": _largest,
    "where": _either,
    "when": _either,
    **dict.fromkeys(("abs", "square", "sqrt", "exp", "norm", "numel", "rows", "columns"), lambda *_: _NOT_NEGATIVE),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "total"), _like),
}
"""Operations by the name of their function or method."""
