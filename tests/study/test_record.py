from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import struct
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from fallline.errors import InputError, RecordError
from fallline.study.plan import back, exact, trial_key
from fallline.study.record.curve import Curve, pack
from fallline.study.record.database import Patience
from fallline.study.record.opening import FILE
from fallline.study.record.record import Record
from fallline.study.record.schema import SCHEMA
from fallline.training import Point

from .records import PLAN, POINTS, TRIAL, fill


def bits(value: float | None) -> bytes | None:
    return None if value is None else struct.pack("<d", value)


@settings(max_examples=15)
@given(values=st.lists(st.floats() | st.none(), min_size=3, max_size=3), setting=st.floats(allow_nan=False))
def test_every_float_comes_back_bit_for_bit(values: list[float | None], setting: float) -> None:
    loss, test_loss, test_metric = (None if v is None else math.nan if math.isnan(v) else v for v in values)
    curve = (Point(0, 0, 0.0, loss, setting, setting),)
    given_ = replace(
        TRIAL,
        kind="tuned",
        curve=curve,
        settings={"lr": setting},
        test_loss=test_loss,
        test_metric=test_metric,
    )
    with Record.create(None) as record:
        (found,) = record.trials(fill(record, given_))
    assert bits(found.curve[0].train_loss) == bits(loss)
    assert bits(found.settings["lr"]) == bits(setting)
    assert bits(found.test_loss) == bits(test_loss)
    assert bits(found.test_metric) == bits(test_metric)
    assert replace(found, curve=(), test_loss=None, test_metric=None, settings={}) == replace(
        given_, curve=(), test_loss=None, test_metric=None, settings={}
    )


def test_a_trial_comes_back_whole(tmp_path: Path) -> None:
    out = tmp_path / "new folder #1?" / "deep"
    with Record.create(out) as record:
        study = fill(record, TRIAL)
    with Record.read(out) as record:
        (found,) = record.trials(study)
        facts, plan = record.study(study)
    assert found.curve[0] == TRIAL.curve[0]
    assert math.isnan(found.curve[1].valid_loss)
    assert found.curve[1].train_loss == math.inf
    assert replace(found, curve=TRIAL.curve) == TRIAL
    assert found.own == {"width": 64, "dropout": 0.1 + 0.2, "augment": "flip", "norm": True}
    assert plan == PLAN
    assert facts.id == study == PLAN.study_id
    assert facts.machine == {"cores": 2}
    assert [p.name for p in out.iterdir()] == [FILE]


@given(
    st.lists(
        st.builds(
            Point,
            st.integers(0, 2**53),
            st.integers(0, 2**53),
            st.floats(),
            st.floats() | st.none(),
            st.floats(),
            st.floats(),
        )
    )
)
def test_a_packed_curve_is_the_curve(points: list[Point]) -> None:
    curve = Curve(pack(points))
    assert len(curve) == len(points)
    assert repr(curve) == repr(tuple(points)) == repr(tuple(curve[i] for i in range(len(points))))
    assert repr(curve[::-2]) == repr(tuple(points[::-2]))
    assert curve.column("valid_loss").tobytes() == b"".join(
        struct.pack("<d", math.nan if math.isnan(p.valid_loss) else p.valid_loss) for p in points
    )
    assert pack(curve) == pack(list(curve)) == curve.packed
    if points:
        assert isinstance(curve[-1].step, int)
        assert (curve == points[:-1]) is False


def test_a_curve_equals_the_points_it_was_made_of() -> None:
    points = (Point(0, 0, 0.0, None, 2.3, 0.1), Point(1, 10, 0.3, math.inf, -0.0, 1 / 3))
    assert Curve(pack(points)) == points
    assert points == Curve(pack(points))
    assert Curve(pack(())) == ()
    with pytest.raises(ValueError, match="no curve"):
        Curve(b"1234567")


@given(st.recursive(st.floats(allow_nan=False) | st.integers() | st.none(), lambda x: st.lists(x)))
def test_json_holds_infinities(value: object) -> None:
    assert back(json.loads(json.dumps(exact(value), allow_nan=False))) == value


def test_a_trial_is_stored_once_and_shared_by_studies(tmp_path: Path) -> None:
    with Record.create(tmp_path) as record:
        fill(record, TRIAL)
        larger = replace(PLAN, trials=3)
        study = record.start(larger, {"python": "3.12"}, {"cores": 8})
        key = trial_key("p", "sgd", "x", "search", 0, {"lr": 0.1})
        assert record.known([key, "other"]) == {key}
        record.plan(study, [("sgd", "search", 0, key), ("sgd", "search", 1, "not yet there")])
        record.add_many([(key, "p", "x", replace(TRIAL, steps=999))])
        assert [t.steps for t in record.trials(study)] == [10]
        assert record.start(larger, {}, {}) == study
        assert len(record.study_ids()) == 2
        assert record.trials(study)[0].versions == {"python": "3.11"}


def test_keys_tell_apart_what_differs() -> None:
    one = ("p", "sgd", "x", "search", 0, {"lr": 0.1})
    keys = {trial_key(*one)}
    for i, other in enumerate(("q", "adam", "y", "tuned", 1, {"lr": 0.1 + 1e-17 + 2e-17})):
        keys.add(trial_key(*(other if i == j else value for j, value in enumerate(one))))  # type: ignore[arg-type]
    assert len(keys) == 7
    assert trial_key(*one[:5], {"a": 1.0, "b": 2.0}) == trial_key(*one[:5], {"b": 2.0, "a": 1.0})


