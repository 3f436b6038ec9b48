"""The comparison: equal search budgets, selection on validation data, test scores of winners on fresh seeds."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from ..problems import Problem
from ..problems import load as load_problem
from ..rules import Rule
from ..training import Outcome, Point, Trial
from ..training import train as train_trials
from .candidates import DEFAULT_RULES, candidates
from .described import describe
from .environment import machine, versions
from .progress import Watch
from .record import Plan, Record, now, trial_key
from .result import Result, TrialRecord
from .space import draw, fresh_seeds
from .summary import select, summarize

Kind = Literal["search", "default", "tuned"]
Train = Callable[..., Iterator[tuple[int, Outcome]]]


def compare(
    problem: Problem | str,
    rules: str | Rule | Iterable[str | Rule] = DEFAULT_RULES,
    *,
    trials: int = 16,
    seeds: int = 5,
    out: Path | str | None = None,
    seed: int = 0,
    progress: bool | None = None,
    target: float | None = None,
    _train: Train = train_trials,
) -> Result:
    """Which rule trains the problem's model best, at which settings, and how sure that is.

    Every rule gets `trials` random draws from its own search space, trained with seed `seed`; the winning draw, chosen
    on validation data (`summary.select`), and the rule's defaults are then trained with `seeds` fresh seeds and scored
    on test data.

    `rules` are names, rules or "file.py:name". `out` is the directory (or database URL) of the record: the same call
    into the same `out` goes on where an interrupted one stopped, and a larger one reuses what is there. Without it
    nothing is kept on disk. `target` is the validation metric that steps and seconds to target refer to (default: the
    median over rules of what the tuned runs reach). `progress` shows a bar on stderr (default: when that is a
    terminal).

    Ctrl-C keeps what is finished and returns it as a result that is not `complete`. Raises `InputError` before any
    training for whatever cannot be run, `RecordError` for a record that cannot be used.
    """
    if isinstance(problem, str):
        problem = load_problem(problem)
    elif not hasattr(problem, "fingerprint"):
        raise InputError(f"problem must be a fallline.Problem or the name of one; it is a {type(problem).__name__}.")
    chosen = candidates(rules)
    trials, seeds = _whole("trials", trials, 1), _whole("seeds", seeds, 1)
    plan = _plan(problem, chosen, trials, seeds, _whole("seed", seed, 0), _finite("target", target))
    search = _search(plan, chosen)
    with Record.create(out) as record, Watch(progress, plan, problem.epochs) as watch:
        study = record.start(plan, versions(), machine())
        run = _Run(problem, plan, study, record, watch, _train)
        notes = []
        try:
            run(search)
            run(_final(plan, chosen, record.trials(study, ["search"])))
        except KeyboardInterrupt:
            notes.append(_how_to_go_on(out))
            watch.say(notes[0])
        return summarize(record, study, notes)


@dataclass(frozen=True)
class _Run:
    """Trains what the record does not hold yet, and commits each trial as it ends."""

    problem: Problem
    plan: Plan
    study: str
    record: Record
    watch: Watch
    train: Train

    def __call__(self, trials: Sequence[Trial]) -> None:
        keys = [self._key(trial) for trial in trials]
        place = [(t.rule.name, t.kind, t.number, key) for t, key in zip(trials, keys, strict=True)]
        self.record.plan(self.study, place)
        known = self.record.known(keys)
        missing = {key: t for key, t in zip(keys, trials, strict=True) if key not in known}
        self.watch.found(len(trials) - len(missing))
        if missing:
            self._train(list(missing), list(missing.values()))

    def _train(self, keys: Sequence[str], trials: Sequence[Trial]) -> None:
        def on_epoch(index: int, point: Point) -> None:
            self.watch.epoch(keys[index], trials[index].rule.name, point.epoch)

        for index, outcome in self.train(self.problem, trials, on_epoch=on_epoch):
            trial = trials[index]
            finished = _record_of(trial, outcome)
            self.record.add(keys[index], self._fingerprint, self._text(trial.rule), finished)
            self.watch.done(keys[index], finished)

    def _key(self, trial: Trial) -> str:
        text = self._text(trial.rule)
        return trial_key(self._fingerprint, trial.rule.name, text, trial.kind, trial.seed, trial.settings)

    def _text(self, rule: Rule) -> str:
        return next(str(known["fingerprint"]) for known in self.plan.rules if known["name"] == rule.name)

    @property
    def _fingerprint(self) -> str:
        return str(self.plan.problem["fingerprint"])


def _search(plan: Plan, rules: Sequence[Rule]) -> list[Trial]:
    """The search, draw 0 of every rule first: where it stops, all rules have had equal budgets, give or take one."""
    return [
        Trial(rule, rule.check(draw(rule, plan.seed, number)), plan.seed, "search", number)
        for number in range(plan.trials)
        for rule in rules
    ]


def _final(plan: Plan, rules: Sequence[Rule], search: Sequence[TrialRecord]) -> list[Trial]:
    """Winners and defaults on fresh seeds, one seed of every rule after another."""
    settings: dict[tuple[str, Kind], Mapping[str, float]] = {}
    for rule in rules:
        best = select([t for t in search if t.rule == rule.name], plan)
        settings |= {(rule.name, "default"): rule.defaults}
        if best is not None:
            settings |= {(rule.name, "tuned"): best.settings}
    return [
        Trial(rule, settings[rule.name, kind], seed, kind, number)
        for number, seed in enumerate(fresh_seeds(plan.seed, plan.seeds))
        for rule in rules
        for kind in _FINAL
        if (rule.name, kind) in settings
    ]


_FINAL: tuple[Kind, ...] = ("tuned", "default")


def _record_of(trial: Trial, outcome: Outcome) -> TrialRecord:
    return TrialRecord(
        rule=trial.rule.name,
        kind=trial.kind,
        number=trial.number,
        seed=trial.seed,
        settings=dict(trial.settings),
        state=outcome.state,
        reason=outcome.reason,
        curve=tuple(outcome.curve),
        steps=outcome.steps,
        seconds=outcome.seconds,
        step_seconds=outcome.step_seconds,
        test_loss=outcome.test_loss,
        test_metric=outcome.test_metric,
        versions=versions(),
        machine=machine(),
        started=(now() - timedelta(seconds=outcome.seconds)).isoformat(timespec="milliseconds"),
    )


def _plan(problem: Problem, rules: Sequence[Rule], trials: int, seeds: int, seed: int, target: float | None) -> Plan:
    return Plan(
        problem_name=problem.name,
        metric_name=problem.metric.name,
        maximize=problem.metric.maximize,
        target=target,
        trials=trials,
        seeds=seeds,
        seed=seed,
        rules=tuple(describe(rule) for rule in rules),
        problem={
            "fingerprint": problem.fingerprint,
            "parameters": problem.parameters_count,
            "sizes": dict(problem.sizes),
            "batch_size": problem.batch_size,
            "epochs": problem.epochs,
            "share": problem.metric.share,
        },
        notes=tuple(problem.notes),
    )


def _whole(name: str, value: Any, low: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < low:
        raise InputError(f"{name}={value!r} is not allowed; allowed are whole numbers from {low} up.")
    return number


def _finite(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name}={value!r} is not allowed; allowed is a finite value of the metric.")
    return number


def _how_to_go_on(out: Path | str | None) -> str:
    if out is None:
        return "Interrupted. What is finished is in this result only: with an out directory the comparison could go on."
    return f"Interrupted. Run the same comparison into {out} again to go on: finished trials are not trained again."
