"""Learning curves of the search trials."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import Panel, View, picture, zoom

if TYPE_CHECKING:
    from ...study.result import RuleResult, TrialRecord

_MOST = 40  # curves in a panel
_BAND = 300  # trials that the band is drawn from
_ENDS = {"diverged": "x-thin-open", "pruned": "line-ns-open", "stopped early": "line-ns-open"}


@picture("Learning curves of the search", section="tuning", place=2)
def search(view: View) -> list[Panel]:
    """Validation {metric} of each search trial, the chosen one thick. A cross ends a trial that diverged, an upright
    stroke one that was pruned or stopped early. What starts or ends below the edge is cut off; double-click to see
    all."""
    measure = view.measure
    ends = [
        value
        for rule in view.result.rules
        for record in rule.search
        if not record.diverged and (value := measure.shown(record.score)) is not None
    ]
    if len(ends) < 2:
        return []
    window = zoom(ends, measure.maximize, share=0.8)
    healthy = (record for rule in view.result.rules for record in rule.search if not record.diverged)
    longest = max(record.curve[-1].epoch for record in healthy)
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "range": [0, max(longest, 4)], "nticks": 6, "tickangle": 0},
        "yaxis": {"range": list(window), "nticks": 4},
        "margin": {"l": 40, "r": 8, "t": 6, "b": 40},
    }
    return [_panel(view, rule, layout) for rule in view.result.rules if rule.search]


def _panel(view: View, rule: RuleResult, layout: dict[str, Any]) -> Panel:
    look, measure = view.looks[rule.name], view.measure
    drawn = _sample(rule, _MOST)
    few = len(drawn) < len(rule.search)
    best = rule.best.number if rule.best is not None else None
    others = [record for record in drawn if record.number != best]
    traces = [_band(view, rule)] if few else []
    # one trace for all thin curves: a gap stands between each two
    x: list[int | None] = []
    y: list[float | None] = []
    for record in others:
        points = _points(view, record)
        x += [epoch for epoch, _ in points] + [None]
        y += [value for _, value in points] + [None]
    thin = {"color": look.wash(0.45), "width": 1}
    traces.append({"x": x, "y": y, "mode": "lines", "line": thin, "hoverinfo": "skip"})
    traces += _ends(view, rule, others)
    traces += [_chosen(view, rule, record) for record in drawn if record.number == best]
    note = (
        f"Of more than {_MOST} trials, {_MOST} drawn at random are shown; nine of ten lie in the band." if few else ""
    )
    label = f"Validation {measure.name} over the epochs of {len(rule.search)} search trials of {rule.name}."
    return Panel(traces, layout, label, group=rule.name, height=200, wide=False, note=note)


def _ends(view: View, rule: RuleResult, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Marks where trials ended early."""
    look = view.looks[rule.name]
    traces = []
    for state, symbol in _ENDS.items():
        last = [points[-1] for record in records if record.state == state and (points := _points(view, record))]
        if last:
            traces.append(
                {
                    "x": [epoch for epoch, _ in last],
                    "y": [value for _, value in last],
                    "mode": "markers",
                    "marker": {
                        "symbol": symbol,
                        "size": 7,
                        "color": look.colour,
                        "line": {"width": 1.4, "color": look.colour},
                    },
                    "hovertext": [state] * len(last),
                    "hoverinfo": "text",
                }
            )
    return traces


def _chosen(view: View, rule: RuleResult, record: TrialRecord) -> dict[str, Any]:
    points = _points(view, record)
    unit = view.measure.unit
    return {
        "x": [epoch for epoch, _ in points],
        "y": [value for _, value in points],
        "mode": "lines",
        "line": {"color": view.looks[rule.name].colour, "width": 2.6},
        "hovertext": [f"trial {record.number}, epoch {epoch}: {value:.4g}{unit}" for epoch, value in points],
        "hoverinfo": "text",
    }


def _sample(rule: RuleResult, most: int) -> Sequence[TrialRecord]:
    if len(rule.search) <= most:
        return rule.search
    drawn = set(random.Random(0).sample(range(len(rule.search)), most))
    best = rule.best.number if rule.best is not None else None
    return [record for i, record in enumerate(rule.search) if i in drawn or record.number == best]


def _points(view: View, record: TrialRecord) -> list[tuple[int, float]]:
    shown = ((point.epoch, view.measure.shown(point.valid_metric)) for point in record.curve)
    return [(epoch, value) for epoch, value in shown if value is not None]


def _band(view: View, rule: RuleResult) -> dict[str, Any]:
    """From the 5 % to the 95 % quantile of the trials that are in training, at up to 30 of the epochs."""
    look, records = view.looks[rule.name], _sample(rule, _BAND)
    longest = max(len(record.curve) for record in records)
    epochs: list[int] = []
    low: list[float] = []
    high: list[float] = []
    for place in sorted({round(i * (longest - 1) / 29) for i in range(30)}):
        points = [record.curve[place] for record in records if len(record.curve) > place]
        values = sorted(value for p in points if (value := view.measure.shown(p.valid_metric)) is not None)
        if values:
            epochs.append(points[0].epoch)
            low.append(values[round(0.05 * (len(values) - 1))])
            high.append(values[round(0.95 * (len(values) - 1))])
    return {
        "x": epochs + epochs[::-1],
        "y": high + low[::-1],
        "fill": "toself",
        "fillcolor": look.wash(0.13),
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
    }
