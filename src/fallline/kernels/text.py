"""Stepping by a rule's own text, in PyTorch: what runs where there is no kernel, and what kernels are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..rules.rule import Rule
from ..rules.trace import Walk, choose, trace, walk

_COMPUTED_IN = {torch.float16: torch.float32, torch.bfloat16: torch.float32}


class Item(NamedTuple):
    """A parameter to step: it and its states, its gradient, the step and the hyper-parameters, the carried numbers."""

    tensors: Sequence[Tensor]
    gradient: Tensor
    numbers: Sequence[float]
    carried: Sequence[float]


def steps(rule: Rule, item: Item) -> Walk:
    """Step a parameter and its states; gives the carried numbers' new values.

    Yields where it needs the sums over all parameters: run all of an optimizer's with `fallline.rules.trace.together`.
    """
    tensors = [x.detach() for x in item.tensors]
    shape = tensors[0].shape
    values = [_computable(rule, x, shape) for x in (tensors[0], item.gradient.detach(), *tensors[1:])]
    # the graph, not the function: it never changes its inputs, and numbers follow float64's rules as in a kernel
    numbers = dict(zip(("t", *rule.hypers), map(np.float64, item.numbers), strict=True))
    carried = list(map(np.float64, item.carried))
    with torch.no_grad(), np.errstate(all="ignore"):
        graph = trace(choose(rule, numbers | dict(zip(rule.numbers, carried, strict=True))))
    step = walk(graph, (*values, *carried), numbers)
    sums = None
    while True:
        with torch.no_grad(), np.errstate(all="ignore"):
            try:
                parts = next(step) if sums is None else step.send(sums)
            except StopIteration as end:
                out = end.value
                break
        sums = yield parts
    _write(tensors, values, out)
    return [float(value) for value in out[len(tensors) :]]


def _write(tensors: Sequence[Tensor], values: Sequence[Tensor], out: Sequence[Any]) -> None:
    # an input that is an output too must be taken before it is written
    out = tuple(value.clone() if any(value is x for x in values) else value for value in out[: len(tensors)])
    for tensor, value in zip(tensors, out, strict=True):
        tensor.copy_(torch.view_as_complex(value) if tensor.is_complex() else value.reshape(tensor.shape))


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
        state.diagonal(dim1=-2, dim2=-1).fill_(1.0)
    return state
