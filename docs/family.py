"""The family of a rule: the file that it, or the rule that it was made from, is written in."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass

from fallline.rules import Rule

from .composition import built_in


@dataclass(frozen=True)
class Family:
    """A file of rules: its short name, and the first paragraph of its docstring."""

    title: str
    what: str

    @property
    def anchor(self) -> str:
        """Where the list of rules tells of it."""
        return self.title.lower().replace(" ", "-")


def family(rule: Rule) -> Family:
    """The family of a built-in rule."""
    home = rule.parts[0].__module__
    what = inspect.cleandoc(sys.modules[home].__doc__ or "").partition("\n\n")[0]
    return Family(home.rpartition(".")[2].replace("_", " ").capitalize(), " ".join(what.split()))


def families() -> dict[Family, list[Rule]]:
    """All built-in rules by family, in the order in which they are written."""
    found: dict[Family, list[Rule]] = {}
    for rule in built_in():
        found.setdefault(family(rule), []).append(rule)
    return found
