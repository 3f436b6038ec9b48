"""Methods of PyTorch's optimizers without what is around them, while nobody needs it.

A guard against PyTorch's compiler imports the compiler, which takes a second; until someone compiles there is nothing
to guard against. What calls hooks and tells the profiler of a step takes a third of a small model's step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch._C._dynamo import eval_frame
from torch._compile import _disable_dynamo
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks as _of_all_post
from torch.optim.optimizer import _global_optimizer_pre_hooks as _of_all_pre

_callback: Callable[[], object] = getattr(eval_frame, "get_eval_frame_callback", lambda: True)
"""What the compiler does with the functions that are called now; None where it takes no notice of them."""


def light(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of PyTorch's optimizer, guarded only where the compiler is at work."""
    bare = getattr(method, "__wrapped__", method)

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        guarded = "torch._dynamo" in sys.modules and (torch.compiler.is_compiling() or _callback() is not None)
        return (method if guarded else bare)(*args, **kwargs)

    return call


def opaque(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that PyTorch's compiler calls, where it would otherwise compile what is compiled already."""
    return light(_disable_dynamo(method))


def hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A `step` as PyTorch wraps it, for hooks and the profiler, in its wrapping only where there are any."""
    whole = Optimizer.profile_hook_step(step)

    @wraps(step)
    def call(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        hooks = self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks or _of_all_pre or _of_all_post
        profiled = torch.autograd._profiler_enabled()  # type: ignore[attr-defined]
        return (whole if hooks or profiled else step)(self, *args, **kwargs)

    call.hooked = True  # type: ignore[attr-defined]
    return call


add_param_group = light(Optimizer.add_param_group)
load_state_dict = light(Optimizer.load_state_dict)
state_dict = light(Optimizer.state_dict)
zero_grad = light(Optimizer.zero_grad)
