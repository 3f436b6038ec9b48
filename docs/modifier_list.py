"""The page of modifiers: what each does, to which rules, shown on the simplest rule that takes it."""

from __future__ import annotations

import inspect

from fallline import rules
from fallline.kernels import cost, equation
from fallline.rules import Rule, get
from fallline.rules.composition import STAGES, Modifier

from . import words
from .composition import built_in, composed, modifiers

_SIMPLE = ("sgd", "adam")


def page() -> str:
    """The whole page as Markdown."""
    order = (
        "An optimizer that is given several as settings composes them in the order of this page: the first is next to "
        "the rule, the last sees the gradient first and the new weights last."
    )
    return "\n\n".join([f"# Modifiers\n\n{words.paragraphs(rules.modifiers)}\n\n{order}", *map(_stage, modifiers())])


def _stage(stage: str) -> str:
    members = modifiers()[stage]
    if not members:
        return ""
    title = f"## {stage.capitalize()} {{ #stage-{stage} }}\n\n{words.prose(_sentence(STAGES[stage]))}"
    return "\n\n".join([title, *map(_section, members)])


def _section(modifier: Modifier) -> str:
    name = modifier.__name__
    plain, shown = _example(modifier)
    given = ", ".join(f"{h}={words.number(value)}" for h, value in list(plain.defaults.items())[:1])
    use = (
        f"fallline.optim.{plain.title}(model.parameters(), {given}, {modifier.setting}={_value(modifier)})\n"
        f'fallline.rules.modifiers.{name}(fallline.rules.get("{plain.name}"))  # the rule itself'
    )
    parts = [
        f"### {name} {{ #{name} }}",
        words.paragraphs(modifier),
        f"**Paper** {words.prose(modifier.paper)}" if modifier.paper else "",
        words.python(use),
        words.formula(equation(shown)),
        "\n".join(f"- {fact}" for fact in _facts(modifier, plain, shown)),
        words.python(inspect.getsource(modifier.text)),
    ]
    return "\n\n".join(filter(None, parts))


def _value(modifier: Modifier) -> str:
    """A value of the setting that switches the modifier on: that of its first hyper-parameter."""
    first = next(iter(modifier.hypers.values()), None)
    if first is not None and first.default:
        return words.number(first.default)
    return "True" if first is None or first.search is None else words.plain(f"{first.search.sample(0.5):.0e}")


def _example(modifier: Modifier) -> tuple[Rule, Rule]:
    """A simple rule that the modifier composes with: as it was, and modified."""
    pairs = ((rule, composed(modifier, rule)) for rule in [*map(get, _SIMPLE), *built_in()])
    return next((plain, shown) for plain, shown in pairs if shown is not None)


def _facts(modifier: Modifier, plain: Rule, shown: Rule) -> list[str]:
    states = [words.code(state) for state in shown.states if state not in plain.states]
    kept = [f"{words.code(name)} as {how}" for name, how in shown.storage.items() if plain.storage.get(name) != how]
    refused = [rule for rule in built_in() if composed(modifier, rule) is None]
    without = ", ".join(f"[{rule.title}](rules/{rule.name}.md)" for rule in refused)
    return [
        *(
            f"{words.code(h.name)}: {words.number(h.default)} by default; allowed: {words.plain(str(h.allowed))}."
            for h in modifier.hypers.values()
        ),
        f"Adds state: {', '.join(states) or 'none'}.",
        *([f"Keeps {'; '.join(kept)}."] if kept else []),
        f"A step of {words.code(plain.name)} moves {_moved(plain)} for a float32 parameter, modified so "
        f"{_moved(shown)}.",
        f"Composes with every rule but {without}." if refused else "Composes with every rule.",
    ]


def _moved(rule: Rule) -> str:
    sheet = cost(rule)
    passes = "1 pass" if len(sheet.sweeps) == 1 else f"{len(sheet.sweeps)} passes"
    return f"{sheet.bytes_per_parameter} bytes in {passes}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
