"""A truncated or damaged record: all that is whole is saved, nothing is made up, the damaged file is left alone."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from fallline.cli import app
from fallline.errors import InputError, RecordError
from fallline.study.plan import Plan
from fallline.study.record.opening import FILE
from fallline.study.record.record import Record
from fallline.study.record.recover import recover
from fallline.study.result import TrialRecord
from fallline.training import Point

from .records import PLAN, TRIAL, key_of
from .test_migrations import SCHEMA_1, STUDY
from .test_migrations import check as check_old

LENGTHS = (1, 3, 40, 100, 250)
"""Points of a curve; the longer ones go on to overflow pages."""
PAGE, SMALLEST = 4096, 300
"""Bytes of a page, and of a trial at least."""


def trial(number: int) -> TrialRecord:
    draw = np.random.default_rng(number)
    curve = tuple(Point(e, 10 * e, *draw.random(4).tolist()) for e in range(LENGTHS[number % len(LENGTHS)]))
    return replace(TRIAL, number=number, seed=number, curve=curve, reason="é" * (number % 7), seconds=float(number))


TRIALS = [trial(number) for number in range(120)]
LARGER, PARTLY = replace(PLAN, trials=len(TRIALS), seeds=0), replace(PLAN, trials=200, seeds=0)


def write(record: Record, plan: Plan, trials: list[TrialRecord]) -> str:
    study = record.start(plan, {"python": "3.11"}, {"cores": 2})
    record.plan(study, [(t.rule, t.kind, t.number, key_of(t)) for t in trials])
    for i in range(0, len(trials), 7):
        record.add_many([(key_of(t), "p", "x", t) for t in trials[i : i + 7]])
    return study


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a record with two studies."""
    out = tmp_path_factory.mktemp("whole")
    with Record.create(out) as record:
        write(record, LARGER, TRIALS)
        write(record, PARTLY, TRIALS[:3])
    return (out / FILE).read_bytes()


