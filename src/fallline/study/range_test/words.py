"""A learning-rate range test in words and in a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from ..findings.numbers import brief
from ..result import Estimate
from .result import BELOW

if TYPE_CHECKING:
    from .result import LrRange


def advice(found: LrRange) -> str:
    """What was found and how to use it."""
    if found.suggestion is None and not found.complete:
        return "No suggestion yet: the test was interrupted before the loss had reached its minimum."
    if found.suggestion is None:
        return (
            "No suggestion: in no sweep did the loss fall by more than it scatters. Try more steps or a larger `high`, "
            "or look whether the model learns at all."
        )
    rate = found.suggestion.mean
    return (
        f"Begin with lr = {interval(found.suggestion)}, and search from {brief(rate / 10)} to {brief(rate * 10)}. "
        f"With a schedule that warms up to a peak, take it as the peak."
    )


def notes(found: LrRange) -> list[str]:
    """How the suggestion was come by, what its interval holds, and whatever was out of the ordinary."""
    return [*_about_completeness(found), _about_test(found), *_about_interval(found), *_about_sweeps(found)]


def interval(estimate: Estimate | None) -> str:
    """`7.1e-3 (95 % interval 4.9e-3 to 0.01)`, or the mean alone."""
    if estimate is None:
        return "none"
    if not estimate.has_interval:
        return brief(estimate.mean)
    return f"{brief(estimate.mean)} (95 % interval {brief(estimate.low)} to {brief(estimate.high)})"


def table(found: LrRange) -> Table:
    """The rates that each seed shows, a row each, and their geometric means."""
    drawn = Table(title=f"{found.rule} on {found.problem_name}: learning-rate range test", box=box.SIMPLE)
    drawn.add_column("seed")
    for title in (f"suggested\n(lowest / {BELOW})", "loss falls\nsteepest", "loss\nlowest", "begins to\ndiverge"):
        drawn.add_column(title, justify="right")
    drawn.add_column("lowest\nloss", justify="right")
    for each in found.sweeps:
        suggested = None if each.minimum is None else each.minimum / BELOW
        rates = (suggested, each.steepest, each.minimum, each.diverges)
        drawn.add_row(str(each.seed), *("–" if r is None else brief(r) for r in rates), f"{min(each.smoothed):.3g}")
    if len(found.sweeps) > 1 and found.suggestion is not None:
        lowest = brief(found.suggestion.mean * BELOW)
        drawn.add_section()
        drawn.add_row("all", *map(_range, (found.suggestion, found.steepest)), lowest, _range(found.diverges), "")
    return drawn


def _range(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    ends = f"\n{brief(estimate.low)} to {brief(estimate.high)}" if estimate.has_interval else ""
    return brief(estimate.mean) + ends


def _about_completeness(found: LrRange) -> list[str]:
    if found.complete:
        return []
    return [f"Interrupted: {len(found.sweeps)} of {found.seeds} sweeps were begun, not all of them to their end."]


def _about_test(found: LrRange) -> str:
    low, high, steps = brief(found.rates[0]), brief(found.rates[-1]), len(found.rates)
    settings = "".join(f", {name} = {brief(value)}" for name, value in found.settings.items())
    return (
        f"The rate of {found.rule}{settings} grew exponentially from {low} to {high} over {steps} mini-batches. The "
        f"suggestion is a tenth of the rate at which the smoothed loss was lowest: there the loss still falls, and the "
        f"edge of divergence is far. It is a place to begin a search, not the end of one: a few hundred steps know "
        f"nothing of late training."
    )


def _about_interval(found: LrRange) -> list[str]:
    if found.suggestion is None:
        return []
    if not found.suggestion.has_interval:
        return ["One seed gives no interval: how far the suggestion can be trusted cannot be said."]
    return [
        f"The interval is a 95 % bootstrap interval of the geometric mean over {found.suggestion.n} seeds. It holds "
        "the spread from initial weights and data order, not the rule of thumb's own error."
    ]


def _about_sweeps(found: LrRange) -> list[str]:
    said = []
    flat = [str(each.seed) for each in found.sweeps if each.minimum is None]
    if flat and found.suggestion is not None:
        said.append(f"Left out, since their loss shows no minimum below its scatter: seed {', '.join(flat)}.")
    if any(each.at_end for each in found.sweeps):
        said.append(
            f"The loss was still falling at the largest rate, {brief(found.rates[-1])}: a larger `high` may move the "
            "suggestion up."
        )
    return said
