"""Which hyper-parameters mattered, by several measures side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..marks import plain, reach, rows
from . import Panel, View, picture

if TYPE_CHECKING:
    from ...study.result import Estimate, Importance, RuleResult

_BESIDE = (
    ("fanova", "fANOVA", "square-open", 0.04),
    ("ped_anova", "PED-ANOVA", "diamond-open", 0.2),
    ("mean_decrease_impurity", "mean decrease impurity", "triangle-up-open", 0.36),
)
_GREY = "#8A8A8A"
_TICKS = [0, 25, 50, 75, 100]


@picture("How much each hyper-parameter mattered", section="importance", place=1)
def relevance(view: View) -> list[Panel]:
    """Large mark: the share of the variance of the validation {metric} over the search range that goes with a
    hyper-parameter, alone or together with others, by a Gaussian process with one length scale for each; the line is
    its 95 % interval. It is filled where the hyper-parameter mattered: where the interval lies to the right of what a
    column of random numbers gets (dotted line). Grey: Optuna's measures, as shares of their sum (square fANOVA, diamond
    PED-ANOVA, triangle mean decrease impurity), with 95 % intervals over resampled trials. Few trials leave wide
    intervals."""
    panels = [(rule, [each for each in rule.importance if each.relevance is not None]) for rule in view.result.rules]
    return [_panel(view, rule, known) for rule, known in panels if known]


def _panel(view: View, rule: RuleResult, known: list[Importance]) -> Panel:
    ordered = sorted(known, key=lambda each: -each.relevance.mean if each.relevance is not None else 0.0)
    traces = []
    for row, each in enumerate(ordered):
        for name, title, symbol, below in _BESIDE:
            estimate: Estimate | None = getattr(each, name)
            if estimate is not None:
                mark = {"symbol": symbol, "size": 6, "color": _GREY, "line": {"width": 1.2, "color": _GREY}}
                traces.append(_mark(estimate, row + below, mark, f"{plain(each.hyper)}, {title}", 1.0))
        look = view.looks[rule.name]
        symbol = look.symbol if each.matters else f"{look.symbol}-open"
        mark = {"symbol": symbol, "size": 11, "color": look.colour, "line": {"width": 1.5, "color": look.colour}}
        if each.relevance is not None:
            traces.append(_mark(each.relevance, row - 0.2, mark, f"<b>{plain(each.hyper)}</b>", 2.4))
    layout: dict[str, Any] = {
        "xaxis": {"range": [-1.5, 104], "tickvals": _TICKS, "ticktext": [f"{tick} %" for tick in _TICKS]},
        "yaxis": rows([each.hyper for each in ordered]),
        "margin": {"l": 8, "r": 12, "t": 6, "b": 28},
    }
    dummy = ordered[0].dummy
    if dummy is not None:
        line = {"color": _GREY, "width": 1.5, "dash": "dot"}
        at = 100 * dummy.high
        layout["shapes"] = [{"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": line}]
    label = f"Relevance of the hyper-parameters of {rule.name}: {' '.join(each.sentence for each in ordered)}"
    return Panel(traces, layout, label, rule.name, height=46 + 54 * len(ordered), wide=False)


def _mark(estimate: Estimate, y: float, mark: dict[str, Any], name: str, thickness: float) -> dict[str, Any]:
    mean, low, high = (100 * value for value in (estimate.mean, estimate.low, estimate.high))
    return {
        "x": [mean],
        "y": [y],
        "error_x": reach((mean, low, high), thickness, mark["color"]),
        "mode": "markers",
        "marker": mark,
        "cliponaxis": False,
        "hovertext": [f"{name}: {mean:.0f} %<br>{low:.0f} to {high:.0f} %"],
        "hoverinfo": "text",
    }
