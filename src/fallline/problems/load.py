"""A problem by its name: built in, a table or a folder of pictures of the user's, in a Python file, or in a module."""

from __future__ import annotations

import difflib
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InputError, unknown
from . import hub, pictures, tables
from .builtin import BUILTIN
from .problem import Problem
from .source import is_file, module, told, whole_path

_OWN = "Your own are named FILE.py:NAME, TABLE.csv:TARGET, FOLDER/ (of pictures) or hf:NAME."


def load(spec: str, data: Path | str | None = None, target: str | None = None) -> Problem:
    """The problem that `spec` names.

    - "digits": built in (`names()`); `data` is the directory that it reads files from.
    - "table.csv:price", or "table.csv" with `target="price"`: a CSV or Parquet file and the column to predict
      (`problems.tables`). ":classification" or ":regression" after it settles what its values decide otherwise.
    - "pictures/": a folder with one folder of pictures a class (`problems.pictures`).
    - "hf:NAME", "hf:NAME:column" or a folder that `Dataset.save_to_disk` wrote: a data set of Hugging Face
      (`problems.hub`).
    - "my_model.py:problem", "my_package.my_module:problem": a `Problem`, or a function without arguments that gives
      one. A file with a single problem needs no name.

    Raises `InputError`, with the user's own line where theirs is at fault.
    """
    problem, source = _found(spec, data, target)
    problem.source, problem.data = source, None if data is None else str(Path(data).absolute())
    return problem


def asked_for(problem: Problem | str) -> Problem:
    """The problem, or that which `load` finds by its name. Raises `InputError` for what is neither."""
    if isinstance(problem, str):
        return load(problem)
    if not hasattr(problem, "fingerprint"):
        raise InputError(f"problem must be a fallline.Problem or the name of one; it is a {type(problem).__name__}.")
    return problem


def _found(spec: str, data: Path | str | None, target: str | None) -> tuple[Problem, str]:
    """The problem, and the name by which it is found again from any directory."""
    path = Path(spec).expanduser().absolute()
    table = tables.split_target(spec)
    if spec not in BUILTIN:
        if spec.startswith(hub.PREFIX) or hub.is_saved(path):
            home, column = hub.split_target(spec) if spec.startswith(hub.PREFIX) else (str(path), None)
            problem, column = hub.from_hub(home, _one_target(column, target))
            return problem, f"{hub.PREFIX}{hub.whole_name(home)}:{column}"
        if table is not None:
            path, column = Path(table[0]).expanduser().absolute(), _one_target(table[1], target)
            return tables.from_file(path, column), f"{path}:{column}"
    if target is not None:
        raise InputError(f"target={target!r} goes with a table (CSV, Parquet, Hugging Face); {spec!r} is none.")
    if spec in BUILTIN:
        return BUILTIN[spec](Path(data) if data is not None else None), spec
    if path.is_dir() or spec.endswith("/"):
        return pictures.from_folder(path), str(path)
    return _own(spec), whole_path(spec)


def _one_target(named: str | None, given: str | None) -> str | None:
    """The target column of a name and of an argument, of which one is enough."""
    if named is not None and given is not None and named != given:
        raise InputError(f"two targets were given, {named!r} in the name and target={given!r}; give one.")
    return named if given is None else given


def _own(spec: str) -> Problem:
    """The user's problem of that name."""
    home, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier():
        home, name = spec, ""
    if not name and not is_file(home):
        raise InputError(f"{unknown('problem', spec, BUILTIN)} {_OWN}")
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
