"""A study from its plan to its result: the search, batch after batch, then winners and defaults on fresh seeds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..problems import Problem
from ..rules import Rule
from ..training import Execution, Trial, calibrate
from .environment import machine, versions
from .findings.summary import summarize
from .plan import Plan
from .progress import Watch
from .record.record import Record
from .result import Result
from .search.batches import batches, final, search
from .search.pruners import Bracket
from .work import Train, Work, alive

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Place:
    """Where a study is kept: a directory, a database, both or nowhere."""

    out: Path | None = None
    record: str | None = None

    @staticmethod
    def of(out: Path | str | None, record: str | None) -> Place:
        """The place that is meant. Raises `InputError` for a URL given as directory."""
        if isinstance(out, str) and "://" in out:
            raise InputError(f"out must be a directory; name a database as record={out.partition('://')[0]}://...")
        if record is not None and "://" not in str(record):
            raise InputError(f"record={record!r} is no database URL, such as postgresql://user@host/database.")
        return Place(None if out is None else Path(out), record)

    @property
    def where(self) -> Path | str | None:
        """Where the record is."""
        return self.record if self.record is not None else self.out

    def checkpoints(self, study: str) -> Path | None:
        """The directory of a study's checkpoints."""
        return None if self.out is None else self.out / CHECKPOINTS / study


def conduct(
    plan: Plan, problem: Problem, rules: Sequence[Rule], place: Place, progress: bool | None, train: Train
) -> Result:
    """Do what the plan says and is not in the record. Ctrl-C gives a result that is not complete."""
    with Record.create(place.where) as record, Watch(progress, plan, problem.epochs) as watch:
        record.patience.tell = watch.warn
        study = record.start(plan, versions(), machine())
        work = Work(problem, plan, study, record, watch, train, place.checkpoints(study))
        notes = []
        try:
            with alive(record, work.owner):
                _all(work, rules)
            _clear(work.keep)
        except KeyboardInterrupt:
            notes.append(_how_to_go_on(plan, place, record))
            watch.say(notes[0])
        return summarize(record, study, notes)


def _all(work: Work, rules: Sequence[Rule]) -> None:
    plan, problem, record = work.plan, work.problem, work.record
    every = batches(plan)
    for i, batch in enumerate(every):
        done = record.trials(work.study, ["search"]) if i else []
        trials = search(plan, problem, rules, every[:i], done, batch)
        # where models differ in shape, those of the last runs are most alike
        alike = final(plan, problem, rules, []) if problem.space else []
        _train(work, trials, [*trials, *alike], batch.bracket)
    last = final(plan, problem, rules, record.trials(work.study, ["search"]))
    _train(work, last, last, None)


def _train(work: Work, trials: Sequence[Trial], typical: Sequence[Trial], bracket: Bracket | None) -> None:
    """Train what is missing, in the way that was measured with `typical` trials when the study began."""
    if work.execution is None and isinstance(work.problem, Problem) and work.missing(trials, bracket):
        kept = work.record.execution(work.study)
        if kept is None:
            work.watch.say("Measuring how to train fastest ...")
            measured = calibrate(work.problem, typical, **work.plan.training)
            kept = work.record.keep_execution(work.study, measured.to_dict())
        work.execution = Execution.from_dict(kept)
    work.run(trials, bracket)


def _clear(directory: Path | None) -> None:
    """Remove the checkpoints of a study that is complete; another process may be at it too."""
    if directory is not None and directory.is_dir():
        shutil.rmtree(directory, ignore_errors=True)
        with suppress(OSError):  # others are there
            directory.parent.rmdir()


def _how_to_go_on(plan: Plan, place: Place, record: Record) -> str:
    if place.where is None:
        return "Interrupted. What is finished is in this result only: with an out directory the study could go on."
    named = [str(place.out)] if place.out is not None else []
    named += [f"--record {record.where}"] if place.record is not None else []
    if plan.source:
        return f"Interrupted. Go on with `fallline resume {' '.join(named)}`: nothing that was trained is lost."
    return f"Interrupted. Run the same comparison into {named[0]} again to go on: nothing that was trained is lost."
