"""From a rule's text to its graph: one call of the rule on stand-ins, recorded by `torch.fx`.

Inputs come in one order everywhere: `p`, `g`, the state tensors, the state numbers, `t`, the hyper-parameters. A node
keeps the name of the variable that the author gave it (`m_hat`), so that equations read like the paper.
"""

from __future__ import annotations

import linecache
import operator
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from types import FrameType
from typing import Any

import numpy as np
from torch import Tensor, fx
from torch.fx.proxy import GraphAppendingTracer, TraceError

from ..errors import RuleError
from . import ops
from .rule import Rule, files_of_text


@dataclass(frozen=True, eq=False)
class Graph:
    """A traced rule: the `torch.fx` nodes, its inputs by name, and its outputs (`p`, state tensors, state numbers).

    `kinds` tells of every node whether it is a `"tensor"`, a `"scalar"` (one value a tensor: a norm, or the sum over
    all gradients) or a `"number"` that depends on no tensor. `rounds` are the sums over all parameters, those together
    that wait for the same ones before them.
    """

    nodes: tuple[fx.Node, ...]
    inputs: Mapping[str, fx.Node]
    outputs: tuple[fx.Node, ...]
    labels: Mapping[fx.Node, str]
    kinds: Mapping[fx.Node, str]
    rounds: tuple[tuple[fx.Node, ...], ...]


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
    kinds = _kinds(rule, nodes, inputs)
    _check_kinds(rule, nodes, kinds, outputs)
    nodes, rounds = _by_rounds(nodes)
    named = dict(zip(outputs, ("p", *positional[2:]), strict=True)) | names | _brought(nodes)
    return Graph(
        nodes,
        inputs,
        outputs,
        {node: named[node] for node in nodes if node in named and node is not outputs[0]},
        kinds,
        rounds,
    )


class _Tracer(GraphAppendingTracer):
    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **named: Any) -> Any:
        name = target if isinstance(target, str) else getattr(target, "__name__", "")
        named_so = getattr(target, "__module__", "") == "_operator"  # `operator.or_` is no such thing
        in_place = name.endswith("_") and not name.endswith("__") and not named_so
        if kind.startswith("call") and (in_place or "out" in kwargs or name in ("setitem", "__setitem__")):
            raise RuleError(f"`{name}` changes a tensor in place; write `m = beta * m + g` instead")
        proxy = super().create_proxy(kind, target, args, kwargs, *more, **named)
        if target is ops.total:
            proxy.node.meta["line"] = _line_of_text()
        return proxy


def _line_of_text() -> str:
    """The line of a rule's or modifier's text that is being read."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename in (__file__, ops.__file__):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


REDUCTIONS = {"sum", "mean", "norm", "vector_norm", "amax", "amin", "max", "min"}
_OF_SHAPE = {ops.numel, ops.rows, ops.columns}


def reduces(node: fx.Node) -> bool:
    """Whether the node makes one value of a whole tensor."""
    if node.target is ops.total:
        return True
    home = getattr(node.target, "__module__", "torch") or "torch"
    plain = len(node.args) == 1 and not node.kwargs
    return plain and operation(node) in REDUCTIONS and home.partition(".")[0] == "torch"


def operation(node: fx.Node) -> str:
    """What the node does, by PyTorch's name of the method or function."""
    target: Any = node.target
    name = target if isinstance(target, str) else str(getattr(target, "__name__", target))
    return name.removeprefix("linalg_")


def _kinds(rule: Rule, nodes: Sequence[fx.Node], inputs: Mapping[str, fx.Node]) -> dict[fx.Node, str]:
    tensors = {"p", "g", *rule.states}
    kinds = {node: "tensor" if name in tensors else "number" for name, node in inputs.items()}
    for node in nodes:
        args = {kinds[arg] for arg in node.all_input_nodes}
        whole = node.target in _OF_SHAPE or reduces(node)
        kinds[node] = next((k for k in ("tensor", "scalar") if k in args and not (whole and k == "tensor")), "number")
        if whole and args:
            kinds[node] = "scalar"
    return kinds


