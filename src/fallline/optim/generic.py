"""A class for every rule: its hyper-parameters as settings, and decoupled weight decay where it has a rate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile
from typing import Any

from ..rules import decoupled
from ..rules.composition import placed
from ..rules.rule import Rule
from .base import RuleOptimizer
from .curvature import CurvatureOptimizer, reads_curvature


def _blank(rule: Rule) -> RuleOptimizer:
    """An optimizer of the rule that waits for its state."""
    return object.__new__(class_of_rule(rule))


@lru_cache(maxsize=None)
def class_of_rule(rule: Rule) -> type[RuleOptimizer]:
    """The optimizer class of a rule, its settings read off the rule."""
    betas = tuple(takewhile(rule.hypers.__contains__, ("beta1", "beta2", "beta3")))
    decays = "lr" in rule.hypers and "weight_decay" not in rule.hypers

    def read(cls: type[RuleOptimizer], group: Mapping[str, Any]) -> tuple[Rule, Mapping[str, Any]]:
        stepped = placed(rule, decoupled) if decays and group["weight_decay"] else rule
        values = dict(group)
        values.update(zip(betas, group.get("betas", ()), strict=False))
        return stepped, {name: values[name] for name in stepped.hypers}

    settings: dict[str, Any] = {}
    for name, value in rule.defaults.items():
        if len(betas) > 1 and name in betas:
            settings.setdefault("betas", tuple(rule.defaults[beta] for beta in betas))
        else:
            settings[name] = value
    settings |= {"weight_decay": 0.0} if decays else {}
    settings["maximize"] = False

    def reduce(self: RuleOptimizer) -> Any:
        return _blank, (rule,), self.__getstate__()

    body = {
        "defaults_": settings,
        "read": classmethod(read),
        "__reduce__": reduce,  # by the rule: the class has no place of its own to be found at
        "__doc__": rule.summary,
        "__module__": "fallline.optim",
    }
    base = CurvatureOptimizer if reads_curvature(rule) else RuleOptimizer
    return type(rule.title, (base,), body)
