"""From what `compare` is asked to the plan of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..problems import Problem
from ..problems.source import whole_path
from ..problems.space import describe as describe_own
from ..rules import Rule
from ..rules.naming import replaced, split
from . import practice
from .arguments import finite, size, stack, whole
from .described import describe
from .plan import Plan
from .search import pruners
from .search.batches import batch_size, batches
from .search.pruners import Hyperband
from .search.samplers.known import find as find_sampler
from .search.space import check_names


def make_plan(
    problem: Problem,
    rules: Sequence[Rule],
    *,
    trials: int,
    seeds: int,
    seed: int,
    target: float | None,
    sampler: str,
    pruner: Any,
    batch: int | None,
    memory: int | str | None,
    stacked: str | int,
    processes: int | None,
    rule_sources: Sequence[str],
) -> Plan:
    """The plan of a study. Raises `InputError` for whatever cannot be run."""
    check_names(rules, problem.space)
    practice.check(problem, rules)
    trials, ends = whole("trials", trials, 1), pruners.find(pruner)
    plan = Plan(
        problem_name=problem.name,
        metric_name=problem.metric.name,
        maximize=problem.metric.maximize,
        target=finite("target", target),
        trials=trials,
        seeds=whole("seeds", seeds, 1),
        seed=whole("seed", seed, 0),
        rules=tuple(describe(rule) for rule in rules),
        problem={
            "fingerprint": problem.fingerprint,
            "parameters": problem.parameters_count,
            "sizes": dict(problem.sizes),
            "batch_size": problem.batch_size,
            "epochs": problem.epochs,
            "share": problem.metric.share,
            **practice.kept(problem),
        },
        notes=(*problem.notes, *practice.told(problem, rules)),
        source=problem.source,
        data=problem.data,
        rule_sources=tuple(rule_sources),
        sampler=find_sampler(sampler).name,
        pruner="none" if ends is None else ends.name,
        own=describe_own(problem.space, problem.defaults),
        options=_options(sampler, ends, batch, trials),
        training={
            "memory": size("memory", memory),
            "stack": stack(stacked),
            "processes": None if processes is None else whole("processes", processes, 1),
        },
    )
    if ends is not None and problem.patience is not None:
        raise InputError(
            f"pruner={ends.name!r} does not go with a patience: both end trials early. Leave out one of them, or take "
            "away the problem's own by patience='none'."
        )
    if ends is not None and not any(part.bracket.rungs for part in batches(plan)):
        raise InputError(
            f"pruner={ends.name!r} would end no trial: {trials} trials of {problem.epochs} epochs leave no rung for "
            f"eta={ends.eta} and min_epochs={ends.min_epochs}; give more of them, a smaller eta, or no pruner."
        )
    return plan


def sources(rules: str | Rule | Iterable[str | Rule]) -> list[str]:
    """Where each rule can be found again: its name, or "file.py:name" with the file's whole path."""
    if isinstance(rules, str):
        rules = split(rules)
    given = [rules] if isinstance(rules, Rule) else rules
    return [rule.name if isinstance(rule, Rule) else replaced(rule, whole_path) for rule in given]


def _options(sampler: str, pruner: pruners.Pruner | None, batch: int | None, trials: int) -> Mapping[str, Any]:
    """What sampler and pruner were given; nothing where a plain random search asks for all at once."""
    if batch is not None and isinstance(pruner, Hyperband):
        raise InputError("batch does not go with pruner='hyperband', whose brackets are the batches.")
    chosen = batch_size(sampler, pruner, trials) if batch is None else min(whole("batch", batch, 1), trials)
    options: dict[str, Any] = {} if batch is None and chosen == trials else {"batch": chosen}
    if pruner is not None:
        options |= {"eta": pruner.eta, "min_epochs": pruner.min_epochs}
    return options
