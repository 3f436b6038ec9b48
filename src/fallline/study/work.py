"""Trains what the record does not hold yet, each trial in one of the processes that work on the study."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..problems import Problem
from ..training import Execution, Outcome, Point, Rungs, Trial
from .environment import machine, versions
from .plan import Plan, trial_key
from .progress import Watch
from .record.claims import owner
from .record.record import Record, now
from .result import TrialRecord
from .search.pruners import Bracket
from .search.selection import Selection, bracket_name

Train = Callable[..., Iterator[Sequence[tuple[int, Outcome]]]]

_BEAT = 15.0
"""Seconds between two signs of life."""
_LOOK = 0.5
"""Seconds between two looks for what other processes have finished."""


@dataclass
class Work:
    """One process's share of the work on a study."""

    problem: Problem
    plan: Plan
    study: str
    record: Record
    watch: Watch
    train: Train
    keep: Path | None
    execution: Execution | None = None
    owner: str = field(default_factory=owner)
    wait: Callable[[float], None] = time.sleep
    _mine: set[str] = field(default_factory=set)

    def run(self, trials: Sequence[Trial], bracket: Bracket | None = None) -> None:
        """Train these trials, commit each as it ends, and wait for those that other processes train.

        Those of each rule compete in the `bracket`, where there is one.
        """
        keys = self._keys(trials, bracket)
        place = [(t.rule.name, t.kind, t.number, key) for t, key in zip(trials, keys, strict=True)]
        self.record.plan(self.study, place)
        distinct = dict(zip(keys, trials, strict=True))
        known = self.record.known(keys)
        self.watch.found(len(trials) - len(distinct.keys() - known))
        while missing := {key: trial for key, trial in distinct.items() if key not in known}:
            rungs = self._rungs(distinct, missing, bracket) if bracket is not None and bracket.rungs else None
            if not self._share(missing, rungs):
                self.record.release(self.owner)
                self.watch.waiting(len(missing))
                self.wait(_LOOK)
            before, known = known, self.record.known(keys)
            self.watch.found(len(known - before - self._mine))

    def missing(self, trials: Sequence[Trial], bracket: Bracket | None = None) -> bool:
        """Whether any of these trials is not in the record."""
        keys = set(self._keys(trials, bracket))
        return self.record.known(keys) < keys

    def _share(self, missing: Mapping[str, Trial], rungs: Rungs | None) -> bool:
        """Train what nobody else does; False when there was nothing."""
        keys, trials = list(missing), list(missing.values())
        claimed = None if rungs is None else self._whole_brackets(missing)
        if claimed is not None and not claimed:
            return False
        began: list[int] = []

        def may_start(indices: Sequence[int]) -> list[int]:
            wanted = [keys[index] for index in indices]
            granted = self.record.claim(self.study, wanted, self.owner) if claimed is None else claimed
            allowed = [index for index in indices if keys[index] in granted]
            began.extend(allowed)
            return allowed

        def on_epoch(index: int, point: Point) -> None:
            self.watch.epoch(keys[index], trials[index].rule.name, point.epoch)

        training = self.train(
            self.problem,
            trials,
            on_epoch=on_epoch,
            execution=self.execution,
            keep=self.keep,
            names=keys,
            may_start=may_start,
            rungs=rungs,
        )
        with closing(training) as ends:  # type: ignore[type-var]
            for ended in ends:
                began.extend(index for index, _ in ended)
                self._commit([(keys[index], trials[index], outcome) for index, outcome in ended])
        return bool(began)

    def _commit(self, ended: Sequence[tuple[str, Trial, Outcome]]) -> None:
        finished = [(key, trial, _record_of(trial, outcome, self.plan)) for key, trial, outcome in ended]
        text = self._texts
        self.record.add_many([(key, self._fingerprint, text[t.rule.name], record) for key, t, record in finished])
        for key, _, record in finished:
            self._mine.add(key)
            self.watch.done(key, record)

    def _whole_brackets(self, missing: Mapping[str, Trial]) -> set[str]:
        """The keys of the rules whose bracket is this process's: trials that compete are trained in one process."""
        mine: set[str] = set()
        for rule in {trial.rule.name for trial in missing.values()}:
            wanted = {key for key, trial in missing.items() if trial.rule.name == rule}
            if self.record.claim(self.study, wanted, self.owner) == wanted:
                mine |= wanted
        return mine

    def _rungs(self, distinct: Mapping[str, Trial], missing: Mapping[str, Trial], bracket: Bracket) -> Rungs:
        there = {(t.rule.name, t.number) for key, t in distinct.items() if key not in missing}
        curves = {(t.rule, t.number): t.curve for t in self.record.trials(self.study, ["search"])} if there else {}
        ended = {place: curve for place, curve in curves.items() if place in there}
        places = [(trial.rule.name, trial.number) for trial in missing.values()]
        return Rungs(bracket.rungs, Selection(bracket, places, self.plan.maximize, ended).survivors)

    def _keys(self, trials: Sequence[Trial], bracket: Bracket | None) -> list[str]:
        keys = [self._key(trial) for trial in trials]
        if bracket is None or not bracket.rungs:
            return keys
        rules = [trial.rule.name for trial in trials]
        groups = {rule: [key for key, other in zip(keys, rules, strict=True) if other == rule] for rule in set(rules)}
        names = {rule: bracket_name(bracket, group) for rule, group in groups.items()}
        return [self._key(trial, names[trial.rule.name]) for trial in trials]

    def _key(self, t: Trial, bracket: str = "") -> str:
        text = self._texts[t.rule.name]
        return trial_key(self._fingerprint, t.rule.name, text, t.kind, t.seed, t.settings, t.own, bracket)

    @property
    def _texts(self) -> dict[str, str]:
        return {known["name"]: str(known["fingerprint"]) for known in self.plan.rules}

    @property
    def _fingerprint(self) -> str:
        return str(self.plan.problem["fingerprint"])


@contextmanager
def alive(record: Record, owner: str) -> Iterator[None]:
    """Give signs of life meanwhile, and give up all claims at the end."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(_BEAT):
            with suppress(RecordError):  # the training will meet the same trouble, and tell
                record.beat(owner)

    heart = threading.Thread(target=beat, name="fallline-heartbeat", daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()
        with suppress(RecordError):  # they run out by themselves
            record.release(owner)


def _record_of(trial: Trial, outcome: Outcome, plan: Plan) -> TrialRecord:
    facts: dict[str, Any] = {
        name: getattr(outcome, name)
        for name in ("state", "reason", "steps", "seconds", "step_seconds", "test_loss", "test_metric")
    }
    return TrialRecord(
        rule=trial.rule.name,
        kind=trial.kind,
        number=trial.number,
        seed=trial.seed,
        settings=dict(trial.settings),
        own=dict(trial.own),
        curve=tuple(outcome.curve),
        counted=plan.counted(outcome.curve),
        versions=versions(),
        machine=machine(),
        started=(now() - timedelta(seconds=outcome.seconds)).isoformat(timespec="milliseconds"),
        **facts,
    )
