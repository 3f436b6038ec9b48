"""Where good settings lie: the metric against each hyper-parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...study.numbers import brief
from ..marks import plain
from ..words import settings_text
from . import Panel, View, picture, zoom

if TYPE_CHECKING:
    from ...rules import Range
    from ...study.result import RuleResult, TrialRecord


@picture("Validation {metric} against each hyper-parameter", section="tuning", place=2)
def slices(view: View) -> list[Panel]:
    """One dot is one search trial, the ringed one was chosen. Crosses diverged, triangles lie beyond the
    edge, and the dotted line marks the default. All panels share the vertical axis. Where the best dots crowd
    at the side of a panel, the search range should be wider."""
    measure = view.measure
    ended = [
        value
        for rule in view.result.rules
        for record in rule.search
        if record.state == "finished" and (value := measure.shown(record.score)) is not None
    ]
    if not ended:
        return []
    window = zoom(ended, measure.maximize, share=0.7)
    return [
        _panel(view, rule, name, space, window)
        for rule in view.result.rules
        if rule.search
        for name, space in rule.rule.space.items()
    ]


def _panel(view: View, rule: RuleResult, name: str, space: Range, window: tuple[float, float]) -> Panel:
    look, measure = view.looks[rule.name], view.measure
    low, high = window
    worst = low if measure.maximize else high
    dots: list[dict[str, Any]] = []
    for record in rule.search:
        at = _position(space, record.settings.get(name))
        if at is None:
            continue
        value = measure.shown(record.score)
        lost = record.state != "finished" or value is None
        beyond = not lost and value is not None and not low <= value <= high
        down = "triangle-down-open" if measure.maximize else "triangle-up-open"
        dots.append(
            {
                "x": at,
                "y": worst if lost or beyond else value,
                "symbol": "x-thin-open" if lost else down if beyond else look.symbol,
                "text": _hover(record, "diverged" if lost else f"{value:.4g}{measure.unit}"),
                "chosen": not lost and rule.best is not None and record.number == rule.best.number,
            }
        )
    trace = {
        "x": [dot["x"] for dot in dots],
        "y": [dot["y"] for dot in dots],
        "mode": "markers",
        "cliponaxis": False,
        "marker": {
            "symbol": [dot["symbol"] for dot in dots],
            "size": 8,
            "color": look.wash(0.75),
            "line": {"width": 1.5, "color": look.colour},
        },
        "hovertext": [dot["text"] for dot in dots],
        "hoverinfo": "text",
    }
    chosen = [dot for dot in dots if dot["chosen"]]
    ring = {
        "x": [dot["x"] for dot in chosen],
        "y": [dot["y"] for dot in chosen],
        "mode": "markers",
        "cliponaxis": False,
        "marker": {"symbol": "circle-open", "size": 17, "color": look.colour, "line": {"width": 2}},
        "hoverinfo": "skip",
    }
    default = _position(space, rule.rule.defaults.get(name))
    ticks = [(at, text) for value, text in _ticks(space) if (at := _position(space, value)) is not None]
    layout: dict[str, Any] = {
        "xaxis": {
            "range": [-0.06, 1.06],
            "tickvals": [at for at, _ in ticks],
            "ticktext": [text for _, text in ticks],
            "tickangle": 0,
        },
        "yaxis": {"range": [low, high], "nticks": 4},
        "margin": {"l": 40, "r": 8, "t": 6, "b": 28},
    }
    if default is not None and -0.06 <= default <= 1.06:
        line = {"color": "#8A8A8A", "width": 1.5, "dash": "dot"}
        layout["shapes"] = [
            {"type": "line", "x0": default, "x1": default, "yref": "paper", "y0": 0, "y1": 1, "line": line}
        ]
    lost_count = sum(record.state != "finished" for record in rule.search)
    label = f"Validation {measure.name} of {rule.name} against {name}, {len(dots)} trials, {lost_count} diverged."
    return Panel([trace, ring], layout, label, name, group=rule.name, height=180, wide=False)


def _hover(record: TrialRecord, value: str) -> str:
    settings = plain(settings_text(record.settings)).replace(", ", "<br>")
    return f"trial {record.number}: {plain(value)}<br>{settings}"


def _position(space: Range, value: float | None) -> float | None:
    """Where the value stands on its axis; None where the axis has no place for it (zero on a log axis)."""
    if value is None:
        return None
    try:
        at = space.position(value)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return at if math.isfinite(at) else None


def _ticks(space: Range) -> Sequence[tuple[float, str]]:
    """Round values along the range, few enough to stand side by side."""
    if space.scale == "log":
        return [(10.0**k, brief(10.0**k)) for k in _decades(space.low, space.high)]
    if space.scale == "one_minus_log":
        near = [(1 - 10.0**k, f"{1 - 10.0**k:.{max(-k, 1)}f}") for k in _decades(1 - space.high, 1 - space.low)]
        return [(space.low, f"{space.low:g}"), *near] if len(near) < 3 else near
    width = space.high - space.low
    return [(space.low + width * k / 4, f"{space.low + width * k / 4:.3g}") for k in (0, 2, 4)]


def _decades(low: float, high: float) -> list[int]:
    first, last = math.ceil(math.log10(low) - 1e-6), math.floor(math.log10(high) + 1e-6)
    return list(range(first, last + 1, max((last - first) // 4 + 1, 1)))
