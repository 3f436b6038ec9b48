"""Learning curves of the tuned rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..marks import plain
from ..series import Series, series
from . import Panel, View, picture, zoom

if TYPE_CHECKING:
    from ...training import Point


@picture("Learning curves, tuned", section="learning")
def curves(view: View) -> list[Panel]:
    """Mean over the seeds; the band spans the seeds. The first epochs may lie beyond the edge: double-click
    to see all. A button hides or shows its rule."""
    measure = view.measure
    metric = _lines(view, lambda point: measure.shown(point.valid_metric))
    loss = _lines(view, lambda point: point.train_loss)
    panels = []
    if metric:
        traces = _traces(view, metric, lambda value: f"{value:.4g}{measure.unit}")
        if measure.decades(end for line in metric.values() for end in line.low):
            scale = _log(metric)
        else:
            late = [value for line in metric.values() for value in line.late(measure.maximize)]
            scale = {"range": zoom(late, measure.maximize, share=0.8)}
        label = f"Validation {measure.name} of each tuned rule over the epochs, mean and range of the seeds."
        layout = _layout(measure.title("validation"), scale)
        panels.append(Panel(traces, layout, label, "Validation", wide=False, buttons=tuple(metric)))
    if loss:
        traces = _traces(view, loss, lambda value: f"{value:.3g}")
        positive = min(value for line in loss.values() for value in line.low) > 0
        label = "Training loss of each tuned rule over the epochs, mean and range of the seeds."
        layout = _layout("training loss", _log(loss) if positive else {})
        panels.append(Panel(traces, layout, label, "Training", wide=False))
    return panels


def _layout(title: str, scale: dict[str, Any]) -> dict[str, Any]:
    return {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": title}, **scale}}


def _log(lines: dict[str, Series]) -> dict[str, Any]:
    low = min(value for line in lines.values() for value in line.low)
    high = max(value for line in lines.values() for value in line.high)
    # Plotly crowds a short log axis with a label at every digit; "D2" labels 1, 2 and 5.
    return {"type": "log", "dtick": "D2" if high / low < 300 else 1, "tickformat": "~g"}


def _lines(view: View, value: Callable[[Point], float | None]) -> dict[str, Series]:
    lines = {rule.name: series(rule.tuned, value) for rule in view.result.rules}
    return {name: line for name, line in lines.items() if line.epochs}


def _traces(view: View, lines: dict[str, Series], text: Callable[[float], str]) -> list[dict[str, Any]]:
    bands, means = [], []
    # The best rule is drawn last, on top of the others.
    for name, line in reversed(lines.items()):
        look = view.looks[name]
        if line.low != line.high:
            bands.append(
                {
                    "x": line.epochs + line.epochs[::-1],
                    "y": line.high + line.low[::-1],
                    "fill": "toself",
                    "fillcolor": look.wash(0.1),
                    "line": {"width": 0},
                    "mode": "lines",
                    "hoverinfo": "skip",
                    "meta": name,
                }
            )
        means.append(
            {
                "x": line.epochs,
                "y": line.mean,
                "mode": "lines",
                "line": {"color": look.colour, "dash": look.line.plotly, "width": 2},
                "hovertext": [
                    f"<b>{plain(name)}</b>, epoch {epoch}: {text(mean)}"
                    for epoch, mean in zip(line.epochs, line.mean, strict=True)
                ],
                "hoverinfo": "text",
                "meta": name,
            }
        )
    return bands + means
