"""How far a rule must see to step one element of a parameter: what decides whether it can be stepped in pieces.

Rows that a sparse gradient names, or the shard that a process holds, are stepped as any tensor by a rule that looks at
each element alone. A rule that takes a tensor's norm needs that of the whole; a rule for matrices needs all of it.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import torch
from torch import fx

from ..rules import ops
from ..rules.rule import Rule
from ..rules.trace import REDUCTIONS, operation, reduces, trace
from .vocabulary import expansion


class Reach(IntEnum):
    """What a new element depends on, beside numbers and sums over all parameters."""

    ELEMENT = 0
    """On the element alone."""
    SCALARS = 1
    """On values made of the whole tensor too: a norm, its size, random draws in its shape."""
    SIDES = 2
    """On the number of its rows or columns too."""
    WHOLE = 3
    """On other elements."""


@lru_cache(maxsize=None)
def reach(rule: Rule) -> tuple[Reach, str]:
    """The rule's reach, and the operation that makes it so far."""
    graph = trace(rule)
    furthest, name = (Reach.WHOLE, "a state of another shape") if rule.shapes else (Reach.ELEMENT, "")
    for node in graph.nodes:
        here = _reach_of(node, graph.kinds[node])
        if here > furthest:
            furthest, name = here, operation(node)
    return furthest, name


def _reach_of(node: fx.Node, kind: str) -> Reach:
    if node.target in (ops.rows, ops.columns):
        return Reach.SIDES
    if node.target in ops.DRAWS or node.target is ops.numel or (reduces(node) and node.target is not ops.total):
        return Reach.SCALARS
    return Reach.WHOLE if kind == "tensor" and not _elementwise(node) else Reach.ELEMENT


def _elementwise(node: fx.Node) -> bool:
    name = operation(node)
    if name in REDUCTIONS:
        return False
    if node.target is ops.when or expansion(node) is not None:
        return True
    operations = getattr(torch.ops.aten, name, None)
    return operations is not None and any(
        torch.Tag.pointwise in getattr(operations, overload).tags for overload in operations.overloads()
    )
