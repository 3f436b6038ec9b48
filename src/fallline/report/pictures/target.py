"""How soon each rule reaches the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..marks import dot, note, plain, rows
from ..words import duration, significant
from . import Panel, View, picture

if TYPE_CHECKING:
    from ...study.result import Estimate


@picture("Steps and seconds to the target", section="speed")
def target(view: View) -> list[Panel]:
    """How long the tuned rules train until their validation score first reaches the target: mean and 95 %
    interval over the seeds that reach it. Hollow: some seeds never do."""
    steps = _panel(view, "steps", {rule.name: rule.steps_to_target for rule in view.result.rules})
    seconds = _panel(view, "seconds", {rule.name: rule.seconds_to_target for rule in view.result.rules})
    return [panel for panel in (steps, seconds) if panel is not None]


def _panel(view: View, unit: str, reached: dict[str, Estimate | None]) -> Panel | None:
    known = {name: estimate for name, estimate in reached.items() if estimate is not None}
    if not known:
        return None
    names = list(reached)
    sure = {rule.name for rule in view.result.rules if rule.reached_share >= 1}
    text = (lambda value: f"{significant(value)} steps") if unit == "steps" else duration
    traces = [
        dot(
            view.looks[name],
            _ends(estimate),
            names.index(name),
            f"<b>{plain(name)}</b>: {text(estimate.mean)}",
            name,
            filled=name in sure,
        )
        for name, estimate in known.items()
    ]
    layout = {
        "xaxis": {"title": {"text": f"{unit} to the target"}, "rangemode": "tozero"},
        "yaxis": rows(names),
        "annotations": [note(row, "not reached") for row, name in enumerate(names) if name not in known],
    }
    soonest = min(known, key=lambda name: known[name].mean)
    label = f"{unit.capitalize()} to the target of each rule: {soonest} is soonest, {text(known[soonest].mean)}."
    return Panel(traces, layout, label, unit.capitalize(), height=84 + 30 * len(names), wide=False)


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    mean = estimate.mean
    return (mean, estimate.low, estimate.high) if estimate.has_interval else (mean, mean, mean)
