"""A result as plain values, for `json`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from ...rules import Rule
from ..result import TrialRecord


def plain(value: Any) -> Any:
    """The value as mappings, lists, texts and numbers; a number that is not finite becomes None."""
    if isinstance(value, Rule):
        return _of_rule(value)
    if isinstance(value, TrialRecord):
        return {**_fields(value), "score": plain(value.score), "valid_loss": plain(value.valid_loss)}
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: plain(getattr(value, f.name)) for f in fields(value)}


def _of_rule(rule: Rule) -> dict[str, Any]:
    hypers = {name: plain(hyper) for name, hyper in rule.hypers.items()}
    return {
        "name": rule.name,
        "paper": rule.paper,
        "summary": rule.summary,
        "states": list(rule.states),
        "hypers": hypers,
    }
