"""Steps whose gradient is taken at another point: sharpness-aware minimization, `SGD(params, sam=0.05)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..kernels.stepper import Stepper
from ..kernels.text import fresh
from ..rules import ascend
from ..rules.composition import chain
from ..rules.rule import Rule

if TYPE_CHECKING:
    from .base import RuleOptimizer

Origins = dict[Tensor, dict[str, Any]]
"""Of every parameter that climbed, where it was before."""


def gradients_uphill(optimizer: RuleOptimizer, closure: Callable[[], Any]) -> None:
    """Have the closure compute the gradients again where the groups' rules climb to; the parameters come back exactly.

    Does nothing where no rule climbs.
    """
    origins = _climb(optimizer)
    if not origins:
        return
    try:
        with torch.enable_grad():
            closure()
    finally:
        with torch.no_grad():
            for p, kept in origins.items():
                p.copy_(kept["origin"])


def _climb(optimizer: RuleOptimizer) -> Origins:
    """Take the parameters that have a gradient there."""
    steppers: dict[Rule, Stepper] = {}
    origins: Origins = {}
    for group in optimizer.param_groups:
        rule, values = optimizer.rule_of(group)
        if rule.climb is None:
            continue
        uphill = ascend(rule.climb) if ascend in chain(rule) else rule.climb
        params = [p for p in group["params"] if p.grad is not None]
        origins |= {p: {} for p in params}
        stepper = steppers.setdefault(uphill, Stepper(uphill))
        numbers = tuple(float(values[name]) for name in uphill.hypers)
        stepper.add(params, origins, numbers, partial(_start, uphill, values))
    for stepper in steppers.values():  # climbs of different kinds have norms of their own
        optimizer.run([stepper])
    return origins


def _start(rule: Rule, values: Mapping[str, Any], p: Tensor, state: dict[str, Any]) -> None:
    state.update({name: fresh(rule, name, p, values) for name in rule.states}, step=0)
