"""Paired differences to the winner."""

from __future__ import annotations

from ..marks import beyond, dot, plain, rows
from ..words import leads
from . import Panel, View, picture, zoom


@picture("Lead of the best rule over each other one", section="differences")
def gaps(view: View) -> list[Panel]:
    """Paired by seed: the same initial weights and the same order of the data. Filled: a difference is shown.
    Hollow: none is, as the 95 % interval spans zero or leaves it out by too little among so many pairs of rules."""
    measure, found = view.measure, leads(view.result)
    if not found:
        return []
    best = found[0].first
    places = [measure.lead(difference) for difference in found]
    digits = measure.digits(difference.estimate for difference in found)
    low, high = zoom([0.0, *(end for place in places for end in place)], higher_is_better=False)
    traces, notes = [], []
    for row, (difference, place) in enumerate(zip(found, places, strict=True)):
        name, words = difference.second, [measure.points(end, digits) for end in place]
        if low <= place[0] <= high:
            hover = f"<b>{plain(best)}</b> over <b>{plain(name)}</b>: {words[0]}<br>{words[1]} to {words[2]}"
            traces.append(dot(view.looks[name], place, row, hover, name, filled=difference.shown))
        else:
            notes.append(beyond(place[0] < low, row, words[0]))
    layout = {
        "xaxis": {
            "title": {"text": f"lead of {plain(best)} in test {measure.name}" + " (points)" * measure.percent},
            "range": [low, high],
            "zeroline": True,
            "zerolinewidth": 2,
        },
        "yaxis": rows([difference.second for difference in found]),
        "annotations": notes,
    }
    shown = sum(difference.shown for difference in found)
    label = f"Lead of {best} over {len(found)} rules: shown for {shown}, not shown for {len(found) - shown}."
    return [Panel(traces, layout, label, height=90 + 34 * len(found))]
