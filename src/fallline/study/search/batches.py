"""The search of a study: which trials it has, batch after batch, and the runs of winners and defaults at its end.

Everything here is a function of the plan and of the trials in the record, so that a study that is gone on with asks for
the trials that it had asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...problems import Problem, Setting
from ...problems.space import existing
from ...rules import Rule
from ...training import Trial
from ..findings.summary import select
from ..plan import Plan
from ..result import TrialRecord
from . import pruners
from .pruners import Bracket, Halving, Hyperband, Pruner
from .samplers import SAMPLERS, Request, Tried, propose
from .space import Space, fresh_seeds

_LARGEST_BATCH = 16


@dataclass(frozen=True)
class Batch:
    """Trials of every rule that are asked for and trained together: those from number `first` on."""

    first: int
    bracket: Bracket

    @property
    def numbers(self) -> range:
        """The numbers of its trials, the same for every rule."""
        return range(self.first, self.first + self.bracket.count)


def batch_size(sampler: str, pruner: Pruner | None, trials: int) -> int:
    """How many trials of a rule a study asks for at once, unless it is told.

    A sampler that learns gets four rounds, or more where they would be larger than 16 trials, or fewer where
    successive halving needs more trials to choose from; others ask for all.
    """
    if isinstance(pruner, Hyperband) or not SAMPLERS[sampler].adaptive:
        return trials
    least = 1 if pruner is None else pruner.eta**2
    return min(max(min(trials // 4, _LARGEST_BATCH), least), trials)


def batches(plan: Plan) -> list[Batch]:
    """The batches of a study's search, in order."""
    pruner = pruners.of_plan(plan.pruner, plan.options)
    epochs = int(plan.problem["epochs"])
    size = int(plan.options.get("batch") or plan.trials)
    counts = [min(size, plan.trials - first) for first in range(0, plan.trials, size)]
    if isinstance(pruner, Hyperband):
        brackets = pruner.brackets(plan.trials, epochs)
    elif isinstance(pruner, Halving):
        brackets = [bracket for count in counts for bracket in pruner.brackets(count, epochs)]
    else:
        brackets = [Bracket(count) for count in counts]
    firsts = [sum(bracket.count for bracket in brackets[:i]) for i in range(len(brackets))]
    return [Batch(first, bracket) for first, bracket in zip(firsts, brackets, strict=True)]


def search(
    plan: Plan,
    problem: Problem,
    rules: Sequence[Rule],
    done: Sequence[Batch],
    trials: Sequence[TrialRecord],
    batch: Batch,
) -> list[Trial]:
    """The trials of a batch, given those of the batches before it.

    The first of every rule comes first: where training stops, all rules have had equal budgets, give or take one.
    """
    asked = {}
    for rule in rules:
        space = Space(rule, problem.space)
        history = _history(plan, space, done, [t for t in trials if t.rule == rule.name])
        request = Request(space, history, batch.bracket.count, plan.trials, plan.seed)
        asked[rule.name] = [space.split(values) for values in propose(plan.sampler, request)]
    return [
        Trial(rule, rule.check(settings), plan.seed, "search", number, own)
        for i, number in enumerate(batch.numbers)
        for rule in rules
        for settings, own in [asked[rule.name][i]]
    ]


def final(plan: Plan, problem: Problem, rules: Sequence[Rule], trials: Sequence[TrialRecord]) -> list[Trial]:
    """Winners and defaults on fresh seeds, one seed of every rule after another."""
    chosen: dict[tuple[str, Kind], tuple[Mapping[str, float], Mapping[str, Setting]]] = {}
    defaults = existing(problem.space, problem.defaults)
    for rule in rules:
        best = select([t for t in trials if t.rule == rule.name], plan)
        chosen[rule.name, "default"] = rule.defaults, defaults
        if best is not None:
            chosen[rule.name, "tuned"] = best.settings, best.own
    return [
        Trial(rule, chosen[rule.name, kind][0], seed, kind, number, chosen[rule.name, kind][1])
        for number, seed in enumerate(fresh_seeds(plan.seed, plan.seeds))
        for rule in rules
        for kind in _FINAL
        if (rule.name, kind) in chosen
    ]


Kind = Literal["search", "default", "tuned"]
_FINAL: tuple[Kind, ...] = ("tuned", "default")


def _history(plan: Plan, space: Space, done: Sequence[Batch], trials: Sequence[TrialRecord]) -> list[list[Tried]]:
    """What the batches of a rule have found, as its sampler is told: a pruned trial with its last score, which is below
    the last ones of those that it fell behind."""
    by_number = {trial.number: trial for trial in trials}
    history: list[list[Tried]] = []
    worst = math.inf
    for batch in done:
        ended = [by_number[number] for number in batch.numbers]
        # what diverged is told as the worst that was seen until then; later batches must not change it
        worst = min([worst, *(s for t in ended for s in (_score(t, plan), _untrained(t, plan)) if math.isfinite(s))])
        history.append([_tried(trial, space, _score(trial, plan), worst) for trial in ended])
    return history


def _tried(trial: TrialRecord, space: Space, score: float, worst: float) -> Tried:
    known: dict[str, Setting] = {**trial.settings, **trial.own}
    values = {name: known[name] for name in space.parts if name in known}
    told = worst if trial.diverged or not math.isfinite(score) else score
    return Tried(values, told if math.isfinite(told) else 0.0)


def _score(trial: TrialRecord, plan: Plan) -> float:
    return trial.score if plan.maximize else -trial.score


def _untrained(trial: TrialRecord, plan: Plan) -> float:
    metric = trial.curve[0].valid_metric
    return metric if plan.maximize else -metric
