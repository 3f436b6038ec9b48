"""The learning-rate range test as a page and as a figure: the loss against the rate, seed by seed and on average."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..study.findings.numbers import brief
from .files import check_image, drawing, need, write_whole
from .markup import code
from .page import _TEMPLATES, _json, _policy
from .style import looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..study.range_test import LrRange


@dataclass(frozen=True)
class _Curves:
    """What both pictures draw: the smoothed loss of each seed, their mean, and the losses worth showing."""

    rates: list[float]
    seeds: dict[int, list[float]]
    mean: list[float]
    bounds: tuple[float, float]


def write(found: LrRange, path: Path | str) -> Path:
    """Write the page of a learning-rate range test: one self-contained HTML file, whole or not at all.

    Raises `InputError` when the path cannot be written or a package of `fallline[report]` is missing.
    """
    text = page(found)
    return write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))


def page(found: LrRange) -> str:
    """The page's HTML."""
    jinja2, safe = need("jinja2"), need("markupsafe").Markup
    plotly = need("plotly.offline").get_plotlyjs()
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    from ..study.range_test.result import BELOW

    text: str = environment.get_template("range_test.html").render(
        found=found,
        brief=brief,
        below=BELOW,
        code=code,
        snippet=_snippet(found),
        css=safe((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        js=safe(script),
        plotly=safe(plotly),
        panels_json=safe(_json([_panel(found)])),
        policy=_policy(plotly, script),
    )
    return text


def figure(found: LrRange, path: Path | str | None = None) -> Figure:
    """The loss against the rate as a Matplotlib figure; also saved when `path` is given, by its suffix.

    Raises `InputError` for another suffix than .png, .svg or .pdf, a path that cannot be written, or when Matplotlib is
    missing.
    """
    check_image(path)
    look, curves = looks([found.rule])[found.rule], _curves(found)
    with need("matplotlib").rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        drawn: Figure = drawing(6.4, 3.8)
        axes = drawn.subplots()
        for losses in curves.seeds.values():
            axes.plot(curves.rates[: len(losses)], losses, color=look.colour, alpha=0.3, lw=0.8)
        axes.plot(curves.rates[: len(curves.mean)], curves.mean, color=look.colour, lw=2)
        estimate = found.suggestion
        if estimate is not None:
            if estimate.has_interval:
                axes.axvspan(estimate.low, estimate.high, color="0.5", alpha=0.2, lw=0)
            axes.axvline(estimate.mean, color="0.2", lw=1.2)
        axes.set(xscale="log", ylim=curves.bounds, xlabel="learning rate", ylabel="training loss, smoothed")
        axes.set_xlim(found.rates[0], found.rates[-1])
        axes.grid(color="0.9")
        title = f"{found.problem_name}, {found.rule}: " + (
            f"lr = {brief(estimate.mean)}" if estimate else "no suggestion"
        )
        axes.set_title(title, loc="left", fontsize=9, parse_math=False)
    if path is not None:
        write_whole(path, lambda draft: drawn.savefig(draft))
    return drawn


def _panel(found: LrRange) -> dict[str, Any]:
    look, curves = looks([found.rule])[found.rule], _curves(found)
    traces = [
        _line(curves.rates, losses, look.wash(0.4), 1, f"seed {seed}") for seed, losses in curves.seeds.items()
    ] + [_line(curves.rates, curves.mean, look.colour, 3, f"mean of {len(curves.seeds)} seeds")]
    layout = {
        "xaxis": {
            "type": "log",
            "title": {"text": "learning rate"},
            "range": [math.log10(found.rates[0]), math.log10(found.rates[-1])],
            "dtick": 1,
            "exponentformat": "power",
        },
        "yaxis": {"title": {"text": "training loss, smoothed"}, "range": list(curves.bounds)},
        "shapes": _shapes(found, look.wash(0.16), look.colour),
        "annotations": _annotations(found),
        "margin": {"l": 8, "r": 12, "t": 44, "b": 40},
    }
    return {"traces": traces, "layout": layout}


def _line(rates: list[float], losses: list[float], colour: str, width: int, name: str) -> dict[str, Any]:
    return {
        "x": rates[: len(losses)],
        "y": losses,
        "mode": "lines",
        "line": {"color": colour, "width": width},
        "hovertext": [f"<b>{name}</b>, lr {brief(r)}: {loss:.3g}" for r, loss in zip(rates, losses, strict=False)],
        "hoverinfo": "text",
    }


def _shapes(found: LrRange, band: str, colour: str) -> list[dict[str, Any]]:
    """The suggestion as a line in the band of its interval, divergence as a dotted line."""
    shapes: list[dict[str, Any]] = []
    tall = {"yref": "paper", "y0": 0, "y1": 1}
    if found.suggestion is not None:
        rate = found.suggestion
        if rate.has_interval:
            ends = {"x0": rate.low, "x1": rate.high}
            shapes.append({"type": "rect", **tall, **ends, "fillcolor": band, "line": {"width": 0}, "layer": "below"})
        shapes.append({"type": "line", **tall, "x0": rate.mean, "x1": rate.mean, "line": {"color": colour, "width": 2}})
    if found.diverges is not None:
        rate = found.diverges
        line = {"color": "#888", "width": 1.5, "dash": "dot"}
        shapes.append({"type": "line", **tall, "x0": rate.mean, "x1": rate.mean, "line": line})
    return shapes


def _annotations(found: LrRange) -> list[dict[str, Any]]:
    marks = ((found.suggestion, "suggestion"), (found.diverges, "begins to diverge"))
    return [
        {
            "x": math.log10(rate.mean),  # where an axis is logarithmic, annotations stand at the logarithm
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "xanchor": _side(rate.mean, found),
            "text": f"{what} {brief(rate.mean)}",
            "yshift": 15 * row,  # a row each: the two may be close
            "showarrow": False,
        }
        for row, (rate, what) in enumerate(marks)
        if rate is not None
    ]


def _side(rate: float, found: LrRange) -> str:
    """The side at which words stand at a rate, so that they stay within the picture."""
    share = math.log(rate / found.rates[0]) / math.log(found.rates[-1] / found.rates[0])
    return "left" if share < 0.1 else "right" if share > 0.9 else "center"


def _curves(found: LrRange) -> _Curves:
    if not found.sweeps:
        raise InputError("this range test was interrupted before its first step: there is nothing to draw.")
    seeds = {each.seed: list(each.smoothed) for each in found.sweeps}
    rates = list(found.rates)
    at = [[losses[k] for losses in seeds.values() if k < len(losses)] for k in range(len(rates))]
    # the mean ends where half of the seeds have ended: of fewer it would be another curve
    mean = [sum(values) / len(values) for values in at if 2 * len(values) > len(seeds)]
    start, lowest = max(losses[0] for losses in seeds.values()), min(min(losses) for losses in seeds.values())
    fall = start - lowest or abs(start) or 1.0
    return _Curves(rates, seeds, mean, (lowest - 0.06 * fall, start + 0.4 * fall))


def _snippet(found: LrRange) -> str:
    """Python to paste: the rule's optimizer at the suggested rate."""
    if found.suggestion is None:
        return ""
    from ..optim import call
    from ..rules.rule import find

    rule = find(found.rule)
    if rule is None:
        return ""
    changed = {name: value for name, value in found.settings.items() if rule.defaults.get(name) != value}
    settings = {"lr": float(f"{found.suggestion.mean:.2g}"), **changed}
    return f"import fallline\n\noptimizer = {call(rule, settings, 'model.parameters()')}\n"
