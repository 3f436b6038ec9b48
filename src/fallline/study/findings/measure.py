"""A metric as people read it: shares in percent, as many digits as the measurement carries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .numbers import signed

if TYPE_CHECKING:
    from ..result import Difference, Estimate


@dataclass(frozen=True)
class Measure:
    """The metric of a comparison, in the unit it is shown in: shares in `percent`, the rest as they are."""

    name: str
    maximize: bool
    percent: bool = False

    @classmethod
    def of(cls, name: str, maximize: bool, problem: Mapping[str, Any]) -> Measure:
        """The measure of a study's metric, by what its plan says of the problem."""
        return cls(name, maximize, bool(problem.get("share", name in ("accuracy", "error"))))

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

    def brief(self, value: float) -> str:
        """The value on its own, with four significant digits."""
        shown = self.shown(value)
        return "–" if shown is None else f"{shown:.4g}{self.unit}"

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
