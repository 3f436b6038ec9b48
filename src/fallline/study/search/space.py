"""The space that a search looks in: a rule's hyper-parameters and the problem's own, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from ...errors import InputError
from ...problems import Setting
from ...problems.space import Part, When, bare
from ...problems.space import Space as Own
from ...rules import Rule


@dataclass(frozen=True)
class Space:
    """What is searched for one rule: its own ranges, and those of the problem, which all rules share."""

    rule: Rule
    own: Own = field(default_factory=dict)

    @cached_property
    def parts(self) -> dict[str, Part | When]:
        """Every name with its range or choice, what conditions refer to first."""
        return {**self.rule.space, **self.own}

    def at(self, value_of: Mapping[str, Any]) -> dict[str, Setting]:
        """The values of those that exist, each from `value_of[name]()`, asked in order."""
        values: dict[str, Setting] = {}
        for name, part in self.parts.items():
            if not isinstance(part, When) or part.holds(values):
                values[name] = value_of[name]()
        return values

    def draw(self, seed: int, number: int) -> dict[str, Setting]:
        """Random draw `number` (from 0).

        A value depends on the study's seed, the number, its name and, for a hyper-parameter of a rule, the rule's name
        alone: a budget of 8 is a prefix of a budget of 16, a hyper-parameter that is added leaves the draws of the
        others as they were, and trial k of every rule has the same values of the problem's own.
        """
        return self.at({name: self._drawn(name, seed, number) for name in self.parts})

    def split(self, values: Mapping[str, Setting]) -> tuple[dict[str, float], dict[str, Setting]]:
        """Values as a trial takes them: the rule's settings, completed with its defaults, and the problem's own."""
        settings = {name: float(values.get(name, default)) for name, default in self.rule.defaults.items()}
        return settings, {name: value for name, value in values.items() if name in self.own}

    def _drawn(self, name: str, seed: int, number: int) -> Any:
        owner = "" if name in self.own else self.rule.name
        return lambda: bare(self.parts[name]).sample(_uniform(seed, owner, number, name))


def draw(rule: Rule, seed: int, number: int) -> dict[str, float]:
    """The settings of random search trial `number` of a rule: what it searches drawn, the others at their default."""
    space = Space(rule)
    return space.split(space.draw(seed, number))[0]


def check_names(rules: Iterable[Rule], own: Own) -> None:
    """Raises `InputError` when a hyper-parameter of the problem's has the name of a rule's."""
    for rule in rules:
        for name in own:
            if name in rule.hypers:
                raise InputError(
                    f"{name!r} is a hyper-parameter of the rule {rule.name} and of the problem; give the problem's "
                    f"keyword argument another name."
                )


def fresh_seeds(seed: int, count: int) -> list[int]:
    """The seeds of the runs that are scored on test data: none is the search's, and studies 0, 1, 2 ... share none."""
    return [1000 * seed + i for i in range(1, count + 1)]


def _uniform(seed: int, rule: str, number: int, hyper: str) -> float:
    return float(np.random.default_rng([_word(rule), _word(hyper), seed, number]).random())


def _word(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "little")
