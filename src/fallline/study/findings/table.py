"""The ranking as a table for the terminal."""

from __future__ import annotations

import math

from rich import box
from rich.table import Table

from ..result import Difference, Estimate, Result, RuleResult
from .measure import Measure
from .numbers import brief


def table(result: Result) -> Table:
    """The rules of a result, the best first, one row each; a terminal of 100 columns holds it."""
    measure = result.measure
    target = "reaches" if result.target is None else f"to {measure.brief(result.target)}"
    drawn = Table(
        title=f"{result.problem_name}: {result.trials} trials and {result.seeds} seeds a rule{_state(result)}",
        box=box.SIMPLE,
        padding=0,
    )
    for title in ("rule", f"{measure.title('test')}\n95 % interval", "defaults", "minus\nbest", "tuned settings"):
        drawn.add_column(title)
    for title in (f"{target}\nin", "a step", "diverged"):
        drawn.add_column(title, justify="right")
    digits = measure.digits(rule.test_metric for rule in result.rules)
    for rule in result.rules:
        drawn.add_row(*_row(rule, result, measure, digits), end_section=True)
    return drawn


def _state(result: Result) -> str:
    return "" if result.complete else " (not complete)"


def _row(rule: RuleResult, result: Result, measure: Measure, digits: int) -> list[str]:
    difference = next((d for d in result.differences if d.second == rule.name), None)
    searched = rule.best.every_setting if rule.best is not None else {}
    return [
        rule.name,
        _interval(rule.test_metric, measure, digits),
        "" if rule.default_metric is None else measure.text(rule.default_metric.mean, digits, unit=False),
        _minus_best(difference, measure, digits),
        "\n".join(f"{axis.name} {brief(searched[axis.name])}" for axis in rule.axes if axis.name in searched),
        _reached(rule),
        _time(rule.step_seconds),
        _lost(rule),
    ]


def _minus_best(difference: Difference | None, measure: Measure, digits: int) -> str:
    if difference is None:
        return ""
    return measure.text(-difference.estimate.mean, digits, unit=False) if difference.shown else "no difference\nshown"


def _lost(rule: RuleResult) -> str:
    pruned = sum(trial.pruned for trial in rule.search)
    diverged = f"{sum(trial.diverged for trial in rule.search)} of {len(rule.search)}"
    return f"{diverged}\n{pruned} pruned" if pruned else diverged


def _reached(rule: RuleResult) -> str:
    steps, seconds = rule.steps_to_target, rule.seconds_to_target
    if steps is None or seconds is None:
        return "never" if rule.tuned else ""
    reached = round(rule.reached_share * len(rule.tuned))
    share = "" if reached == len(rule.tuned) else f"\n({reached} of {len(rule.tuned)})"
    return f"{steps.mean:.0f} steps\n{_time(seconds.mean)}{share}"


def _interval(estimate: Estimate | None, measure: Measure, digits: int) -> str:
    if estimate is None:
        return ""
    mean, low, high = (measure.text(v, digits, unit=False) for v in (estimate.mean, estimate.low, estimate.high))
    return f"{mean}\n({low} to {high})" if estimate.has_interval else mean


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "" if math.isnan(seconds) else f"{seconds * 1e6:.3g} µs"
