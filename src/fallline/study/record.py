"""The record: every trial of every study, in one database that outlives the process that wrote it.

A trial is known by what determines its numbers (`key`: problem, rule's text, settings, seed, kind) and is stored
once; a study is a list of trials by key, so a larger study of the same problem finds the trials of the smaller one
done. Each trial is one transaction, on disk before the next one begins. Everything is text and numbers: nothing is
unpickled.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    exc,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import Dialect, RowMapping, make_url
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator, UserDefinedType

from ..errors import InputError, RecordError
from ..training import Point
from .result import Study, TrialRecord

SCHEMA = 1
FILE = "record.sqlite"


class _Json(TypeDecorator[Any]):
    """A value as JSON text. Floats come back bit for bit; those that JSON lacks are written as strings by `_exact`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return json.loads(value)


class _Untouched(UserDefinedType[Any]):
    """A number in SQLite, bound as it is given."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "DOUBLE"


class _Real(TypeDecorator[float]):
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


_tables = MetaData()
_meta = Table("meta", _tables, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))
_environments = Table(
    "environments",
    _tables,
    Column("id", String(64), primary_key=True),
    Column("versions", _Json, nullable=False),
    Column("machine", _Json, nullable=False),
)
_studies = Table(
    "studies",
    _tables,
    Column("id", String(200), primary_key=True),
    Column("created", String(40), nullable=False),
    Column("opened", String(40), nullable=False),  # when it was last begun or gone on with
    Column("environment", ForeignKey("environments.id"), nullable=False),
    Column("plan", _Json, nullable=False),
)
_trials = Table(
    "trials",
    _tables,
    Column("key", String(64), primary_key=True),
    Column("problem", String(64), nullable=False),
    Column("rule", String(200), nullable=False),
    Column("rule_text", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("settings", _Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("curve", _Json, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("seconds", _Real, nullable=False),
    Column("step_seconds", _Real, nullable=False),
    Column("test_loss", _Real),
    Column("test_metric", _Real),
    Column("environment", ForeignKey("environments.id"), nullable=False),
    Column("started", String(40), nullable=False),
)
_planned = Table(
    "planned",
    _tables,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("rule", String(200), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", String(64), nullable=False),  # of the trial, which may not be there yet
)


@dataclass(frozen=True)
class Plan:
    """What a study sets out to do; two studies with the same plan are one study, gone on with.

    `rules` and `problem` hold what a reader needs to know of them without the code that defined them.
    """

    problem_name: str
    metric_name: str
    maximize: bool
    target: float | None
    trials: int
    seeds: int
    seed: int
    rules: tuple[Mapping[str, Any], ...]
    problem: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def study_id(self) -> str:
        """A name that the plan alone decides."""
        rules = [[rule["name"], rule["fingerprint"], rule["hypers"]] for rule in self.rules]
        identity = [self.problem["fingerprint"], self.target, self.trials, self.seeds, self.seed, rules]
        return f"{self.problem_name[:100]}-{digest(identity)[:8]}"

    @property
    def planned(self) -> int:
        """How many trials the study has: the search, the tuned runs and the default runs of every rule."""
        return len(self.rules) * (self.trials + 2 * self.seeds)


def digest(value: Any) -> str:
    """A hex digest of a value that JSON can hold, the same on every machine."""
    return sha256(json.dumps(_exact(value), sort_keys=True, allow_nan=False).encode()).hexdigest()


def trial_key(problem: str, rule: str, rule_text: str, kind: str, seed: int, settings: Mapping[str, float]) -> str:
    """The identity of a trial: a digest of everything that its numbers depend on, versions and machine apart."""
    return digest([problem, rule, rule_text, kind, seed, dict(settings)])


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


class Record:
    """An open record; use it in a `with` statement. `Record.create` and `Record.read` open one."""

    def __init__(self, engine: Engine, where: str) -> None:
        self.where = where
        self._engine = engine
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def create(cls, out: Path | str | None) -> Record:
        """The record to write to: in the directory `out`, which is made when missing, or at a database URL.

        For None it is one that goes when it is closed.

        Raises `InputError` when the place cannot be written to, `RecordError` when a damaged or foreign record is
        there.
        """
        if out is None:
            # Not in memory: an interrupt in a transaction closes the connection, and the memory would go with it.
            directory = tempfile.TemporaryDirectory(prefix="fallline-")
            record = cls(_sqlite(Path(directory.name) / FILE, write=True), "of this comparison")
            record._temporary = directory
        elif _is_url(out):
            record = cls(*_from_url(str(out)))
        else:
            path = _writable(Path(out)) / FILE
            record = cls(_sqlite(path, write=True), str(path))
        record._check(create=True)
        record._use_wal()
        return record

    @classmethod
    def read(cls, where: Path | str) -> Record:
        """The record at a path, in a directory or at a database URL, for reading. Raises as `create` does."""
        if _is_url(where):
            record = cls(*_from_url(str(where)))
        else:
            path = Path(where) / FILE if Path(where).is_dir() else Path(where)
            if not path.exists():
                raise InputError(f"there is no record at {path}; `fallline compare --out DIR` makes one.")
            record = cls(_sqlite(path, write=False), str(path))
        record._check(create=False)
        return record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.dispose()
        if self._temporary is not None:
            self._temporary.cleanup()

    def start(self, plan: Plan, versions: Mapping[str, str], machine: Mapping[str, Any]) -> str:
        """The id of the plan's study, entered now unless it is there already; it is the one opened last from now on."""
        current = {"plan": _exact(asdict(plan)), "opened": now().isoformat()}
        with self._begin() as connection:
            if connection.scalar(select(_studies.c.id).where(_studies.c.id == plan.study_id)) is None:
                row = {
                    "id": plan.study_id,
                    "created": now().isoformat(timespec="seconds"),
                    "environment": _environment(connection, versions, machine),
                }
                connection.execute(insert(_studies).values(row | current))
            else:
                connection.execute(_studies.update().where(_studies.c.id == plan.study_id).values(current))
        return plan.study_id

    def plan(self, study: str, trials: Iterable[tuple[str, str, int, str]]) -> None:
        """Enter trials into a study, each as (rule, kind, number, key); those entered before are replaced."""
        rows = [dict(zip(("rule", "kind", "number", "key"), trial, strict=True), study=study) for trial in trials]
        with self._begin() as connection:
            for row in rows:
                connection.execute(_planned.delete().where(*(_planned.c[n] == row[n] for n in _PLACE)))
            if rows:
                connection.execute(insert(_planned), rows)

    def add(self, key: str, problem: str, rule_text: str, trial: TrialRecord) -> None:
        """Store a finished trial; on disk when this returns. A trial that is there already stays as it is."""
        row = {name: getattr(trial, name) for name in _TRIAL_COLUMNS}
        row |= {"key": key, "problem": problem, "rule_text": rule_text}
        row |= {"settings": _exact(dict(trial.settings)), "curve": _to_columns(trial.curve)}
        with self._begin() as connection:
            if connection.scalar(select(_trials.c.key).where(_trials.c.key == key)) is None:
                row["environment"] = _environment(connection, trial.versions, trial.machine)
                connection.execute(insert(_trials).values(row))

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys whose trial is finished."""
        wanted = set(keys)
        with self._begin() as connection:
            return wanted.intersection(connection.scalars(select(_trials.c.key)))

    def study_ids(self) -> list[str]:
        """All studies, the one begun or gone on with last at the end."""
        with self._begin() as connection:
            return list(connection.scalars(select(_studies.c.id).order_by(_studies.c.opened)))

    def study(self, study: str) -> tuple[Study, Plan]:
        """A study and its plan."""
        query = select(_studies, _environments).join(_environments).where(_studies.c.id == study)
        with self._begin() as connection:
            row = connection.execute(query).mappings().one()
            with self._reading(f"study {study}"):
                plan = _plan(row["plan"])
                facts = Study(
                    row[_studies.c.id],
                    row["created"],
                    row["versions"],
                    row["machine"],
                    plan.seed,
                    plan.problem,
                )
        return facts, plan

    def trials(self, study: str, kinds: Sequence[str] = ("search", "tuned", "default")) -> list[TrialRecord]:
        """The finished trials of a study, by rule, kind and number."""
        query = (
            select(_trials, _environments.c.versions, _environments.c.machine, _planned.c.number)
            .join(_planned, _planned.c.key == _trials.c.key)
            .join(_environments, _environments.c.id == _trials.c.environment)
            .where(_planned.c.study == study, _planned.c.kind.in_(kinds))
            .order_by(_planned.c.rule, _planned.c.kind, _planned.c.number)
        )
        with self._begin() as connection, self._reading(f"a trial of study {study}"):
            return [_trial(row) for row in connection.execute(query).mappings()]

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        """One transaction, with the database's errors told as a person can use them."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except exc.DBAPIError as error:
            raise self._trouble(str(error.orig)) from error
        except sqlite3.Error as error:  # while connecting
            raise self._trouble(str(error)) from error

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._trouble(f"{what} cannot be read: {error}") from error

    def _check(self, create: bool) -> None:
        try:
            with self._begin() as connection:
                if connection.dialect.name == "sqlite":
                    found = connection.scalar(text("PRAGMA quick_check(1)"))
                    if found != "ok":
                        raise self._trouble(str(found))
                tables = inspect(connection).get_table_names()
                if not tables and create:
                    _tables.create_all(connection)
                    connection.execute(insert(_meta).values(name="schema", value=str(SCHEMA)))
                elif not tables:
                    raise self._trouble("it is empty")
                elif not set(_tables.tables) <= set(tables):
                    raise self._trouble(f"it is a database of something else (its tables: {', '.join(tables[:5])})")
                else:
                    self._check_schema(connection.scalar(select(_meta.c.value).where(_meta.c.name == "schema")))
        except BaseException:
            self._engine.dispose()
            raise

    def _use_wal(self) -> None:
        """Let readers read while a trial is written. Only after the check: a file of something else stays as it is."""
        if self._engine.dialect.name == "sqlite":
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
            except sqlite3.Error as error:
                raise self._trouble(str(error)) from error
            finally:
                connection.close()

    def _check_schema(self, value: str | None) -> None:
        if value is None or not value.isdigit():
            raise self._trouble("it does not say which schema it has")
        if int(value) != SCHEMA:
            other = "a newer" if int(value) > SCHEMA else "an older"
            raise RecordError(
                f"the record {self.where} was written by {other} Fallline (schema {value}; this one reads {SCHEMA}). "
                f"Use that version, or pass another --out."
            )

    def _trouble(self, cause: str) -> RecordError:
        if "full" in cause:
            advice = "Free some space and run the same command again: finished trials are kept."
        elif "locked" in cause:
            advice = "Another process has been writing to it for long; try again when that is done."
        elif "readonly" in cause or "unable to open" in cause:
            advice = "Check the permissions of the file and its directory, or pass another --out."
        else:
            advice = "Move it away, or pass another --out."
        return RecordError(f"the record {self.where} cannot be used: {cause}. {advice}")


