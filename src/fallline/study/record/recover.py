"""Saves what is whole of a damaged or truncated record into a new one; the damaged file is only read."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from ...errors import InputError, RecordError
from . import opening, rows, schema
from .record import Record
from .salvage import Found, Row, whole_rows


@dataclass(frozen=True)
class SavedStudy:
    """A study that was saved, with how many of its planned trials are there."""

    id: str
    trials: int
    planned: int


@dataclass(frozen=True)
class Recovered:
    """What was saved: the new record's directory, how many trials, which studies.

    `loose` trials belong to no study that was saved; the command that began theirs finds them again.
    """

    out: Path
    trials: int
    loose: int
    studies: tuple[SavedStudy, ...]


def recover(where: Path | str, out: Path | str | None = None) -> Recovered:
    """Save every whole trial and study of a damaged record (a file or its directory) into a new one.

    `out` is the new record's directory (default: the damaged one's name with "-recovered"). A trial is whole when it is
    what its seal was made of; trials of a record of schema 1 have none and are whole when they can be read. The
    write-ahead log beside the file is read too. Raises `InputError` when there is no file or a record in `out`,
    `RecordError` when nothing is whole.
    """
    file = _file(where)
    target = Path(out) if out is not None else _beside(file)
    if (target / opening.FILE).exists():
        raise InputError(f"there is a record in {target} already; name another directory with --out.")
    log = file.with_name(file.name + "-wal")
    found = whole_rows(file.read_bytes(), log.read_bytes() if log.exists() else b"")
    if not found.trials and not found.studies:
        raise RecordError(f"nothing whole was found in {file}.")
    _write(found, target)
    named = {(row["key"],) for row in found.planned.values()}
    studies = [_study(found, row) for _, row in sorted(found.studies.items())]
    return Recovered(target, len(found.trials), len(found.trials.keys() - named), tuple(studies))


def _study(found: Found, row: Row) -> SavedStudy:
    keys = [(planned["key"],) for planned in found.planned.values() if planned["study"] == row["id"]]
    return SavedStudy(row["id"], sum(key in found.trials for key in keys), rows.to_plan(row["plan"]).planned)


def _file(where: Path | str) -> Path:
    if opening.is_url(where):
        raise InputError(f"recover reads SQLite files; {where} is a database URL. Servers have backups of their own.")
    path = Path(where)
    path = path / opening.FILE if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"there is no record at {path}.")
    return path


def _beside(file: Path) -> Path:
    named = file.absolute().parent if file.name == opening.FILE else file.absolute().with_suffix("")
    return named.with_name(f"{named.name}-recovered")


def _write(found: Found, out: Path) -> None:
    """The new record, whole or not at all."""
    lost = {row["environment"] for row in (*found.trials.values(), *found.studies.values())}
    lost -= {id for (id,) in found.environments}
    environments = [*found.environments.values(), *({"id": id, "versions": {}, "machine": {}} for id in sorted(lost))]

    def work(connection: Connection) -> None:
        rows.add_new(connection, schema.environments, environments)
        for name in ("studies", "trials", "planned"):
            rows.add_new(connection, schema.tables.tables[name], list(getattr(found, name).values()))

    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".recovering-", dir=out) as draft:
            with Record.create(Path(draft)) as record:
                record.database.run(work)
            os.replace(Path(draft) / opening.FILE, out / opening.FILE)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written to ({error.strerror or error}).") from error
