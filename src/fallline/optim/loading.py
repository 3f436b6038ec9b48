"""Loading a checkpoint: what PyTorch's own loading does, and what it leaves to chance.

A checkpoint of another rule or another model is refused, settings that it does not mention keep their values, and a
state has the type that its rule gives it. States in eight bits come back as they were saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import InputError
from ..kernels.storage import SCALE, blocks
from ..kernels.text import fresh
from . import guard, settings

if TYPE_CHECKING:
    from .base import RuleOptimizer

Checkpoint = Mapping[str, Any]


def load(optimizer: RuleOptimizer, checkpoint: Checkpoint) -> None:
    """Load a checkpoint by PyTorch's own loading, and see to the rest.

    Raises `InputError` for one of another rule or with states of other shapes.
    """
    given: dict[str, Any] = {}
    before = [dict(group) for group in optimizer.param_groups]
    known = settings.names(type(optimizer))

    def look(_: Any, checkpoint: Checkpoint) -> None:
        given.update(checkpoint)
        _check(optimizer, given)

    def finish(_: Any) -> None:
        for group, old, saved in zip(optimizer.param_groups, before, given["param_groups"], strict=True):
            group.update((name, old[name]) for name in old.keys() - saved.keys() if name in known)
        for p, state, key, wanted in _states(optimizer, given):
            loaded = optimizer.state[p]
            if key + SCALE in state:  # codes: the first step reads them, whatever the rule keeps from there on
                loaded.update((name, state[name].to(p.device, copy=True)) for name in (key, key + SCALE))
            elif loaded[key].dtype != wanted.dtype:
                loaded[key] = state[key].to(p.device, wanted.dtype)

    # the first sees what a user's hooks have made of the checkpoint, the second runs before a user's
    hooks = [
        optimizer.register_load_state_dict_pre_hook(look),
        optimizer.register_load_state_dict_post_hook(finish, prepend=True),
    ]
    try:
        guard.load_state_dict(optimizer, checkpoint)
    finally:
        for hook in hooks:
            hook.remove()


def _check(optimizer: RuleOptimizer, given: Checkpoint) -> None:
    for p, state, key, wanted in _states(optimizer, given):
        if state[key].shape != wanted.shape:
            raise InputError(
                f"the checkpoint's {key} has the shape {tuple(state[key].shape)} for a parameter of the shape "
                f"{tuple(p.shape)}; {type(optimizer).__name__} keeps {tuple(wanted.shape)}. Is it of another model?"
            )
        scale = state.get(key + SCALE)
        if scale is not None and scale.numel() != blocks(p):
            raise InputError(
                f"the checkpoint's {key + SCALE} has {scale.numel()} scales for a parameter of {p.numel()} elements; "
                f"{blocks(p)} are needed. Is it damaged?"
            )


def _states(optimizer: RuleOptimizer, given: Checkpoint) -> Iterator[tuple[Tensor, Mapping[str, Any], str, Tensor]]:
    """Of every parameter that has a state in the checkpoint: that state, and each tensor as the rule would begin it.

    Raises `InputError` for a state with none of them.
    """
    for group, saved in zip(optimizer.param_groups, given["param_groups"], strict=False):
        whole, values = optimizer.rule_of({**group, **saved})
        for p, index in zip(group["params"], saved["params"], strict=False):
            state = given["state"].get(index, {})
            rule = whole.of_shape(p.shape, saved.get("elementwise", False))
            keys = {name: optimizer.state_names.get(name, name) for name in rule.states}
            held = {key for key, value in state.items() if isinstance(value, Tensor) and key != "step"}
            if keys and held and held.isdisjoint(keys.values()):
                raise InputError(
                    f"the checkpoint is of another rule: it holds {', '.join(sorted(held))}; "
                    f"{type(optimizer).__name__} keeps {', '.join(keys.values())}."
                )
            like = torch.empty(p.shape, dtype=p.dtype, device="meta")
            for name, key in keys.items():
                if key in held:
                    yield p, state, key, fresh(rule, name, like, values)
