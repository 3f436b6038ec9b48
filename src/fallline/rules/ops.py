"""The few functions a rule may need that plain PyTorch has for tensors only: these take numbers and tensors alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import fx

from . import draws

P = ParamSpec("P")
R = TypeVar("R")


def traceable(function: Callable[P, R]) -> Callable[P, R]:
    """Record the call in the graph, whole, when a rule is being traced."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for given in (*args, *kwargs.values()) if kwargs else args:
            if isinstance(given, fx.Proxy):
                recorded: R = given.tracer.create_proxy("call_function", call, args, kwargs)  # type: ignore[assignment]
                return recorded
        return function(*args, **kwargs)

    return call


@traceable
def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`. A rule cannot branch with `if` on a value; it selects with this."""
    if isinstance(condition, torch.Tensor):
        return torch.where(condition, a, b)
    return a if condition else b


@traceable
def maximum(a: Any, b: Any) -> Any:
    """The larger of two values, element by element; NaN if either is NaN."""
    if isinstance(a, torch.Tensor):
        return torch.maximum(a, b) if isinstance(b, torch.Tensor) else a.clamp(min=b)
    if isinstance(b, torch.Tensor):
        return b.clamp(min=a)
    return a if a > b or a != a else b


@traceable
def minimum(a: Any, b: Any) -> Any:
    """The smaller of two values, element by element; NaN if either is NaN."""
    if isinstance(a, torch.Tensor):
        return torch.minimum(a, b) if isinstance(b, torch.Tensor) else a.clamp(max=b)
    if isinstance(b, torch.Tensor):
        return b.clamp(max=a)
    return a if a < b or a != a else b


@traceable
def sqrt(x: Any) -> Any:
    """The square root; NaN below zero."""
    if isinstance(x, torch.Tensor):
        return x.sqrt()
    return math.sqrt(x) if x >= 0 else math.nan


@traceable
def exp(x: Any) -> Any:
    """The exponential; infinite where it overflows."""
    if isinstance(x, torch.Tensor):
        return x.exp()
    return math.exp(x) if x < 709.78 else math.inf


@traceable
def log(x: Any) -> Any:
    """The natural logarithm; minus infinity of zero, NaN below."""
    if isinstance(x, torch.Tensor):
        return x.log()
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


@traceable
def cos(x: Any) -> Any:
    """The cosine of an angle in radians."""
    return x.cos() if isinstance(x, torch.Tensor) else math.cos(x)


@traceable
def when(condition: Any, a: Any, b: Any) -> Any:
    """`a` where a number's condition holds, else `b`, and only that side is computed.

    For what is done every so many steps: `when(t % every == 0, inverse_root(s, 4), root)`. The condition may depend on
    the step, hyper-parameters and carried numbers.
    """
    return a if condition else b


@traceable
def total(x: Any) -> Any:
    """The sum of `x` over all elements of all parameters that an optimizer steps (of all rules that it steps by)."""
    return x.sum()


@traceable
def numel(x: Any) -> Any:
    """The number of elements of a tensor."""
    return float(x.numel())


@traceable
def rows(x: Any) -> Any:
    """The number of a matrix's rows."""
    return float(x.shape[-2])


@traceable
def columns(x: Any) -> Any:
    """The number of a matrix's columns."""
    return float(x.shape[-1])


_STORED_IN: ContextVar[torch.dtype | None] = ContextVar("stored_in", default=None)


@contextmanager
def stored_in(dtype: torch.dtype) -> Iterator[None]:
    """`ops.stored` inside rounds to that type, as that of a parameter which is stepped in float32 has to be."""
    token = _STORED_IN.set(dtype)
    try:
        yield
    finally:
        _STORED_IN.reset(token)


@traceable
def stored(x: Any) -> Any:
    """`x` as the parameter's own type holds it, rounded to nearest. In float32 and float64 that is `x` itself."""
    dtype = _STORED_IN.get()
    if not isinstance(x, torch.Tensor) or dtype is None or not dtype.is_floating_point:
        return x
    return x.to(dtype).to(x.dtype)


Counted = Callable[[], torch.Tensor]
"""Gives the indices of elements, int64, in the shape of the tensor that has them."""

_DRAWN_FOR: ContextVar[tuple[int | Sequence[int], Counted | None]] = ContextVar("drawn_for", default=(0, None))


class drawn_for:  # a context manager of a few instructions: every call of a rule is inside one
    """`ops.drawn_for(place)`: random draws inside are those of the parameter at that place in its optimizer.

    With several places, of as many parameters stacked along the first dimension: each draws what it would alone.
    Elements count in the order of their indices, unless they are `counted` otherwise: as they lie in memory, or as they
    do in a whole of which they are a part.
    """

    __slots__ = ("said", "token")

    def __init__(self, place: int | Sequence[int], counted: Counted | None = None) -> None:
        self.said = place, counted

    def __enter__(self) -> None:
        self.token = _DRAWN_FOR.set(self.said)

    def __exit__(self, *_: object) -> None:
        _DRAWN_FOR.reset(self.token)


@traceable
def normal(like: Any, t: Any, seed: Any = 0, stream: str = "") -> Any:
    """`ops.normal(like, t, seed, "stream")`: standard normal numbers in the shape of `like`, the same in every run.

    What is drawn depends on the step `t`, the `seed` (a number, often a hyper-parameter), the parameter's place in its
    optimizer, the `stream` and the element, and on nothing else: what draws twice in a step, or is composed with others
    that draw, gives each its own stream, a name. `ops.rademacher` and `ops.uniform` are called alike. In the shape of
    the parameter they are drawn in the kernel that uses them; in every type, the numbers are those of float32.
    """
    return _drawn(like, t, seed, stream, draws.normal)


@traceable
def rademacher(like: Any, t: Any, seed: Any = 0, stream: str = "") -> Any:
    """`ops.rademacher(like, t, seed, "stream")`: -1 or 1, each with probability 1/2; drawn as told at `normal`."""
    return _drawn(like, t, seed, stream, draws.rademacher)


@traceable
def uniform(like: Any, t: Any, seed: Any = 0, stream: str = "") -> Any:
    """`ops.uniform(like, t, seed, "stream")`: even on [0, 1); drawn as told at `normal`."""
    return _drawn(like, t, seed, stream, draws.uniform)


DRAWS = (normal, rademacher, uniform)


def _drawn(like: torch.Tensor, t: float, seed: float, stream: str, number: draws.Number) -> torch.Tensor:
    if like.is_meta:
        return torch.empty_like(like, memory_format=torch.contiguous_format)
    places, counted = _DRAWN_FOR.get()

    def one(place: int, shape: torch.Size) -> torch.Tensor:
        index = None if counted is None else counted()
        if index is None or index.numel() != shape.numel():
            index = torch.arange(shape.numel(), device=like.device)
        key = draws.mixed(seed, t, place, draws.number_of(stream))
        return draws.drawn(number, key, index.reshape(-1)).view(shape).to(like.dtype)

    if isinstance(places, int):
        return one(places, like.shape)
    return torch.stack([one(place, like.shape[1:]) for place in places])
