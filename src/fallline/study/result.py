"""What a comparison found: values only, read from the record. Nothing here trains or measures anything."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..shown import Tabled
from .findings.measure import Measure

if TYPE_CHECKING:
    import pandas
    from rich.table import Table

    from ..problems import Setting
    from ..rules import Rule
    from ..training import Point
    from .findings.axes import Axis


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the record keeps it.

    `kind` is "search" (drawn from the search space, scored on validation data), "default" or "tuned" (fresh seeds,
    scored on test data). `settings` are the rule's hyper-parameters, `own` the problem's. `state` is "finished",
    "stopped early" (the problem's patience was over), "diverged" or "pruned" (ended early by a pruning rule; the curve
    stops there, and `reason` says where). `counted` is the epoch that counts where the problem has patience: the best
    one. `seconds` is the trial's wall time, `step_seconds` the mean time of one optimizer step.
    """

    rule: str
    kind: str
    number: int
    seed: int
    settings: Mapping[str, float]
    state: str
    reason: str
    curve: Sequence[Point]
    steps: int
    seconds: float
    step_seconds: float
    test_loss: float | None
    test_metric: float | None
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    started: str
    own: Mapping[str, Setting] = field(default_factory=dict)
    counted: int | None = None

    @property
    def every_setting(self) -> dict[str, Setting]:
        """The rule's settings and the problem's own ones."""
        return {**self.settings, **self.own}

    @property
    def diverged(self) -> bool:
        """Whether the trial was stopped because its loss left every bound."""
        return self.state == "diverged"

    @property
    def pruned(self) -> bool:
        """Whether a pruning rule ended the trial before its last epoch."""
        return self.state == "pruned"

    @property
    def last(self) -> Point:
        """The point that counts: the last one trained to, or the best; the untrained model when the trial diverged."""
        return self.curve[0 if self.diverged else -1 if self.counted is None else self.counted]

    @property
    def score(self) -> float:
        """The last validation metric (a pruned trial's is that of its last epoch); untrained when it diverged."""
        return self.last.valid_metric

    @property
    def valid_loss(self) -> float:
        """The last validation loss (a pruned trial's is that of its last epoch); untrained when it diverged."""
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
class Slice:
    """The score to expect along one hyper-parameter, the others as in the chosen trial: mean and 95 % band.

    `positions` are shares of the searched range, or the middles of a choice's parts.
    """

    positions: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Importance:
    """How much one hyper-parameter mattered in a rule's search, each measure with its 95 % interval.

    `relevance` is the share of the score's variance over the search range that goes with the hyper-parameter, alone or
    together with others, by a Gaussian process (`study.relevance`); `dummy` is what it gives a column of random
    numbers, and `matters` says that the one lies above the other. The other measures are Optuna's
    (`study.measures`), as shares of their sum. All are None where nothing can be said; `sentence` says why.
    """

    hyper: str
    own: bool
    relevance: Estimate | None
    fanova: Estimate | None
    ped_anova: Estimate | None
    mean_decrease_impurity: Estimate | None
    dummy: Estimate | None
    matters: bool
    slice: Slice | None
    sentence: str


@dataclass(frozen=True)
class RuleResult:
    """What the comparison found about one rule.

    `best` is the search trial that won on validation data; `tuned` and `default` are the runs of its settings and of
    the defaults on fresh seeds. `expected_best[b - 1]` is the expected best validation metric of a search of b trials.
    Steps and seconds to target are means over the tuned runs that reached it, `reached_share` of them. `own` describes
    the problem's own search space (`problems.space.describe`).
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
    bytes_per_parameter: float
    state_arrays: int
    equation: tuple[str, ...] = ()
    maximize: bool = True
    own: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def importance(self) -> tuple[Importance, ...]:
        """Which of the searched hyper-parameters mattered; worked out when it is first asked for."""
        from .findings.importance import importance

        return importance(self)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The searched hyper-parameters, the rule's and then the problem's own."""
        from .findings.axes import axes

        return axes(self.rule, self.own)


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


@dataclass(frozen=True, repr=False)
class Result(Tabled):
    """A comparison's answer. `rules` are ranked, the best first; `notes` say what to know beside the numbers.

    `trials` is the search budget of each rule and `seeds` the number of fresh seeds; `target` is the validation metric
    that steps and seconds to target refer to. `complete` is false when the comparison was interrupted. `sampler` and
    `pruner` are the names of how the search chose its trials and ended them early.
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
    sampler: str = "random"
    pruner: str = "none"

    @property
    def study_id(self) -> str:
        """The study's name in the record."""
        return self.study.id

    @property
    def measure(self) -> Measure:
        """How the metric is shown: shares in percent."""
        return Measure.of(self.metric_name, self.maximize, self.study.problem)

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
        from .findings.summary import load

        return load(path, study)

    def table(self) -> Table:
        """The ranking as a Rich table."""
        from .findings.table import table

        return table(self)

    def sentences(self) -> list[str]:
        """What a prompt shows below the table: whether the first two can be told apart, and where more is said."""
        first = [difference.sentence for difference in self.differences[:1]]
        return [*first, 'More: .differences, .notes, .best.best.settings, .frame(), .report("report.html")']

    def frame(self, curves: bool = False) -> pandas.DataFrame:
        """The trials as a pandas DataFrame, a row each; with `curves` a row for each point of their curves.

        Raises `InputError` when pandas is not installed.
        """
        from .export import frame

        return frame(self, curves)

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
        from .findings.plain import plain

        return {**plain(self), "best": self.best.name}

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)
