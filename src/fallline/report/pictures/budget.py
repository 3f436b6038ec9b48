"""What a smaller budget would have given."""

from __future__ import annotations

from ..marks import plain
from . import Panel, View, picture, zoom

_MOST = 200  # budgets that are drawn for a rule


@picture("Expected best at every budget", section="tuning", place=1)
def budget(view: View) -> list[Panel]:
    """The validation {metric} to expect from the best of so many search trials. A rule that is flat and high needs
    little tuning; one that climbs late needs a lot."""
    measure = view.measure
    traces, shown = [], []
    for rule in reversed(view.result.rules):
        look = view.looks[rule.name]
        values = [measure.shown(value) for value in rule.expected_best]
        if not values:
            continue
        shown.append((rule.name, values))
        drawn = _budgets(len(values))
        traces.append(
            {
                "x": drawn,
                "y": [values[trials - 1] for trials in drawn],
                "mode": "lines+markers" if len(values) <= 64 else "lines",
                "line": {"color": look.colour, "dash": look.line.plotly, "width": 2},
                "marker": {"symbol": look.symbol, "size": 6, "color": look.colour},
                "hovertext": [
                    f"<b>{plain(rule.name)}</b>, {trials} trials: "
                    + measure.text(rule.expected_best[trials - 1], 2 if measure.percent else 4)
                    for trials in drawn
                ],
                "hoverinfo": "text",
                "meta": rule.name,
            }
        )
    if not shown or max(len(values) for _, values in shown) < 2:
        return []
    seen = [value for _, values in shown for value in values[len(values) // 3 :] if value is not None]
    layout = {
        "xaxis": {"title": {"text": "search trials"}, "rangemode": "tozero"},
        "yaxis": {
            "title": {"text": f"expected best {measure.title('validation')}"},
            "range": zoom(seen, measure.maximize, share=0.7),
        },
    }
    label = f"Expected best validation {measure.name} of each rule at budgets up to {view.result.trials} trials."
    from ...study.search.samplers import SAMPLERS

    adaptive = SAMPLERS[view.result.sampler].adaptive
    note = "The sampler learned from its own trials, so this is the best so far, in the one order there was."
    buttons = tuple(name for name, _ in reversed(shown))
    return [Panel(traces, layout, label, buttons=buttons, note=note if adaptive else "")]


def _budgets(count: int) -> list[int]:
    """The budgets drawn, every one of a few, of many the small ones closer together."""
    if count <= _MOST:
        return list(range(1, count + 1))
    return sorted({round(count ** (i / (_MOST - 1))) for i in range(_MOST)})
