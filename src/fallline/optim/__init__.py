"""Drop-in optimizers: every rule as a `torch.optim.Optimizer`.

    opt = fallline.optim.AdamW(model.parameters(), lr=3e-4)      # in place of torch.optim.AdamW
    opt = fallline.optim.Lion(model.parameters(), weight_decay=0.1)
    opt = fallline.optim.optimizer("powersign", model.parameters(), lr=0.1)

Where `torch.optim` has the rule, the class has its name, arguments, defaults and numbers (`twins.py`). Every other
rule, a user's own among them, is a class by its title without another line. Any of them takes `weight_decay`
(decoupled), `l2` and `l1` as well.
"""

from __future__ import annotations

from typing import Any

from ..rules.rule import REGISTRY, Rule, get, is_built_in
from . import twins
from .base import Params, RuleOptimizer
from .generic import class_of_rule

__all__ = ["RuleOptimizer", "class_name", "class_of", "optimizer"]


def class_of(rule: str | Rule) -> type[RuleOptimizer]:
    """The optimizer class of a rule. Raises `InputError`, with the nearest names, for an unknown rule."""
    rule = get(rule)
    twin = getattr(twins, rule.title, None) if REGISTRY.get(rule.name) is rule and is_built_in(rule) else None
    return twin if isinstance(twin, type) and issubclass(twin, RuleOptimizer) else class_of_rule(rule)


def class_name(rule: str | Rule) -> str:
    """The name of a rule's class in `fallline.optim`."""
    return get(rule).title


def optimizer(rule: str | Rule, params: Params, **settings: float) -> RuleOptimizer:
    """An optimizer that steps `params` by a rule, its settings those of the rule itself.

    Raises `InputError` for an unknown rule or setting, or a value that is not allowed.
    """
    return class_of_rule(get(rule))(params, **settings)


def __dir__() -> list[str]:
    return sorted([*__all__, *(rule.title for rule in REGISTRY.values())])


def __getattr__(name: str) -> Any:
    for rule in REGISTRY.values():
        if rule.title == name:
            return class_of(rule)
    if name.startswith("_"):
        raise AttributeError(name)
    raise AttributeError(f"fallline.optim has no {name!r}. It has {', '.join(__dir__())}.")
