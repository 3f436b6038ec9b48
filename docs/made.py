"""All pages made from code: where each stands in the site, and in its navigation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import commands, examples, modifier_list, reference, rule_list, rule_page, shared
from .family import families


def pages() -> dict[str, Callable[[], str]]:
    """Every made page: its path in the site, and what makes its Markdown."""
    rules = [rule for members in families().values() for rule in members]
    return {
        "rules/index.md": rule_list.page,
        **{f"rules/{rule.name}.md": partial(rule_page.page, rule) for rule in rules},
        "modifiers.md": modifier_list.page,
        "commands.md": commands.page,
        "examples.md": examples.page,
        **{f"reference/{path}": partial(str, text) for path, text in reference.pages().items()},
        **{path: partial(str, text) for path, text in shared.pages().items()},
    }


def nav() -> list[Any]:
    """The made pages as MkDocs' navigation has them."""
    rules = [
        {family.title: [{rule.title: f"rules/{rule.name}.md"} for rule in members]}
        for family, members in families().items()
    ]
    return [
        {"Rules": ["rules/index.md", *rules]},
        {"Modifiers": "modifiers.md"},
        {"Examples": "examples.md"},
        {"Command line": "commands.md"},
        {"Measured": [path for path in shared.places().values() if path.startswith("measured/")]},
        {"Contribute": "contributing.md"},
        {"Reference": [{title: f"reference/{path}"} for path, title in reference.titles().items()]},
    ]
