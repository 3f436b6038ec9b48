"""Rules by name, with modifiers around them: `ema(clip_norm(adamw, max_norm=0.5))`.

Such a text is a modifier's name, in parentheses the rule that it modifies (a name or such a text), and settings of the
rule so made, each as `name=number`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from ..errors import InputError, unknown
from .composition import MODIFIERS, Modifier, with_defaults
from .rule import REGISTRY, Rule, find, get, is_built_in

_PARTS = re.compile(r"((?:[^(),]*\()*)([^(),]*)(.*)", re.DOTALL)
"""The modifiers with their parentheses, the rule's name, all that follows."""


def read(text: str, named: Callable[[str], Rule] = get) -> Rule:
    """The rule that a text names; `named` gives the rule inside, by its name.

    Raises `InputError` for a text that cannot be read or an unknown name, `RuleError` for a modifier that does not fit.
    """
    around, name, rest = _parts(text)
    modifiers = [_modifier(word.strip(), text) for word in around.split("(")[:-1]]
    if not name.strip():
        _wrong(text, f"the name of a rule is missing after {around!r}" if around else "the name of a rule is missing")
    rule = named(name.strip())
    for modifier in reversed(modifiers):
        inside, closed, rest = rest.partition(")")
        if not closed:
            _wrong(text, f"a parenthesis is open: that of {modifier.__name__}")
        if not re.fullmatch(r"\s*(,.*)?", inside, re.DOTALL) or "(" in inside:
            _wrong(text, f"{inside.strip(', ')!r} stands where a setting or a closing parenthesis should be")
        modified = modifier(rule)
        rule = with_defaults(modified, _settings(inside, modified, text))
    if rest.strip():
        _wrong(text, f"{rest.strip()!r} stands after its end")
    return rule


def split(text: str) -> list[str]:
    """The names in a list with commas; those inside parentheses stay where they are."""
    names, depth = [""], 0
    for character in text:
        depth = max(0, depth + (character == "(") - (character == ")"))
        if character == "," and not depth:
            names.append("")
        else:
            names[-1] += character
    return [name.strip() for name in names if name.strip()]


def replaced(text: str, change: Callable[[str], str]) -> str:
    """The text with another name for the rule inside: `change` is given the one that it has."""
    around, name, rest = _parts(text)
    return f"{around}{change(name.strip())}{rest}"


def is_known_everywhere(rule: Rule) -> bool:
    """Whether any process in which Fallline is imported finds the rule by its name."""
    if find(rule.name) is not rule:
        return False
    while not is_built_in(rule):
        modifier, inner = rule.modifier, rule.inner
        if modifier is None or inner is None or not modifier.is_built_in():
            return False
        if not rule.name.startswith(f"{modifier.__name__}({inner.name}"):  # a name of the user's own
            return False
        rule = inner
    return True


def no_rule(name: str) -> InputError:
    """The error for a name that no rule has."""
    if name in MODIFIERS:
        return InputError(f"{name!r} is a modifier, not a rule; put it around one, as in {name}(adamw).")
    return unknown("rule", name, REGISTRY)


def _parts(text: str) -> tuple[str, str, str]:
    found = _PARTS.fullmatch(text)
    assert found is not None  # each part may be empty
    return found[1], found[2], found[3]


def _modifier(name: str, text: str) -> Modifier:
    if name in MODIFIERS:
        return MODIFIERS[name]
    if name in REGISTRY:
        _wrong(text, f"{name!r} is a rule; what stands before a parenthesis is a modifier")
    if not name:
        _wrong(text, "the name of a modifier is missing before a parenthesis")
    raise unknown("modifier", name, MODIFIERS)


def _settings(inside: str, rule: Rule, text: str) -> dict[str, float]:
    """The numbers of `, name=number, ...`."""
    settings: dict[str, float] = {}
    for given in inside.split(",")[1:]:
        name, equals, value = (part.strip() for part in given.partition("="))
        if not equals:
            _wrong(text, f"{given.strip()!r} is no setting; write name=number with one of {', '.join(rule.hypers)}")
        if name in settings:
            _wrong(text, f"{name} is set twice")
        try:
            settings[name] = float(value)
        except ValueError:
            _wrong(text, f"{name}={value} is no number")
    return settings


def _wrong(text: str, what: str) -> NoReturn:
    raise InputError(f"{text!r} names no rule: {what}. Write it as in ema(clip_norm(adamw, max_norm=0.5)).")
