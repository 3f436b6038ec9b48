"""What a learning-rate range test found: values only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...shown import Tabled
from ..findings.statistics import mean_interval
from ..result import Estimate
from .curve import Follower, Sweep, read

if TYPE_CHECKING:
    from rich.table import Table

BELOW = 10
"""The suggestion is so many times below the rate at which the loss is lowest."""


@dataclass(frozen=True, repr=False)
class LrRange(Tabled):
    """What a learning-rate range test found: rates are those of the rule's `lr`, `settings` its other hyper-parameters.

    `suggestion`, `steepest` and `diverges` are geometric means over the seeds with 95 % intervals, None where no sweep
    shows one. `seeds` is the number that was asked for, `complete` is false when the test was interrupted.
    """

    problem_name: str
    rule: str
    settings: Mapping[str, float]
    rates: tuple[float, ...]
    seeds: int
    sweeps: tuple[Sweep, ...]
    suggestion: Estimate | None
    steepest: Estimate | None
    diverges: Estimate | None
    complete: bool

    @property
    def advice(self) -> str:
        """What was found and how to use it, in a few sentences."""
        from .words import advice

        return advice(self)

    @property
    def notes(self) -> list[str]:
        """What to know beside the numbers, in sentences."""
        from .words import notes

        return notes(self)

    def table(self) -> Table:
        """The rates that each seed shows, as a Rich table."""
        from .words import table

        return table(self)

    def sentences(self) -> list[str]:
        """What a prompt shows below the table."""
        return [self.advice, 'More: .notes, .sweeps, .report("lr-range.html")']

    def plot(self, path: Path | str | None = None) -> Any:
        """The loss against the rate as a Matplotlib figure; also saved when `path` (.png, .svg, .pdf) is given."""
        from ...report.range_test import figure

        return figure(self, path)

    def report(self, path: Path | str) -> Path:
        """Write the page, one HTML file that needs no network; returns its path."""
        from ...report.range_test import write

        return write(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Everything, curves included, as plain values for `json`; an interval that one seed does not allow is None."""
        return {**_plain(asdict(self)), "advice": self.advice, "notes": self.notes}

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)


def summarize(
    problem: str,
    rule: str,
    settings: Mapping[str, float],
    rates: Sequence[float],
    followed: Mapping[int, Follower],
    complete: bool,
) -> LrRange:
    """The result of sweeps, by seed, of what was swept of them."""
    sweeps = tuple(read(seed, rates, follower, not complete) for seed, follower in followed.items() if follower.losses)
    step = math.log10(rates[1] / rates[0])
    lowest, steepest, diverges = (
        _geometric([rate for each in sweeps if (rate := getattr(each, name)) is not None], step)
        for name in ("minimum", "steepest", "diverges")
    )
    suggestion = None
    if lowest is not None:
        suggestion = Estimate(lowest.mean / BELOW, lowest.low / BELOW, lowest.high / BELOW, lowest.n)
    others = {name: value for name, value in settings.items() if name != "lr"}
    return LrRange(problem, rule, others, tuple(rates), len(followed), sweeps, suggestion, steepest, diverges, complete)


def _geometric(rates: Sequence[float], step: float) -> Estimate | None:
    """The geometric mean over seeds with its interval; neighbouring rates are `step` decades apart."""
    if not rates:
        return None
    found = mean_interval([math.log10(rate) for rate in rates], step=step)
    return Estimate(10**found.mean, 10**found.low, 10**found.high, found.n)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
