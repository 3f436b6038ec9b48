"""Schedules in a run: which batch size an epoch has, which factors an update."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from ..errors import InputError
from .length import Run
from .plan import Schedules
from .schedule import Absolute

_LOOKED_AT = 512
"""Updates of a run at which the factors are checked before it begins."""


class Follower:
    """What schedules say of a run. Epochs and updates are counted from 0.

    It holds the validation losses that it was told of and nothing else: `state` and `load` are these.
    """

    def __init__(self, schedules: Schedules | None, examples: int, batch_size: int, epochs: int) -> None:
        self._epoch = -(-examples // batch_size)
        run = Run(epochs * self._epoch, self._epoch)
        self._at = {} if schedules is None else schedules.over(run)
        self._sizes = self._batch_sizes(schedules, examples, batch_size, epochs)
        self._counts = [-(-examples // size) for size in self._sizes]
        self._firsts = [0, *accumulate(self._counts)]
        self._losses: dict[int, float] = {}
        self.watches = schedules is not None and schedules.watches
        """Whether the factors depend on the validation losses."""
        self.steps = self._firsts[-1]
        """The updates of the whole run."""
        if schedules is not None:
            self._check(schedules)

    def batch_size(self, epoch: int) -> int:
        """The batch size of an epoch; beyond the run, that of the last one."""
        return self._sizes[min(epoch, len(self._sizes) - 1)]

    @property
    def epoch_steps(self) -> float:
        """The updates of an epoch; where the batch grows, the mean over the run."""
        return self.steps / len(self._counts)

    @property
    def largest_batch(self) -> int:
        """The largest batch size of the run."""
        return max(self._sizes)

    def first_step(self, epoch: int) -> int:
        """The first update of an epoch."""
        beyond = max(0, epoch - len(self._counts))
        return self._firsts[epoch - beyond] + beyond * self._counts[-1]

    def factors(self, step: int) -> dict[str, float]:
        """For each scheduled quantity but the batch size, the factor of its base value in this update.

        Where it is an `Absolute`, it is the value itself.
        """
        time = self._time(step)
        losses = sorted(self._losses.items()) if self.watches else []
        seen = [((epoch + 1.0) * self._epoch, loss) for epoch, loss in losses]
        return {name: at(time, seen) for name, at in self._at.items() if name != "batch_size"}

    def observe(self, epoch: int, valid_loss: float) -> None:
        """Take note of the validation loss at the end of an epoch."""
        self._losses[epoch] = float(valid_loss)

    def state(self) -> dict[str, Any]:
        """What is known of the run, as JSON has it."""
        return {"losses": [list(pair) for pair in sorted(self._losses.items())]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        self._losses = {int(epoch): float(loss) for epoch, loss in state["losses"]}

    def _time(self, step: int) -> float:
        """The progress of an update, in updates of the initial batch size."""
        epoch = min(bisect_right(self._firsts, step), len(self._counts)) - 1
        within = step - self._firsts[epoch]
        if self._counts[epoch] == self._epoch:
            return float(epoch * self._epoch + within)
        return epoch * self._epoch + within * self._epoch / self._counts[epoch]

    def _batch_sizes(self, schedules: Schedules | None, examples: int, base: int, epochs: int) -> list[int]:
        at = self._at.get("batch_size")
        if at is None:
            return [base] * epochs
        sizes = [max(1, round(base * at(float(epoch * self._epoch), []))) for epoch in range(epochs)]
        if max(sizes) > max(base, examples):
            raise InputError(
                f"schedule {str(schedules)!r} lets the batch grow from {base} to {max(sizes)} examples, more than the "
                f"{examples} that there are; grow it less, or give batch_growth a limit."
            )
        return sizes

    def _check(self, schedules: Schedules) -> None:
        """Raises `InputError` for momentum beyond what any rule allows."""
        at = self._at.get("momentum")
        if at is None:
            return
        for k in range(min(_LOOKED_AT, self.steps)):
            value = at(self._time(k * self.steps // min(_LOOKED_AT, self.steps)), [])
            if value > 1 or (isinstance(value, Absolute) and float(value) == 1.0):
                raise InputError(
                    f"schedule {str(schedules)!r} is not allowed: it multiplies momentum by {value:g}; factors of "
                    "momentum are from 0 to 1, since momentum is below 1."
                )


def follow(schedules: Schedules | None, *, examples: int, batch_size: int, epochs: int) -> Follower:
    """The schedules (None: nothing is scheduled) in a run over so many examples, the last batch of an epoch smaller.

    Raises `InputError` where they do not fit into the run.
    """
    return Follower(schedules, examples, batch_size, epochs)
