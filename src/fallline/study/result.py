"""What a comparison found: values only, read from the record. Nothing here trains or measures anything."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from ..rules import Rule
    from ..training import Point


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the record keeps it.

    `kind` is "search" (drawn from the rule's space, scored on validation data), "default" or "tuned" (fresh seeds,
    scored on test data). `seconds` is the trial's wall time, `step_seconds` the mean time of one optimizer step.
    """

    rule: str
    kind: str
    number: int
    seed: int
    settings: Mapping[str, float]
    state: str
    reason: str
    curve: tuple[Point, ...]
    steps: int
    seconds: float
    step_seconds: float
    test_loss: float | None
    test_metric: float | None
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    started: str

    @property
    def diverged(self) -> bool:
        """Whether the trial was stopped because its loss left every bound."""
        return self.state == "diverged"

    @property
    def last(self) -> Point:
        """The point that counts: the last epoch, or the untrained model when the trial diverged."""
        return self.curve[0 if self.diverged else -1]

    @property
    def score(self) -> float:
        """The final validation metric; the untrained model's when the trial diverged."""
        return self.last.valid_metric

    @property
    def valid_loss(self) -> float:
        """The final validation loss; the untrained model's when the trial diverged."""
        return self.last.valid_loss


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds with its 95 % bootstrap interval; the interval is NaN where one value allows none."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def has_interval(self) -> bool:
        """Whether there were enough values for an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class RuleResult:
    """What the comparison found about one rule.

    `best` is the search trial that won on validation data; `tuned` and `default` are the runs of its settings and of
    the defaults on fresh seeds. `expected_best[b - 1]` is the expected best validation metric of a search of b trials.
    Steps and seconds to target are means over the tuned runs that reached it, `reached_share` of them.
    """

    name: str
    rule: Rule
    search: tuple[TrialRecord, ...]
    best: TrialRecord | None
    tuned: tuple[TrialRecord, ...]
    default: tuple[TrialRecord, ...]
    test_metric: Estimate | None
    test_loss: Estimate | None
    default_metric: Estimate | None
    default_loss: Estimate | None
    expected_best: tuple[float, ...]
    diverged_share: float
    steps_to_target: Estimate | None
    seconds_to_target: Estimate | None
    reached_share: float
    step_seconds: float
    bytes_per_parameter: int
    state_arrays: int
    equation: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """The test metric of rule `first` minus that of rule `second`, paired by seed.

    `shown` is false where the interval spans zero (or there is none); `sentence` says it in words.
    """

    first: str
    second: str
    estimate: Estimate
    shown: bool
    sentence: str


@dataclass(frozen=True)
class Study:
    """Where a result comes from: its name in the record, when and on what it was started, the problem."""

    id: str
    created: str
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    seed: int = 0
    problem: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A comparison's answer. `rules` are ranked, the best first; `notes` say what to know beside the numbers.

    `trials` is the search budget of each rule and `seeds` the number of fresh seeds; `target` is the validation metric
    that steps and seconds to target refer to. `complete` is false when the comparison was interrupted.
    """

    problem_name: str
    metric_name: str
    maximize: bool
    target: float | None
    trials: int
    seeds: int
    complete: bool
    rules: tuple[RuleResult, ...]
    differences: tuple[Difference, ...]
    notes: list[str]
    study: Study

    @property
    def best(self) -> RuleResult:
        """The rule that ranks first."""
        return self.rules[0]

    @staticmethod
    def load(path: Path | str, study: str | None = None) -> Result:
        """The result of a study, from a record, the directory that holds it, or a database URL.

        The study begun or gone on with last, unless `study` names another. Raises `RecordError` for a damaged record,
        `InputError` when there is no record or no such study.
        """
        from .summary import load

        return load(path, study)

    def table(self) -> Table:
        """The ranking as a Rich table."""
        from .table import table

        return table(self)

    def plot(self, path: Path | str | None = None) -> Any:
        """The ranking and the learning curves as a Matplotlib figure; also saved when `path` is given."""
        from ..report import figure

        return figure(self, path)

    def report(self, path: Path | str) -> Path:
        """Write the report, one HTML file that needs no network; returns its path."""
        from ..report import write

        return write(self, Path(path))

    def to_dict(self) -> dict[str, Any]:
        """Everything, curves included, as plain values for `json`; a number that is not finite becomes None."""
        return {**_plain(self), "best": self.best.name}

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)


def _plain(value: Any) -> Any:
    from ..rules import Rule

    if isinstance(value, Rule):
        return _plain_rule(value)
    if isinstance(value, TrialRecord):
        return {**_fields(value), "score": _plain(value.score), "valid_loss": _plain(value.valid_loss)}
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}


def _plain_rule(rule: Rule) -> dict[str, Any]:
    hypers = {name: _plain(hyper) for name, hyper in rule.hypers.items()}
    return {
        "name": rule.name,
        "paper": rule.paper,
        "summary": rule.summary,
        "states": list(rule.states),
        "hypers": hypers,
    }
