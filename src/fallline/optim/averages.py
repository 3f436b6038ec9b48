"""Models evaluated at other weights than they are trained at, where an optimizer's rule says so (`Rule.evaluation`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import InputError
from ..rules.rule import Rule

if TYPE_CHECKING:
    from .base import RuleOptimizer

EVALUATING = "evaluating"
"""What a parameter group has while its parameters hold the weights to evaluate at; it goes into checkpoints."""
TRAINED = "trained"
"""The state that keeps the weights of training meanwhile."""


@torch.no_grad()
def put(optimizer: RuleOptimizer) -> None:
    """Put the weights to evaluate at into the parameters, and keep those that are trained."""
    for group in optimizer.param_groups:
        if EVALUATING not in group:
            for p, weights in _elsewhere(optimizer, group):
                optimizer.state[p][TRAINED] = p.detach().clone(memory_format=torch.preserve_format)
                p.copy_(weights)
        group[EVALUATING] = True


@torch.no_grad()
def put_back(optimizer: RuleOptimizer) -> None:
    """Put the trained weights into the parameters again, bit by bit."""
    for group in optimizer.param_groups:
        if group.pop(EVALUATING, False):
            for p in group["params"]:
                if TRAINED in optimizer.state.get(p, {}):
                    p.copy_(optimizer.state[p].pop(TRAINED))


def is_evaluating(optimizer: RuleOptimizer) -> bool:
    """Whether the parameters hold the weights to evaluate at."""
    return EVALUATING in optimizer.param_groups[0]


def refuse(optimizer: RuleOptimizer) -> None:
    """Raises `InputError` while the parameters hold the weights to evaluate at."""
    if is_evaluating(optimizer):
        raise InputError(
            f"{type(optimizer).__name__} cannot step: its parameters hold the weights to evaluate at, call train()."
        )


def _elsewhere(optimizer: RuleOptimizer, group: Mapping[str, Any]) -> Iterable[tuple[Tensor, Tensor]]:
    """The parameters of a group that are evaluated elsewhere, with these weights; those that took no step are not."""
    whole, values = optimizer.rule_of(group)
    for p in group["params"]:
        rule = whole.of_shape(p.shape, group.get("elementwise", False))
        state = optimizer.state.get(p, {})
        held = {name: state.get(optimizer.state_names.get(name, name)) for name in rule.states}
        if rule.evaluation is not None and all(value is not None for value in held.values()):
            yield p, evaluated(rule, p, held | {name: state[name] for name in rule.numbers}, values)


def evaluated(rule: Rule, p: Tensor, states: Mapping[str, Any], values: Mapping[str, Any]) -> Tensor:
    """The weights to evaluate at, half types computed in float32."""

    def wide(value: Any) -> Any:
        half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
        return value.float() if half else value

    numbers = {name: float(values[name]) for name in rule.hypers}
    weights: Tensor = rule.evaluated(wide(p), {name: wide(value) for name, value in states.items()}, numbers)
    return weights
