"""Numbers and sentences for people: as many digits as the measurement carries, and no more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..study.numbers import brief, signed

if TYPE_CHECKING:
    from ..study.result import Difference, Estimate, Result, RuleResult

_SHARES = {"accuracy", "error"}


@dataclass(frozen=True)
class Measure:
    """The metric of a comparison, in the unit it is shown in: shares as percent, the rest as they are."""

    name: str
    maximize: bool

    @property
    def percent(self) -> bool:
        """Whether it is shown in percent."""
        return self.name in _SHARES

    @property
    def unit(self) -> str:
        """The unit with the space before it, or nothing."""
        return " %" if self.percent else ""

    def decades(self, values: Iterable[float]) -> bool:
        """Whether a log axis suits these values: what is better the closer it comes to zero, shares aside."""
        return not self.maximize and not self.percent and all(value > 0 for value in values)

    def shown(self, value: float | None) -> float | None:
        """The value in the unit shown; None where there is none to show."""
        if value is None or not math.isfinite(value):
            return None
        return value * 100 if self.percent else value

    def place(self, estimate: Estimate) -> tuple[float, float, float]:
        """Mean, low and high in the unit shown; all the mean where there is no interval."""
        mean, low, high = (self.shown(each) for each in (estimate.mean, estimate.low, estimate.high))
        mean = 0.0 if mean is None else mean
        return mean, mean if low is None else low, mean if high is None else high

    def title(self, of: str) -> str:
        """An axis title, such as `test accuracy (%)`."""
        return f"{of} {self.name}" + (" (%)" if self.percent else "")

    def digits(self, estimates: Iterable[Estimate | None]) -> int:
        """Decimals for a column: enough for its narrower intervals, and for two digits of its smallest mean."""
        known = [each for each in estimates if each is not None and math.isfinite(each.mean)]
        scale = 100 if self.percent else 1
        widths = sorted(scale * (each.high - each.low) / 2 for each in known if each.high > each.low)
        if self.percent:
            return min(max(_place(widths[len(widths) // 4] / 2), 1), 2) if widths else 1
        means = [abs(each.mean) / 10 for each in known if each.mean]
        fine = [_place(size) for size in (*widths[len(widths) // 4 :][:1], *sorted(means)[:1])]
        return min(max(fine, default=2), 4)

    def text(self, value: float | None, digits: int, unit: bool = True) -> str:
        """The value with that many decimals and its unit; a dash where there is none."""
        shown = self.shown(value)
        return "–" if shown is None else signed(f"{shown:.{digits}f}") + (self.unit if unit else "")

    def interval(self, estimate: Estimate, digits: int) -> str:
        """`97.2 to 98.4 %`."""
        return f"{self.text(estimate.low, digits, unit=False)} to {self.text(estimate.high, digits)}"

    def lead(self, difference: Difference) -> tuple[float, float, float]:
        """By how much the first rule is better than the second, in the unit shown: mean, low and high."""
        sign, estimate = (1 if self.maximize else -1) * (100 if self.percent else 1), difference.estimate
        mean = sign * estimate.mean
        if not estimate.has_interval:
            return mean, mean, mean
        low, high = sorted((sign * estimate.low, sign * estimate.high))
        return mean, low, high

    def points(self, gap: float, digits: int, unit: bool = True) -> str:
        """A lead in words: percentages differ by points."""
        if not math.isfinite(gap):
            return "–"
        return signed(f"{gap:.{digits}f}") + (" points" if unit and self.percent else "")


def _place(size: float) -> int:
    """The decimal that the first digit of a number stands at; none before the point."""
    return max(-math.floor(math.log10(size)), 0)


def settings_text(settings: Mapping[str, float]) -> str:
    """`lr = 3.1e-3, beta1 = 0.91`."""
    return ", ".join(f"{name} = {brief(value)}" for name, value in settings.items())


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it: 12 µs, 3.4 ms, 1.2 s, 4 min 10 s."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds >= 100:
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min" + (f" {rest} s" if rest else "")
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale or unit == "µs":
            return f"{significant(seconds / scale)} {unit}"
    raise AssertionError(seconds)


def significant(value: float | None, digits: int = 3) -> str:
    """A number with three significant digits, thousands set apart, zeros kept: 1,240, 12.0, 0.105."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 1e7 or abs(value) < 1e-4:
        return brief(value, digits)
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return signed(f"{value:,.{decimals}f}")


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def scored(result: Result) -> list[RuleResult]:
    """The rules that have a test score to speak of, best first: not those whose every search trial diverged."""
    return [rule for rule in result.rules if rule.test_metric is not None and rule.diverged_share < 1]


def leads(result: Result) -> list[Difference]:
    """The differences of the best rule to the others, best first."""
    ranked = scored(result)
    found = [_pair(result, ranked[0].name, rule.name) for rule in ranked[1:]]
    return [difference for difference in found if difference is not None and math.isfinite(difference.estimate.mean)]


def _pair(result: Result, first: str, second: str) -> Difference | None:
    return next((d for d in result.differences if (d.first, d.second) == (first, second)), None)
