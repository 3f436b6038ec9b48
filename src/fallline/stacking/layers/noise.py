"""Dropout and other random functions: each trial draws from its own stream what it would draw alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import level
from ..compiled import fits, kernel
from ..draws import Draws, Stream
from ..form import FORMS, Stack, form
from ..refusal import CannotStack


@form(F.dropout, torch.dropout, shared=True)
def dropout(stack: Stack, input: Tensor, p: Any = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """input (T, *); p is a number, or (T,) where trials differ in it."""
    if not training or input.numel() == 0:
        return input
    shares = p.expand(stack.size).tolist() if isinstance(p, Tensor) else [float(p)] * stack.size
    if all(share == 0 for share in shares):
        return input
    # laid out like the input of a trial alone, since numbers are drawn in the order in which they stand in memory
    one = input[0]
    layout = one.stride() if one.is_contiguous() else torch.empty_like(one).stride()
    noise = stack.draws.drawn(partial(_masks, one.shape, layout, one.dtype, one.device, shares))
    return input.mul_(noise) if inplace and noise.size(0) <= input.size(0) else input * noise


def _masks(
    shape: torch.Size, layout: tuple[int, ...], dtype: torch.dtype, on: torch.device, shares: list[float], draws: Draws
) -> Tensor:
    """What each trial multiplies its input with: 0, or 1 / (1 - p); (T or 1, *)."""
    of_streams = draws.part(shares)
    noise = torch.empty_strided((len(of_streams), *shape), (shape.numel(), *layout), dtype=dtype, device=on)
    todo: list[tuple[Tensor, Stream, float]] = []
    for mask, stream, share in zip(noise.unbind(0), draws.streams, of_streams, strict=True):
        if share in (0, 1):  # nothing is drawn
            mask.fill_(1 - share)
        elif on.type == "cpu":
            todo.append((mask, stream, 1 - share))
        else:
            with stream.in_place_of_global(on):
                mask.copy_(F.dropout(torch.ones_like(mask), share))
    if todo:
        (_bernoulli_compiled if fits(noise) and _twister() else _bernoulli)(todo)
    return draws.spread(noise)


def _bernoulli(todo: Sequence[tuple[Tensor, Stream, float]]) -> None:
    for mask, stream, kept in todo:
        mask.bernoulli_(kept, generator=stream.generator(mask.device)).div_(kept)


def _bernoulli_compiled(todo: Sequence[tuple[Tensor, Stream, float]]) -> None:
    """The same numbers from the same generators, many streams at a time."""
    masks, streams, kept = zip(*todo, strict=True)
    count, dtype = masks[0].numel(), masks[0].dtype
    generators = [stream.generator(masks[0].device) for stream in streams]
    states = [generator.get_state() for generator in generators]
    tables = [np.array([tensor.data_ptr() for tensor in tensors], np.int64) for tensors in (states, masks)]
    shares = torch.tensor(kept, dtype=torch.float64)
    values = torch.ones(len(kept), dtype=dtype) / shares.to(dtype)
    addresses = [table.ctypes.data for table in tables]
    kernel("bernoulli", "forward", dtype)(len(kept), 4 * count * len(kept), _WORDS, count, *addresses, shares, values)
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)


_WORDS = 1248
"""Room for a generator's words, which take half a number each in float64."""


@lru_cache(maxsize=None)
def _twister() -> bool:
    """Whether the compiled numbers are this PyTorch's: on processors for which it has another way, they are not."""
    try:
        pairs = [(torch.empty(1000), Stream(1), 0.7) for _ in range(2)]
        _bernoulli(pairs[:1])
        _bernoulli_compiled(pairs[1:])
    except RuntimeError:
        return False
    (mask, stream, _), (ours, other, _) = pairs
    states = [s.generator(mask.device).get_state() for s in (stream, other)]
    return torch.equal(mask, ours) and torch.equal(*states)


def _device(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    found = next((value.device for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
    return found or torch.empty(0, device=kwargs.get("device")).device


def _refuse_generator(func: Any, kwargs: dict[str, Any]) -> None:
    if kwargs.get("generator") is not None:
        raise CannotStack(
            f"the trials cannot be stacked: {func.__name__} draws from a generator of its own, which all trials share."
        )


def _by_shape(stack: Stack, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Random numbers that depend on no value: drawn once for trials that share a stream."""
    _refuse_generator(func, kwargs)
    lone = [_alone(stack, value, 0) if isinstance(value, Tensor) else value for value in args]
    with level.below():
        on, named = _device(args, kwargs), {**kwargs, "requires_grad": False}
        return stack.back(stack.draws.drawn(lambda draws: draws.draw(lambda: func(*lone, **named), on)))


def _by_value(stack: Stack, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Random numbers that depend on values: trial by trial."""
    _refuse_generator(func, kwargs)

    def one(row: int) -> Any:
        named = {name: _alone(stack, value, row) for name, value in kwargs.items()}
        return func(*(_alone(stack, value, row) for value in args), **named)

    with level.below():
        return stack.back(torch.stack(stack.draws.each(one, _device(args, kwargs))))


def _in_place(stack: Stack, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Random numbers written to a tensor that the trials do not share."""
    _refuse_generator(func, kwargs)
    target, axis = level.unwrap(args[0], stack.level)
    if axis is None:
        raise CannotStack(
            f"the trials cannot be stacked: {func.__name__} writes random numbers to a tensor that all trials share; "
            "a function that makes a new tensor (torch.rand, torch.randn_like) can be stacked."
        )

    def one(row: int) -> Any:
        return func(target.select(axis, row), *(_alone(stack, value, row) for value in args[1:]), **kwargs)

    with level.below():
        stack.draws.each(one, target.device)
    return args[0]


def _alone(stack: Stack, value: Any, row: int) -> Any:
    """What a trial alone has in place of a value."""
    if not isinstance(value, Tensor):
        return value
    tensor, axis = level.unwrap(value, stack.level)
    return tensor if axis is None else tensor.select(axis, row)


_BY_SHAPE = (torch.rand, torch.randn, torch.randint, torch.randperm)
_BY_SHAPE_OF = (torch.rand_like, torch.randn_like, torch.randint_like)
_BY_VALUE = (
    torch.bernoulli,
    torch.multinomial,
    torch.normal,
    torch.poisson,
    torch.binomial,
    F.dropout1d,
    F.dropout2d,
    F.dropout3d,
    F.alpha_dropout,
    F.feature_alpha_dropout,
    F.rrelu,
    F.gumbel_softmax,
    Tensor.bernoulli,
    Tensor.multinomial,
)
_IN_PLACE = (
    Tensor.bernoulli_,
    Tensor.cauchy_,
    Tensor.exponential_,
    Tensor.geometric_,
    Tensor.log_normal_,
    Tensor.normal_,
    Tensor.random_,
    Tensor.uniform_,
)
FORMS.update(dict.fromkeys((*_BY_SHAPE, *_BY_SHAPE_OF), _by_shape))
FORMS.update(dict.fromkeys(_BY_VALUE, _by_value))
FORMS.update(dict.fromkeys(_IN_PLACE, _in_place))
