"""Data sets of Hugging Face: `hf:NAME` from their hub, or a folder that `Dataset.save_to_disk` wrote.

    load("hf:ylecun/mnist")                      # the only column of class labels is the target
    load("hf:nyu-mll/glue#mrpc:label")           # configuration after #, target column after a colon
    load("saved/", target="price")

One column of pictures makes a problem as a folder of pictures does (`pictures`), any others one as a table does
(`tables`). Splits called train, validation and test, or alike, are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, unknown
from . import tables
from .optional import needs
from .pictures import from_sources
from .pictures.source import Rows
from .problem import Problem
from .splits import named
from .tables.columns import columns_of, joined

PREFIX = "hf:"


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote that folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def split_target(spec: str) -> tuple[str, str | None]:
    """The data set and, where it is named after a colon, the target column: "hf:NAME:column"."""
    home, _, target = spec.removeprefix(PREFIX).partition(":")
    return home, target or None


def whole_name(home: str) -> str:
    """The name as it reads from any directory: a path is made absolute."""
    path, mark, configuration = home.partition("#")
    return f"{Path(path).expanduser().absolute()}{mark}{configuration}" if Path(path).expanduser().is_dir() else home


def from_hub(home: str, target: str | None) -> tuple[Problem, str]:
    """The problem of predicting the column `target` of a data set, and the name of that column.

    `home` is the data set's name or folder, with "#CONFIGURATION" where it has several. Without a target the only
    column of class labels is it. Raises `InputError` for what cannot be had or learned.
    """
    needs("datasets", "datasets", f"{PREFIX}{home}")
    parts, notes = _splits(_loaded(home), home)
    features = parts["train"].features
    for name, part in parts.items():
        if set(part.features) != set(features):
            raise InputError(f"{home}: the columns of {name} ({joined(list(part.features))}) differ from train's.")
    column = target or _only_labels(features, home)
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    shown = [name for name, kind in kinds.items() if kind == "Image" and name != column]
    make = _of_pictures if shown else _of_table
    problem = make(parts, features, column, home, notes)
    problem.name = Path(home.partition("#")[0]).name
    return problem, column


def _library() -> Any:
    import datasets  # type: ignore[import-untyped]

    return datasets


def _loaded(home: str) -> Any:
    datasets = _library()
    path, _, configuration = home.partition("#")
    folder = Path(path).expanduser()
    try:
        if folder.is_dir() and is_saved(folder):
            return datasets.load_from_disk(str(folder))
        return datasets.load_dataset(str(folder) if folder.is_dir() else path, configuration or None)
    except Exception as error:  # the library raises whatever its readers and the network lead it to
        said = (str(error).splitlines() or [""])[0]
        raise InputError(f"{PREFIX}{home} cannot be loaded: {type(error).__name__}: {said}") from error


def _splits(held: Any, home: str) -> tuple[dict[str, Any], list[str]]:
    """The data sets of train, valid and test, and a note on splits that are none of these."""
    if not isinstance(held, dict):
        return {"train": held}, []
    parts = {split: held[name] for split, name in named(held).items()}
    if "train" not in parts and len(held) == 1:
        return {"train": next(iter(held.values()))}, []
    if "train" not in parts:
        raise InputError(f"{PREFIX}{home} has no split for training; it has {joined(list(held))}.")
    others = [name for name in held if name not in named(held).values()]
    return parts, [f"Splits that were left out: {joined(others)}."] if others else []


def _only_labels(features: Mapping[str, Any], home: str) -> str:
    labels = [name for name, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    if len(labels) == 1:
        return labels[0]
    several = f"has the columns of class labels {joined(labels)}" if labels else "has no column of class labels"
    raise InputError(
        f"the target is missing: {PREFIX}{home} {several}. Give target (--target-column NAME), one of "
        f"{joined(list(features), 20)}."
    )


def _of_table(
    parts: Mapping[str, Any], features: Mapping[str, Any], target: str, home: str, notes: list[str]
) -> Problem:
    import pyarrow as pa

    pieces = {name: part.with_format("arrow")[:] for name, part in parts.items()}
    table = pa.concat_tables(pieces.values(), promote_options="permissive")
    for name, feature in features.items():
        if type(feature).__name__ == "ClassLabel":
            place = table.column_names.index(name)
            table = table.set_column(place, name, _names(table.column(name), feature.names))
    ends = np.cumsum([0, *(len(piece) for piece in pieces.values())])
    rows = {name: np.arange(ends[k], ends[k + 1]) for k, name in enumerate(pieces)}
    if type(features.get(target)).__name__ == "ClassLabel":
        target = f"{target}:classification"
    return tables.from_columns(columns_of(table), target, f"{PREFIX}{home}", notes, rows)


def _names(labels: Any, names: list[str]) -> Any:
    """Class numbers as the names of the classes; a number that stands for no class, as -1 does, is missing."""
    import pyarrow as pa

    numbers = labels.to_pylist()
    return pa.array([names[k] if k is not None and 0 <= k < len(names) else None for k in numbers], pa.string())


def _of_pictures(
    parts: Mapping[str, Any], features: Mapping[str, Any], target: str, home: str, notes: list[str]
) -> Problem:
    needs("PIL", "images", f"reading the pictures of {PREFIX}{home}")
    pictures = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    if target not in features:
        raise unknown(f"target column of {PREFIX}{home}:", target, features)
    if len(pictures) > 1:
        raise InputError(f"{PREFIX}{home} has several columns of pictures ({joined(pictures)}); one is needed.")
    given = {name: part[target] for name, part in parts.items()}
    values = [value for held in given.values() for value in held if value is not None]
    if any(isinstance(value, float) or not isinstance(value, int | str) for value in values):
        raise InputError(f"the target {target!r} of {PREFIX}{home} must hold classes (whole numbers or text).")
    names = getattr(features[target], "names", None)
    levels = list(range(len(names))) if names else sorted(set(values), key=lambda value: (str(type(value)), value))
    place = {level: index for index, level in enumerate(levels)}
    sources, left_out = {}, 0
    for name, part in parts.items():
        known = [row for row, value in enumerate(given[name]) if value in place]
        left_out += len(given[name]) - len(known)
        rows = part.select_columns([pictures[0]]).cast_column(pictures[0], _library().Image(decode=False)).select(known)
        if known:
            sources[name] = Rows(rows, pictures[0], tuple(place[given[name][row]] for row in known))
    if "train" not in sources or len(set(sources["train"].labels)) < 2:
        raise InputError(f"the target {target!r} of {PREFIX}{home} has fewer than two classes in the training rows.")
    if left_out:
        notes = [*notes, f"{left_out} rows without {target!r} were left out."]
    classes = names or [str(level) for level in levels]
    notes = [*notes, f"Classification into {len(classes)} classes ({joined(classes)})."]
    return from_sources(sources, classes, home, notes)
