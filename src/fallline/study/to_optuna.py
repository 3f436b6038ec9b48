"""A study as Optuna studies, one a rule, so that the tools around Optuna open it: optuna-dashboard, its plots.

The search trials are the study's trials: their settings are the parameters, the final validation metric is the value,
the curve the intermediate values by epoch. What was found on test data stands among the study's user attributes. A
trial that diverged is a failed one there, since Optuna would count its value otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .result import Estimate, Result, RuleResult, TrialRecord

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from .findings.axes import Axis


def to_optuna(result: Result, storage: str | BaseStorage) -> list[str]:
    """Write each rule's search as an Optuna study named "<study>/<rule>"; returns the names.

    `storage` is a database URL or one of Optuna's storages. All studies are written or none. Raises `InputError` when
    the storage cannot be used or has them already, or when Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise InputError("exporting to Optuna needs it; install it with: pip install 'fallline[search]'") from None
    names = [f"{result.study.id}/{rule.name}" for rule in result.rules]
    with _quiet(), _opened(storage) as opened:
        there = {study.study_name for study in optuna.get_all_study_summaries(opened)}.intersection(names)
        if there:
            raise InputError(f"the storage {storage} has a study {min(there)} already; name another.")
        try:
            for name, rule in zip(names, result.rules, strict=True):
                study = optuna.create_study(
                    storage=opened, study_name=name, direction="maximize" if result.maximize else "minimize"
                )
                for key, value in _attributes(result, rule).items():
                    study.set_user_attr(key, value)
                study.add_trials(_trials(rule))
        except BaseException:
            for made in optuna.get_all_study_summaries(opened):
                if made.study_name in names:
                    optuna.delete_study(study_name=made.study_name, storage=opened)
            raise
    return names


def _trials(rule: RuleResult) -> list[FrozenTrial]:
    axes = {_parameter(axis, rule): axis for axis in rule.axes}
    spaces = {name: _distribution(axis, rule.search) for name, axis in axes.items()}
    return [_trial(number, t, axes, spaces) for number, t in enumerate(rule.search)]


def _trial(
    number: int, t: TrialRecord, axes: Mapping[str, Axis], spaces: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    counted = not t.diverged and math.isfinite(t.score)
    state = TrialState.FAIL if not counted else TrialState.PRUNED if t.pruned else TrialState.COMPLETE
    begun = datetime.fromisoformat(t.started).astimezone().replace(tzinfo=None)
    held = {name: axis.value(t) for name, axis in axes.items()}
    params = {name: value for name, value in held.items() if value is not None and _has_place(axes[name], value)}
    return FrozenTrial(
        number=number,
        state=state,
        value=t.score if counted else None,
        datetime_start=begun,
        datetime_complete=begun + timedelta(seconds=t.seconds),
        params=params,
        distributions={name: spaces[name] for name in params},
        user_attrs={
            "number": t.number,
            "seed": t.seed,
            "settings": dict(t.settings),
            "own": dict(t.own),
            "state": t.state,
            "reason": t.reason,
            "valid_loss": _plain(t.valid_loss),
            "steps": t.steps,
            "seconds": t.seconds,
        },
        system_attrs={},
        intermediate_values={point.epoch: point.valid_metric for point in t.curve},
        trial_id=number,
    )


def _parameter(axis: Axis, rule: RuleResult) -> str:
    return f"own_{axis.name}" if axis.own and axis.name in rule.rule.space else axis.name


def _distribution(axis: Axis, trials: Sequence[TrialRecord]) -> BaseDistribution:
    """The axis as Optuna has it, wide enough for every trial; Optuna has no log scale of 1 - value."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    from ..problems.space import Choice, Whole

    part = axis.part
    if isinstance(part, Choice):
        return CategoricalDistribution(part.values)
    values = [value for t in trials if (value := axis.value(t)) is not None]
    low, high = min([part.low, *values]), max([part.high, *values])
    if isinstance(part, Whole):
        return IntDistribution(int(low), int(high), log=part.log)
    return FloatDistribution(float(low), float(high), log=part.scale == "log" and float(low) > 0)


def _has_place(axis: Axis, value: Any) -> bool:
    """False for a default that is none of a choice's values."""
    return not axis.categories or value in axis.categories


def _attributes(result: Result, rule: RuleResult) -> dict[str, Any]:
    chosen = None if rule.best is None else {**rule.best.settings, **rule.best.own}
    return {
        "study": result.study.id,
        "problem": result.problem_name,
        "rule": rule.name,
        "metric": result.metric_name,
        "chosen trial": None if rule.best is None else rule.search.index(rule.best),
        "chosen settings": chosen,
        f"test {result.metric_name}, tuned": _estimate(rule.test_metric),
        f"test {result.metric_name}, defaults": _estimate(rule.default_metric),
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {
        "mean": _plain(estimate.mean),
        "95 % interval": [_plain(estimate.low), _plain(estimate.high)],
        "seeds": estimate.n,
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's word on every study that it makes."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def _opened(storage: str | BaseStorage) -> Iterator[BaseStorage]:
    """The storage; its own errors are told as a person can use them."""
    from optuna.exceptions import OptunaError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    ours = None
    try:
        if isinstance(storage, str):
            yield (ours := RDBStorage(storage))
        else:
            yield storage
    except (OptunaError, SQLAlchemyError, ImportError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"the storage {storage} cannot be used by Optuna: {said}") from error
    finally:
        if ours is not None:
            ours.remove_session()
            ours.engine.dispose()
