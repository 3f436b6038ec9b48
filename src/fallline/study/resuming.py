"""Going on with a study from its record alone: plan, problem and rules are found again from where they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, unknown
from ..problems import Problem, load
from ..rules import Rule
from ..training import train as train_trials
from .candidates import load_rule
from .conduct import Place, conduct
from .described import describe
from .findings.summary import summarize
from .plan import Plan, digest
from .practice import again
from .record.record import Record
from .result import Result
from .work import Train

_AGAIN = "call fallline.compare again with what it is now, into the same directory; trials that still fit are reused"


def resume(
    out: Path | str | None = None,
    *,
    study: str | None = None,
    record: str | None = None,
    data: Path | str | None = None,
    progress: bool | None = None,
    _train: Train = train_trials,
) -> Result:
    """Go on with an interrupted comparison, and end with the numbers that it would have had.

    `out` and `record` are what `compare` was given, `study` is one of the studies there (default: the one begun or gone
    on with last), `data` the directory of the problem's data where it has moved. A study that is complete is read.

    Raises `InputError` when there is no such study, or when its problem or a rule cannot be found again or has changed;
    `RecordError` for a record that cannot be used.
    """
    place = Place.of(out, record)
    if place.where is None:
        raise InputError("resume needs the directory that the comparison was kept in, or the URL of its record.")
    with Record.read(place.where) as kept:
        plan = _plan(kept, study)
        if len(kept.trials(plan.study_id)) == plan.planned:
            return summarize(kept, plan.study_id, ["This study was complete already: nothing was left to train."])
    problem = _problem(plan, data)
    return conduct(plan, problem, _rules(plan), place, progress, _train)


def _plan(record: Record, study: str | None) -> Plan:
    known = record.study_ids()
    if not known:
        raise InputError(f"the record {record.where} holds no study; `fallline compare --out DIR` makes one.")
    if study is not None and study not in known:
        raise unknown(f"study in {record.where}", study, known)
    return record.study(study or known[-1])[1]


def _problem(plan: Plan, data: Path | str | None) -> Problem:
    if not plan.source:
        raise InputError(
            f"the problem {plan.problem_name} of study {plan.study_id} was given as a Python object, which cannot be "
            f"loaded again; {_AGAIN}."
        )
    problem = again(load(plan.source, data if data is not None else plan.data), plan.problem)
    if problem.fingerprint != plan.problem["fingerprint"]:
        raise InputError(
            f"the problem {plan.source} has changed since study {plan.study_id} began (its model, data, loss, batch "
            f"size, epochs, space or the weights to start from), so its trials cannot be compared; {_AGAIN}."
        )
    return problem


def _rules(plan: Plan) -> Sequence[Rule]:
    rules = [load_rule(source) for source in plan.rule_sources or [str(rule["name"]) for rule in plan.rules]]
    now = [describe(rule) for rule in rules]
    changed = [is_["name"] for is_, was in zip(now, plan.rules, strict=True) if _identity(is_) != _identity(was)]
    if changed:
        raise InputError(f"the rules changed since study {plan.study_id} began: {', '.join(changed)}; {_AGAIN}.")
    return rules


def _identity(described: Mapping[str, Any]) -> str:
    return digest([described["name"], described["fingerprint"], described["hypers"]])
