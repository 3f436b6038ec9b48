"""The ranking as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich import box
from rich.table import Table

from .numbers import brief
from .result import Difference, Estimate, Result, RuleResult


def table(result: Result) -> Table:
    """The rules of a result, the best first, one row each; a terminal of 100 columns holds it."""
    target = "reaches" if result.target is None else f"to {result.target:.3g}"
    drawn = Table(
        title=f"{result.problem_name}: {result.trials} trials and {result.seeds} seeds a rule{_state(result)}",
        box=box.SIMPLE,
        padding=0,
    )
    for title in ("rule", f"test {result.metric_name}\n(95 % interval)", "defaults", "minus\nbest", "tuned settings"):
        drawn.add_column(title)
    for title in (f"{target}\nin", "a step", "diverged"):
        drawn.add_column(title, justify="right")
    digits = _digits(rule.test_metric for rule in result.rules)
    for rule in result.rules:
        drawn.add_row(*_row(rule, result, digits), end_section=True)
    return drawn


def _state(result: Result) -> str:
    return "" if result.complete else " (not complete)"


def _row(rule: RuleResult, result: Result, digits: int) -> list[str]:
    difference = next((d for d in result.differences if d.second == rule.name), None)
    settings = rule.best.settings if rule.best is not None else {}
    return [
        rule.name,
        _interval(rule.test_metric, digits),
        "" if rule.default_metric is None else _number(rule.default_metric.mean, digits),
        _minus_best(difference, digits),
        "\n".join(f"{name} {brief(settings[name])}" for name in rule.rule.space if name in settings),
        _reached(rule),
        _time(rule.step_seconds),
        f"{sum(t.diverged for t in rule.search)} of {len(rule.search)}",
    ]


def _minus_best(difference: Difference | None, digits: int) -> str:
    if difference is None:
        return ""
    return _number(-difference.estimate.mean, digits) if difference.shown else "no difference\nshown"


def _reached(rule: RuleResult) -> str:
    steps, seconds = rule.steps_to_target, rule.seconds_to_target
    if steps is None or seconds is None:
        return "never" if rule.tuned else ""
    reached = round(rule.reached_share * len(rule.tuned))
    share = "" if reached == len(rule.tuned) else f"\n({reached} of {len(rule.tuned)})"
    return f"{steps.mean:.0f} steps\n{_time(seconds.mean)}{share}"


def _interval(estimate: Estimate | None, digits: int) -> str:
    if estimate is None:
        return ""
    mean = _number(estimate.mean, digits)
    if not estimate.has_interval:
        return mean
    return f"{mean}\n({_number(estimate.low, digits)} to {_number(estimate.high, digits)})"


def _digits(estimates: Iterable[Estimate | None]) -> int:
    """Decimals that show two digits of a middling interval's width, at most five."""
    widths = sorted(e.high - e.low for e in estimates if e is not None and e.has_interval and e.high > e.low)
    return min(max(1 - math.floor(math.log10(widths[(len(widths) - 1) // 2])), 0), 5) if widths else 4


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "" if math.isnan(seconds) else f"{seconds * 1e6:.3g} µs"
