"""Stepping by a rule's own text, in PyTorch: what runs where there is no kernel, and what kernels are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx

from ..rules.ops import drawn_for, stored_in
from ..rules.rule import Rule
from ..rules.storage import ROUNDING_SEED
from ..rules.trace import Graph, Walk, choose, trace, walk
from . import storage
from .dither import Draw, nearest
from .formats import Numbers

_COMPUTED_IN = {torch.float16: torch.float32, torch.bfloat16: torch.float32}

Instead = Callable[[Graph], Mapping[fx.Node, Callable[..., Any]]]


class Item(NamedTuple):
    """A parameter to step: it and its states, its gradient, the step and the hyper-parameters, the carried numbers.

    Its place in the optimizer tells its random draws from other parameters'.
    """

    tensors: Sequence[storage.Held]
    gradient: Tensor
    numbers: Sequence[float]
    carried: Sequence[float]
    place: int = 0


def steps(rule: Rule, item: Item, instead: Instead | None = None) -> Walk:
    """Step a parameter and its states; gives the carried numbers' new values.

    Yields where it needs the sums over all parameters: run all of an optimizer's with `fallline.rules.trace.together`.
    `instead(graph)` gives functions to call in place of nodes of the rule's graph.
    """
    p, *states = (storage.read(x).detach() for x in item.tensors)
    if not (p.numel() or instead or trace(rule).rounds):
        return item.carried  # some functions refuse to look for the largest of no numbers
    values = [_computable(rule, x, p.shape) for x in (p, item.gradient.detach(), *states)]
    # the graph, not the function: it never changes its inputs, and numbers follow float64's rules as in a kernel
    numbers = dict(zip(("t", *rule.hypers), map(np.float64, item.numbers), strict=True))
    carried = list(map(np.float64, item.carried))
    with torch.no_grad():
        graph = trace(choose(rule, (*item.numbers, *item.carried)))
    step = walk(graph, (*values, *carried), numbers, instead=instead and instead(graph))
    counted = None if p.is_contiguous() else partial(_in_memory, p)
    sums = None
    while True:
        with torch.no_grad(), np.errstate(all="ignore"), drawn_for(item.place, counted), stored_in(p.dtype):
            try:
                parts = step.send(sums)
            except StopIteration as end:
                out = end.value
                break
        sums = yield parts
    count = len(item.tensors)
    before = (values[0], *values[2:])
    # an input that is an output too must be taken before it is written
    new = [value.clone() if any(value is x for x in values) else value for value in out[:count]]
    write(rule, item, [None if out[k] is before[k] else value for k, value in enumerate(new)])
    return [float(value) for value in out[count:]]


def write(rule: Rule, item: Item, values: Sequence[Tensor | None]) -> None:
    """Give the arrays their new values, None where they keep the old ones."""
    seed = dict(zip(rule.hypers, item.numbers[1:], strict=True)).get(ROUNDING_SEED, 0.0)
    for k, (name, held, value) in enumerate(zip(("p", *rule.states), item.tensors, values, strict=True)):
        if value is not None:
            drawn: Numbers = Draw(seed, item.numbers[0], item.place, k) if name in rule.storage else nearest
            storage.write(held, value, drawn)


def _in_memory(p: Tensor) -> Tensor:
    """The indices of a parameter's elements as kernels count them: as they lie in memory."""
    real = torch.view_as_real(p) if p.is_complex() else p
    without_gaps = torch.empty_like(real, device="meta").stride()
    return torch.arange(real.numel(), device=p.device).as_strided(real.shape, without_gaps)


def _computable(rule: Rule, tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The tensor as a rule's text should see it: half types in float32, complex numbers as pairs, flat if asked."""
    if tensor.shape == shape:
        tensor = tensor.reshape(rule.view(shape))
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return tensor.to(_COMPUTED_IN.get(tensor.dtype, tensor.dtype))


def fresh(rule: Rule, name: str, p: Tensor, values: Mapping[str, float]) -> Tensor:
    """A state tensor as it stands before the first step, for the hyper-parameters' values."""
    said = rule.starts.get(name, 0.0)
    if said == "p":
        return p.detach().clone(memory_format=torch.preserve_format)
    number = 0.0 if said == "eye" else float(values[said]) if isinstance(said, str) else said
    if name not in rule.shapes:
        start = complex(number, number) if p.is_complex() else number  # each part is stepped on its own
        return torch.full_like(p, start, memory_format=torch.preserve_format, requires_grad=False)
    state = p.new_full(rule.shapes[name].shape(rule.view(p.shape), values), number, requires_grad=False)
    if said == "eye":
        diagonal = state if state.shape[-1] == 1 else state.diagonal(dim1=-2, dim2=-1)
        diagonal.fill_(1.0)
    return state
