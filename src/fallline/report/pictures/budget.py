"""What a smaller budget would have given."""

from __future__ import annotations

from ..marks import plain
from . import Panel, View, picture, zoom


@picture("Expected best at every budget", section="tuning", place=1)
def budget(view: View) -> list[Panel]:
    """The validation {metric} to expect from the best of so many random-search trials. A rule that is flat
    and high needs little tuning; one that climbs late needs a lot."""
    measure = view.measure
    traces, shown = [], []
    for rule in reversed(view.result.rules):
        look = view.looks[rule.name]
        values = [measure.shown(value) for value in rule.expected_best]
        if not values:
            continue
        shown.append((rule.name, values))
        traces.append(
            {
                "x": list(range(1, len(values) + 1)),
                "y": values,
                "mode": "lines+markers",
                "line": {"color": look.colour, "dash": look.line.plotly, "width": 2},
                "marker": {"symbol": look.symbol, "size": 6, "color": look.colour},
                "hovertext": [
                    f"<b>{plain(rule.name)}</b>, {trials} trials: {measure.text(value, 2 if measure.percent else 4)}"
                    for trials, value in enumerate(rule.expected_best, 1)
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
    return [Panel(traces, layout, label, buttons=tuple(name for name, _ in reversed(shown)))]
