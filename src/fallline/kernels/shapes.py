"""Which shapes the values of a graph have, found by running it on tensors without memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import fx
from torch.utils._pytree import tree_leaves

from ..rules import ops
from ..rules.rule import Rule
from ..rules.trace import Graph
from .extent import Extent, extent_of

_NOMINAL = (400, 700)
"""The shape of a parameter where none is given: its sides tell rows from columns, and from a rank or a limit."""

_GENERAL: dict[tuple[int | str, ...], Extent] = {
    ("rows", "columns"): "elements",
    ("rows", 1): "rows",
    (1, "columns"): "columns",
    (1, 1): "matrix",
}


class Shapes:
    """The shapes of a graph's values for a parameter seen in the shape `view`, or, without one, for most of them."""

    def __init__(self, rule: Rule, graph: Graph, view: Sequence[int] | None, sizes: Mapping[str, float]) -> None:
        self.rule, self.graph = rule, graph
        self.view = _NOMINAL if view is None else tuple(view)
        self.values = {**rule.defaults, **sizes}

    def of_input(self, name: str) -> Extent:
        """The extent of an input tensor."""
        shaped = self.rule.shapes.get(name)
        if shaped is None:
            return "elements"
        return _GENERAL.get(shaped.sides) or extent_of(shaped.shape(self.view, self.values), self.view)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of an input tensor."""
        shaped = self.rule.shapes.get(name)
        return self.view if shaped is None else tuple(shaped.shape(self.view, self.values))

    @property
    def general(self) -> bool:
        """Whether the inputs have these extents for a parameter of every shape."""
        return all(shaped.sides in _GENERAL and shaped.limit is None for shaped in self.rule.shapes.values())

    def after(self, node: fx.Node) -> tuple[tuple[int, ...] | None, bool]:
        """The shape of what a node gives, if it is one tensor of numbers; whether it may be run on a stack."""
        alone, stacked = self._alone[node], self._stacked[node]
        single = isinstance(alone, torch.Tensor) and alone.dtype is torch.float32
        return tuple(alone.shape) if single else None, _stacks(alone, stacked)

    @cached_property
    def _alone(self) -> dict[fx.Node, Any]:
        return self._run(())

    @cached_property
    def _stacked(self) -> dict[fx.Node, Any]:
        return self._run((2,))

    def _run(self, stack: tuple[int, ...]) -> dict[fx.Node, Any]:
        """What every node gives: tensors without memory, numbers at the defaults, None where it cannot be told."""
        given = {node: self._input(name, stack) for name, node in self.graph.inputs.items()}
        for node in self.graph.nodes:
            if any(given[arg] is None for arg in node.all_input_nodes):
                given[node] = None
            elif self.graph.kinds[node] == "scalar":
                given[node] = _empty(())
            elif node.target in ops.DRAWS:
                given[node] = torch.empty_like(given[node.all_input_nodes[0]])
            else:
                given[node] = _result(node, given)
        return given

    def _input(self, name: str, stack: tuple[int, ...]) -> Any:
        if name in ("p", "g", *self.rule.states):
            return _empty((*stack, *self.shape_of(name)))
        return 1.0 if name == "t" else {**self.rule.numbers, **self.values}[name]


def _empty(shape: Sequence[int]) -> torch.Tensor:
    return torch.empty(shape, device="meta", dtype=torch.float32)


def _result(node: fx.Node, given: Mapping[fx.Node, Any]) -> Any:
    args: Any = fx.map_arg(node.args, given.__getitem__)
    kwargs: Any = fx.map_arg(node.kwargs, given.__getitem__)
    target: Any = node.target
    try:
        return getattr(args[0], target)(*args[1:], **kwargs) if node.op == "call_method" else target(*args, **kwargs)
    except Exception:  # whatever a function says of tensors without memory
        return None


def _stacks(alone: Any, stacked: Any) -> bool:
    one, both = tree_leaves(alone), tree_leaves(stacked)
    tensors = [x for x in (*one, *both) if isinstance(x, torch.Tensor)]
    return (
        len(one) == len(both)
        and len(tensors) == 2 * len(one)
        and all(tuple(b.shape) == (2, *a.shape) for a, b in zip(one, both, strict=True))
    )
