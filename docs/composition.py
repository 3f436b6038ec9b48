"""The rules and modifiers that the site tells of, and which of them compose: found out by composing them."""

from __future__ import annotations

import os
from functools import lru_cache

from fallline.errors import RuleError
from fallline.rules import REGISTRY, Rule, trace
from fallline.rules.composition import MODIFIERS, STAGES, Modifier
from fallline.rules.rule import is_built_in


def built_in() -> list[Rule]:
    """The rules that come with Fallline, in the order in which they are written.

    `FALLLINE_DOCS_RULES=adam,lion` leaves out all others, for a look at a few pages.
    """
    only = os.environ.get("FALLLINE_DOCS_RULES", "").split(",")
    return [rule for rule in REGISTRY.values() if is_built_in(rule) and (rule.name in only or only == [""])]


def modifiers() -> dict[str, list[Modifier]]:
    """The modifiers that come with Fallline by stage, the innermost stage first."""
    found = [modifier for modifier in MODIFIERS.values() if modifier.is_built_in()]
    return {stage: [modifier for modifier in found if modifier.stage == stage] for stage in STAGES}


@lru_cache(maxsize=None)
def composed(modifier: Modifier, rule: Rule) -> Rule | None:
    """The rule with that modifier; None where the two do not compose."""
    try:
        modified = modifier(rule)
        trace(modified)
    except RuleError:
        return None
    return modified
