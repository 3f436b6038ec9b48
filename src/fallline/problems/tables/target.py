"""The column that is to be predicted: found by name, and read as classes or as a number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np

from ...errors import InputError, unknown
from . import texts
from .columns import Column, joined

Array = np.ndarray[Any, Any]
Task = Literal["classification", "regression"]
_WHOLE = 20
"""Different whole numbers up to which they are classes."""
_ROWS = 5
"""Rows a class, in the mean, from which on whole numbers are classes."""
_RULE = (
    f"text, truth values and at most {_WHOLE} different whole numbers ({_ROWS} rows or more each in the mean) are "
    "classes, other numbers are not"
)


@dataclass(frozen=True)
class Target:
    """The target of every row that has one.

    `values` are class numbers, from 0, or the numbers to predict; `rows` their places in the table; `classes` the names
    of the classes in order, empty for regression.
    """

    name: str
    values: Array
    rows: Array
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def find(columns: Sequence[Column], wanted: str | None, table: str) -> tuple[Column, Task | None]:
    """The column of that name, and the task where ":classification" or ":regression" ends the name.

    Raises `InputError` for no name, for one that no column has, and for one that two have.
    """
    names = [column.name for column in columns]
    if wanted is None:
        raise InputError(
            f"the target is missing: which column of {table} is to be predicted? Give target (--target-column NAME), "
            f"one of {joined(names, 20)}."
        )
    task = None
    if wanted not in names:
        head, _, tail = wanted.rpartition(":")
        if tail in get_args(Task) and head:
            wanted, task = head, cast(Task, tail)
    if wanted not in names:
        bare = [name for name in names if name.strip().casefold() == wanted.strip().casefold()]
        if bare:
            hint = f" (Names are told apart by case and spaces: {bare[0]!r}.)"
        else:
            headless = sum(re.fullmatch(r"[-+]?\d+(\.\d+)?", name) is not None for name in names) > 1
            hint = " (Some of these are numbers: does the first line not name the columns?)" if headless else ""
        raise InputError(str(unknown(f"target column of {table}:", wanted, set(names))) + hint)
    found = [column for column in columns if column.name == wanted]
    if len(found) > 1:
        places = " and ".join(str(column.number) for column in found)
        raise InputError(f"the target {wanted!r} is ambiguous: columns {places} of {table} have that name; rename one.")
    return found[0], task


def read(column: Column, task: Task | None, table: str) -> Target:
    """Classes or numbers of the rows whose target is there. Raises `InputError` for a target that cannot be learned."""
    name = column.name
    dated = column.kind == "date" or (column.kind == "text" and texts.dates(column.values) is not None)
    if dated or column.kind == "other":
        what = "dates" if dated else f"values of type {column.type}"
        raise InputError(f"the target {name!r} of {table} holds {what}; it must hold numbers or classes.")
    if column.rounded:
        raise InputError(
            f"the target {name!r} of {table} holds whole numbers beyond 2**53, which cannot be told apart here: scale "
            "them, or write classes as text."
        )
    column, notes = _as_numbers(column, task, table)
    known = column.known
    rows = np.flatnonzero(column.values.notna().to_numpy())
    if not len(rows):
        raise InputError(f"the target {name!r} of {table} has no values.")
    if len(rows) < len(column.values):
        infinite = f", {column.infinite} of them as it is infinite" if column.infinite else ""
        words = " (empty, or a word for that, such as 'NA', 'None', '?')" if column.kind == "text" else ""
        notes.append(f"{len(column.values) - len(rows)} rows without {name!r}{words} were left out{infinite}.")
    chosen, because = (task, "as asked") if task else _task(column, known)
    if chosen == "regression":
        values = _numbers(column, known, table)
        notes.append(f"Regression: {because} (the rule: {_RULE}; end the target with ':classification' for the other).")
        alone = float(np.abs(values - np.median(values)).mean())
        notes.append(
            f"The loss is the squared error of {name!r} in standard deviations of the training rows; mae is the mean "
            f"absolute error in its own unit, {alone:.4g} for always saying the median."
        )
        return Target(name, values, rows, (), tuple(notes))
    values, classes = _classes(column, known, table)
    counts = Counter(values.tolist())
    most = max(counts, key=lambda label: counts[label])
    notes.append(
        f"Classification into {len(classes)} classes ({joined(classes)}): {because} (the rule: {_RULE}; "
        f"end the target with ':regression' for the other). {counts[most] / len(values):.1%} of the rows are "
        f"{classes[most]!r}, which is the accuracy of always saying so."
    )
    notes += _alike(classes)
    return Target(name, values, rows, classes, tuple(notes))


def _as_numbers(column: Column, task: Task | None, table: str) -> tuple[Column, list[str]]:
    """Text that holds numbers as these. A few values that are none are refused: a target must not be guessed."""
    if column.kind != "text" or task == "classification":
        return column, []
    parsed = texts.numbers(column.values)
    if parsed is None:
        return column, []
    values, note = parsed
    wrong = column.values[values.isna() & column.values.notna()]
    if len(wrong):
        shown = joined(list(dict.fromkeys(wrong)), 3)
        raise InputError(
            f"the target {column.name!r} of {table} holds numbers but for {len(wrong)} of its rows ({shown}): remove "
            "or empty these, or end the target with ':classification'."
        )
    notes = [f"{column.name!r} is text that holds numbers: {note}."] if note else []
    return Column(column.name, "number", values, "double", column.number), notes


def _task(column: Column, known: Any) -> tuple[Task, str]:
    different = known.nunique()
    if column.kind == "text":
        return "classification", f"{column.name!r} holds text"
    if column.type == "bool":
        return "classification", f"{column.name!r} holds truth values"
    if bool((known != known.round()).any()):
        return "regression", f"{column.name!r} holds numbers that are not whole"
    whole = f"{column.name!r} holds {different} different whole numbers in {len(known)} rows"
    return ("classification" if different <= _WHOLE and len(known) >= _ROWS * different else "regression"), whole


def _numbers(column: Column, known: Any, table: str) -> Array:
    if column.kind == "text":
        raise InputError(f"the target {column.name!r} of {table} holds text, which regression cannot predict.")
    if known.nunique() == 1:
        raise InputError(f"the target {column.name!r} of {table} is {known.iloc[0]:g} in all rows: nothing to learn.")
    values: Array = known.to_numpy(np.float64)
    return values


def _classes(column: Column, known: Any, table: str) -> tuple[Array, tuple[str, ...]]:
    levels = sorted(known.unique())
    if len(levels) == 1:
        raise InputError(f"the target {column.name!r} of {table} has one class only ({_said(column, levels[0])}).")
    if len(levels) > 2 and len(known) < 2 * len(levels):
        raise InputError(
            f"the target {column.name!r} of {table} has {len(levels)} different values in {len(known)} rows, too many "
            "to be classes: is it an identifier or free text?"
        )
    place = {level: index for index, level in enumerate(levels)}
    return np.array([place[value] for value in known], np.int64), tuple(_said(column, level) for level in levels)


def _said(column: Column, level: Any) -> str:
    if column.type == "bool":
        return str(bool(level))
    return level if isinstance(level, str) else f"{level:g}"


def _alike(classes: Sequence[str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(name.casefold(), []).append(name)
    same = [names for names in groups.values() if len(names) > 1]
    return [f"The classes {joined(names)} differ in case only; they were kept apart." for names in same]
