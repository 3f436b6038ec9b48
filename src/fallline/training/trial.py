"""What goes into training and what comes out: a trial, the points of its curve, its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..problems import Setting
from ..rules import Rule

State = Literal["finished", "stopped early", "diverged", "pruned"]
"""How a trial ended."""


@dataclass(frozen=True)
class Trial:
    """One training run to do: a rule at its settings, from the initial weights and data order of a seed.

    `kind` says what it is for: a "search" trial is judged on validation data alone, a "default" or "tuned"
    one is also scored on test data. `number` counts the trials of a kind. `own` are values of the problem's own
    hyper-parameters; those that are missing are at their defaults.
    """

    rule: Rule
    settings: Mapping[str, float]
    seed: int
    kind: Literal["search", "default", "tuned"]
    number: int = 0
    own: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """A model at the end of an epoch; epoch 0 is the untrained model, which has no training loss.

    `step` counts optimizer steps, `seconds` training time without evaluation, both from the start.
    `train_loss` is the mean over the epoch's examples as they were seen; the others are over all validation
    examples.
    """

    epoch: int
    step: int
    seconds: float
    train_loss: float | None
    valid_loss: float
    valid_metric: float


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    A diverged trial says why in `reason`, and is worth its untrained model: `curve` ends with the last
    healthy epoch, and the test scores are those of the untrained weights. A pruned one was ended by `rungs`; its
    curve ends there. One whose patience was over says since when in `reason`; where the problem has a patience, test
    scores are those of the best epoch's weights. `seconds` is training time, `step_seconds` the mean time of an
    optimizer step alone; of trials that are trained together each has its share. Test scores are None for search
    trials.
    """

    state: State
    reason: str
    curve: tuple[Point, ...]
    steps: int
    seconds: float
    step_seconds: float
    test_loss: float | None
    test_metric: float | None
