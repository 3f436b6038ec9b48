"""What a reader of a comparison must know beside its numbers, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...problems.space import Choice
from ...training import Execution
from ..plan import Plan
from ..result import RuleResult, TrialRecord
from ..search.samplers import SAMPLERS
from .measure import Measure
from .numbers import brief


def notes(
    plan: Plan,
    ranked: Sequence[RuleResult],
    target: float | None,
    trials: Sequence[TrialRecord],
    execution: Mapping[str, Any],
) -> list[str]:
    """The notes of a result: how it was come by, what its intervals hold, and whatever was out of the ordinary."""
    return [
        *_about_completeness(plan, trials),
        _about_protocol(plan),
        *_about_pruning(plan, ranked),
        *_about_patience(plan, trials),
        *_about_execution(execution),
        _about_intervals(plan, ranked),
        *_about_target(plan, ranked, target),
        *_about_divergence(ranked),
        *_about_edges(ranked),
        *_about_fixed_rules(ranked),
        *_about_environments(trials),
        *plan.notes,
    ]


def _about_completeness(plan: Plan, trials: Sequence[TrialRecord]) -> list[str]:
    if len(trials) == plan.planned:
        return []
    return [f"This comparison is not complete: {len(trials)} of {plan.planned} trials are finished."]


def _about_protocol(plan: Plan) -> str:
    shared = " and the problem's own" if plan.own else ""
    too = " (with the problem's own ones)" if plan.own else ""
    return (
        f"Every rule was given {_count(plan.trials, 'search trial')} from its own{shared} search space, "
        f"{SAMPLERS[plan.sampler].phrase}, all trained with seed {plan.seed}. The trial with the best final validation "
        f"{plan.metric_name} ({_ties(plan)}) was trained again with {_count(plan.seeds, 'fresh seed')}, as were the "
        f"rule's defaults{too}, and scored on test data. Initial weights and data order depend on the seed alone, so "
        f"the rules are paired by seed."
    )


def _about_pruning(plan: Plan, ranked: Sequence[RuleResult]) -> list[str]:
    if plan.pruner == "none":
        return []
    pruned, total = (sum(map(count, ranked)) for count in (_pruned, _searched))
    whole = plan.trials * plan.problem["epochs"]
    spent = ", ".join(f"{rule.name} {sum(trial.curve[-1].epoch for trial in rule.search)}" for rule in ranked)
    return [
        f"The search was given {plan.trials} trials of a rule, not their epochs: of {whole} epochs each rule trained "
        f"{spent}.",
        f"Search trials that fell behind were ended early ({plan.pruner}): {pruned} of {total}. Such a trial cannot be "
        f"chosen. Wherever search trials are compared it counts with its last score, which more epochs might have "
        f"raised; the expected best at small budgets is therefore a low estimate.",
    ]


def _about_patience(plan: Plan, trials: Sequence[TrialRecord]) -> list[str]:
    patience = plan.problem.get("patience")
    if patience is None:
        return []
    early = sum(trial.state == "stopped early" for trial in trials)
    return [
        f"Training ended after {_count(patience, 'epoch')} without a better validation {plan.metric_name} ({early} of "
        f"{_count(len(trials), 'trial')}); every trial counts with the weights of its best epoch."
    ]


def _pruned(rule: RuleResult) -> int:
    return sum(trial.pruned for trial in rule.search)


def _searched(rule: RuleResult) -> int:
    return len(rule.search)


def _about_execution(execution: Mapping[str, Any]) -> list[str]:
    if not execution:
        return []
    told = Execution.from_dict(execution)
    cause = f" They were not stacked: {told.reason.rstrip('.')}." if told.reason and told.width == 1 else ""
    return [f"Trials were trained {told}.{cause}"]


def _ties(plan: Plan) -> str:
    if plan.problem.get("share"):
        return "the lowest validation loss among those within one standard error of it"
    return "ties: the lower validation loss"


def _about_intervals(plan: Plan, ranked: Sequence[RuleResult]) -> str:
    if plan.seeds == 1:
        return "One seed gives no interval: no difference between rules can be shown."
    note = (
        f"Intervals are 95 % bootstrap intervals over {plan.seeds} seeds. They hold the spread from initial weights "
        f"and data order, not that from another data set or another search."
    )
    if len(ranked) > 2:
        note += (
            f" Each interval stands on its own; a difference is called shown where it holds among all pairs of the "
            f"{len(ranked)} rules at once (Holm's correction), with 95 % confidence."
        )
    return note


def _about_target(plan: Plan, ranked: Sequence[RuleResult], target: float | None) -> list[str]:
    if target is None:
        return []
    origin = (
        "as asked for"
        if plan.target is not None
        else "the median over rules of the tuned runs' mean final validation metric"
    )
    level = Measure.of(plan.metric_name, plan.maximize, plan.problem).brief(target)
    counted = "Steps and seconds to target are counted to the first epoch of a tuned run at which the validation"
    notes = [f"{counted} {plan.metric_name} reaches {level}, {origin}."]
    short = [
        f"{r.name} {len(r.tuned) - round(r.reached_share * len(r.tuned))} of {len(r.tuned)}"
        for r in ranked
        if r.tuned and r.reached_share < 1
    ]
    if short:
        notes.append(f"Tuned runs that never reached the target, left out of those means: {', '.join(short)}.")
    return notes


def _about_divergence(ranked: Sequence[RuleResult]) -> list[str]:
    counts = [(r.name, sum(t.diverged for t in r.tuned + r.default), len(r.tuned + r.default)) for r in ranked]
    told = [f"{name} {diverged} of {total}" for name, diverged, total in counts if diverged]
    if not told:
        return []
    return [f"Tuned and default runs that diverged and count as the untrained model: {', '.join(told)}."]


def _about_edges(ranked: Sequence[RuleResult]) -> list[str]:
    found = []
    for result in ranked:
        for axis in result.axes if result.best is not None else ():
            value = axis.value(result.best) if result.best is not None else None
            at = None if value is None or isinstance(axis.part, Choice) else axis.position(value)
            if value is not None and at is not None and not 0.02 <= at <= 0.98:
                found.append(f"{axis.name} of {result.name} ({brief(value)} in {axis.part})")
    if not found:
        return []
    return [f"Best values at the edge of their search range, beyond which better ones may lie: {', '.join(found)}."]


def _about_fixed_rules(ranked: Sequence[RuleResult]) -> list[str]:
    fixed = [result.name for result in ranked if not result.axes]
    return [f"Nothing to search, so one search trial counts for all: {', '.join(fixed)}."] if fixed else []


def _about_environments(trials: Sequence[TrialRecord]) -> list[str]:
    environments = [{**trial.machine, **trial.versions} for trial in trials]
    names = sorted({name for environment in environments for name in environment})
    differing = [name for name in names if any(e.get(name) != environments[0].get(name) for e in environments)]
    if not differing:
        return []
    told = f"Not all trials were run in one environment (they differ in {', '.join(differing)}): "
    return [told + "times, and the last digits of scores, may not be comparable."]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
