"""Saving a checkpoint: what PyTorch's own `state_dict` gives, with numbers in place of codes.

A state in eight bits is coded in blocks of elements, which other shards would cut elsewhere. A checkpoint has the
numbers that the codes stand for, as bfloat16, which has all of them. These can be loaded into any shards, by a rule
that keeps its states otherwise and by `torch.optim`; coded again in the same blocks, they are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kernels.storage import SCALE, uncoded
from . import guard

if TYPE_CHECKING:
    from .base import RuleOptimizer


def state_dict(optimizer: RuleOptimizer) -> dict[str, Any]:
    """The state of all parameters and the groups' settings. Where states are codes, their numbers are new tensors."""
    hook = optimizer.register_state_dict_post_hook(_with_numbers, prepend=True)  # a user's hooks see numbers too
    try:
        checkpoint: dict[str, Any] = guard.state_dict(optimizer)
    finally:
        hook.remove()
    return checkpoint


def _with_numbers(optimizer: Any, checkpoint: dict[str, Any]) -> None:
    for group, saved in zip(optimizer.param_groups, checkpoint["param_groups"], strict=True):
        whole, _ = optimizer.rule_of(group)
        for p, index in zip(group["params"], saved["params"], strict=True):
            state = checkpoint["state"].get(index, {})
            rule = whole.of_shape(p.shape, group.get("elementwise", False))
            keys = {name: optimizer.state_names.get(name, name) for name in rule.states}
            coded = {name: key for name, key in keys.items() if key + SCALE in state}
            if coded:  # the optimizer's own dictionary stays as it is
                numbers = {key: uncoded(rule, name, key, state, p) for name, key in coded.items()}
                rest = {key: value for key, value in state.items() if key.removesuffix(SCALE) not in numbers}
                checkpoint["state"][index] = {**rest, **numbers}
