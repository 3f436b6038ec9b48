"""The record in PostgreSQL: a real server, stopped and started while it is written to."""

from __future__ import annotations

import math
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from fallline.errors import InputError, RecordError
from fallline.study import compare
from fallline.study.record.database import Patience
from fallline.study.record.opening import from_url
from fallline.study.record.record import Record
from fallline.training import Point, Trial

from .postgres import Server
from .records import TRIAL, fill, key_of
from .standins import Problem, Training, closeness

TRIALS = [replace(TRIAL, number=number, seed=number) for number in range(12)]


def test_a_trial_comes_back_bit_for_bit(postgres: Server) -> None:
    odd = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan]
    curve = tuple(Point(i, 2**53 - i, value, value, value, value) for i, value in enumerate(odd))
    given = [
        replace(TRIAL, number=i, seed=-(2**63) + i, seconds=value, test_loss=value, test_metric=None, curve=curve)
        for i, value in enumerate(odd)
    ]
    url = postgres.database()
    with Record.create(url) as record:
        study = fill(record, *given)
    with Record.read(url) as record:
        found = record.trials(study)
    assert [struct.pack("<d", t.test_loss) for t in found] == [struct.pack("<d", value) for value in odd]  # type: ignore[arg-type]
    assert [struct.pack("<d", t.seconds) for t in found] == [struct.pack("<d", value) for value in odd]
    assert all(t.curve == curve and t.test_metric is None for t in found)
    assert [t.seed for t in found] == [t.seed for t in given]


def test_the_password_is_not_shown() -> None:
    assert "hidden" not in from_url("postgresql://someone:hidden@nowhere/record", write=True).where


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for url in ("postgresql://nowhere/record", "postgresql+psycopg://nowhere/record"):
        with pytest.raises(InputError, match=r"pip install 'fallline\[postgres\]'"):
            Record.create(url)


def test_something_else_in_the_database_is_left_alone(postgres: Server) -> None:
    url = postgres.database()
    database = from_url(url, write=True)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE books (title TEXT)")
    for open_ in (Record.create, Record.read):
        with pytest.raises(RecordError, match=r"something else .*books"):
            open_(url)
    database.close()
    with pytest.raises(RecordError, match="empty"):
        Record.read(postgres.database())


@pytest.fixture
def fragile(postgres: Server) -> Iterator[Server]:
    """The server, which may be stopped."""
    yield postgres
    if not postgres.runs:
        postgres.start()


def test_a_server_that_cannot_be_reached_is_told_at_once(fragile: Server) -> None:
    url = fragile.database()
    with pytest.raises(RecordError, match=r"does not exist.*URL is right"):
        Record.create(url.replace("study_", "no_such_study_"))
    fragile.stop()
    for open_ in (Record.create, Record.read):
        with pytest.raises(RecordError, match="Check that the server runs"):
            open_(url)