def damage_header(path: Path) -> None:
    path.write_bytes(b"not a database at all" + path.read_bytes()[21:])


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : len(content) - 4096] = os.urandom(len(content) - 8192)
    path.write_bytes(content)


def damage_foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")


def damage_newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ?", (str(SCHEMA + 1),))


def damage_schema(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM meta")


DAMAGES = {
    damage_header: "not a database",
    damage_truncate: "malformed|disk image|Page|page|Tree",
    damage_pages: "malformed|Page|page|Tree|database",
    damage_foreign: "something else .*books",
    damage_newer: "newer Fallline",
    damage_schema: "which schema",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("open_", [Record.create, Record.read], ids=["write", "read"])
def test_a_damaged_record_is_told(tmp_path: Path, damage: object, open_: object) -> None:
    with Record.create(tmp_path) as record:
        fill(record, *(replace(TRIAL, seed=seed, number=seed) for seed in range(200)))
    damage(tmp_path / FILE)  # type: ignore[operator]
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(RecordError, match=DAMAGES[damage]) as told:  # type: ignore[index]
        open_(tmp_path)  # type: ignore[operator]
    assert str(tmp_path / FILE) in str(told.value)
    assert "--out" in str(told.value)
    whose = damage in (damage_foreign, damage_newer)
    assert ("fallline recover" in str(told.value)) is not whose
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("change", ["curve = x'00'", "settings = '{broken'", "seconds = 0.31", "state = 'diverged'"])
def test_a_damaged_trial_is_told(tmp_path: Path, change: str) -> None:
    with Record.create(tmp_path) as record:
        study = fill(record, TRIAL)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"UPDATE trials SET {change}")
    with Record.read(tmp_path) as record, pytest.raises(RecordError, match=r"cannot be read.*fallline recover"):
        record.trials(study)


def test_an_empty_file_is_a_record_not_begun(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with pytest.raises(RecordError, match="empty"):
        Record.read(tmp_path)
    with Record.create(tmp_path) as record:
        assert record.study_ids() == []


def test_no_record_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no record at"):
        Record.read(tmp_path / "missing")
    with pytest.raises(InputError, match="no record at"):
        Record.read(tmp_path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/fallline")):
        with pytest.raises(InputError, match="cannot be written to"):
            Record.create(out)
    (tmp_path / FILE).mkdir()
    with pytest.raises(RecordError, match="is a directory"):
        Record.create(tmp_path)


def test_a_database_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    with Record.create(url) as record:
        study = fill(record, TRIAL)
    with Record.read(url) as record:
        assert len(record.trials(study)) == 1
    with pytest.raises(InputError, match="no database"):
        Record.create("nosuch://somewhere")


def test_two_processes_may_read_and_write(tmp_path: Path) -> None:
    with Record.create(tmp_path) as one, Record.create(tmp_path) as other, Record.read(tmp_path) as reader:
        study = fill(one, TRIAL)
        assert len(reader.trials(study)) == 1
        fill(other, TRIAL, replace(TRIAL, number=1, seed=1))
        assert len(reader.trials(study)) == 2
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_locked_record_is_waited_for(tmp_path: Path) -> None:
    clock, told = [0.0], list[str]()
    with Record.create(tmp_path) as record, closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        record.database.engine.dispose()
        event.listen(record.database.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 1"))

        def sleep(seconds: float) -> None:
            clock[0] += seconds
            if len(told) == 1 and clock[0] > 10:
                other.execute("ROLLBACK")

        record.database.patience = Patience(tell=told.append, clock=lambda: clock[0], sleep=sleep)
        other.execute("BEGIN IMMEDIATE")
        study = fill(record, TRIAL)
        assert 10 < clock[0] < 120
        assert len(told) == 1
        assert "locked" in told[0]
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordError, match=r"locked.*Another process"):
            fill(record, replace(TRIAL, number=1, seed=1))
        other.execute("ROLLBACK")
        assert record.trials(study) == [TRIAL]


@pytest.mark.parametrize("moment", ["begin", "after_cursor_execute", "commit"])
def test_ctrl_c_in_the_middle_of_a_transaction_leaves_no_lock(tmp_path: Path, moment: str) -> None:
    with Record.create(tmp_path) as record, closing(sqlite3.connect(tmp_path / FILE, timeout=0)) as other:
        fill(record, TRIAL)
        event.listen(record.database.engine, moment, lambda *_: signal.raise_signal(signal.SIGINT), once=True)
        with pytest.raises(KeyboardInterrupt) as pressed:  # whose frames are held while others want to write
            fill(record, replace(TRIAL, number=1, seed=1))
        other.execute("BEGIN IMMEDIATE")
    assert pressed.type is KeyboardInterrupt


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    with Record.create(tmp_path) as full:
        study = fill(full, TRIAL)
        raw = full.database.engine.raw_connection()
        (pages,) = raw.cursor().execute("PRAGMA page_count").fetchone()
        raw.cursor().execute(f"PRAGMA max_page_count = {pages}")
        raw.close()
        with pytest.raises(RecordError, match=r"full.*Free some space"):
            full.add_many([("small", "p", "x", TRIAL), ("big", "p", "x", replace(TRIAL, curve=POINTS * 1000))])
        assert full.known(["small", "big"]) == set()
        assert len(full.trials(study)) == 1
