"""Drop-in optimizers: every rule as a `torch.optim.Optimizer`.

    opt = fallline.optim.AdamW(model.parameters(), lr=3e-4)      # in place of torch.optim.AdamW
    opt = fallline.optim.Lion(model.parameters(), weight_decay=0.1)
    opt = fallline.optim.AdamW(model.parameters(), clip_norm=1.0, ema=0.999)
    opt = fallline.optim.optimizer("ema(powersign)", model.parameters(), lr=0.1)

Where `torch.optim` has the rule, the class has its name, arguments, defaults and numbers (`twins.py`). Every other
rule, a user's own among them, is a class by its title without another line. Any of them takes the modifiers as
settings (`modified.py`), and evaluates a model at averages where its rule keeps some (`RuleOptimizer.eval`).
Gradients may be sparse (`sparse.py`), parameters spread over processes (`sharded.py`, `partition.py`), and steps taken
in the backward pass, where each gradient is freed at once (`backward.py`).
`LBFGS`, `BFGS` and `Newton` are no rules: they step by a closure (`full_batch`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..rules.rule import REGISTRY, Rule, get, is_built_in
from . import recipes, twins
from .backward import in_backward
from .base import Params, RuleOptimizer
from .curvature import CurvatureOptimizer
from .generic import class_of_rule

_LONG = 68
"""Characters of a call that stands in one line."""

__all__ = [
    "CurvatureOptimizer",
    "RuleOptimizer",
    "call",
    "class_name",
    "class_of",
    "in_backward",
    "optimizer",
    "recipes",
]


def class_of(rule: str | Rule) -> type[RuleOptimizer]:
    """The optimizer class of a rule. Raises `InputError`, with the nearest names, for an unknown rule."""
    rule = get(rule)
    twin = getattr(twins, rule.title, None) if REGISTRY.get(rule.name) is rule and is_built_in(rule) else None
    return twin if isinstance(twin, type) and issubclass(twin, RuleOptimizer) else class_of_rule(rule)


def class_name(rule: str | Rule) -> str:
    """The name of a rule's class in `fallline.optim`."""
    return get(rule).title


def call(rule: str | Rule, settings: Mapping[str, Any] = MappingProxyType({}), params: str = "params") -> str:
    """How a rule's optimizer is made, as Python, in several lines where one would be long.

    `fallline.optim.AdamW(params, lr=0.1)` of "adamw" and {"lr": 0.1}; by `optimizer` where the rule has no class by
    its name, or one of `torch.optim`'s that takes other settings.
    """
    rule = get(rule)
    taken = class_of(rule).defaults_
    betas = [f"beta{k + 1}" for k in range(len(taken.get("betas", ())))]
    plain = "(" not in rule.name and {*taken, *betas}.issuperset(settings)
    function = f"fallline.optim.{rule.title}" if plain else "fallline.optim.optimizer"
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    parts = [part for part in ("" if plain else json.dumps(rule.name), params, given) if part]
    line = f"{function}({', '.join(parts)})"
    return line if len(line) <= _LONG else "\n    ".join([f"{function}(", *(f"{part}," for part in parts)]) + "\n)"


def optimizer(rule: str | Rule, params: Params, **settings: float) -> RuleOptimizer:
    """An optimizer that steps `params` by a rule, its settings those of the rule itself.

    Raises `InputError` for an unknown rule or setting, or a value that is not allowed.
    """
    return class_of_rule(get(rule))(params, **settings)


def __dir__() -> list[str]:
    from .full_batch import METHODS

    return sorted([*__all__, *METHODS, *(rule.title for rule in REGISTRY.values())])


def __getattr__(name: str) -> Any:
    for rule in REGISTRY.values():
        if rule.title == name:
            return class_of(rule)
    if name.startswith("_"):
        raise AttributeError(name)
    from .full_batch import METHODS

    if name in METHODS:
        return METHODS[name]
    raise AttributeError(f"fallline.optim has no {name!r}. It has {', '.join(__dir__())}.")
