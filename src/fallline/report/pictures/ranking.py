"""The ranking: tuned and default test metric with their intervals."""

from __future__ import annotations

from typing import Any

from ..marks import beyond, dot, note, plain, rows, value
from ..words import scored
from . import Panel, View, picture, zoom


@picture("Test {metric}, tuned and with defaults", section="ranking")
def ranking(view: View) -> list[Panel]:
    """Filled: tuned, the mean over fresh seeds with its 95 % interval, each seed a small dot. Hollow: with
    the rule's defaults. An arrow leads to a value beyond the edge."""
    measure, rules = view.measure, view.result.rules
    ends = [end for rule in rules if rule.test_metric for end in measure.place(rule.test_metric)]
    if not scored(view.result):
        return []
    if view.result.seeds == 1:  # no intervals: the defaults give the differences a scale
        ends += [measure.place(rule.default_metric)[0] for rule in rules if rule.default_metric]
    low, high = zoom(ends, measure.maximize, share=0.6)
    digits = measure.digits(rule.test_metric for rule in rules)
    traces: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for row, rule in enumerate(rules):
        look, y = view.looks[rule.name], row - 0.1
        seeds = [measure.shown(record.test_metric) for record in rule.tuned]
        if len(seeds) > 1:
            traces.append(
                {
                    "x": seeds,
                    "y": [y] * len(seeds),
                    "mode": "markers",
                    "marker": {"size": 5, "color": look.wash(0.45)},
                    "hoverinfo": "skip",
                    "meta": rule.name,
                }
            )
        for estimate, kind, at in (
            (rule.default_metric, "defaults", row + 0.27),
            (rule.test_metric, "tuned", y),
        ):
            if estimate is None:
                continue
            text = measure.text(estimate.mean, digits)
            certainty = (
                f"{measure.interval(estimate, digits)}, {estimate.n} seeds" if estimate.has_interval else "one seed"
            )
            hover = f"<b>{plain(rule.name)}</b>, {kind}: {text}<br>{certainty}"
            mean, left, right = measure.place(estimate)
            if low <= mean <= high:
                where = (mean, left, right) if kind == "tuned" else (mean, mean, mean)
                traces.append(dot(look, where, at, hover, rule.name, filled=kind == "tuned"))
            else:
                lost = kind == "tuned" and rule.diverged_share >= 1
                words = "every search trial diverged" if lost else "" if kind == "tuned" else f"defaults {text}"
                notes.append(beyond(mean < low, at, words))
        if rule.test_metric is not None:
            notes.append(value(y, f"<b>{measure.text(rule.test_metric.mean, digits)}</b>"))
        elif rule.default_metric is None:
            notes.append(note(y, "every search trial diverged" if rule.diverged_share >= 1 else "not scored yet"))
    layout = {
        "xaxis": {"title": {"text": measure.title("test")}, "range": [low, high]},
        "yaxis": rows([rule.name for rule in rules]),
        "margin": {"r": 72},
        "annotations": notes,
    }
    leader = scored(view.result)[0]
    label = f"Test {measure.name} of {len(rules)} rules, best first: {leader.name} leads. Numbers are in the table."
    return [Panel(traces, layout, label, height=90 + 46 * len(rules))]
