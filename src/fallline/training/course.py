"""What is known of a trial while it trains, and when it counts as diverged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from .evaluate import Score
from .snapshots import Weights
from .trial import Outcome, Point, State, Trial

BOUND = 1e3
"""A loss above this many times the untrained model's (or 1, if that is more) counts as diverged."""

Tell = Callable[[int, Point], None]
"""Called with a trial's index and every point of its curve, the untrained model's included."""


@dataclass
class Course:
    """A trial in training: its place among all trials, its curve, the time it took, why it ended early."""

    index: int
    trial: Trial
    curve: list[Point] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    stepping: float = 0.0
    """Seconds of the optimizer steps that were timed."""
    timed: int = 0
    reason: str = ""
    kept: Weights = field(default_factory=dict)
    """Its weights at its best epoch, where it is to be scored at them."""

    @property
    def bound(self) -> float:
        """The loss above which the trial counts as diverged."""
        untrained = self.curve[0].valid_loss
        return BOUND * max(1.0, untrained) if math.isfinite(untrained) else math.inf

    def add(self, epoch: int, loss: float | None, score: Score) -> Point:
        """The next point of the curve."""
        self.curve.append(Point(epoch, self.steps, self.seconds, loss, *score))
        return self.curve[-1]

    def seen(self) -> dict[str, list[tuple[int, float]]]:
        """The validation losses after the epochs so far, as a schedule's state (`schedules.Follower.load`)."""
        return {"losses": [(point.epoch - 1, point.valid_loss) for point in self.curve[1:]]}

    def watch(self, value: float, step: int, epoch: int) -> bool:
        """Whether the loss of a training step is within bounds; if not, the reason is kept."""
        return self._within("training", value, f"at step {step} (epoch {epoch})")

    def check(self, score: Score, data: str, epoch: int) -> bool:
        """Whether a score is within bounds; if not, the reason is kept."""
        if not self._within(data, score.loss, f"after epoch {epoch}"):
            return False
        if not math.isfinite(score.metric):
            self.reason = f"the {data} metric was {score.metric} after epoch {epoch}"
        return not self.reason

    def _within(self, data: str, loss: float, when: str) -> bool:
        if abs(loss) <= self.bound:
            return True
        if math.isnan(loss):
            self.reason = f"the {data} loss was not a number (NaN) {when}"
        elif math.isinf(loss):
            self.reason = f"the {data} loss was infinite {when}"
        else:
            self.reason = f"the {data} loss was {loss:.3g} {when}, above the bound of {self.bound:.3g}"
        return False

    def outcome(self, test: Score | None = None, state: State | None = None) -> Outcome:
        """How the trial ended."""
        return Outcome(
            state=state or ("diverged" if self.reason else "finished"),
            reason=self.reason,
            curve=tuple(self.curve),
            steps=self.steps,
            seconds=self.seconds,
            step_seconds=self.stepping / self.timed if self.timed else 0.0,
            test_loss=test.loss if test else None,
            test_metric=test.metric if test else None,
        )
