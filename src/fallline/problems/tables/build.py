"""From typed columns to a problem: split, features of the training rows, a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError
from ...models import mlp
from ..metric import Metric
from ..problem import Problem
from ..stratify import stratified
from . import read as reading
from . import target as targets
from .columns import Column, joined
from .features import Features
from .target import Target

Array = np.ndarray[Any, Any]
_FEWEST = 10
"""Rows with a target that a table must have."""
_MOST_BYTES = 4 * 2**30
"""Bytes of features that a table may become: they are held in memory."""
_WIDTH = 64
_PACE = ((4_000, 32, 30), (64_000, 128, 15), (None, 512, 5))
"""Training rows up to which a batch size and a number of epochs are the default."""


def from_file(path: Path, target: str | None, seed: int = 0) -> Problem:
    """The problem of predicting the column `target` of a CSV or Parquet file from its other columns.

    Rows are split 65 : 20 : 15 into training, validation and test data with `seed`, every class in proportion. Raises
    `InputError` for a file that is no table, a target that it lacks or that cannot be learned.
    """
    columns, notes = reading.read(path)
    return from_columns(columns, target, path.name, notes, seed=seed)


def from_columns(
    columns: Sequence[Column],
    target: str | None,
    table: str,
    notes: Sequence[str] = (),
    splits: Mapping[str, Array] | None = None,
    seed: int = 0,
) -> Problem:
    """As `from_file`, from columns; `splits` are the rows of "train" and, where they are given, "valid" and "test"."""
    column, task = targets.find(columns, target, table)
    found = targets.read(column, task, table)
    inputs, said = _inputs(columns, column, found.rows, table)
    if len(found.rows) < _FEWEST:
        raise InputError(f"{table} has {len(found.rows)} rows with a target; {_FEWEST} or more are needed.")
    parts, split_notes = _split(found, splits, seed, table)
    features = Features.fit(inputs, found.rows[parts["train"]])
    x = {name: _matrix(features, found.rows[part], table) for name, part in parts.items()}
    y, outputs, judged = _judged(found, parts)
    batch_size, epochs = next(pace[1:] for pace in _PACE if pace[0] is None or len(parts["train"]) <= pace[0])
    problem = Problem(
        partial(mlp, x["train"].shape[1], _WIDTH, _WIDTH, outputs),
        *((x[name], y[name]) for name in ("train", "valid", "test")),
        **judged,
        batch_size=batch_size,
        epochs=epochs,
        name=Path(table).name.split(".")[0],
    )
    width = x["train"].shape[1]
    how = (
        f"The model is a network {width}-{_WIDTH}-{_WIDTH}-{outputs} (ReLU), by default trained for {epochs} epochs in "
        f"batches of {batch_size}. For another one, write a Problem in a Python file."
    )
    problem.notes = [*notes, *found.notes, *said, *features.notes, *split_notes, how, *problem.notes]
    return problem


def absolute_error(outputs: Tensor, targets: Tensor, scale: float) -> Tensor:
    """The distance of prediction and target in the target's own unit, of which the standard deviation is `scale`."""
    return (outputs - targets).abs() * scale


def _inputs(columns: Sequence[Column], target: Column, rows: Array, table: str) -> tuple[list[Column], list[str]]:
    """The columns beside the target, named apart; those that repeat the target are left out."""
    inputs, copies, seen = [], [], dict[str, int]()
    wanted = target.values.iloc[rows]
    for column in columns:
        if column is target:
            continue
        if column.kind == target.kind != "other" and column.values.iloc[rows].equals(wanted):
            copies.append(column.name)
            continue
        seen[column.name] = seen.get(column.name, 0) + 1
        name = column.name or f"column {column.number}"
        if seen[column.name] > 1:
            name = f"{name} ({seen[column.name]})"
        inputs.append(replace(column, name=name))
    if not inputs:
        raise InputError(f"{table} has no column beside the target {target.name!r} to predict it from.")
    notes = [f"Left out (equal to the target in every row): {joined(copies)}."] if copies else []
    twice = [name for name, times in seen.items() if times > 1]
    notes += [f"More than one column is called {joined(twice)}: they were numbered and all used."] if twice else []
    return inputs, notes


def _split(
    target: Target, given: Mapping[str, Array] | None, seed: int, table: str
) -> tuple[dict[str, Array], list[str]]:
    """Places among the target's rows for training, validation and test; what is not given is held out of training."""
    if given is None:
        parts = {"train": np.arange(len(target.rows))}
    else:
        parts = {name: np.flatnonzero(np.isin(target.rows, rows)) for name, rows in given.items()}
        parts = {name: part for name, part in parts.items() if len(part)}
        if "train" not in parts:
            raise InputError(f"{table} has no training row with a target.")
    labels = target.values if target.classes else np.zeros(len(target.rows), np.int64)
    wanted = {"valid", "test"} - parts.keys()
    train, held, notes = stratified(labels[parts["train"]], wanted, seed, target.classes)
    parts |= {name: parts["train"][part] for name, part in held.items()}
    parts["train"] = parts["train"][train]
    strange = set(labels) - set(labels[parts["train"]])
    if strange:
        names = joined([target.classes[label] for label in sorted(strange)])
        raise InputError(f"{table}: no training row has the class {names}, which occurs in validation or test data.")
    return parts, notes


def _matrix(features: Features, rows: Array, table: str) -> Array:
    width = features(rows[:1]).shape[1]
    if len(rows) * width * 4 > _MOST_BYTES:
        raise InputError(
            f"{table} becomes {len(rows)} rows of {width} features, more than the {_MOST_BYTES >> 30} GiB that are "
            "held in memory: leave out columns, or give a Problem a Dataset that reads it piece by piece."
        )
    return features(rows)


def _judged(target: Target, parts: Mapping[str, Array]) -> tuple[dict[str, Array], int, dict[str, Any]]:
    """The targets of every split, the outputs they need, and how a Problem is to judge them."""
    if target.classes:
        return {name: target.values[part] for name, part in parts.items()}, len(target.classes), {}
    train = target.values[parts["train"]]
    mean, std = float(train.mean()), float(train.std()) or 1.0
    y = {name: ((target.values[part] - mean) / std)[:, None].astype(np.float32) for name, part in parts.items()}
    metric = Metric("mae", partial(absolute_error, scale=std), maximize=False)
    return y, 1, {"loss": F.mse_loss, "metric": metric}
