"""What a reader of a comparison must know beside its numbers, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from .numbers import brief
from .record import Plan
from .result import RuleResult, TrialRecord


def notes(plan: Plan, ranked: Sequence[RuleResult], target: float | None, trials: Sequence[TrialRecord]) -> list[str]:
    """The notes of a result: how it was come by, what its intervals hold, and whatever was out of the ordinary."""
    return [
        *_about_completeness(plan, trials),
        _about_protocol(plan),
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
    return (
        f"Every rule was given {_count(plan.trials, 'random draw')} from its own search space, all trained with "
        f"seed {plan.seed}. The draw with the best final validation {plan.metric_name} ({_ties(plan)}) was trained "
        f"again with {_count(plan.seeds, 'fresh seed')}, as were the rule's defaults, and scored on test data. "
        f"Initial weights and data order depend on the seed alone, so the rules are paired by seed."
    )


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
        note += f" Each of the {len(ranked) - 1} differences is tested on its own, none is corrected for the others."
    return note


def _about_target(plan: Plan, ranked: Sequence[RuleResult], target: float | None) -> list[str]:
    if target is None:
        return []
    origin = (
        "as asked for"
        if plan.target is not None
        else "the median over rules of the tuned runs' mean final validation metric"
    )
    counted = "Steps and seconds to target are counted to the first epoch of a tuned run at which the validation"
    notes = [f"{counted} {plan.metric_name} reaches {target:.4g}, {origin}."]
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
    found = [
        f"{hyper} of {result.name} ({brief(result.best.settings[hyper])} in {space})"
        for result in ranked
        if result.best is not None
        for hyper, space in result.rule.space.items()
        if not 0.02 <= space.position(result.best.settings[hyper]) <= 0.98
    ]
    if not found:
        return []
    return [f"Best values at the edge of their search range, beyond which better ones may lie: {', '.join(found)}."]


def _about_fixed_rules(ranked: Sequence[RuleResult]) -> list[str]:
    fixed = [result.name for result in ranked if not result.rule.space]
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
