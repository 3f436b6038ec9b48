"""Records of older schemata: brought up to date whole or not at all, and read without being changed."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from fallline.study.record import migrations, schema
from fallline.study.record.opening import FILE, from_url
from fallline.study.record.record import Record
from fallline.study.record.schema import SCHEMA, tables
from fallline.study.result import TrialRecord
from fallline.training import Point
from tests.child import Child

from .postgres import Server
from .records import TRIAL, fill

SCHEMA_1 = Path(__file__).with_name("schema_1.sql")
"""What Fallline 0.1.0 wrote: sgd and adam on two trials and one seed, the last trial not there yet."""
STUDY = "digits-7fc66691"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.executescript(SCHEMA_1.read_text())
    return tmp_path


def check(trials: list[TrialRecord]) -> None:
    found = {(t.rule, t.kind, t.number): t for t in trials}
    assert len(found) == 7
    assert found["sgd", "search", 0].settings == {"lr": 0.1}
    assert found["sgd", "search", 0].curve[:2] == (
        Point(0, 0, 0.0, None, 2.3, 0.1),
        Point(1, 41, 0.30000000000000004, 1.5, 1.1, 0.51),
    )
    assert str(found["sgd", "tuned", 0].curve[-1].train_loss) == "-0.0"
    assert found["sgd", "default", 0].curve[-1].train_loss == math.inf
    assert math.isnan(found["sgd", "default", 0].test_loss or 0)
    assert found["adam", "search", 1].diverged
    assert found["adam", "search", 1].reason == "the loss was é"
    assert math.isnan(found["adam", "search", 1].curve[-1].valid_loss)
    assert {t.versions["torch"] for t in trials} == {"2.6.0"}
    assert all(t.own == {} for t in trials)


def test_an_old_record_is_brought_up_to_date_when_it_is_written_to(old: Path) -> None:
    with Record.create(old) as record:
        check(record.trials(STUDY))
        plan = record.study(STUDY)[1]
        assert plan.sampler == "random"
        assert record.start(plan, {}, {}) == STUDY, "the study goes on under its name"
        assert record.execution(STUDY) is None
        assert record.claim(STUDY, ["a"], "here:1:1") == {"a"}
        fill(record, TRIAL)
    with Record.read(old) as record:
        check(record.trials(STUDY))


def test_an_old_record_is_read_as_it_is(old: Path) -> None:
    before = (old / FILE).read_bytes()
    for _ in range(2):
        with Record.read(old) as record:
            check(record.trials(STUDY))
            assert record.study_ids() == [STUDY]
            assert str(old / FILE) == record.where
    assert (old / FILE).read_bytes() == before
    assert [path.name for path in old.iterdir()] == [FILE]


def test_an_old_record_in_postgresql(old: Path, postgres: Server) -> None:
    url = postgres.database()
    database = from_url(url, write=True)
    with closing(sqlite3.connect(old / FILE)) as source:
        rows = {name: source.execute(f"SELECT * FROM {name}").fetchall() for name in migrations.TABLES}
        made = dict(source.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    with database.engine.begin() as connection:
        for name in ("environments", "meta", "studies", "trials", "planned"):
            connection.exec_driver_sql(made[name].replace("DOUBLE", "DOUBLE PRECISION"))
            for row in rows[name]:
                connection.exec_driver_sql(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(row))})", row)
    with Record.read(url) as record:
        check(record.trials(STUDY))
    with database.engine.begin() as connection:
        assert connection.scalar(text("SELECT value FROM meta")) == "1"
    for _ in range(2):
        with Record.create(url) as record:
            check(record.trials(STUDY))
    with database.engine.begin() as connection:
        assert connection.scalar(text("SELECT value FROM meta")) == str(SCHEMA)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == str(SCHEMA)
    database.close()


def test_the_steps_lead_to_the_tables_that_a_new_record_has(place: str) -> None:
    database = from_url(place, write=True)
    with database.engine.begin() as connection:
        migrations.upgrade(connection, 0)
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables) == []
        assert migrations.version(connection) == str(SCHEMA)
    database.close()
    with Record.create(place) as record:
        study = fill(record, TRIAL)
        assert record.trials(study) == [TRIAL]


def killed_on_the_way(place: str, after: int, _: Any) -> None:
    """Bring a record up to date, in a process that dies after so many rows."""
    seal, left = schema.seal, iter(range(after))

    def dying(table: Any, row: Any) -> Any:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return seal(table, row)

    schema.seal = dying
    Record.create(place)


@pytest.mark.parametrize("after", [3, 7, 12])
def test_a_process_killed_on_the_way_leaves_the_old_record_whole(old: Path, after: int) -> None:
    with closing(sqlite3.connect(old / FILE)) as connection:
        before = list(connection.iterdump())
    assert Child(killed_on_the_way, str(old), after).end() == -signal.SIGKILL
    with closing(sqlite3.connect(old / FILE)) as connection:
        assert list(connection.iterdump()) == before
    with Record.create(old) as record:
        check(record.trials(STUDY))
