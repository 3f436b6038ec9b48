"""A problem by its name: built in, in a file of the user's, or in a module."""

from __future__ import annotations

import difflib
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InputError, unknown
from .builtin import BUILTIN
from .problem import Problem
from .source import is_file, module, told, whole_path


def load(spec: str, data: Path | str | None = None) -> Problem:
    """The problem that `spec` names: "digits", "my_model.py:problem" or "my_package.my_module:problem".

    What the name stands for may also be a function without arguments that gives a `Problem`. A file with a
    single problem needs no name. `data` is the directory that built-in problems read files from. Raises
    `InputError`, with the user's own line where theirs is at fault.
    """
    problem = BUILTIN[spec](Path(data) if data is not None else None) if spec in BUILTIN else _own(spec)
    problem.source, problem.data = whole_path(spec), None if data is None else str(Path(data).absolute())
    return problem


def _own(spec: str) -> Problem:
    """The user's problem of that name."""
    home, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier():
        home, name = spec, ""
    if not name and not is_file(home):
        raise InputError(f"{unknown('problem', spec, BUILTIN)} Your own are named FILE.py:NAME.")
    problem = _problem(module(home), name, home)
    if not problem.named:
        problem.name = ":".join(filter(None, (Path(home).stem if is_file(home) else home, name)))
    return problem


def _problem(held: ModuleType, name: str, home: str) -> Problem:
    problems = {key: value for key, value in vars(held).items() if isinstance(value, Problem)}
    if not name:
        if len(problems) == 1:
            return next(iter(problems.values()))
        choices = " or ".join(f"{home}:{key}" for key in problems)
        raise InputError(
            f"{home} has more than one Problem; name one: {choices}." if problems else f"{home} has no Problem."
        )
    if not hasattr(held, name):
        near = difflib.get_close_matches(name, vars(held), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        there = f"Problems in it: {', '.join(problems)}." if problems else "There is no Problem in it."
        raise InputError(f"{home} has nothing called {name!r}.{hint} {there}")
    value = getattr(held, name)
    if isinstance(value, Problem):
        return value
    made = _called(value, name, home, held)
    if not isinstance(made, Problem):
        what = f"{name} is" if made is value else f"{name}() gave"
        raise InputError(
            f"{home}: {what} a {type(made).__name__}; a fallline.Problem is needed: Problem(model, train=(x, y), ...)."
        )
    return made


def _called(value: Any, name: str, home: str, held: ModuleType) -> Any:
    """What a function gives; anything that is no function is given back as it is."""
    code = getattr(value, "__code__", None)
    if code is None:
        return value
    needed = code.co_varnames[: code.co_argcount - len(value.__defaults__ or ())]
    if needed:
        raise InputError(
            f"{home}: {name} needs the arguments {', '.join(needed)}; a function that gives a Problem must need none."
        )
    folder = Path(held.__file__ or ".").resolve().parent
    return told(value, folder, f"{home}: {name}() failed")
