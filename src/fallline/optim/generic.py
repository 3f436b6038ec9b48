"""A class for every rule: its hyper-parameters as settings, and the decays and penalties that any rule may be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..rules import decoupled, l1, l2
from ..rules.rule import Rule
from .base import RuleOptimizer

_ADDED: dict[str, Callable[[Rule], Rule]] = {"weight_decay": decoupled, "l2": l2, "l1": l1}
"""Settings that add a modifier to the rule where they are not zero, the innermost first."""


def _blank(rule: Rule) -> RuleOptimizer:
    """An optimizer of the rule that waits for its state."""
    return object.__new__(class_of_rule(rule))


@lru_cache(maxsize=None)
def class_of_rule(rule: Rule) -> type[RuleOptimizer]:
    """The optimizer class of a rule, its settings read off the rule."""
    betas = tuple(name for name in ("beta1", "beta2") if name in rule.hypers)
    added = [name for name in _ADDED if name not in rule.hypers and (name != "weight_decay" or "lr" in rule.hypers)]

    def read(cls: type[RuleOptimizer], group: Mapping[str, Any]) -> tuple[Rule, Mapping[str, Any]]:
        stepped = rule
        for name in added:
            if group[name]:
                stepped = _ADDED[name](stepped)
        values = dict(group)
        values.update(zip(betas, group.get("betas", ()), strict=False))
        return stepped, {name: values[name] for name in stepped.hypers}

    settings: dict[str, Any] = {}
    for name, value in rule.defaults.items():
        if len(betas) == 2 and name in betas:
            settings.setdefault("betas", tuple(rule.defaults[beta] for beta in betas))
        else:
            settings[name] = value
    settings |= dict.fromkeys(added, 0.0) | {"maximize": False}

    def reduce(self: RuleOptimizer) -> Any:
        return _blank, (rule,), self.__getstate__()

    body = {
        "defaults_": settings,
        "read": classmethod(read),
        "__reduce__": reduce,  # by the rule: the class has no place of its own to be found at
        "__doc__": rule.summary,
        "__module__": "fallline.optim",
    }
    return type(rule.title, (RuleOptimizer,), body)
