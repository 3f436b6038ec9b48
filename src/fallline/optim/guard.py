"""Methods of PyTorch's optimizers without their guards against PyTorch's compiler, while that is not loaded.

A guard imports the compiler, which takes a second; until someone compiles there is nothing to guard against.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from torch._compile import _disable_dynamo
from torch.optim import Optimizer


def light(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of PyTorch's optimizer, guarded only where the compiler is loaded."""
    bare = getattr(method, "__wrapped__", method)

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (method if "torch._dynamo" in sys.modules else bare)(*args, **kwargs)

    return call


def opaque(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that PyTorch's compiler calls, where it would otherwise compile what is compiled already."""
    return light(_disable_dynamo(method))


add_param_group = light(Optimizer.add_param_group)
load_state_dict = light(Optimizer.load_state_dict)
state_dict = light(Optimizer.state_dict)
zero_grad = light(Optimizer.zero_grad)
