"""From a study's trials to its result: every number of a comparison is computed here, from the record alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from statistics import fmean, median
from typing import Any

from ...errors import InputError, unknown
from ..described import restore
from ..plan import Plan
from ..record.record import Record
from ..result import Estimate, Result, RuleResult, TrialRecord
from ..search.samplers import SAMPLERS
from .differences import differences
from .measure import Measure
from .notes import notes
from .statistics import expected_best, mean_interval


def load(where: Path | str, study: str | None = None) -> Result:
    """The result of a study in a record: the one begun or gone on with last unless `study` names another."""
    with Record.read(where) as record:
        known = record.study_ids()
        if not known:
            raise InputError(f"the record {record.where} holds no study; `fallline compare --out DIR` makes one.")
        if study is not None and study not in known:
            raise unknown(f"study in {record.where}", study, known)
        return summarize(record, study or known[-1])


def summarize(record: Record, study: str, extra_notes: Iterable[str] = ()) -> Result:
    """The result of one study of an open record, of what is finished of it."""
    facts, plan = record.study(study)
    trials = record.trials(study)
    rules = [_of_rule(rule, [t for t in trials if t.rule == rule["name"]], plan) for rule in plan.rules]
    target = plan.target if plan.target is not None else _common_target(rules)
    results = [_result(rule, plan, target) for rule in rules]
    ranked = sorted(results, key=lambda result: _rank(result, plan.maximize))
    complete = len(trials) == plan.planned
    return Result(
        plan.problem_name,
        plan.metric_name,
        plan.maximize,
        target,
        plan.trials,
        plan.seeds,
        complete,
        tuple(ranked),
        differences(ranked, Measure.of(plan.metric_name, plan.maximize, plan.problem), _step(plan)),
        [*extra_notes, *notes(plan, ranked, target, trials, record.execution(study) or {})],
        facts,
        plan.sampler,
        plan.pruner,
    )


def select(search: Sequence[TrialRecord], plan: Plan) -> TrialRecord | None:
    """The search trial that wins: the best final validation metric, or what validation data cannot tell from it.

    A share of few examples is a coarse measure, and the best of many draws is often the luckiest. Among the trials
    within one standard error of the best share (Breiman et al. 1984, section 3.4.3) the lowest validation loss wins;
    with other metrics, among those that tie. Then the earlier one. A pruned trial is no candidate: how it would have
    ended is not known.
    """
    ended = [t for t in search if not t.pruned]
    best = min(ended, key=lambda t: _worse(t.score, plan.maximize), default=None)
    if best is None:
        return None
    reach = _worse(best.score, plan.maximize) + _standard_error(best.score, plan)
    level = [t for t in ended if _worse(t.score, plan.maximize) <= reach and not (t.diverged and not best.diverged)]
    return min(level, key=lambda t: (_worse(t.valid_loss, False), t.number))


def _standard_error(score: float, plan: Plan) -> float:
    """Of a share of the validation examples; 0 for a metric whose spread is not known."""
    count = plan.problem.get("sizes", {}).get("valid", 0)
    if not plan.problem.get("share") or not count or not 0 <= score <= 1:
        return 0.0
    smoothed = (score * count + 1) / (count + 2)  # a perfect score on few examples is no certainty
    return math.sqrt(smoothed * (1 - smoothed) / count)


@dataclass(frozen=True)
class _Trials:
    """A rule's trials, by kind."""

    described: Mapping[str, Any]
    search: tuple[TrialRecord, ...]
    tuned: tuple[TrialRecord, ...]
    default: tuple[TrialRecord, ...]


def _of_rule(described: Mapping[str, Any], trials: Sequence[TrialRecord], plan: Plan) -> _Trials:
    kinds = (tuple(t for t in trials if t.kind == kind) for kind in ("search", "tuned", "default"))
    return _Trials(described, *kinds)


def _common_target(rules: Sequence[_Trials]) -> float | None:
    """A level that about half of the rules reach: the median over rules of the tuned runs' mean validation metric."""
    levels = [fmean(t.score for t in rule.tuned) for rule in rules if rule.tuned]
    return median(levels) if levels and all(map(math.isfinite, levels)) else None


