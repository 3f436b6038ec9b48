"""What a record holds, at a glance and without a single curve: its studies, how far they are, what is ahead."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sqlalchemy import Connection, select

from ..plan import Plan
from .record import Record
from .schema import planned, studies, trials


@dataclass(frozen=True)
class Overview:
    """A study: how many of its planned trials are done, and which rule is ahead on test data, where any is scored."""

    id: str
    problem: str
    rules: tuple[str, ...]
    done: int
    planned: int
    complete: bool
    created: str
    opened: str
    metric: str
    best_rule: str | None
    best_score: float | None


def overview(record: Record) -> list[Overview]:
    """The studies of an open record, the one begun or gone on with last at the end."""

    def work(connection: Connection) -> tuple[dict[str, str], list[tuple[str, str, str, float | None, float | None]]]:
        query = select(planned.c.study, planned.c.rule, planned.c.kind, trials.c.test_metric, trials.c.test_loss)
        rows = connection.execute(query.join(trials, trials.c.key == planned.c.key))
        opened = connection.execute(select(studies.c.id, studies.c.opened).order_by(studies.c.opened))
        return {row.id: row.opened for row in opened}, [tuple(row) for row in rows]

    opened, rows = record.database.run(work)
    done: dict[str, int] = defaultdict(int)
    scores: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for study, rule, kind, metric, loss in rows:
        done[study] += 1
        if kind == "tuned" and metric is not None and loss is not None:
            scores[study][rule].append((metric, loss))
    return [_overview(record, id, when, done[id], scores[id]) for id, when in opened.items()]


def _overview(
    record: Record, id: str, opened: str, done: int, scores: Mapping[str, Sequence[tuple[float, float]]]
) -> Overview:
    facts, plan = record.study(id)
    best, score = _ahead(plan, scores)
    return Overview(
        id=id,
        problem=plan.problem_name,
        rules=tuple(rule["name"] for rule in plan.rules),
        done=done,
        planned=plan.planned,
        complete=done == plan.planned,
        created=facts.created,
        opened=opened,
        metric=plan.metric_name,
        best_rule=best,
        best_score=score,
    )


def _ahead(plan: Plan, scores: Mapping[str, Sequence[tuple[float, float]]]) -> tuple[str | None, float | None]:
    """The rule with the best mean test metric of its tuned runs, ties by test loss, and that mean."""
    means = {
        rule: (fmean(metric for metric, _ in runs), fmean(loss for _, loss in runs)) for rule, runs in scores.items()
    }
    sound = {rule: mean for rule, mean in means.items() if all(map(math.isfinite, mean))}
    if not sound:
        return None, None
    sign = -1 if plan.maximize else 1
    best = min(sound, key=lambda rule: (sign * sound[rule][0], sound[rule][1]))
    return best, sound[best][0]
