"""The page of the command line, made from the verbs that the program has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from fallline.cli.app import app

from . import words


def verbs() -> Iterator[tuple[str, Any]]:
    """Every verb and the verbs under it, by what a person types: `fallline rules show`."""
    yield from _under("fallline", typer.main.get_command(app))


def _under(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    for sub, verb in sorted(_verbs(command).items()):
        yield f"{name} {sub}", verb
        yield from _under(f"{name} {sub}", verb)


def page() -> str:
    """The whole page as Markdown."""
    whole = typer.main.get_command(app)
    head = f"# Command line\n\n{words.prose(whole.help or '')} `fallline VERB --help` says the same in a terminal."
    return "\n\n".join([head, *(_section(name, verb) for name, verb in verbs())])


def _section(name: str, verb: Any) -> str:
    arguments = [p for p in verb.params if p.param_type_name == "argument"]
    options = [p for p in verb.params if p.param_type_name == "option"]
    places = [_place(p) if p.required else f"[{_place(p)}]" for p in arguments]
    usage = " ".join([name, *places, *(["[OPTIONS]"] if options else []), *(["[VERB]"] if _verbs(verb) else [])])
    parts = [f"## {name}", f"```text\n{usage}\n```", *map(words.prose, (verb.help or "").split("\n\n"))]
    if arguments:
        rows = [(words.code(_place(p)), words.prose(p.help or ""), _default(p)) for p in arguments]
        parts.append(words.table(("Argument", "What it is", "Default"), rows))
    if options:
        rows = [(words.code(", ".join(p.opts)), words.prose(p.help or ""), _default(p)) for p in options]
        parts.append(words.table(("Option", "What it does", "Default"), rows))
    return "\n\n".join(parts)


def _verbs(command: Any) -> dict[str, Any]:
    return getattr(command, "commands", {})


def _place(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return words.prose(parameter.show_default)
    if parameter.default is None or parameter.default is False:
        return "–"
    return words.code(str(parameter.default))
