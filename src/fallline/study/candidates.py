"""The rules of a comparison, from names, rules and `file.py:name`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..errors import InputError
from ..problems.source import module
from ..rules import Rule, get
from ..rules.naming import read, split

DEFAULT_RULES = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "nadam", "adamw", "lion")


def candidates(rules: str | Rule | Iterable[str | Rule]) -> list[Rule]:
    """The rules that are meant: names (also several in one string, with commas), rules, or "file.py:name".

    A name may have modifiers around it: "ema(clip_norm(adamw, max_norm=0.5))".

    Raises `InputError` for a rule that is unknown or named twice, and when there is none.
    """
    if isinstance(rules, str):
        rules = split(rules)
    found = [load_rule(rule) for rule in ([rules] if isinstance(rules, Rule) else rules)]
    if not found:
        raise InputError("rules is empty; name at least one rule, for instance rules=['sgd', 'adam'].")
    twice = [name for name, count in Counter(rule.name for rule in found).items() if count > 1]
    if twice:
        raise InputError(f"rules names {', '.join(twice)} more than once; every rule must have its own name.")
    return found


def load_rule(given: str | Rule) -> Rule:
    """The rule that is meant: a name, "file.py:name" or "package.module:name"; a rule is returned as it is.

    Each may have modifiers around it: "ema(file.py:name)". After the colon stands the variable that holds the rule, or
    the rule's own name. Raises `InputError` when there is no such file or rule.
    """
    if isinstance(given, Rule):
        return given
    if not isinstance(given, str):
        raise InputError(f"rules contains {given!r}; allowed are names of rules, rules, and 'file.py:name'.")
    return read(given, _named) if "(" in given else _named(given)


def _named(name: str) -> Rule:
    return _from_source(name) if ":" in name else get(name)


def _from_source(spec: str) -> Rule:
    home, _, name = spec.rpartition(":")
    source = module(home)
    held = {key: value for key, value in vars(source).items() if isinstance(value, Rule)}
    found = held.get(name) or next((rule for rule in held.values() if rule.name == name), None)
    if found is not None:
        return found
    if hasattr(source, name):
        given = type(getattr(source, name)).__name__
        raise InputError(f"{spec} is a {given}, not a rule; decorate the function with @fallline.rule.")
    there = f"Rules in it: {', '.join(sorted(held))}." if held else "There is no rule in it."
    raise InputError(f"{home} has nothing called {name!r}. {there}")