_PLACE = ("study", "rule", "kind", "number")
_TRIAL_COLUMNS = [f.name for f in fields(TrialRecord) if f.name in _trials.c]


def _plan(row: Any) -> Plan:
    values: dict[str, Any] = _back(row)
    return Plan(**{**values, "rules": tuple(values["rules"]), "notes": tuple(values["notes"])})


def _trial(row: RowMapping) -> TrialRecord:
    values = {f.name: row[f.name] for f in fields(TrialRecord)}
    return TrialRecord(**{**values, "settings": _back(row["settings"]), "curve": _from_columns(row["curve"])})


def _environment(connection: Connection, versions: Mapping[str, str], machine: Mapping[str, Any]) -> str:
    identity = digest([dict(versions), dict(machine)])
    if connection.scalar(select(_environments.c.id).where(_environments.c.id == identity)) is None:
        row = {"id": identity, "versions": dict(versions), "machine": dict(machine)}
        connection.execute(insert(_environments).values(row))
    return identity


def _to_columns(curve: Sequence[Point]) -> dict[str, list[Any]]:
    return {f.name: [_exact(getattr(point, f.name)) for point in curve] for f in fields(Point)}


def _from_columns(columns: Mapping[str, list[Any]]) -> tuple[Point, ...]:
    kept = [columns[f.name] for f in fields(Point)]
    numbers = [_back(column) if str in set(map(type, column)) else column for column in kept]
    return tuple(Point(*row) for row in zip(*numbers, strict=True))