def _check_kinds(rule: Rule, nodes: Sequence[fx.Node], kinds: Mapping[fx.Node, str], out: Sequence[fx.Node]) -> None:
    """Tensors where tensors belong, numbers where numbers do."""
    for node in nodes:
        if node.target is ops.when and kinds.get(node.all_input_nodes[0]) != "number":
            raise RuleError(
                f"rule {rule.name!r} decides with `when` on a value of a tensor; use `where`, or decide on t and "
                "hyper-parameters alone."
            )
        if kinds[node] != "number" or not node.all_input_nodes:
            continue
        if node.op == "call_method" or getattr(node.target, "__module__", "") in (None, "torch", "torch._C"):
            name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "it")
            raise RuleError(
                f"rule {rule.name!r} applies `{name}` of tensors to a number; use `x ** 0.5` or fallline.rules.ops "
                "(where, maximum, minimum, sqrt, exp, cos)."
            )
        if node.target is operator.invert:
            raise RuleError(f"rule {rule.name!r} negates a number's condition with `~`; write `t != 1`, say.")
    for name, node in zip(("p", *rule.states, *rule.numbers), out, strict=True):
        if (kinds[node] == "tensor") == (name in rule.numbers):
            given = ("a tensor", "a number") if name in rule.numbers else ("a number", "a tensor")
            raise RuleError(f"rule {rule.name!r} returns {given[0]} as {name}, which must be {given[1]}.")


def _by_rounds(nodes: Sequence[fx.Node]) -> tuple[tuple[fx.Node, ...], tuple[tuple[fx.Node, ...], ...]]:
    """The nodes with each round's sums before all that waits for them, and these sums."""
    depth: dict[fx.Node, int] = {}
    for node in nodes:
        before = max((depth.get(arg, 0) for arg in node.all_input_nodes), default=0)
        depth[node] = before + (node.target is ops.total)
    count = max(depth.values(), default=0)
    sums = [tuple(n for n in nodes if n.target is ops.total and depth[n] == k) for k in range(1, count + 1)]
    order = sorted(nodes, key=lambda node: 2 * depth[node] - (node.target is ops.total))
    return tuple(order), tuple(sums)


def input_names(rule: Rule) -> tuple[str, ...]:
    """The inputs of a rule in the one order."""
    return ("p", "g", *rule.states, *rule.numbers, "t", *rule.hypers)


def replay(
    graph: Graph,
    positional: Sequence[Any],
    keywords: Mapping[str, Any],
    after: Mapping[fx.Node, Callable[[Any], Any]],
    choices: Mapping[fx.Node, bool] | None = None,
) -> tuple[Any, ...]:
    """Run a graph again on any values; what a node gave is passed through `after[node]` before others see it.

    `choices` tells of each `when` whether its first side is taken. Sums over all parameters are those of this one.
    """
    (out,) = together([walk(graph, positional, keywords, after, choices)])
    return tuple(out)


Walk = Generator[tuple[Any, ...], Any, Any]
"""A step under way: yields its part of every sum of a round, is sent the sums, and gives what it has made."""


def walk(
    graph: Graph,
    positional: Sequence[Any],
    keywords: Mapping[str, Any],
    after: Mapping[fx.Node, Callable[[Any], Any]] | None = None,
    choices: Mapping[fx.Node, bool] | None = None,
    instead: Mapping[fx.Node, Callable[..., Any]] | None = None,
) -> Walk:
    """Run a graph on any values, stopping wherever it needs the sums over all parameters.

    Where `instead` has a function for a node, that is called on the node's arguments.
    """
    after, choices, instead = after or {}, choices or {}, instead or {}
    given = dict(zip(graph.inputs, positional, strict=False)) | dict(keywords)
    values: dict[fx.Node, Any] = {node: given[name] for name, node in graph.inputs.items() if name in given}
    last = {sums[-1]: sums for sums in graph.rounds}
    for node in graph.nodes:
        if node in choices:
            side = node.args[1] if choices[node] else node.args[2]
            values[node] = fx.map_arg(side, values.__getitem__)
            continue
        args = fx.map_arg(node.args, values.__getitem__)
        kwargs = fx.map_arg(node.kwargs, values.__getitem__)
        target: Any = instead.get(node, node.target)
        value = getattr(args[0], target)(*args[1:], **kwargs) if isinstance(target, str) else target(*args, **kwargs)
        if isinstance(value, fx.Proxy):
            value.node.meta |= {"line": node.meta["line"]} if "line" in node.meta else {}
            value.node.meta |= {"label": graph.labels[node]} if node in graph.labels else {}
        values[node] = after[node](value) if node in after else value
        if node in last:
            sums = yield tuple(values[one] for one in last[node])
            values.update(zip(last[node], sums, strict=True))
    return tuple(values[node] for node in graph.outputs)