def _result(trials: _Trials, plan: Plan, target: float | None) -> RuleResult:
    reached = [point for t in trials.tuned if (point := _reached(t, target, plan.maximize)) is not None]
    every = trials.search + trials.tuned + trials.default
    return RuleResult(
        name=trials.described["name"],
        rule=restore(trials.described),
        search=trials.search,
        best=select(trials.search, plan),
        tuned=trials.tuned,
        default=trials.default,
        test_metric=_estimate((t.test_metric for t in trials.tuned), *_range(plan), _step(plan)),
        test_loss=_estimate(t.test_loss for t in trials.tuned),
        default_metric=_estimate((t.test_metric for t in trials.default), *_range(plan), _step(plan)),
        default_loss=_estimate(t.test_loss for t in trials.default),
        expected_best=_best_of(trials.search, plan),
        diverged_share=fmean(t.diverged for t in trials.search) if trials.search else 0.0,
        steps_to_target=_estimate((point.step for point in reached), 0),
        seconds_to_target=_estimate((point.seconds for point in reached), 0),
        reached_share=len(reached) / len(trials.tuned) if trials.tuned else 0.0,
        step_seconds=median(t.step_seconds for t in every) if every else math.nan,
        bytes_per_parameter=trials.described["bytes_per_parameter"],
        state_arrays=trials.described["state_arrays"],
        equation=tuple(trials.described["equation"]),
        maximize=plan.maximize,
        own=plan.own,
    )


def _best_of(search: Sequence[TrialRecord], plan: Plan) -> tuple[float, ...]:
    """The best validation metric of a search of b trials, b = 1 ... n, a pruned trial counting with its last score.

    Expected over all orders of the trials; of an adaptive sampler, whose trials come in the one order, as it was.
    """
    scores = [t.score for t in search]
    if not SAMPLERS[plan.sampler].adaptive:
        return expected_best(scores, plan.maximize)
    better = max if plan.maximize else min
    worst = -math.inf if plan.maximize else math.inf
    return tuple(accumulate((worst if math.isnan(score) else score for score in scores), better))


def _reached(trial: TrialRecord, target: float | None, maximize: bool) -> Any:
    """The first point of a run that reaches the target; a diverged run reaches nothing."""
    if target is None or trial.diverged:
        return None
    met = (p for p in trial.curve if (p.valid_metric >= target if maximize else p.valid_metric <= target))
    return next(met, None)


def _estimate(
    values: Iterable[float | None], low: float = -math.inf, high: float = math.inf, step: float = 0.0
) -> Estimate | None:
    """The mean with its interval, which is cut at the values that are possible at all; `step` as in `mean_interval`."""
    present = [float(value) for value in values if value is not None]
    if not present:
        return None
    found = mean_interval(present, step=step)
    return found if not found.has_interval else replace(found, low=max(found.low, low), high=min(found.high, high))


def _range(plan: Plan) -> tuple[float, float]:
    """The values that the metric can take."""
    return (0.0, 1.0) if plan.problem.get("share") else (-math.inf, math.inf)


def _step(plan: Plan) -> float:
    """The distance of neighbouring test scores: one example of a share, else unknown."""
    count = plan.problem.get("sizes", {}).get("test", 0)
    return 1 / count if plan.problem.get("share") and count else 0.0


def _rank(result: RuleResult, maximize: bool) -> tuple[float, ...]:
    """Best test metric first, ties by test loss; rules that have not come that far after them, by validation score."""
    if result.test_metric is not None and result.test_loss is not None:
        return (0, _worse(result.test_metric.mean, maximize), _worse(result.test_loss.mean, False))
    if result.best is not None:
        return (1, _worse(result.best.score, maximize), _worse(result.best.valid_loss, False))
    return (2, 0, 0)


def _worse(value: float, maximize: bool) -> float:
    """A number that is larger the worse the value is; NaN is the worst."""
    return math.inf if math.isnan(value) else -value if maximize else value
