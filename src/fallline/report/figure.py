"""The comparison as one Matplotlib figure, for papers and slides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .files import check_image, drawing, need, write_whole
from .pictures import View, zoom
from .series import series
from .words import scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study.result import Result

_MOST = 8  # learning curves that can be told apart


def figure(result: Result, path: Path | str | None = None) -> Figure:
    """The ranking with its intervals and the learning curves, side by side; also saved when `path` is given.

    The suffix of the path is the format: .png, .svg or .pdf. The file is written whole or not at all. Raises
    `InputError` for another suffix, a path that cannot be written, or when Matplotlib is missing.
    """
    check_image(path)
    drawn = _draw(result)
    if path is not None:
        write_whole(path, lambda draft: drawn.savefig(draft))
    return drawn


def _draw(result: Result) -> Figure:
    style = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with need("matplotlib").rc_context(style):
        drawn: Figure = drawing(10, max(3.2, 1.3 + 0.36 * len(result.rules)))
        left, right = drawn.subplots(1, 2, width_ratios=(1, 1.15))
        view = View.of(result)
        _ranking(left, view)
        _curves(right, view)
        drawn.suptitle(_title(result), x=0.01, ha="left", fontsize=10)
    return drawn


def _title(result: Result) -> str:
    ranked = scored(result)
    start = f"{result.problem_name}: {ranked[0].name} ranks first" if ranked else f"{result.problem_name}: no score yet"
    return start + ("" if result.complete else " (incomplete)")


def _ranking(axes: Axes, view: View) -> None:
    measure, rules = view.measure, view.result.rules
    tuned = [v for rule in rules if rule.test_metric for v in measure.place(rule.test_metric)]
    low, high = zoom(tuned, measure.maximize, share=0.6) if tuned else (0.0, 1.0)
    digits = measure.digits(rule.test_metric for rule in rules)
    for row, rule in enumerate(rules):
        look = view.looks[rule.name]
        for estimate, y, face in (
            (rule.default_metric, row + 0.24, "none"),
            (rule.test_metric, row - 0.08, look.colour),
        ):
            if estimate is None:
                continue
            mean, left, right = measure.place(estimate)
            if low <= mean <= high:
                if face != "none":
                    axes.plot([left, right], [y, y], color=look.colour, lw=1.8)
                axes.plot([mean], [y], look.marker, color=look.colour, mfc=face, ms=6 if face != "none" else 4.5)
            else:
                text = measure.text(estimate.mean, digits) if face == "none" else ""
                if mean < low:
                    _write(axes, 0, y, f"\N{BLACK LEFT-POINTING TRIANGLE} {text}", "left", "dimgrey")
                else:
                    _write(axes, 1, y, f"{text} \N{BLACK RIGHT-POINTING TRIANGLE}", "right", "dimgrey")
        if rule.test_metric is None:
            _write(
                axes,
                0,
                row,
                " no score: every search trial diverged" if rule.diverged_share >= 1 else " no score yet",
            )
        else:
            _write(axes, 1.01, row - 0.08, measure.text(rule.test_metric.mean, digits))
    axes.set(xlim=(low, high), ylim=(len(rules) - 0.4, -0.6), xlabel=measure.title("test"))
    axes.set_yticks(range(len(rules)), [rule.name for rule in rules])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.set_title("filled: tuned, 95 % interval; hollow: defaults", loc="left", fontsize=8, color="dimgrey")


def _curves(axes: Axes, view: View) -> None:
    measure = view.measure
    lines = {rule.name: series(rule.tuned, lambda p: measure.shown(p.valid_metric)) for rule in view.result.rules}
    lines = dict([(name, line) for name, line in lines.items() if line.epochs][:_MOST])
    for name, line in reversed(lines.items()):
        look = view.looks[name]
        axes.fill_between(line.epochs, line.low, line.high, color=look.colour, alpha=0.1, lw=0)
        axes.plot(line.epochs, line.mean, look.line.matplotlib, color=look.colour, label=name, lw=1.5)
    if lines:
        if measure.decades(end for line in lines.values() for end in line.low):
            ticker = need("matplotlib.ticker")
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(ticker.NullFormatter())
        else:
            late = [value for line in lines.values() for value in line.late(measure.maximize)]
            axes.set_ylim(zoom(late, measure.maximize, share=0.8))
        handles, labels = axes.get_legend_handles_labels()
        legend = axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=8, loc="center left")
        legend.set_bbox_to_anchor((1, 0.5))
    axes.xaxis.set_major_locator(need("matplotlib.ticker").MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=measure.title("validation"))
    axes.grid(color="0.9")
    which = f"the best {_MOST}, " if len(view.result.rules) > _MOST else ""
    axes.set_title(f"{which}tuned: mean and range over seeds", loc="left", fontsize=8, color="dimgrey")


def _write(axes: Axes, x: float, y: float, text: str, align: str = "left", colour: str = "black") -> None:
    # Across in shares of the axes, down in rows. Names are taken as they are, without mathematics.
    where = axes.get_yaxis_transform()
    axes.text(x, y, text, transform=where, ha=align, va="center", fontsize=8, color=colour, parse_math=False)