def together(walks: Iterable[Walk]) -> list[Any]:
    """Take steps side by side: wherever they need the sums over all parameters, all of them have come that far."""
    walks = list(walks)
    step = walks[0] if len(walks) == 1 else side_by_side(walks)
    sums: tuple[Any, ...] | None = None
    while True:
        try:
            sums = step.send(sums)
        except StopIteration as end:
            return [end.value] if len(walks) == 1 else list(end.value)


def side_by_side(walks: Iterable[Walk]) -> Walk:
    """Several steps as one, which yields their sums; gives what each of them has made."""
    walks = list(walks)
    done: list[Any] = [None] * len(walks)
    under_way: dict[int, tuple[Any, ...] | None] = dict.fromkeys(range(len(walks)))
    while under_way:
        parts: dict[int, tuple[Any, ...]] = {}
        for k, sums in under_way.items():
            try:
                parts[k] = walks[k].send(sums)
            except StopIteration as end:
                done[k] = end.value
        if not parts:
            break
        # rules of one optimizer may differ in how often they sum; the first round of each is one round
        count = max(map(len, parts.values()))
        whole = yield tuple(_sum([part[i] for part in parts.values() if i < len(part)]) for i in range(count))
        under_way = {k: whole[: len(part)] for k, part in parts.items()}
    return done


def _sum(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    home = next((part.device for part in parts if isinstance(part, Tensor)), None)  # there may be several
    return reduce(operator.add, (part.to(home) if isinstance(part, Tensor) else part for part in parts))


@lru_cache(maxsize=None)
def sums(rule: Rule) -> tuple[str, ...]:
    """The sums over all parameters that a rule takes, in order, each as the line of text that it stands in."""
    return tuple(node.meta["line"] for several in trace(rule).rounds for node in several)


@lru_cache(maxsize=None)
def conditions(rule: Rule) -> tuple[fx.Node, ...]:
    """The `when`s of a rule, in order."""
    return tuple(node for node in trace(rule).nodes if node.target is ops.when)


Decide = Callable[[Sequence[float]], tuple[bool, ...]]
"""`decide(numbers)`: of every `when` of a rule, whether its first side is taken."""


@lru_cache(maxsize=None)
def decision(rule: Rule) -> Decide:
    """How a rule's choices depend on the step, the hyper-parameters and the carried numbers, in this order."""
    graph = trace(rule)
    place = {name: k for k, name in enumerate(("t", *rule.hypers, *rule.numbers))}
    expressions = {node: f"given[{place[name]}]" for name, node in graph.inputs.items() if name in place}
    functions: dict[str, Any] = {}
    for node in graph.nodes:
        if graph.kinds[node] == "number":
            functions[f"f{len(functions)}"] = node.target
            args = (expressions[arg] if isinstance(arg, fx.Node) else repr(arg) for arg in node.args)
            expressions[node] = f"f{len(functions) - 1}({', '.join(args)})"
    said = "".join(f"bool({expressions[node.all_input_nodes[0]]})," for node in conditions(rule))
    quick: Decide = eval(f"lambda given: ({said})", functions)

    def decide(numbers: Sequence[float]) -> tuple[bool, ...]:
        try:
            return quick(numbers)
        except ArithmeticError:  # where Python's numbers stop, float64's go on
            with np.errstate(all="ignore"):
                return quick([np.float64(number) for number in numbers])

    return decide


def choose(rule: Rule, numbers: Sequence[float]) -> Rule:
    """The rule with every `when` decided by the step, the hyper-parameters and the carried numbers, in this order."""
    return chosen(rule, decision(rule)(numbers)) if conditions(rule) else rule


@lru_cache(maxsize=None)
def chosen(rule: Rule, said: tuple[bool, ...]) -> Rule:
    """The rule with every `when` decided."""
    graph, choices = trace(rule), dict(zip(conditions(rule), said, strict=True))

    def chosen(p: Any, g: Any, *values: Any, **hypers: Any) -> Any:
        return replay(graph, (p, g, *values), hypers, {}, choices)

    return replace(rule, function=chosen)


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
    files = files_of_text(rule)  # asked at every call of any function, of which there are thousands

    def on_event(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code.co_filename in files:
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
    frame = next((f for f in reversed(frames) if f.filename in files_of_text(rule)), None)
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
