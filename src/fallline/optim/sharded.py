"""Parameters spread over processes (`DTensor`: FSDP2's shards, tensor parallelism): each process steps its own.

A rule that looks at each element alone steps the local shard by its kernel; sums over all parameters are taken over all
shards. One that takes a tensor's norm runs by its text on the shard, its norms taken over all shards of the tensor. A
rule for matrices steps the gathered tensor, one at a time, on every process, and each keeps its shard of the result.

Of states in eight bits a process has the codes of its shard, in blocks of its own. What rounds at random draws for the
shard: other processes draw otherwise, but for those with a replica of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, fx

from ..errors import InputError
from ..kernels import spread, storage, text
from ..kernels.reach import Reach, reach
from ..kernels.stepper import Apart, Stepper
from ..rules import ops
from ..rules.rule import Rule
from ..rules.trace import Graph, Walk, operation, reduces, side_by_side
from .stand_ins import step

Groups = tuple[Any, ...]
"""The process groups over which a parameter is sharded, one for each such dimension of its mesh."""


def on_shards(stepper: Stepper, items: Sequence[Apart]) -> list[Walk]:
    """The steps of parameters that are spread over processes; every process must take them in the same order.

    Raises `InputError` for a gradient that is not spread as well.
    """
    for item in items:
        if not (spread.is_spread(item.parameter) and spread.is_spread(item.gradient)):
            raise InputError(
                f"{stepper.rule.name} was given a parameter and a gradient of which only one is a DTensor; allowed: "
                "both or none."
            )
    furthest, _ = reach(stepper.rule)
    if furthest is Reach.WHOLE:
        return [_gathered(stepper, item) for item in items]
    together: dict[Groups, list[Apart]] = {}
    for item in items:
        together.setdefault(_groups(item.parameter), []).append(item)
    local = _by_element if furthest is Reach.ELEMENT else _with_scalars
    return [_summed(local(stepper, part, groups), groups) for groups, part in together.items()]


def _by_element(stepper: Stepper, items: Sequence[Apart], groups: Groups) -> Walk:
    yield from step(stepper, [(item, _shard(stepper, item, _gradient(item))) for item in items])
    _changed(items)


def _with_scalars(stepper: Stepper, items: Sequence[Apart], groups: Groups) -> Walk:
    yield from side_by_side([_by_text(stepper, item, groups) for item in items])
    _changed(items)


def _changed(items: Sequence[Apart]) -> None:
    """Parts of the parameters were written, which a stale graph must notice."""
    torch.autograd.graph.increment_version([item.parameter for item in items])


def _by_text(stepper: Stepper, item: Apart, groups: Groups) -> Walk:
    instead = partial(_over_all, stepper.rule, item.parameter, stepper.place(item.parameter), groups)
    after = yield from text.steps(stepper.rule, _shard(stepper, item, _gradient(item)), instead)
    item.state.update(zip(stepper.carried, after, strict=True))


def _gathered(stepper: Stepper, item: Apart) -> Walk:
    p: Any = item.parameter.detach()
    states = [storage.uncoded(stepper.rule, *each, item.state, p) for each in _named(stepper)]
    mine = _shard(stepper, item, spread.whole(item.gradient))
    stepped = [
        spread.whole(tensor).float() if isinstance(held, storage.Coded) else spread.whole(tensor)
        for tensor, held in zip((p, *states), mine.tensors, strict=True)
    ]
    yield from step(stepper, [(item, mine._replace(tensors=stepped, place=stepper.place(item.parameter)))])
    parts = [spread.part(spread.spread_as(*pair)) for pair in zip(stepped, (p, *states), strict=True)]
    text.write(stepper.rule, mine, parts)
    _changed([item])


def _shard(stepper: Stepper, item: Apart, gradient: Tensor) -> text.Item:
    """What this process has of a parameter and its states, with a place for random rounding that other shards lack."""
    p = item.parameter
    tensors = [spread.part(p), *(storage.held(stepper.rule, *each, item.state) for each in _named(stepper))]
    carried = [item.state[name] for name in stepper.carried]
    return text.Item(tensors, gradient, (item.t, *item.numbers), carried, stepper.place(p) + (spread.shard(p) << 32))


def _named(stepper: Stepper) -> Iterable[tuple[str, str]]:
    """The rule's states, with the keys under which an optimizer keeps them."""
    return zip(stepper.rule.states, stepper.keys, strict=True)


def _summed(walk: Walk, groups: Groups) -> Walk:
    """The step of a process's shards, its sums those of all processes."""
    sums: tuple[Any, ...] | None = None
    while True:
        try:
            parts = walk.send(sums)
        except StopIteration as end:
            return end.value
        sums = yield tuple(_reduced(part, groups) for part in parts)


def _over_all(rule: Rule, p: Any, place: int, groups: Groups, graph: Graph) -> Mapping[fx.Node, Callable[..., Any]]:
    """What a rule's text, run on a shard of `p`, must take of the whole tensor instead."""
    shape = rule.view(p.shape)
    count = math.prod(shape) * (2 if p.is_complex() else 1)
    shapes: dict[Any, float] = {ops.numel: float(count)}
    if len(shape) > 1:
        shapes |= {ops.rows: float(shape[-2]), ops.columns: float(shape[-1])}
    instead: dict[fx.Node, Callable[..., Any]] = {}
    for node in graph.nodes:
        if node.target in shapes:
            instead[node] = lambda x, value=shapes[node.target]: value
        elif node.target in ops.DRAWS:
            instead[node] = partial(_drawn, node.target, p, place)
        elif node.target is not ops.total and reduces(node):
            instead[node] = partial(_REDUCTIONS[operation(node)], groups=groups, count=count)
    return instead


def _sum(x: Tensor, groups: Groups, count: int) -> Any:
    return _reduced(x.sum(), groups)


def _mean(x: Tensor, groups: Groups, count: int) -> Any:
    return _sum(x, groups, count) / count


def _norm(x: Tensor, groups: Groups, count: int) -> Any:
    return _sum(x.square(), groups, count).sqrt()


def _largest(x: Tensor, groups: Groups, count: int) -> Any:
    mine = x.amax() if x.numel() else x.new_tensor(-math.inf)
    return _reduced(mine, groups, dist.ReduceOp.MAX)


def _least(x: Tensor, groups: Groups, count: int) -> Any:
    return -_largest(-x, groups, count)


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _sum,
    "mean": _mean,
    "norm": _norm,
    "vector_norm": _norm,
    "amax": _largest,
    "max": _largest,
    "amin": _least,
    "min": _least,
}


def _drawn(draw: Callable[..., Tensor], p: Any, place: int, like: Tensor, *args: Any) -> Tensor:
    """A process's part of what would be drawn for the whole tensor."""

    def counted() -> Tensor:
        whole = (*p.shape, *like.shape[p.ndim :])
        return spread.part(spread.spread_as(torch.arange(math.prod(whole), device=like.device).view(whole), p))

    with ops.drawn_for(place, counted):
        return draw(like, *args)


def _reduced(value: Any, groups: Groups, op: Any = None) -> Any:
    """A value of this process's shards, over those of all processes."""
    whole = value.detach().clone() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
    for group in groups:
        dist.all_reduce(whole, op or dist.ReduceOp.SUM, group)
    return whole if isinstance(value, Tensor) else whole.item()


def _groups(p: Any) -> Groups:
    return tuple(p.device_mesh.get_group(k) for k in spread.cuts(p))


def _gradient(item: Apart) -> Tensor:
    return spread.part(spread.spread_as(item.gradient.detach(), item.parameter))