class Restarts:
    """A patience that starts the server again while it waits, and what it said."""

    def __init__(self, server: Server) -> None:
        self.server, self.told, self.down = server, list[str](), False

    def stop(self, mode: str = "immediate") -> None:
        self.server.stop(mode)
        self.down = True

    def patience(self) -> Patience:
        return Patience(tell=self.told.append, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        if self.down:
            self.server.start()
            self.down = False


def in_between(record: Record, stop: Callable[[], None]) -> None:
    stop()


def before_a_statement(record: Record, stop: Callable[[], None]) -> None:
    _once(record, "before_cursor_execute", stop)


def before_the_commit(record: Record, stop: Callable[[], None]) -> None:
    _once(record, "commit", stop)


def after_the_commit(record: Record, stop: Callable[[], None]) -> None:
    """The server has stored it, and cannot say so any more."""

    def committed(connection: Any) -> None:
        connection.connection.driver_connection.commit()
        connection.connection.driver_connection.execute("SELECT 1")  # begins the transaction whose commit fails
        stop()

    _once(record, "commit", committed, hand_on=True)


def _once(record: Record, name: str, action: Callable[..., None], hand_on: bool = False) -> None:
    def listener(connection: Any, *_: Any) -> None:
        action(connection) if hand_on else action()

    event.listen(record.database.engine, name, listener, once=True)


@pytest.mark.parametrize("moment", [in_between, before_a_statement, before_the_commit, after_the_commit])
def test_a_server_stopped_and_started_loses_nothing_and_stores_nothing_twice(
    fragile: Server, moment: Callable[[Record, Callable[[], None]], None]
) -> None:
    restarts = Restarts(fragile)
    url = fragile.database()
    with Record.create(url) as record:
        record.database.patience = restarts.patience()
        study = fill(record, *TRIALS[:3])
        keys = [key_of(t) for t in TRIALS]
        record.plan(study, [(t.rule, t.kind, t.number, key_of(t)) for t in TRIALS])
        steps: list[Callable[[], object]] = [
            lambda: record.add_many([(key, "p", "x", t) for key, t in zip(keys[:6], TRIALS[:6], strict=True)]),
            lambda: record.claim(study, keys, "elsewhere:1:1"),
            lambda: record.add_many([(key, "p", "x", t) for key, t in zip(keys[6:], TRIALS[6:], strict=True)]),
            lambda: record.keep_execution(study, {"width": 64}),
            lambda: record.trials(study),
        ]
        done = []
        for number, step in enumerate(steps):
            moment(record, lambda number=number: restarts.stop(["immediate", "fast"][number % 2]))  # type: ignore[misc]
            done.append(step())
        assert done[1] == set(keys[6:])
        assert done[3] == {"width": 64}
        assert done[4] == record.trials(study) == TRIALS
    assert all("waiting for the database" in message and "120 s" in message for message in restarts.told)
    assert len(restarts.told) <= len(steps)


def test_a_server_that_stays_away_is_told_after_two_minutes(fragile: Server) -> None:
    clock, told = [0.0], list[str]()

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    with Record.create(fragile.database()) as record:
        record.database.patience = Patience(tell=told.append, clock=lambda: clock[0], sleep=sleep)
        study = fill(record)
        fragile.stop()
        with pytest.raises(RecordError, match="run the same command again: finished trials are kept"):
            fill(record, TRIAL)
        assert clock[0] == 120
        assert len(told) == 1
        fragile.start()
        assert record.trials(study) == []
        fill(record, TRIAL)
        assert record.trials(study) == [TRIAL]


def test_without_a_listener_waiting_is_warned_of(fragile: Server) -> None:
    restarts = Restarts(fragile)
    with Record.create(fragile.database()) as record:
        record.patience.sleep = restarts.patience().sleep
        restarts.stop()
        with pytest.warns(RuntimeWarning, match="waiting for the database"):
            assert record.study_ids() == []


def test_a_study_goes_on_through_restarts_of_the_server(fragile: Server) -> None:
    settings: dict[str, Any] = {"rules": ["sgd", "adam"], "trials": 10, "seeds": 2, "progress": False}
    url, starting = fragile.database(), list[threading.Thread]()

    def restarting(trial: Trial) -> float:
        if trial.number in (3, 7) and trial.kind == "search":
            for thread in starting:
                thread.join()
            fragile.stop("immediate" if trial.number == 3 else "fast")
            starting.append(threading.Thread(target=fragile.start))
            starting[-1].start()
        return closeness(trial)

    interrupted = compare(Problem(), record=url, _train=Training(restarting), **settings)
    for thread in starting:
        thread.join()
    assert len(starting) == 4
    assert interrupted.complete
    undisturbed = compare(Problem(), _train=Training(closeness), **settings)
    assert [r.test_metric for r in interrupted.rules] == [r.test_metric for r in undisturbed.rules]
    assert [[t.settings for t in r.search] for r in interrupted.rules] == [
        [t.settings for t in r.search] for r in undisturbed.rules
    ]
    again = Training(closeness)
    assert compare(Problem(), record=url, _train=again, **settings).complete
    assert again.trained == []
