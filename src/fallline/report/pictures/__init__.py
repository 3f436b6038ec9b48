"""A picture is one decorated function that turns a result into panels; the page finds it, no list names it.

    @picture("Learning curves", section="learning")
    def curves(view: View) -> list[Panel]:
        \"\"\"How each rule gets there. The first paragraph is the caption under the picture.\"\"\"
        return [Panel(traces, layout, label="what it shows, for those who cannot see it")]

Put it in a file of this package. Traces and layout are Plotly's, as plain dictionaries. No panels, no
picture. A section that the page does not know puts the picture at its end. Pictures of one section stand in
the order of `place`. Title and caption may speak of the `{metric}`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..style import Look, looks
from ..words import Measure

if TYPE_CHECKING:
    from ...study.result import Result


@dataclass(frozen=True)
class View:
    """What a picture draws from: the result, how its metric is shown, and how each rule looks."""

    result: Result
    measure: Measure
    looks: Mapping[str, Look]

    @classmethod
    def of(cls, result: Result) -> View:
        """The view of a result that all its pictures share."""
        return cls(result, result.measure, looks(rule.name for rule in result.rules))


@dataclass(frozen=True)
class Panel:
    """One drawing: Plotly traces and layout, with a sentence for those who cannot see it.

    A trace that belongs to a rule names it in `meta`, so that the rule's button above the panel can hide it.
    Panels of one picture that share a `group` stand under it as a heading; `wide` panels take the whole row. `note`
    is added to the picture's caption, once.
    """

    traces: list[dict[str, Any]]
    layout: dict[str, Any]
    label: str
    title: str = ""
    group: str = ""
    height: int = 360
    wide: bool = True
    buttons: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A function that draws panels, with its title, the page's section it belongs to, and its caption."""

    title: str
    section: str
    place: int
    caption: str
    draw: Callable[[View], list[Panel]]


_FOUND: dict[str, Picture] = {}


def picture(
    title: str, *, section: str = "more", place: int = 0
) -> Callable[[Callable[[View], list[Panel]]], Callable[[View], list[Panel]]]:
    """Make a function a picture of the report."""

    def decorate(draw: Callable[[View], list[Panel]]) -> Callable[[View], list[Panel]]:
        caption = " ".join((inspect.getdoc(draw) or "").split("\n\n")[0].split())
        _FOUND[f"{draw.__module__}.{draw.__qualname__}"] = Picture(title, section, place, caption, draw)
        return draw

    return decorate


def found() -> list[Picture]:
    """Every picture of this package, and any the user has decorated, in the order of their places."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return sorted(_FOUND.values(), key=lambda each: each.place)


def zoom(values: Iterable[float], higher_is_better: bool, share: float = 0.5) -> tuple[float, float]:
    """The range of an axis that shows the good values well and lets the far worse ones fall off its edge.

    The best `share` of the values is within, and those not far below: up to three times as far from the best.
    """
    ordered = sorted(values, reverse=higher_is_better)
    best, last = ordered[0], ordered[int((len(ordered) - 1) * share)]
    reach = 3 * abs(best - last) or abs(best - ordered[-1])
    worst = [value for value in ordered if abs(value - best) <= reach][-1]
    margin = 0.06 * abs(best - worst) or abs(best) / 100 or 1.0
    low, high = sorted((best, worst))
    return low - margin, high + margin
