"""The tables of the record: what is kept of studies and trials, as text, numbers and packed curves.

A change here is a new schema: raise `SCHEMA` and add the step that leads to it to `migrations/versions`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, UserDefinedType

SCHEMA = 2


class Json(TypeDecorator[Any]):
    """A value as JSON text. Floats come back bit for bit; those that JSON lacks are written as strings by `exact`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class _Untouched(UserDefinedType[Any]):
    """A number in SQLite, bound as it is given."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "DOUBLE"


class Real(TypeDecorator[float]):
    """A float column. SQLite would store NaN as NULL, so there it is stored as text."""

    impl = Double
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(_Untouched() if dialect.name == "sqlite" else Double())

    def process_bind_param(self, value: float | None, dialect: Dialect) -> Any:
        if value is not None and math.isnan(value) and dialect.name == "sqlite":
            return "nan"
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        return None if value is None else float(value)


_LATER = {"sealed": False}  # changes while the row stays, so the seal leaves it out

tables = MetaData()
meta = Table("meta", tables, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))
alembic_version = Table("alembic_version", tables, Column("version_num", String(32), primary_key=True))
environments = Table(
    "environments",
    tables,
    Column("id", String(64), primary_key=True),  # a digest of the other two
    Column("versions", Json, nullable=False),
    Column("machine", Json, nullable=False),
)
studies = Table(
    "studies",
    tables,
    Column("id", String(200), primary_key=True),
    Column("created", String(40), nullable=False),
    Column("opened", String(40), nullable=False, info=_LATER),  # when it was last begun or gone on with
    Column("environment", ForeignKey("environments.id"), nullable=False),
    Column("plan", Json, nullable=False),
    Column("execution", Json, info=_LATER),  # how it is trained, measured once
    Column("seal", String(16), nullable=False, info=_LATER),
)
trials = Table(
    "trials",
    tables,
    Column("key", String(64), primary_key=True),
    Column("problem", String(64), nullable=False),
    Column("rule", String(200), nullable=False),
    Column("rule_text", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("settings", Json, nullable=False),
    Column("own", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("seconds", Real, nullable=False),
    Column("step_seconds", Real, nullable=False),
    Column("test_loss", Real),
    Column("test_metric", Real),
    Column("environment", ForeignKey("environments.id"), nullable=False),
    Column("started", String(40), nullable=False),
    Column("seal", String(16), nullable=False, info=_LATER),
    Column("curve", LargeBinary, nullable=False),  # last, so that the other columns are read without it
)
planned = Table(
    "planned",
    tables,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("rule", String(200), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", String(64), nullable=False),  # of the trial, which may not be there yet
    Column("seal", String(16), nullable=False, info=_LATER),
)
claims = Table(
    "claims",
    tables,
    Column("key", String(64), primary_key=True),  # of a trial that somebody is training
    Column("study", String(200), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("seen", Real, nullable=False),  # the owner's last sign of life, seconds since 1970
)


def seal(table: Table, row: Mapping[str, Any]) -> str:
    """A digest of a row's values as they are stored, by which damage is told that a database does not notice."""
    values, digest = [], sha256()
    for column in table.columns:
        if not column.info.get("sealed", True):
            continue
        value = row[column.name]
        if isinstance(value, bytes):
            digest.update(value)
        else:
            values.append(float(value) if isinstance(column.type, Real) and value is not None else value)
    digest.update(json.dumps(values, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def sealed(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its seal."""
    return {**row, "seal": seal(table, row)}
