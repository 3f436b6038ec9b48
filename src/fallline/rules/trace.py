"""From a rule's text to its graph: one call of the rule on stand-ins, recorded by `torch.fx`.

Inputs come in one order everywhere: `p`, `g`, the state tensors, the state numbers, `t`, the hyper-parameters. A node
keeps the name of the variable that the author gave it (`m_hat`), so that equations read like the paper.
"""

from __future__ import annotations

import linecache
import operator
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType
from typing import Any

from torch import fx
from torch.fx.proxy import GraphAppendingTracer, TraceError

from ..errors import RuleError
from .rule import Rule, is_rule_text


@dataclass(frozen=True, eq=False)
class Graph:
    """A traced rule: the `torch.fx` nodes, its inputs by name, and its outputs (`p`, state tensors, state numbers)."""

    nodes: tuple[fx.Node, ...]
    inputs: Mapping[str, fx.Node]
    outputs: tuple[fx.Node, ...]
    labels: Mapping[fx.Node, str]


@lru_cache(maxsize=None)
def trace(rule: Rule) -> Graph:
    """The rule's graph. Raises `RuleError`, with the line and the reason, for a rule that cannot be traced."""
    graph = fx.Graph()
    tracer = _Tracer(graph)
    inputs = {name: graph.placeholder(name) for name in input_names(rule)}
    stand_ins = {name: fx.Proxy(node, tracer) for name, node in inputs.items()}
    positional = ("p", "g", *rule.states, *rule.numbers)
    names: dict[fx.Node, str] = {}
    with _variable_names(rule, names):
        try:
            out = rule.function(
                *(stand_ins[name] for name in positional),
                **{name: proxy for name, proxy in stand_ins.items() if name not in positional},
            )
        except Exception as error:
            raise _untraceable(rule, error) from error
    outputs = _outputs(rule, out, len(positional) - 1)
    nodes = _needed(graph, outputs)
    _check_kinds(rule, nodes, inputs, outputs)
    named = dict(zip(outputs, ("p", *positional[2:]), strict=True)) | names | _brought(nodes)
    return Graph(
        nodes,
        inputs,
        outputs,
        {node: named[node] for node in nodes if node in named and node is not outputs[0]},
    )


class _Tracer(GraphAppendingTracer):
    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **named: Any) -> Any:
        name = target if isinstance(target, str) else getattr(target, "__name__", "")
        named_so = getattr(target, "__module__", "") == "_operator"  # `operator.or_` is no such thing
        in_place = name.endswith("_") and not name.endswith("__") and not named_so
        if kind.startswith("call") and (in_place or "out" in kwargs or name in ("setitem", "__setitem__")):
            raise RuleError(f"`{name}` changes a tensor in place; write `m = beta * m + g` instead")
        return super().create_proxy(kind, target, args, kwargs, *more, **named)


def _check_kinds(rule: Rule, nodes: Sequence[fx.Node], inputs: Mapping[str, fx.Node], out: Sequence[fx.Node]) -> None:
    """Tensors where tensors belong, numbers where numbers do."""
    tensors = {inputs[name] for name in ("p", "g", *rule.states)}
    for node in nodes:
        if tensors.intersection(node.all_input_nodes):
            tensors.add(node)
        elif node.op == "call_method" or getattr(node.target, "__module__", "") in (None, "torch", "torch._C"):
            name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "it")
            raise RuleError(
                f"rule {rule.name!r} applies `{name}` of tensors to a number; use `x ** 0.5` or fallline.rules.ops "
                "(where, maximum, minimum, sqrt, exp, cos)."
            )
        elif node.target is operator.invert:
            raise RuleError(f"rule {rule.name!r} negates a number's condition with `~`; write `t != 1`, say.")
    for name, node in zip(("p", *rule.states, *rule.numbers), out, strict=True):
        if (node in tensors) == (name in rule.numbers):
            kinds = ("a tensor", "a number") if name in rule.numbers else ("a number", "a tensor")
            raise RuleError(f"rule {rule.name!r} returns {kinds[0]} as {name}, which must be {kinds[1]}.")


