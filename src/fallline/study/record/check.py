"""What is found where a record should be: nothing yet, an older or newer one, something else, damage."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ...errors import RecordError
from . import migrations, opening
from .database import Database
from .schema import SCHEMA, alembic_version, meta, tables


def bring_up_to_date(database: Database) -> None:
    """Make the tables where there are none, bring older ones up to date, in one transaction."""

    def work(connection: Connection) -> None:
        if not database.is_sqlite:  # where two processes could do this at once
            connection.execute(text("SELECT pg_advisory_xact_lock(70615)"))
        version = _version(database, connection)
        if version is None:
            tables.create_all(connection)
            connection.execute(meta.insert().values(name="schema", value=str(SCHEMA)))
            connection.execute(alembic_version.insert().values(version_num=str(SCHEMA)))
        elif version < SCHEMA:
            migrations.upgrade(connection, version)

    database.run(work)


def readable(database: Database) -> tuple[Database, tempfile.TemporaryDirectory[str] | None]:
    """The database to read from: it, or a copy of it that is brought up to date, and the directory that holds that."""
    version = database.run(lambda connection: _version(database, connection))
    if version is None:
        raise database.trouble("it is empty")
    if version == SCHEMA:
        return database, None
    directory = tempfile.TemporaryDirectory(prefix="fallline-")
    copy = opening.sqlite(Path(directory.name) / opening.FILE, write=True)
    copy.where = database.where
    try:
        if database.is_sqlite:
            _back_up(database, copy)
        else:
            copy.run(lambda target: database.run(lambda source: migrations.copy(source, target)))
        database.close()
        bring_up_to_date(copy)
    except BaseException:
        copy.close()
        directory.cleanup()
        raise
    return copy, directory


def _back_up(database: Database, copy: Database) -> None:
    source, target = database.engine.raw_connection(), copy.engine.raw_connection()
    try:
        assert isinstance(source.driver_connection, sqlite3.Connection)
        assert isinstance(target.driver_connection, sqlite3.Connection)
        source.driver_connection.backup(target.driver_connection)
    except sqlite3.Error as error:
        raise database.trouble(str(error)) from error
    finally:
        source.close()
        target.close()


def _version(database: Database, connection: Connection) -> int | None:
    """The record's schema; None where there is no table at all. Raises `RecordError` for whatever is no record."""
    if database.is_sqlite:
        found = connection.scalar(text("PRAGMA quick_check(1)"))
        if found != "ok":
            raise database.trouble(str(found))
    names = set(inspect(connection).get_table_names())
    if not names:
        return None
    if not set(migrations.TABLES) <= names:
        shown = ", ".join(sorted(names)[:5])
        raise database.trouble(f"it is a database of something else (its tables: {shown})")
    value = migrations.version(connection)
    if value is None or not value.isdigit() or value == "0":
        raise database.trouble("it does not say which schema it has")
    if int(value) > SCHEMA:
        raise RecordError(
            f"the record {database.where} was written by a newer Fallline (schema {value}; this one reads {SCHEMA}). "
            f"Use that version, or pass another --out."
        )
    return int(value)
