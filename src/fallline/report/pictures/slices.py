"""Where good settings lie: the metric against each hyper-parameter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..marks import plain
from ..ticks import ticks
from ..words import settings_text
from . import Panel, View, picture, zoom

if TYPE_CHECKING:
    from ...study.findings.axes import Axis
    from ...study.result import Importance, RuleResult, Slice, TrialRecord

_MOST = 300  # dots in a panel
_GREY = "#8A8A8A"


@picture("Validation {metric} against each hyper-parameter", section="importance", place=2)
def slices(view: View) -> list[Panel]:
    """One dot is one search trial, the ringed one was chosen. Crosses diverged, hourglasses were pruned and stand at
    their last score, triangles lie beyond the edge. The line is what the Gaussian process expects along this
    hyper-parameter with all others as in the chosen trial, the band its 95 % interval; the dotted line marks the
    default. All panels share the vertical axis. Where the best dots crowd at the side of a panel, the search range
    should be wider."""
    measure = view.measure
    ended = [
        value
        for rule in view.result.rules
        for record in rule.search
        if record.state in ("finished", "stopped early") and (value := measure.shown(record.score)) is not None
    ]
    if not ended:
        return []
    window = zoom(ended, measure.maximize, share=0.7)
    return [
        _panel(view, rule, axis, found, window)
        for rule in view.result.rules
        if rule.search
        for axis, found in zip(rule.axes, rule.importance, strict=True)
    ]


def _panel(view: View, rule: RuleResult, axis: Axis, found: Importance, window: tuple[float, float]) -> Panel:
    measure = view.measure
    drawn = _sample(rule)
    traces = [] if found.slice is None else _expected(view, rule, axis, found.slice)
    traces += _dots(view, rule, axis, drawn, window)
    counts = {state: sum(record.state == state for record in rule.search) for state in ("diverged", "pruned")}
    ended = ", ".join(f"{count} {state}" for state, count in counts.items() if count or state == "diverged")
    label = f"Validation {measure.name} of {rule.name} against {axis.name}, {len(rule.search)} trials, {ended}."
    few = len(drawn) < len(rule.search)
    note = f"Of more than {_MOST} trials, {_MOST} drawn at random and the chosen one are shown." if few else ""
    layout = _layout(axis, window)
    return Panel(traces, layout, label, axis.name, group=rule.name, height=180, wide=False, note=note)


def _sample(rule: RuleResult) -> Sequence[TrialRecord]:
    if len(rule.search) <= _MOST:
        return rule.search
    drawn = set(random.Random(0).sample(range(len(rule.search)), _MOST))
    best = rule.best.number if rule.best is not None else None
    return [record for i, record in enumerate(rule.search) if i in drawn or record.number == best]


def _expected(view: View, rule: RuleResult, axis: Axis, found: Slice) -> list[dict[str, Any]]:
    """The line with its band; of a choice, a short line with its interval at each value."""
    look, measure = view.looks[rule.name], view.measure
    bounds = (0.0, 100.0) if measure.percent else None
    mean, low, high = (
        [_within(measure.shown(value), bounds) for value in line] for line in (found.mean, found.low, found.high)
    )
    at = list(found.positions)
    line = {"x": at, "y": mean, "hoverinfo": "skip", "line": {"color": look.colour, "width": 1.2}}
    if axis.categories:
        reach = [h - m for h, m in zip(high, mean, strict=True)]
        below = [m - b for m, b in zip(mean, low, strict=True)]
        bars = {"type": "data", "symmetric": False, "array": reach, "arrayminus": below, "thickness": 9, "width": 0}
        mark = {"symbol": "line-ew-open", "size": 16, "color": look.colour, "line": {"width": 1.6}}
        return [{**line, "mode": "markers", "marker": mark, "error_y": {**bars, "color": look.wash(0.16)}}]
    band = {
        "x": at + at[::-1],
        "y": high + low[::-1],
        "fill": "toself",
        "fillcolor": look.wash(0.12),
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
    }
    return [band, {**line, "mode": "lines"}]


def _within(value: float | None, bounds: tuple[float, float] | None) -> float:
    value = 0.0 if value is None else value
    return value if bounds is None else min(max(value, bounds[0]), bounds[1])


def _dots(
    view: View, rule: RuleResult, axis: Axis, records: Sequence[TrialRecord], window: tuple[float, float]
) -> list[dict[str, Any]]:
    look, measure = view.looks[rule.name], view.measure
    low, high = window
    worst = low if measure.maximize else high
    dots: list[dict[str, Any]] = []
    for record in records:
        setting = axis.value(record)
        at = None if setting is None else axis.position(setting)
        if at is None:
            continue
        value = measure.shown(record.score)
        lost = record.diverged or value is None
        beyond = not lost and value is not None and not low <= value <= high
        down = "triangle-down-open" if measure.maximize else "triangle-up-open"
        symbol = "x-thin-open" if lost else down if beyond else "hourglass-open" if record.pruned else look.symbol
        said = "diverged" if lost else f"{value:.4g}{measure.unit}" + (", pruned" if record.pruned else "")
        dots.append(
            {
                "x": _apart(at, axis, record),
                "y": worst if lost or beyond else value,
                "symbol": symbol,
                "text": _hover(record, said),
                "chosen": rule.best is not None and record.number == rule.best.number and not lost,
            }
        )
    trace = {
        "x": [dot["x"] for dot in dots],
        "y": [dot["y"] for dot in dots],
        "mode": "markers",
        "cliponaxis": False,
        "marker": {
            "symbol": [dot["symbol"] for dot in dots],
            "size": 8 if len(dots) <= 64 else 5,
            "color": look.wash(0.75 if len(dots) <= 64 else 0.45),
            "line": {"width": 1.5 if len(dots) <= 64 else 1, "color": look.colour},
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
    return [trace, ring]


def _apart(at: float, axis: Axis, record: TrialRecord) -> float:
    """The position, of a choice spread a little so that equal ones can be told apart."""
    if not axis.categories:
        return at
    return at + (random.Random(record.number).random() - 0.5) * 0.4 / len(axis.categories)


def _layout(axis: Axis, window: tuple[float, float]) -> dict[str, Any]:
    labels = ticks(axis)
    layout: dict[str, Any] = {
        "xaxis": {
            "range": [-0.06, 1.06],
            "tickvals": [at for at, _ in labels],
            "ticktext": [plain(text) for _, text in labels],
            "tickangle": 0,
        },
        "yaxis": {"range": list(window), "nticks": 4},
        "margin": {"l": 40, "r": 8, "t": 6, "b": 28},
    }
    default = axis.position(axis.default)
    if default is not None and -0.06 <= default <= 1.06:
        line = {"color": _GREY, "width": 1.5, "dash": "dot"}
        layout["shapes"] = [
            {"type": "line", "x0": default, "x1": default, "yref": "paper", "y0": 0, "y1": 1, "line": line}
        ]
    return layout


def _hover(record: TrialRecord, value: str) -> str:
    settings = plain(settings_text(record.every_setting)).replace(", ", "<br>")
    return f"trial {record.number}: {plain(value)}<br>{settings}"
