"""Numbers and sentences for people: as many digits as the measurement carries, and no more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..study.findings.measure import Measure as Measure
from ..study.findings.numbers import brief, signed

if TYPE_CHECKING:
    from ..problems import Setting
    from ..study.result import Difference, Estimate, Importance, Result, RuleResult


def settings_text(settings: Mapping[str, Setting]) -> str:
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


def share(estimate: Estimate | None) -> str:
    """A share with its interval, in whole percent; a dash where there is none."""
    if estimate is None:
        return "–"
    return f"{100 * estimate.mean:.0f} % ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"


def mattered(rule: RuleResult) -> str:
    """Which hyper-parameters mattered, in a sentence; why nothing can be said, where it cannot."""
    found = rule.importance
    if found[0].relevance is None:
        return found[0].sentence.partition(": ")[2].capitalize()
    yes = [each.hyper for each in sorted(found, key=_least_relevance) if each.matters]
    no = [each.hyper for each in found if not each.matters]
    told = f"{listed(yes)} mattered" if yes else "Nothing was shown to matter"
    return f"{told}; {listed(no)} {'was' if len(no) == 1 else 'were'} not shown to." if yes and no else f"{told}."


def _least_relevance(each: Importance) -> float:
    return -each.relevance.mean if each.relevance is not None else 0.0


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