def saved(damaged: bytes, folder: Path) -> tuple[int, dict[str, list[TrialRecord]]]:
    """How many trials are saved from a file, and those of each study: every one is one that was written."""
    folder.mkdir()
    (folder / FILE).write_bytes(damaged)
    told = recover(folder, folder / "new")
    assert (folder / FILE).read_bytes() == damaged
    assert sorted(path.name for path in folder.iterdir()) == ["new", FILE]
    assert [path.name for path in (folder / "new").iterdir()] == [FILE]
    with closing(sqlite3.connect(folder / "new" / FILE)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM trials").fetchone()
        (named,) = connection.execute(_NAMED).fetchone()
    assert (told.trials, told.loose) == (count, count - named)
    with Record.read(folder / "new") as record:
        assert [study.id for study in told.studies] == sorted(record.study_ids())
        found = {study.id: record.trials(study.id) for study in told.studies}
        assert {study.id: study.trials for study in told.studies} == {id: len(t) for id, t in found.items()}
    kept = [t for trials in found.values() for t in trials]
    assert all(t.versions in (TRIAL.versions, {}) for t in kept)  # {}: where the environment's own row is lost
    assert all(replace(t, versions=TRIAL.versions, machine=TRIAL.machine) == TRIALS[t.number] for t in kept)
    return count, found


_NAMED = "SELECT count(*) FROM trials WHERE key IN (SELECT key FROM planned)"


def test_an_undamaged_record_is_copied(whole: bytes, tmp_path: Path) -> None:
    count, found = saved(whole, tmp_path / "it")
    assert count == len(TRIALS)
    assert sorted(found.values(), key=len) == [TRIALS[:3], TRIALS]


@settings(max_examples=12)
@given(share=st.floats(0.3, 1))
def test_a_truncated_record_gives_what_lies_before(
    share: float, whole: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("truncated") / "it"
    length = int(share * len(whole))
    count, _ = saved(whole[:length], folder)
    assert count >= len(TRIALS) - (len(whole) - length) / SMALLEST - PAGE / SMALLEST
    if share < 0.9:
        with pytest.raises(RecordError, match=r"fallline recover .*record.sqlite"):
            Record.create(folder)


@settings(max_examples=12)
@given(places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4), bit=st.integers(0, 7))
def test_flipped_bits_cost_the_trials_that_hold_them(
    places: list[float], bit: int, whole: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(whole)
    for place in places:
        damaged[int(place * len(whole))] ^= 1 << bit
    folder = tmp_path_factory.mktemp("flipped") / "it"
    count, _ = saved(bytes(damaged), folder)
    assert count >= len(TRIALS) - len(places)


@pytest.mark.parametrize("seed", range(6))
def test_lost_pages_cost_no_other_trials(seed: int, whole: bytes, tmp_path: Path) -> None:
    draw = np.random.default_rng(seed)
    damaged = bytearray(whole)
    for page in draw.choice(len(whole) // PAGE, 3, replace=False):
        damaged[page * PAGE : (page + 1) * PAGE] = draw.bytes(PAGE) if seed % 2 else bytes(PAGE)
    count, _ = saved(bytes(damaged), tmp_path / "it")
    assert count >= len(TRIALS) - 3 * PAGE / SMALLEST


@pytest.mark.parametrize("zeroed", [16, 100, PAGE], ids=["magic", "header", "schema"])
def test_a_lost_beginning_costs_nothing(zeroed: int, whole: bytes, tmp_path: Path) -> None:
    damaged = bytes(zeroed) + whole[zeroed:]
    count, found = saved(damaged, tmp_path / "it")
    assert (count, found[LARGER.study_id]) == (len(TRIALS), TRIALS)
    with pytest.raises(RecordError, match="fallline recover"):
        Record.read(tmp_path / "it")


def test_a_page_that_has_lost_its_list_of_cells_still_gives_its_trials(whole: bytes, tmp_path: Path) -> None:
    damaged = bytearray(whole)
    for start in range(PAGE, len(whole), PAGE):
        if damaged[start] == 0x0D and b"finished" in damaged[start : start + PAGE]:
            damaged[start : start + 8] = bytes(8)
    count, _ = saved(bytes(damaged), tmp_path / "it")
    assert count == len(TRIALS)


def test_what_only_the_write_ahead_log_holds_is_saved(tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    with Record.create(tmp_path / "it") as record:
        study = write(record, LARGER, TRIALS[:50])
        for name in (FILE, f"{FILE}-wal"):  # as a process leaves them that is killed
            shutil.copy(tmp_path / "it" / name, tmp_path / "killed" / name)
    told = recover(tmp_path / "killed")
    assert told.out == tmp_path / "killed-recovered"
    with Record.read(told.out) as record:
        assert record.trials(study) == TRIALS[:50]
    (tmp_path / "killed" / FILE).write_bytes(b"")
    assert recover(tmp_path / "killed", tmp_path / "other").trials == 50


def test_a_record_of_schema_1_is_saved(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.executescript(SCHEMA_1.read_text())
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(bytes(100) + content[100:])
    told = recover(tmp_path / FILE, tmp_path / "new")
    assert (told.trials, told.loose, told.studies[0].planned) == (7, 0, 8)
    with Record.read(told.out) as record:
        check_old(record.trials(STUDY))


def test_what_cannot_be_saved_is_told(tmp_path: Path, whole: bytes) -> None:
    with pytest.raises(InputError, match="no record at"):
        recover(tmp_path / "missing")
    with pytest.raises(InputError, match="database URL"):
        recover("postgresql://nowhere/record")
    for content in (b"", b"something else entirely" * 1000, whole[:PAGE]):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(RecordError, match="nothing whole"):
            recover(tmp_path)
    (tmp_path / FILE).write_bytes(whole)
    recover(tmp_path, tmp_path / "new")
    with pytest.raises(InputError, match=r"a record in .* already.*--out"):
        recover(tmp_path, tmp_path / "new")


def test_the_verb_tells_what_is_complete(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / FILE).write_bytes(bytes(PAGE) + whole[PAGE:])
    arguments = ["recover", str(tmp_path), "--out", str(tmp_path / "new")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"{len(TRIALS)} whole trials and 2 studies" in done.output
    assert f"{LARGER.study_id}: {len(TRIALS)} of {len(TRIALS)} planned trials, complete" in done.output
    assert f"{PARTLY.study_id}: 3 of 200 planned trials, incomplete" in done.output
    assert f"fallline resume {tmp_path / 'new'}" in done.output
    (tmp_path / "new" / FILE).unlink()
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert (told["trials"], told["loose"], len(told["studies"])) == (len(TRIALS), 0, 2)
