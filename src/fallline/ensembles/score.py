"""Scores of members and of their ensemble on one pass over the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import InputError, unknown
from ..problems import Problem, Split, seeded
from ..shown import Tabled
from ..training import Score
from ..training.crew import threads
from ..training.evaluate import rows_without_gradients
from . import diversity
from .calibration import Calibration, measure
from .combine import Combination, mean
from .diversity import Diversity

if TYPE_CHECKING:
    from rich.table import Table

_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, repr=False)
class Scores(Tabled):
    """What members, which have `names`, and ensemble reach on some data: means over examples.

    `diversity` says how members differ. Where outputs are of classes, `calibrations` are the members' and
    `calibration` the ensemble's, else there are none.
    """

    metric: str
    maximize: bool
    names: tuple[str, ...]
    members: tuple[Score, ...]
    ensemble: Score
    diversity: Diversity
    error: float | None = None
    """The standard error of the ensemble's metric from the number of examples, where it is a share of them."""
    calibrations: tuple[Calibration, ...] = ()
    calibration: Calibration | None = None

    def table(self) -> Table:
        """Members, their mean and the ensemble as a Rich table."""
        from .words import table

        return table(self)

    def sentences(self) -> list[str]:
        """What a prompt shows below the table."""
        from .words import findings

        return [*findings(self), "More: .diversity, .calibration, .to_dict()"]

    @property
    def mean(self) -> Score:
        """The mean of the members' scores: what one of them is to be expected to reach."""
        count = len(self.members)
        return Score(sum(s.loss for s in self.members) / count, sum(s.metric for s in self.members) / count)

    @property
    def best(self) -> int:
        """The place of the member with the best metric; on other data another one may be."""
        sign = 1 if self.maximize else -1
        return max(range(len(self.members)), key=lambda k: sign * self.members[k].metric)

    @property
    def gain(self) -> float:
        """By how much the ensemble's metric is better than the members' mean."""
        return (self.ensemble.metric - self.mean.metric) * (1 if self.maximize else -1)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for programs."""
        plain: dict[str, Any] = {
            "metric": self.metric,
            "maximize": self.maximize,
            "members": [score._asdict() for score in self.members],
            "mean": self.mean._asdict(),
            "ensemble": self.ensemble._asdict(),
            "error": self.error,
            "diversity": {
                "of_classes": self.diversity.of_classes,
                "disagreement": self.diversity.disagreement,
                "spread": self.diversity.spread,
                "pairwise": self.diversity.pairwise.tolist(),
            },
        }
        if self.calibration is not None:
            plain["calibration"] = _plain(self.calibration)
            for held, found in zip(plain["members"], self.calibrations, strict=True):
                held["calibration"] = _plain(found)
        return plain


def check_bins(bins: int) -> None:
    """Raises `InputError` for what is no number of bins."""
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise InputError(f"bins={bins!r} is not allowed; a whole number from 1 on is needed.")


@dataclass
class _Sums:
    """What a pass adds up."""

    losses: list[float]
    metrics: list[float]
    diversity: list[Diversity] = field(default_factory=list)
    calibrations: list[list[Calibration]] = field(default_factory=list)


def score(
    members: Sequence[nn.Module],
    names: Sequence[str],
    how: Combination,
    problem: Problem,
    split: str | Split,
    bins: int = 15,
) -> Scores:
    """Scores of members in evaluation mode, and of their ensemble, on a split of the problem or on other examples.

    Raises `InputError` for the name of a split that there is not.
    """
    check_bins(bins)
    if isinstance(split, str) and split not in _SPLITS:
        raise unknown("split", split, _SPLITS)
    data: Split = getattr(problem, split) if isinstance(split, str) else split
    sums = _Sums([0.0] * (len(members) + 1), [0.0] * (len(members) + 1))
    device = next(members[0].parameters()).device
    with torch.no_grad(), seeded(0), threads(problem, len(members)):
        for x, y in data.batches(rows_without_gradients(problem), device):
            _add(sums, [member(x) for member in members], y, how, problem, bins)
    losses, metrics = ([value / len(data) for value in values] for values in (sums.losses, sums.metrics))
    *each, together = (Score(loss, metric) for loss, metric in zip(losses, metrics, strict=True))
    found = [reduce(add, parts) for parts in zip(*sums.calibrations, strict=True)]
    return Scores(
        metric=problem.metric.name,
        maximize=problem.metric.maximize,
        names=tuple(names),
        members=tuple(each),
        ensemble=together,
        diversity=reduce(add, sums.diversity),
        error=_error(together.metric, len(data)) if problem.metric.share else None,
        calibrations=tuple(found[:-1]),
        calibration=found[-1] if found else None,
    )


def _add(sums: _Sums, outputs: list[Tensor], y: Tensor, how: Combination, problem: Problem, bins: int) -> None:
    """Add what a batch says."""
    each = [how.probabilities(output) for output in outputs]
    combined = mean(each)
    for k, output in enumerate([*outputs, how.outputs(combined, outputs[0])]):
        sums.losses[k] += float(problem.loss(output, y)) * len(y)
        sums.metrics[k] += problem.metric.mean(output, y) * len(y)
    if not how.of_classes:
        sums.diversity.append(diversity.of_values(each))
        return
    labels, counted = how.labels(y)
    rows = [how.rows(p)[counted] for p in [*each, combined]]
    sums.diversity.append(diversity.of_classes(rows[:-1]))
    sums.calibrations.append([measure(p, labels[counted], bins) for p in rows])


def _error(share: float, examples: int) -> float:
    """Of a binomial share; no less than that of one example in the other class."""
    off = min(max(share, 1 / examples), 1 - 1 / examples)
    return math.sqrt(max(0.0, off * (1 - off)) / examples)


def _plain(found: Calibration) -> dict[str, Any]:
    table = [{k: None if v != v else v for k, v in part._asdict().items()} for part in found.reliability]
    return {"ece": found.ece, "nll": found.nll, "brier": found.brier, "reliability": table}
