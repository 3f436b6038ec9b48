"""Steps taken in the backward pass: each parameter as soon as its gradient is ready, which is then freed.

    optimizer = fallline.optim.AdamW(model.parameters(), lr=3e-4)
    fallline.optim.in_backward(optimizer)
    for x, y in batches:
        loss_of(model(x), y).backward()         # steps
        optimizer.step()                        # finds nothing left to step
        scheduler.step()

No more than one gradient is alive at a time, so that training needs less memory by almost the size of the model.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ..errors import InputError
from ..kernels.spread import is_spread
from ..rules.trace import trace
from .base import RuleOptimizer


def in_backward(optimizer: RuleOptimizer) -> InBackward:
    """Have an optimizer step each of its parameters in the backward pass; gives what pauses or ends this.

    The optimizer stays the one to ask: settings, groups added later, schedulers, checkpoints and hooks around its
    `step` are as ever. For an element-wise rule the result is the ordinary step's, bit by bit. Gradients are gone after
    `backward()`: clipping them by hand or `GradScaler` find none. To sum those of several batches, run the first ones
    in `paused()`, or give the optimizer `accumulate=`. FSDP2's shards are stepped once they are reduced.

    Raises `InputError` for a rule that waits for all gradients (a sum over all parameters, a second gradient), and
    where other processes may hold a part of the gradient that is summed later, as with `DistributedDataParallel`.
    """
    return InBackward(optimizer)


class InBackward:
    """An optimizer's steps in the backward pass, until `remove()`; also a context that ends so."""

    def __init__(self, optimizer: RuleOptimizer) -> None:
        if optimizer.in_backward is not None:
            raise InputError(f"this {type(optimizer).__name__} steps in the backward pass already.")
        self._optimizer = optimizer
        self._hooks: list[RemovableHandle] = []
        self._groups: dict[Tensor, Mapping[str, Any]] = {}
        self._paused = False
        self._lock = threading.Lock()  # every device has a backward thread of its own
        for group in optimizer.param_groups:
            self.check(group)
        for group in optimizer.param_groups:
            self.watch(group)
        optimizer.in_backward = self

    def check(self, group: Mapping[str, Any]) -> None:
        """Raises `InputError` for a group that cannot be stepped gradient by gradient."""
        rule, _ = self._optimizer.rule_of(group)
        if trace(rule).rounds or rule.climb is not None:
            raise InputError(
                f"{rule.name} cannot step in the backward pass: it needs all gradients at once "
                f"({'a sum over all parameters' if trace(rule).rounds else 'and then a second one'})."
            )
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        if several and not all(is_spread(p) for p in group["params"]):
            raise InputError(
                "with several processes, only parameters sharded by `fully_shard` can step in the backward pass: "
                "DistributedDataParallel sums gradients after this."
            )

    def watch(self, group: Mapping[str, Any]) -> None:
        """Step the parameters of a group too, those included that are frozen for now."""
        for p in group["params"]:
            if not (p.is_floating_point() or p.is_complex()):
                continue  # quantized weights never have a gradient
            frozen = not p.requires_grad
            self._hooks.append(p.requires_grad_().register_post_accumulate_grad_hook(self._ready))
            p.requires_grad_(not frozen)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Gradients are summed in `p.grad` meanwhile; the next backward pass after it steps by the sum."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def remove(self) -> None:
        """Step no more in the backward pass."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._optimizer.in_backward = None

    def __enter__(self) -> InBackward:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _ready(self, p: Tensor) -> None:
        if self._paused or p.grad is None:
            return
        with self._lock, torch.no_grad():
            self._optimizer.advance([(self._group(p), [p])])
        p.grad = None

    def _group(self, p: Tensor) -> Mapping[str, Any]:
        """The parameter's group, which is another one after a checkpoint was loaded."""
        group = self._groups.get(p)
        if group is None or not any(group is known for known in self._optimizer.param_groups):
            self._groups = {q: known for known in self._optimizer.param_groups for q in known["params"]}
            group = self._groups[p]
            self.check(group)
        return group
