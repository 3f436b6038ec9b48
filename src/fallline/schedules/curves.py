"""What schedules do over a run, as numbers to draw."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from .follower import follow
from .plan import Schedules
from .schedule import Absolute

_BATCH = 1000
"""The batch size that a drawn run begins with, large enough that its growth is not rounded away."""


@dataclass(frozen=True)
class Curve:
    """One quantity over a run: its factor (or its own value, where `absolute`) at each of `epochs` (fractional)."""

    quantity: str
    epochs: tuple[float, ...]
    values: tuple[float, ...]
    absolute: bool = False

    @property
    def title(self) -> str:
        """What is drawn, in words."""
        return f"{self.quantity}, the value itself" if self.absolute else f"{self.quantity}, times its base value"


@dataclass(frozen=True)
class Drawn:
    """A schedule's curves. `steps` are the updates that the run takes, `nominal` those without batch growth."""

    text: str
    curves: tuple[Curve, ...]
    epochs: int
    nominal: int
    steps: int
    watches: bool


def curves(schedules: Schedules, steps: int, epochs: int, points: int = 600) -> Drawn:
    """The curves over a run of `steps` updates (before any growth of the batch) in `epochs`, at most `points` each.

    What depends on the validation loss is drawn for one that never falls. Raises `InputError` for counts that are not
    allowed or do not fit, and for schedules that do not fit into the run.
    """
    for name, count in (("steps", steps), ("epochs", epochs)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(f"{name}={count!r} is not allowed; allowed: whole numbers of at least 1.")
    if steps % epochs:
        raise InputError(
            f"steps={steps} is not allowed with epochs={epochs}: all epochs have as many updates; the next that fits "
            f"is {-(-steps // epochs) * epochs}."
        )
    run = follow(schedules, examples=steps // epochs * _BATCH, batch_size=_BATCH, epochs=epochs)
    if run.watches:
        for epoch in range(epochs):
            run.observe(epoch, 1.0)
    firsts = [run.first_step(epoch) for epoch in range(epochs + 1)]
    found: dict[str, list[float]] = {name: [] for name in schedules.quantities}
    at: list[float] = []
    for step in sorted({k * (run.steps - 1) // max(1, points - 1) for k in range(points)}):
        epoch = max(e for e in range(epochs) if firsts[e] <= step)
        at.append(epoch + (step - firsts[epoch]) / (firsts[epoch + 1] - firsts[epoch]))
        factors = {**run.factors(step), "batch_size": run.batch_size(epoch) / _BATCH}
        for name, values in found.items():
            values.append(factors[name])
    made = [
        Curve(name, tuple(at), tuple(map(float, values)), isinstance(values[0], Absolute))
        for name, values in found.items()
    ]
    return Drawn(str(schedules), tuple(made), epochs, steps, run.steps, run.watches)