_BEYOND_JSON = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def _exact(value: Any) -> Any:
    """The value with infinities and NaN, which JSON lacks, as strings."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: _exact(item) for key, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list | tuple) else value


def _back(value: Any) -> Any:
    """What `_exact` was given (a tuple as a list)."""
    if isinstance(value, str):
        return _BEYOND_JSON.get(value, value)
    if isinstance(value, dict):
        return {key: _back(item) for key, item in value.items()}
    return [_back(item) for item in value] if isinstance(value, list) else value


def _is_url(where: Path | str) -> bool:
    return isinstance(where, str) and "://" in where


def _from_url(url: str) -> tuple[Engine, str]:
    try:
        shown = make_url(url).render_as_string(hide_password=True)
        engine = create_engine(url)
    except (exc.ArgumentError, ImportError) as error:
        raise InputError(
            f"--out {url.partition('://')[0]}://... is no database that can be opened: {error}."
        ) from error
    return (_transactional(engine, write=True) if engine.dialect.name == "sqlite" else engine), shown


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


def _sqlite(path: Path, write: bool) -> Engine:
    if path.is_dir():
        raise RecordError(f"the record {path} is a directory. Move it away, or pass another --out.")
    uri = path.absolute().as_uri() + ("?mode=rwc" if write else "?mode=rw")
    if not write and not os.access(path.parent, os.W_OK):
        # A record in WAL mode needs files beside it, even to be read; where none can be made, none is being written.
        beside = path.with_name(path.name + "-wal").exists()
        uri = path.absolute().as_uri() + ("?mode=ro" if beside else "?immutable=1")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)

    return _transactional(create_engine("sqlite://", creator=connect, poolclass=QueuePool), write)


def _transactional(engine: Engine, write: bool) -> Engine:
    """SQLite with real transactions: Python's driver would begin them late and end them early."""

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous=FULL")
        if not write:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
