"""Where a record is: a file in a directory, or a database URL; and engines whose transactions are real ones."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import QueuePool

from ...errors import InputError, RecordError
from .database import Database

FILE = "record.sqlite"


def is_url(where: Path | str) -> bool:
    """Whether a place is a database URL."""
    return isinstance(where, str) and "://" in where


def to_write(out: Path | str) -> Database:
    """The database in a directory, which is made when missing, or at a URL. Raises `InputError` where none can be."""
    return from_url(str(out), write=True) if is_url(out) else sqlite(_writable(Path(out)) / FILE, write=True)


def to_read(where: Path | str) -> Database:
    """The database at a path, in a directory or at a URL. Raises `InputError` where there is none."""
    if is_url(where):
        return from_url(str(where), write=False)
    path = Path(where) / FILE if Path(where).is_dir() else Path(where)
    if not path.exists():
        raise InputError(f"there is no record at {path}; `fallline compare --out DIR` makes one.")
    return sqlite(path, write=False)


def from_url(url: str, write: bool) -> Database:
    """The database at a URL; PostgreSQL is spoken to through psycopg 3 unless the URL names another driver."""
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise InputError(f"record {url.partition('://')[0]}://... is no database URL: {error}.") from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database) if parsed.database and parsed.database != ":memory:" else None
        if file is None:
            raise InputError(f"record {shown} is in memory and would not be kept; name a file: sqlite:///record.sqlite")
        if not write and not file.exists():
            raise InputError(f"there is no record at {file}; `fallline compare --record {shown}` makes one.")
        return sqlite(file, write)
    return Database(_server(parsed, shown), shown)


def _server(url: URL, shown: str) -> Engine:
    patient = {"connect_timeout": 10} if url.drivername == "postgresql+psycopg" else {}
    try:
        return create_engine(url, pool_pre_ping=True, connect_args=patient)
    except ImportError as error:
        advice = "pip install 'fallline[postgres]'" if url.get_backend_name() == "postgresql" else f"pip ({error})"
        raise InputError(f"record {shown} needs a database driver; install it with: {advice}") from error
    except exc.ArgumentError as error:
        raise InputError(
            f"record {shown} is no database that can be opened: {error}. Allowed are postgresql:// and sqlite:/// URLs."
        ) from error


def sqlite(path: Path, write: bool, lasting: bool = True) -> Database:
    """The SQLite file at a path; what is not `lasting` need not be on disk when a transaction has ended."""
    if path.is_dir():
        raise RecordError(f"the record {path} is a directory. Move it away, or pass another --out.")
    uri = path.absolute().as_uri() + ("?mode=rwc" if write else "?mode=rw")
    if not write and not os.access(path.parent, os.W_OK):
        # A record in WAL mode needs files beside it, even to be read; where none can be made, none is being written.
        beside = path.with_name(path.name + "-wal").exists()
        uri = path.absolute().as_uri() + ("?mode=ro" if beside else "?immutable=1")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    return Database(_transactional(engine, write, lasting), str(path))


def use_wal(database: Database) -> None:
    """Let readers read while a trial is written. Only after the check: a file of something else stays as it is."""
    if not database.is_sqlite:
        return
    connection = database.engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise database.trouble(str(error)) from error
    finally:
        connection.close()


def _writable(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"--out {directory} cannot be written to ({reason.lower()}); pass a directory that can be."
        ) from error
    return directory


def _transactional(engine: Engine, write: bool, lasting: bool = True) -> Engine:
    """SQLite with real transactions: Python's driver would begin them late and end them early."""

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA synchronous={'FULL' if lasting else 'OFF'}")
        if not write:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
