"""Which rows of a damaged record are whole: those that are what their seal was made of.

Rows of schema 1 carry none; there a trial's key vouches for what was trained, a study's name for its plan.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from ..plan import back, digest, trial_key
from . import pages, rows, schema
from .curve import COLUMNS, pack_columns
from .record import KINDS

Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """Whole rows, by primary key; what was found first stays."""

    environments: dict[Any, Row] = field(default_factory=dict)
    studies: dict[Any, Row] = field(default_factory=dict)
    trials: dict[Any, Row] = field(default_factory=dict)
    planned: dict[Any, Row] = field(default_factory=dict)


def whole_rows(file: bytes, log: bytes) -> Found:
    """What is whole of a record's file and of the write-ahead log beside it."""
    for size in pages.sizes(file, log):
        found = Found()
        for values in pages.rows(file, log, size):
            for read in _READERS.get(len(values), ()):
                try:
                    read(values, found)
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    continue  # not whole, or not of this table
        if found.trials or found.studies:
            break
    known = {place: row for place, row in found.planned.items() if (row["study"],) in found.studies}
    return Found(found.environments, found.studies, found.trials, known)


def _sealed(table: Table) -> Callable[[pages.Row, Found], None]:
    """A reader of rows that carry a seal."""
    places = [column.name for column in table.primary_key]

    def read(values: pages.Row, found: Found) -> None:
        row = {column.name: _typed(column.type, value) for column, value in zip(table.columns, values, strict=True)}
        rows.check(table, row)
        if "plan" in row:
            rows.to_plan(row["plan"])
        getattr(found, table.name).setdefault(tuple(row[place] for place in places), row)

    return read


def _typed(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, schema.Json):
        return json.loads(value)
    return float(value) if isinstance(kind, schema.Real) else value


def _environment(values: pages.Row, found: Found) -> None:
    id, versions, machine = values[0], json.loads(values[1]), json.loads(values[2])
    if id != digest([versions, machine]):
        raise ValueError("its digest is another")
    found.environments.setdefault((id,), {"id": id, "versions": versions, "machine": machine})


def _trial_1(values: pages.Row, found: Found) -> None:
    """A trial of schema 1; its key vouches for what was trained, that its numbers can be read for the rest."""
    row: Row = dict(zip(_TRIALS_1, values, strict=True))
    settings, curve = json.loads(row["settings"]), back(json.loads(row["curve"]))
    identity = (row["problem"], row["rule"], row["rule_text"], row["kind"], row["seed"], back(settings))
    if row["key"] != trial_key(*identity):
        raise ValueError("its key is another")
    row |= {"settings": settings, "own": {}, "curve": pack_columns([curve[name] for name in COLUMNS])}
    row |= {name: None if row[name] is None else float(row[name]) for name in _REALS}
    found.trials.setdefault((row["key"],), schema.sealed(schema.trials, row))


def _study_1(values: pages.Row, found: Found) -> None:
    row: Row = dict(zip(("id", "created", "opened", "environment", "plan"), values, strict=True))
    row["plan"] = json.loads(row["plan"])
    if row["id"] != rows.to_plan(row["plan"]).study_id:
        raise ValueError("its name is another")
    found.studies.setdefault((row["id"],), schema.sealed(schema.studies, {**row, "execution": None}))


def _planned_1(values: pages.Row, found: Found) -> None:
    row: Row = dict(zip(_PLANNED_1, values, strict=True))
    if row["kind"] not in KINDS or not isinstance(row["number"], int) or len(bytes.fromhex(row["key"])) != 32:
        raise ValueError("it names no trial")
    found.planned.setdefault(tuple(values[:4]), schema.sealed(schema.planned, row))


_TRIALS_1 = (
    *("key", "problem", "rule", "rule_text", "kind", "seed", "settings", "state", "reason", "curve", "steps"),
    *("seconds", "step_seconds", "test_loss", "test_metric", "environment", "started"),
)
_PLANNED_1 = ("study", "rule", "kind", "number", "key")
_REALS = [column.name for column in schema.trials.columns if isinstance(column.type, schema.Real)]
_READERS: Mapping[int, tuple[Callable[[pages.Row, Found], None], ...]] = {
    **{len(table.columns): (_sealed(table),) for table in (schema.trials, schema.studies, schema.planned)},
    len(schema.environments.columns): (_environment,),
    len(_TRIALS_1): (_trial_1,),
    len(_PLANNED_1): (_planned_1, _study_1),
}
"""What a row may be, by how many values it has."""
