"""The record: every trial of every study, in one database that outlives the process that wrote it.

A trial is known by what determines its numbers (`key`: problem, rule's text, settings, seed, kind) and is stored
once; a study is a list of trials by key, so a larger study of the same problem finds the trials of the smaller one
done. What ends at once is one transaction, on disk before the next one begins. Everything is text and numbers: nothing
is unpickled. Several processes may work on one record, and on one study of it.

The tables are in `schema`, older ones are brought up to date by `migrations`, places and engines are in `opening`,
transactions in `database`, and `recover` saves what is whole of a damaged file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, select, update

from ..plan import Plan
from ..result import Study, TrialRecord
from . import claims, opening, rows
from .check import bring_up_to_date, readable
from .database import Database, Patience
from .schema import environments, planned, sealed, studies
from .schema import trials as trials_

Item = tuple[str, str, str, TrialRecord]
"""A trial to store: its key, the fingerprints of its problem and of its rule, what came out."""

KINDS = ("search", "tuned", "default")


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


class Record:
    """An open record; use it in a `with` statement. `Record.create` and `Record.read` open one."""

    def __init__(self, database: Database, temporary: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self.where = database.where
        self.database = database
        self._temporary = temporary
        self._clock: Callable[[], float] = time.time

    @classmethod
    def create(cls, out: Path | str | None) -> Record:
        """The record to write to: in the directory `out`, which is made when missing, or at a database URL.

        For None it is one that goes when it is closed. One of an older Fallline is brought up to date.

        Raises `InputError` when the place cannot be written to, `RecordError` when a damaged or foreign record is
        there.
        """
        if out is None:
            # Not in memory: an interrupt in a transaction closes the connection, and the memory would go with it.
            temporary = tempfile.TemporaryDirectory(prefix="fallline-")
            database = opening.sqlite(Path(temporary.name) / opening.FILE, write=True, lasting=False)
            database.where = "of this comparison"
            record = cls(database, temporary)
        else:
            record = cls(opening.to_write(out))
        with record._closed_on_error():
            bring_up_to_date(record.database)
            opening.use_wal(record.database)
        return record

    @classmethod
    def read(cls, where: Path | str) -> Record:
        """The record at a path, in a directory or at a database URL, for reading. Raises as `create` does.

        One of an older Fallline stays as it is: a copy of it is read.
        """
        record = cls(opening.to_read(where))
        with record._closed_on_error():
            record.database, record._temporary = readable(record.database)
        return record

    @property
    def patience(self) -> Patience:
        """How long a lost database is waited for, and who is told."""
        return self.database.patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.database.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def start(self, plan: Plan, versions: Mapping[str, str], machine: Mapping[str, Any]) -> str:
        """The id of the plan's study, entered now unless it is there already; it is the one opened last from now on."""
        environment = rows.of_environment(versions, machine)
        fresh = {"id": plan.study_id, "created": now().isoformat(timespec="seconds"), "environment": environment["id"]}

        def work(connection: Connection) -> None:
            rows.add_new(connection, environments, [environment])
            found = connection.execute(select(studies).where(studies.c.id == plan.study_id)).mappings().first()
            kept = fresh if found is None else {name: found[name] for name in fresh}
            row = sealed(studies, {**kept, "opened": now().isoformat(), "plan": rows.of_plan(plan)})
            rows.replace(connection, studies, [row])

        self.database.run(work)
        return plan.study_id

    def plan(self, study: str, trials: Iterable[tuple[str, str, int, str]]) -> None:
        """Enter trials into a study, each as (rule, kind, number, key); those entered before are replaced."""
        names = ("rule", "kind", "number", "key")
        given = [sealed(planned, dict(zip(names, trial, strict=True), study=study)) for trial in trials]
        self.database.run(lambda connection: rows.replace(connection, planned, given))

    def add_many(self, items: Iterable[Item]) -> None:
        """Store finished trials together; on disk when this returns. Those that are there already stay as they are."""
        items = list(items)
        given = [rows.of_trial(*item) for item in items]
        where = {row["id"]: row for row in (rows.of_environment(t.versions, t.machine) for *_, t in items)}

        def work(connection: Connection) -> None:
            rows.add_new(connection, environments, list(where.values()))
            rows.add_new(connection, trials_, given)
            claims.remove(connection, [row["key"] for row in given])

        self.database.run(work)

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys whose trial is finished."""
        wanted = set(keys)
        return self.database.run(lambda connection: wanted.intersection(connection.scalars(select(trials_.c.key))))

    def claim(self, study: str, keys: Iterable[str], owner: str) -> set[str]:
        """Those of the keys that are the owner's to train from now on (see `claims`)."""
        keys = list(keys)
        return self.database.run(lambda connection: claims.claim(connection, study, keys, owner, self._clock()))

    def beat(self, owner: str) -> None:
        """A sign of life of the owner, due at least twice a minute; its claims go to others without."""
        self.database.run(lambda connection: claims.beat(connection, owner, self._clock()))

    def release(self, owner: str) -> None:
        """Give up whatever the owner claims."""
        self.database.run(lambda connection: claims.release(connection, owner))

    def execution(self, study: str) -> dict[str, Any] | None:
        """How a study is trained, where that has been settled."""
        query = select(studies.c.execution).where(studies.c.id == study)
        found: dict[str, Any] | None = self.database.run(lambda connection: connection.scalar(query))
        return found

    def keep_execution(self, study: str, execution: Mapping[str, Any]) -> dict[str, Any]:
        """Settle how a study is trained, unless it is settled already; returns what holds."""
        change = update(studies).where(studies.c.id == study, studies.c.execution.is_(None))
        self.database.run(lambda connection: connection.execute(change.values(execution=dict(execution))) and None)
        return self.execution(study) or dict(execution)

    def study_ids(self) -> list[str]:
        """All studies, the one begun or gone on with last at the end."""
        query = select(studies.c.id).order_by(studies.c.opened)
        return self.database.run(lambda connection: list(connection.scalars(query)))

    def study(self, study: str) -> tuple[Study, Plan]:
        """A study and its plan."""
        query = select(studies, environments).join(environments).where(studies.c.id == study)
        row = self.database.run(lambda connection: connection.execute(query).mappings().one())
        with self._reading(f"study {study}"):
            rows.check(studies, {column.name: row[column] for column in studies.c})
            plan = rows.to_plan(row["plan"])
            facts = Study(row[studies.c.id], row["created"], row["versions"], row["machine"], plan.seed, plan.problem)
        return facts, plan

    def trials(self, study: str, kinds: Sequence[str] = KINDS) -> list[TrialRecord]:
        """The finished trials of a study, by rule, kind and number. Their curves are `Curve`s."""
        plan = self.study(study)[1]
        query = (
            select(trials_, planned.c.number)
            .join(planned, planned.c.key == trials_.c.key)
            .where(planned.c.study == study, planned.c.kind.in_(kinds))
            .order_by(planned.c.rule, planned.c.kind, planned.c.number)
        )

        def work(connection: Connection) -> list[TrialRecord]:
            with self._reading(f"a trial of study {study}"):
                where = {row["id"]: row for row in connection.execute(select(environments)).mappings()}
                found = connection.execute(query).mappings()
                return [rows.to_trial(row, where[row["environment"]], row["number"], plan) for row in found]

        return self.database.run(work)

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self.database.trouble(f"{what} cannot be read: {error}") from error

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.__exit__()
            raise
