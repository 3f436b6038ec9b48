"""Between the values of a study and the rows of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import RowMapping
from sqlalchemy.schema import Table

from ..plan import Plan, back, digest, exact
from ..result import TrialRecord
from . import schema
from .curve import Curve, pack


def of_trial(key: str, problem: str, rule_text: str, trial: TrialRecord) -> dict[str, Any]:
    """The row of a trial; its environment's row comes from `of_environment`."""
    row = {name: getattr(trial, name) for name in _PLAIN}
    row |= {"key": key, "problem": problem, "rule_text": rule_text, "curve": pack(trial.curve)}
    row |= {"settings": exact(dict(trial.settings)), "own": exact(dict(trial.own))}
    row["environment"] = of_environment(trial.versions, trial.machine)["id"]
    return schema.sealed(schema.trials, row)


def to_trial(row: RowMapping, environment: RowMapping, number: int, plan: Plan) -> TrialRecord:
    """The trial of a row, as it counts in a plan. Raises `ValueError` for a row that is not what was written."""
    check(schema.trials, dict(row))
    values: dict[str, Any] = {name: row[name] for name in _PLAIN}
    values |= {"settings": back(row["settings"]), "own": back(row["own"]), "curve": Curve(row["curve"])}
    values |= {"versions": environment["versions"], "machine": environment["machine"]}
    return TrialRecord(**values, number=number, counted=plan.counted(values["curve"]))


def check(table: Table, row: Mapping[str, Any]) -> None:
    """Raises `ValueError` for a row that is not what was written."""
    if row["seal"] != schema.seal(table, row):
        raise ValueError("its values are not those that were written")


def of_plan(plan: Plan) -> Any:
    """What the record keeps of a plan."""
    return exact(asdict(plan))


def to_plan(kept: Any) -> Plan:
    """The plan that was kept; also one of an older Fallline, which had fewer parts."""
    values: dict[str, Any] = back(kept)
    lists = ("rules", "notes", "rule_sources", "own")
    return Plan(**{**values, **{name: tuple(values[name]) for name in lists if name in values}})


def of_environment(versions: Mapping[str, str], machine: Mapping[str, Any]) -> dict[str, Any]:
    """The row of an environment, which many trials share."""
    return {"id": digest([dict(versions), dict(machine)]), "versions": dict(versions), "machine": dict(machine)}


def add_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows that are not there yet; several processes may do so at once."""
    if rows:
        connection.execute(_dialect(connection).insert(table).on_conflict_do_nothing(), rows)


def replace(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows; those that are there already get the new values."""
    if not rows:
        return
    places = [column.name for column in table.primary_key]
    statement = _dialect(connection).insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in places}
    connection.execute(statement.on_conflict_do_update(index_elements=places, set_=changed), rows)


def _dialect(connection: Connection) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    return postgresql if connection.dialect.name == "postgresql" else sqlite


_PLAIN = [
    f.name for f in fields(TrialRecord) if f.name in schema.trials.c and f.name not in ("settings", "own", "curve")
]
