"""The few functions a rule may need that plain PyTorch has for tensors only: these take numbers and tensors alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import fx


def _traceable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Record the call in the graph, whole, when a rule is being traced."""

    @wraps(function)
    def call(*args: Any) -> Any:
        proxy = next((a for a in args if isinstance(a, fx.Proxy)), None)
        if proxy is not None:
            return proxy.tracer.create_proxy("call_function", call, args, {})
        return function(*args)

    return call


@_traceable
def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`. A rule cannot branch with `if` on a value; it selects with this."""
    if isinstance(condition, torch.Tensor):
        return torch.where(condition, a, b)
    return a if condition else b


@_traceable
def maximum(a: Any, b: Any) -> Any:
    """The larger of two values, element by element; NaN if either is NaN."""
    if isinstance(a, torch.Tensor):
        return torch.maximum(a, b) if isinstance(b, torch.Tensor) else a.clamp(min=b)
    if isinstance(b, torch.Tensor):
        return b.clamp(min=a)
    return a if a > b or a != a else b


@_traceable
def minimum(a: Any, b: Any) -> Any:
    """The smaller of two values, element by element; NaN if either is NaN."""
    if isinstance(a, torch.Tensor):
        return torch.minimum(a, b) if isinstance(b, torch.Tensor) else a.clamp(max=b)
    if isinstance(b, torch.Tensor):
        return b.clamp(max=a)
    return a if a < b or a != a else b


@_traceable
def sqrt(x: Any) -> Any:
    """The square root; NaN below zero."""
    if isinstance(x, torch.Tensor):
        return x.sqrt()
    return math.sqrt(x) if x >= 0 else math.nan


@_traceable
def exp(x: Any) -> Any:
    """The exponential; infinite where it overflows."""
    if isinstance(x, torch.Tensor):
        return x.exp()
    return math.exp(x) if x < 709.78 else math.inf


@_traceable
def cos(x: Any) -> Any:
    """The cosine of an angle in radians."""
    return x.cos() if isinstance(x, torch.Tensor) else math.cos(x)


@_traceable
def when(condition: Any, a: Any, b: Any) -> Any:
    """`a` where a number's condition holds, else `b`, and only that side is computed.

    For what is done every so many steps: `when(t % every == 0, inverse_root(s, 4), root)`. The condition may depend on
    the step, hyper-parameters and carried numbers.
    """
    return a if condition else b


@_traceable
def total(x: Any) -> Any:
    """The sum of `x` over all elements of all parameters that an optimizer steps (of all rules that it steps by)."""
    return x.sum()


@_traceable
def numel(x: Any) -> Any:
    """The number of elements of a tensor."""
    return float(x.numel())


@_traceable
def rows(x: Any) -> Any:
    """The number of a matrix's rows."""
    return float(x.shape[-2])


@_traceable
def columns(x: Any) -> Any:
    """The number of a matrix's columns."""
    return float(x.shape[-1])