def input_names(rule: Rule) -> tuple[str, ...]:
    """The inputs of a rule in the one order."""
    return ("p", "g", *rule.states, *rule.numbers, "t", *rule.hypers)


def replay(
    graph: Graph,
    positional: Sequence[Any],
    keywords: Mapping[str, Any],
    after: Mapping[fx.Node, Callable[[Any], Any]],
) -> tuple[Any, ...]:
    """Run a graph again on any values; what a node gave is passed through `after[node]` before others see it."""
    given = dict(zip(graph.inputs, positional, strict=False)) | dict(keywords)
    values: dict[fx.Node, Any] = {node: given[name] for name, node in graph.inputs.items() if name in given}
    for node in graph.nodes:
        args = fx.map_arg(node.args, values.__getitem__)
        kwargs = fx.map_arg(node.kwargs, values.__getitem__)
        target: Any = node.target
        value = getattr(args[0], target)(*args[1:], **kwargs) if node.op == "call_method" else target(*args, **kwargs)
        if isinstance(value, fx.Proxy) and node in graph.labels:
            value.node.meta["label"] = graph.labels[node]
        values[node] = after[node](value) if node in after else value
    return tuple(values[node] for node in graph.outputs)


def _needed(graph: fx.Graph, outputs: Sequence[fx.Node]) -> tuple[fx.Node, ...]:
    """The computing nodes that an output depends on, in order."""
    wanted = set(outputs)
    for node in reversed(graph.nodes):
        if node in wanted:
            wanted.update(node.all_input_nodes)
    return tuple(node for node in graph.nodes if node in wanted and node.op != "placeholder")


def _outputs(rule: Rule, out: Any, expected: int) -> tuple[fx.Node, ...]:
    values = out if isinstance(out, tuple) else (out,)
    wanted = ", ".join(("p", *rule.states, *rule.numbers))
    if len(values) != expected:
        raise RuleError(f"rule {rule.name!r} returns {len(values)} values; it must return {wanted}, in this order.")
    if not all(isinstance(value, fx.Proxy) for value in values):
        raise RuleError(f"rule {rule.name!r} must return {wanted}, each computed from its arguments.")
    return tuple(value.node for value in values)


@contextmanager
def _variable_names(rule: Rule, names: dict[fx.Node, str]) -> Iterator[None]:
    """Note, whenever a function of the rule's text returns, which variable holds which node."""

    def on_event(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and is_rule_text(frame.f_code, rule):
            for name, value in frame.f_locals.items():
                if isinstance(value, fx.Proxy):
                    names.setdefault(value.node, name)

    before = sys.getprofile()
    if before is not None and not callable(before):  # a profiler in C, which could not be put back
        yield
        return
    sys.setprofile(on_event)
    try:
        yield
    finally:
        sys.setprofile(before)


def _brought(nodes: Sequence[fx.Node]) -> dict[fx.Node, str]:
    """Names that a replayed graph has brought along."""
    return {node: node.meta["label"] for node in nodes if "label" in node.meta}


def _untraceable(rule: Rule, error: Exception) -> RuleError:
    frames = traceback.extract_tb(error.__traceback__)
    files = {part.__code__.co_filename for part in rule.parts if hasattr(part, "__code__")}
    frame = next((f for f in reversed(frames) if f.filename in files), None)
    reason = str(error).partition("\n")[0]
    if isinstance(error, TraceError):
        reason = "it branches or loops on a value; select with `fallline.where(condition, a, b)` instead"
    elif "Proxy" in reason and isinstance(error, TypeError):
        reason = (
            "a function there takes Python numbers only; use an operator (`x ** 0.5`), a torch function, or one of "
            "fallline.rules.ops (where, maximum, minimum, sqrt, exp, cos)"
        )
    if frame is None or frame.lineno is None:
        return RuleError(f"rule {rule.name!r} cannot be traced: {reason}.")
    line = linecache.getline(frame.filename, frame.lineno).strip()
    return RuleError(f"rule {rule.name!r} cannot be traced: {frame.filename}, line {frame.lineno}: `{line}`: {reason}.")
