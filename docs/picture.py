"""The picture of a rule page: two paths through the valley and how fast each goes down, in the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from . import valley
from .valley import Path
from .words import number

_INK, _COLOURS = "#010101", ("#020202", "#030303")
"""Stand-ins for the colours that the page's style sheet gives, by day and by night."""
_STYLE = {_INK: "currentColor"} | {colour: f"var(--path-{k})" for k, colour in enumerate(_COLOURS)}
_WINDOW = ((-0.75, 0.75), (-0.2, 0.7))
_WIDEST = 1.5


def picture(paths: Mapping[str, Path]) -> str:
    """The paths, by name, as HTML: the way through the valley, the loss at each step, and a caption."""
    panels = [_svg(lambda axes: _map(axes, paths), paths), _svg(lambda axes: _descent(axes, paths), paths)]
    caption = f"<figcaption>{_caption(paths)}</figcaption>"
    return f'<figure class="path" data-search-exclude="">{"".join(panels)}{caption}</figure>'


def _caption(paths: Mapping[str, Path]) -> str:
    lines = [
        f'<span class="path-{k}">{name}</span>' + ("" if path.rate is None else f" at lr = {path.rate:.2g}")
        for k, (name, path) in enumerate(paths.items())
    ]
    tuned = f"of {valley.TRIALS} rates spread over its own search range, each has the one that ends lowest"
    return (
        f"{' and '.join(lines)}: {valley.STEPS} steps, a dot each, from the ring towards the cross, the lowest point "
        f"of a curved valley; {tuned}. Two dimensions show how a rule moves, not how well it trains a network."
    )


def _map(axes: Axes, paths: Mapping[str, Path]) -> None:
    everywhere = np.concatenate([path.points for path in paths.values()])
    low = np.maximum(np.minimum(everywhere.min(0) - 0.05, [x for x, _ in _WINDOW]), -_WIDEST)
    high = np.minimum(np.maximum(everywhere.max(0) + 0.05, [x for _, x in _WINDOW]), _WIDEST)
    x, y = np.meshgrid(np.linspace(low[0], high[0], 80), np.linspace(low[1], high[1], 60))
    levels = np.geomspace(0.003, 40, 14)
    axes.contour(x, y, valley.loss(x, y), levels=levels, colors=_INK, linewidths=0.5, alpha=0.35)
    for colour, path in zip(_COLOURS, paths.values(), strict=False):
        axes.plot(*path.points.T, "-o", color=colour, markersize=2, linewidth=1)
    axes.plot(*valley.START, "o", markersize=7, fillstyle="none", color=_INK)
    axes.plot(*valley.MINIMUM, "+", markersize=9, color=_INK)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="first weight", ylabel="second weight")
    axes.locator_params(nbins=5)


def _descent(axes: Axes, paths: Mapping[str, Path]) -> None:
    for colour, path in zip(_COLOURS, paths.values(), strict=False):
        axes.semilogy(path.losses, color=colour, linewidth=1.3)
    axes.grid(color=_INK, alpha=0.12, linewidth=0.5)
    axes.set(xlabel="step", ylabel="loss", xlim=(0, valley.STEPS))
    axes.yaxis.set(minor_locator=NullLocator(), major_formatter=lambda loss, _: number(loss))
    axes.locator_params("x", nbins=5)


def _svg(draw: Callable[[Axes], None], paths: Mapping[str, Path]) -> str:
    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"{draw.__code__.co_names}{list(paths)}",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **{f"{part}.color": _INK for part in ("text", "xtick", "ytick")},
        **{f"axes.{part}": _INK for part in ("edgecolor", "labelcolor")},
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(3.7, 3.0))
        draw(figure.add_axes((0.2, 0.15, 0.76, 0.82)))
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _themed(written.getvalue())


def _themed(text: str) -> str:
    """An SVG file as an element of a page: in its colours and fonts, with no more digits than are seen."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style).*?</\1>|font-family:[^;]*;", "", text, flags=re.DOTALL)
    text = re.sub(r"(?<=[\s\"(,])-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.1f}", text)
    for colour, shown in _STYLE.items():
        text = text.replace(colour, shown)
    return re.sub(r"\s*\n\s*", " ", text)
