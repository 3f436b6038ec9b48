"""Schedules drawn: as text for a terminal, as a Matplotlib figure, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .files import IMAGES, check_image, drawing, need, write_whole
from .style import looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..schedules.curves import Curve, Drawn

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def write(drawn: Drawn, path: Path | str) -> Path:
    """Write the picture in the format of the path's suffix: .html (Plotly), or .png, .svg, .pdf (Matplotlib).

    The file is written whole or not at all. Raises `InputError` for another suffix, a path that cannot be written, or a
    package of `fallline[report]` that is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".html":
        text = page(drawn)
        return write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))
    if suffix not in IMAGES:
        raise InputError(f"out={str(path)!r} is not allowed; it must end in .html, {', '.join(IMAGES[:-1])} or .pdf.")
    figure(drawn, path)
    return Path(path)


def text(curve: Curve, width: int = 64, height: int = 8) -> str:
    """A quantity as columns of blocks, `width` wide and `height` lines high, with its ends and highest value."""
    top = max(curve.values) or 1.0
    columns = _columns(curve, width)
    lines = []
    for row in reversed(range(height)):
        bar = "".join(_EIGHTHS[round(8 * min(1.0, max(0.0, height * value / top - row)))] for value in columns)
        label = f"{top:.4g}" if row == height - 1 else "0" if row == 0 else ""
        lines.append(f"{label:>9} |{bar}".rstrip())
    axis = f"{'':>9} +{'-' * width}"
    end = f"epoch {round(curve.epochs[-1] + 0.5) if curve.epochs[-1] else 1}"
    return "\n".join([curve.title, *lines, axis, f"{'':>11}0{end:>{width - 1}}"])


def figure(drawn: Drawn, path: Path | str | None = None) -> Figure:
    """The curves one above the other, as a Matplotlib figure; also saved when `path` is given, by its suffix.

    Raises `InputError` for another suffix than .png, .svg or .pdf, a path that cannot be written, or when Matplotlib is
    missing.
    """
    check_image(path)
    with need("matplotlib").rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        rows = len(drawn.curves)
        made: Figure = drawing(6.4, 1 + 2 * rows)
        every = made.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        for axes, curve in zip(every, drawn.curves, strict=True):
            look = looks([each.quantity for each in drawn.curves])[curve.quantity]
            axes.plot(curve.epochs, curve.values, color=look.colour, lw=1.8)
            axes.set(ylim=(0, 1.05 * (max(curve.values) or 1)), xlim=(0, drawn.epochs))
            axes.set_ylabel(curve.quantity)
            axes.set_title(curve.title, loc="left", fontsize=8, color="dimgrey")
            axes.grid(color="0.9")
        every[-1].set_xlabel("epoch")
        made.suptitle(drawn.text, x=0.01, ha="left", fontsize=9, parse_math=False)
    if path is not None:
        write_whole(path, lambda draft: made.savefig(draft))
    return made


def page(drawn: Drawn) -> str:
    """The curves as a self-contained HTML page."""
    plots, graphs = need("plotly.subplots"), need("plotly.graph_objects")
    rows = len(drawn.curves)
    made = plots.make_subplots(rows, 1, shared_xaxes=True, subplot_titles=[curve.title for curve in drawn.curves])
    styles = looks([curve.quantity for curve in drawn.curves])
    for row, curve in enumerate(drawn.curves, 1):
        line: dict[str, Any] = {"color": styles[curve.quantity].colour}
        made.add_trace(graphs.Scatter(x=curve.epochs, y=curve.values, name=curve.quantity, line=line), row, 1)
        made.update_yaxes(rangemode="tozero", row=row, col=1)
    made.update_xaxes(title_text="epoch", row=rows, col=1)
    # Plotly reads a title as markup
    title = drawn.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    made.update_layout(title=title, template="plotly_white", showlegend=False, height=160 + 240 * rows)
    html: str = made.to_html(include_plotlyjs=True, full_html=True)
    return html


def _columns(curve: Curve, width: int) -> list[float]:
    """The value in the middle of each of so many stretches of the run."""
    count = len(curve.values)
    return [curve.values[min(count - 1, (2 * k + 1) * count // (2 * width))] for k in range(width)]
