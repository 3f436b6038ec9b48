"""The list of all rules, a table for each family."""

from __future__ import annotations

from fallline.kernels import cost
from fallline.rules import Rule

from . import words
from .family import families
from .state import LARGE, bytes_of_state


def page() -> str:
    """The whole page as Markdown."""
    found = families()
    count = sum(map(len, found.values()))
    head = (
        f"# Rules\n\n{count} update rules in {len(found)} families. Each is a class of `fallline.optim`, a candidate "
        "of `fallline compare`, and a text that can be modified. State: bytes kept beside each element of a float32 "
        f"matrix of {LARGE[0]} rows and {LARGE[1]} columns. Moved: the bytes that a step reads and writes for it."
    )
    columns = ("Rule", "What it is", ">State", ">Moved", "Year")
    sections = [
        f"## {family.title}\n\n{words.prose(family.what)}\n\n{words.table(columns, map(_row, rules))}"
        for family, rules in found.items()
    ]
    return "\n\n".join([head, *sections])


def _row(rule: Rule) -> tuple[str, ...]:
    return (
        f"[{rule.title}]({rule.name}.md)<br>{words.code(rule.name)}",
        words.prose(rule.summary),
        f"{bytes_of_state(rule):g}",
        str(cost(rule).bytes_per_parameter),
        words.year(rule.paper),
    )
