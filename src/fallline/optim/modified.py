"""Settings that put modifiers around the rule of any class: `AdamW(params, clip_norm=1.0, ema=0.999)`.

Every modifier is a setting by its name (or the name that it says), whose value is that of its first hyper-parameter;
True stands for the default. Its other hyper-parameters are settings by their own names. A setting that is missing, 0,
False or None leaves the modifier out. Groups of parameters may differ in all of this. Several modifiers stand in the
order of `fallline.rules.composition.STAGES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import InputError
from ..rules.composition import SETTINGS, placed
from ..rules.rule import Rule
from ..rules.trace import sums


class Value(NamedTuple):
    """Where a group has the value of a hyper-parameter, and what that is where the group does not say."""

    hyper: str
    setting: str
    default: float


def with_modifiers(
    rule: Rule, values: Mapping[str, Any], group: Mapping[str, Any], allowed: frozenset[str]
) -> tuple[Rule, Mapping[str, Any]]:
    """The rule with the modifiers that a group's settings switch on, and their hyper-parameters with the rule's own.

    `allowed` are the settings that may do so. Raises `RuleError` for a modifier that does not fit the rule.
    """
    on = tuple([name for name in group if name in allowed and group[name]])
    if not on:
        return rule, values
    rule, added = _around(rule, on)
    return rule, {**values, **{each.hyper: _value(each, group) for each in added}}


def _value(of: Value, group: Mapping[str, Any]) -> Any:
    value = group.get(of.setting, of.default)
    return of.default if value is True else value


@lru_cache(maxsize=None)
def _around(rule: Rule, on: tuple[str, ...]) -> tuple[Rule, tuple[Value, ...]]:
    values = []
    for name in sorted(on, key=lambda name: (SETTINGS[name].rank, name)):
        rule = placed(rule, SETTINGS[name])
        hypers = SETTINGS[name].hypers.values()
        values += [Value(h.name, name if k == 0 else h.name, h.default) for k, h in enumerate(hypers)]
    return rule, tuple(values)


def switches(own: Iterable[str]) -> frozenset[str]:
    """The settings that switch modifiers on in a class with settings of its `own`."""
    return frozenset(SETTINGS).difference(own)


def settings(own: Iterable[str]) -> list[str]:
    """All settings of modifiers in a class with settings of its own."""
    return [name for switch in sorted(switches(own)) for name in (switch, *_names(switch)[1:])]


def refuse_hypers(given: Iterable[str], own: Iterable[str], cls: str) -> None:
    """Raises `InputError` for a value that is given by the modifier's name for it, and not by its switch."""
    for switch in switches(own):
        first = _names(switch)[:1]
        if first and first[0] != switch and first[0] not in own and first[0] in given:
            raise InputError(f"{first[0]} is not allowed for {cls}: it is the value of {switch}.")


def refuse_alone(group: Mapping[str, Any], own: Iterable[str], cls: str) -> None:
    """Raises `InputError` for a further setting of a modifier that the group does not mention."""
    for switch in switches(own).difference(group):
        for name in _names(switch)[1:]:
            if name in group and name not in own:
                raise InputError(f"{name} is not allowed for {cls} without {switch}, to which it belongs.")


@lru_cache(maxsize=None)
def refuse_other_sums(rules: tuple[Rule, ...]) -> None:
    """Raises `InputError` for rules that cannot step together, as they sum over all parameters at different places."""
    most = max(rules, key=lambda rule: len(sums(rule)))
    for rule in rules:
        if sums(rule) != sums(most)[: len(sums(rule))]:
            raise InputError(
                f"groups that are stepped by {most.name} and by {rule.name} cannot be in one optimizer: they take sums "
                "over all parameters at different places. Give both the same modifiers that do (clip_norm)."
            )


def asked(hyper: str, group: Mapping[str, Any], own: Iterable[str]) -> str:
    """The name by which a group was given the value of a hyper-parameter."""
    return next((switch for switch in switches(own).intersection(group) if [hyper] == _names(switch)[:1]), hyper)


def _names(switch: str) -> list[str]:
    return list(SETTINGS[switch].hypers)
